# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline of a rollout with a bar for each target. Pure.

The ids of the targets are in ``customdata``, from where a click in the browser reports them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.figures.theme import ACCENT, FAINT, INK, add_spans, plain, with_opacity
from console.figures.timeline.axes import DEFAULT, DrawOptions, add_axes, by_status
from console.figures.timeline.packing import Bools, Floats, Ints, Layout, Usual, in_window
from console.text.statuses import StatusStyle, style_of
from console.text.times import duration, moments

BAR, WAIT = 0.78, 0.2
# If the usual end is shown, the bar is thinner, and below it are two strips.
SLIM, LIFT = 0.56, -0.14
STRIPS = (0.19, 0.3)
STRIP = 0.1


def timeline_bars(targets: pd.DataFrame, layout: Layout, now: float, options: DrawOptions = DEFAULT) -> go.Figure:
    """One bar for each target, one trace for each status. A thin bar before it is the wait (countdown, then queue).

    targets: the frame from ``rollouts.targets_of``, in the order of ``layout``. rows='targets' gives each target its
    own row and shows its complete wait, up to ``now`` if it is still waiting. 'slots' shows the wait only while the
    slot was free. Below a bar are two strips from the median to the 95th percentile of the run, for the instance and
    for the fleet; with 'slots', only below open runs.
    """
    axis, theme = options.axis, options.theme
    shown = layout.placed if options.window is None else in_window(layout, *options.window)
    figure = go.Figure()
    if options.rows == "targets":
        order = np.argsort(np.where(layout.placed, layout.start, np.inf), kind="stable")
        place = np.empty(len(targets), dtype=np.int64)
        place[order] = np.arange(1, len(targets) + 1)
        created = targets["created_at"].to_numpy(float)
        waiting = np.isfinite(created) & (layout.placed | (targets["status"] == "queued").to_numpy())
        wait_from, wait_until = created, np.where(layout.placed, layout.start, now)
        names = [plain(name, 34, 1) for name in targets["host"].to_numpy()[order]]
        height = int(np.clip(2200 / max(len(targets), 1), 11, 20))
        ticks: dict[str, Any] = {"tickvals": np.arange(1, len(targets) + 1), "ticktext": names}
        ticks |= {"tickfont": {"size": 9}} if height < 15 else {}
        count, title, expected = len(targets), None, shown
    else:
        place = layout.slot + 1
        waiting, wait_from, wait_until = shown, layout.wait_from, layout.wait_until
        ticks = {"dtick": 1} if layout.slots <= 20 else {}
        height, count, title, expected = 27, layout.slots, "slot", shown & layout.open
    until = layout.end.copy()
    y, thick = place.astype(float), BAR
    if options.usual is not None and options.usual.any(expected):
        y, thick = y + LIFT, SLIM
        until = np.fmax(until, _add_usual(figure, place, layout, expected, options.usual, options))
    _add_waits(figure, y, waiting, wait_from, wait_until, layout.planned, options)
    ids = targets["target_id"].to_numpy(dtype=object)
    hover = _hover(targets, layout, shown, now, options)
    for status, rows_of in by_status(targets["status"].to_numpy(), shown):
        style = style_of(status)
        add_spans(
            figure,
            f"{plain(style.label, 40, 1)} {len(rows_of):,}",
            axis.at(layout.start[rows_of]),
            axis.length(np.maximum(layout.end[rows_of] - layout.start[rows_of], 0.0)),
            y[rows_of],
            thick,
            _marker(style, theme),
            customdata=ids[rows_of],
            text=hover[rows_of],
        )
    chosen = np.array([row for row in options.selected if shown[row]], dtype=np.int64)
    if chosen.size:
        _add_outlines(figure, layout, y, chosen, thick, options)
    if layout.open.any():
        figure.add_vline(x=axis.at(now), line={"color": ACCENT[theme], "width": 1, "dash": "dot"})
    bounds = options.window or _bounds(layout, wait_from, waiting, until)
    return add_axes(figure, options, bounds, count, title, ticks, height)


def _marker(style: StatusStyle, theme: str) -> dict[str, object]:
    colour = style.colour(theme)
    marker: dict[str, object] = {"color": colour, "line": {"width": 0}}
    if style.pattern:
        stroke = "rgba(0,0,0,0.55)" if theme == "light" else "rgba(0,0,0,0.7)"
        marker["pattern"] = {"shape": style.pattern, "size": 7, "solidity": 0.22, "fgcolor": stroke, "bgcolor": colour}
    return marker


