// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Reports each change between light and dark, also one that came before the page was complete. Streamlit calls it again
// when data changes, without ending the previous call.
export default function ({ data, parentElement, setTriggerValue }) {
  const app = document.querySelector("[data-testid=stApp]")
  const report = () => {
    const shown = getComputedStyle(app).colorScheme
    if (shown === (parentElement.reported ?? data.theme)) return
    parentElement.reported = shown
    setTriggerValue("changed", shown)
  }
  const end = () => parentElement.observer?.disconnect()
  end()
  parentElement.observer = new MutationObserver(report)
  parentElement.observer.observe(app, { attributeFilter: ["class"] })
  report()
  return end
}
