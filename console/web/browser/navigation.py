# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that add a single entry to the browser's history, so that Back returns to the page with its filters; and the
page that is opened after a sign-in.

st.switch_page and Streamlit's links first add an entry that combines the new parameters with the old page's address.
Therefore a script in the browser changes the address, and Streamlit reacts as it does to Back and Forward. The login
provider always returns to the first page, so the requested address is kept in the session storage of the browser tab.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from console.web.pages import PAGES, Page

_LINKS_JS = Path(__file__).with_name("links.js").read_text(encoding="utf-8")
_GO_JS = Path(__file__).with_name("go.js").read_text(encoding="utf-8")
_LOGIN_JS = Path(__file__).with_name("return_after_login.js").read_text(encoding="utf-8")
_FIRST = "first_page_of_session"
_NAMES = [page.name for page in PAGES[1:]]


def links() -> None:
    """Make each link to a page of the console add a single entry, and keep the keyboard focus on a link when the HTML
    around it is replaced. Called after the page is drawn."""
    st.components.v2.component("fleetops_links", js=_LINKS_JS)(key="links", height=1)


def was_used() -> bool:
    """Whether this run follows one of these links, Back or Forward."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def go(page: Page, identifier: str, key: str) -> None:
    """Make the browser open the page of an id. The script of the current page continues until it does."""
    to = f"{page.name}?{urlencode({'id': identifier})}"
    st.components.v2.component("fleetops_go", js=_GO_JS)(key=f"{key}_go", data={"to": to}, height=1)


def keep(page: str) -> None:
    """Keep the address of ``page`` and inform the visitor. Does nothing for the first page."""
    if page in _NAMES:
        st.components.v2.component("fleetops_keep", html="<p></p>", css="p { margin: 0 }", js=_LOGIN_JS)(
            key="keep_address", data={"keep": page}
        )


def open_kept(page: str) -> None:
    """Open the address that the tab keeps, if the session began with the first page. Called after the page is drawn."""
    if st.session_state.setdefault(_FIRST, page) == page:
        st.components.v2.component("fleetops_open_kept", js=_LOGIN_JS)(
            key="open_kept_address", height=1, data={"first": page == "", "pages": _NAMES}
        )
