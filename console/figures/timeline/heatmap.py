# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline of a large rollout as a heat map of slots and time. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.figures.theme import ACCENT, plain
from console.figures.timeline.axes import DEFAULT, DrawOptions, add_axes, by_status
from console.figures.timeline.packing import Layout, worst_image
from console.text.statuses import style_of

BINS = 1200


def timeline_heatmap(targets: pd.DataFrame, layout: Layout, options: DrawOptions = DEFAULT) -> go.Figure:
    """All targets of a large rollout as a heat map of slots x 1,200 time bins; the worst outcome sets a cell's colour.

    targets: the frame from ``rollouts.targets_of``, in the order of ``layout``. The legend shows the number of targets
    with each status; a frame marks the window.
    """
    axis, theme = options.axis, options.theme
    bounds = layout.bounds or (0.0, 1.0)
    words = targets["status"].to_numpy()
    styles = {word: style_of(word) for word in pd.unique(words)}
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
    at = "%{x|%H:%M:%S} UTC" if axis.origin is None else "%{x:.2f} " + axis.unit
    figure = go.Figure(
        go.Heatmap(
            z=image,
            x0=axis.at(bounds[0] + step / 2),
            dx=axis.length(step),
            y0=1,
            dy=1,
            zmin=-0.5,
            zmax=worst + 0.5,
            colorscale=scale,
            showscale=False,
            hovertemplate=f"slot %{{y}}, {at}<extra></extra>",
        )
    )
    for word, rows_of in by_status(words, layout.placed):
        style = style_of(word)
        # A bar without values is only a legend entry: a heat map has none.
        figure.add_trace(
            go.Bar(
                x=[None],
                y=[None],
                name=f"{plain(style.label, 40, 1)} {len(rows_of):,}",
                marker_color=style.colour(theme),
            )
        )
    if options.window is not None and options.window != bounds:
        figure.add_vrect(
            x0=axis.at(options.window[0]),
            x1=axis.at(options.window[1]),
            line={"color": ACCENT[theme], "width": 1.5},
            fillcolor="rgba(0,0,0,0)",
        )
    figure = add_axes(figure, options, bounds, layout.slots, "slot", {}, 9)
    # Dragging over the heat map sets the window.
    return figure.update_layout(dragmode="select")
