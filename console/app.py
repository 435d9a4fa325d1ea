# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Streamlit entry point: the list of pages, and the ASGI app. Started by ``python -m console serve``.

Streamlit imports this file once for its server, and runs it as a script on every visit to a page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this script's folder on sys.path; the package is in its parent.
if (ROOT := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, ROOT)

if __name__ == "__main__":
    from console.web import sign_in
    from console.web.browser import navigation, theme
    from console.web.pages import OVERVIEW, PAGES
    from console.web.shared.markup import CSS
    from console.web.startup import warm_up

    warm_up()
    st.set_page_config(page_title="fleetops console", page_icon="🛰️", layout="wide")
    st.html(CSS)

    # The pages must not be in a folder named pages: Streamlit would run a linked page without this script.
    sign_in.run(
        [
            st.Page(page.script, title=page.title, icon=page.icon or None, default=page is OVERVIEW,
                    visibility="visible" if page.icon else "hidden")
            for page in PAGES
        ]
    )  # fmt: skip
    navigation.links()
    theme.follow()
else:
    from console.web.startup import accept_long_cookies, end_quietly_on_interrupt, middleware

    accept_long_cookies()
    end_quietly_on_interrupt()
    app = st.App(__file__, middleware=middleware())
