# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Freezes: when changes are frozen, the verdict of the gate, and that an unreadable calendar never counts as open."""

from __future__ import annotations

import builtins
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.freezes import Freezes, judge
from ansible_collections.fleetops.agents.plugins.module_utils._rules.gate import NextStart
from ansible_collections.fleetops.agents.plugins.module_utils._rules.openings import Openings
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan import Expected, fit
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import HOUR, Window

WEEKENDS = {
    "from": "2026-01-02T16:00",
    "to": "2026-01-05T08:00",
    "zone": "Europe/Berlin",
    "rule": "FREQ=WEEKLY;BYDAY=FR",
    "reason": "no changes at weekends",
}
HOLIDAYS = {"from": "2026-12-20", "to": "2026-12-31", "reason": "end of the year"}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def frozen(freezes: Freezes, text: str) -> str | None:
    """When the freeze ends that applies at this time (UTC)."""
    period = freezes.during(at(text))
    return None if period is None else datetime.fromtimestamp(period.end, UTC).isoformat()[:16]


@pytest.mark.parametrize(
    ("entry", "when", "until"),
    [
        (HOLIDAYS, "2026-12-19T23:59", None),
        (HOLIDAYS, "2026-12-20T00:00", "2027-01-01T00:00"),
        # A day without a time of day is frozen until its end.
        (HOLIDAYS, "2026-12-31T23:59", "2027-01-01T00:00"),
        (HOLIDAYS, "2027-01-01T00:00", None),
        # Friday 16:00 to Monday 08:00 in Berlin: one hour before UTC in winter, two in summer.
        (WEEKENDS, "2026-11-27T14:59", None),
        (WEEKENDS, "2026-11-27T15:00", "2026-11-30T07:00"),
        (WEEKENDS, "2026-07-03T13:59", None),
        (WEEKENDS, "2026-07-03T14:00", "2026-07-06T06:00"),
        # The clocks change in the night to Sunday 2026-03-29.
        (WEEKENDS, "2026-03-27T15:00", "2026-03-30T06:00"),
        # Before the first occurrence there is none.
        (WEEKENDS, "2025-12-26T20:00", None),
        ({**WEEKENDS, "rule": "FREQ=WEEKLY;BYDAY=FR;UNTIL=20260201T000000Z"}, "2026-11-27T15:00", None),
        ({"from": "2026-11-27T10:00+02:00", "to": "2026-11-27T12:00+02:00"}, "2026-11-27T08:30", "2026-11-27T10:00"),
        # Different offsets: each time has its own.
        ({"from": "2026-10-24T18:00+02:00", "to": "2026-10-26T08:00+01:00"}, "2026-10-26T06:30", "2026-10-26T07:00"),
        ({"from": "2026-10-24T18:00+02:00", "to": "2026-12-27T06:00Z"}, "2026-12-27T05:59", "2026-12-27T06:00"),
        ({"from": "2026-12-24T18:00+05:00", "to": "2026-12-24T15:00Z"}, "2026-12-24T13:00", "2026-12-24T15:00"),
        ({"from": "2026-12-24T18:00-05:00", "to": "2026-12-26"}, "2026-12-26T23:59", "2026-12-27T00:00"),
    ],
)
def test_changes_are_frozen_within_the_periods_of_the_calendar(
    entry: dict[str, str], when: str, until: str | None
) -> None:
    assert frozen(Freezes.of([entry]), when) == until
    assert frozen(Freezes.of(json.dumps([entry])), when) == until


def test_adjacent_freezes_end_with_the_last_one() -> None:
    both = Freezes.of([{"from": "2026-12-31T12:00", "to": "2027-01-02"}, HOLIDAYS, WEEKENDS])
    # The third day of the year is a Sunday, within the weekend freeze.
    assert frozen(both, "2026-12-25T12:00") == "2027-01-04T07:00"


UNREADABLE: list[tuple[Any, str]] = [
    ("[", "the text is not valid JSON"),
    ({"from": "2026-01-01"}, "a list of freezes was expected"),
    (["2026-01-01"], "in freeze 1, a mapping with from and to was expected"),
    ([HOLIDAYS, {"from": "2026-01-01"}], "in freeze 2, to is nothing"),
    ([{**HOLIDAYS, "until": "2026"}], "until is not known"),
    ([{**HOLIDAYS, "from": "tomorrow"}], "from is 'tomorrow'"),
    ([{**HOLIDAYS, "from": 20261220}], "from is 20261220"),
    ([{**HOLIDAYS, "to": "9999-12-31"}], "years are from 1970 to 2242"),
    ([{**HOLIDAYS, "from": "2027-02-01"}], "must be before to"),
    ([{**HOLIDAYS, "zone": "Europe/Berln"}], "zone is 'Europe/Berln'"),
    ([{**HOLIDAYS, "zone": "Europe"}], "zone is 'Europe'"),
    ([{**HOLIDAYS, "from": "2026-12-20T00:00Z", "zone": "Europe/Berlin"}], "has an offset of its own"),
    ([{**WEEKENDS, "rule": "every Friday"}], "a rule of RFC 5545 was expected"),
    ([{**WEEKENDS, "rule": "FREQ=SECONDLY"}], "daily, weekly, monthly or yearly"),
    ([{**WEEKENDS, "rule": "FREQ=WEEKLY;BYDAY=XX"}], "cannot be read"),
    ([{**WEEKENDS, "rule": "FREQ=WEEKLY;INTERVAL=0"}], "INTERVAL must be 1 or more"),
    ([{**WEEKENDS, "rule": "FREQ=WEEKLY;BYDAY=SA"}], "does not fall on from (Friday 2026-01-02)"),
    ([{**WEEKENDS, "rule": "FREQ=DAILY;BYHOUR=3"}], "from and to set the time of day"),
]


