# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that add one entry to the browser's history, so that Back returns to this page with its filters.

st.switch_page and Streamlit's links first add an entry with the new parameters at the address of the old page. So a
script in the browser changes the address itself, and Streamlit follows as it does after Back and Forward.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from console.web.shared.pages import Page

_LINKS_JS = Path(__file__).with_name("links.js").read_text(encoding="utf-8")
_GO_JS = Path(__file__).with_name("go.js").read_text(encoding="utf-8")


def links() -> None:
    """Make every link to a page of the console add one entry; called after the page is drawn."""
    st.components.v2.component("fleetops_links", js=_LINKS_JS)(key="links", height=1)


def go(page: Page, identifier: str, key: str) -> None:
    """Let the browser open the page for one id; until then the script of this page continues."""
    to = f"{page.name}?{urlencode({'id': identifier})}"
    st.components.v2.component("fleetops_go", js=_GO_JS)(key=f"{key}_go", data={"to": to}, height=1)
