# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the page Instance. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from console.figures.health_bands import Band
from console.figures.plotly_text import place, places, plain
from console.figures.theme import ACCENT, FAINT, GRID, add_spans, finish
from console.text.counts import counted
from console.text.statuses import style_of
from console.text.times import duration, moments


def health_strip(strip: Sequence[Band], span: tuple[float, float], theme: str = "light", zone: str = "") -> go.Figure:
    """Bands of health over ``span`` (epoch seconds); times without a check are hatched.

    zone: the viewer's, for a second time in the labels.
    """
    figure = go.Figure()
    hatched = {
        "color": "rgba(0,0,0,0)",
        "line": {"width": 1, "color": GRID[theme]},
        "pattern": {"shape": "/", "size": 8, "solidity": 0.12, "fgcolor": FAINT[theme]},
    }
    add_spans(figure, "· no check", [place(span[0])], [(span[1] - span[0]) * 1000], [0], 0.9, hatched)
    words = sorted({band.status for band in strip}, key=lambda word: (style_of(word).severity, word))
    for word in words:
        style, part = style_of(word), [band for band in strip if band.status == word]
        add_spans(
            figure,
            plain(style.label, 40, 1),
            places(max(band.start, span[0]) for band in part),
            [max(band.end - max(band.start, span[0]), 0.0) * 1000 for band in part],
            [0] * len(part),
            0.9,
            # The line keeps a short band visible on a long axis.
            {"color": style.colour(theme), "line": {"width": 2, "color": style.colour(theme)}},
            text=[
                f"<b>{plain(style.word, 40, 1)}</b><br>{moments(zone, band.start, band.end)}"
                f"<br>{duration(band.end - band.start)}, {counted(band.checks, 'check')}"
                for band in part
            ],
        )
    figure.update_xaxes(type="date", range=places(span), showgrid=False, zeroline=False)
    figure.update_yaxes(visible=False, range=[-0.5, 0.5], fixedrange=True)
    return finish(figure, theme, barmode="overlay", height=128, hovermode="closest")


def deploy_times(
    targets: pd.DataFrame, usual: tuple[float | None, float | None], theme: str = "light", zone: str = ""
) -> go.Figure:
    """Each deploy's duration over time, by status; behind them the band from the usual (p50) to the slow (p95), dotted.

    targets: columns started_at, took_s, status, error. zone: as of :func:`health_strip`.
    """
    figure = go.Figure()
    p50, p95 = usual
    if p50 is not None and p95 is not None:
        figure.add_hrect(y0=p50, y1=p95, fillcolor=ACCENT[theme], opacity=0.12, line_width=0)
    if p95 is not None:
        figure.add_hline(y=p95, line={"color": ACCENT[theme], "width": 1, "dash": "dot"})
    known = targets[targets["took_s"].notna() & targets["started_at"].notna()]
    for word in sorted(known["status"].unique(), key=lambda w: (style_of(w).severity, w)):
        part, style = known[known["status"] == word], style_of(word)
        errors = part["error"].fillna("").tolist()
        figure.add_trace(
            go.Scatter(
                mode="markers",
                name=plain(style.label, 40, 1),
                x=places(part["started_at"]),
                y=part["took_s"].tolist(),
                marker={
                    "color": style.colour(theme),
                    "size": 9,
                    "symbol": "circle" if style.severity <= 1 else "x" if style.severity >= 6 else "diamond",
                },
                text=[
                    f"<b>{plain(style.word, 40, 1)}</b>, took {duration(took)}<br>{moments(zone, at)}"
                    + (f"<br>{plain(error)}" if error else "")
                    for took, at, error in zip(part["took_s"], part["started_at"], errors, strict=True)
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_xaxes(type="date", showgrid=False, zeroline=False)
    figure.update_yaxes(
        gridcolor=GRID[theme], zeroline=False, rangemode="tozero", title="seconds", automargin=True, fixedrange=True
    )
    return finish(figure, theme, height=240, showlegend=True, hovermode="closest")
