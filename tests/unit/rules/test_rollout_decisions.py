# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions about rollouts: which one was started, which call a state needs, how targets ended, which to retry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import counters
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import task_keys
from ansible_collections.fleetops.agents.plugins.module_utils._rules.rollout import (
    Evidence,
    after_transition,
    ends,
    ends_text,
    grace_left,
    host_names,
    is_quiet,
    new_fleet_rollouts,
    selected,
    started_rollout,
    tally,
    targets_text,
    transition,
    was_reopened,
    why_not_retried,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROW = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        [
            *("id", "scope", "status", "last_result_status", "created_at", "completed_at", "instance_id"),
            *("celery_task_id", "error_message", "detail_json", "total_targets", "queued_targets"),
        ],
        JSON,
    ),
)
STATES = st.sampled_from(["paused", "running", "cancelled"])
WORDS = ["pending", "in_progress", "paused", "cancelling", "completed", "partial", "failed", "cancelled", "brewing"]
NUMBERS = st.integers(min_value=0, max_value=9)


def rollout(identity: str, **fields: Any) -> dict[str, Any]:
    return {"id": identity, "scope": "fleet", "created_at": "2026-01-01T00:00:00Z", "total_targets": 2, **fields}


def detail(identity: str, *tasks: str, **fields: Any) -> dict[str, Any]:
    targets = [{"id": f"{identity}-{n}", "celery_task_id": t, "instance_id": f"i{n}"} for n, t in enumerate(tasks)]
    return {"rollout": rollout(identity, **fields), "targets": targets}


NOW = 1767225600.0
CALLED = Evidence(frozenset({"old"}), NOW, 2, 3, frozenset({"t1", "t2"}))


@given(row=ROW, rows=st.lists(ROW, max_size=4), state=STATES, force=st.booleans(), anything=JSON)
def test_no_answer_makes_a_decision_raise_an_exception(
    row: dict, rows: list[dict], state: str, force: bool, anything: Any
) -> None:
    evidence = Evidence(frozenset(), NOW, 1, 2, task_keys(anything))
    new_fleet_rollouts(rows, evidence)
    started_rollout([{"rollout": row, "targets": rows}, {"rollout": {}, "targets": []}], evidence)
    assert transition(state, row, rows, force) in ("call", "already", "too_late")
    after_transition(state, tally(row, rows), force)
    is_quiet(row, rows)
    ends_text(ends(rows), host_names(anything))
    assert "target" in targets_text(row, rows)
    grace_left(rows, NOW, 60)
    selected(rows, select="all")
    why_not_retried(row)
    was_reopened(row, row)


# Which one was started


def test_only_new_fleet_rollouts_are_candidates() -> None:
    rows = [
        rollout("new"),
        rollout("old"),
        rollout("single", scope="instance"),
        rollout("earlier", created_at="2025-12-31T23:59:00Z"),
        rollout("no time", created_at=None),
        rollout("of one", scope="whatever", total_targets=1),
    ]
    # An id wins over a time that does not fit (reports/2026-11 B5).
    assert [row["id"] for row in new_fleet_rollouts(rows, CALLED)] == ["new", "earlier", "no time"]
    without_ids = Evidence(CALLED.known_ids, NOW, 2, 3)
    assert [row["id"] for row in new_fleet_rollouts(rows, without_ids)] == ["new", "no time"]
    alone = Evidence(CALLED.known_ids, NOW, enqueued=1)
    assert "of one" in [row["id"] for row in new_fleet_rollouts(rows, alone)]


def test_ids_win_over_instances_and_instances_over_counts() -> None:
    ours, theirs = detail("a", "t1", "t2"), detail("b", "x1", "x2")
    assert started_rollout([theirs, ours], CALLED).detail == ours
    by_instance = Evidence(frozenset(), NOW, 2, 2, frozenset({"i0", "i1"}))
    smaller = detail("c", "y1", "y2", "y3")
    found = started_rollout([smaller, ours], by_instance)
    assert (found.detail, found.match) == (ours, "exact")


