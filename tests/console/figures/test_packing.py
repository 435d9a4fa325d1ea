# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packing targets into slots: no overlap, as few slots as possible, and every target is placed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from console.figures.timeline.packing import UNPLACED, lay_out, occupied_until, pack, worst_image

TIMES = st.floats(0, 1000, allow_nan=False, width=32)
MAYBE = st.one_of(st.none(), TIMES)


def array(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


@given(spans=st.lists(st.tuples(TIMES, st.floats(0, 100, allow_nan=False, width=32)), max_size=60))
def test_targets_in_a_slot_never_overlap_and_there_are_as_few_slots_as_possible(
    spans: list[tuple[float, float]],
) -> None:
    start = array([s for s, _dummy in spans])
    end = start + array([d for _dummy, d in spans])
    slots = pack(start, end)
    until = occupied_until(start, end)
    peak = max((int(((start <= at) & (until > at)).sum()) for at in start), default=0)
    assert (slots.max() + 1 if slots.size else 0) == peak
    for one in range(len(spans)):
        for two in range(one):
            if slots[one] == slots[two]:
                assert until[one] <= start[two] or until[two] <= start[one]


@given(rows=st.lists(st.tuples(MAYBE, MAYBE, MAYBE, MAYBE, st.booleans()), max_size=40))
def test_every_started_target_with_a_known_end_is_placed_once(rows: list[tuple]) -> None:
    created, started, completed, countdown = (array([row[n] for row in rows]) for n in range(4))
    is_open = np.array([row[4] for row in rows], dtype=bool)
    layout = lay_out(created, started, completed, countdown, is_open, now=1200.0)
    for n, (_c, begun, done, _w, still_open) in enumerate(rows):
        placed = begun is not None and (done is not None or still_open)
        assert (layout.slot[n] != UNPLACED) == placed
        if placed:
            assert layout.end[n] >= layout.start[n] == begun
            assert layout.wait_from[n] <= layout.start[n] or np.isnan(layout.wait_from[n])


@given(spans=st.lists(st.tuples(TIMES, st.floats(1, 100, width=32)), min_size=1, max_size=40), bins=st.integers(1, 300))
def test_the_image_shows_the_worst_target_of_each_slot(spans: list[tuple[float, float]], bins: int) -> None:
    start = array([s for s, _dummy in spans])
    end = start + array([d for _dummy, d in spans])
    nothing = np.full(start.size, np.nan)
    layout = lay_out(start, start, end, nothing, np.zeros(start.size, dtype=bool), now=0.0)
    severity = (np.arange(start.size) % 3 + 1).astype(np.uint8)
    image = worst_image(layout, severity, float(start.min()), float(end.max()), bins)
    assert image.shape == (layout.slots, bins)
    for slot in range(layout.slots):
        members = severity[layout.slot == slot]
        assert image[slot].max() == members.max()
