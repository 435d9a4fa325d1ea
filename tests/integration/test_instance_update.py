# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_update does, as the server's journal shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, redeploy_by_another, run_module, sound
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import CrookedServer, Reply, crooked_server

ONCE = ["apply_all_updates"]
RUNTIME = "runtime/agent-runtime"
INSTANCES = 90


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.knobs(apply_all_role="user")
    return sim


def run_task(sim: Simulator, host: str, /, **options: Any) -> ModuleTask:
    return run_module(sim, "instance_update", host, **options)


def with_a_current_runtime(sim: Simulator, host: str) -> None:
    """Only the skills of the instance are outdated."""
    redeploy_by_another(sim, host)
    sim.advance(100)


# Normal operation


def test_all_updates_are_applied_and_the_health_is_proved(sim: Simulator, host: str) -> None:
    old, new = sim.instance(host)["runtime"], sim.state()["newest_runtime"]
    result = sound(run_task(sim, host))
    assert result["changed"] and not result["adopted"]
    skills = {"skills/calendar": ("1.4.0", "1.5.0"), "skills/mail-triage": ("2.0.1", "2.1.0")}
    changes = {RUNTIME: (old, new), **skills}
    for side, place in ((0, "before"), (1, "after")):
        expected = {name: pair[side] for name, pair in changes.items()}
        assert result["diff"][place] == expected
        assert result[place].items() >= expected.items()
        assert result[place]["mcp_servers/files"] == "1.1.0"
    assert result["skills_applied"] == ["calendar", "mail-triage"]
    assert result["match"] == "exact" and result["target"]["celery_task_id"] == result["runtime_task_id"]
    assert result["target"]["status"] == "succeeded" and result["rollout_id"] == result["target"]["rollout_id"]
    assert result["health"]["status"] == "healthy" and result["health"]["cached"] is False
    assert posts(sim) == ONCE

    sim.clear_journal()
    again = sound(run_task(sim, host))
    assert not again["changed"] and "diff" not in again and again["skills_applied"] == []
    assert [row["operation_id"] for row in sim.journal()] == ["get_available_updates"]


def test_an_update_of_skills_only_starts_no_redeploy_and_waits_for_no_admission(sim: Simulator, host: str) -> None:
    with_a_current_runtime(sim, host)
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": "stuck"})
    redeploy_by_another(sim, "agent-002")
    result = sound(run_task(sim, host, admission_timeout=0))
    assert result["changed"] and result["skills_applied"] == ["calendar", "mail-triage"]
    assert result["runtime_task_id"] is None and "target" not in result and "match" not in result
    assert set(result["diff"]["after"]) == {"skills/calendar", "skills/mail-triage"}
    assert result["health"]["status"] == "healthy"
    assert posts(sim) == ONCE


# behaviour 3.5, row 28
@pytest.mark.parametrize("state", ["outdated", "skills only", "current", "under way"])
@pytest.mark.parametrize("wait", [True, False])
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, host: str, state: str, wait: bool) -> None:
    if state == "skills only":
        with_a_current_runtime(sim, host)
    elif state == "current":
        run_task(sim, host)
    elif state == "under way":
        redeploy_by_another(sim, host)
    sim.clear_journal()
    predicted = sound(run_task(sim, host, check=True, wait=wait))
    assert posts(sim) == []
    real = sound(run_task(sim, host, wait=wait))
    for key in ("changed", "diff", "before", "after", "adopted"):
        assert predicted.get(key) == real.get(key), key
    assert posts(sim) == (ONCE if real["changed"] else [])


def test_without_waiting_the_update_is_sent_and_its_redeploy_is_found(sim: Simulator, host: str) -> None:
    result = sound(run_task(sim, host, wait=False))
    assert result["changed"] and result["target"]["status"] == "in_progress"
    assert "health" not in result and result["skills_applied"] == ["calendar", "mail-triage"]


# A redeploy is already under way


def test_a_redeploy_under_way_is_followed_first_and_the_remaining_updates_are_applied(
    sim: Simulator, host: str
) -> None:
    task = redeploy_by_another(sim, host)
    result = sound(run_task(sim, host))
    assert result["adopted"] and result["changed"]
    assert result["target"]["celery_task_id"] == task and result["target"]["status"] == "succeeded"
    assert set(result["diff"]["before"]) == {"skills/calendar", "skills/mail-triage"}
    assert result["skills_applied"] == ["calendar", "mail-triage"]
    assert posts(sim) == ONCE and len(_redeploys(sim, host)) == 1


def test_without_waiting_no_second_redeploy_is_sent_while_one_is_under_way(sim: Simulator, host: str) -> None:
    redeploy_by_another(sim, host)
    done = run_task(sim, host, wait=False)
    assert sound(done)["adopted"] and not done.result["changed"]
    assert "no further update was applied" in done.warnings[0]
    assert posts(sim) == []


def test_a_redeploy_that_another_user_starts_during_the_wait_for_admission_is_adopted(
    sim: Simulator, host: str
) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1})
    redeploy_by_another(sim, "agent-002")
    identity = sim.instance(host)["id"]

    def during(pause: int) -> None:
        if pause == 1:
            sim.call("POST", f"/v1/instances/{identity}/runtime/redeploy")

    result = sound(run_task(sim, host, during=during))
    assert result["changed"] and set(result["diff"]["after"]) == {"skills/calendar", "skills/mail-triage"}
    assert posts(sim) == ["redeploy_runtime", *ONCE], "the other user's, and the skills after it"
    assert len(_redeploys(sim, host)) == 1


