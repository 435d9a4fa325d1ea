# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Using a timeline with the mouse, and reading the selection and the range that the page shows."""

from __future__ import annotations

import contextlib
import re
import time
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import FloatRect, Locator, Page, TimeoutError


def bar_of(page: Page, host: str, chart: int = 0) -> Locator:
    """The thick bar of a target in a chart of the page, found by its hover text."""
    bars = page.locator(".js-plotly-plot").nth(chart).locator(".barlayer .point path")
    bars.first.wait_for(state="attached")
    number = page.evaluate(
        """([host, chart]) => {
          const plot = document.querySelectorAll('.js-plotly-plot')[chart]
          const drawn = plot._fullData.filter(trace => trace.type === 'bar')
          const labels = drawn.flatMap(trace => Array.from(trace.y, (_y, point) => trace.text?.[point] ?? ''))
          return labels.findIndex(label => label.includes(host))
        }""",
        [host, chart],
    )
    assert number >= 0, f"{host} has no bar"
    return bars.nth(number)


def _place(page: Page, drawn: Locator) -> FloatRect:
    """The position of a bar; waits if a refresh is replacing the chart."""
    for _dummy in range(90):
        if box := drawn.bounding_box():
            return box
        page.wait_for_timeout(100)
    raise AssertionError("the bar is not drawn")


def click(page: Page, drawn: Locator) -> None:
    """Click the middle of a bar."""
    box = _place(page, drawn)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def ticked(page: Page) -> list[str]:
    """The hosts of the selected rows, among those that the table shows."""
    return page.locator("[data-testid=stDataFrame] tr[aria-selected=true]").evaluate_all(
        "rows => rows.map(row => row.children[1].textContent)"
    )


def framed(page: Page) -> int:
    """The number of bars in the page's charts that are marked as selected."""
    return page.evaluate(
        """() => Array.from(document.querySelectorAll('.js-plotly-plot')).flatMap(plot => plot._fullData ?? [])
             .filter(trace => trace.name.startsWith('selected')).map(trace => trace.width)
             .reduce((sum, width) => sum + (width?.length ?? 0), 0)"""
    )


def in_address(page: Page) -> list[str]:
    return parse_qs(urlsplit(page.url).query).get("selected", [])


def settled(page: Page, count: int) -> None:
    """Wait until chart, table and address all show ``count`` selected targets."""
    if count:
        page.get_by_text(f"{count} selected", exact=True).wait_for()
    else:
        page.get_by_text(re.compile(r"^\d+ selected$")).wait_for(state="hidden")
    deadline = time.monotonic() + 90
    while not (framed(page) == len(ticked(page)) == len(in_address(page)) == count):
        assert time.monotonic() < deadline, (framed(page), ticked(page), page.url)
        page.wait_for_timeout(100)


def drag(page: Page, target: Locator, beyond: float = 20) -> None:
    """Drag the pointer along a bar, and ``beyond`` pixels further at each end."""
    box = _place(page, target)
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] - beyond, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + beyond, height + 2, steps=5)
    page.mouse.up()


def drag_to_zoom(page: Page, host: str) -> None:
    """Drag along a target's bar until the address has a window, because a drag is lost if the chart is replaced."""
    for _dummy in range(20):
        drag(page, bar_of(page, host))
        with contextlib.suppress(TimeoutError):
            page.wait_for_url(re.compile(r"window=\d+&window=\d+"), timeout=5_000)
            return
    raise AssertionError(page.url)


def shown(page: Page, chart: int = 0) -> list[float]:
    """Both ends of a chart's x axis as numbers; empty if there is no such chart."""
    return page.evaluate(
        """chart => (document.querySelectorAll('.js-plotly-plot')[chart]?.layout?.xaxis?.range ?? [])
             .map(end => typeof end === 'number' ? end : Date.parse(end.replace(' ', 'T') + 'Z'))""",
        chart,
    )


def window(page: Page) -> list[int]:
    """The window in the address, in seconds after the first start."""
    return [int(second) for second in parse_qs(urlsplit(page.url).query).get("window", [])]
