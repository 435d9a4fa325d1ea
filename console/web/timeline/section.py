# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline on a page: bars, or for a large rollout a heat map and the bars of a window."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st

from console.figures.timeline import axes
from console.figures.timeline.axes import CLOCK, Axis, DrawOptions, Mark
from console.figures.timeline.bars import timeline_bars
from console.figures.timeline.heatmap import timeline_heatmap
from console.figures.timeline.packing import Layout, Usual, in_window, lay_out
from console.record.read import durations, frames, freshness, rollouts
from console.settings.environment import load_settings
from console.text.counts import counted
from console.text.listing import records
from console.web.browser import auto_refresh
from console.web.shared import cached, lists, plot, viewer
from console.web.timeline import selection

HELP = (
    "A thick bar is the run of a target. The thin bar before it is the wait: first the countdown, then the queue. "
    "Row per slot: targets share rows, and each takes the first free row, so there are as many rows as targets that "
    "were in progress at the same time. The strip below a bar shows when it usually ends: from the median to the 95th "
    "percentile of earlier runs. Click a bar to select its target, and again to deselect it. Use the box tool above "
    "the chart to select several. Drag to zoom, and double-click to reset. The zoom sets the window below, which is "
    "part of the address and also filters the table. The page is not refreshed while something is selected or zoomed."
)

PER_SLOT, PER_TARGET = "Row per slot", "Row per target"
TIME_OF_DAY, ELAPSED = "Clock (UTC)", "Elapsed"
BARS, WINDOW_BARS, HEATMAP = "timeline", "timeline_window", "timeline_heatmap"

WINDOW, _WINDOW_OF, _ZOOM = "window", "window_of", "zoom"
_ZOOM_JS = Path(__file__).with_name("chart_zoom.js").read_text(encoding="utf-8")
WINDOW_FROM = 11
"""With at least this many targets, the slider for the window is always shown; with fewer, only after a zoom."""


# The tenant and the id of the rollout that is drawn, or the id of the run.
Source = tuple[str, ...]
Read = Callable[[], pd.DataFrame]
Kind = Literal["bars", "heatmap"]


# Cached as a resource, because nothing modifies it and copying 20,000 targets would take 40 ms in each run.
@st.cache_resource(max_entries=12, ttl=3600, show_spinner=False)
def _timeline(
    path: str, stamp: tuple[int, ...], source: Source, now: float, _read: Read
) -> tuple[pd.DataFrame, Layout]:
    """The targets and their layout, in which open bars end at ``now``."""
    targets = _read()
    created, started, completed, countdown = (
        targets[name].to_numpy(float) for name in ("created_at", "started_at", "completed_at", "countdown_s")
    )
    is_open = targets["is_open"].to_numpy(bool)
    return targets, lay_out(created, started, completed, countdown, is_open, now)


@st.cache_data(max_entries=24, ttl=3600, show_spinner=False)
def _usual(path: str, stamp: tuple[int, ...], source: Source, now: float, before: float, _read: Read) -> Usual:
    """The usual duration of each target; in a long timeline, only of the open ones."""
    targets, layout = _timeline(path, stamp, source, now, _read)
    instances = targets["instance_id"]
    asked = instances if len(instances) <= axes.MAX_ROWS else instances[layout.open]
    ids = tuple(asked.dropna().tolist()[: axes.MAX_BARS])
    tenant, rollout_id = source
    found = durations.usual_runs(Path(path), tenant, rollout_id, before, ids)
    known = found.set_index("instance_id")
    own = known.reindex(instances)
    fleet = records(found[found["instance_id"] == ""])
    return Usual(
        own["p50_s"].to_numpy(float),
        own["p95_s"].to_numpy(float),
        own["deploys"].fillna(0).to_numpy(np.int64),
        *((fleet[0]["p50_s"], fleet[0]["p95_s"], fleet[0]["deploys"]) if fleet else ()),
    )


@st.cache_data(max_entries=48, ttl=3600, show_spinner=False)
def _figure(
    path: str,
    stamp: tuple[int, ...],
    source: Source,
    now: float,
    kind: Kind,
    before: float | None,
    options: DrawOptions,
    _read: Read,
) -> str:
    key = (path, stamp, source, now)
    targets, layout = _timeline(*key, _read)
    if kind == "heatmap":
        return plot.to_json(timeline_heatmap(targets, layout, options))
    if before is not None:
        options = replace(options, usual=_usual(*key, before, _read))
    return plot.to_json(timeline_bars(targets, layout, now, options))


