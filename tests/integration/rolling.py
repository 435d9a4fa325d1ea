# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of the rolling playbook did: its batches, redeploys and report."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.conftest import PlaybookRun
from tests.simulator.running import Simulator

PLAYBOOK = "playbooks/rolling_redeploy.yml"
QUICK = {"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 2}


def redeploys(sim: Simulator) -> Counter[str]:
    """How many redeploys were sent, by host name."""
    names = {row["id"]: row["hostname"] for row in sim.state()["instances"]}
    return Counter(names[row["path"].split("/")[3]] for row in sim.writes() if row["path"].endswith("/redeploy"))


def batches(run: PlaybookRun) -> list[list[str]]:
    """The hosts of each batch of the rolling play, from the run log."""
    starts = [event["event_data"] for event in run.events() if event["event"] == "playbook_on_play_start"]
    rolls = [data["batch_hosts"] for data in starts if data["name"].startswith("Roll ")]
    return [[host.split(".")[0] for host in hosts] for hosts in rolls]


CATEGORIES = ("failed", "uncertain", "updated", "current", "deferred", "not_touched", "gone")


def short(names: Any) -> list[str]:
    return sorted(name.split(".")[0] for name in names)


def touched(sim: Simulator) -> list[str]:
    return short(redeploys(sim))


def report_of(run: PlaybookRun) -> dict[str, Any]:
    """The report in the set_stats data, with short host names."""
    found = run.report
    return {**found, **{category: short(found[category]) for category in CATEGORIES}}


def with_newest(sim: Simulator) -> list[str]:
    state = sim.state()
    return short(row["hostname"] for row in state["instances"] if row["runtime"] == state["newest_runtime"])


def plan_hash(run: PlaybookRun) -> str:
    lines = [line for line in run.stdout.splitlines() if "Plan hash: " in line]
    assert lines, run.output
    return lines[0].rpartition("Plan hash: ")[2].strip('", ')


def policy(sim: Simulator, **values: Any) -> None:
    sim.knobs(policy=values)


def hosts(*numbers: int) -> list[str]:
    return [f"agent-{number:03d}" for number in numbers]
