# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plotly figures on a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import plotly.graph_objects as go
import streamlit as st


@st.cache_data(max_entries=200, ttl=3600, show_spinner=False)
def _drawn(name: str, args: tuple[Any, ...], _figure: Callable[..., go.Figure]) -> str:
    return to_json(_figure(*args))


def chart(alt: str, key: str, figure: Callable[..., go.Figure], *args: Any) -> None:
    """Draw the figure that a function of ``console.figures`` returns for these arguments; it is cached by them."""
    # As JSON, because a figure object from a cache would be sent again in every run.
    drawn = _drawn(f"{figure.__module__}.{figure.__qualname__}", args, figure)
    draw(json.loads(drawn), alt, key, without=("select2d",))


def draw(figure: dict[str, Any], alt: str, key: str, *, without: Iterable[str], **more: Any) -> None:
    """Draw a figure. without: buttons to remove from its toolbar. more: arguments of ``st.plotly_chart``."""
    config = {"displaylogo": False, "modeBarButtonsToRemove": [*without, "lasso2d", "autoScale2d"]}
    # With an explicit height the layout does not move when the chart has loaded.
    st.plotly_chart(figure, key=key, height=figure["layout"]["height"], alt=alt, config=config, **more)


def to_json(figure: go.Figure) -> str:
    """A figure as JSON, for a cache, without Plotly's default template, which Plotly adds when the figure is drawn."""
    # Validating the template when the JSON is read would take 20 ms in each run of the page.
    figure.layout.template = None
    text: str = figure.to_json()
    return text
