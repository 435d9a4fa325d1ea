# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of the theme while a page is open, for example because the system changes to dark colours in the evening.

Streamlit changes its own elements in the browser. The console's have the colours of the theme with which the page was
drawn.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from console.web.shared import viewer

_JS = Path(__file__).with_name("theme.js").read_text(encoding="utf-8")


def follow() -> None:
    """Draw the page again when the theme changes. Called after the page is drawn."""
    st.components.v2.component("fleetops_theme", js=_JS)(
        key="theme", data={"theme": viewer.theme()}, height=1, on_changed_change=lambda: None
    )
