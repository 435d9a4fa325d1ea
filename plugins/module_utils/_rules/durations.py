# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Percentiles of durations by the nearest-rank method: always a duration that was measured, never one in between.

And durations and moments in words. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


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
