# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that add one entry to the browser's history, so that Back returns to this page with its filters; and the page
that is opened after a sign-in.

st.switch_page and Streamlit's links first add an entry with the new parameters at the address of the old page. So a
script in the browser changes the address itself, and Streamlit follows as it does after Back and Forward. The login
provider always returns to the first page, so the address is kept in the session storage of the browser's tab.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from console.web.shared.pages import PAGES, Page

_LINKS_JS = Path(__file__).with_name("links.js").read_text(encoding="utf-8")
_GO_JS = Path(__file__).with_name("go.js").read_text(encoding="utf-8")
_LOGIN_JS = Path(__file__).with_name("return_after_login.js").read_text(encoding="utf-8")
_FIRST = "first_page_of_session"
_NAMES = [page.name for page in PAGES[1:]]


def links() -> None:
    """Make every link to a page of the console add one entry; called after the page is drawn."""
    st.components.v2.component("fleetops_links", js=_LINKS_JS)(key="links", height=1)


def go(page: Page, identifier: str, key: str) -> None:
    """Let the browser open the page for one id; until then the script of this page continues."""
    to = f"{page.name}?{urlencode({'id': identifier})}"
    st.components.v2.component("fleetops_go", js=_GO_JS)(key=f"{key}_go", data={"to": to}, height=1)


def keep(page: str) -> None:
    """Keep the address of ``page`` and tell the visitor; does nothing for the first page."""
    if page in _NAMES:
        st.components.v2.component("fleetops_keep", html="<p></p>", css="p { margin: 0 }", js=_LOGIN_JS)(
            key="keep_address", data={"keep": page}
        )


def open_kept(page: str) -> None:
    """Open the address kept by the tab if the session began with the first page; called after the page is drawn."""
    if st.session_state.setdefault(_FIRST, page) == page:
        st.components.v2.component("fleetops_open_kept", js=_LOGIN_JS)(
            key="open_kept_address", height=1, data={"first": page == "", "pages": _NAMES}
        )
