# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A zoom in a chart, told to the page, so that it can be kept in the address.

Streamlit tells selections only, and each change of a figure is a new chart, without the zoom of the one before. So the
browser listens to Plotly's own word of it, in those charts that are marked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

_KEY = "zoom"

# A chart comes late and is replaced often, but before each zoom there is a press in it. Plotly's double-click goes back
# by itself only where a drag zooms.
_LISTEN = """
export default function (component) {
  const { setTriggerValue } = component
  const heard = new Map()
  const hear = chart => ({
    plotly_relayout: change => {
      const all = change["xaxis.autorange"]
      if (!all && !Object.keys(change).some(name => name.startsWith("xaxis.range"))) return
      setTriggerValue("range", all ? [] : Array.from(chart.layout.xaxis.range))
    },
    plotly_deselect: () => { if (chart.layout.meta.zoom === "boxed") setTriggerValue("range", []) },
  })
  const pressed = event => {
    const chart = event.target.closest?.(".js-plotly-plot")
    for (const old of heard.keys()) if (!old.isConnected) heard.delete(old)
    if (!chart?.layout?.meta?.zoom || heard.has(chart)) return
    heard.set(chart, hear(chart))
    for (const [name, told] of Object.entries(heard.get(chart))) chart.on(name, told)
  }
  const presses = ["pointerdown", "keydown"]
  for (const press of presses) document.addEventListener(press, pressed, true)
  return () => {
    for (const press of presses) document.removeEventListener(press, pressed, true)
    for (const [chart, ears] of heard)
      for (const [name, told] of Object.entries(ears)) chart.removeListener?.(name, told)
  }
}
"""


def mark(boxed: bool = False) -> dict[str, str]:
    """What the ``layout.meta`` of a chart holds whose zoom is told. boxed: a drag in it makes a box and zooms not."""
    return {"zoom": "boxed" if boxed else "dragged"}


def listen(zoomed: Callable[[list[Any]], None]) -> None:
    """Call ``zoomed`` with both ends of the x axis, as the browser writes them, after a zoom in a marked chart; with
    an empty list when it was zoomed back to everything. Once a page."""

    def tell() -> None:
        zoomed(list(st.session_state[_KEY].range))

    # One pixel: it has nothing to show.
    st.components.v2.component("fleetops_zoom", js=_LISTEN)(key=_KEY, width=1, height=1, on_range_change=tell)
