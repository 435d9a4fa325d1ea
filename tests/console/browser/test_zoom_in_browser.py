# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A zoom of the timeline is its time window: it persists through selections and reloads, and filters the table."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console.record.write.store import open_store
from tests.console.support.seeded import BIG, FLEET, fleet_rollout, ident, seed_big, seed_small
from tests.console.support.timeline_in_browser import bar_of, click, drag, framed, in_address, settled, shown, window

pytestmark = pytest.mark.browser

BEFORE = ident(20, 0x11)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with fleets of 24 and 20,000."""
    folder = tmp_path_factory.mktemp("record")
    now = time.time()
    seed_small(folder / "console.db", folder / "runs", now)
    seed_big(folder / "console.db", now)
    with open_store(folder / "console.db") as store:
        store.put_rollouts([fleet_rollout(BEFORE, 24, 2, now - 20_000)])
    return folder / "console.db"


def zoomed(page: Page, chart: int = 0, size: float = 1.0, before: list[int] | None = None) -> list[int]:
    """Wait until the chart shows the window of the address, and another one than ``before``. Returns the window.

    ``size``: units of the axis in a second.
    """
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        asked, axis = window(page), shown(page, chart)
        if asked and asked != before and axis and abs(axis[1] - axis[0] - (asked[1] - asked[0]) * size) < 0.01 * size:
            return asked
        page.wait_for_timeout(100)
    raise AssertionError((page.url, shown(page, chart)))


def whole(page: Page, axis: list[float]) -> None:
    """Wait until the address has no window and the chart shows ``axis`` again."""
    deadline = time.monotonic() + 90
    while window(page) or shown(page) != axis:
        assert time.monotonic() < deadline, (page.url, shown(page))
        page.wait_for_timeout(100)


def height_of(page: Page, heading: str) -> float:
    box = page.get_by_role("heading", name=heading, exact=True).bounding_box()
    assert box is not None
    return box["y"]


def test_a_zoom_of_24_targets_is_kept_with_the_selection_and_the_link_restores_both(
    address: str, watched: Page
) -> None:
    page = watched
    page.set_viewport_size({"width": 1400, "height": 2400})
    page.goto(f"{address}/rollout?id={FLEET}&axis=Elapsed")
    bar_of(page, "agent-00008.")
    page.get_by_text("24 targets", exact=True).wait_for()
    everything, below = shown(page), height_of(page, "Why")
    drag(page, bar_of(page, "agent-00008."))
    asked = zoomed(page)
    narrowed = page.get_by_text(re.compile(r"^\d+ of 24 targets in the window$"))
    narrowed.wait_for()
    axis = shown(page)
    # The layout below the chart has not changed.
    assert height_of(page, "Why") == below
    for count in (1, 0, 1):
        click(page, bar_of(page, "agent-00008."))
        settled(page, count)
        assert window(page) == asked and shown(page) == axis

    link = page.url
    page.goto("about:blank")
    page.goto(link)
    settled(page, 1)
    assert zoomed(page) == asked and shown(page) == axis and page.url == link
    # Reset the zoom, and then zoom and reset with the toolbar of the chart.
    # While a chart is replaced, two exist.
    charts = page.locator(".js-plotly-plot")
    expect(charts).to_have_count(1)
    corner = charts.locator(".nsewdrag").bounding_box()
    assert corner is not None
    page.mouse.dblclick(corner["x"] + 5, corner["y"] + 3)
    whole(page, everything)
    settled(page, 1)
    drag(page, bar_of(page, "agent-00008."))
    zoomed(page)
    narrowed.wait_for()
    expect(charts).to_have_count(1)
    page.locator("[data-title='Reset axes']").click()
    whole(page, everything)

    # Another rollout starts without a zoom.
    drag(page, bar_of(page, "agent-00008."))
    zoomed(page)
    page.get_by_role("link", name="Compare with the previous rollout").click()
    page.locator(f"dt:has-text('Before') + dd a[href*='id={BEFORE}']").click()
    page.get_by_role("link", name="The rollout on the server").click()
    page.wait_for_url(f"**/rollout?id={BEFORE}*")
    page.get_by_role("heading", name="Rollout, fleet").wait_for()
    page.get_by_text("24 targets", exact=True).wait_for()
    assert window(page) == []


def test_a_zoom_into_the_chart_of_20000_targets_narrows_the_window(address: str, watched: Page) -> None:
    page = watched
    page.set_viewport_size({"width": 1400, "height": 2400})
    page.goto(f"{address}/rollout?id={BIG}&window=500&window=900")
    bars = page.locator(".js-plotly-plot").nth(1)
    bars.locator(".barlayer .point path").first.wait_for(state="attached")
    name = bars.evaluate(
        """plot => {
          const drawn = plot._fullData.filter(trace => trace.type === 'bar')
          const labels = drawn.flatMap(trace => Array.from(trace.y, (_y, point) => trace.text?.[point] ?? ''))
          const paths = plot.querySelectorAll('.barlayer .point path')
          const room = plot.querySelector('.nsewdrag').getBoundingClientRect()
          const inside = (label, point) => {
            const box = paths[point].getBoundingClientRect()
            return label && box.left > room.left + 30 && box.right < room.right - 30
          }
          return labels.find(inside).match(/agent-\\d+\\./)[0]
        }"""
    )
    drag(page, bar_of(page, name, 1))
    asked = zoomed(page, 1, 1000, before=[500, 900])
    assert 500 < asked[0] < asked[1] < 900
    axis, picture = shown(page, 1), shown(page)
    click(page, bar_of(page, name, 1))
    page.get_by_text("1 selected", exact=True).wait_for()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    assert zoomed(page, 1, 1000) == asked
    deadline = time.monotonic() + 90
    while framed(page) != 1:
        assert time.monotonic() < deadline, page.url
        page.wait_for_timeout(100)
    assert len(in_address(page)) == 1 and page.url == link
    # The exported picture shows the complete period, zoomed or not.
    assert shown(page, 1) == axis and shown(page) == picture and picture[1] - picture[0] > 3600_000

    sky = page.locator(".js-plotly-plot").first.locator(".nsewdrag").bounding_box()
    assert sky is not None
    page.mouse.dblclick(sky["x"] + sky["width"] / 2, sky["y"] + 20)
    page.get_by_text("20,000 targets", exact=True).wait_for()
    assert window(page) == [] and len(in_address(page)) == 1
