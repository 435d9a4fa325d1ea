# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout of a timeline: slots, phases, and the image of a heat map. Pure numpy.

A rollout works on at most ``max_parallel_rollouts`` targets at once, so first-free-slot packing needs as many rows as
the peak concurrency, whatever the size of the fleet. All times are seconds since the epoch, UTC; NaN means "no time".
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNPLACED = -1
"""The slot of a target without a run phase: it is still waiting, it never started, or its times are missing."""


@dataclass(frozen=True)
class Layout:
    """Every array has one entry for each target, in the order given to :func:`lay_out`.

    slot: the row of the run phase, 0 at the top, ``UNPLACED`` if there is none.
    start, end: the run phase; an open one ends at ``now``.
    open: whether the run phase has not ended yet.
    wait_from, wait_until: the countdown and the queue before the run phase, while the slot was free.
    planned: created_at + countdown, when the server planned to start the target.
    """

    slot: Ints
    start: Floats
    end: Floats
    open: Bools
    wait_from: Floats
    wait_until: Floats
    planned: Floats

    @property
    def placed(self) -> Bools:
        """True where the target has a bar."""
        placed: Bools = self.slot != UNPLACED
        return placed

    @property
    def slots(self) -> int:
        """Number of rows, which is the peak concurrency."""
        return int(self.slot.max()) + 1 if self.slot.size else 0

    @property
    def bounds(self) -> tuple[float, float] | None:
        """First start and last end in epoch seconds, None if no target has a bar."""
        placed = self.placed
        if not placed.any():
            return None
        return float(self.start[placed].min()), float(self.end[placed].max())


@dataclass(frozen=True)
class Usual:
    """The usual duration of a run phase: median and 95th percentile in seconds, NaN if there are too few earlier runs.

    p50, p95, deploys: one entry for each target, from earlier successful deploys of its instance. fleet_*: from all.
    """

    p50: Floats
    p95: Floats
    deploys: Ints
    fleet_p50: float = math.nan
    fleet_p95: float = math.nan
    fleet_deploys: int = 0

    def any(self, rows: Bools) -> bool:
        """Whether the usual duration is known for any of ``rows``."""
        return bool(rows.any() and (math.isfinite(self.fleet_p95) or np.isfinite(self.p95[rows]).any()))

    def sentences(self, row: int, took: float, fmt: Callable[[float], str]) -> list[str]:
        """The usual duration in words, for a target that took ``took`` seconds; ``fmt`` formats seconds."""
        lines = []
        known = (
            ("usual here", self.p50[row], self.p95[row], int(self.deploys[row])),
            ("usual in the fleet", self.fleet_p50, self.fleet_p95, self.fleet_deploys),
        )
        for name, p50, p95, deploys in known:
            if math.isfinite(p95):
                more = ", longer than that" if took > p95 else ""
                lines.append(f"{name}: half within {fmt(p50)}, 95 % within {fmt(p95)} ({deploys:,} deploys){more}")
        return lines


def occupied_until(start: Floats, end: Floats) -> Floats:
    """The end of each span. A span of length zero gets a minimal length, so that two such spans do not share a slot."""
    return np.where(end > start, end, np.nextafter(start, np.inf))


def pack(start: Floats, end: Floats) -> Ints:
    """Give each span [start, end) the lowest slot that is free at its start.

    Greedy by start time is optimal for intervals: the number of slots is the peak concurrency.
    Both arrays are finite; end >= start.
    """
    slots = np.empty(start.size, dtype=np.int64)
    order = np.lexsort((end, start)).tolist()
    starts, untils = start.tolist(), occupied_until(start, end).tolist()
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    opened = 0
    for row in order:
        while busy and busy[0][0] <= starts[row]:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            slot = heapq.heappop(free)
        else:
            slot, opened = opened, opened + 1
        slots[row] = slot
        heapq.heappush(busy, (untils[row], slot))
    return slots


def lay_out(
    created: Floats, started: Floats, completed: Floats, countdown: Floats, is_open: Bools, now: float
) -> Layout:
    """Place every target that has started.

    is_open: the status of the target is not final. Without completed_at, its run phase then ends at ``now``. A target
    with a final status but without completed_at is not placed, because its end is unknown.
    """
    size = started.size
    running = is_open & np.isnan(completed)
    end = np.where(running, max(now, 0.0), completed)
    placed = np.isfinite(started) & np.isfinite(end)
    # completed_at can be before started_at, because the server rounds.
    end = np.where(placed, np.maximum(end, started), np.nan)
    slot = np.full(size, UNPLACED, dtype=np.int64)
    slot[placed] = pack(started[placed], end[placed])

    wait_until = np.where(placed, started, np.nan)
    wait_from = np.fmin(np.where(placed, created, np.nan), wait_until)
    wait_from = np.fmax(wait_from, _free_since(slot, started, end))
    planned = created + np.where(np.isfinite(countdown), countdown, 0.0)
    return Layout(slot, np.where(placed, started, np.nan), end, placed & running, wait_from, wait_until, planned)


def _free_since(slot: Ints, start: Floats, end: Floats) -> Floats:
    """When the slot of each placed target became free before it; NaN for the first target in a slot."""
    since = np.full(slot.size, np.nan)
    placed = np.flatnonzero(slot != UNPLACED)
    order = placed[np.lexsort((end[placed], start[placed], slot[placed]))]
    follows = slot[order[1:]] == slot[order[:-1]]
    since[order[1:][follows]] = end[order[:-1][follows]]
    return since


def in_window(layout: Layout, first: float, last: float) -> Bools:
    """True for placed targets whose run phase touches [first, last]."""
    return layout.placed & (layout.start <= last) & (layout.end >= first)


def worst_image(
    layout: Layout, severity: npt.NDArray[np.uint8], first: float, last: float, bins: int = 1200
) -> npt.NDArray[np.uint8]:
    """An image of slots x time bins: the highest severity of the targets in a cell, 0 if the slot was idle."""
    image = np.zeros((layout.slots, bins), dtype=np.uint8)
    rows = np.flatnonzero(in_window(layout, first, last))
    if not rows.size:
        return image
    scale = bins / max(last - first, 1e-9)
    left = np.clip((layout.start[rows] - first) * scale, 0, bins - 1).astype(np.int64)
    # An end on the border of two bins belongs to the left one only.
    right = np.clip(np.ceil((layout.end[rows] - first) * scale) - 1, 0, bins - 1).astype(np.int64)
    right = np.maximum(left, right)
    width = right - left + 1
    offset = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
    np.maximum.at(
        image, (np.repeat(layout.slot[rows], width), np.repeat(left, width) + offset), np.repeat(severity[rows], width)
    )
    return image
