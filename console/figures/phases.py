# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queue, countdown and run of targets as stacked bars. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.figures.theme import ACCENT, FAINT, GRID, add_spans, axis_unit, finish, plain
from console.text.statuses import DOUBT, style_of
from console.text.times import duration

# The countdown comes first; the rest of the wait is the queue. They differ in pattern, not only in colour.
_PHASES = (("countdown", FAINT, "/"), ("queue", FAINT, ""), ("run", ACCENT, ""))


def phase_bars(targets: pd.DataFrame, theme: str = "light", first: str = "") -> go.Figure:
    """One bar for each target, the first on top: its countdown, queue and run, with a mark where a usual run ends.

    targets: the frame from ``durations.slowest_targets``. first: the phase with which the bars begin, so that it can be
    compared; '' for the order in time.
    """
    count = len(targets)
    y = np.arange(1, count + 1)
    mark = DOUBT.dark if theme == "dark" else DOUBT.light
    stroke = "rgba(0,0,0,0.45)" if theme == "light" else "rgba(255,255,255,0.45)"
    names = [plain(name, 34, 1) for name in targets["host"]]
    figure = go.Figure()
    phases = sorted(_PHASES, key=lambda phase: phase[0] != first)
    order = [f"{name}_s" for name, *_style in phases]
    unit, scale = axis_unit(float(targets[order].fillna(0.0).sum(axis=1).max()))
    for phase, colour, pattern in phases:
        seconds = targets[f"{phase}_s"].to_numpy(float)
        marker: dict[str, object] = {"color": colour[theme], "line": {"width": 0}}
        if pattern:
            marker["pattern"] = {"shape": pattern, "size": 6, "solidity": 0.25, "fgcolor": stroke}
        add_spans(
            figure,
            phase,
            None,
            np.nan_to_num(seconds) / scale,
            y,
            0.66,
            marker,
            customdata=[
                f"{name}<br>{plain(style_of(status).label, 40, 1)}<br>{phase} {duration(s) or 'unknown'}"
                for name, status, s in zip(names, targets["status"], seconds, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    usual = targets["usual_s"].to_numpy(float)
    known = np.isfinite(usual)
    if known.any():
        before = targets[order[: order.index("run_s")]].fillna(0.0).sum(axis=1).to_numpy(float)
        figure.add_trace(
            go.Scatter(
                mode="markers",
                name="usual run",
                x=((before + usual) / scale)[known],
                y=y[known],
                marker={"symbol": "line-ns", "size": 18, "line": {"width": 2, "color": mark}},
                customdata=[f"usually runs {duration(s)}" for s in usual[known]],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.update_xaxes(gridcolor=GRID[theme], zeroline=False, rangemode="tozero", ticksuffix=f" {unit}")
    figure.update_yaxes(
        range=[count + 0.6, 0.4], tickvals=y, ticktext=names, automargin=True, showgrid=False, fixedrange=True
    )
    return finish(figure, theme, barmode="stack", height=int(count * 26 + 92))
