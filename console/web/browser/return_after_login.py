# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the requested page after a sign-in. The login provider always returns to the first page, so the address is kept
in the session storage of the browser's tab."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from console.web.shared.pages import PAGES

_FIRST = "first_page_of_session"
_JS = Path(__file__).with_name("return_after_login.js").read_text(encoding="utf-8")
_NAMES = [page.name for page in PAGES[1:]]


def keep(page: str) -> None:
    """Keep the address of ``page`` and tell the visitor; does nothing for the first page."""
    if page in _NAMES:
        st.components.v2.component("fleetops_keep", html="<p></p>", css="p { margin: 0 }", js=_JS)(
            key="keep_address", data={"keep": page}
        )


def open_kept(page: str) -> None:
    """Open the address kept by the tab if the session began with the first page; called after the page is drawn."""
    if st.session_state.setdefault(_FIRST, page) == page:
        st.components.v2.component("fleetops_open_kept", js=_JS)(
            key="open_kept_address", height=1, data={"first": page == "", "pages": _NAMES}
        )
