# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of the page Policy. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from console.figures.theme import ACCENT, FAINT, INK, style_axis_text
from console.text.times import moment


def window_strip(open_hours: Sequence[bool], now: float, theme: str = "light") -> go.Figure:
    """The 24 hours of a day in UTC, open or closed, and where the day is now. ``open_hours``: 24 values."""
    figure = go.Figure()
    for name, wanted, colour in (("✓ open", True, ACCENT[theme]), ("– closed", False, FAINT[theme])):
        hours = [hour for hour, is_open in enumerate(open_hours) if is_open is wanted]
        if not hours:
            continue
        figure.add_trace(
            go.Bar(
                name=name,
                x=[hour + 0.5 for hour in hours],
                y=[1] * len(hours),
                width=[0.94] * len(hours),
                marker={"color": colour, "line": {"width": 0}},
                text=[f"{hour:02d}:00 to {(hour + 1) % 24:02d}:00 UTC: {name[2:]}" for hour in hours],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.add_vline(
        x=now % 86400 / 3600,
        line={"color": INK[theme], "width": 2},
        annotation={"text": f"now {moment(now, '%H:%M')}", "yanchor": "bottom"},
        annotation_position="top",
    )
    figure.update_layout(
        barmode="overlay",
        height=132,
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1.25, "yanchor": "bottom", "title": None},
        showlegend=True,
        hovermode="closest",
    )
    figure.update_xaxes(
        range=[-0.3, 24.3],
        tickvals=list(range(0, 25, 3)),
        ticktext=[f"{hour:02d}:00" for hour in range(0, 25, 3)],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
    figure.update_yaxes(visible=False, range=[0, 1], fixedrange=True)
    return style_axis_text(figure, theme)
