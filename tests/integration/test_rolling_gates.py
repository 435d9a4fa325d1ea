# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates of playbooks/rolling_redeploy.yml by the real ansible-playbook: plan, stop, report, exit code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import CHECKOUT, PlaybookRun
from tests.integration.rolling import (
    PLAYBOOK,
    QUICK,
    batches,
    hosts,
    plan_hash,
    policy,
    redeploys,
    report_of,
    touched,
    with_newest,
)
from tests.integration.second_task import when
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]

# Two hours before the window of the tests closes: three minutes of real time.
BEFORE_MIDNIGHT = ("--start", "2026-11-24T22:00:00Z")
TWO_UNTIL_MIDNIGHT = {
    "max_parallel_rollouts": 2,
    "maintenance_window_start_hour_utc": 22,
    "maintenance_window_end_hour_utc": 0,
}


# behaviour 3.5, row 28
def test_a_plan_is_accepted_by_its_hash_and_refused_once_a_version_has_changed(run_playbook: Run) -> None:
    with running_simulator(instances=5, speed=40.0) as sim:
        policy(sim, max_parallel_rollouts=3)
        growing = {**QUICK, "fleetops_growth": "doubling"}
        checked = run_playbook(sim, PLAYBOOK, "--check", e=growing)
        assert checked.rc == 0, checked.output
        assert sim.writes() == []
        assert "5 instances: 5 to redeploy in 3 batches, at most 3 at once (max_parallel_rollouts)." in checked.stdout
        assert "Would be updated (5): " in checked.stdout
        assert report_of(checked)["check_mode"] is True
        agreed = plan_hash(checked)

        sim.knobs(publish="9999.1.0")
        refused = run_playbook(sim, PLAYBOOK, e={**growing, "plan_hash": agreed})
        assert refused.rc == 2
        assert "This is not the approved plan. Changed since then: versions. Nothing was done." in refused.stdout
        assert sim.writes() == []
        # The new plan is shown, so that somebody can approve it.
        assert plan_hash(refused) not in (agreed, "")
        assert report_of(refused)["not_touched"] == hosts(1, 2, 3, 4, 5)

        newer = report_of(run_playbook(sim, PLAYBOOK, "--check", e=growing))["plan_hash"]
        accepted = run_playbook(sim, PLAYBOOK, e={**growing, "fleetops_plan_hash": newer})
        assert accepted.rc == 0, accepted.output
        assert batches(accepted)[-3:] == [hosts(1), hosts(2, 3), hosts(4, 5)]
        found = report_of(accepted)
        assert found["updated"] == with_newest(sim) == hosts(1, 2, 3, 4, 5)
        assert (found["verdict"], found["plan_hash"], found["disagreements"]) == ("pass", newer, {})


# behaviour 3.5, row 11
def test_a_window_that_closes_between_batches_defers_the_rest_without_a_failure(run_playbook: Run) -> None:
    with running_simulator(instances=5, speed=40.0, arguments=BEFORE_MIDNIGHT, knobs={"deploy_s": [20, 20]}) as sim:
        policy(sim, **TWO_UNTIL_MIDNIGHT)
        closing = closing_after(sim, 3)
        run = run_playbook(sim, PLAYBOOK, e=QUICK)
        closing.join()
        assert run.rc == 0, run.output
        assert touched(sim) == hosts(1, 2, 3)
        found = report_of(run)
        assert (found["verdict"], found["updated"], found["deferred"]) == ("deferred", hosts(1, 2, 3), hosts(4, 5))
        assert "opens next at 2026-11-25 22:00 UTC." in run.stdout
        assert "Deferred until the maintenance window opens or the freeze ends (2): " in run.stdout
        assert found["updated"] == with_newest(sim)

        # Before a run has begun, a closed window refuses it, unless it is overridden with a reason.
        sim.clear_journal()
        sim.advance(3600)
        early = run_playbook(sim, PLAYBOOK, e=QUICK)
        assert early.rc == 2
        assert "is closed; it opens next at 2026-11-25 22:00 UTC." in early.stdout
        assert sim.writes() == []
        unreasoned = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_override_window": True})
        assert unreasoned.rc == 2
        assert "override_window needs an override_reason" in unreasoned.stdout
        assert sim.writes() == []
        urgent = {"fleetops_override_window": True, "fleetops_override_reason": "INC-4711: the runtime leaks tokens"}
        forced = run_playbook(sim, PLAYBOOK, e={**QUICK, **urgent})
        assert forced.rc == 0, forced.output
        assert report_of(forced)["override_reason"] == "INC-4711: the runtime leaks tokens"
        assert touched(sim) == hosts(4, 5)


