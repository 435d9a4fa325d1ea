# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back over a login: it always leads to the first page, so the tab itself keeps the view that was wanted.

A tab's session storage outlives the way to the provider and back, and no other tab, site or server sees it. What is
found there is followed once, within an hour, to a page of the console and nowhere else.
"""

from __future__ import annotations

import streamlit as st

from console import views

_KEY = "way_back"
_FIRST = "way_back_first_page"

_LOST = "The login leads to the first page: open your link once more after it."

# It says so itself, as only the browser knows whether it could keep the view.
_KEEP = """
export default function ({ data, parentElement }) {
  const line = parentElement.querySelector("p")
  try {
    sessionStorage.setItem("fleetops_wanted", JSON.stringify({ view: data.view, at: Date.now() }))
    line.textContent = "The login leads back to your link."
  } catch { line.textContent = data.lost }
}
"""

_TAKE = f"""
export default function ({{ setTriggerValue }}) {{
  let kept
  try {{
    kept = sessionStorage.getItem("fleetops_wanted")
    sessionStorage.removeItem("fleetops_wanted")
    kept = JSON.parse(kept)
  }} catch {{ return }}
  const age = Date.now() - kept?.at
  if (age >= 0 && age < 3600e3 && typeof kept.view === "string" && kept.view.length <= {views.MOST})
    setTriggerValue("view", kept.view)
}}
"""


def keep(page: str) -> None:
    """Let the tab remember the address, which is of ``page``, and say what becomes of it; nothing on the first page."""
    wanted = views.view(page, {name: st.query_params.get_all(name) for name in st.query_params})
    if wanted is None:
        return
    text = wanted.text()
    if not text:
        st.text(_LOST)
        return
    st.components.v2.component("fleetops_keep", html="<p></p>", css="p { margin: 0 }", js=_KEEP)(
        key="way_back_keep", data={"view": text, "lost": _LOST}
    )


def take(page: str) -> None:
    """Let the tab tell what it has kept, once; below ``page``, the one that the session has begun with."""
    if st.session_state.setdefault(_FIRST, page) == page:
        st.components.v2.component("fleetops_take", js=_TAKE)(key=_KEY, height=1, on_view_change=lambda: None)


def follow(page: str) -> None:
    """Go to the view that the tab has told; only from the first page, where the login has led to."""
    wanted = views.read((st.session_state.get(_KEY) or {}).get("view"))
    if wanted is not None and page == st.session_state.get(_FIRST) == "":
        st.switch_page(wanted.script, query_params=wanted.query)
