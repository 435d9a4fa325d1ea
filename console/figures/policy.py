# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of the page Policy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import plotly.graph_objects as go

from console.figures.theme import ACCENT, FAINT, IN_UTC, INK, add_spans, finish, plain
from console.text.statuses import BAD
from console.text.times import moment

DAY = 86400.0
OPEN, CLOSED, FROZEN = "✓ open", "– closed", "✕ frozen"


class Span(NamedTuple):
    """A part of a day. day: 0 for the first one. begin, end: hours of the day, from 0 to 24. text: the label."""

    day: int
    begin: float
    end: float
    text: str


def calendar(
    open_hours: Sequence[bool],
    frozen: Sequence[tuple[float, float, str]],
    now: float,
    theme: str = "light",
    days: int = 7,
) -> go.Figure:
    """A calendar from today on in UTC, one row for each day: when the window is open, and when changes are frozen.

    open_hours: 24 values. frozen: the start and end (epoch seconds) and the reason of each freeze.
    """
    first = now // DAY * DAY
    figure = go.Figure()
    patterned = {"shape": "/", "size": 5, "solidity": 0.35, "fillmode": "overlay"}
    for name, spans, colour, pattern in (
        (OPEN, list(_hours(open_hours, True, days)), ACCENT[theme], {}),
        (CLOSED, list(_hours(open_hours, False, days)), FAINT[theme], {}),
        (FROZEN, list(_frozen(frozen, first, days)), BAD.dark if theme == "dark" else BAD.light, patterned),
    ):
        if not spans:
            continue
        add_spans(
            figure,
            name,
            [span.begin for span in spans],
            [span.end - span.begin for span in spans],
            [span.day for span in spans],
            0.78,
            {"color": colour, "line": {"width": 0}, "pattern": pattern},
            text=[f"{moment(first + span.day * DAY, '%a %d %b')}, {span.text}" for span in spans],
        )
    hour = (now - first) / 3600
    figure.add_shape(type="line", x0=hour, x1=hour, y0=-0.48, y1=0.48, line={"color": INK[theme], "width": 2})
    figure.update_xaxes(
        range=[-0.1, 24.1],
        tickvals=list(range(0, 25, 3)),
        ticktext=[f"{hour:02d}:00" for hour in range(0, 25, 3)],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        title=IN_UTC,
    )
    figure.update_yaxes(
        range=[days - 0.5, -0.5],
        tickvals=list(range(days)),
        ticktext=[moment(first + day * DAY, "%a %d %b") for day in range(days)],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    return finish(figure, theme, barmode="overlay", height=84 + 24 * days, showlegend=True, hovermode="closest")


def _hours(open_hours: Sequence[bool], wanted: bool, days: int) -> Iterator[Span]:
    """The spans of each day in which all hours are open or, if ``wanted`` is false, closed."""
    word = OPEN if wanted else CLOSED
    parts = [(is_open, list(hours)) for is_open, hours in groupby(range(24), lambda hour: open_hours[hour])]
    for day in range(days):
        for hours in [hours for is_open, hours in parts if is_open is wanted]:
            begin, end = hours[0], hours[-1] + 1
            yield Span(day, begin, end, f"{begin:02d}:00 to {end:02d}:00 UTC: {word[2:]}")


def _frozen(frozen: Sequence[tuple[float, float, str]], first: float, days: int) -> Iterator[Span]:
    """The parts of the freezes that are in the calendar."""
    for start, end, reason in frozen:
        for day in range(days):
            midnight = first + day * DAY
            begin, last = max(start, midnight), min(end, midnight + DAY)
            if begin < last:
                why = f": {plain(reason)}" if reason else ""
                whole = f"{moment(start, '%Y-%m-%d %H:%M')} to {moment(end, '%Y-%m-%d %H:%M')}"
                yield Span(day, (begin - midnight) / 3600, (last - midnight) / 3600, f"frozen from {whole} UTC{why}")