@given(st.permutations([detail("a", "x1"), detail("b", "x2", created_at="2026-01-01T00:00:09Z")]))
def test_if_two_rollouts_match_equally_well_neither_is_chosen(details: list[dict]) -> None:
    found = started_rollout(details, Evidence(frozenset(), NOW, 2, 2))
    assert found.detail is None and found.match is None
    assert {row["id"] for row in found.candidates} == {"a", "b"}


def test_an_id_wins_over_the_time_and_without_one_time_and_size_must_match() -> None:
    early = detail("a", "T1", created_at="2025-12-31T23:00:00Z")
    assert started_rollout([early], CALLED).match == "exact"
    without_ids = Evidence(frozenset(), NOW, 2, 2)
    assert started_rollout([detail("a", "x")], without_ids).match == "weak"
    assert started_rollout([detail("a", "x", created_at="2025-12-31T23:59:59Z")], without_ids).detail is None
    assert started_rollout([detail("a", "x", total_targets=3)], without_ids).detail is None
    assert started_rollout([detail("a", "x", total_targets=3)], Evidence(frozenset(), NOW)).match == "weak"


@given(details=st.lists(st.builds(detail, st.sampled_from("abc"), st.sampled_from(["t1", "x"])), max_size=4))
def test_a_match_is_exact_by_ids_or_if_it_is_the_only_candidate(details: list[dict]) -> None:
    found = started_rollout(details, CALLED)
    with_our_task = [d for d in details if d["targets"][0]["celery_task_id"] == "t1"]
    if found.match == "exact":
        assert [found.detail] == with_our_task
    elif found.match == "weak":
        assert len(details) == 1
    else:
        assert len(details) != 1 and len(with_our_task) != 1


@given(JSON)
def test_the_texts_in_any_shape_are_found_without_its_keys(value: Any) -> None:
    assert task_keys({"key": [value, "inside"]}) == task_keys(value) | {"inside"}


# Which call a state needs


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("paused", "call call already too_late too_late too_late too_late too_late call"),
        ("running", "already already call too_late too_late too_late too_late too_late already"),
        ("cancelled", "call call call already too_late too_late too_late already call"),
    ],
)
def test_each_status_leads_to_the_right_call(state: str, expected: str) -> None:
    for word, step in zip(WORDS, expected.split(), strict=True):
        under_way = word in ("pending", "in_progress", "brewing")
        row = rollout("r", status=word, in_progress_targets=int(under_way))
        assert transition(state, row, []) == step, word


def test_a_forced_cancel_is_sent_while_something_is_in_progress() -> None:
    row = rollout("r", status="cancelling", in_progress_targets=1)
    assert transition("cancelled", row, [], force=False) == "already"
    assert transition("cancelled", row, [], force=True) == "call"


@given(state=STATES, force=st.booleans(), numbers=st.tuples(*[NUMBERS] * 6))
def test_no_target_is_lost_in_a_transition(state: str, force: bool, numbers: tuple[int, ...]) -> None:
    names = ("queued", "in_progress", "succeeded", "failed", "uncertain")
    row = {f"{name}_targets": n for name, n in zip(names, numbers[:5], strict=True)}
    before = counters({**row, "total_targets": sum(numbers)})
    after = after_transition(state, before, force)
    counted = {name: n for name, n in after.items() if name not in ("status", "total")}
    assert sum(counted.values()) == after["total"] == before.total
    assert state == "running" or after["queued"] == 0
    if state == "cancelled":
        assert (after["status"] == "cancelled") == (after["in_progress"] == 0)


# How targets ended


@given(st.lists(st.sampled_from(["succeeded", "failed", "uncertain", "cancelled", "skipped", "brewed"]), max_size=8))
def test_every_target_has_one_outcome_and_only_successes_are_not_listed(words: list[str]) -> None:
    targets = [{"id": str(n), "status": word} for n, word in enumerate(words)]
    found = ends(targets)
    reported = [int(row["id"]) for row in [*found.bad, *found.cancelled]]
    assert sorted(reported) == [n for n, word in enumerate(words) if word not in ("succeeded", "skipped")]
    assert ends(targets, [row["id"] for row in found.uncertain]).uncertain == []


def test_a_target_under_way_has_no_outcome_yet() -> None:
    rows = [{"id": "1", "status": "queued"}, {"id": "2", "status": "brewing"}, {"id": "3", "status": "failed"}]
    found = ends(rows, finished=False)
    assert [row["id"] for row in found.bad] == ["3"] and found.total == 3
    assert ends_text(found, {}) == "of 3 targets, 1 failed: an instance without an id"


