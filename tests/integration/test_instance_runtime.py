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


@pytest.mark.parametrize(
    "shape",
    [
        {"status_words": "synonyms"},
        {"status_words": "shouting", "timestamps": "naive"},
        {"completed_at_empty": "text", "timestamps": "z"},
        {"status_words": {"in_progress": "brewing", "queued": "in the kettle"}},
        {"celery_task_id_null": True},
    ],
)
def test_status_words_and_time_formats_of_the_server_make_no_difference(sim: Simulator, shape: dict[str, Any]) -> None:
    sim.knobs(**shape)
    result = run_task(sim).result
    assert not result.get("failed") and result["changed"], result
    assert posts(sim) == ["redeploy_runtime"]


def test_an_unknown_final_status_is_not_a_success(sim: Simulator) -> None:
    sim.knobs(status_words={"succeeded": "brewed"})
    done = run_task(sim)
    assert done.result["failed"] and "ended as brewed. Check the instance" in done.msg
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


# Lost answers


# behaviour 3.5, row 1
def test_a_connection_reset_after_the_call_leads_to_adoption_with_one_post(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", reset_after=True)
    result = run_task(sim).result
    assert not result.get("failed") and result["changed"], result
    assert result["match"] == "weak"
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 2
def test_a_connection_reset_before_the_call_is_reported_as_unknown_and_not_sent_again(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", reset_before=True)
    done = run_task(sim)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["error"]["ambiguous"]
    assert "nothing of it appeared" in done.msg and "retry_if_absent" in done.msg
    assert 29 <= sum(done.pauses) <= 31
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 2
def test_retry_if_absent_sends_exactly_one_more_call(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", reset_before=True, times=1)
    done = run_task(sim, retry_if_absent=True)
    assert not done.result.get("failed") and done.result["changed"], done.result
    assert any("sent once more" in warning for warning in done.warnings)
    assert posts(sim) == ["redeploy_runtime"] * 2


# behaviour 3.5, row 2
def test_retry_if_absent_looks_up_the_second_call_too(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", reset_before=True, times=1)
    sim.fault(operation="redeploy_runtime", reset_after=True)
    result = run_task(sim, retry_if_absent=True).result
    assert not result.get("failed"), result
    assert posts(sim) == ["redeploy_runtime"] * 2


# behaviour 3.5, row 2
def test_retry_if_absent_stops_after_the_second_call(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", reset_before=True)
    result = run_task(sim, retry_if_absent=True).result
    assert result["failed"] and result["ambiguous"]
    assert posts(sim) == ["redeploy_runtime"] * 2


@pytest.mark.parametrize("status", [500, 502])
def test_a_redeploy_that_starts_despite_an_error_answer_is_found(sim: Simulator, status: int) -> None:
    sim.fault(operation="redeploy_runtime", commit_then_status=status, html_body=True)
    result = run_task(sim).result
    assert not result.get("failed") and result["changed"], result
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 4
def test_a_redeploy_that_appears_late_is_found(sim: Simulator) -> None:
    sim.knobs(list_lag_s=10)
    result = run_task(sim).result
    assert not result.get("failed") and result["match"] == "exact", result
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 4
def test_a_redeploy_that_never_appears_is_a_failure_that_says_so(sim: Simulator) -> None:
    sim.knobs(list_lag_s=500)
    done = run_task(sim)
    assert done.result["failed"] and done.result["changed"]
    assert "was accepted, but within 30 s nothing of it appeared" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 5
def test_a_redeploy_without_a_task_id_is_identified_by_its_time(sim: Simulator) -> None:
    sim.knobs(task_id_null=True)
    result = run_task(sim).result
    assert not result.get("failed"), result
    assert (result["match"], result["task_id"]) == ("weak", None)


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


# behaviour 3.5, row 7
def test_an_uncertain_redeploy_that_was_applied_succeeds_by_the_evidence(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": "uncertain_applied"})
    result = run_task(sim).result
    assert not result.get("failed"), result
    assert result["reconciled"] == "succeeded"
    assert result["evidence"] == "restarted since: yes, version is current: yes"
    assert posts(sim) == ["redeploy_runtime"], "no E8, no second E22"


# behaviour 3.5, row 8
def test_an_uncertain_redeploy_that_was_not_applied_is_a_failure_that_says_so(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": "uncertain_not_applied"})
    done = run_task(sim)
    assert done.result["failed"] and done.result["reconciled"] == "not_applied"
    assert "The server does not know whether the redeploy of " in done.msg and "the worker was lost" in done.msg
    assert "It was not applied" in done.msg and "run this task again" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 9
@pytest.mark.parametrize(("outcome", "ends"), [("uncertain_applied", "succeeded"), ("uncertain_not_applied", "failed")])
def test_a_late_result_replaces_the_uncertain_one(sim: Simulator, outcome: str, ends: str) -> None:
    sim.knobs(outcomes={"agent-001": {"outcome": outcome, "late_result_s": 40}})
    result = run_task(sim).result
    assert result["target"]["status"] == ends and bool(result.get("failed")) == (ends == "failed")
    assert "reconciled" not in result
    assert posts(sim) == ["redeploy_runtime"]


# behaviour 3.5, row 10
def test_a_stuck_redeploy_times_out_is_left_running_and_adopted_by_the_next_run(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": "stuck"})
    done = run_task(sim, wait_timeout=100)
    assert done.result["failed"] and done.result["timed_out"]
    assert "did not end within 100 s; it is in_progress. It was left running" in done.msg
    assert 100 <= sum(done.pauses) <= 101
    assert done.result["target"]["status"] == "in_progress"

    again = run_task(sim, wait_timeout=100)
    assert again.result["adopted"] and again.result["timed_out"] and not again.result["changed"]
    assert again.result["target_id"] == done.result["target_id"]
    assert posts(sim) == ["redeploy_runtime"], "no cancel, no SIGTERM, no second one"


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


# behaviour 3.5, row 23
@pytest.mark.parametrize("skew", [-90, 90])
@pytest.mark.parametrize("outcome", ["succeeded", "uncertain_applied"])
def test_a_wrong_server_clock_changes_nothing(sim: Simulator, skew: int, outcome: str) -> None:
    sim.knobs(clock_skew_s=skew, outcomes={"agent-001": outcome})
    result = run_task(sim).result
    assert not result.get("failed"), result
    assert posts(sim) == ["redeploy_runtime"]


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
