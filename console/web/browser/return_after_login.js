// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Before the sign-in: stores the requested address in the tab's session storage, which is kept while the provider's pages
// are open, and which no other tab or site can read. After the sign-in: opens that address once, if it was stored less
// than an hour ago and is a page of the console.
const KEY = "fleetops_wanted"

function keep(data, parentElement) {
  const line = parentElement.querySelector("p")
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ page: data.keep, query: location.search, at: Date.now() }))
    line.textContent = "Your link will open after you sign in."
  } catch {
    line.textContent = "After you sign in, the first page opens. Open your link again then."
  }
}

function openKept(data) {
  let wanted
  try {
    wanted = sessionStorage.getItem(KEY)
    sessionStorage.removeItem(KEY)
    wanted = JSON.parse(wanted)
  } catch { return }
  const age = Date.now() - wanted?.at
  if (!data.first || !(age >= 0 && age < 3600e3) || !data.pages.includes(wanted.page)) return
  const address = new URL(wanted.page, location.href)
  address.search = wanted.query
  history.pushState({}, "", address)
  dispatchEvent(new PopStateEvent("popstate", { state: {} }))
}

export default function ({ data, parentElement }) {
  if (data.keep) keep(data, parentElement)
  else openKept(data)
}
