# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way on to another page, so that the browser's Back leads to this one as it was, filters included.

st.switch_page and Streamlit's own links write the new parameters at the old page's address first, as an entry of the
browser's history. So the browser goes to the new address itself, in one step, and Streamlit follows as it follows Back
and Forward.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

_LINKS_JS = Path(__file__).with_name("links.js").read_text(encoding="utf-8")
_GO_JS = Path(__file__).with_name("go.js").read_text(encoding="utf-8")


def links() -> None:
    """Let every link to a page of the console go in one step; below all that the page draws."""
    st.components.v2.component("fleetops_links", js=_LINKS_JS)(key="links", height=1)


def go(page: str, identifier: str, key: str) -> None:
    """Let the browser open the page with that script for one id; the script of this page goes on until it does."""
    to = f"{Path(page).stem}?{urlencode({'id': identifier})}"
    st.components.v2.component("fleetops_go", js=_GO_JS)(key=f"{key}_go", data={"to": to}, height=1)
