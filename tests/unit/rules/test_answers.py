# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading answers: any shape gives a value or None, never an exception; words have the meaning of behaviour 2.4."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules import answers
from ansible_collections.fleetops.agents.plugins.module_utils._rules.redeploy import (
    manifest_is_stale,
    open_target,
    reconcile,
    started_target,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    *("id", "status", "last_result_status", "created_at", "started_at", "completed_at", "checked_at", "scope"),
    *("total_targets", "queued_targets", "in_progress_targets", "uptime_seconds", "cached", "celery_task_id"),
    *("current_version", "available_version"),
]
ROW = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON))


@given(row=ROW, rows=st.lists(ROW, max_size=4))
def test_no_answer_makes_a_reader_raise_an_exception(row: dict, rows: list[dict]) -> None:
    answers.counters(row)
    answers.rollout_is_terminal(row, rows)
    answers.target_is_terminal(row)
    answers.in_flight(rows)
    answers.boot_time(row)
    answers.is_healthy(row)
    answers.is_single_target(row)
    open_target(rows)
    started_target(rows, {"x"}, "t", 5.0)
    manifest_is_stale({"versions_reported_at": row.get("created_at")}, rows)
    reconcile(row, rows, {"runtime": row}, row)


@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), zone=st.integers(-12, 14))
def test_times_are_read_as_utc_with_or_without_a_zone(moment: datetime, zone: int) -> None:
    expected = moment.replace(tzinfo=UTC).timestamp()
    assert answers.parse_time(moment.isoformat()) == pytest.approx(expected)
    assert answers.parse_time(moment.isoformat() + "Z") == pytest.approx(expected)
    shifted = (moment + timedelta(hours=zone)).isoformat() + f"{'-' if zone < 0 else '+'}{abs(zone):02d}:00"
    assert answers.parse_time(shifted) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("word", "canonical"),
    [("In Progress", "in_progress"), ("REVOKED", "cancelled"), ("done", "succeeded"), ("timed-out", "failed"),
     ("lost", "uncertain"), ("enqueued", "queued"), ("Melting", "melting"), (None, "")],
)  # fmt: skip
def test_target_statuses_are_recognised_in_any_spelling(word: str | None, canonical: str) -> None:
    assert answers.target_status(word) == canonical


def test_a_rollout_with_an_unknown_status_is_judged_by_its_counters_and_completed_at() -> None:
    row = {"status": "melting", "total_targets": 2, "in_progress_targets": 1, "completed_at": None}
    assert not answers.rollout_is_terminal(row)
    row = {"status": "melted", "total_targets": 2, "succeeded_targets": 2, "completed_at": "2026-11-24T00:00:00Z"}
    assert answers.rollout_is_terminal(row)
    assert not answers.rollout_is_terminal({**row, "completed_at": ""})


def test_target_rows_win_over_the_counters_of_a_rollout() -> None:
    rollout = {
        "status": "completed",
        "total_targets": 1,
        "succeeded_targets": 1,
        "completed_at": "2026-11-24T00:00:00Z",
    }
    assert not answers.rollout_is_terminal(rollout, [{"status": "queued"}])


@pytest.mark.parametrize("value", [0, -1, None, "two", 2.5, [], True])
def test_a_policy_without_a_positive_limit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="max_parallel_rollouts"):
        answers.max_parallel_rollouts({"max_parallel_rollouts": value})
