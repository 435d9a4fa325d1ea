# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rolling run on hold, and one that runs into a freeze, by the real ansible-playbook."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import PlaybookRun
from tests.integration.rolling import PLAYBOOK, QUICK, hosts, plan_hash, policy, redeploys, report_of, touched
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.03)


def test_nothing_is_started_while_a_run_is_held_and_a_freeze_defers_the_rest(run_playbook: Run, tmp_path: Path) -> None:
    file, counts = tmp_path / "hold", []

    def person(sim: Simulator) -> None:
        """Hold the run during its canary and in its second batch, and let the freeze begin after that batch."""
        for sent in (1, 2):
            until(lambda sent=sent: len(redeploys(sim)) == sent)
            # With this limit, agent-003 waits for the end of agent-002, which is in the same batch.
            policy(sim, max_parallel_rollouts=1)
            file.write_text("INC-9, ask Ann")
            until(lambda: sim.in_flight()["now"] == 0)
            time.sleep(4)
            counts.append(len(redeploys(sim)))
            file.unlink()
        until(lambda: len(redeploys(sim)) == 3)
        sim.advance(7 * 86400)

    with running_simulator(instances=5, speed=40.0, knobs={"deploy_s": [60, 60]}) as sim:
        policy(sim, max_parallel_rollouts=2)
        unread = [{"from": "2026-01-01", "to": "2200"}]
        refused = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_freezes": unread})
        assert refused.rc == 4, refused.output
        assert "in freeze 1, to is '2200'" in refused.stdout
        assert sim.writes() == []

        later = datetime.fromtimestamp(sim.state()["now"] + 2 * 86400, UTC).date().isoformat()
        options = {
            **QUICK,
            "fleetops_hold": str(file),
            "fleetops_hold_interval": 0.3,
            "fleetops_freezes": [{"from": later, "to": "2200-01-01", "reason": "audit"}],
        }
        somebody = threading.Thread(target=person, args=(sim,))
        somebody.start()
        run = run_playbook(sim, PLAYBOOK, e=options)
        somebody.join()
        assert run.rc == 0, run.output
        assert counts == [1, 2]
        assert run.stdout.count("The run is held by the file") == 1
        assert "(INC-9, ask Ann)" in run.stdout
        assert touched(sim) == hosts(1, 2, 3)
        found = report_of(run)
        assert (found["verdict"], found["updated"], found["deferred"]) == ("deferred", hosts(1, 2, 3), hosts(4, 5))
        assert "Changes are frozen until 2200-01-02 00:00 UTC (audit)." in found["reasons"][0]

        # During the freeze, a plan says so and a run is refused.
        sim.clear_journal()
        plan = run_playbook(sim, PLAYBOOK, "--check", e=options)
        assert plan.rc == 0 and plan_hash(plan), plan.output
        assert f"Changes are frozen from {later} 00:00 UTC to 2200-01-02 00:00 UTC (audit)." in plan.stdout
        assert run_playbook(sim, PLAYBOOK, e=options).rc == 2
        assert sim.writes() == []


@pytest.mark.parametrize("approved", [False, True])
def test_a_bundle_that_is_published_during_the_run_stops_it_if_requested_or_with_an_approved_plan(
    run_playbook: Run, approved: bool
) -> None:
    with running_simulator(instances=4, speed=40.0, knobs={"deploy_s": [60, 60]}) as sim:
        policy(sim, max_parallel_rollouts=1)
        asked = {"fleetops_on_bundle_change": "stop"}
        if approved:
            asked = {"fleetops_plan_hash": plan_hash(run_playbook(sim, PLAYBOOK, "--check", e=QUICK))}

        def publish() -> None:
            until(lambda: len(redeploys(sim)) == 1 and sim.in_flight()["now"] == 1)
            sim.knobs(publish="9999.1.0")

        somebody = threading.Thread(target=publish)
        somebody.start()
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, **asked})
        somebody.join()
        assert run.rc == 2, run.output
        assert touched(sim) == hosts(1, 2)
        found = report_of(run)
        assert (found["verdict"], found["not_touched"]) == ("fail", hosts(3, 4))
        assert found["reasons"][0].startswith("2 bundles were deployed in this run")
        assert sorted(len(names) for names in found["bundles"].values()) == [1, 1]