def test_instances_that_wait_for_their_turn_until_the_window_closes_are_deferred(run_playbook: Run) -> None:
    with running_simulator(instances=5, speed=40.0, arguments=BEFORE_MIDNIGHT, knobs={"deploy_s": [20, 20]}) as sim:
        policy(sim, **TWO_UNTIL_MIDNIGHT)
        # The redeploys of somebody else and of agent-002 occupy the two seats. The latter ends after the window closes.
        sim.knobs(outcomes={"agent-005": "stuck", "agent-002": {"outcome": "succeeded", "duration_s": 9000}})
        assert sim.call("POST", f"/v1/instances/{sim.instance('agent-005')['id']}/runtime/redeploy")[0] == 200
        closing = closing_after(sim, 3, left=-60, then=7200)
        run = run_playbook(sim, PLAYBOOK, "--limit", "all:!agent-005*", e=QUICK)
        closing.join()
        assert run.rc == 0, run.output
        assert touched(sim) == hosts(1, 2, 5)
        found = report_of(run)
        assert (found["verdict"], found["updated"], found["deferred"]) == ("deferred", hosts(1, 2), hosts(3, 4))


def closing_after(sim: Simulator, redeployed: int, left: float = 300, then: float = 0) -> threading.Thread:
    """After that many redeploys, leave so many seconds of the window: by default too few for another batch.

    ``then``: by how many seconds the clock is moved once more, when the waiting tasks have read the time again.
    """

    def watch() -> None:
        deadline = time.monotonic() + 90
        while len(redeploys(sim)) < redeployed and time.monotonic() < deadline:
            time.sleep(0.05)
        now = sim.state()["now"]
        sim.advance(86400 - now % 86400 - left)
        if then:
            time.sleep(3)
            sim.advance(then)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


# behaviour 3.5, row 14
def test_a_policy_of_0_and_a_fleet_rollout_by_another_admin_each_refuse_the_run(run_playbook: Run) -> None:
    with running_simulator(instances=3, speed=40.0, knobs={"deploy_s": [4000, 4000]}) as sim:
        policy(sim, max_parallel_rollouts=0)
        off = run_playbook(sim, PLAYBOOK, e=QUICK)
        assert off.rc == 2
        assert "max_parallel_rollouts is 0: rollouts are switched off" in off.stdout
        assert "Traceback" not in off.output
        assert sim.writes() == []
        assert report_of(off)["not_touched"] == hosts(1, 2, 3)

        policy(sim, max_parallel_rollouts=2)
        sim.knobs(foreign_fleet=True)
        foreign = run_playbook(sim, PLAYBOOK, e=QUICK)
        assert foreign.rc == 2
        assert "A fleet rollout is in progress on the server: " in foreign.stdout
        assert sim.writes() == []


# behaviour 3.5, rows 18, 19
def test_a_failed_canary_stops_the_run_and_the_failure_budget_counts_across_batches(run_playbook: Run) -> None:
    with running_simulator(instances=6, speed=40.0, faults={"outcomes": {"agent-001": ["failed"]}}) as sim:
        canary = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_max_failed": 5})
        assert canary.rc == 2
        assert touched(sim) == hosts(1)
        found = report_of(canary)
        assert (found["failed"], found["not_touched"]) == (hosts(1), hosts(2, 3, 4, 5, 6))
        assert found["reasons"] == ["Every instance of the last batch failed (agent-001.fra1.fleet.example)."]
        assert "bundle checksum mismatch on the agent" in next(iter(found["why"].values()))

        # The canary is healthy now; agent-002 and agent-004 fail in different batches. The limit is lowered during the
        # canary, so agent-005 waits for the end of agent-004.
        sim.clear_journal()
        sim.knobs(outcomes={"agent-002": ["failed"], "agent-004": ["failed"]})
        lowering = when(lambda: redeploys(sim), lambda: policy(sim, max_parallel_rollouts=1))
        budget = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_max_failed": 1})
        lowering.join()
        assert budget.rc == 2
        assert touched(sim) == hosts(1, 2, 3, 4)
        found = report_of(budget)
        assert (found["failed"], found["updated"], found["not_touched"]) == (hosts(2, 4), hosts(1, 3), hosts(5, 6))
        assert found["updated"] == with_newest(sim)
        assert "at most 1 may" in found["reasons"][0]
        assert budget.stdout.index("Failed (2)") < budget.stdout.index("Not touched (2)")


def test_a_canary_that_fails_in_a_play_after_the_plan_stops_the_run(run_playbook: Run, tmp_path: Path) -> None:
    plays = yaml.safe_load((CHECKOUT / PLAYBOOK).read_text())
    task = {"name": "Back up", "ansible.builtin.fail": {}, "when": "inventory_hostname is match('agent-001')"}
    plays.insert(1, {**plays[0], "name": "Between", "tasks": [task]})
    (tmp_path / "own.yml").write_text(yaml.safe_dump(plays))
    with running_simulator(instances=3, speed=40.0) as sim:
        run = run_playbook(sim, tmp_path / "own.yml", e={**QUICK, "fleetops_max_failed": 2})
        assert run.rc == 2, run.output
        assert sim.writes() == []
        found = report_of(run)
        assert found["reasons"] == ["Every instance of the last batch failed (agent-001.fra1.fleet.example)."]
        assert (found["not_touched"], list(found["left_out"])) == (hosts(1, 2, 3), ["agent-001.fra1.fleet.example"])


