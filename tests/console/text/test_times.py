# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations, ages and sizes as text."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from console.text import times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (38.4, "38 s"), (422, "7 min 02 s"), (19320, "5 h 22 min"), (273600, "3 d 4 h")],
)
def test_a_duration_is_written_in_suitable_units(seconds: float, text: str) -> None:
    assert times.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_a_rounded_duration_has_one_unit(seconds: float, text: str) -> None:
    assert times.rounded(seconds) == text


@pytest.mark.parametrize("clock", [time(0, 30), time(23, 30)])
@pytest.mark.parametrize("day", [date(2026, 10, 25), date(2026, 3, 29)])
def test_yesterday_is_the_day_before_even_if_a_day_has_23_or_25_hours(clock: time, day: date) -> None:
    zone = "Europe/Berlin"
    now, before = (datetime.combine(one, clock, ZoneInfo(zone)).timestamp() for one in (day, day - timedelta(days=1)))
    assert times.day_and_time(now, now, zone) == f"today {clock:%H:%M}"
    assert times.day_and_time(before, now, zone) == f"yesterday {clock:%H:%M}"
    assert times.day_and_time(now, before, zone) == f"tomorrow {clock:%H:%M}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "just now"), (9, "just now"), (38, "38 s ago"), (130, "2 min ago"), (3600 * 5 + 1320, "5 h ago")],
)
def test_an_age_below_ten_seconds_is_just_now(seconds: float, text: str) -> None:
    assert times.ago(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 KiB"), (512, "0.5 KiB"), (2048, "2 KiB"), (20_000, "20 KiB"), (1_572_864, "1.5 MiB"), (2**31, "2,048 MiB")],
)
def test_a_size_has_a_decimal_only_if_it_is_needed(count: float, text: str) -> None:
    assert times.size(count) == text
