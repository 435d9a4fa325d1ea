# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plotly figures on a page."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import streamlit as st


def chart(figure_json: str, alt: str, key: str) -> None:
    """Draw a figure kept as JSON: a figure object out of a cache would be sent anew on every run."""
    figure = json.loads(figure_json)
    st.plotly_chart(
        figure,
        key=key,
        # Said outright, the place is kept free while the chart loads.
        height=figure["layout"]["height"],
        alt=alt,
        config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]},
    )


def to_json(figure: go.Figure) -> str:
    """A figure as JSON, for a cache. Left is Plotly's own template: Plotly puts it back in when the figure is drawn."""
    # Read back from JSON it would be checked piece by piece, 20 ms at each run of the page.
    figure.layout.template = None
    text: str = figure.to_json()
    return text
