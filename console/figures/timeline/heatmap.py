# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline of a big rollout as one image of slots and moments. Pure, as ``charts``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.figures.timeline.axes import BARS_MOST, WHOLE, View, by_status, dress
from console.figures.timeline.packing import Ints, Layout, worst_image
from console.text.statuses import ACCENT, INK, PAGE, look
from console.text.times import plain

BINS = 1200
# The signs of the palette as strokes in a box of 2 by 2 around the middle, y downwards. What went well has none.
Stroke = tuple[tuple[float, float], ...]
SIGNS: dict[str, tuple[Stroke, ...]] = {
    "✕": (((-1, -1), (1, 1)), ((-1, 1), (1, -1))),
    "?": (((-0.8, -0.5), (-0.4, -1), (0.4, -1), (0.8, -0.5), (0, 0.1), (0, 0.4)), ((0, 0.8), (0, 1.05))),
    "▶": (((-0.6, -0.8), (0.8, 0), (-0.6, 0.8), (-0.6, -0.8)),),
    "–": (((-0.8, 0), (0.8, 0)),),
}
SIGN_WIDE, SIGN_HIGH = 0.0022, 0.3


def timeline_image(targets: pd.DataFrame, layout: Layout, view: View = WHOLE) -> go.Figure:
    """All targets of a big rollout as one image of slots x 1,200 time bins; the worst outcome wins a cell.

    A cell has a colour alone: so targets that did not succeed carry the sign of their status too, where those are at
    most BARS_MOST, and the selected ones a frame.
    """
    axis, theme = view.axis, view.theme
    bounds = layout.bounds or (0.0, 1.0)
    words = targets["status"].to_numpy()
    styles = {word: look(word) for word in pd.unique(words)}
    severity = np.zeros(len(words), dtype=np.uint8)
    for word, style in styles.items():
        severity[words == word] = style.severity
    image = worst_image(layout, severity, *bounds, bins=BINS)
    step = (bounds[1] - bounds[0]) / image.shape[1]
    worst = max([style.severity for style in styles.values()], default=1)
    colours = {style.severity: style.colour(theme) for style in styles.values()}
    scale: list[tuple[float, str]] = []
    for level in range(worst + 1):
        colour = colours.get(level, "rgba(0,0,0,0)")
        scale += [(level / (worst + 1), colour), ((level + 1) / (worst + 1), colour)]
    where = "%{x|%H:%M:%S} UTC" if axis.origin is None else "%{x:.2f} " + axis.unit
    figure = go.Figure(
        go.Heatmap(
            z=image,
            x0=axis.at(bounds[0] + step / 2),
            dx=axis.long(step),
            y0=1,
            dy=1,
            zmin=-0.5,
            zmax=worst + 0.5,
            colorscale=scale,
            showscale=False,
            hovertemplate=f"slot %{{y}}, {where}<extra></extra>",
        )
    )
    figure.add_trace(_gaps(layout.slots, bounds, view))
    for word, rows_of in by_status(words, layout.placed):
        style = look(word)
        # A legend entry: the image itself has none.
        figure.add_trace(
            go.Bar(
                x=[None],
                y=[None],
                name=f"{plain(style.label, 40, 1)} {len(rows_of):,}",
                marker_color=style.colour(theme),
            )
        )
        strokes = SIGNS.get(style.tone.sign, ())
        if strokes and len(rows_of) <= BARS_MOST:
            half = (bounds[1] - bounds[0]) * SIGN_WIDE
            figure.add_traces(_signs(targets, layout, rows_of, view, strokes, half))
    chosen = np.array([row for row in view.selected if layout.placed[row]], dtype=np.int64)
    if chosen.size:
        figure.add_trace(_frames(targets, layout, chosen, view))
    if view.window is not None and view.window != bounds:
        figure.add_vrect(
            x0=axis.at(view.window[0]),
            x1=axis.at(view.window[1]),
            line={"color": ACCENT[theme], "width": 1.5},
            fillcolor="rgba(0,0,0,0)",
        )
    figure = dress(figure, view, bounds, layout.slots, "slot", {}, 9)
    # A drag over the image chooses the window.
    return figure.update_layout(dragmode="select")


def _signs(
    targets: pd.DataFrame, layout: Layout, rows: Ints, view: View, strokes: tuple[Stroke, ...], half: float
) -> list[go.Scatter]:
    """A sign of ``strokes`` in the middle of each target's cells, ``half`` seconds to each side, and what it says.

    One line with gaps for all of them: as markers each one is an element of the page, and 400 took 150 ms to draw. The
    pointer meets the points of a line that cannot be seen, so that each name is sent once.
    """
    middle, slot = (layout.start[rows] + layout.end[rows]) / 2, layout.slot[rows] + 1.0
    x, y = [], []
    for stroke in strokes:
        x += [*(middle + right * half for right, _down in stroke), np.full(rows.size, np.nan)]
        y += [*(slot + down * SIGN_HIGH for _right, down in stroke), slot]
    drawn = go.Scatter(
        mode="lines",
        showlegend=False,
        x=view.axis.at(np.stack(x, axis=1).ravel()),
        y=np.stack(y, axis=1).ravel(),
        line={"color": INK[view.theme], "width": 1.2, "simplify": False},
        hoverinfo="skip",
    )
    named = go.Scatter(
        mode="lines",
        showlegend=False,
        x=view.axis.at(middle),
        y=slot,
        line={"width": 0, "simplify": False},
        text=_names(targets, rows),
        hovertemplate="%{text}<extra></extra>",
    )
    return [drawn, named]


def _gaps(slots: int, bounds: tuple[float, float], view: View) -> go.Scatter:
    """What keeps the slots of the image apart. Plotly's own gap makes it draw cell by cell, at twice the time."""
    borders = np.arange(slots + 1) + 0.5
    ends = np.array([*bounds, np.nan])
    return go.Scatter(
        mode="lines",
        showlegend=False,
        x=view.axis.at(np.tile(ends, borders.size)),
        y=np.repeat(borders, ends.size),
        line={"color": PAGE[view.theme], "width": 1},
        hoverinfo="skip",
    )


def _frames(targets: pd.DataFrame, layout: Layout, rows: Ints, view: View) -> go.Scatter:
    """A frame around the middle of each selected target's cells."""
    return go.Scatter(
        mode="markers",
        showlegend=False,
        x=view.axis.at((layout.start[rows] + layout.end[rows]) / 2),
        y=layout.slot[rows] + 1,
        marker={"symbol": "square-open", "size": 9, "line": {"color": INK[view.theme], "width": 1.2}},
        text=_names(targets, rows),
        hovertemplate="%{text}<extra></extra>",
    )


def _names(targets: pd.DataFrame, rows: Ints) -> list[str]:
    """Host and status of each."""
    hosts, words = targets["host"].to_numpy()[rows], targets["status"].to_numpy()[rows]
    return [f"{plain(host)}<br>{plain(look(word).label)}" for host, word in zip(hosts, words, strict=True)]
