# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""recover, power_cycle, reboot and repairs in a rolling run, by the real ansible-playbook: what they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PlaybookRun
from tests.integration.second_task import when
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
QUICK = {"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1}
# A minute of the fleet passes in three seconds; an instance that stays unhealthy is given up after a few.
SPEED = 20.0
QUICK |= {
    "fleetops_recover_power_cycle_timeout": 4,
    "fleetops_recover_reboot_timeout": 8,
    "fleetops_recover_interval": 0.3,
}
LADDER = ["breakers", "power_cycle", "reboot"]


def touched(sim: Simulator) -> list[tuple[str, str]]:
    """The writes in order: (operation, short host name)."""
    return [(row["operation_id"], row["instance"].partition(".")[0]) for row in sim.writes()]


def short(names: list[str]) -> list[str]:
    return [name.partition(".")[0] for name in names]


# behaviour 3.5, row 17
def test_each_fault_is_recovered_by_the_mildest_step_and_healthy_instances_are_left_alone(run_playbook: Run) -> None:
    diseases = {"agent-002": "breakers", "agent-003": "process", "agent-004": "vps", "agent-006": "incurable"}
    with running_simulator(instances=6, speed=SPEED, faults={"disease": diseases}) as sim:
        assert sim.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": 3})[0] == 200
        sim.clear_journal()
        run = run_playbook(sim, "playbooks/recover.yml", e={**QUICK, "fleetops_recover_rungs": LADDER})
        done = touched(sim)
        state = {row["hostname"].partition(".")[0]: row["disease"] for row in sim.state()["instances"]}
    assert run.rc == 2, run.output
    by_host = {name: [operation for operation, host in done if host == name] for _operation, name in done}
    assert by_host == {
        "agent-002": ["clear_circuit_breakers"],
        "agent-003": ["power_cycle"],
        "agent-004": ["power_cycle", "reboot"],
        "agent-006": ["power_cycle", "reboot"],
    }
    assert {host for host, disease in state.items() if disease != "none"} == {"agent-006"}
    report = run.report
    assert short(report["failed"]) == ["agent-006"]
    assert short(report["updated"]) == ["agent-002", "agent-003", "agent-004"]
    assert short(report["current"]) == ["agent-001", "agent-005"]
    assert "Still not healthy after breakers, power-cycle, reboot" in run.stdout


def test_the_limits_of_a_run_apply_across_batches_and_within_a_batch(run_playbook: Run) -> None:
    with running_simulator(instances=5, speed=SPEED, faults={"disease": {"*": "process"}}) as sim:
        settings = {**QUICK, "fleetops_recover_power_cycle_max": 2, "fleetops_max_failed": 9}
        predicted = run_playbook(sim, "playbooks/recover.yml", "--check", e=settings)
        assert predicted.rc == 0 and touched(sim) == [], predicted.output
        report = predicted.report
        assert (report["counts"]["updated"], report["counts"]["not_touched"], report["counts"]["current"]) == (
            2,
            3,
            0,
        ), report
        assert "Would be acted on (2)" in predicted.stdout and "Would be healed" not in predicted.stdout
        assert predicted.stdout.count("taken: the maximum number of power_cycle actions in this run is reached") == 3
        run = run_playbook(sim, "playbooks/recover.yml", e=settings)
        done = touched(sim)
    assert run.rc == 2, run.output
    assert [operation for operation, _host in done if operation != "clear_circuit_breakers"] == ["power_cycle"] * 2
    assert "the maximum number of power_cycle actions in this run is reached" in run.stdout


def test_an_instance_is_rebooted_only_if_requested(run_playbook: Run) -> None:
    with running_simulator(instances=2, speed=SPEED, faults={"disease": {"agent-002": "vps"}}) as sim:
        run = run_playbook(sim, "playbooks/recover.yml", e=QUICK)
        done = touched(sim)
        again = run_playbook(sim, "playbooks/recover.yml", e={**QUICK, "fleetops_recover_min_uptime": 7200})
        assert again.rc == 2, again.output
        assert "power-cycle was skipped. It restarted" in again.stdout
        assert touched(sim) == done
        # The playbook reboot recovers what a power cycle did not.
        rebooted = run_playbook(sim, "playbooks/reboot.yml", e={"fleetops_min_uptime": 0, **QUICK})
        assert rebooted.rc == 0, rebooted.output
        assert touched(sim)[len(done) :] == [("reboot", "agent-002")]
        assert sim.instance("agent-002")["disease"] == "none"
        assert short(rebooted.report["updated"]) == ["agent-002"]
    assert run.rc == 2, run.output
    assert [operation for operation, _host in done] == ["power_cycle"]


def test_healthy_agents_are_power_cycled_only_if_requested_and_a_second_run_does_nothing(
    simulator: Simulator, run_playbook: Run
) -> None:
    left_alone = run_playbook(simulator, "playbooks/power_cycle.yml", e=QUICK)
    assert left_alone.rc == 0 and "WARNING" not in left_alone.output, left_alone.output
    assert simulator.writes() == []
    asked = {**QUICK, "fleetops_only_if_unhealthy": False, "fleetops_min_uptime": 7200}
    first = run_playbook(simulator, "playbooks/power_cycle.yml", "--limit", "agent-00[1-3]*", e=asked)
    assert first.rc == 0, first.output
    assert sorted(touched(simulator)) == [("power_cycle", f"agent-00{n}") for n in (1, 2, 3)]
    again = run_playbook(simulator, "playbooks/power_cycle.yml", "--limit", "agent-00[1-3]*", e=asked)
    assert again.rc == 0 and again.total("changed") == 0, again.output
    assert len(touched(simulator)) == 3


# behaviour 3.5, row 20
def test_a_recovered_instance_does_not_stop_a_rolling_run_and_an_unrecovered_one_does(run_playbook: Run) -> None:
    sick = {"agent-002": "process", "agent-004": "incurable"}
    with running_simulator(instances=6, speed=SPEED, faults={"unhealthy_after_deploy": sick}) as sim:
        settings = {**QUICK, "fleetops_repair": True, "fleetops_healthy_timeout": 5}
        # With this limit, agent-003 and agent-005 wait for a redeploy that is recovered only after the batch.
        lowering = when(lambda: touched(sim), lambda: sim.knobs(policy={"max_parallel_rollouts": 1}))
        run = run_playbook(sim, "playbooks/rolling_redeploy.yml", e=settings)
        lowering.join()
        done = touched(sim)
    assert run.rc == 2, run.output
    assert [host for operation, host in done if operation == "power_cycle"] == ["agent-002", "agent-004"], run.output
    assert {host for operation, host in done if operation == "redeploy_runtime"} == {
        f"agent-00{n}" for n in range(1, 6)
    }
    report = run.report
    assert short(report["failed"]) == ["agent-004"]
    assert short(report["updated"]) == ["agent-001", "agent-002", "agent-003", "agent-005"]
    # A recovered instance is not reported as failed.
    assert "It failed before anything was sent." not in run.stdout
    assert short(report["not_touched"]) == ["agent-006"]


def test_a_recovered_instance_whose_version_was_not_checked_does_not_count_as_updated(run_playbook: Run) -> None:
    refused = [{"operation": "power_cycle", "instance": "agent-003", "status": 401}]
    faults = {"unhealthy_after_deploy": {"agent-002": "breakers", "agent-003": "process"}, "plans": refused}
    with running_simulator(instances=3, speed=SPEED, faults=faults) as sim:
        settings = {**QUICK, "fleetops_repair": True, "fleetops_healthy_timeout": 5}
        run = run_playbook(sim, "playbooks/rolling_redeploy.yml", e=settings)
        assert sim.instance("agent-002")["disease"] == "none"
    assert run.rc == 2, run.output
    report = run.report
    assert short(report["failed"]) == ["agent-002", "agent-003"] and short(report["updated"]) == ["agent-001"]
    (why,) = [reason for name, reason in report["why"].items() if name.startswith("agent-002")]
    assert "healed by breakers" in why and "its version was not checked" in why
    assert "the server refused the key to an earlier task of this run" in why


@pytest.mark.parametrize(
    ("state", "outcome", "category"),
    [("latest", "stuck", "uncertain"), ("latest", "failed", "failed"), ("redeployed", "failed", "failed")],
)
def test_a_healthy_instance_whose_redeploy_did_not_succeed_does_not_count_as_updated(
    run_playbook: Run, state: str, outcome: str, category: str
) -> None:
    with running_simulator(instances=1, speed=SPEED, faults={"outcomes": {"agent-001": [outcome]}}) as sim:
        if state == "redeployed":
            # The version is the published one, whatever the outcome of the redeploy.
            sim.knobs(publish=sim.state()["instances"][0]["runtime"])
        settings = {**QUICK, "fleetops_repair": True, "fleetops_state": state, "fleetops_wait_timeout": 4}
        run = run_playbook(sim, "playbooks/rolling_redeploy.yml", e=settings)
        assert touched(sim) == [("redeploy_runtime", "agent-001")]
    assert run.rc == 2, run.output
    report = run.report
    assert short(report[category]) == ["agent-001"] and report["updated"] == [], report
    # The check of the version changes nothing.
    assert run.total("changed") == 0, run.output


def test_an_instance_whose_health_cannot_be_read_is_not_called_unhealthy(run_playbook: Run) -> None:
    refused = [{"operation": "power_cycle", "instance": "agent-001", "status": 401}]
    faults = {"disease": {"agent-001": "process", "agent-002": "process"}, "plans": refused}
    with running_simulator(instances=2, speed=SPEED, faults=faults) as sim:
        run = run_playbook(sim, "playbooks/recover.yml", e={**QUICK, "fleetops_canary": 0})
    assert run.rc == 2, run.output
    (why,) = [reason for name, reason in run.report["why"].items() if name.startswith("agent-002")]
    assert why.startswith("It is not known whether the instance is healthy. Not done: the server refused the key"), why
    assert "Still not healthy" not in run.output and "the maximum number of" not in run.output, run.output


def test_an_instance_whose_reads_are_redirected_is_not_restarted(run_playbook: Run) -> None:
    moved = [{"operation": "get_deep_health", "status": 302}]
    with running_simulator(instances=1, speed=SPEED, faults={"plans": moved}) as sim:
        run = run_playbook(sim, "playbooks/recover.yml", e={**QUICK, "fleetops_canary": 0})
        assert sim.writes() == []
    assert run.rc == 2 and "the server redirects to" in str(run.report["why"]), run.output
    assert "Still not healthy" not in run.output, run.output


# Each instance is recovered by an import of its own. The health of agent-002 is refused after it was power-cycled.
ONE_BY_ONE = """
- hosts: fleetops_instances
  gather_facts: false
  connection: local
  order: sorted
  tasks:
    - block:
"""
ONE_OF_THEM = """
        - ansible.builtin.import_role:
            name: fleetops.agents.instance_recover
          when: inventory_hostname.startswith('{}')
"""
RESCUED = """
      rescue:
        - ansible.builtin.debug:
            msg: "Result: {{ ansible_failed_result.msg }}"
"""


def test_each_action_counts_once_towards_the_maximum_however_often_the_role_is_used(
    run_playbook: Run, tmp_path: Path
) -> None:
    names = [f"agent-00{n}" for n in range(1, 6)]
    play = tmp_path / "one_by_one.yml"
    play.write_text(ONE_BY_ONE + "".join(map(ONE_OF_THEM.format, names)) + RESCUED)
    moved = [{"operation": "get_deep_health", "instance": "agent-002", "status": 302, "skip": 2}]
    with running_simulator(instances=5, speed=SPEED, faults={"disease": {"*": "process"}, "plans": moved}) as sim:
        limits = {"fleetops_recover_rungs": ["power_cycle"], "fleetops_recover_power_cycle_max": 4}
        run = run_playbook(sim, play, e={**QUICK, **limits})
        assert touched(sim) == [("power_cycle", name) for name in names[:4]], run.output
    assert "the server redirects to" in run.stdout, run.output
    assert "the maximum number of power_cycle actions in this run is reached" in run.stdout, run.output