def test_outcomes_are_reported_with_the_first_five_instances_and_their_reasons() -> None:
    rows = [{"id": str(n), "instance_id": f"i{n}", "status": "failed", "error_message": "no."} for n in range(7)]
    names = host_names([{"instance_id": "i1", "instance_hostname": "host-1"}, {"instance_id": "i2"}, None])
    text = ends_text(ends([*rows, {"id": "8", "status": "succeeded"}]), names)
    assert text.startswith("of 8 targets, 7 failed: instance i0 (no); host-1 (no); instance i2 (no); ")
    assert text.endswith(" and 2 more")


def test_a_rollout_with_an_unknown_status_is_finished_only_if_no_target_can_change() -> None:
    assert is_quiet({"status": "brewed"}, [{"status": "succeeded"}])
    assert not is_quiet({"status": "brewed"}, [{"status": "succeeded"}, {"status": "queued"}])
    assert not is_quiet({"status": "brewed", "queued_targets": 1}, [])
    assert not is_quiet({"status": "paused"}, [{"status": "succeeded"}])


@given(ago=st.integers(0, 200), grace=st.integers(0, 120))
def test_the_grace_period_counts_from_when_the_result_was_lost(ago: int, grace: int) -> None:
    lost = {"status": "uncertain", "completed_at": NOW - ago}
    assert grace_left([lost], NOW, grace) == max(0, grace - ago)
    assert grace_left([lost, {"status": "uncertain"}], NOW, grace) == grace
    assert grace_left([{"status": "failed"}], NOW, grace) == 0


# Which may be retried


@pytest.mark.parametrize(
    ("status", "verdict", "forced", "retried"),
    [
        ("failed", None, False, True),
        ("error", None, False, True),
        ("uncertain", "not_applied", False, True),
        ("uncertain", "succeeded", True, False),
        ("uncertain", "superseded", True, False),
        ("uncertain", "still_unknown", False, False),
        ("uncertain", "still_unknown", True, True),
        ("uncertain", None, False, False),
        ("succeeded", None, True, False),
        ("queued", None, True, False),
        ("cancelled", None, True, False),
        ("brewing", None, True, False),
    ],
)
def test_only_failed_or_certainly_unapplied_targets_are_retried(
    status: str, verdict: str | None, forced: bool, retried: bool
) -> None:
    assert (why_not_retried({"status": status}, verdict, forced) is None) == retried


@pytest.mark.parametrize(
    ("change", "reopened"),
    [
        ({}, False),
        ({"status": "error"}, False),
        ({"status": "queued"}, True),
        ({"celery_task_id": "t2"}, True),
        ({"completed_at": "2026-01-01T00:09:00Z"}, True),
        ({"detail_json": {"attempts": 2}}, True),
    ],
)
def test_a_retry_is_visible_in_the_row(change: dict[str, Any], reopened: bool) -> None:
    before = {"id": "1", "status": "failed", "celery_task_id": "t1", "completed_at": "x", "detail_json": None}
    assert was_reopened(before, {**before, **change}) == reopened


@pytest.mark.parametrize(
    ("record", "statuses", "text"),
    [
        ({"status": "completed", "total_targets": 2}, ["succeeded", "failed"], "2 targets: 1 succeeded, 1 failed"),
        (
            {"status": "paused", "total_targets": 3},
            ["in_progress", "held", "held"],
            "3 targets: 1 in progress, 2 not started",
        ),
        ({"status": "cancelled", "total_targets": 1}, ["revoked"], "1 target: 1 cancelled"),
        # Not all targets are listed, so the counters of the rollout are shown.
        (
            {"status": "partial", "total_targets": 9, "succeeded_targets": 8, "failed_targets": 1},
            ["failed"],
            "9 targets: 8 succeeded, 1 failed",
        ),
        ({}, [], "0 targets"),
    ],
)
def test_the_targets_of_a_rollout_are_counted_by_status_for_people(
    record: dict[str, Any], statuses: list[str], text: str
) -> None:
    assert targets_text(record, [{"status": status} for status in statuses]) == text
