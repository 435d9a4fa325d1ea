# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading answers: any shape gives a value or None, never an exception; words have the meaning of behaviour 2.4."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

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


AT = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC).timestamp()


# reports/2026-11 D3
@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63), 2**63 - 1, 10**400, -(10**400), float("nan"), float("inf"), 1e300, "nan", "inf", "1_000", "0x10",
     "", " ", "ten", "٣", True, False, None, [], {}],
)  # fmt: skip
def test_an_invalid_number_is_unknown(value: Any) -> None:
    assert answers.number(value) is None
    assert answers.whole(value) is None and answers.known_count(value) is None and answers.amount(value) is None
    assert answers.count(value) == 0


@pytest.mark.parametrize(
    ("value", "whole", "counted"),
    [(5, 5, 5), ("5", 5, 5), (" 5.0 ", 5, 5), (5.0, 5, 5), (0, 0, 0), (-5, -5, None), (2.5, None, None)],
)  # fmt: skip
def test_a_count_is_an_integer_and_not_negative(value: Any, whole: int | None, counted: int | None) -> None:
    assert (answers.whole(value), answers.known_count(value)) == (whole, counted)


@pytest.mark.parametrize(
    "value",
    ["0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31",
     "1969-12-31T23:59:59Z", -5, "-5", float("nan"), float("inf"), 2**63, 10**400, 1e300, True, None, "", "soon",
     "0000-00-00T00:00:00", "2026-13-01", [], {}],
)  # fmt: skip
def test_an_invalid_time_is_unknown(value: Any) -> None:
    assert answers.parse_time(value) is None


@pytest.mark.parametrize("scale", [1, 1000, 1_000_000, 1_000_000_000])
def test_epoch_times_are_read_in_seconds_milliseconds_and_smaller_units(scale: int) -> None:
    assert answers.parse_time(int(AT * scale)) == pytest.approx(AT)
    assert answers.parse_time(str(int(AT * scale))) == pytest.approx(AT)
    assert answers.parse_time(AT * scale + 0.25) == pytest.approx(AT, abs=0.3)


def test_thirteen_digits_are_milliseconds_and_not_a_date() -> None:
    # Python reads this as a time in the year 1710.
    assert answers.parse_time("1710120112345") == pytest.approx(1710120112.345)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.datetimes().map(str))
def test_every_time_that_can_be_read_can_be_written(value: Any) -> None:
    at = answers.parse_time(value)
    assert at is None or answers.iso_time(at)
    number = answers.number(value)
    assert number is None or -(2**63) < number < 2**63
    for odd in (number, value if isinstance(value, float) else None, math.inf):
        assert answers.iso_time(odd) is None or "T" in str(answers.iso_time(odd))


@pytest.mark.parametrize(
    ("checked", "uptime"),
    [("0001-01-01", 60), ("2026-11-24", -1), ("2026-11-24", 2**63), ("2026-11-24", 1e12), (None, 5)],
)  # fmt: skip
def test_an_impossible_start_time_is_unknown(checked: Any, uptime: Any) -> None:
    assert answers.boot_time({"checked_at": checked, "uptime_seconds": uptime}) is None


def test_without_a_count_in_progress_all_unfinished_targets_count_as_in_progress() -> None:
    row = {"status": "in_progress", "total_targets": 5, "succeeded_targets": 2, "queued_targets": 0}
    assert answers.in_flight([{**row, "in_progress_targets": 2**63}]) == 3
    assert answers.in_flight([{"status": "running"}]) == 1
    assert answers.in_flight([{**row, "in_progress_targets": 1}]) == 1
    assert answers.in_flight([{"status": "completed", "in_progress_targets": None}]) == 0


def test_a_rollout_with_an_invalid_count_does_not_count_as_a_single_redeploy() -> None:
    assert not answers.is_single_target({"scope": "canary", "total_targets": 2**63})
