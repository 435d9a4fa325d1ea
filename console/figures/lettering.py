# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small writing of every figure: on axes, at titles, in the legend. Pure, as ``charts``."""

from __future__ import annotations

import plotly.graph_objects as go

from console.text.statuses import LABEL


def legible(figure: go.Figure, theme: str) -> go.Figure:
    """Gives the figure's small writing, axes and legend, a colour that can be read at its size."""
    ink = {"color": LABEL[theme]}
    figure.update_layout(legend_font=ink)
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(tickfont=ink, title_font=ink)
    return figure
