// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Opens the console's own links in one step. Clicks with a modifier key or another button are left to the browser.
// Streamlit may call it again without ending the previous call.
export default function ({ parentElement }) {
  const go = event => {
    const link = event.target.closest?.(
      "[data-testid=stPageLink] a, a[data-testid=stTopNavLink], a[data-testid=stTopNavDropdownLink]," +
      "a[data-testid=stSidebarNavLink], a.fo-link")
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
