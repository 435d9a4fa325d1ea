# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A zoom in a chart, told to the page, so that it can be kept in the address.

Streamlit tells selections only, and each change of a figure is a new chart, without the zoom of the one before. So the
browser listens to Plotly's own word of it, in those charts that are marked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_KEY = "zoom"
_JS = Path(__file__).with_name("chart_zoom.js").read_text(encoding="utf-8")


def mark(boxed: bool = False) -> dict[str, str]:
    """What the ``layout.meta`` of a chart holds whose zoom is told. boxed: a drag in it makes a box and zooms not."""
    return {"zoom": "boxed" if boxed else "dragged"}


def listen(zoomed: Callable[[list[Any]], None]) -> None:
    """Call ``zoomed`` with both ends of the x axis, as the browser writes them, after a zoom in a marked chart; with
    an empty list when it was zoomed back to everything. Once a page."""

    def tell() -> None:
        zoomed(list(st.session_state[_KEY].range))

    # One pixel: it has nothing to show.
    st.components.v2.component("fleetops_zoom", js=_JS)(key=_KEY, width=1, height=1, on_range_change=tell)
