# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How pages, messages and charts write times, durations, ages and sizes. Pure.

A zone is its name in the time zone database, '' for UTC or an unknown zone.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

CLOCK_TOLERANCE = 60.0
"""Seconds by which two correct clocks, or two moments of one sync, may differ."""


def is_time(column: str) -> bool:
    """Whether a column with this name contains times in epoch seconds."""
    return column in ("at", "since", "until", "gap_from", "gap_to") or column.endswith(("_at", "_ts"))


def is_duration(column: str) -> bool:
    """Whether a column with this name contains seconds."""
    return column.endswith("_s") or column.startswith(("seconds", "waited"))


def ahead_by(at: float | None, now: float) -> float | None:
    """How many seconds a recorded time is in the future, because a clock was ahead; None if it is not."""
    return at - now if at is not None and at > now + CLOCK_TOLERANCE else None


def duration(seconds: float | None) -> str:
    """Seconds for people: '38 s', '7 min 02 s', '5 h 22 min', '3 d 4 h'; '' when unknown."""
    if seconds is None or not np.isfinite(seconds):
        return ""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rounded(seconds: float) -> str:
    """Seconds in the largest unit of which there are at least two: '45 s', '30 min', '5 h', '3 d'."""
    for unit, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0.0):.0f} s"


def ago(seconds: float) -> str:
    """How long ago something was: 'just now', '38 s ago', '5 h ago'."""
    return "just now" if seconds < 10 else f"{rounded(seconds)} ago"


def size(count: float) -> str:
    """Bytes for people: '0.5 KiB', '12 KiB', '1,024 MiB'."""
    unit, name = (1024.0 * 1024.0, "MiB") if count >= 1024 * 1024 else (1024.0, "KiB")
    # A decimal place only below 10, and not for whole numbers.
    return f"{count / unit:,.{int(count < 10 * unit and bool(count % unit))}f} {name}"


def moment(seconds: float | None, pattern: str = "%Y-%m-%d %H:%M:%S", zone: str = "") -> str:
    """Epoch seconds as text, in UTC or in a zone; '' when unknown."""
    if seconds is None or not np.isfinite(seconds):
        return ""
    try:
        return datetime.fromtimestamp(seconds, ZoneInfo(zone) if zone else UTC).strftime(pattern)
    except (OverflowError, ValueError, OSError):
        return ""


def moments(zone: str, *times: float) -> str:
    """A time in epoch seconds, or a start and an end, for a label: in UTC, and below it in the viewer's zone."""
    text, in_zone = f"{' to '.join(moment(at) for at in times)} UTC", local(zone, *times)
    return f"{text}<br>({in_zone})" if in_zone else text


def day_and_time(at: float | None, now: float, zone: str = "") -> str:
    """A time in UTC or in a zone, with words for near days, and the year only if it is not this year: 'today 02:14',
    'yesterday 22:05', 'tomorrow 06:00', '11-02 09:30', '2025-12-31 23:59'; '' when unknown."""
    day, today = moment(at, "%Y-%m-%d", zone), moment(now, "%Y-%m-%d", zone)
    if not day:
        return ""
    # Calendar days, not 24 hours: the day on which summer time ends has 25 hours.
    near = {"yesterday": -1, "today": 0, "tomorrow": 1}
    names = {str(date.fromisoformat(today) + timedelta(days=n)): name for name, n in near.items()}
    return f"{names.get(day) or (day[5:] if day[:4] == today[:4] else day)} {moment(at, '%H:%M', zone)}"


@cache
def _names() -> frozenset[str]:
    # "localtime" is the zone of the server, and means nothing to a viewer.
    return frozenset(available_timezones() - {"localtime"})


def known_zone(name: str | None) -> str:
    """The zone that a browser reports; '' for UTC under any of its names, and for an unknown name."""
    # Looked up before anything else: the name is untrusted, and ZoneInfo opens a file of that name.
    if name not in _names():
        return ""
    return "" if ZoneInfo(name).utcoffset(None) == timedelta(0) else name


def local(zone: str, *moments: float | None) -> str:
    """Epoch seconds as '06:41:17 Europe/Berlin', two as '06:41:17 to 07:02:10 Europe/Berlin'; with dates if one of them
    differs from that in UTC. '' if all are unknown, or if the zone has the same times as UTC."""
    pairs = [pair for pair in (_pair(zone, at) for at in moments) if pair is not None]
    if all(in_zone.utcoffset() == timedelta(0) for in_zone, _utc in pairs):
        return ""
    same_day = all(in_zone.date() == utc.date() for in_zone, utc in pairs)
    pattern = "%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S"
    return f"{' to '.join(in_zone.strftime(pattern) for in_zone, _utc in pairs)} {zone}"


def _pair(zone: str, seconds: float | None) -> tuple[datetime, datetime] | None:
    """The time in the zone and in UTC; None without a zone or a time."""
    if not zone or seconds is None or not math.isfinite(seconds):
        return None
    try:
        utc = datetime.fromtimestamp(seconds, UTC)
        return utc.astimezone(ZoneInfo(zone)), utc
    except (OverflowError, ValueError, OSError):
        # The last hours of the year 9999 in UTC are out of range in zones further east.
        return None
