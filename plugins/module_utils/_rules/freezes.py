# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Freezes: periods in which nothing may be changed, such as holidays or every Friday evening. Pure.

A freeze is a mapping with ``from`` and ``to`` (ISO 8601), and optionally ``zone`` (an IANA time zone, by default UTC),
``reason``, and ``rule``, a recurrence rule (RFC 5545 RRULE) whose first occurrence is from ``from`` to ``to``. A ``to``
without a time of day means the end of that day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from .answers import iso_time
from .durations import clock, duration
from .gate import DEFERRED, FAIL, INCONCLUSIVE, PASS, Check, NextStart
from .plain_values import is_blank

NAME = "freeze"
_KEYS = {"from", "to", "zone", "reason", "rule"}
# With other frequencies, the occurrences would be calculated second by second.
_FREQUENCIES = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
# Freezes that follow each other without a gap count as one. This is the maximum number of them.
_CHAINED = 60
_DAY_ONLY = len("2026-12-24")
_FIRST_YEAR, _LAST_YEAR = 1970, 2242


class Period(NamedTuple):
    """One occurrence of a freeze, in epoch seconds. The end is exclusive."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class Freeze:
    """One entry. ``start``, ``end``: its first occurrence, with time zones. ``rule``: by which it recurs, or None."""

    start: datetime
    end: datetime
    reason: str
    rule: Any = None

    def last_before(self, at: datetime) -> Period | None:
        """The latest occurrence that began at ``at`` or before, or None."""
        if self.rule is not None:
            return self._period(self.rule.before(at, inc=True))
        return self._period(self.start) if self.start <= at else None

    def first_after(self, at: datetime) -> Period | None:
        """The first occurrence that begins after ``at``, or None."""
        if self.rule is not None:
            return self._period(self.rule.after(at))
        return self._period(self.start) if self.start > at else None

    def _period(self, start: datetime | None) -> Period | None:
        """The occurrence that begins at ``start``; None for None.

        It takes as long as the first one in local time, even if the clocks change during it. If its end falls into an
        hour that exists twice, the second one counts.
        """
        if start is None:
            return None
        # If both have the same time zone, this is the difference in local time, else the time that passes.
        length = self.end - self.start
        return Period(start.timestamp(), (start + length).replace(fold=1).timestamp(), self.reason)


@dataclass(frozen=True)
class Freezes:
    """All freezes of a run. ``problem``: a sentence if they are invalid, so that nothing may be started; else empty."""

    entries: tuple[Freeze, ...] = ()
    problem: str = ""

    @classmethod
    def of(cls, given: Any) -> Freezes:
        """The freezes in a list of mappings, or in its JSON text; no freezes if ``given`` is blank. Raises nothing."""
        try:
            if isinstance(given, str) and not is_blank(given):
                given = _of_json(given)
            if is_blank(given):
                return cls()
            if not isinstance(given, list):
                raise ValueError(f"a list of freezes was expected, not {_shown(given)}")
            return cls(tuple(_numbered(number, entry) for number, entry in enumerate(given, 1)))
        except ValueError as bad:
            return cls(
                problem="The freezes cannot be read, so it is not known whether changes are frozen: "
                f"{str(bad).rstrip('.')}."
            )

    def during(self, at: float) -> Period | None:
        """The freeze at ``at`` (epoch seconds), including those that follow without a gap; None if there is none."""
        found: Period | None = None
        for _dummy in range(_CHAINED):
            last = self._longest(at if found is None else found.end)
            if last is None:
                break
            found = last if found is None else Period(found.start, last.end, found.reason)
        return found

    def next_after(self, at: float) -> Period | None:
        """The first freeze that begins after ``at`` (epoch seconds), or None."""
        moment = datetime.fromtimestamp(at, UTC)
        following = [period for freeze in self.entries if (period := freeze.first_after(moment)) is not None]
        return min(following, default=None)

    def between(self, first: float, last: float, most: int) -> list[Period]:
        """The freezes between ``first`` and ``last`` (epoch seconds) in order, at most ``most`` of them.

        A freeze that began before, or that ends later, is returned as a whole.
        """
        begin = datetime.fromtimestamp(first, UTC)
        found: list[Period] = []
        for freeze in self.entries:
            period = freeze.last_before(begin)
            if period is None or period.end <= first:
                period = freeze.first_after(begin)
            for _dummy in range(most):
                if period is None or period.start >= last:
                    break
                found.append(period)
                period = freeze.first_after(datetime.fromtimestamp(period.start, UTC))
        return sorted(set(found))[:most]

    def _longest(self, at: float) -> Period | None:
        moment = datetime.fromtimestamp(at, UTC)
        begun = [period for freeze in self.entries if (period := freeze.last_before(moment)) is not None]
        return max((period for period in begun if period.end > at), key=lambda period: period.end, default=None)


NO_FREEZES = Freezes()


def judge(freezes: Freezes, now: float, start: NextStart) -> Check:
    """Whether there is no freeze now (epoch seconds), and none begins too soon for ``start``."""
    if start.override:
        return Check(NAME, PASS, f"Freezes are overridden: {start.override}", {"overridden": True})
    if freezes.problem:
        return Check(NAME, INCONCLUSIVE, freezes.problem)
    stop = DEFERRED if start.started else FAIL
    frozen = freezes.during(now)
    if frozen is not None:
        facts = {"frozen_from": iso_time(frozen.start), "frozen_until": iso_time(frozen.end)}
        return Check(NAME, stop, f"Changes are frozen until {clock(frozen.end)}{_why(frozen)}.", facts)
    following = freezes.next_after(now)
    facts = {"frozen_from": iso_time(following.start) if following else None}
    if following is not None and now + start.needs + start.margin > following.start:
        return Check(
            NAME,
            stop,
            f"Changes are frozen from {clock(following.start)} on{_why(following)}. {start.subject} takes about "
            f"{duration(start.needs)} and {duration(start.margin)} must be left, so it would not end in time.",
            facts,
        )
    return Check(NAME, PASS, "Changes are not frozen.", facts)


def _why(period: Period) -> str:
    return f" ({period.reason})" if period.reason else ""


def _of_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the text is not valid JSON") from None


def _numbered(number: int, entry: Any) -> Freeze:
    try:
        return _freeze(entry)
    except ValueError as bad:
        raise ValueError(f"in freeze {number}, {bad}") from None


def _freeze(entry: Any) -> Freeze:
    if not isinstance(entry, Mapping):
        raise ValueError(f"a mapping with from and to was expected, not {_shown(entry)}")
    unknown = sorted(str(key) for key in entry if key not in _KEYS)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not known; the keys are {', '.join(sorted(_KEYS))}")
    zone = _zone(entry.get("zone"))
    start = _moment("from", entry.get("from"), zone)
    end = _moment("to", entry.get("to"), zone)
    if start >= end:
        raise ValueError(f"from ({entry['from']}) must be before to ({entry['to']})")
    reason = "" if is_blank(entry.get("reason")) else " ".join(str(entry["reason"]).split())
    rule = None if is_blank(entry.get("rule")) else _rule(entry["rule"], start)
    return Freeze(start, end, reason, rule)


def _zone(name: Any) -> tzinfo | None:
    if is_blank(name):
        return None
    try:
        return ZoneInfo(str(name))
    # ZoneInfo raises OSError for a name that is a folder of its database.
    except (ValueError, KeyError, OSError):
        raise ValueError(f"zone is {_shown(name)}, which is not a time zone that this machine knows") from None


def _moment(name: str, value: Any, zone: tzinfo | None) -> datetime:
    try:
        if not isinstance(value, str):
            raise ValueError
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(
            f"{name} is {_shown(value)}; a date or a time was expected, such as 2026-12-24T18:00"
        ) from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"{name} is {_shown(value)}; years are from {_FIRST_YEAR} to {_LAST_YEAR}")
    if name == "to" and len(value.strip()) <= _DAY_ONLY:
        moment += timedelta(days=1)
    if moment.tzinfo is not None and zone is not None:
        raise ValueError(f"{name} ({value}) has an offset of its own: leave it out, or leave out zone")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone or UTC)


def _rule(text: Any, start: datetime) -> Any:
    """The rule as an object of python-dateutil, which is imported only if a freeze has a rule. Raises ValueError."""
    try:
        from dateutil.rrule import rrulestr
    except ImportError:
        raise ValueError(
            "rule needs the Python library python-dateutil, which is not installed for the Python that runs Ansible"
        ) from None
    written = str(text).strip().upper().removeprefix("RRULE:")
    parts = dict(part.partition("=")[::2] for part in written.split(";"))
    if parts.get("FREQ") not in _FREQUENCIES or "\n" in written:
        raise ValueError(
            f"rule is {_shown(text)}; a rule of RFC 5545 was expected that is daily, weekly, monthly or yearly, such "
            "as FREQ=WEEKLY;BYDAY=FR"
        )
    if any(part in parts for part in ("BYHOUR", "BYMINUTE", "BYSECOND")):
        raise ValueError(f"rule is {_shown(text)}; from and to set the time of day")
    if not re.fullmatch("[1-9][0-9]{0,5}", parts.get("INTERVAL", "1")):
        raise ValueError(f"rule is {_shown(text)}; INTERVAL must be 1 or more")
    try:
        rule = rrulestr(written, dtstart=start, cache=True)
        first = rule.after(start, inc=True)
    except (ValueError, TypeError, KeyError, IndexError) as bad:
        raise ValueError(f"rule is {_shown(text)}, which cannot be read: {bad}") from None
    if first != start:
        raise ValueError(f"rule is {_shown(text)}, which does not fall on from ({start:%A %Y-%m-%d})")
    return rule


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]