@pytest.mark.parametrize(("entries", "message"), UNREADABLE)
def test_an_unreadable_calendar_is_inconclusive_and_never_open(entries: Any, message: str) -> None:
    freezes = Freezes.of(entries)
    assert message in freezes.problem and freezes.problem.endswith(".")
    check = judge(freezes, at("2026-06-01T12:00"), NextStart(0, 0, started=False, override=""))
    assert (check.verdict, check.reason) == ("inconclusive", freezes.problem)
    openings = Openings(Window(None, None), freezes)
    assert not openings.is_open(at("2026-06-01T12:00"))
    found = fit(openings, at("2026-06-01T12:00"), [Expected(1, 1)], 0)
    assert (found.open_now, found.batches_that_fit) == (False, 0)


def test_dateutil_is_needed_only_for_recurring_freezes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_dateutil(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("dateutil"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_dateutil)
    assert Freezes.of([HOLIDAYS]).problem == ""
    assert "rule needs the Python library python-dateutil" in Freezes.of([WEEKENDS]).problem


@pytest.mark.parametrize("blank", [None, "", "  ", []])
def test_an_empty_calendar_has_no_freeze(blank: Any) -> None:
    assert Freezes.of(blank) == Freezes()
    assert judge(Freezes.of(blank), 0, NextStart(9, 9, started=False, override="")).verdict == "pass"


@pytest.mark.parametrize(
    ("when", "started", "override", "verdict", "message"),
    [
        ("2026-12-19T23:00", False, "", "pass", "Changes are not frozen."),
        ("2026-12-19T23:50", False, "", "fail", "from 2026-12-20 00:00 UTC on (end of the year). The next batch takes"),
        ("2026-12-19T23:50", True, "", "deferred", "would not end in time"),
        ("2026-12-24T12:00", False, "", "fail", "frozen until 2027-01-01 00:00 UTC (end of the year)."),
        ("2026-12-24T12:00", True, "", "deferred", "frozen until"),
        ("2026-12-24T12:00", False, "INC-1", "pass", "overridden: INC-1"),
    ],
)
def test_the_verdict_of_the_gate_during_a_freeze(
    when: str, started: bool, override: str, verdict: str, message: str
) -> None:
    check = judge(Freezes.of([HOLIDAYS]), at(when), NextStart(600, 300, started, override))
    assert check.verdict == verdict
    assert message in check.reason


# Window and freezes together


@given(
    st.integers(0, 23),
    st.integers(0, 23),
    st.lists(st.tuples(st.integers(0, 71), st.integers(1, 30)), max_size=4),
    st.integers(0, 72),
)
def test_the_next_opening_and_closing_agree_with_a_search_hour_by_hour(
    start: int, end: int, frozen_hours: list[tuple[int, int]], now: int
) -> None:
    first = at("2026-11-23T00:00")

    def text(hour: int) -> str:
        return datetime.fromtimestamp(first + hour * HOUR, UTC).isoformat()

    freezes = Freezes.of([{"from": text(begin), "to": text(begin + length)} for begin, length in frozen_hours])
    openings = Openings(Window(start, end), freezes)

    def is_open(hour: int) -> bool:
        of_window = start == end or Window(start, end).is_open(first + hour * HOUR)
        return of_window and not any(begin <= hour < begin + length for begin, length in frozen_hours)

    moment = first + now * HOUR
    assert openings.is_open(moment) == is_open(now)
    horizon = range(now, now + 6 * 24)
    if is_open(now):
        assert openings.next_opening(moment) is None
        closing = next((hour for hour in horizon if not is_open(hour)), None)
        assert openings.closes_at(moment) == (None if closing is None else first + closing * HOUR)
    else:
        assert openings.closes_at(moment) is None
        assert openings.next_opening(moment) == first + next(hour for hour in horizon if is_open(hour)) * HOUR


def test_a_calendar_that_is_always_frozen_has_no_next_opening() -> None:
    always = Freezes.of([{"from": "2026-01-01T00:00", "to": "2026-01-02T00:00", "rule": "FREQ=DAILY"}])
    openings = Openings(Window(None, None), always)
    moment = at("2026-06-01T12:00")
    assert not openings.is_open(moment)
    assert openings.next_opening(moment) is None
    found = fit(openings, moment, [Expected(1, 1)], 0)
    assert (found.open_now, found.batches_that_fit) == (False, 0)


def test_the_frozen_times_of_a_period_are_complete_and_in_order() -> None:
    calendar = Freezes.of([WEEKENDS, HOLIDAYS, {"from": "2026-12-24", "to": "2026-12-24"}])

    def listed(first: str, last: str, most: int = 50) -> list[str]:
        periods = calendar.between(at(first), at(last), most)
        return [f"{datetime.fromtimestamp(one.start, UTC):%m-%d %H} {one.reason}".strip() for one in periods]

    weekends = [f"{day} 15 no changes at weekends" for day in ("12-11", "12-18", "12-25", "01-01")]
    both = [*weekends[:2], "12-20 00 end of the year", "12-24 00", *weekends[2:]]
    # From within the first freeze until just before the next one.
    assert listed("2026-12-12T10:00", "2027-01-08T15:00") == both
    assert listed("2026-12-12T10:00", "2027-01-08T15:00", most=2) == both[:2]
    assert listed("2026-12-14T07:00", "2026-12-18T15:00") == []
    assert Freezes.of(None).between(0, 1e9, 5) == []
    never = Freezes.of([{**WEEKENDS, "rule": "FREQ=WEEKLY;BYDAY=FR;COUNT=1"}])
    assert never.between(at("2026-06-01T00:00"), at("2027-06-01T00:00"), 5) == []
