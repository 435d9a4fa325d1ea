# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer's clock, time zone and theme."""

from __future__ import annotations

import time

import streamlit as st

from console.text import times

UTC, OWN = "UTC", "Local time"
_TIMES = "times"


def clock() -> float:
    """The current time, in whole epoch seconds."""
    return float(int(time.time()))


def ago(at: float) -> str:
    return times.ago(time.time() - at)


def zone() -> str:
    """The viewer's time zone as reported by the browser; '' for UTC and for a name that is not in the tz database."""
    return times.known_zone(st.context.timezone)


def shown_zone() -> str:
    """The zone in which the pages show times: the viewer's if it was chosen; '' for UTC."""
    return zone() if st.session_state.get(_TIMES) == OWN else ""


def zone_word() -> str:
    """The name of :func:`shown_zone` for labels."""
    return shown_zone() or "UTC"


def zone_switch() -> None:
    """The choice between UTC and the viewer's zone, if they differ. It applies to all pages of the session."""
    if not zone():
        return
    st.segmented_control(
        "Times", (UTC, OWN), default=UTC, required=True, label_visibility="collapsed", key=_TIMES,
        persist_state="session", help=f"Your time zone: {zone()}",
    )  # fmt: skip


def moment(at: float | None, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time in the shown zone, followed by the zone's name; '' if unknown."""
    text = times.moment(at, pattern, shown_zone())
    return f"{text} {zone_word()}" if text else ""


def period(first: float | None, last: float | None, pattern: str = "%Y-%m-%d %H:%M:%S", *, goes_on: bool = True) -> str:
    """A period in the shown zone, with its name: 'A to B UTC'. Without an end it is 'A UTC to now', or if not
    ``goes_on``, 'A UTC to an unknown time'."""
    return _period(times.moment(first, pattern, shown_zone()), times.moment(last, pattern, shown_zone()), goes_on)


def day_period(first: float | None, last: float | None, *, goes_on: bool = True) -> str:
    """Like :func:`period` in the words of :func:`when`, with a day only once: 'yesterday 22:05 to 22:31 UTC'."""
    begin, end = when(first), when(last)
    day, _space, clock = end.rpartition(" ")
    return day_moment(first) if begin == end else _period(begin, clock if begin.startswith(f"{day} ") else end, goes_on)


def _period(begin: str, end: str, goes_on: bool) -> str:
    open_end = f"{begin} {zone_word()} to {'now' if goes_on else 'an unknown time'}"
    return "" if not begin else f"{begin} to {end} {zone_word()}" if end else open_end


def theme() -> str:
    """'light' or 'dark', as the browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"


def when(at: float | None) -> str:
    """A time in the shown zone for lists, with a near day in words: 'today 02:14', 'tomorrow 22:05'."""
    return times.day_and_time(at, time.time(), shown_zone())


def day_moment(at: float | None) -> str:
    """Like :func:`when`, followed by the zone's name, for sentences: 'today 02:14 UTC'."""
    text = when(at)
    return f"{text} {zone_word()}" if text else ""


def clock_time(at: float | None) -> str:
    """A time with its date and its seconds in the shown zone; '' if unknown."""
    return times.moment(at, zone=shown_zone())
