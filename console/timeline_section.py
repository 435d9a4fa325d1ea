# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline on a page: bars, or for a big rollout an image with a window; tells the page which window was chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from console import charts, queries, ui
from console.timeline import Layout, in_window, lay_out

HELP = (
    "Every row is a slot: one of the places in which the server works at the same time. A target takes the first "
    "free one, so there are as many rows as targets were ever in progress at once. A thin bar is the wait before it. "
    "Hover a bar for its target; drag to zoom, double-click to go back."
)

PER_SLOT, PER_TARGET = "Row per slot", "Row per target"


@dataclass(frozen=True)
class Timeline:
    """Targets and their places. ``now`` is where open bars end: the time of the last look at the API."""

    targets: pd.DataFrame
    layout: Layout
    now: float

    @property
    def waiting(self) -> int:
        return int((self.targets["status"] == "queued").sum())

    @property
    def without_times(self) -> int:
        """Targets that are neither placed, nor waiting, nor cancelled before they began: their times are missing."""
        words, never = self.targets["status"], self.targets["started_at"].isna()
        excused = (words == "queued") | ((words == "cancelled") & never)
        return int((~self.layout.placed & ~excused.to_numpy()).sum())


def _arrange(targets: pd.DataFrame, now: float) -> Timeline:
    layout = lay_out(
        targets["created_at"].to_numpy(float),
        targets["started_at"].to_numpy(float),
        targets["completed_at"].to_numpy(float),
        targets["countdown_s"].to_numpy(float),
        targets["is_open"].to_numpy(bool),
        now,
    )
    return Timeline(targets, layout, now)


Source = tuple[str, tuple[Any, ...]]


@st.cache_data(max_entries=24, ttl=3600, show_spinner=False)
def _timeline(path: str, stamp: tuple[int, ...], source: Source, now: float) -> Timeline:
    name, args = source
    return _arrange(getattr(queries, name)(Path(path), *args), now)


@st.cache_data(max_entries=48, ttl=3600, show_spinner=False)
def _figure(
    path: str,
    stamp: tuple[int, ...],
    source: Source,
    now: float,
    kind: str,
    theme: str,
    rows: charts.Rows,
    window: tuple[float, float] | None,
) -> str:
    timeline = _timeline(path, stamp, source, now)
    if kind == "image":
        return ui.to_json(charts.timeline_image(timeline.targets, timeline.layout, theme, window))
    return ui.to_json(charts.timeline_bars(timeline.targets, timeline.layout, now, theme, rows, window))


def show(query: Callable[..., pd.DataFrame], *args: Any, now: float) -> tuple[float, float] | None:
    """Draw the timeline of the targets that ``query(path, *args)`` gives; returns the chosen window, None for all."""
    path = ui.settings().database
    key: tuple[str, tuple[int, ...], Source, float] = (str(path), queries.stamp(path), (query.__name__, args), now)
    timeline = _timeline(*key)
    count, bounds = int(timeline.layout.placed.sum()), timeline.layout.bounds
    st.space("xsmall")
    head = ui.row()
    head.subheader("Timeline", help=HELP, width="content")
    if bounds is None:
        _notes(timeline)
        return None
    rows: charts.Rows = "slots"
    if len(timeline.targets) <= charts.ROWS_MOST:
        with head:
            chosen = st.segmented_control(
                "Rows",
                [PER_SLOT, PER_TARGET],
                default=PER_SLOT,
                required=True,
                label_visibility="collapsed",
                key="rows",
                bind="query-params",
            )
        rows = "targets" if chosen == PER_TARGET else "slots"
    alt = f"Timeline of {count} targets in {timeline.layout.slots} slots"
    if count <= charts.BARS_MOST:
        ui.chart(_figure(*key, "bars", ui.theme(), rows, None), alt, "timeline")
        _notes(timeline, rows)
        return None
    # The slider stands below the image but decides what the image marks.
    picture = st.container()
    window = _window(timeline, bounds)
    with picture:
        ui.chart(_figure(*key, "image", ui.theme(), "slots", window), alt, "timeline")
    _notes(timeline)
    inside = count if window is None else int(in_window(timeline.layout, *window).sum())
    if 0 < inside <= charts.BARS_MOST:
        title = f"Timeline of the {inside} targets in the window"
        ui.chart(_figure(*key, "bars", ui.theme(), "slots", window), title, "timeline_window")
    else:
        st.caption(
            f"{inside:,} targets in the window. Narrow it to {charts.BARS_MOST:,} or fewer to see each one as a bar."
        )
    return window


def _window(timeline: Timeline, bounds: tuple[float, float]) -> tuple[float, float] | None:
    """The window slider, in seconds after the first start; None when it covers everything."""
    # While the rollout grows the slider's end moves in steps, so that the chosen window survives a refresh.
    step = 600 if timeline.layout.open.any() else 1
    most = max(step, math.ceil((bounds[1] - bounds[0]) / step) * step)
    first, last = st.slider(
        "Window, in seconds after the first start",
        0,
        most,
        (0, most),
        key="window",
        bind="query-params",
        help="The bars below and the table show the targets that were in progress within the window.",
    )
    if (first, last) == (0, most):
        return None
    window = (bounds[0] + first, bounds[0] + last)
    st.caption(f"{charts.moment(window[0])} to {charts.moment(window[1], '%H:%M:%S')} UTC")
    return window


def _notes(timeline: Timeline, rows: charts.Rows = "slots") -> None:
    """What the picture does not show."""
    notes = []
    if np.any(timeline.layout.open):
        until = charts.moment(timeline.now, "%H:%M:%S")
        notes.append(f"{int(timeline.layout.open.sum()):,} in progress, drawn up to {until} UTC")
    if timeline.waiting and rows == "slots":
        notes.append(f"{timeline.waiting:,} still waiting, without a bar")
    if timeline.without_times:
        plural = "s" if timeline.without_times > 1 else ""
        verb = "are" if timeline.without_times > 1 else "is"
        notes.append(f"{timeline.without_times:,} target{plural} without times {verb} only in the table")
    if notes:
        st.caption(" · ".join(notes))
