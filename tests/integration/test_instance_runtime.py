# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_runtime does, as the server's journal shows it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.module_task import OLD_RECORD, ModuleTask, posts, redeploy_by_another, run_module
from tests.integration.second_task import run_at_once, when
from tests.simulator.running import Simulator, running_simulator
from tests.unit.client.crooked_server import CrookedServer, crooked_server


def run_task(sim: Simulator | CrookedServer, host: str = "agent-001", **options: Any) -> ModuleTask:
    return run_module(sim, "instance_runtime", host, **options)


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
@pytest.mark.parametrize("now", ["outdated", "current", "under way"])
@pytest.mark.parametrize("wait", [True, False])
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, state: str, now: str, wait: bool) -> None:
    if now != "outdated":
        run_task(sim, wait=now == "current")
    sim.clear_journal()
    predicted = run_task(sim, check=True, state=state, wait=wait).result
    assert posts(sim) == []
    real = run_task(sim, state=state, wait=wait).result
    assert real["version_after"] == sim.state()["newest_runtime"]
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


# Roles


def test_an_open_or_absent_window_is_not_mentioned(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", status=403, detail="Admin role required")
    done = run_task(sim)
    assert "Admin role required" in done.msg and "window (" not in done.msg


def test_an_insufficient_role_is_reported_in_one_sentence(sim: Simulator) -> None:
    done = run_task(sim, key=sim.keys["user"])
    assert done.result["failed"] and not done.result["changed"]
    assert done.result["error"]["kind"] == "forbidden" and "Admin role required" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# Policy


def test_a_fleet_that_stays_full_fails_the_task_with_a_message_that_says_so(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": "stuck"})
    redeploy_by_another(sim, "agent-002")
    done = run_task(sim, admission_timeout=60)
    assert done.result["timed_out"] and not done.result["changed"]
    assert "for 60 s as many redeploys as max_parallel_rollouts allows are in flight" in done.msg
    assert posts(sim) == []


# behaviour 3.5, row 21
def test_a_server_that_stays_full_fails_the_task_with_a_message_that_says_so(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", status=409, detail="busy, try tomorrow")
    done = run_task(sim, admission_timeout=30)
    assert done.result["timed_out"] and "the server answered: busy, try tomorrow" in done.msg


def test_a_refusal_that_waiting_cannot_change_fails_at_once(sim: Simulator) -> None:
    sim.knobs(stopped=["agent-001"])
    done = run_task(sim)
    sim.knobs(running=["agent-001"])
    assert done.result["failed"] and not done.result["changed"] and "timed_out" not in done.result
    assert done.result["error"]["kind"] == "conflict" and "Instance is not running. This does not say that" in done.msg
    assert posts(sim) == ["redeploy_runtime"] and done.pauses == []


def test_an_unusable_lock_folder_is_reported_in_a_sentence(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / f"fleetops-agents-{os.geteuid()}").write_text("in the way")
    done = run_task(sim)
    assert done.result["failed"] and "was not redeployed: the folder" in done.msg and "File exists" in done.msg
    assert posts(sim) == []


# Times


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wait_interval": 0}, "wait_interval is 0.0: it must be above 0 seconds"),
        ({"wait_interval": -1}, "wait_interval is -1.0"),
        ({"wait_interval": "nan"}, "wait_interval is nan"),
        ({"wait_timeout": -1}, "wait_timeout is -1: it must be 0 or more"),
        ({"admission_timeout": -1}, "admission_timeout is -1"),
        ({"healthy_timeout": -5}, "healthy_timeout is -5"),
        ({"healthy_reads": -1}, "healthy_reads is -1"),
        ({"uncertain_grace": -1}, "uncertain_grace is -1"),
        ({"request_timeout": 0}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is 0.0"),
        ({"request_timeout": -1}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is -1.0"),
        ({"request_timeout": "inf"}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is inf"),
        ({"retries": -1}, "retries (FLEETOPS_RETRIES) is -1"),
    ],
)
def test_an_invalid_wait_time_is_reported_in_a_sentence(sim: Simulator, options: dict[str, Any], message: str) -> None:
    done = run_task(sim, **options)
    assert done.result["failed"] and message in done.msg, done.result
    assert sim.journal() == []


def test_a_wait_timeout_of_zero_reads_once(sim: Simulator) -> None:
    done = run_task(sim, wait_timeout=0)
    assert done.result["timed_out"] and "did not end within 0 s" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# Answers that the simulator never gives


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (None, "names no runtime"),
        ("4.18.2", "names no runtime"),
        ({}, "names no runtime"),
        ({"slug": "agent"}, "does not say whether"),
        ({"has_update": None, "current_version": "1"}, "does not say whether"),
    ],
)
def test_a_runtime_without_versions_does_not_count_as_current(runtime: Any, message: str) -> None:
    with crooked_server() as server:
        server.says({"instance_id": "x", "runtime": runtime})
        done = run_task(server, instance_id="x")
    assert done.result["failed"] and message in done.msg


def test_versions_are_compared_if_the_server_does_not_say_whether_an_update_exists() -> None:
    with crooked_server() as server:
        server.says({"runtime": {"current_version": "1", "available_version": "1"}})
        assert run_task(server, instance_id="x").result["changed"] is False


# Several controllers as processes, in real time


# behaviour 3.5, row 13
@pytest.mark.parametrize(
    "server",
    [
        {"max_parallel_mode": "none"},
        {"max_parallel_mode": "none", "list_lag_s": 20},
        {"max_parallel_mode": 409},
        {"max_parallel_mode": 429},
    ],
    ids=["a server without a limit", "that shows rows late", "a server that says 409", "a server that says 429"],
)
@pytest.mark.usefixtures("own_locks")
def test_no_more_redeploys_are_in_flight_than_the_policy_allows_even_when_it_is_lowered(
    server: dict[str, Any],
) -> None:
    # Two seconds of real time each: even on a busy machine, three of them are under way at once.
    knobs = {"deploy_s": [80, 100], "policy": {"max_parallel_rollouts": 3}, **server}
    with running_simulator(instances=7, speed=40.0, knobs=knobs) as sim:
        lowered = when(lambda: sim.in_flight()["maximum"] == 3, lambda: sim.knobs(policy={"max_parallel_rollouts": 1}))
        assert redeploy_at_once(sim, sim.instance_ids) == [("", True)] * 7
        lowered.join()
        in_flight = sim.in_flight()
        assert in_flight["maximum"] == 3, "the policy was used, and never exceeded"
        assert in_flight["violations"] == []
        executed = [row["path"] for row in sim.writes() if row["executed"]]
        assert len(executed) == len(set(executed)) == 7


def redeploy_at_once(sim: Simulator, ids: list[str]) -> list[tuple[str, bool]]:
    """The message of each task, and whether it changed its instance."""
    options = {"wait_interval": 0.05, "healthy_reads": 1}
    ended = run_at_once(sim, [("instance_runtime", "", {"instance_id": one, **options}) for one in ids])
    return [(done.msg, done.result["changed"]) for done in ended]


# behaviour 3.5, row 13
@pytest.mark.usefixtures("own_locks")
def test_redeploys_of_others_and_own_ones_that_are_not_listed_yet_count_together() -> None:
    """The server accepts any number and lists a row 20 s late: only the client's own count keeps to the limit."""
    knobs = {
        "deploy_s": [60, 80],
        "list_lag_s": 20,
        "max_parallel_mode": "none",
        "policy": {"max_parallel_rollouts": 2},
        "outcomes": {"agent-005": {"duration_s": 300}},
    }
    with running_simulator(instances=5, speed=20.0, knobs=knobs) as sim:
        foreign = sim.instance("agent-005")["id"]
        assert sim.call("POST", f"/v1/instances/{foreign}/runtime/redeploy")[0] == 200
        sim.advance(25)
        assert redeploy_at_once(sim, [one for one in sim.instance_ids if one != foreign]) == [("", True)] * 4
        in_flight = sim.in_flight()
    assert in_flight["violations"] == []
    assert in_flight["maximum"] == 2
