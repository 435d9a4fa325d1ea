# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refreshing a page by itself: only while something on it is open, and only while someone can see it.

Streamlit's own timer goes on in a hidden tab and has no end of its own. So the browser tells whether the tab is
visible, and a page that finds nothing open any more starts anew without a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

REFRESH_SECONDS = 3.0

_KEY = "tab"
_JS = Path(__file__).with_name("tab_visibility.js").read_text(encoding="utf-8")


def refreshing(body: Callable[[], None], is_open: Callable[[], bool]) -> None:
    """Draw ``body``; draw it again every few seconds while ``is_open()`` and the tab is visible.

    When nothing is open any more the whole page is drawn once more, which ends the timer.
    """
    if not is_open():
        st.fragment(body)()
        return

    def watched() -> None:
        body()
        if not is_open():
            st.rerun()

    hidden = bool((st.session_state.get(_KEY) or {}).get("hidden", False))
    st.fragment(watched, run_every=None if hidden else REFRESH_SECONDS)()
    st.components.v2.component("fleetops_tab", js=_JS)(
        key=_KEY, data={"hidden": hidden}, height=1, on_hidden_change=lambda: None
    )
