// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Reports whether the tab is hidden. It runs after the page's script, when the tab may already be hidden. Streamlit calls
// it again when data changes, without ending the previous call.
export default function ({ data, parentElement, setStateValue }) {
  const isHidden = () => document.visibilityState === "hidden"
  const report = () => setStateValue("hidden", isHidden())
  const end = () => document.removeEventListener("visibilitychange", parentElement.report)
  end()
  parentElement.report = report
  document.addEventListener("visibilitychange", report)
  if (isHidden() !== data.hidden) report()
  return end
}
