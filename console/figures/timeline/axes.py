# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by all figures of a timeline: drawing options, axes and size. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from console.figures.theme import GRID, INK, MARGIN, axis_date, axis_dates, axis_unit, finish, plain
from console.figures.timeline.packing import Bools, Ints, Usual
from console.text.statuses import style_of

MAX_BARS = 1500
"""Up to this number of targets, each has its own bar. With more, the browser is slow and bars cannot be told apart."""

MAX_ROWS = 200
"""Up to this number of targets, each has its own row. With more, they share the slots in which they ran."""


Rows = Literal["slots", "targets"]


@dataclass(frozen=True)
class Axis:
    """The x axis. Without an origin, it shows times in UTC (dates as text), otherwise the time since the origin (epoch
    seconds) in ``unit``, which is ``size`` seconds long."""

    origin: float | None = None
    unit: str = "s"
    size: float = 1.0

    @staticmethod
    def elapsed(first: float, last: float) -> Axis:
        """The axis of the time elapsed since ``first``, in a unit that suits the time up to ``last``."""
        return Axis(first, *axis_unit(last - first))

    def at(self, seconds: Any) -> Any:
        """Epoch seconds, or an array of them, as values of the axis."""
        if self.origin is not None:
            return (seconds - self.origin) / self.size
        return axis_dates(seconds) if isinstance(seconds, np.ndarray) else axis_date(seconds)

    def length(self, seconds: Any) -> Any:
        """A duration in seconds as a length on the axis."""
        return seconds * 1000 if self.origin is None else seconds / self.size

    def seconds(self, value: str | float) -> float:
        """A value of the axis as the browser reports it (a date as text, or a number), in epoch seconds."""
        if self.origin is None:
            unit = "ms" if isinstance(value, int | float) else None
            return float(pd.Timestamp(value, tz="UTC", unit=unit).timestamp())
        return self.origin + float(value) * self.size


CLOCK = Axis()


@dataclass(frozen=True)
class Mark:
    """A moment (epoch seconds) that is marked by a dashed line, with a short label."""

    at: float
    label: str


MAX_LABELS = 24
"""With more marks than this, the labels would overlap, so only the lines are drawn."""


@dataclass(frozen=True)
class DrawOptions:
    """How a timeline is drawn. window: in epoch seconds, None for all. selected: rows of the frame. usual: the usual
    duration of a run phase. zone: the viewer's time zone, '' for UTC only. marks: labelled times, such as gates."""

    theme: str = "light"
    rows: Rows = "slots"
    axis: Axis = CLOCK
    window: tuple[float, float] | None = None
    selected: tuple[int, ...] = ()
    usual: Usual | None = None
    zone: str = ""
    marks: tuple[Mark, ...] = ()


DEFAULT = DrawOptions()


def by_status(words: Sequence[str] | np.ndarray, shown: Bools) -> list[tuple[str, Ints]]:
    """The rows of each status, by severity, so that the worst are drawn last and are on top."""
    found = [(word, np.flatnonzero(shown & (np.asarray(words) == word))) for word in pd.unique(np.asarray(words))]
    return sorted([pair for pair in found if pair[1].size], key=lambda pair: (style_of(pair[0]).severity, pair[0]))


def add_axes(
    figure: go.Figure,
    options: DrawOptions,
    bounds: tuple[float, float] | None,
    count: int,
    title: str | None,
    ticks: dict[str, Any],
    row_height: int,
) -> go.Figure:
    """Set the axes, size and legend of the figure. bounds: the x axis in epoch seconds, None to let Plotly choose.

    count: the number of rows. title: that of the y axis, None if ``ticks`` (options of that axis) names the rows.
    """
    axis, grid = options.axis, GRID[options.theme]
    height = int(np.clip(count * row_height + 92, 150, 620 if title else 2400))
    # Without names on the y axis its width is known. If Plotly computes it, it draws the figure twice.
    known = title is not None
    margin = {**MARGIN, "l": 44 + 8 * len(str(count)), "b": 44} if known else MARGIN
    if axis.origin is None:
        figure.update_xaxes(type="date", gridcolor=grid, zeroline=False, tickformatstops=_CLOCK)
    else:
        figure.update_xaxes(type="linear", gridcolor=grid, zeroline=False, ticksuffix=f" {axis.unit}")
    if bounds is not None:
        if bounds != options.window and any(mark.at > bounds[1] for mark in options.marks):
            # The gate that stopped a run is later than all targets. Its label is to the right of its line.
            bounds = bounds[0], bounds[0] + 1.06 * (max(mark.at for mark in options.marks) - bounds[0])
        # A window has no padding, so that the chart's reset reports exactly the window.
        pad = 0.0 if bounds == options.window else max((bounds[1] - bounds[0]) * 0.005, 0.5)
        figure.update_xaxes(range=[axis.at(bounds[0] - pad), axis.at(bounds[1] + pad)])
    figure.update_xaxes(automargin=not known)
    figure.update_yaxes(
        range=[count + 0.6, 0.4], showgrid=False, zeroline=False, fixedrange=True, title=title, automargin=not known
    )
    figure.update_yaxes(**ticks)
    _add_marks(figure, options)
    return finish(
        figure, options.theme, barmode="overlay", height=height, margin=margin, hovermode="closest", dragmode="zoom"
    )


def _add_marks(figure: go.Figure, options: DrawOptions) -> None:
    """Add a dashed line over the full height for each mark."""
    colour = INK[options.theme]
    lines, labels = [], []
    for mark in options.marks:
        at = options.axis.at(mark.at)
        lines.append(
            {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "opacity": 0.6,
             "line": {"color": colour, "width": 1, "dash": "dash"}}
        )  # fmt: skip
        if len(options.marks) <= MAX_LABELS:
            labels.append(
                {"x": at, "xref": "x", "y": 0, "yref": "paper", "yanchor": "bottom", "xanchor": "left",
                 "showarrow": False, "text": plain(mark.label, 20, 1), "font": {"size": 10, "color": colour}}
            )  # fmt: skip
    figure.update_layout(shapes=[*figure.layout.shapes, *lines], annotations=[*figure.layout.annotations, *labels])


_CLOCK = [
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S\n%b %-d"},
    {"dtickrange": [60_000, 86_400_000], "value": "%H:%M\n%b %-d"},
    {"dtickrange": [86_400_000, None], "value": "%b %-d\n%Y"},
]
