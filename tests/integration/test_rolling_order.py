# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a rolling run: the journal shows the order that the plan in check mode predicts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PlaybookRun
from tests.integration.rolling import PLAYBOOK, QUICK, hosts, plan_hash, policy, report_of
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
POWER_CYCLE = "playbooks/power_cycle.yml"
WAVES = ["internal", {"hosts": "eu", "limit": 1, "gate": {"max_failed": 0}}]
RULES = {
    **QUICK,
    "fleetops_order": "random(7)",
    "fleetops_canary_hosts": "agent-003",
    "fleetops_waves": WAVES,
    "fleetops_quarantine": 2,
    "fleetops_defer_busy": 1,
}
# Without retries, so that an audit that cannot be read is reported at once.
ONCE = {"FLEETOPS_RETRIES": "0", "ANSIBLE_INVENTORY_ENABLED": "yaml"}


def inventory(sim: Simulator, path: Path) -> Path:
    """The fleet in groups, in reverse order of names: 8 to 1."""
    ids = {row["hostname"].partition(".")[0]: row["id"] for row in sim.state()["instances"]}
    fleet = {name: {"fleetops_instance_id": ids[name]} for name in sorted(ids, reverse=True)}
    children = {
        "fleetops_instances": {"hosts": fleet},
        "internal": {"hosts": {"agent-005": None}},
        "eu": {"hosts": dict.fromkeys(hosts(1, 2, 3, 4))},
        "us": {"hosts": dict.fromkeys(hosts(5, 6, 7, 8))},
    }
    path.write_text(yaml.safe_dump({"all": {"children": children}}, sort_keys=False))
    return path


def planned(run: PlaybookRun) -> list[list[str]]:
    """The batches of the printed plan, in order."""
    return [
        re.findall(r"agent-\d+", names) for names in re.findall(r'"Batch \d+(?: \([^)]*\))?: ([^(]*) \(', run.stdout)
    ]


def redeployed(sim: Simulator, sizes: list[int], call: str = "/redeploy") -> list[list[str]]:
    """The redeploys of the journal in order, in batches of these sizes, each sorted."""
    names = {row["id"]: row["hostname"].partition(".")[0] for row in sim.state()["instances"]}
    sent = [names[row["path"].split("/")[3]] for row in sim.writes() if row["path"].endswith(call)]
    found = []
    for size in sizes:
        found.append(sorted(sent[:size]))
        sent = sent[size:]
    return [*found, *([sent] if sent else [])]


def unreadable_audit(sim: Simulator) -> None:
    """The audit of agent-006 fails once, while the plan is made; that of agent-007 always fails."""
    sim.clear_faults()
    sim.fault(operation="list_audit_events", instance="agent-006", status=503, times=1)
    sim.fault(operation="list_audit_events", instance="agent-007", status=503)


