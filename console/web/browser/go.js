// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Opens an address of the console in one step. Streamlit may call it again after it has opened the address.
export default function ({ data }) {
  const wanted = new URL(data.to, location.href)
  for (const [name, value] of new URLSearchParams(location.search))
    if (/^embed(_options)?$/i.test(name)) wanted.searchParams.append(name, value)
  if (wanted.href === location.href) return
  history.pushState({}, "", wanted)
  dispatchEvent(new PopStateEvent("popstate", { state: {} }))
}
