# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports a zoom in a chart to the page, which keeps it in the address.

Streamlit reports selections only, and a changed figure is a new chart without the zoom of the former one. So a
component in the browser listens to Plotly's events in the marked charts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_KEY = "zoom"
_JS = Path(__file__).with_name("chart_zoom.js").read_text(encoding="utf-8")


def mark(boxed: bool = False) -> dict[str, str]:
    """The entry in ``layout.meta`` of a chart whose zoom is reported. boxed: a drag draws a box instead of zooming."""
    return {"zoom": "boxed" if boxed else "dragged"}


def listen(zoomed: Callable[[list[Any]], None]) -> None:
    """Call ``zoomed`` after a zoom in a marked chart, with both ends of the x axis as the browser writes them, or with
    an empty list after the axis was reset. To be called once for each page."""

    def report() -> None:
        zoomed(list(st.session_state[_KEY].range))

    # It shows nothing, but Streamlit takes no height of 0.
    st.components.v2.component("fleetops_zoom", js=_JS)(key=_KEY, width=1, height=1, on_range_change=report)
