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
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window

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


def brute_force_open(start: int, end: int, hour: int) -> bool:
    if start == end:
        return True
    open_hours, current = set(), start
    while current != end:
        open_hours.add(current)
        current = (current + 1) % 24
    return hour in open_hours


def test_the_window_is_right_for_all_pairs_of_hours() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    for start in range(24):
        for end in range(24):
            window = Window(start, end)
            for hour in range(24):
                at = midnight + hour * 3600 + 1800
                assert window.is_open(at) == brute_force_open(start, end, hour)
                opening = window.next_opening(at)
                assert (opening is None) == window.is_open(at)
                if opening is not None:
                    assert 0 < opening - at <= 86400
                    assert window.is_open(opening)
                    assert not window.is_open(opening - 1)
                closing = window.closes_at(at)
                if closing is not None:
                    assert 0 < closing - at <= 86400
                    assert window.is_open(closing - 1)
                    assert not window.is_open(closing)


@given(hours=st.tuples(JSON, JSON))
def test_unusual_window_hours_never_raise_an_exception(hours: tuple[object, object]) -> None:
    window = Window.of_policy(
        {"maintenance_window_start_hour_utc": hours[0], "maintenance_window_end_hour_utc": hours[1]}
    )
    assert window.sentence(1_700_000_000.0)


T0 = "2026-11-24T10:00:00+00:00"
T1 = "2026-11-24T10:01:00+00:00"
T2 = "2026-11-24T10:02:00+00:00"


def test_a_started_target_is_found_by_its_task_id_or_if_it_is_the_only_one() -> None:
    sent = answers.parse_time(T1)
    old = {"id": "old", "created_at": T0, "celery_task_id": "a"}
    mine = {"id": "mine", "created_at": T1, "celery_task_id": "b"}
    other = {"id": "other", "created_at": T2, "celery_task_id": "c"}
    assert started_target([other, mine, old], {"old"}, "b", sent) == (mine, "exact")
    assert started_target([mine, old], {"old"}, None, sent) == (mine, "weak")
    assert started_target([other, mine, old], {"old"}, None, sent) is None
    assert started_target([old], {"old"}, "b", sent) is None
    # reports/2026-11 B5, E6: an id wins over the time, and is recognised in any case.
    assert started_target([{**mine, "created_at": T0}, old], {"old"}, "B", sent) == (
        {**mine, "created_at": T0},
        "exact",
    )
    assert started_target([{**mine, "created_at": T0}, old], {"old"}, None, sent) is None
    assert started_target([{**mine, "rollout_scope": "Fleet"}, old], {"old"}, None, sent) is None
    assert started_target([{**mine, "instance_id": "i"}, old], {"old"}, None, sent, "other") is None


@pytest.mark.parametrize(
    ("booted", "version", "healthy", "verdict"),
    [(T1, "2", True, "succeeded"), (T0, "1", True, "not_applied"), (T0, "1", False, "still_unknown"),
     (T1, "1", True, "still_unknown"), (T0, "2", True, "still_unknown")],
)  # fmt: skip
def test_an_uncertain_target_is_decided_by_evidence(booted: str, version: str, healthy: bool, verdict: str) -> None:
    target = {"id": "1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10", "status": "uncertain", "created_at": T0}
    target["started_at"] = "2026-11-24T10:00:30+00:00"
    uptime = answers.parse_time(T2) - answers.parse_time(booted)
    health = {"checked_at": T2, "uptime_seconds": uptime, "status": "healthy" if healthy else "degraded"}
    updates = {"versions_reported_at": T2, "runtime": {"current_version": version, "available_version": "2"}}
    assert reconcile(target, [target], updates, health)[0] == verdict
    later = {"id": "later", "created_at": T2}
    assert reconcile(target, [{**target, "id": target["id"].upper()}], updates, health)[0] == verdict
    assert reconcile(target, [target, later], updates, health)[0] == "superseded"
