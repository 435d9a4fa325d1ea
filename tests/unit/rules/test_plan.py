# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a rolling redeploy: its batches, their duration, what fits the window, and its hash."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ansible.executor.playbook_executor import PlaybookExecutor
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.batches import (
    GROWTHS,
    Member,
    Part,
    batch_sizes,
    cut,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.durations import Usual, duration
from ansible_collections.fleetops.agents.plugins.module_utils._rules.openings import Openings
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan import (
    Expected,
    Plan,
    durations_of,
    expect,
    fit,
    is_plan_hash,
    make_plan,
    member_of,
    moved,
    plan_hash,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan_words import plan_lines
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import DAY, HOUR, Window

NOON = 1_790_000_000 // DAY * DAY + 12 * HOUR

names_of = st.integers(0, 60).map(lambda count: [f"agent-{n:03d}" for n in range(count)])
sizes_of = st.lists(st.integers(1, 12), min_size=1, max_size=5)
words = st.sampled_from(["4.18.2", "4.19.0", "5.0.0"])
hours = st.none() | st.integers(0, 24)
seconds = st.floats(0, 4 * HOUR)


@st.composite
def fleets(draw: st.DrawFn) -> list[Member]:
    """Members in order of names; any of them may be planned."""
    return [Member(name, f"id-{name}", draw(words), draw(words), draw(st.booleans()), "why") for name in draw(names_of)]


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "max_parallel_rollouts": draw(st.integers(1, 12)),
        "maintenance_window_start_hour_utc": draw(hours),
        "maintenance_window_end_hour_utc": draw(hours),
    }


@st.composite
def batchings(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "canary": draw(st.integers(0, 5)),
        "batch_max": draw(st.none() | st.integers(1, 12)),
        "growth": draw(st.sampled_from(GROWTHS)),
        "percent": draw(st.integers(1, 100)),
    }


def planned_by(members: list[Member], policy: dict[str, Any], batching: dict[str, Any], **changed: Any) -> Plan:
    sizes = batch_sizes(policy["max_parallel_rollouts"], **batching, of=sum(member.planned for member in members))
    parts = [Part("", [member for member in members if member.planned])]
    return make_plan(
        members,
        **{"policy": policy, "parts": parts, "sizes": sizes, "batching": batching, "known": {}, "now": NOON, **changed},
    )


# Batches


class _Play:
    def __init__(self, serial: list[int]) -> None:
        self.serial, self.order, self.hosts = serial, None, "all"


class _Inventory:
    def __init__(self, names: list[str]) -> None:
        self._names = names

    def get_hosts(self, *_args: Any, **_kwargs: Any) -> list[str]:
        return list(self._names)


@given(names_of, sizes_of)
def test_batches_are_the_same_as_those_of_ansible(names: list[str], sizes: list[int]) -> None:
    executor = PlaybookExecutor.__new__(PlaybookExecutor)
    executor._inventory = _Inventory(names)
    ansible = executor._get_serialized_batches(_Play(sizes))
    members = [Member(name, name, None, None, True, "") for name in names]
    cuts = cut([Part("", members)], sizes)
    assert [[member.name for member in batch] for _part, batch in cuts] == [batch for batch in ansible if batch]


@given(fleets(), policies(), batchings())
def test_every_planned_instance_is_in_exactly_one_batch_and_no_batch_exceeds_the_limit(
    members: list[Member], policy: dict[str, Any], batching: dict[str, Any]
) -> None:
    plan = planned_by(members, policy, batching)
    rolled = [member for batch in plan.batches for member in batch]
    assert rolled == plan.planned
    assert sorted([*plan.planned, *plan.skipped], key=lambda member: member.name) == members
    most = min(policy["max_parallel_rollouts"], batching["batch_max"] or 99)
    assert all(1 <= len(batch) <= most for batch in plan.batches)
    if plan.batches and batching["canary"]:
        assert len(plan.batches[0]) <= batching["canary"]
    if batching["growth"] == "percent" and plan.batches:
        assert max(map(len, plan.batches)) <= max(1, len(rolled) * batching["percent"] // 100)
    assert len(plan.expected) == len(plan.batches)


@pytest.mark.parametrize(
    ("limit", "options", "sizes"),
    [
        (8, {"growth": "percent", "percent": 25, "of": 24}, [1, 6]),
        (4, {"growth": "percent", "percent": 25, "of": 24}, [1, 4]),
        (8, {"growth": "percent", "percent": 10, "of": 6}, [1, 1]),
        (8, {"growth": "percent", "percent": 50, "of": 0, "canary": 0}, [1]),
        (8, {"growth": "percent", "percent": 100, "of": 24, "canary": 2, "batch_max": 5}, [2, 5]),
    ],
)
def test_batch_sizes_can_be_a_percentage(limit: int, options: dict[str, Any], sizes: list[int]) -> None:
    assert batch_sizes(limit, **options) == sizes


# Members


@pytest.mark.parametrize(
    ("updates", "planned", "why"),
    [
        ({"runtime": {"has_update": True, "current_version": "1", "available_version": "2"}}, True, "outdated"),
        ({"runtime": {"has_update": False, "current_version": "2", "available_version": "2"}}, False, "current"),
        ({"runtime": {"current_version": "1", "available_version": "2"}}, True, "outdated"),
        ({"runtime": {"current_version": "2", "available_version": "2"}}, False, "current"),
        # The server's statement wins over a comparison of two versions.
        ({"runtime": {"has_update": False, "current_version": "1", "available_version": "2"}}, False, "current"),
        ({"runtime": {"has_update": "yes"}}, True, "the server does not say whether it is current"),
        ({"runtime": None}, True, "the server does not say whether it is current"),
        ({}, True, "the server does not say whether it is current"),
    ],
)
def test_an_instance_is_left_out_only_if_the_server_says_that_it_is_current(
    updates: dict[str, Any], planned: bool, why: str
) -> None:
    member = member_of("a", "1", updates, redeploy_all=False)
    assert (member.planned, member.why) == (planned, why)
    assert member_of("a", "1", updates, redeploy_all=True).planned


@pytest.mark.parametrize(
    ("updates", "planned"),
    [({"total_available": 0}, False), ({"total_available": 3}, True), ({"total_available": None}, True), ({}, True)],
)
def test_for_updates_of_any_component_the_total_number_decides(updates: dict[str, Any], planned: bool) -> None:
    current = {"runtime": {"has_update": False, "current_version": "2", "available_version": "2"}}
    assert member_of("a", "1", {**current, **updates}, redeploy_all=False, any_component=True).planned is planned


# Times


def test_durations_come_only_from_succeeded_targets() -> None:
    rows = [
        {"instance_id": "a", "status": "succeeded", "duration_seconds": 30},
        {"instance_id": "a", "status": "SUCCESS", "duration_seconds": "40.5"},
        {"instance_id": "b", "status": "failed", "duration_seconds": 900},
        {"instance_id": "b", "status": "succeeded", "started_at": "2026-01-01T00:00:00", "completed_at": ""},
        {
            "instance_id": "b",
            "status": "succeeded",
            "started_at": "2026-01-01T00:00:00",
            "completed_at": "2026-01-01T00:01:00Z",
        },
        None,
        "row",
    ]
    assert durations_of([{"timeline": rows}, {"timeline": None}, {}]) == {"a": [30.0, 40.5], "b": [60.0]}


@given(
    fleets(), sizes_of, st.dictionaries(st.sampled_from(["id-agent-001", "id-agent-007", "gone"]), st.lists(seconds))
)
def test_a_batch_takes_as_long_as_its_slowest_member(
    members: list[Member], sizes: list[int], known: dict[str, list[float]]
) -> None:
    batches = [members[start : start + 3] for start in range(0, len(members), 3)]
    usual = Usual(known, 180.0)
    for batch, expected in zip(batches, expect(batches, usual, [10.0] * len(batches)), strict=True):
        alone = [expect([[member]], usual, [10.0])[0] for member in batch]
        assert expected.p90 == max(one.p90 for one in alone)
        assert expected.p50 <= expected.p90
        assert expected.p50 >= 10.0


def test_an_instance_without_durations_takes_the_fallback() -> None:
    member = Member("a", "1", None, None, True, "")
    assert expect([[member]], Usual({}, 180.0), [5.0]) == [Expected(185.0, 185.0)]
    assert expect([[member]], Usual({"other": [20.0]}, 180.0), [0.0]) == [Expected(20.0, 20.0)]


def _open(start: int | None, end: int | None, at: float) -> bool:
    if start is None or end is None or start % 24 == end % 24:
        return True
    hour, open_hours = int(at // HOUR) % 24, set()
    now = start % 24
    while now != end % 24:
        open_hours.add(now)
        now = (now + 1) % 24
    return hour in open_hours


@settings(max_examples=300, deadline=None)
@given(hours, hours, st.floats(0, DAY), st.lists(seconds, max_size=8), st.floats(0, 2 * HOUR))
def test_no_batch_that_fits_ends_within_the_margin_before_the_window_closes(
    start: int | None, end: int | None, now: float, lengths: list[float], margin: float
) -> None:
    """Brute force, every ten minutes, over every pair of hours, including those that wrap around midnight."""
    policy = {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}
    now = float(int(NOON - 12 * HOUR + now))
    expected = [Expected(length / 2, length) for length in lengths]
    found = fit(Openings(Window.of_policy(policy)), now, expected, margin)
    if (start is None) != (end is None):
        # reports/2026-11 A6
        assert not found.open_now and found.batches_that_fit == 0
        return
    assert found.open_now == _open(start, end, now)
    assert _open(start, end, found.starts_at)
    assert found.starts_at >= now
    if not found.open_now:
        assert found.starts_at == found.next_opening
        assert not _open(start, end, found.starts_at - 1)
        assert all(not _open(start, end, at) for at in range(int(now), int(found.starts_at), 600))
    if found.closes_at is None:
        assert found.batches_that_fit == len(lengths)
        return
    assert not _open(start, end, found.closes_at)
    assert all(_open(start, end, at) for at in range(math.ceil(found.starts_at), int(found.closes_at), 600))
    ends = found.starts_at + sum(lengths[: found.batches_that_fit])
    assert found.batches_that_fit == 0 or ends + margin <= found.closes_at + 1e-6
    if found.batches_that_fit < len(lengths):
        assert ends + lengths[found.batches_that_fit] + margin > found.closes_at - 1e-6


# The hash


@given(fleets(), policies(), batchings(), st.floats(0, 1e9), st.dictionaries(st.text(max_size=3), st.lists(seconds)))
def test_the_hash_does_not_depend_on_the_time_or_the_order_of_keys(
    members: list[Member], policy: dict[str, Any], batching: dict[str, Any], later: float, known: dict[str, list[float]]
) -> None:
    one = planned_by(members, policy, batching)
    turned = {key: policy[key] for key in reversed(policy)}
    settings_turned = {key: batching[key] for key in reversed(batching)}
    other = planned_by(
        members,
        {**turned, "updated_at": "today"},
        settings_turned,
        now=NOON + later,
        known=known,
        margin=later,
        extra=9,
    )
    assert one.hash == other.hash
    assert moved(one.hash, other.hash) == []
    assert moved(f"  {one.hash}\n", other.hash) == []
    assert is_plan_hash(f"  {one.hash}\n") and not is_plan_hash(one.hash[:-1])


@given(fleets(), fleets(), policies(), policies(), batchings(), batchings())
def test_two_hashes_are_equal_only_if_fleet_policy_and_versions_are(
    fleet: list[Member],
    other: list[Member],
    policy: dict[str, Any],
    another: dict[str, Any],
    batching: dict[str, Any],
    rebatched: dict[str, Any],
) -> None:
    parts = moved(plan_hash(fleet, policy, batching), plan_hash(other, another, rebatched))
    assert ("fleet" in parts) == ([m.name for m in fleet] != [m.name for m in other])
    assert ("policy" in parts) == (policy != another or batching != rebatched)
    versions = [[(m.instance_id, m.current, m.available, m.planned) for m in members] for members in (fleet, other)]
    assert ("versions" in parts) == (versions[0] != versions[1])


def test_newer_versions_change_only_the_versions_part_of_the_hash() -> None:
    batching = {"canary": 1, "batch_max": None, "growth": "percent", "percent": 50}
    policy = {"max_parallel_rollouts": 8}
    before = [Member(f"a{n}", str(n), "1", "1" if n < 6 else "2", n >= 6, "") for n in range(8)]
    after = [Member(m.name, m.instance_id, "1", "3", True, "") for m in before]
    one, other = planned_by(before, policy, batching), planned_by(after, policy, batching)
    assert [len(batch) for batch in one.batches] != [len(batch) for batch in other.batches]
    assert moved(one.hash, other.hash) == ["versions"]


@given(st.text(max_size=40))
def test_an_invalid_hash_counts_as_a_change_of_everything(text: str) -> None:
    found = plan_hash([], {}, {})
    if text.count("-") != 2:
        assert moved(text, found) == ["fleet", "policy", "versions"]


# As text


@given(fleets(), policies(), batchings(), st.floats(0, DAY))
def test_the_text_of_a_plan_names_every_instance_and_ends_with_the_hash(
    members: list[Member], policy: dict[str, Any], batching: dict[str, Any], later: float
) -> None:
    plan = planned_by(members, policy, batching, now=NOON + later, gone=["agent-gone"])
    lines = plan_lines(plan, window=Window.of_policy(policy), limit=policy["max_parallel_rollouts"], redeploy_all=False)
    assert lines[-1] == f"Plan hash: {plan.hash}"
    assert all(line and line == line.strip() for line in lines)
    text = "\n".join(lines)
    assert all(member.name in text for member in members)
    assert "agent-gone" in text
    fits = plan.fit.batches_that_fit
    if plan.planned and plan.fit.closes_at is not None:
        assert ("all batches fit" in text) == (fits == len(plan.batches))
    unknown = bool(Window.of_policy(policy).problem)
    assert ("it opens next at" in text) == (bool(plan.planned) and not plan.fit.open_now and not unknown)
    assert ("Nothing is started" in text) == (bool(plan.planned) and unknown)


@pytest.mark.parametrize(
    ("length", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3569, "59 min"), (3600, "1 h 00 min")]
)
def test_a_duration_is_written_for_people(length: float, text: str) -> None:
    assert duration(length) == text
