# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids are compared by value, and a refusal with status 200 is recognised."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import (
    id_key,
    require_text,
    same_id,
    spellings,
    task_keys,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.refusals import refusal_in, says_no

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


# reports/2026-11 B7
@given(st.uuids())
def test_a_uuid_is_equal_in_all_of_its_spellings(value: uuid.UUID) -> None:
    text = str(value)
    for spelled in (text, text.upper(), value.hex, f"{{{text}}}", value.urn, f" {text} ", value):
        assert same_id(spelled, text) and id_key(spelled) == text
    assert not same_id(text, str(uuid.uuid4()))
    assert {text, text.upper(), value.hex, value.hex.upper()} <= spellings(text.upper())


def test_other_ids_are_compared_as_written_and_an_empty_value_is_not_an_id() -> None:
    assert same_id("agent-1", "agent-1 ") and not same_id("agent-1", "Agent-1")
    assert spellings("Agent-1") == {"Agent-1"}
    assert not same_id(None, None) and not same_id("", "")


def test_a_number_from_a_template_is_refused_with_the_filter_that_makes_it_text() -> None:
    with pytest.raises(ValueError, match=r"content must be text, but it is the number 5.*template.*filter string"):
        require_text(5, "content")


# reports/2026-11 E6
@pytest.mark.parametrize("tasks", ["TASK-1", ["task-1"], {"id": "Task-1"}, {"a": [{"b": "task-1"}]}])
def test_a_task_id_is_recognised_in_any_case_and_type(tasks: Any) -> None:
    assert task_keys(tasks) & task_keys("task-1")
    assert not task_keys(tasks) & task_keys("task-2")


def test_a_number_can_be_a_task_id() -> None:
    assert task_keys(4711) == task_keys("4711") == task_keys(4711.0)
    value = uuid.uuid4()
    assert task_keys(value.int) == task_keys(str(value).upper())
    assert task_keys([None, "", True]) == frozenset()


# reports/2026-11 B10
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": "skipped", "message": "instance is stopped"}, "skipped: instance is stopped"),
        ({"message": "blocked: maintenance window closed"}, "blocked: maintenance window closed"),
        ({"status": "rejected: quota exceeded", "memory": {}}, "rejected: quota exceeded"),
        ({"status": "REFUSED"}, "REFUSED"),
        ({"status": "Not Allowed", "message": None}, "Not Allowed"),
        ({"status": "ok", "message": "The redeploy was denied by policy."}, "The redeploy was denied by policy"),
        ({"status": None, "message": "Instance is not running"}, "Instance is not running"),
        ({"message": "Outside of the maintenance window"}, "Outside of the maintenance window"),
        ({"message": "not executed because it is blocked"}, "not executed because it is blocked"),
        ({"status": "failed"}, "failed"),
        ({"status": "cancelled", "message": "by an operator"}, "cancelled: by an operator"),
    ],
)
def test_a_refusal_is_reported_in_the_words_of_the_server(answer: Any, message: str) -> None:
    assert refusal_in(answer) == message


def test_a_long_refusal_is_shortened() -> None:
    message = refusal_in({"status": "rejected", "message": "no place " * 1_000_000})
    assert message is not None and message.startswith("rejected: no place no") and len(message) == 600


@pytest.mark.parametrize(
    "answer",
    [
        *({"status": word} for word in ("accepted", "queued", "ok", "stored", "completed", "pending", "brewing", "")),
        *(
            {"status": "accepted", "message": text}
            for text in (
                "queued",
                "done, 0 failed",
                "no update was skipped",
                "failed: 0",
                "exit(0) sent; systemd brings the agent back",
                "the agent was stopped and comes back",
                "the previous attempt failed, queued again",
                "2 skill(s) applied, runtime is current",
            )
        ),
        *({"message": text} for text in ("nothing to do", "4 of 4 instances enqueued", "runtime enqueued", None, 7)),
        *(None, [], "rejected", 7),
    ],
)
def test_answers_without_words_of_refusal_are_not_refusals(answer: Any) -> None:
    assert refusal_in(answer) is None


def test_a_skipped_instance_does_not_make_a_fleet_rollout_a_refusal() -> None:
    assert refusal_in({"message": "0 enqueued, 4 skipped"}, skips=False) is None
    assert refusal_in({"message": "skipped: the window is closed"}, skips=False) is not None


def test_the_health_of_an_agent_is_not_a_refusal() -> None:
    assert refusal_in({"status": "failed", "checked_at": "2026-01-01T00:00:00Z"}, status=False) is None
    assert says_no("failed") and not says_no("unhealthy") and not says_no("degraded")


@given(ANYTHING)
def test_no_answer_makes_a_reader_raise_an_exception(value: Any) -> None:
    assert refusal_in(value) is None or refusal_in(value)
    task_keys(value)
    id_key(value)
