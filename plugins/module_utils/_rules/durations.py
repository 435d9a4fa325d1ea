# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Percentiles of durations by the nearest-rank method: always a duration that was measured, never one in between."""

from __future__ import annotations

from collections.abc import Sequence


def nearest_rank(count: int, percent: int) -> int:
    """The index, in ``count`` sorted values, of the smallest one that at least ``percent`` % do not exceed.

    ``count`` and ``percent`` (1 to 100) are 1 or more.
    """
    return -(-count * percent // 100) - 1


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that at least ``percent`` % of the values do not exceed; None without values."""
    return sorted(values)[nearest_rank(len(values), percent)] if values else None


def pause_before_look(waited: float, expected: float | None, shortest: float, longest: float) -> float:
    """Seconds until the next look at work that has taken ``waited`` seconds and usually takes ``expected`` (or None).

    A quarter of the time that is usually left, later a tenth of the time by which it is overdue, so that the end is
    seen late by a small part of the work; without ``expected``, a tenth of the time that it has taken.
    """
    usual = waited / 10 if expected is None else max((expected - waited) / 4, (waited - expected) / 10)
    return min(max(usual, shortest), longest)
