# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The local time of the viewer beside UTC: correct around every clock change, and left out if it adds nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.figures import audit, instance
from console.figures.theme import axis_dates
from console.figures.timeline import bars
from console.figures.timeline.axes import DrawOptions
from console.figures.timeline.packing import lay_out
from console.text import times

# Daylight saving time by an hour or half, unusual offsets, both sides of the date line. Apia skipped a day in 2011.
ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Sao_Paulo", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Apia", "Africa/Casablanca",
)  # fmt: skip
FIRST, LAST = 631_152_000, 1_735_689_600
"""1990 to 2025, for which the time zone database no longer changes."""
T = 1_795_000_000.0
"""2026-11-18 11:06:40 UTC."""


@contextmanager
def libc_clock(name: str) -> Iterator[None]:
    """Set the local time of the C library to a time zone, to compare with another implementation."""
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = f":{files('tzdata') / 'zoneinfo' / name}"
        time.tzset()
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


@cache
def changes(name: str) -> tuple[int, ...]:
    """The times of all clock changes in a time zone."""
    found = []
    with libc_clock(name):
        for day in range(FIRST, LAST, 86_400):
            before, after = (time.localtime(at).tm_gmtoff for at in (day, day + 86_400))
            low, high = day, day + 86_400
            while before != after and high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if time.localtime(middle).tm_gmtoff == before else (low, middle)
            if before != after:
                found.append(high)
    return tuple(found)


@given(data=st.data(), name=st.sampled_from(ZONES), near=st.integers(-90_000, 90_000))
def test_local_times_around_each_clock_change_match_the_c_library(data: st.DataObject, name: str, near: int) -> None:
    at = data.draw(st.sampled_from(changes(name) or (FIRST,))) + data.draw(st.sampled_from((near, near // 1000)))
    with libc_clock(name):
        there, utc = time.localtime(at), time.gmtime(at)
    pattern = "%H:%M:%S" if there[:3] == utc[:3] else "%Y-%m-%d %H:%M:%S"
    expected = f"{time.strftime(pattern, there)} {name}" if there.tm_gmtoff else ""
    assert times.local(times.known_zone(name), at) == expected
    assert times.moment(at, zone=name) == time.strftime("%Y-%m-%d %H:%M:%S", there)


def test_local_times_are_right_in_a_repeated_or_skipped_hour() -> None:
    assert len(changes("Europe/Berlin")) > 60 and len(changes("Asia/Kathmandu")) == 0
    twice = pd.Timestamp("2026-10-25 01:00", tz="UTC").timestamp()
    assert times.local("Europe/Berlin", twice - 1, twice) == "02:59:59 to 02:00:00 Europe/Berlin"
    never = pd.Timestamp("2026-03-29 01:00", tz="UTC").timestamp()
    assert times.local("Europe/Berlin", never - 1, never) == "01:59:59 to 03:00:00 Europe/Berlin"


def test_the_date_is_shown_if_it_differs_and_nothing_if_local_time_is_utc() -> None:
    assert times.local("Pacific/Auckland", T) == "2026-11-19 00:06:40 Pacific/Auckland"
    assert times.local("Asia/Tokyo", T, T + 7200) == "20:06:40 to 22:06:40 Asia/Tokyo"
    span = times.local("Asia/Tokyo", T, T + 6 * 3600)
    assert span == "2026-11-18 20:06:40 to 2026-11-19 02:06:40 Asia/Tokyo", "both ends have a date, or neither"
    assert times.local("Asia/Tokyo", T, None) == times.local("Asia/Tokyo", T)
    # In winter, the time in London is UTC.
    assert times.local("Europe/London", T) == ""
    assert times.local("Europe/London", T - 120 * 86_400) == "12:06:40 Europe/London"
    for nothing in (None, float("nan"), float("inf"), 1e30):
        assert times.local("Asia/Tokyo", nothing) == ""
    # The last second of the year 9999 cannot be written in a zone east of UTC.
    assert times.local("Asia/Tokyo", 253_402_300_799) == ""
    assert times.local("", T) == ""


@pytest.mark.parametrize(
    "name",
    [None, "", "UTC", "Etc/UTC", "GMT", "Zulu", "localtime", "Europe", "europe/berlin", "Mars/Olympus", "zone.tab",
     "../../../etc/passwd", "/etc/localtime", "Europe/Berlin\0", "Europe/Berlin\n", "\ud800", "a" * 1_000_000,
     "<img src=x onerror=alert(1)>", "[a](javascript:1)", "posix/Europe/Berlin"],
)  # fmt: skip
def test_an_unknown_or_invalid_name_is_not_a_time_zone(name: str | None) -> None:
    assert times.known_zone(name) == ""


def test_labels_of_charts_show_both_times_and_the_axis_stays_in_utc() -> None:
    frame = pd.DataFrame(
        {
            "target_id": ["1"],
            "host": ["a"],
            "status": ["succeeded"],
            "created_at": [T],
            "countdown_s": [0.0],
            "error": [None],
        }
    )
    layout = lay_out(np.array([T]), np.array([T]), np.array([T + 60]), np.array([0.0]), np.array([False]), T + 99)
    here, there = (
        bars.timeline_bars(frame, layout, T + 99, DrawOptions(zone=name)) for name in ("", "Pacific/Auckland")
    )
    label = "<b>a</b><br>✓ succeeded<br>started 2026-11-18 11:06:40 UTC{}<br>took 1 min 00 s"
    assert here.data[0].text[0] == label.format("")
    assert there.data[0].text[0] == label.format("<br>(2026-11-19 00:06:40 Pacific/Auckland)")
    assert there.data[0].base == here.data[0].base == ("2026-11-18T11:06:40.000",)
    assert axis_dates([T + 0.0015, float("nan")]) == ["2026-11-18T11:06:40.002", None]

    checks = pd.DataFrame({"checked_at": [T, T + 30], "status": ["healthy"] * 2})
    health = instance.health_over_time(checks, (T, T + 60), "light", "Asia/Tokyo")
    assert "to 2026-11-18 11:07:40 UTC<br>(20:06:40 to 20:07:40 Asia/Tokyo)<br>1 min" in health.data[1].text[0]
    deploys = frame.assign(started_at=[T], took_s=[60.0])
    assert "11:06:40 UTC<br>(20:06:40 Asia/Tokyo)" in instance.deploy_times(
        deploys, (None, None), "light", "Asia/Tokyo"
    ).data[0].text[0]  # fmt: skip
    hours = pd.DataFrame({"bucket": ["2026-11-18T11", "2026-11-18T12"], "outcome": ["success"] * 2, "events": [5, 6]})
    counted = audit.over_time(hours, "light", "Asia/Kolkata").data[0]
    assert counted.customdata == ("<br>(16:30:00 Asia/Kolkata)", "<br>(17:30:00 Asia/Kolkata)")
    assert "%{customdata}" in counted.hovertemplate and " UTC: " in counted.hovertemplate
    # Days are in UTC, so they have no local time.
    days = hours.assign(bucket=["2026-11-17", "2026-11-18"])
    assert audit.over_time(days, "light", "Asia/Kolkata").to_json() == audit.over_time(days).to_json()
