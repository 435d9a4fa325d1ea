# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Percentiles of durations by the nearest-rank method: always a duration that was measured, never one in between.

And durations and moments in words. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from .ids import id_key


def nearest_rank(count: int, percent: int) -> int:
    """The index, in ``count`` sorted values, of the smallest one that at least ``percent`` % do not exceed.

    ``count`` and ``percent`` (1 to 100) are 1 or more.
    """
    return -(-count * percent // 100) - 1


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that at least ``percent`` % of the values do not exceed; None without values."""
    return sorted(values)[nearest_rank(len(values), percent)] if values else None


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(at: float) -> str:
    """Epoch seconds as a moment in UTC, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pause_before_look(waited: float, expected: float | None, shortest: float, longest: float) -> float:
    """Seconds until the next look at work that has taken ``waited`` seconds and usually takes ``expected`` (or None).

    A quarter of the time that is usually left, later a tenth of the time by which it is overdue, so that the end is
    seen late by a small part of the work; without ``expected``, a fortieth of the time that it has taken.
    """
    usual = waited / 40 if expected is None else max((expected - waited) / 4, (waited - expected) / 10)
    return min(max(usual, shortest), longest)


class Usual:
    """How long the redeploy of an instance takes as a rule, by its own past or else by the fleet's.

    ``known``: seconds of past redeploys by instance (id_key). ``fallback``: seconds where nothing is known.
    """

    def __init__(self, known: Mapping[str, Sequence[float]], fallback: float) -> None:
        everything = [seconds for past in known.values() for seconds in past]
        self._known, self._fallback = known, fallback
        self._fleet = {percent: percentile(everything, percent) for percent in (50, 90)}

    def told(self, instance_id: str, percent: int) -> float | None:
        """Seconds that ``percent`` (50 or 90) % of its redeploys do not exceed; None if nothing is known."""
        own = percentile(self._known.get(id_key(instance_id), ()), percent)
        return self._fleet[percent] if own is None else own

    def of(self, instance_id: str, percent: int) -> float:
        """The same, or the fallback."""
        told = self.told(instance_id, percent)
        return self._fallback if told is None else told