def show(
    source: Source,
    read: Read,
    now: float,
    *,
    before: float | None = None,
    selectable: bool = False,
    marks: tuple[Mark, ...] = (),
) -> tuple[float, float] | None:
    """Draw the timeline of the targets that ``read`` returns. Returns the chosen window, None for all.

    now: where open bars end. before: if given, also show when the targets of a rollout usually end, according to the
    rollouts that were created before this time. selectable: whether a click changes the page's selection. marks: drawn
    as dashed lines.
    """
    path = load_settings().database
    key = (str(path), frames.database_version(path), source, now)
    targets, layout = _timeline(*key, read)
    count, bounds = int(layout.placed.sum()), layout.bounds
    st.space("xsmall")
    head = lists.row()
    head.header("Timeline", help=HELP, width="content")
    if bounds is None:
        _notes(targets, layout, now)
        return None
    few = len(targets) <= axes.MAX_ROWS
    with head:
        per_target = few and lists.choice("Rows", (PER_TARGET, PER_SLOT), "rows", labelled=False) == PER_TARGET
        elapsed = lists.choice("Axis", (TIME_OF_DAY, ELAPSED), "axis", labelled=False) == ELAPSED
    # The time elapsed since the first target was created or, if that is unknown, since the first one started.
    origin = float(np.nanmin([targets["created_at"].min(), bounds[0]]))
    axis = Axis.elapsed(origin, bounds[1]) if elapsed else CLOCK
    ids = selection.selected() if selectable else ()
    chosen = tuple(np.flatnonzero(targets["target_id"].isin(ids).to_numpy()).tolist())
    take = partial(_take, axis, bounds, _slider_end(layout, bounds))
    with head:
        _listen(take)

    def draw(kind: Kind, name: str, alt: str) -> None:
        # The labels of the heat map contain no times, so all viewers can share one figure.
        zone = viewer.zone() if kind == "bars" else ""
        options = DrawOptions(
            viewer.theme(), "targets" if per_target else "slots", axis, window, chosen, None, zone, marks
        )
        picked = partial(_boxed, take) if kind == "heatmap" else _clicked if selectable else None
        _chart(_figure(*key, kind, before, options, read), alt, name, picked, boxed=kind == "heatmap")

    # The slider is below the chart, but drawing the chart requires its window.
    chart = st.container()
    _forget_other_window(source)
    offered = len(targets) >= WINDOW_FROM or WINDOW in st.session_state or WINDOW in st.query_params
    window = _window(layout, bounds) if offered else None
    inside = count if window is None else int(in_window(layout, *window).sum())
    if window is not None or ids:
        with head:
            auto_refresh.hold()
    only_bars = count <= axes.MAX_BARS
    with chart:
        alt = f"Timeline of {count} targets in {layout.slots} slots"
        draw("bars" if only_bars else "heatmap", BARS if only_bars else HEATMAP, alt)
    _notes(targets, layout, now, per_target)
    if not only_bars and 0 < inside <= axes.MAX_BARS:
        draw("bars", WINDOW_BARS, f"Timeline of the {inside} targets in the window")
    elif not only_bars:
        st.caption(
            f"{inside:,} targets in the window. To show each target as a bar, narrow it to {axes.MAX_BARS:,} or fewer,"
            " with the slider or by dragging over the heat map."
        )
    return window


def show_of_run(run_id: str, linked: pd.DataFrame, marks: tuple[Mark, ...] = ()) -> None:
    """Draw the targets of all rollouts of a run on one axis. linked: the result of ``rollouts.rollouts_of_run``.

    If a rollout is open, or no end is known, the axis ends at the oldest of the last syncs of the tenants in question.
    """
    fresh, last = cached.ask(freshness.freshness), float(linked["completed_at"].max())
    waiting = linked["tenant"][(linked["is_open"] != 0) | math.isnan(last)]
    now = min((fresh.as_of(viewer.clock(), tenant) for tenant in waiting), default=last)
    show((run_id,), partial(rollouts.targets_of_run, load_settings().database, run_id), now, marks=marks)


def _chart(figure_json: str, alt: str, name: str, picked: Callable[[str], None] | None, *, boxed: bool) -> None:
    figure = json.loads(figure_json)
    # The browser reports the same click again only in a new chart, which has lost its zoom. So a zoom sets the window.
    changes = selection.changes()
    figure["layout"]["meta"] = {"changes": changes, "zoom": "boxed" if boxed else "dragged"}
    # The heat map always shows the complete period.
    zooming = ("zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d") if boxed else ()
    # Each figure has its own key: until the browser has received this chart it shows the previous one, and a click in
    # that one is found under its key.
    key = f"{name}_{changes}_{zlib.crc32(figure_json.encode()):08x}"
    more: dict[str, Any] = {}
    if picked is not None:
        # The browser repeats a selection in each request until it has received the next chart.
        more = {
            "on_select": lambda: picked(key) if selection.changes() == changes else None,
            "selection_mode": "box" if boxed else ("points", "box"),
        }
    plot.draw(figure, alt, key, without=zooming, **more)


