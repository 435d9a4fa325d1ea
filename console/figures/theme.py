# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by all figures: colours for Streamlit's light and dark theme, layout, and text, times and units for Plotly.
Pure.

The colours of a status are in console.text.statuses. Plotly reads markup in its labels, so machine text (host names,
errors) goes through :func:`plain`.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable

ACCENT = {"light": "#3b6fb6", "dark": "#7aa7e0"}
FAINT = {"light": "#c9ced6", "dark": "#4a5160"}
LABEL = {"light": "#565d69", "dark": "#a8b0bc"}
INK = {"light": "#1d2430", "dark": "#eef1f5"}
GRID = {"light": "rgba(120,128,140,0.18)", "dark": "rgba(160,168,180,0.16)"}

IN_UTC = {"text": "UTC", "standoff": 4, "font": {"size": 11}}
"""The title of an axis of times: only the labels of the points show the viewer's own zone."""

MARGIN = {"l": 8, "r": 8, "t": 34, "b": 8}
"""Pixels around a figure; the legend is in the top margin."""


def finish(figure: go.Figure, theme: str, **layout: Any) -> go.Figure:
    """Set what all figures share: the margins, the legend above the figure, and a text colour for axes and legend that
    is readable at their small size. layout: further entries of Plotly's layout, which take precedence."""
    font = {"color": LABEL[theme]}
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal", "font": font}
    figure.update_layout({"margin": MARGIN, "legend": legend, "hoverlabel": {"align": "left"}, **layout})
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(tickfont=font, title_font=font)
    return figure


def add_spans(figure: go.Figure, name: str, base: Any, x: Any, y: Any, width: float, marker: Any, **more: Any) -> None:
    """Add a trace of horizontal bars that start at ``base`` and are ``x`` long. width: the thickness of a bar in rows.
    more: further arguments of Plotly's Bar; ``text`` is shown on hover, and without it the bars have no hover label."""
    if "text" in more:
        more |= {"textposition": "none", "hovertemplate": "%{text}<extra></extra>"}
    elif "customdata" not in more:
        more["hoverinfo"] = "skip"
    # Without a width for each bar, Plotly computes one for the trace, and bars of a rare status cover several rows.
    widths = np.full(len(y), width)
    figure.add_trace(go.Bar(orientation="h", name=name, base=base, x=x, y=y, width=widths, marker=marker, **more))


def with_opacity(colour: str, opacity: float) -> str:
    """A hex colour as rgba text for Plotly, with this opacity (0 to 1)."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red},{green},{blue},{opacity:g})"


def plain(text: object, width: int = 64, lines: int = 4) -> str:
    """Machine text for a Plotly label: escaped, wrapped at ``width``, cut after ``lines`` lines."""
    # A single word needs no wrapping, and a chart has hundreds of them.
    word = printable(str(text))
    is_word = len(word) <= width and word.isprintable() and " " not in word
    rows = [word] if is_word else textwrap.wrap(word, width) or [""]
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1] + " …"]
    return "<br>".join(html.escape(row, quote=False) for row in rows)


def axis_date(seconds: float) -> str:
    """Epoch seconds as a value of a Plotly date axis, to the millisecond. As text, because Plotly shows a number in the
    browser's time zone instead of UTC."""
    return str(np.datetime64(round(seconds * 1000), "ms"))


def axis_dates(seconds: Iterable[float]) -> list[str | None]:
    """:func:`axis_date` of each, None for NaN."""
    times = np.array(list(seconds), dtype=float)
    known = np.isfinite(times)
    dates = np.where(known, np.round(times * 1000), 0).astype(np.int64).astype("datetime64[ms]")
    written = np.datetime_as_string(dates).tolist()
    return written if known.all() else [date if ok else None for date, ok in zip(written, known, strict=True)]


def axis_unit(longest: float) -> tuple[str, float]:
    """The unit for an axis up to ``longest`` seconds, and its length in seconds, so that the axis has small numbers."""
    return ("h", 3600.0) if longest > 3 * 3600 else ("min", 60.0) if longest > 600 else ("s", 1.0)
