# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks as bands in time. Pure.

A check gives the health at one moment. Its result counts until the next check, but at most for :func:`usual_hold`
seconds; after that the health is unknown and there is no band.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

HOLD_LEAST, HOLD_MOST = 300.0, 6 * 3600.0


class Band(NamedTuple):
    """A time with one status, in epoch seconds; ``checks`` is the number of checks in it."""

    start: float
    end: float
    status: str
    checks: int


def usual_hold(checked: Sequence[float]) -> float:
    """Twice the median time between two checks, but at least 5 minutes and at most 6 hours."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(checked) if later > earlier]
    usual = 2 * statistics.median(gaps) if gaps else HOLD_LEAST
    return min(max(usual, HOLD_LEAST), HOLD_MOST)


def bands(checked: Sequence[float], statuses: Sequence[str], now: float) -> list[Band]:
    """The bands of checks in time order; adjacent bands with the same status are one band."""
    most = usual_hold(checked)
    found: list[Band] = []
    for position, (at, status) in enumerate(zip(checked, statuses, strict=True)):
        until = checked[position + 1] if position + 1 < len(checked) else max(now, at)
        band = Band(at, min(until, at + most), status, 1)
        if found and found[-1].status == status and found[-1].end == at:
            band = Band(found[-1].start, band.end, status, found.pop().checks + 1)
        found.append(band)
    return found
