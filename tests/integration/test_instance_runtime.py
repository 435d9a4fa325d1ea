# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_runtime does, as the server's journal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.module_task import OLD_RECORD, ModuleTask, posts, put_to_rest, run_module
from tests.simulator.running import Simulator, running_simulator


def run_task(sim: Simulator, host: str = "agent-001", **options: Any) -> ModuleTask:
    return run_module(sim, "instance_runtime", host, **options)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    # The clock stands still until a task pauses.
    with running_simulator(instances=4, speed=0) as sim:
        yield sim


@pytest.fixture
def sim(fleet: Simulator) -> Simulator:
    put_to_rest(fleet)
    return fleet


def redeploy_by_another(sim: Simulator, host: str = "agent-001") -> str:
    status, answer = sim.call("POST", f"/v1/instances/{sim.instance(host)['id']}/runtime/redeploy")
    assert status == 200
    sim.clear_journal()
    return answer["task_id"]


# Normal operation


def test_an_outdated_runtime_is_redeployed_and_its_health_is_proved(sim: Simulator) -> None:
    before, newest = sim.instance("agent-001")["runtime"], sim.state()["newest_runtime"]
    result = run_task(sim).result
    assert not result.get("failed"), result
    assert result["changed"] and not result["adopted"]
    assert result["diff"] == {"before": {"runtime": before}, "after": {"runtime": newest}}
    assert (result["version_before"], result["version_after"]) == (before, newest)
    assert result["match"] == "exact" and result["target"]["celery_task_id"] == result["task_id"]
    assert result["target"]["status"] == "succeeded" and result["bundle_hash"] == result["target"]["bundle_hash"]
    assert result["health"]["status"] == "healthy" and result["health"]["cached"] is False
    assert sim.instance("agent-001")["runtime"] == newest
    assert posts(sim) == ["redeploy_runtime"]
    live = [row for row in sim.journal(operation_id="get_deep_health") if row["query"] == {"force": "true"}]
    assert len(live) >= 3


def test_a_current_runtime_is_not_redeployed(sim: Simulator) -> None:
    run_task(sim)
    sim.clear_journal()
    result = run_task(sim).result
    assert not result["changed"] and "diff" not in result
    assert posts(sim) == []


def test_state_redeployed_redeploys_a_current_runtime_too(sim: Simulator) -> None:
    run_task(sim)
    sim.clear_journal()
    result = run_task(sim, state="redeployed").result
    assert result["changed"] and not result.get("failed"), result
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 28
@pytest.mark.parametrize("state", ["latest", "redeployed"])
@pytest.mark.parametrize("current", [False, True])
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, state: str, current: bool) -> None:
    if current:
        run_task(sim)
    sim.clear_journal()
    predicted = run_task(sim, check=True, state=state).result
    assert posts(sim) == []
    real = run_task(sim, state=state).result
    for key in ("changed", "diff", "version_before", "version_after", "adopted", "failed"):
        assert predicted.get(key) == real.get(key), key


def test_without_waiting_the_redeploy_is_sent_and_its_row_is_found(sim: Simulator) -> None:
    result = run_task(sim, wait=False).result
    assert result["changed"] and result["target"]["status"] == "in_progress"
    assert "health" not in result and result["waited_seconds"] == 0


def test_health_is_not_read_if_no_proof_is_requested(sim: Simulator) -> None:
    sim.knobs(unhealthy_after_deploy=["agent-001"])
    result = run_task(sim, healthy_reads=0).result
    assert not result.get("failed") and sim.journal(operation_id="get_deep_health") == []


def test_an_unknown_final_status_is_not_a_success(sim: Simulator) -> None:
    sim.knobs(status_words={"succeeded": "brewed"})
    done = run_task(sim)
    assert done.result["failed"] and "ended as brewed. Look at the instance" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# A redeploy is already under way


