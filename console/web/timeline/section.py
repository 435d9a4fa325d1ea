# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline on a page: bars, or for a big rollout a heat map and the bars of a window; returns the chosen window."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
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
    "A thick bar is the run of a target, the thin bar before it is its wait: the countdown, then the queue. "
    "Row per slot: targets share the rows, and each takes the first row that is free, so there are as many rows as "
    "targets were in progress at once. The strips below a bar show the usual end: from the median to the 95th "
    "percentile of earlier runs. Click a bar to select its target, click it again to remove it; select several with "
    "the box tool above the chart. Drag to zoom, double-click to reset: the zoom is the window below, which is in the "
    "address and also filters the table. The page does not refresh itself while something is selected or zoomed."
)

PER_SLOT, PER_TARGET = "Row per slot", "Row per target"
TIME_OF_DAY, ELAPSED = "Clock (UTC)", "Elapsed"
BARS, WINDOW_BARS, HEATMAP = "timeline", "timeline_window", "timeline_heatmap"

WINDOW, _WINDOW_OF, _ZOOM = "window", "window_of", "zoom"
_ZOOM_JS = Path(__file__).with_name("chart_zoom.js").read_text(encoding="utf-8")
WINDOW_FROM = 11
"""With so many targets or more the slider of the window is always shown, with fewer only after a zoom."""


@dataclass(frozen=True)
class PlacedTargets:
    """Targets and their layout. ``now`` is where open bars end: the time of the last sync of the API."""

    targets: pd.DataFrame
    layout: Layout
    now: float


# What is drawn: the tenant and the id of a rollout, or the id of a run.
Source = tuple[str, ...]
Read = Callable[[], pd.DataFrame]
Kind = Literal["bars", "heatmap"]


# A resource and not data, as nothing changes it: to copy 20,000 targets would take 40 ms at each run.
@st.cache_resource(max_entries=12, ttl=3600, show_spinner=False)
def _timeline(path: str, stamp: tuple[int, ...], source: Source, now: float, _read: Read) -> PlacedTargets:
    targets = _read()
    created, started, completed, countdown = (
        targets[name].to_numpy(float) for name in ("created_at", "started_at", "completed_at", "countdown_s")
    )
    is_open = targets["is_open"].to_numpy(bool)
    return PlacedTargets(targets, lay_out(created, started, completed, countdown, is_open, now), now)


@st.cache_data(max_entries=24, ttl=3600, show_spinner=False)
def _usual(path: str, stamp: tuple[int, ...], source: Source, now: float, before: float, _read: Read) -> Usual:
    """The usual duration of each target, in a long timeline only of the open targets."""
    timeline = _timeline(path, stamp, source, now, _read)
    instances = timeline.targets["instance_id"]
    asked = instances if len(instances) <= axes.ROWS_MOST else instances[timeline.layout.open]
    ids = tuple(asked.dropna().tolist()[: axes.BARS_MOST])
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
    timeline = _timeline(*key, _read)
    if kind == "heatmap":
        return plot.to_json(timeline_heatmap(timeline.targets, timeline.layout, options))
    if before is not None:
        options = replace(options, usual=_usual(*key, before, _read))
    return plot.to_json(timeline_bars(timeline.targets, timeline.layout, now, options))


def show(
    source: Source,
    read: Read,
    now: float,
    *,
    before: float | None = None,
    selectable: bool = False,
    marks: tuple[Mark, ...] = (),
) -> tuple[float, float] | None:
    """Draw the timeline of the targets that ``read`` gives; returns the chosen window, None for all.

    now: where open bars end. before: of a rollout, also show the usual end, by the rollouts that were created before
    this time. selectable: a click changes the page's selection. marks: drawn as dashed lines.
    """
    path = load_settings().database
    key = (str(path), frames.database_version(path), source, now)
    timeline = _timeline(*key, read)
    count, bounds = int(timeline.layout.placed.sum()), timeline.layout.bounds
    st.space("xsmall")
    head = lists.row()
    head.header("Timeline", help=HELP, width="content")
    if bounds is None:
        _notes(timeline)
        return None
    few = len(timeline.targets) <= axes.ROWS_MOST
    with head:
        per_target = few and lists.choice("Rows", (PER_TARGET, PER_SLOT), "rows", labelled=False) == PER_TARGET
        elapsed = lists.choice("Axis", (TIME_OF_DAY, ELAPSED), "axis", labelled=False) == ELAPSED
    # Elapsed since the first target was created, or else since the first one started.
    origin = float(np.nanmin([timeline.targets["created_at"].min(), bounds[0]]))
    axis = Axis.elapsed(origin, bounds[1]) if elapsed else CLOCK
    ids = selection.selected() if selectable else ()
    chosen = tuple(np.flatnonzero(timeline.targets["target_id"].isin(ids).to_numpy()).tolist())
    take = partial(_take, axis, bounds, _slider_end(timeline, bounds))
    with head:
        _listen(take)

    def draw(kind: Kind, name: str, alt: str) -> None:
        # The heat map has no times in its labels, so that all viewers share one figure.
        zone = viewer.zone() if kind == "bars" else ""
        options = DrawOptions(
            viewer.theme(), "targets" if per_target else "slots", axis, window, chosen, None, zone, marks
        )
        picked: Callable[[str], None] | None = _clicked if selectable else None
        if kind == "heatmap":
            picked = partial(_boxed, take)
        _chart(_figure(*key, kind, before, options, read), alt, name, picked, boxed=kind == "heatmap")

    # The slider is below the chart, but the chart marks its window.
    chart = st.container()
    _forget_of_another(source)
    offered = len(timeline.targets) >= WINDOW_FROM or WINDOW in st.session_state or WINDOW in st.query_params
    window = _window(timeline, bounds) if offered else None
    inside = count if window is None else int(in_window(timeline.layout, *window).sum())
    if window is not None or ids:
        with head:
            auto_refresh.hold()
    alone = count <= axes.BARS_MOST
    with chart:
        alt = f"Timeline of {count} targets in {timeline.layout.slots} slots"
        draw("bars" if alone else "heatmap", BARS if alone else HEATMAP, alt)
    _notes(timeline, per_target)
    if not alone and 0 < inside <= axes.BARS_MOST:
        draw("bars", WINDOW_BARS, f"Timeline of the {inside} targets in the window")
    elif not alone:
        st.caption(
            f"{inside:,} targets in the window. Narrow it to {axes.BARS_MOST:,} or fewer, with the slider or "
            "by dragging over the heat map, to show each one as a bar."
        )
    return window