def _listen(zoomed: Callable[[list[Any]], None]) -> None:
    """Call ``zoomed`` after a zoom in a chart with "zoom" in its ``layout.meta``: with both ends of the x axis as the
    browser formats them, or with an empty list after the axis was reset. Must be called once per page.

    Streamlit reports only selections, and a changed figure is a new chart without the zoom of the previous one.
    Therefore a component in the browser listens to Plotly's events, and the page keeps the zoom in the address.
    """

    def report() -> None:
        zoomed(list(st.session_state[_ZOOM].range))

    # It shows nothing, but Streamlit does not accept a height of 0.
    st.components.v2.component("fleetops_zoom", js=_ZOOM_JS)(key=_ZOOM, width=1, height=1, on_range_change=report)


def _clicked(key: str) -> None:
    """Bars were clicked or boxed: select their targets. The points contain the ids."""
    points = st.session_state[key]["selection"]["points"]
    clicked = [point["customdata"] for point in points if point.get("customdata") is not None]
    if clicked:
        selection.select(selection.after_click(selection.selected(), clicked))


def _boxed(take: Callable[[list[Any]], None], key: str) -> None:
    """A box was drawn in the heat map: it becomes the window."""
    boxes = st.session_state[key]["selection"]["box"]
    if boxes:
        take(boxes[-1]["x"])


def _take(axis: Axis, bounds: tuple[float, float], most: int, values: list[Any]) -> None:
    """Set the window to the period between two values of the axis, in whole seconds.

    Remove the window if there are no values, or if they are the current window, which the reset of a chart reports.
    """
    now, long = st.session_state.get(WINDOW, (0, most)), bounds[1] - bounds[0]
    drawn = (now[0], long if now[1] == most else now[1])
    first, last = sorted(axis.seconds(value) - bounds[0] for value in values) if values else drawn
    if np.allclose((first, last), drawn, rtol=0, atol=1e-3):
        first, last = 0.0, long
    if last >= long:
        # At the end of the slider the window grows with an open rollout.
        last = most
    low = int(np.clip(math.floor(first), 0, most - 1))
    window = (low, int(np.clip(math.ceil(last), low + 1, most)))
    st.session_state[WINDOW] = window
    selection.force_new_chart()


def _forget_other_window(source: Source) -> None:
    """Remove the window of a different rollout, which Streamlit would keep."""
    if st.session_state.get(_WINDOW_OF, source) != source and WINDOW not in st.query_params:
        st.session_state.pop(WINDOW, None)
    st.session_state[_WINDOW_OF] = source


def _slider_end(layout: Layout, bounds: tuple[float, float]) -> int:
    """The end of the slider, in seconds after the first start."""
    # While the rollout is open, the end moves in steps, because Streamlit resets a slider when its range changes.
    step = 600 if layout.open.any() else 1
    return max(step, math.ceil((bounds[1] - bounds[0]) / step) * step)


def _window(layout: Layout, bounds: tuple[float, float]) -> tuple[float, float] | None:
    """The slider for the window; returns the window in epoch seconds, or None if it covers everything."""
    most = _slider_end(layout, bounds)
    first, last = st.slider(
        "Window, in seconds after the first start",
        0,
        most,
        (0, most),
        key=WINDOW,
        bind="query-params",
        help="The bars and the table show the targets that were in progress within the window.",
    )
    window = (bounds[0] + first, bounds[1] if last == most else bounds[0] + last)
    # Always shown, so that the layout below does not move.
    st.caption(viewer.period(*window))
    return None if (first, last) == (0, most) else window


def _notes(targets: pd.DataFrame, layout: Layout, now: float, per_target: bool = False) -> None:
    """A line about the targets that have no complete bar."""
    notes = []
    statuses = targets["status"]
    if layout.open.any():
        until = viewer.moment(now, "%H:%M:%S")
        notes.append(f"{int(layout.open.sum()):,} in progress, drawn up to {until}")
    queued = statuses == "queued"
    if queued.any() and not per_target:
        notes.append(f"{int(queued.sum()):,} still waiting, without a bar")
    # Targets without a bar that are neither waiting nor cancelled before they started.
    excused = queued | ((statuses == "cancelled") & targets["started_at"].isna())
    if missing := int((~layout.placed & ~excused.to_numpy()).sum()):
        verb = "are" if missing > 1 else "is"
        notes.append(f"{counted(missing, 'target')} without times {verb} only in the table")
    if notes:
        st.caption(" · ".join(notes))
