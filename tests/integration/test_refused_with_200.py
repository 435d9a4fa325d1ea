# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A refusal with status 200 is a failure with the server's message and not a change (reports/2026-11 B10)."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import KEYS
from tests.integration.module_task import sound
from tests.integration.second_task import run_second
from tests.second_api.api import NEW, second_api

NO = {"status": "rejected", "message": "quota exceeded"}
STOPPED = {"status": "skipped", "message": "instance is stopped", "task_id": None}
BLOCKED = {"message": "blocked: maintenance window closed", "runtime_task_id": None, "skills_applied": []}
NOTHING = {"message": "all done", "runtime_task_id": None, "skills_applied": []}
FULL: dict[str, Any] = {"status": "rejected: full", "memory": {}}
WRITE_ERROR = {"detail": "Down for maintenance"}
EMPTY = {"enqueued": 0, "skipped": 0, "total": 3, "tasks": [], "message": "Blocked by a change freeze"}


@pytest.mark.parametrize(
    ("module", "options", "operation", "answer", "message"),
    [
        ("instance_runtime", {}, "redeploy_runtime", STOPPED, "instance is stopped"),
        ("instance_runtime", {}, "redeploy_runtime", {"status": "ok", "message": "Redeploy denied"}, "Redeploy denied"),
        ("instance_update", {}, "apply_all_updates", BLOCKED, "blocked: maintenance window closed"),
        ("instance_update", {}, "apply_all_updates", NOTHING, "all done"),
        ("instance_update", {}, "apply_all_updates", {"skills_applied": None}, "it gave no reason"),
        ("rollout", {}, "start_fleet_rollout", EMPTY, "Blocked by a change freeze"),
        (
            "instance_memory",
            {"content": "x"},
            "store_memory",
            {"status": "rejected: full", "memory": {}},
            "rejected: full",
        ),
        ("instance_memory", {"state": "absent", "all": True}, "clear_memories", NO, "rejected: quota exceeded"),
        ("update_policy", {"max_parallel_rollouts": 7}, "set_fleet_update_policy", NO, "rejected: quota exceeded"),
        ("instance_update_policy", {"runtime": "disabled"}, "set_instance_update_policy", NO, "quota exceeded"),
        ("instance_update_policy", {"raw_body": {"x": 1}}, "set_instance_update_policy", NO, "quota exceeded"),
        ("instance_circuit_breakers", {}, "clear_circuit_breakers", STOPPED, "skipped: instance is stopped"),
        ("instance_power_cycle", {}, "power_cycle", STOPPED, "skipped: instance is stopped"),
        ("instance_reboot", {}, "reboot", NO, "rejected: quota exceeded"),
        ("instance_diagnostics", {}, "run_diagnostics", STOPPED, "skipped: instance is stopped"),
    ],
)
def test_a_refusal_with_status_200_is_a_failure_and_not_a_change(
    module: str, options: dict[str, Any], operation: str, answer: Any, message: str
) -> None:
    with second_api(refused={operation: answer}) as api:
        api.instance("agent-001").memories.append({"id": "1", "content": "y"})
        done = run_second(api, module, **options)
        assert done.result["failed"] and not done.result["changed"], done.result
        assert message in done.msg and "may still run" not in done.msg and "were applied" not in done.msg
        assert api.writes() == [operation]
        api.quirks.refused.clear()
        again = run_second(api, module, **options)
        assert again.result.get("unresolved") is None, "a refused call keeps nothing from being sent"
        assert len(api.writes()) == 2


WRITES = [
    ("instance_runtime", {}, "redeploy_runtime"),
    ("instance_update", {}, "apply_all_updates"),
    ("rollout", {}, "start_fleet_rollout"),
    ("instance_memory", {"content": "x"}, "store_memory"),
    ("instance_memory", {"state": "absent", "all": True}, "clear_memories"),
    ("update_policy", {"max_parallel_rollouts": 7}, "set_fleet_update_policy"),
    ("instance_update_policy", {"runtime": "disabled"}, "set_instance_update_policy"),
    ("instance_circuit_breakers", {}, "clear_circuit_breakers"),
    ("instance_power_cycle", {}, "power_cycle"),
    ("instance_reboot", {"after_power_cycle": False}, "reboot"),
    ("instance_diagnostics", {}, "run_diagnostics"),
]


