# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/rolling_redeploy.yml by the real ansible-playbook: what it changes, leaves alone and reports."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.collect.run_logs import sync_run_logs
from console.record.read.runs import runs
from console.record.write.store import open_store
from tests.conftest import BIN, CHECKOUT, PlaybookRun
from tests.console.support.facts import evidence
from tests.integration.rolling import PLAYBOOK, QUICK, batches, redeploys
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook


Run = Callable[..., PlaybookRun]


def versions(sim: Simulator) -> set[str]:
    return {row["runtime"] for row in sim.state()["instances"]}


def test_the_fleet_is_updated_in_batches_of_the_policy_and_a_second_run_changes_nothing(
    simulator: Simulator, run_playbook: Run
) -> None:
    first = run_playbook(simulator, PLAYBOOK, e=QUICK)
    assert first.rc == 0, first.output
    assert first.total("changed") == 6 and "WARNING" not in first.output
    assert batches(first) == [["agent-001"], ["agent-002", "agent-003"], ["agent-004", "agent-005"], ["agent-006"]]
    assert set(redeploys(simulator).values()) == {1}
    assert len(redeploys(simulator)) == 6
    in_flight = simulator.in_flight()
    assert (in_flight["maximum"], in_flight["violations"]) == (2, [])

    simulator.clear_journal()
    second = run_playbook(simulator, PLAYBOOK, e=QUICK)
    assert second.rc == 0, second.output
    assert second.total("changed") == 0
    assert simulator.writes() == []
    assert "WARNING" not in first.output + second.output


def test_check_mode_predicts_the_run_and_sends_no_write(simulator: Simulator, run_playbook: Run) -> None:
    predicted = run_playbook(simulator, PLAYBOOK, "--check", "--diff", "--limit", "agent-00[1-3]*", e=QUICK)
    assert predicted.rc == 0, predicted.output
    assert simulator.writes() == []
    current, published = simulator.state()["instances"][0]["runtime"], "2026.8.0"
    assert f'-    "runtime": "{current}"' in predicted.stdout
    assert f'+    "runtime": "{published}"' in predicted.stdout

    real = run_playbook(simulator, PLAYBOOK, "--diff", "--limit", "agent-00[1-3]*", e=QUICK)
    assert real.rc == 0, real.output
    assert {host: row["changed"] for host, row in predicted.recap.items()} == {
        host: row["changed"] for host, row in real.recap.items()
    }
    assert len(real.recap) == 3
    assert sorted(redeploys(simulator)) == sorted(real.recap)


def test_a_failed_instance_is_named_with_its_reason_and_the_rest_is_not_changed(run_playbook: Run) -> None:
    with running_simulator(instances=6, speed=40.0, faults={"outcomes": {"agent-004": ["failed"]}}) as sim:
        run = run_playbook(sim, PLAYBOOK, e=QUICK)
        assert run.rc == 2
        assert [host.split(".")[0] for host, row in run.recap.items() if row["failed"]] == ["agent-004"]
        assert "agent-004" in run.stdout
        assert "bundle checksum mismatch on the agent" in run.stdout
        touched = {host.split(".")[0] for host in redeploys(sim)}
    # The canary and two batches up to the failure. The other instance of the failed batch is finished.
    assert touched == {"agent-001", "agent-002", "agent-003", "agent-004", "agent-005"}
    assert run.recap["agent-005.fra1.fleet.example"]["changed"] == 1


# behaviour 3.5, row 13
@pytest.mark.parametrize("enforced", ["none", "queue"])
def test_a_policy_that_is_lowered_during_the_run_is_never_exceeded(run_playbook: Run, enforced: str) -> None:
    """As the server counts; with ``none`` the server itself would accept any number."""
    knobs = {"max_parallel_mode": enforced, "deploy_s": [40, 60]}
    with running_simulator(instances=9, speed=40.0, knobs=knobs) as sim:
        assert sim.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": 4})[0] == 200
        lowered: dict[str, Any] = {}

        def lower() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and sim.in_flight()["now"] < 4:
                time.sleep(0.05)
            sim.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": 1})
            lowered["at"] = sim.state()["now"]

        import threading

        watcher = threading.Thread(target=lower)
        watcher.start()
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_canary": 0})
        watcher.join()
        assert run.rc == 0, run.output
        history = sim.in_flight()
    assert history["violations"] == []
    assert history["maximum"] == 4
    starts = [row for row in history["history"] if row["event"] == "start" and row["at"] > lowered["at"]]
    assert starts, "nothing was started after the policy was lowered"
    assert max(row["in_progress"] for row in starts) == 1


