# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames and layouts in, Plotly figures out. Pure: no Streamlit, no database, no clock.

Times are epoch seconds in the frames and epoch milliseconds (UTC) on the axes. Machine text (host names, errors) goes
through :func:`plain`, because Plotly reads markup in its labels.
"""

from __future__ import annotations

import html
import textwrap
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.palette import GRID, look


def plain(text: object, width: int = 64, lines: int = 4) -> str:
    """Machine text for a Plotly label: escaped, wrapped at ``width``, cut after ``lines`` lines."""
    # A word on its own needs no wrapping, and a chart has hundreds of them.
    word = str(text)
    whole = len(word) <= width and word.isprintable() and " " not in word
    rows = [word] if whole else textwrap.wrap(word, width) or [""]
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1] + " …"]
    return "<br>".join(html.escape(row, quote=False) for row in rows)


def duration(seconds: float | None) -> str:
    """Seconds for people: '38 s', '7 min 02 s', '5 h 22 min', '3 d 4 h'; '' when unknown."""
    if seconds is None or not np.isfinite(seconds):
        return ""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def moment(seconds: float | None, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Epoch seconds as UTC text; '' when unknown."""
    if seconds is None or not np.isfinite(seconds):
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime(pattern)


def axis_unit(longest: float) -> tuple[str, float]:
    """The unit for an axis up to ``longest`` seconds, and its seconds, so that the axis' numbers stay small."""
    return ("h", 3600.0) if longest > 3 * 3600 else ("min", 60.0) if longest > 600 else ("s", 1.0)


def audit_days(daily: pd.DataFrame, theme: str = "light") -> go.Figure:
    """Events a day, stacked by outcome. daily: columns day ('YYYY-MM-DD'), outcome, events."""
    figure = go.Figure()
    for outcome in sorted(daily["outcome"].unique(), key=_outcome_order):
        part = daily[daily["outcome"] == outcome]
        style = look(outcome)
        figure.add_trace(
            go.Bar(
                x=part["day"].tolist(),
                y=part["events"].tolist(),
                name=plain(style.label, 40, 1),
                marker_color=style.colour(theme),
                hovertemplate="%{x|%Y-%m-%d}: %{y:,} " + plain(style.word, 40, 1) + "<extra></extra>",
            )
        )
    days = daily["day"].nunique()
    figure.update_layout(
        barmode="stack",
        bargap=0.25 if days > 3 else 0.7,
        height=300,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    )
    figure.update_xaxes(
        type="date", tickformat="%b %-d\n%Y", showgrid=False, **({"dtick": 86_400_000} if days < 9 else {})
    )
    figure.update_yaxes(gridcolor=GRID[theme], zeroline=False, rangemode="tozero", automargin=True)
    return figure


def audit_sources(by_source: pd.DataFrame, theme: str = "light") -> go.Figure:
    """Events by source, stacked by outcome, the biggest source on top. Columns source, outcome, events."""
    totals = by_source.groupby("source")["events"].sum().sort_values()
    names = {source: plain(source, 28, 1) for source in totals.index}
    figure = go.Figure()
    for outcome in sorted(by_source["outcome"].unique(), key=_outcome_order):
        part = (
            by_source[by_source["outcome"] == outcome].set_index("source")["events"].reindex(totals.index, fill_value=0)
        )
        style = look(outcome)
        figure.add_trace(
            go.Bar(
                orientation="h",
                x=part.tolist(),
                y=[names[source] for source in totals.index],
                width=0.6,
                name=plain(style.label, 40, 1),
                marker_color=style.colour(theme),
                hovertemplate="%{y}: %{x:,} " + plain(style.word, 40, 1) + "<extra></extra>",
            )
        )
    figure.update_layout(
        barmode="stack",
        height=int(np.clip(len(totals) * 38 + 76, 140, 520)),
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    )
    figure.update_xaxes(gridcolor=GRID[theme], zeroline=False, rangemode="tozero")
    figure.update_yaxes(type="category", automargin=True, showgrid=False)
    return figure


def _outcome_order(outcome: str) -> tuple[int, str]:
    known = ("success", "denied", "error")
    return (known.index(outcome) if outcome in known else len(known), outcome)