@pytest.mark.parametrize(
    "answer",
    [
        WRITE_ERROR,
        {"error": {"code": 42}},
        {},
        # The status of an error, which is no text.
        {"status": 503, "error": "maintenance"},
        {"status": False},
        # An error beside the expected keys, which are all null.
        lambda keys: {**dict.fromkeys(keys), "errors": [{"title": "maintenance"}]},
    ],
)
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write[2])
def test_an_answer_with_status_200_that_says_nothing_of_the_write_is_no_success(
    write: tuple[str, dict[str, Any], str], answer: Any
) -> None:
    module, options, operation = write
    answer = answer(KEYS[operation]) if callable(answer) else answer
    with second_api(refused={operation: answer}) as api:
        api.instance("agent-001").memories.append({"id": "1", "content": "y"})
        done = run_second(api, module, **options)
        assert done.result["failed"] and "unknown" in done.msg and "accepted" not in done.msg, done.result
        assert answer != WRITE_ERROR or "Down for maintenance" in done.msg
        assert api.writes() == [operation]


@pytest.mark.parametrize("write", WRITES[:-1], ids=lambda write: write[2])
def test_a_write_that_was_carried_out_is_found_although_its_answer_says_nothing(
    write: tuple[str, dict[str, Any], str],
) -> None:
    module, options, operation = write
    with second_api(answers={operation: {}}) as api:
        api.instance("agent-001").memories.append({"id": "1", "content": "y"})
        result = sound(run_second(api, module, **options))
        assert result["changed"] and api.writes() == [operation], result


@pytest.mark.parametrize(
    ("state", "operation", "flag"),
    [("paused", "pause_rollout", ""), ("running", "resume_rollout", "paused"), ("cancelled", "cancel_rollout", "")],
)
def test_a_rollout_that_the_server_does_not_pause_resume_or_cancel_is_a_failure(
    state: str, operation: str, flag: str
) -> None:
    with second_api(deploy_seconds=600, refused={operation: {"message": "Not allowed for this rollout"}}) as api:
        row = api.add_rollout(api.instances, "fleet")
        row["flag"] = flag
        done = run_second(api, "rollout", state=state, rollout_id=row["id"])
        assert done.result["failed"] and not done.result["changed"] and "Not allowed for this rollout" in done.msg
        assert api.writes() == [operation] and sum(done.pauses) < 20


def test_a_target_that_the_server_does_not_retry_is_a_failure() -> None:
    answer = {"status": "rejected", "message": "too old"}
    with second_api(outcomes={"agent-001": "failed"}, refused={"retry_rollout_target": answer}) as api:
        row = api.add_rollout(api.instances, "fleet", at=1.0)
        done = run_second(api, "rollout_target", rollout_id=row["id"], select="failed")
        assert done.result["failed"] and not done.result["changed"] and "rejected: too old" in done.msg
        assert api.writes() == ["retry_rollout_target"]


def test_a_redeploy_that_started_despite_a_refusing_message_is_not_a_refusal() -> None:
    change = {"redeploy_runtime": lambda answer: {**answer, "message": "the former one was blocked", "task_id": None}}
    with second_api(answers=change) as api:
        assert sound(run_second(api, "instance_runtime"))["match"] == "weak"
        assert api.writes() == ["redeploy_runtime"]


# behaviour 3.5, row 5
def test_an_answer_without_a_task_id_is_looked_up() -> None:
    with second_api(answers={"redeploy_runtime": {"status": None, "message": None, "task_id": None}}) as api:
        assert sound(run_second(api, "instance_runtime"))["match"] == "weak"


def test_an_answer_with_nothing_applied_is_no_change_if_no_update_is_left() -> None:
    with second_api(refused={"apply_all_updates": NOTHING}) as api:
        one = api.instance("agent-001")
        one.skill_waits = True

        def another_was_faster(usual: Any) -> Any:
            if not api.called("apply_all_updates"):
                return usual
            one.version, one.skill_waits = NEW, False
            return api.get_available_updates(one.id)

        api.quirks.answers["get_available_updates"] = another_was_faster
        done = run_second(api, "instance_update")
        assert sound(done)["changed"] is False and "diff" not in done.result
        assert api.writes() == ["apply_all_updates"]


def test_an_answer_with_nothing_applied_is_a_refusal_if_skills_are_still_outdated() -> None:
    with second_api(refused={"apply_all_updates": NOTHING}) as api:
        one = api.instance("agent-001")
        one.version, one.skill_waits = NEW, True
        done = run_second(api, "instance_update")
        assert done.result["failed"] and not done.result["changed"] and done.result["refused"] == "all done"


def test_an_answer_without_a_count_after_which_all_memories_are_listed_does_not_say_that_they_were_cleared() -> None:
    with second_api(refused={"clear_memories": {"status": "ok"}}) as api:
        api.instance("agent-001").memories.append({"id": "1", "content": "y"})
        done = run_second(api, "instance_memory", state="absent", all=True)
        assert done.result["failed"] and done.result["changed"] and done.result["deleted"] == 0, done.result
        assert "The server accepted the call, but" in done.msg and "still listed: 1 of 1" in done.msg
        assert "says that it cleared" not in done.msg and api.writes() == ["clear_memories"]
