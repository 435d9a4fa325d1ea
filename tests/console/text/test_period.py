# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsing a period that a user enters, in UTC or another time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.text.period import EXAMPLES, PeriodError, parse


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2026-11-24T10:30:00")

PERIODS = [
    ("", None, None),
    ("   ", None, None),
    ("yesterday", "2026-11-23T00:00", "2026-11-24T00:00"),
    ("Today", "2026-11-24T00:00", "2026-11-25T00:00"),
    ("2026-11-02", "2026-11-02T00:00", "2026-11-03T00:00"),
    ("2026-11-02 to 2026-11-04", "2026-11-02T00:00", "2026-11-05T00:00"),
    ("10:00 to 10:10", "2026-11-24T10:00", "2026-11-24T10:10"),
    ("10:00:30  to  10:00:45", "2026-11-24T10:00:30", "2026-11-24T10:00:45"),
    ("yesterday 22:00 to 23:30", "2026-11-23T22:00", "2026-11-23T23:30"),
    ("yesterday 22:00 to today 02:00", "2026-11-23T22:00", "2026-11-24T02:00"),
    ("2026-11-02 09:30 to 11:00", "2026-11-02T09:30", "2026-11-02T11:00"),
    ("2026-11-02T09:30Z to 2026-11-03T01:00Z", "2026-11-02T09:30", "2026-11-03T01:00"),
    ("2026-11-02 09:30", "2026-11-02T09:30", None),
    ("09:30", "2026-11-24T09:30", None),
    ("09:30 to now", "2026-11-24T09:30", "2026-11-24T10:30"),
    ("last 2 h", "2026-11-24T08:30", None),
    ("last 90 min", "2026-11-24T09:00", None),
    ("last 7 days", "2026-11-17T10:30", None),
    ("2 h ago", "2026-11-24T08:30", None),
    ("2 h ago to 1 h ago", "2026-11-24T08:30", "2026-11-24T09:30"),
    ("10:00 to 10:10 UTC", "2026-11-24T10:00", "2026-11-24T10:10"),
    ("yesterday Europe/Berlin", "2026-11-22T23:00", "2026-11-23T23:00"),
]


@pytest.mark.parametrize(("text", "begin", "end"), PERIODS, ids=[text for text, _begin, _end in PERIODS])
def test_a_period_is_parsed_in_utc(text: str, begin: str | None, end: str | None) -> None:
    assert parse(text, NOW) == (at(begin) if begin else None, at(end) if end else None)


IN_NEW_YORK = [
    ("yesterday", "2026-11-23T05:00", "2026-11-24T05:00"),
    ("04:00 to 05:00", "2026-11-24T09:00", "2026-11-24T10:00"),
    ("last 2 h", "2026-11-24T08:30", None),
    ("04:00 to 05:00 utc", "2026-11-24T04:00", "2026-11-24T05:00"),
    ("04:00 to 05:00 Europe/Berlin", "2026-11-24T03:00", "2026-11-24T04:00"),
    # The hour from 01:00 occurs twice when summer time ends, and the one from 02:00 not at all when it begins.
    ("2026-11-01 01:10 to 01:40", "2026-11-01T05:10", "2026-11-01T06:40"),
    ("2026-03-08 02:10 to 02:40", "2026-03-08T06:10", "2026-03-08T07:40"),
    # As files and commands write times.
    ("2026-11-02T09:30:00Z to 2026-11-03T01:00:00+00:00", "2026-11-02T09:30", "2026-11-03T01:00"),
    ("2026-11-02T09:30Z to 10:00 America/New_York", "2026-11-02T09:30", "2026-11-02T15:00"),
    # The day on which daylight saving time ended has 25 hours.
    ("2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
]


@pytest.mark.parametrize(("text", "begin", "end"), IN_NEW_YORK, ids=[text for text, _begin, _end in IN_NEW_YORK])
def test_a_period_is_parsed_in_the_time_zone_of_the_user(text: str, begin: str, end: str | None) -> None:
    assert parse(text, NOW, "America/New_York") == (at(begin), at(end) if end else None)


NO_PERIODS = [
    ("soon", "'soon' is not a time. Examples:"),
    ("last 2 weeks", "has no known unit: use min, h or days."),
    ("10:10 to 10:00", "In '10:10 to 10:00', the end is not after the beginning."),
    ("10:00 to 10:00", "the end is not after the beginning"),
    ("2026-11-02 to yesterday to today", "is not a time"),
    ("25:00", "'25:00' is not a time"),
    ("2026-13-01", "'2026-13-01' is not a time"),
    ("2026-11-31 to 2026-12-01", "is not a time"),
    ("to 10:00", "is not a time"),
    ("10:00 to", "is not a time"),
    ("<img src=x>", "'<img src=x>' is not a time"),
]


@pytest.mark.parametrize(("text", "sentence"), NO_PERIODS, ids=[text for text, _sentence in NO_PERIODS])
def test_the_error_for_an_invalid_period_quotes_the_text(text: str, sentence: str) -> None:
    with pytest.raises(PeriodError) as error:
        parse(text, NOW)
    assert sentence in str(error.value)
    assert text in str(error.value)


def test_the_examples_on_the_pages_are_valid_periods() -> None:
    for example in EXAMPLES.split(", "):
        first, _last = parse(example, NOW)
        assert first is not None