# behaviour 3.5, row 27
def test_a_key_that_expires_during_the_run_is_one_failure_and_not_one_for_each_instance(run_playbook: Run) -> None:
    with running_simulator(instances=8, speed=40.0, knobs={"deploy_s": [60, 60]}) as sim:
        expiry = threading.Thread(target=_expire_key_in_flight, args=(sim, 2))
        expiry.start()
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_max_failed": 5})
        expiry.join()
        assert run.rc == 2, run.output
        assert touched(sim) == hosts(1, 2, 3)
        found = report_of(run)
        # Redeploys in flight are not known to have failed: they continue.
        assert found["updated"] == hosts(1)
        assert found["failed"] == []
        assert found["uncertain"] == hosts(2, 3)
        assert found["not_touched"] == hosts(4, 5, 6, 7, 8)
        refused = sim.journal(status=401)
        assert 1 <= len(refused) <= 4, [row["path"] for row in refused]
        assert "Check api_key (FLEETOPS_API_KEY)" in run.stdout
        assert sim.admin_key not in run.output


def _expire_key_in_flight(sim: Simulator, in_flight: int) -> None:
    deadline = time.monotonic() + 90
    while sim.in_flight()["now"] < in_flight and time.monotonic() < deadline:
        time.sleep(0.05)
    sim.knobs(key_expiry={"tenant_admin_override": 0})


def test_a_gate_without_traffic_ends_the_run_with_4_and_fails_no_instance(run_playbook: Run) -> None:
    with running_simulator(instances=4, speed=40.0, knobs={"audit_per_hour": 0}) as sim:
        # Invalid options are refused before the canary, not after it.
        unsoaked = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_audit_gate": True})
        assert unsoaked.rc == 2
        assert "audit compares counters over the soak: give soak too." in unsoaked.stdout
        assert sim.writes() == []

        options = {"fleetops_audit_gate": True, "fleetops_soak": 1, "fleetops_soak_interval": 0.2}
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, **options})
        assert run.rc == 4, run.output
        assert touched(sim) == hosts(1)
        found = report_of(run)
        assert (found["verdict"], found["updated"], found["failed"]) == ("inconclusive", hosts(1), [])
        # For a relaunch on failed hosts by AWX.
        assert {host for host, row in run.recap.items() if row["failed"] or row["unreachable"]} == {"localhost"}
        assert found["not_touched"] == hosts(2, 3, 4)
        assert (
            "It could not be determined whether to continue. Too little traffic to compare: 0 audit events"
            in run.stdout
        )


def test_batches_can_be_a_percentage_and_an_unhealthy_fleet_stops_the_run(run_playbook: Run) -> None:
    with running_simulator(instances=8, speed=40.0) as sim:
        policy(sim, max_parallel_rollouts=4)
        sick = threading.Thread(target=_fall_ill_after, args=(sim, 1, hosts(6, 7, 8)))
        sick.start()
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_growth": "percent", "fleetops_batch_percent": 25})
        sick.join()
        assert run.rc == 2, run.output
        assert "5 of 8 checked instances are healthy; at least 75% must be." in run.stdout
        assert batches(run)[0] == hosts(1)
        assert touched(sim) == hosts(1)
        assert report_of(run)["not_touched"] == hosts(2, 3, 4, 5, 6, 7, 8)

        sim.knobs(disease={"*": "none"})
        _look_at_all(sim)
        sim.clear_journal()
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_growth": "percent", "fleetops_batch_percent": 30})
        assert run.rc == 0, run.output
        # 30 percent of the remaining seven.
        assert [len(batch) for batch in batches(run)[-4:]] == [1, 2, 2, 2]
        assert report_of(run)["current"] == hosts(1)
        assert with_newest(sim) == hosts(*range(1, 9))


def _fall_ill_after(sim: Simulator, redeployed: int, who: list[str]) -> None:
    deadline = time.monotonic() + 90
    while len(redeploys(sim)) < redeployed and time.monotonic() < deadline:
        time.sleep(0.02)
    sim.knobs(disease=dict.fromkeys(who, "incurable"))
    _look_at_all(sim)


def _look_at_all(sim: Simulator) -> None:
    """Refresh every stored health record."""
    for instance_id in sim.instance_ids:
        sim.call("GET", f"/v1/instances/{instance_id}/health/deep?force=true")


def test_hosts_without_an_instance_id_are_refused_by_name_and_the_others_are_reported(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    known = simulator.instance_ids[0]
    inventory = tmp_path / "hosts.yml"
    group = {"hosts": {"agent-001": {"fleetops_instance_id": known}, "typed-by-hand": {}}}
    inventory.write_text(yaml.safe_dump({"all": {"children": {"fleetops_instances": group}}}))
    run = run_playbook(simulator, PLAYBOOK, e=QUICK, inventory=inventory, env={"ANSIBLE_INVENTORY_ENABLED": "yaml"})
    assert run.rc == 2, run.output
    found = report_of(run)
    assert found["reasons"] == [
        "These hosts have no fleetops_instance_id: typed-by-hand. "
        "The inventory plugin fleetops.agents.fleet sets it. Exclude these hosts with fleetops_hosts or --limit. "
        "Nothing was done."
    ]
    assert found["not_touched"] == ["agent-001"]
    assert simulator.writes() == []
