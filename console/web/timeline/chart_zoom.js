// Copyright (c) 2026, The fleetops.agents contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Reports zooms in charts that have "zoom" in their layout.meta. Charts are replaced often, but each zoom starts with a
// press, so the listeners are added then. Plotly resets the axes after a double-click only in charts where dragging zooms.
export default function (component) {
  const { setTriggerValue } = component
  const listening = new Map()
  const handlersOf = chart => ({
    plotly_relayout: change => {
      const all = change["xaxis.autorange"]
      if (!all && !Object.keys(change).some(name => name.startsWith("xaxis.range"))) return
      setTriggerValue("range", all ? [] : Array.from(chart.layout.xaxis.range))
    },
    plotly_deselect: () => { if (chart.layout.meta.zoom === "boxed") setTriggerValue("range", []) },
  })
  const pressed = event => {
    const chart = event.target.closest?.(".js-plotly-plot")
    for (const old of listening.keys()) if (!old.isConnected) listening.delete(old)
    if (!chart?.layout?.meta?.zoom || listening.has(chart)) return
    listening.set(chart, handlersOf(chart))
    for (const [name, handler] of Object.entries(listening.get(chart))) chart.on(name, handler)
  }
  const presses = ["pointerdown", "keydown"]
  for (const press of presses) document.addEventListener(press, pressed, true)
  return () => {
    for (const press of presses) document.removeEventListener(press, pressed, true)
    for (const [chart, handlers] of listening)
      for (const [name, handler] of Object.entries(handlers)) chart.removeListener?.(name, handler)
  }
}
