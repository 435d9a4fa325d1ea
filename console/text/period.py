# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a time or a period as people write it: 'yesterday', '10:00 to 10:10', '2026-11-02 09:30', '90 min ago'. Pure.

Times are in the zone at the end of the text ('10:00 to 10:10 UTC', '10:00 Europe/Berlin'), otherwise in the zone that
the caller gives ('' for UTC). A time with Z or +00:00 is in UTC in any case. A time that occurs twice, or not at all,
because summer time ends or begins has two meanings: a period starts at the earlier one and ends at the later one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from console.text.times import known_zone

EXAMPLES = "yesterday, 10:00 to 10:10, 2026-11-02, 2026-11-02 09:30 to 11:00, last 2 h"

_UNITS = {"m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0}
_LAST = re.compile(r"last\s+(\d{1,5})\s*([a-z]+)|(\d{1,5})\s*([a-z]+)\s+ago")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# The T of ISO 8601 between a day and a time.
_ISO = re.compile(rf"({_DAY.pattern})t")


class PeriodError(ValueError):
    """A text that is not a period. The message is for people."""


def parse(text: str, now: float, zone: str = "") -> tuple[float | None, float | None]:
    """The start and the end of a period in epoch seconds; (None, None) for an empty text, None for an open end.

    A single time starts an open period, and a single day is the complete day. Raises PeriodError.
    """
    rest, _space, name = text.rstrip().rpartition(" ")
    named = known_zone(name)
    if named or name.lower() == "utc":
        zone = named
    else:
        rest = text
    words = " ".join(_ISO.sub(r"\1 ", rest.lower()).split())
    if not words:
        return None, None
    begin, to, end = words.partition(" to ")
    first, first_end, day = _moment(begin, now, None, text, _zone(zone), min)
    if not to:
        return first, first_end
    last, last_end, _day = _moment(end, now, day, text, _zone(zone), max)
    until = last_end if last_end is not None else last
    if until <= first:
        raise PeriodError(f"In {text!r}, the end is not after the beginning.")
    return first, until


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if name else UTC


def _moment(
    text: str, now: float, day: date | None, full_text: str, zone: tzinfo, either: Callable[[float, float], float]
) -> tuple[float, float | None, date | None]:
    """The moment, the end of its day if the text is only a day, and its day. either: selects one of two meanings."""
    today = datetime.fromtimestamp(now, zone).date()
    if text == "now":
        return now, None, today
    if found := _LAST.fullmatch(text):
        number, unit = (found[1] or found[3]), (found[2] or found[4])
        if unit not in _UNITS:
            raise PeriodError(f"{full_text!r} has no known unit: use min, h or days.")
        return now - int(number) * _UNITS[unit], None, today
    name, _space, clock = text.partition(" ")
    named = {"today": today, "yesterday": today - timedelta(days=1)}.get(name)
    try:
        if named is None and _DAY.fullmatch(name):
            named = date.fromisoformat(name)
        if named is None:
            named, clock = day or today, text
        elif not clock:
            start = datetime.combine(named, time(), zone).timestamp()
            return start, datetime.combine(named + timedelta(days=1), time(), zone).timestamp(), named
        in_zone = clock.removesuffix("z").removesuffix("+00:00")
        zone = zone if in_zone == clock else UTC
        if not (found := _CLOCK.fullmatch(in_zone.strip())):
            raise PeriodError(f"{full_text!r} is not a time. Examples: {EXAMPLES}.")
        at = time(int(found[1]), int(found[2]), int(found[3] or 0))
    except PeriodError:
        raise
    except (ValueError, OverflowError) as bad:
        raise PeriodError(f"{full_text!r} is not a time: {bad}.") from bad
    first = datetime.combine(named, at, zone)
    return either(first.timestamp(), first.replace(fold=1).timestamp()), None, named
