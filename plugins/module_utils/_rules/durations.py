# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Durations: percentiles, the usual duration of a redeploy, and durations and times in words. Pure.

Percentiles are calculated by the nearest-rank method, so each is a duration that was measured, not an interpolated one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from .ids import id_key


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that at least ``percent`` % (1 to 100) of the values do not exceed; None without values."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1] if values else None


def duration(seconds: float) -> str:
    """Seconds in words: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(at: float) -> str:
    """Epoch seconds in words, in UTC and to the minute: 2026-12-24 18:00 UTC. Python has no years after 9999."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "after the year 9999"


def pause_before_look(waited: float, expected: float | None, shortest: float, longest: float) -> float:
    """Seconds until the next check of work that has taken ``waited`` seconds and usually takes ``expected`` (or None).

    This is a quarter of the time that is usually left, and later a tenth of the time by which the work is overdue.
    Without ``expected``, it is a fortieth of ``waited``. So the end is noticed with a delay that is short compared
    with the work. The result is from ``shortest`` to ``longest`` seconds.
    """
    usual = waited / 40 if expected is None else max((expected - waited) / 4, (waited - expected) / 10)
    return min(max(usual, shortest), longest)


class Usual:
    """How long the redeploy of an instance usually takes, from its own past redeploys, or else from those of the fleet.

    ``known``: the seconds of past redeploys by instance (id_key). ``fallback``: the seconds if there are none at all.
    """

    def __init__(self, known: Mapping[str, Sequence[float]], fallback: float) -> None:
        everything = [seconds for past in known.values() for seconds in past]
        self._known, self._fallback = known, fallback
        self._fleet = {percent: percentile(everything, percent) for percent in (50, 90)}

    def known_seconds(self, instance_id: str, percent: int) -> float | None:
        """The seconds that ``percent`` % (50 or 90) of the redeploys do not exceed; None if there are none."""
        own = percentile(self._known.get(id_key(instance_id), ()), percent)
        return self._fleet[percent] if own is None else own

    def of(self, instance_id: str, percent: int) -> float:
        """As ``known_seconds``, but the fallback if there are no past redeploys."""
        known = self.known_seconds(instance_id, percent)
        return self._fallback if known is None else known