def _redeploys(sim: Simulator, host: str) -> list[dict[str, Any]]:
    """The instance's targets since the start of this test, by the server's clock."""
    rows = sim.call("GET", f"/v1/instances/{sim.instance(host)['id']}/runtime/rollouts")[1]
    return [row for row in rows if row["rollout_scope"] == "instance" and row["detail_json"]["version"][0] == "9"]


# Lost answers


# behaviour 3.5, row 1
def test_the_outcome_of_an_update_of_skills_only_is_read_from_their_versions(sim: Simulator, host: str) -> None:
    with_a_current_runtime(sim, host)
    sim.fault(operation="apply_all_updates", reset_after=True)
    result = sound(run_task(sim, host))
    assert result["changed"] and result["skills_applied"] == ["calendar", "mail-triage"] and "match" not in result
    assert posts(sim) == ONCE


# behaviour 3.5, row 2
def test_an_update_of_skills_only_that_did_not_arrive_is_reported_as_unknown_and_not_sent_again(
    sim: Simulator, host: str
) -> None:
    with_a_current_runtime(sim, host)
    sim.fault(operation="apply_all_updates", reset_before=True)
    done = run_task(sim, host)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["error"]["ambiguous"]
    assert "its effect did not appear" in done.msg and "retry_if_absent" in done.msg
    assert done.result["skills_applied"] == []
    assert 29 <= sum(done.pauses) <= 31
    assert posts(sim) == ONCE


# How an update ends


def test_a_failed_redeploy_names_the_reason_and_the_skills_that_stay_outdated(sim: Simulator, host: str) -> None:
    sim.knobs(outcomes={host: {"outcome": "failed", "error_message": "bundle checksum mismatch"}})
    done = run_task(sim, host, inventory_host="agent-001.fra1")
    assert done.msg == "The redeploy of agent-001.fra1 failed: bundle checksum mismatch."
    assert done.result["changed"] and done.result["skills_applied"] == ["calendar", "mail-triage"]
    assert posts(sim) == ONCE

    sim.clear_journal()
    sim.knobs(outcomes={host: []})
    again = sound(run_task(sim, host))
    assert again["changed"] and set(again["diff"]["after"]) == {RUNTIME} and again["skills_applied"] == []


def test_an_unhealthy_instance_after_the_update_is_a_failure_that_says_so(sim: Simulator, host: str) -> None:
    with_a_current_runtime(sim, host)
    sim.knobs(disease={host: "incurable"})
    done = run_task(sim, host, healthy_timeout=30)
    assert done.result["failed"] and done.result["timed_out"] and done.result["skills_applied"]
    assert "was updated but was not healthy 3 times in a row within 30 s: its health is" in done.msg


# The version report


def test_a_version_report_that_is_a_little_late_is_waited_for(sim: Simulator, host: str) -> None:
    sim.knobs(manifest_lag_s=40)
    sim.advance(100)
    done = run_task(sim, host)
    assert sound(done)["after"][RUNTIME] == sim.state()["newest_runtime"] and done.warnings == []


@pytest.mark.parametrize("check", [False, True])
def test_an_outdated_version_report_does_not_cause_a_second_update(sim: Simulator, host: str, check: bool) -> None:
    sim.knobs(manifest_lag_s=6000)
    sim.advance(7000)
    first = run_task(sim, host)
    assert sound(first)["changed"] and first.result["after"][RUNTIME] == sim.state()["newest_runtime"]
    assert "version report is not newer yet" in first.warnings[0] and "skills/calendar" in first.warnings[0]
    sim.clear_journal()
    second = run_task(sim, host, check=check)
    assert not sound(second)["changed"] and "Run this task again once the report is newer" in second.warnings[0]
    assert posts(sim) == []


# Limits


def test_an_insufficient_role_is_reported_in_one_sentence(sim: Simulator, host: str) -> None:
    sim.knobs(apply_all_role="admin")
    done = run_task(sim, host, key=sim.keys["user"])
    assert done.result["error"]["kind"] == "forbidden" and "Admin role required" in done.msg
    assert not done.result["changed"] and posts(sim) == ONCE
    sim.knobs(apply_all_role="user")
    assert sound(run_task(sim, host, key=sim.keys["user"]))["changed"]


# Answers that the simulator never gives


def run_against(answer: Any, **options: Any) -> tuple[ModuleTask, CrookedServer]:
    """Run the task against a server that answers with the body ``answer(method, path)``."""
    with crooked_server() as server:
        server.answer = lambda method, path, headers: Reply(answer(method, path.partition("?")[0]))
        return run_module(server, "instance_update", instance_id="x", healthy_reads=0, **options), server


@pytest.mark.parametrize("updates", [{}, {"total_available": None, "runtime": {"slug": "agent"}}, {"skills": "many"}])
def test_an_answer_without_versions_does_not_count_as_current(updates: Any) -> None:
    done, _server = run_against(lambda method, path: updates)
    assert done.result["failed"] and "does not say whether instance x has updates" in done.msg


def test_an_update_that_is_still_available_afterwards_is_a_failure_that_names_it() -> None:
    crm = {"slug": "crm", "current_version": "1", "available_version": "2", "has_update": True}
    agent = {"slug": "agent", "current_version": "1", "available_version": "1", "has_update": False}
    updates = {
        "total_available": 1,
        "runtime": agent,
        "skills": None,
        "mcp_servers": [crm],
        "versions_reported_at": "2100-01-01T00:00:00",
    }

    def answer(method: str, path: str) -> Any:
        if path.endswith("/updates/available"):
            return updates
        return [] if path.endswith("/rollouts") else {"skills_applied": None}

    done, server = run_against(answer)
    assert done.result["failed"] and done.result["still_available"] == ["mcp_servers/crm"]
    assert "the server still lists mcp_servers/crm (1 to 2)" in done.msg
    assert [method for method, _path, _headers in server.seen].count("POST") == 1