@pytest.mark.parametrize("check", [False, True])
def test_a_redeploy_under_way_is_adopted_and_no_second_one_is_sent(sim: Simulator, check: bool) -> None:
    task = redeploy_by_another(sim)
    result = run_task(sim, check=check).result
    assert not result.get("failed"), result
    assert result["adopted"] and not result["changed"]
    assert result["target"]["celery_task_id"] == task
    assert result["version_after"] == sim.state()["newest_runtime"]
    assert posts(sim) == []


def test_a_redeploy_that_another_user_starts_during_the_wait_for_admission_is_adopted(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1})
    redeploy_by_another(sim, "agent-002")
    identity = sim.instance("agent-001")["id"]

    def during(pause: int) -> None:
        if pause == 1:
            sim.call("POST", f"/v1/instances/{identity}/runtime/redeploy")

    result = run_task(sim, during=during).result
    assert not result.get("failed"), result
    assert posts(sim) == ["redeploy_runtime"], "the other user's, and no second one"
    assert sim.instance("agent-001")["runtime"] == sim.state()["newest_runtime"] == result["version_after"]
    assert not result["changed"]


# How a redeploy ends


@pytest.mark.parametrize(
    ("reason", "host"),
    [("bundle checksum mismatch", ""), ("wanted 1..3, see ../log.", "agent-001.fra1"), ("{{ 7 * 6 }}", "")],
)
def test_a_failed_redeploy_names_the_instance_and_the_servers_reason(sim: Simulator, reason: str, host: str) -> None:
    sim.knobs(outcomes={"agent-001": {"outcome": "failed", "error_message": reason}})
    done = run_task(sim, inventory_host=host)
    assert done.result["failed"] and done.result["changed"] and done.result["target"]["status"] == "failed"
    named = host or f"instance {sim.instance('agent-001')['id']}"
    assert done.msg == f"The redeploy of {named} failed: {reason.removesuffix('.')}."
    assert posts(sim) == ["redeploy_runtime"]


def test_a_cancelled_redeploy_is_a_failure_that_says_so(sim: Simulator) -> None:
    def during(pause: int) -> None:
        if pause == 2:
            put = [row for row in sim.state()["rollouts"] if row["status"] == "in_progress"]
            sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{put[0]['id']}/pause")
            sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{put[0]['id']}/cancel?force=true")

    done = run_task(sim, during=during, uncertain_grace=0)
    assert done.result["failed"], done.result
    assert "SIGTERM" in done.msg and "not sent again" in done.msg


def test_an_unhealthy_instance_after_the_redeploy_is_a_failure_that_says_so(sim: Simulator) -> None:
    sim.knobs(unhealthy_after_deploy=["agent-001"])
    done = run_task(sim, healthy_timeout=30)
    assert done.result["failed"] and done.result["timed_out"]
    assert "was redeployed but was not healthy 3 times in a row within 30 s: its health is" in done.msg
    assert done.result["target"]["status"] == "succeeded"
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 24
def test_a_cached_record_is_not_a_proof_of_health(sim: Simulator) -> None:
    sim.knobs(force_always_cached=True)
    done = run_task(sim, healthy_timeout=30)
    assert done.result["failed"] and OLD_RECORD.search(done.msg), done.msg


@pytest.mark.parametrize("down", [404, 502, 503, 504])
def test_health_is_read_again_while_the_agent_restarts(sim: Simulator, down: int) -> None:
    sim.fault(operation="get_deep_health", status=down, times=3)
    result = run_task(sim).result
    assert not result.get("failed") and result["health"]["status"] == "healthy", result


@pytest.mark.parametrize("check", [False, True])
def test_an_outdated_version_report_does_not_cause_a_second_redeploy(sim: Simulator, check: bool) -> None:
    sim.knobs(manifest_lag_s=600)
    sim.advance(700)
    first = run_task(sim).result
    assert not first.get("failed") and first["changed"], first
    sim.clear_journal()
    second = run_task(sim, check=check)
    assert not second.result["changed"] and not second.result.get("failed"), second.result
    assert posts(sim) == []