def show_of_run(run_id: str, linked: pd.DataFrame, marks: tuple[Mark, ...] = ()) -> None:
    """Draw the targets of all rollouts of a run on one axis; ``linked``: the frame of ``rollouts.rollouts_of_run``.

    With open rollouts, or without the end of any, it ends when the tenant that was read longest ago was read.
    """
    fresh, last = cached.ask(freshness.freshness), float(linked["completed_at"].max())
    waiting = linked["tenant"][(linked["is_open"] != 0) | math.isnan(last)]
    now = min((fresh.as_of(viewer.clock(), tenant) for tenant in waiting), default=last)
    show((run_id,), partial(rollouts.targets_of_run, load_settings().database, run_id), now, marks=marks)


def _chart(figure_json: str, alt: str, name: str, picked: Callable[[str], None] | None, *, boxed: bool) -> None:
    figure = json.loads(figure_json)
    # The browser reports the same click again only in a new chart. That one has no zoom, so a zoom sets the window.
    changes = selection.changes()
    figure["layout"]["meta"] = {"changes": changes, "zoom": "boxed" if boxed else "dragged"}
    # The heat map always shows the whole time.
    zooming = ("zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d") if boxed else ()
    # Each figure has its own key, so that a click in the former chart, which the browser shows until it has received
    # this one, is found under its key.
    key = f"{name}_{changes}_{zlib.crc32(figure_json.encode()):08x}"
    more: dict[str, Any] = {}
    if picked is not None:
        # Until it has received the next chart, the browser sends the same selection again with each request.
        more = {
            "on_select": lambda: picked(key) if selection.changes() == changes else None,
            "selection_mode": "box" if boxed else ("points", "box"),
        }
    plot.draw(figure, alt, key, without=zooming, **more)


def _listen(zoomed: Callable[[list[Any]], None]) -> None:
    """Call ``zoomed`` after a zoom in a chart with "zoom" in its ``layout.meta``: with both ends of the x axis as the
    browser writes them, or with an empty list after the axis was reset. To be called once for each page.

    Streamlit reports selections only, and a changed figure is a new chart without the zoom of the former one. So a
    component in the browser listens to Plotly's events, and the page keeps the zoom in the address.
    """

    def report() -> None:
        zoomed(list(st.session_state[_ZOOM].range))

    # It shows nothing, but Streamlit takes no height of 0.
    st.components.v2.component("fleetops_zoom", js=_ZOOM_JS)(key=_ZOOM, width=1, height=1, on_range_change=report)


def _clicked(key: str) -> None:
    """Bars were clicked or boxed: select their targets, whose ids are in the points."""
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
    """Set the window to the time between two values of the axis, in whole seconds.

    Remove the window if there are no values, or if they are the present window, which the chart's reset reports.
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


def _forget_of_another(source: Source) -> None:
    """Remove the window of another rollout, which Streamlit would keep."""
    if st.session_state.get(_WINDOW_OF, source) != source and WINDOW not in st.query_params:
        st.session_state.pop(WINDOW, None)
    st.session_state[_WINDOW_OF] = source


def _slider_end(timeline: PlacedTargets, bounds: tuple[float, float]) -> int:
    """The end of the slider, in seconds after the first start."""
    # While the rollout is open the end moves in steps, because Streamlit resets a slider whose range has changed.
    step = 600 if timeline.layout.open.any() else 1
    return max(step, math.ceil((bounds[1] - bounds[0]) / step) * step)


def _window(timeline: PlacedTargets, bounds: tuple[float, float]) -> tuple[float, float] | None:
    """The slider of the window; returns its first and last epoch second, or None if it covers everything."""
    most = _slider_end(timeline, bounds)
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


def _notes(timeline: PlacedTargets, per_target: bool = False) -> None:
    """A line about the targets that have no complete bar."""
    notes = []
    statuses, layout = timeline.targets["status"], timeline.layout
    if layout.open.any():
        until = viewer.moment(timeline.now, "%H:%M:%S")
        notes.append(f"{int(layout.open.sum()):,} in progress, drawn up to {until}")
    queued = statuses == "queued"
    if queued.any() and not per_target:
        notes.append(f"{int(queued.sum()):,} still waiting, without a bar")
    # Neither placed, nor waiting, nor cancelled before they started.
    excused = queued | ((statuses == "cancelled") & timeline.targets["started_at"].isna())
    if missing := int((~layout.placed & ~excused.to_numpy()).sum()):
        verb = "are" if missing > 1 else "is"
        notes.append(f"{counted(missing, 'target')} without times {verb} only in the table")
    if notes:
        st.caption(" · ".join(notes))