def test_a_run_follows_the_order_of_the_plan_from_check_mode(run_playbook: Run, tmp_path: Path) -> None:
    with running_simulator(instances=8, speed=40.0, knobs={"audit_per_hour": 0}) as sim:
        policy(sim, max_parallel_rollouts=2)
        sim.knobs(outcomes={"agent-002": ["failed", "failed"]})
        for _dummy in range(2):
            sim.call("POST", f"/v1/instances/{sim.instance('agent-002')['id']}/runtime/redeploy")
            sim.advance(600)
        sim.clear_journal()

        def run(*arguments: str, **options: Any) -> PlaybookRun:
            where = inventory(sim, tmp_path / "hosts.yml")
            return run_playbook(sim, PLAYBOOK, *arguments, e=options, inventory=where, env=ONCE)

        refused = run(**{**RULES, "fleetops_waves": "internal,europe"})
        assert refused.rc == 2, refused.output
        assert report_of(refused)["reasons"] == [
            "There is no plan: waves is 'europe', which matches no host of the inventory."
        ]
        assert sim.writes() == []

        unreadable_audit(sim)
        checked = run("--check", **RULES)
        assert checked.rc == 0, checked.output
        assert sim.writes() == []
        plan = planned(checked)
        assert (plan[0], plan[1], plan[-1]) == (hosts(3), hosts(5), hosts(2))
        assert sorted(name for batch in plan[2:4] for name in batch) == hosts(1, 4)
        assert (plan[4], sorted(plan[5])) == (hosts(8), hosts(6, 7))
        assert "Batch 3 (eu): " in checked.stdout
        assert "Busy, so at the end: agent-00" in checked.stdout
        assert (
            "In quarantine, so last, each in a batch of its own: agent-002. The last 2 redeploys of each failed."
            in checked.stdout
        )
        assert report_of(checked)["updated"] == hosts(1, 2, 3, 4, 5, 6, 8)

        unreadable_audit(sim)
        real = run(**{**RULES, "fleetops_plan_hash": plan_hash(checked)})
        assert real.rc == 0, real.output
        assert planned(real) == plan
        done = [sorted(name for name in batch if name != "agent-007") for batch in plan]
        assert redeployed(sim, [len(batch) for batch in done]) == done
        found = report_of(real)
        assert (found["updated"], found["not_touched"]) == (hosts(1, 2, 3, 4, 5, 6, 8), hosts(7))
        assert found["left_out"] == {"agent-007": "its audit cannot be read"}
        assert "Not touched by rule: agent-007, its audit cannot be read." in real.stdout

        # Half of each group, in the order of the inventory; the rest is left for a later run.
        sim.clear_faults()
        sim.clear_journal()
        sim.knobs(publish="9999.1.0")
        half = {"fleetops_order": "inventory", "fleetops_max_share": "50%", "fleetops_share_by": "eu, us"}
        halved = run(**QUICK, **half)
        assert halved.rc == 0, halved.output
        assert planned(halved) == [hosts(8), hosts(7, 4), hosts(3)]
        assert redeployed(sim, [1, 2, 1]) == [hosts(8), hosts(4, 7), hosts(3)]
        left = report_of(halved)
        assert (left["not_touched"], sorted(left["left_out"])) == (hosts(1, 2, 5, 6), hosts(1, 2, 5, 6))


def test_restarts_follow_the_same_order_and_refuse_rules_that_need_redeploys(run_playbook: Run) -> None:
    with running_simulator(instances=6, speed=40.0) as sim:
        policy(sim, max_parallel_rollouts=2)
        rules = {
            "fleetops_only_if_unhealthy": False,
            "fleetops_min_uptime": 0,
            "fleetops_wait_interval": 0.2,
            "fleetops_canary_hosts": "agent-003*",
            "fleetops_max_share": "70%",
        }
        refused = run_playbook(sim, POWER_CYCLE, e={**rules, "fleetops_order": "slowest_first"})
        assert refused.rc == 2, refused.output
        assert report_of(refused)["reasons"] == [
            "There is no plan: order slowest_first looks at past redeploys, and this run does not redeploy."
        ]
        checked = run_playbook(sim, POWER_CYCLE, "--check", e=rules)
        assert checked.rc == 0, checked.output
        assert sim.writes() == []
        plan = planned(checked)
        assert plan == [hosts(3), hosts(1, 2), hosts(4)]
        published = checked.artifacts
        assert published["fleetops_plan_hash"] == plan_hash(checked)
        counts = {"batches": 3, "planned": 4, "left_alone": 0, "left_out": 2, "gone": 0}
        assert published["fleetops_plan_counts"] == counts
        real = run_playbook(sim, POWER_CYCLE, e={**rules, "fleetops_plan_hash": plan_hash(checked)})
        assert real.rc == 0, real.output
        assert redeployed(sim, [1, 2, 1], "/power-cycle") == plan
        found = report_of(real)
        assert (found["updated"], found["not_touched"]) == (hosts(1, 2, 3, 4), hosts(5, 6))
