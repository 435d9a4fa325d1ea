# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times in the viewer's own time zone, shown in addition to UTC. Pure.

A zone is its name in the time zone database, '' for UTC or an unknown zone.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def _names() -> frozenset[str]:
    # "localtime" is the server's own zone, meaningless to a viewer.
    return frozenset(available_timezones() - {"localtime"})


def known(name: str | None) -> str:
    """What a browser calls its zone, as a zone: '' for UTC under any of its names, and for an unknown name."""
    # Looked up before anything else: the name is untrusted, and ZoneInfo opens a file of that name.
    if name not in _names():
        return ""
    return "" if ZoneInfo(name).utcoffset(None) == timedelta(0) else name


def local(zone: str, *moments: float | None) -> str:
    """Epoch seconds as '06:41:17 Europe/Berlin', two as '06:41:17 to 07:02:10 Europe/Berlin'; with dates as soon as one
    is not that of UTC. '' when all are unknown or the zone's clock shows then what UTC's does."""
    pairs = [pair for pair in (_pair(zone, at) for at in moments) if pair is not None]
    if all(there.utcoffset() == timedelta(0) for there, _utc in pairs):
        return ""
    same_day = all(there.date() == utc.date() for there, utc in pairs)
    pattern = "%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S"
    return f"{' to '.join(there.strftime(pattern) for there, _utc in pairs)} {zone}"


def _pair(zone: str, seconds: float | None) -> tuple[datetime, datetime] | None:
    """The moment there and in UTC; None without a zone or a time."""
    if not zone or seconds is None or not math.isfinite(seconds):
        return None
    try:
        utc = datetime.fromtimestamp(seconds, UTC)
        return utc.astimezone(ZoneInfo(zone)), utc
    except (OverflowError, ValueError, OSError):
        # The last hours of the year 9999 in UTC are out of range in zones further east.
        return None