# behaviour 3.5, row 16
def test_after_kill_9_at_several_moments_the_same_command_deploys_each_instance_once(
    run_playbook: Run, playbook_environment: Callable[[Simulator], dict[str, str]], tmp_path: Path
) -> None:
    with running_simulator(instances=7, speed=20.0, knobs={"deploy_s": [30, 40]}) as sim:

        def planned() -> bool:
            # The inventory reads each instance once before the journal of the run begins.
            return len(sim.journal(operation_id="get_available_updates")) >= 14

        def sent_and_not_answered() -> bool:
            return sum(redeploys(sim).values()) >= 1

        def in_the_middle_of_a_batch() -> bool:
            return sum(redeploys(sim).values()) >= 3 and sim.in_flight()["now"] >= 1

        def between_batches() -> bool:
            return sum(redeploys(sim).values()) >= 4 and sim.in_flight()["now"] == 0

        def begun(number: int) -> bool:
            return len(list((tmp_path / "runs").glob("*.jsonl"))) >= number

        # The answer to the first redeploy is slow, so that the controller dies before it arrives.
        sim.fault(operation="redeploy_runtime", latency_after_s=3, times=1)
        moments = (planned, sent_and_not_answered, in_the_middle_of_a_batch, between_batches)
        for number, moment in enumerate(moments, 1):
            command = ["ansible-playbook", "-i", "inventories/demo/demo.fleet.yml", PLAYBOOK]
            command += ["-e", "fleetops_wait_interval=0.2 fleetops_healthy_reads=2"]
            victim = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=CHECKOUT,
                env=playbook_environment(sim),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            deadline = time.monotonic() + 90
            # Calls of an earlier controller may make the condition true before this one has begun.
            while not (begun(number) and moment()) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert begun(number) and moment(), moment.__name__
            os.killpg(victim.pid, signal.SIGKILL)
            victim.wait()

        # The decisions of each run before it was killed are in the run log.
        database = tmp_path / "console.db"
        with open_store(database) as store:
            sync_run_logs(store, tmp_path / "runs", now=time.time)
        lost, _total = runs(database)
        assert set(lost["status"]) == {"lost"}
        kinds = [[row["kind"] for row in evidence(database, run_id)] for run_id in reversed(list(lost["run_id"]))]
        # The third run had sent redeploys. Others may be killed before their plan, if their condition is already true.
        assert ["plan", "gate"] in [of_run[:2] for of_run in kinds]
        assert not any("report" in found for found in kinds)

        run = run_playbook(sim, PLAYBOOK, e=QUICK)
        assert run.rc == 0, run.output
        assert set(redeploys(sim).values()) == {1}
        assert len(redeploys(sim)) == 7
        assert sim.in_flight()["violations"] == []


# behaviour 3.5, row 15
def test_two_controllers_at_once_deploy_each_instance_once_within_the_policy(
    run_playbook: Run, playbook_environment: Callable[[Simulator], dict[str, str]]
) -> None:
    """There is no lease: the second controller adopts redeploys of the first, and both count what is in flight."""
    with running_simulator(instances=6, speed=20.0, knobs={"deploy_s": [20, 30], "max_parallel_mode": "none"}) as sim:
        command = ["ansible-playbook", "-i", "inventories/demo/demo.fleet.yml", PLAYBOOK]
        command += ["-e", "fleetops_wait_interval=0.2 fleetops_healthy_reads=2"]
        other = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=CHECKOUT,
            env=playbook_environment(sim),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        run = run_playbook(sim, PLAYBOOK, e=QUICK)
        assert other.wait(300) == 0
        assert run.rc == 0, run.output
        assert set(redeploys(sim).values()) == {1}
        assert len(redeploys(sim)) == 6
        assert sim.in_flight()["violations"] == []


# behaviour 3.5, row 27
def test_a_wrong_key_is_reported_in_one_sentence_and_sends_no_write(simulator: Simulator, run_playbook: Run) -> None:
    canary_key = "canary-key-that-must-never-be-seen-0123456789"
    run = run_playbook(simulator, PLAYBOOK, "-vvvv", e=QUICK, env={"FLEETOPS_API_KEY": canary_key})
    assert run.rc != 0
    assert "HTTP 401" in run.output
    assert "Check api_key (FLEETOPS_API_KEY)" in run.output
    assert "Traceback" not in run.output
    assert canary_key not in run.output
    assert simulator.writes() == []


def test_the_key_appears_in_no_output_and_in_no_run_log(simulator: Simulator, run_playbook: Run) -> None:
    run = run_playbook(simulator, PLAYBOOK, "-vvvv", "--limit", "agent-001*", e=QUICK)
    assert run.rc == 0, run.output
    run_logs = "".join(path.read_text() for path in run.run_logs.glob("*.jsonl"))
    assert "runner_on_ok" in run_logs
    assert simulator.admin_key not in run.output
    assert simulator.admin_key not in run_logs


def test_too_few_forks_are_refused_before_anything_is_sent(simulator: Simulator, run_playbook: Run) -> None:
    run = run_playbook(simulator, PLAYBOOK, "--forks", "1", e={**QUICK, "fleetops_canary": 0})
    assert run.rc != 0
    assert "Add --forks 2" in run.output
    assert simulator.writes() == []


def test_an_unreadable_policy_while_a_batch_is_queued_only_delays_it(run_playbook: Run) -> None:
    # The plan and the gate read it before. The module's admission repeats the call.
    plans = [{"operation": "get_fleet_update_policy", "skip": 2, "times": 2, "status": 503}]
    with running_simulator(instances=2, speed=40.0, faults={"plans": plans}) as sim:
        run = run_playbook(sim, PLAYBOOK, e={**QUICK, "fleetops_canary": 0})
        asked = [row["status"] for row in sim.journal() if row["operation_id"] == "get_fleet_update_policy"]
    assert asked[:5] == [200, 200, 503, 503, 200], asked
    assert run.rc == 0, run.output
    assert "Updated (2): agent-001" in run.stdout
