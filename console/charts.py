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
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.palette import ACCENT, FAINT, GRID, Look, look
from console.timeline import Layout, in_window, worst_image

BARS_MOST = 1500
"""Up to this many targets each one is a bar of its own; above, the browser's page gets slow and the picture useless."""

ROWS_MOST = 100
"""Up to this many targets the chart can give each one a row of its own."""

BAR, WAIT = 0.78, 0.2
Rows = Literal["slots", "targets"]


def plain(text: object, width: int = 64, lines: int = 4) -> str:
    """Machine text for a Plotly label: escaped, wrapped at ``width``, cut after ``lines`` lines."""
    rows = textwrap.wrap(str(text), width) or [""]
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


def timeline_bars(
    targets: pd.DataFrame,
    layout: Layout,
    now: float,
    theme: str = "light",
    rows: Rows = "slots",
    window: tuple[float, float] | None = None,
) -> go.Figure:
    """One bar a target, one trace a status; before it a thin pale bar for its wait (countdown, then queue).

    targets: the frame of ``queries.targets_of``, row by row as ``layout``. rows='targets' gives each one its own row
    and shows the whole wait, open ones to ``now``; 'slots' shows the wait as far as the slot was free.
    """
    shown = layout.placed if window is None else in_window(layout, *window)
    figure = go.Figure()
    if rows == "targets":
        order = np.argsort(np.where(layout.placed, layout.start, np.inf), kind="stable")
        y = np.empty(len(targets), dtype=np.int64)
        y[order] = np.arange(1, len(targets) + 1)
        created = targets["created_at"].to_numpy(float)
        waiting = np.isfinite(created) & (layout.placed | (targets["status"] == "queued").to_numpy())
        wait_from, wait_until = created, np.where(layout.placed, layout.start, now)
        names = [plain(name, 34, 1) for name in targets["host"].to_numpy()[order]]
        ticks = {"tickvals": np.arange(1, len(targets) + 1), "ticktext": names}
        count, title = len(targets), None
    else:
        y = layout.slot + 1
        waiting, wait_from, wait_until = shown, layout.wait_from, layout.wait_until
        ticks = {"dtick": 1} if layout.slots <= 20 else {}
        count, title = layout.slots, "slot"
    _add_waits(figure, y, waiting, wait_from, wait_until, layout.planned, theme)
    hover = _hover(targets, layout, now)
    for status, rows_of in _by_status(targets["status"].to_numpy(), shown):
        style = look(status)
        figure.add_trace(
            go.Bar(
                orientation="h",
                name=f"{style.label} {len(rows_of):,}",
                base=layout.start[rows_of] * 1000,
                x=np.maximum(layout.end[rows_of] - layout.start[rows_of], 0.0) * 1000,
                y=y[rows_of],
                # Without a width Plotly computes one per trace and a rare status gets bars of several slots.
                width=np.full(len(rows_of), BAR),
                marker=_marker(style, theme),
                text=hover[rows_of],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
        )
    if layout.open.any():
        figure.add_vline(x=now * 1000, line={"color": ACCENT[theme], "width": 1, "dash": "dot"})
    bounds = window or _whole(layout, wait_from, waiting)
    return _style_timeline(figure, theme, bounds, count, title, ticks, 27 if rows == "slots" else 20)


def timeline_image(
    targets: pd.DataFrame, layout: Layout, theme: str = "light", window: tuple[float, float] | None = None
) -> go.Figure:
    """All targets of a big rollout as one image of slots x 1,200 time bins; the worst outcome wins a cell."""
    bounds = layout.bounds or (0.0, 1.0)
    words = targets["status"].to_numpy()
    styles = {word: look(word) for word in pd.unique(words)}
    severity = np.array([styles[word].severity for word in words], dtype=np.uint8)
    image = worst_image(layout, severity, *bounds)
    step = (bounds[1] - bounds[0]) * 1000 / image.shape[1]
    worst = max([style.severity for style in styles.values()], default=1)
    colours = {style.severity: style.colour(theme) for style in styles.values()}
    scale: list[tuple[float, str]] = []
    for level in range(worst + 1):
        colour = colours.get(level, "rgba(0,0,0,0)")
        scale += [(level / (worst + 1), colour), ((level + 1) / (worst + 1), colour)]
    figure = go.Figure(
        go.Heatmap(
            z=image,
            x0=bounds[0] * 1000 + step / 2,
            dx=step,
            y0=1,
            dy=1,
            zmin=-0.5,
            zmax=worst + 0.5,
            colorscale=scale,
            showscale=False,
            ygap=1,
            hovertemplate="slot %{y}, %{x|%H:%M:%S} UTC<extra></extra>",
        )
    )
    for word, rows_of in _by_status(words, layout.placed):
        style = look(word)
        # A legend entry: the image itself has none.
        figure.add_trace(
            go.Bar(x=[None], y=[None], name=f"{style.label} {len(rows_of):,}", marker_color=style.colour(theme))
        )
    if window is not None and window != bounds:
        figure.add_vrect(
            x0=window[0] * 1000,
            x1=window[1] * 1000,
            line={"color": ACCENT[theme], "width": 1.5},
            fillcolor="rgba(0,0,0,0)",
        )
    return _style_timeline(figure, theme, bounds, layout.slots, "slot", {}, 9)


def _by_status(words: Sequence[str] | np.ndarray, shown: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Rows of each status, harmless first, so that the bad ones are drawn last and lie on top."""
    found = [(word, np.flatnonzero(shown & (np.asarray(words) == word))) for word in pd.unique(np.asarray(words))]
    return sorted([pair for pair in found if pair[1].size], key=lambda pair: (look(pair[0]).severity, pair[0]))


def _marker(style: Look, theme: str) -> dict[str, object]:
    colour = style.colour(theme)
    marker: dict[str, object] = {"color": colour, "line": {"width": 0}}
    if style.pattern:
        stroke = "rgba(0,0,0,0.55)" if theme == "light" else "rgba(0,0,0,0.7)"
        marker["pattern"] = {"shape": style.pattern, "size": 7, "solidity": 0.22, "fgcolor": stroke, "bgcolor": colour}
    return marker


def _hover(targets: pd.DataFrame, layout: Layout, now: float) -> np.ndarray:
    """One label a target: name, status, start, took, wait, error."""
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
        took = f"running for {duration(now - start)}, no end yet" if is_open else f"took {duration(end - start)}"
        lines = [f"<b>{plain(host)}</b>", plain(look(status).label), f"started {moment(start)} UTC", took]
        if pd.notna(created) and start - created >= 0.05:
            planned = f" (countdown {duration(countdown)})" if countdown and pd.notna(countdown) else ""
            lines.append(f"waited {duration(start - created)}{planned}")
        if isinstance(error, str) and error:
            lines.append(plain(error))
        labels[row] = "<br>".join(lines)
    return labels


def _add_waits(
    figure: go.Figure,
    y: np.ndarray,
    shown: np.ndarray,
    begin: np.ndarray,
    until: np.ndarray,
    planned: np.ndarray,
    theme: str,
) -> None:
    """The thin bars before the run phase: the planned countdown in the accent colour, the queue after it in grey."""
    border = np.clip(np.where(np.isfinite(planned), planned, begin), begin, until)
    phases = (("countdown", begin, border, ACCENT[theme]), ("waiting", border, until, FAINT[theme]))
    for name, first, last, colour in phases:
        rows = np.flatnonzero(shown & (last > first))
        if not rows.size:
            continue
        figure.add_trace(
            go.Bar(
                orientation="h",
                name=name,
                base=first[rows] * 1000,
                x=(last[rows] - first[rows]) * 1000,
                y=y[rows],
                width=np.full(rows.size, WAIT),
                marker={"color": colour, "opacity": 0.55, "line": {"width": 0}},
                hoverinfo="skip",
            )
        )


def _whole(layout: Layout, wait_from: np.ndarray, waiting: np.ndarray) -> tuple[float, float] | None:
    begins = wait_from[waiting & np.isfinite(wait_from)]
    bounds = layout.bounds
    if bounds is None:
        return None
    return (min(bounds[0], float(begins.min())) if begins.size else bounds[0]), bounds[1]


def _style_timeline(
    figure: go.Figure,
    theme: str,
    bounds: tuple[float, float] | None,
    count: int,
    title: str | None,
    ticks: dict[str, object],
    row_height: int,
) -> go.Figure:
    height = int(np.clip(count * row_height + 92, 150, 620 if title else 2200))
    figure.update_layout(
        barmode="overlay",
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "title": None},
        hoverlabel={"align": "left"},
        hovermode="closest",
        dragmode="zoom",
    )
    figure.update_xaxes(type="date", gridcolor=GRID[theme], zeroline=False, tickformatstops=_CLOCK)
    if bounds is not None:
        pad = max((bounds[1] - bounds[0]) * 0.005, 0.5)
        figure.update_xaxes(range=[(bounds[0] - pad) * 1000, (bounds[1] + pad) * 1000])
    figure.update_yaxes(
        range=[count + 0.6, 0.4], showgrid=False, zeroline=False, fixedrange=True, title=title, automargin=True, **ticks
    )
    return figure


_CLOCK = [
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S\n%b %-d"},
    {"dtickrange": [60_000, 86_400_000], "value": "%H:%M\n%b %-d"},
    {"dtickrange": [86_400_000, None], "value": "%b %-d\n%Y"},
]


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
