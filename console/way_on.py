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

# Streamlit may call it anew; then the address is the wanted one already.
_GO = """
export default function ({ data }) {
  const wanted = new URL(data.to, location.href)
  for (const [name, value] of new URLSearchParams(location.search))
    if (/^embed(_options)?$/i.test(name)) wanted.searchParams.append(name, value)
  if (wanted.href === location.href) return
  history.pushState({}, "", wanted)
  dispatchEvent(new PopStateEvent("popstate", { state: {} }))
}
"""

# What is no plain click stays the browser's own: a new tab, a new window. The former call goes on until it is ended.
_LINKS = """
export default function ({ parentElement }) {
  const go = event => {
    const link = event.target.closest?.(
      "[data-testid=stPageLink] a, a[data-testid=stTopNavLink], a[data-testid=stTopNavDropdownLink]," +
      "a[data-testid=stSidebarNavLink]")
    if (!link?.href || link.origin !== location.origin || link.target === "_blank" || event.button !== 0 ||
        event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    if (link.href === location.href) return
    history.pushState({}, "", link.href)
    dispatchEvent(new PopStateEvent("popstate", { state: {} }))
  }
  const end = () => document.removeEventListener("click", parentElement.go, true)
  end()
  parentElement.go = go
  document.addEventListener("click", go, true)
  return end
}
"""


def links() -> None:
    """Let every link to a page of the console go in one step; below all that the page draws."""
    st.components.v2.component("fleetops_links", js=_LINKS)(key="links", height=1)


def go(page: str, identifier: str, key: str) -> None:
    """Let the browser open the page with that script for one id; the script of this page goes on until it does."""
    to = f"{Path(page).stem}?{urlencode({'id': identifier})}"
    st.components.v2.component("fleetops_go", js=_GO)(key=f"{key}_go", data={"to": to}, height=1)
