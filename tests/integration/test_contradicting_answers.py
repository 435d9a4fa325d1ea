# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An answer that contradicts itself or the server's lists is not believed: the effect is looked up and named."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.integration.module_task import sound
from tests.integration.second_task import run_second
from tests.second_api.api import second_api

OTHER = str(uuid.uuid4())
TASKS = [{"instance_id": str(uuid.uuid4()), "task_id": "t1"}, {"instance_id": str(uuid.uuid4()), "task_id": "t1"}]
SKIPPED = [{"instance_id": str(uuid.uuid4()), "status": "skipped"}]
NONE = {"enqueued": 0, "skipped": 3, "total": 3, "message": "ok"}


def test_a_rollout_that_was_started_is_followed_although_the_answer_says_that_nothing_was_enqueued() -> None:
    with second_api(answers={"start_fleet_rollout": lambda body: {**body, "enqueued": 0}}) as api:
        done = run_second(api, "rollout")
        result = sound(done)
        assert result["changed"] and result["match"] == "exact", result
        assert result["rollout_id"] == api.rollouts[-1]["id"] and result["rollout"]["status"] == "completed"
        assert "it enqueued no instance, but listed 3 tasks" in " ".join(done.warnings)


@pytest.mark.parametrize(
    ("answer", "warned", "failed"),
    [
        ({**NONE, "tasks": TASKS}, True, False),
        ({**NONE, "tasks": SKIPPED}, False, False),
        ({**NONE, "tasks": TASKS, "message": "Blocked by a change freeze"}, True, True),
    ],
)
def test_tasks_of_no_rollout_are_looked_up_and_named(answer: dict[str, Any], warned: bool, failed: bool) -> None:
    with second_api(refused={"start_fleet_rollout": answer}) as api:
        done = run_second(api, "rollout")
        assert not done.result["changed"] and bool(done.result.get("failed")) is failed, done.result
        assert ("no new fleet rollout appeared" in " ".join(done.warnings)) is warned
        assert (sum(done.pauses) >= 29) is warned and api.writes() == ["start_fleet_rollout"]
        assert not failed or "Blocked by a change freeze" in done.msg


def test_a_rollout_with_another_number_of_targets_than_the_answer_says_is_warned_about() -> None:
    change = {"start_fleet_rollout": lambda body: {**body, "enqueued": 7, "total": 9}}
    with second_api(answers=change) as api:
        done = run_second(api, "rollout")
        assert sound(done)["match"] == "exact"
        assert "enqueued 7 of 9 instances, but" in " ".join(done.warnings)


@pytest.mark.parametrize(
    ("module", "options", "operation"),
    [
        ("instance_health_info", {"live": True}, "get_deep_health"),
        ("instance_update_info", {}, "get_available_updates"),
        ("instance_memory_info", {}, "list_memories"),
    ],
)
def test_an_answer_about_another_instance_is_not_taken_for_that_of_the_instance(
    module: str, options: dict[str, Any], operation: str
) -> None:
    with second_api(answers={operation: lambda body: {**body, "instance_id": OTHER}}) as api:
        done = run_second(api, module, **options)
        assert done.result["failed"] and f"the answer is about {OTHER}" in done.msg, done.result
        api.quirks.answers[operation] = lambda body: {**body, "instance_id": body["instance_id"].upper()}
        sound(run_second(api, module, **options))
        api.quirks.answers[operation] = lambda body: {**body, "instance_id": "agent-001"}
        sound(run_second(api, module, **options))


def test_a_write_that_is_answered_for_another_instance_is_looked_up_and_not_repeated() -> None:
    with second_api(answers={"redeploy_runtime": lambda body: {**body, "instance_id": OTHER}}) as api:
        assert run_second(api, "instance_runtime").result["match"] == "weak"
        assert api.writes() == ["redeploy_runtime"]
    with second_api(refused={"redeploy_runtime": {"instance_id": OTHER, "status": "ok", "task_id": "t1"}}) as api:
        done = run_second(api, "instance_runtime")
        assert done.result["failed"] and done.result["unresolved"] and OTHER in done.msg, done.result
        assert api.writes() == ["redeploy_runtime"]


def test_a_redeploy_whose_answer_has_an_id_and_refuses_is_looked_for_until_it_is_listed() -> None:
    change = {"redeploy_runtime": lambda body: {**body, "status": "rejected", "message": "Redeploy denied"}}
    with second_api(answers=change, list_lag=0.2) as api:
        done = run_second(api, "instance_runtime")
        assert sound(done)["match"] == "exact" and api.writes() == ["redeploy_runtime"]
        assert "Redeploy denied" in " ".join(done.warnings)


def test_a_memory_that_was_stored_despite_a_refusal_is_looked_for_until_it_is_listed() -> None:
    with second_api(answers={"store_memory": lambda body: {**body, "status": "rejected"}}) as api:
        listed = iter([{"memories": [], "count": 0}] * 3)
        api.quirks.answers["list_memories"] = lambda usual: {**usual, **next(listed, {})}
        done = run_second(api, "instance_memory", content="x")
        assert sound(done)["changed"] and api.writes() == ["store_memory"]
        assert "Nevertheless it has stored the memory" in " ".join(done.warnings)