def _hover(targets: pd.DataFrame, layout: Layout, shown: Bools, now: float, options: DrawOptions) -> np.ndarray:
    """A label for each target shown: name, status, start, duration, usual duration, wait, error."""
    labels = np.empty(len(targets), dtype=object)
    columns = zip(
        targets["host"].to_list(),
        targets["status"].to_list(),
        targets["created_at"].to_list(),
        targets["countdown_s"].to_list(),
        targets["error"].to_list(),
        layout.start.tolist(),
        layout.end.tolist(),
        layout.open.tolist(),
        strict=True,
    )
    for row, (host, status, created, countdown, error, start, end, is_open) in enumerate(columns):
        if not shown[row]:
            continue
        took = f"running for {duration(now - start)}, no end yet" if is_open else f"took {duration(end - start)}"
        lines = [
            f"<b>{plain(host)}</b>",
            plain(style_of(status).label),
            f"started {moments(options.zone, start)}",
            took,
        ]
        if options.usual is not None:
            lines += options.usual.sentences(row, end - start, duration)
        if pd.notna(created) and start - created >= 0.05:
            planned = f" (countdown {duration(countdown)})" if countdown and pd.notna(countdown) else ""
            lines.append(f"waited {duration(start - created)}{planned}")
        if isinstance(error, str) and error:
            lines.append(plain(error))
        labels[row] = "<br>".join(lines)
    return labels


def _add_waits(
    figure: go.Figure, y: Floats, shown: Bools, begin: Floats, until: Floats, planned: Floats, options: DrawOptions
) -> None:
    """The thin bars before the run phase: the planned countdown in the accent colour, the queue after it in grey."""
    border = np.clip(np.where(np.isfinite(planned), planned, begin), begin, until)
    phases = (("countdown", begin, border, ACCENT[options.theme]), ("waiting", border, until, FAINT[options.theme]))
    for name, first, last, colour in phases:
        _add_thin(figure, name, y, np.flatnonzero(shown & (last > first)), first, last, WAIT, colour, 0.55, options)


def _add_usual(
    figure: go.Figure, place: Ints, layout: Layout, expected: Bools, usual: Usual, options: DrawOptions
) -> Floats:
    """Add the strips from median to 95th percentile; returns where the last strip of each open target ends."""
    until = np.full(place.size, np.nan)
    bands = (
        ("usual end here", usual.p50, usual.p95, ACCENT[options.theme], STRIPS[0], 0.8),
        ("usual end, fleet", usual.fleet_p50, usual.fleet_p95, INK[options.theme], STRIPS[1], 0.35),
    )
    for name, p50, p95, colour, below, opacity in bands:
        first, last = layout.start + p50, layout.start + np.maximum(p95, p50 + 0.2)
        rows = np.flatnonzero(expected & np.isfinite(last))
        _add_thin(figure, name, place.astype(float) + below, rows, first, last, STRIP, colour, opacity, options)
        until = np.fmax(until, np.where(expected & layout.open, last, np.nan))
    return until


def _add_thin(
    figure: go.Figure, name: str, y: Floats, rows: Ints, first: Floats, last: Floats, width: float, colour: str,
    opacity: float, options: DrawOptions,
) -> None:  # fmt: skip
    """Add a trace of thin bars without hover and click."""
    if rows.size:
        long = options.axis.length(last[rows] - first[rows])
        # The opacity is in the colour, because the legend ignores the opacity of a marker.
        marker = {"color": with_opacity(colour, opacity), "line": {"width": 0}}
        add_spans(figure, name, options.axis.at(first[rows]), long, y[rows], width, marker)


def _add_outlines(figure: go.Figure, layout: Layout, y: Floats, rows: Ints, thick: float, options: DrawOptions) -> None:
    """Add a frame around each selected bar. Plotly's own selection style is lost with every new figure."""
    long = options.axis.length(np.maximum(layout.end[rows] - layout.start[rows], 0.0))
    frame = {"color": "rgba(0,0,0,0)", "line": {"color": INK[options.theme], "width": 2}}
    add_spans(figure, f"selected {rows.size:,}", options.axis.at(layout.start[rows]), long, y[rows], thick + 0.1, frame)


def _bounds(layout: Layout, wait_from: Floats, waiting: Bools, until: Floats) -> tuple[float, float] | None:
    begins = wait_from[waiting & np.isfinite(wait_from)]
    bounds = layout.bounds
    if bounds is None:
        return None
    last = float(np.nanmax(until)) if np.isfinite(until).any() else bounds[1]
    return (min(bounds[0], float(begins.min())) if begins.size else bounds[0]), max(bounds[1], last)
