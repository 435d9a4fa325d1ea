# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the page Instance, and the health bands in one of them. Pure.

A check gives the health at one moment. Its result is valid until the next check, but at most for :func:`usual_hold`
seconds. After that, the health is unknown and there is no band.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from console.figures.theme import ACCENT, FAINT, GRID, IN_UTC, add_spans, axis_date, axis_dates, finish, plain
from console.text.counts import counted
from console.text.statuses import style_of
from console.text.times import duration, moments


def health_over_time(
    checks: pd.DataFrame, span: tuple[float, float], theme: str = "light", zone: str = ""
) -> go.Figure:
    """Bands of health over ``span`` (epoch seconds); times without a check are hatched.

    checks: checked_at and status in time order, in ``span`` and shortly before it. zone: the viewer's time zone, in
    which the labels show the times again.
    """
    found = bands(checks["checked_at"].tolist(), checks["status"].tolist(), span[1])
    strip = [band for band in found if band.end > span[0]]
    figure = go.Figure()
    hatched = {
        "color": "rgba(0,0,0,0)",
        "line": {"width": 1, "color": GRID[theme]},
        "pattern": {"shape": "/", "size": 8, "solidity": 0.12, "fgcolor": FAINT[theme]},
    }
    add_spans(figure, "· no check", [axis_date(span[0])], [(span[1] - span[0]) * 1000], [0], 0.9, hatched)
    words = sorted({band.status for band in strip}, key=lambda word: (style_of(word).severity, word))
    for word in words:
        style, part = style_of(word), [band for band in strip if band.status == word]
        add_spans(
            figure,
            plain(style.label, 40, 1),
            axis_dates(max(band.start, span[0]) for band in part),
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
    figure.update_xaxes(type="date", range=axis_dates(span), showgrid=False, zeroline=False, title=IN_UTC)
    figure.update_yaxes(visible=False, range=[-0.5, 0.5], fixedrange=True)
    return finish(figure, theme, barmode="overlay", height=128, hovermode="closest")


def deploy_times(
    targets: pd.DataFrame, usual: tuple[float | None, float | None], theme: str = "light", zone: str = ""
) -> go.Figure:
    """The duration of each deploy over time, by status. A band shows the usual range, p50 to p95 (dotted line).

    targets: columns started_at, took_s, status, error. zone: as in :func:`health_over_time`.
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
                x=axis_dates(part["started_at"]),
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
    figure.update_xaxes(type="date", showgrid=False, zeroline=False, title=IN_UTC)
    figure.update_yaxes(
        gridcolor=GRID[theme], zeroline=False, rangemode="tozero", title="seconds", automargin=True, fixedrange=True
    )
    return finish(figure, theme, height=240, showlegend=True, hovermode="closest")


MIN_HOLD, MAX_HOLD = 300.0, 6 * 3600.0


class Band(NamedTuple):
    """A period with one status, in epoch seconds; ``checks`` is the number of checks in it."""

    start: float
    end: float
    status: str
    checks: int


def usual_hold(checked: Sequence[float]) -> float:
    """Twice the median time between two checks, but at least 5 minutes and at most 6 hours."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(checked) if later > earlier]
    usual = 2 * statistics.median(gaps) if gaps else MIN_HOLD
    return min(max(usual, MIN_HOLD), MAX_HOLD)


def bands(checked: Sequence[float], statuses: Sequence[str], now: float) -> list[Band]:
    """The bands from checks in time order; adjacent bands with the same status are merged."""
    most = usual_hold(checked)
    found: list[Band] = []
    for position, (at, status) in enumerate(zip(checked, statuses, strict=True)):
        until = checked[position + 1] if position + 1 < len(checked) else max(now, at)
        band = Band(at, min(until, at + most), status, 1)
        if found and found[-1].status == status and found[-1].end == at:
            band = Band(found[-1].start, band.end, status, found.pop().checks + 1)
        found.append(band)
    return found
