// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Opens the console's own links in one step. Clicks with a modifier key or another button are left to the browser.
// While there is no connection to the server, Streamlit ignores links, Back and Forward, so the last one is repeated when
// there is a connection again. Streamlit may call it again without ending the previous call.
// A refresh replaces the HTML of a list, so the keyboard focus is put on the same link of the new HTML.
const FOCUSABLE = ".fo a.fo-link, .fo .fo-scroll"
const alike = one => [...document.querySelectorAll(FOCUSABLE)].filter(
  other => other.href === one.href && other.ariaLabel === one.ariaLabel)

export default function ({ parentElement }) {
  const app = document.querySelector("[data-testid=stApp]")
  const isConnected = () => app.dataset.testConnectionState === "CONNECTED"
  const open = () => dispatchEvent(new PopStateEvent("popstate", { state: {} }))
  const moved = () => { if (!isConnected()) parentElement.ignored = true }
  const connected = () => {
    if (!isConnected() || !parentElement.ignored) return
    parentElement.ignored = false
    open()
  }
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
    open()
  }
  const focused = ({ target: one }) => {
    parentElement.last = one.matches?.(FOCUSABLE) ? { one, place: alike(one).indexOf(one) } : {}
  }
  const replaced = () => {
    const { one, place } = parentElement.last ?? {}
    if (!one || one.isConnected || document.activeElement !== document.body) return
    const found = alike(one)
    ;(found[place] ?? found[0])?.focus({ preventScroll: true })
  }
  const end = () => {
    document.removeEventListener("click", parentElement.go, true)
    document.removeEventListener("focusin", parentElement.focused)
    removeEventListener("popstate", parentElement.moved)
    parentElement.observer?.disconnect()
    parentElement.contents?.disconnect()
  }
  end()
  Object.assign(parentElement, { go, moved, focused, observer: new MutationObserver(connected),
    contents: new MutationObserver(replaced) })
  document.addEventListener("click", go, true)
  document.addEventListener("focusin", focused)
  addEventListener("popstate", moved)
  parentElement.observer.observe(app, { attributeFilter: ["data-test-connection-state"] })
  parentElement.contents.observe(app, { childList: true, subtree: true })
  // What happened before this call, or between two calls.
  if (document.activeElement.matches(FOCUSABLE)) focused({ target: document.activeElement })
  replaced()
  return end
}
