# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeline in a browser: chart, table and address share a selection; a page refreshes only while it is visible."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from console.record.rows import Cursor
from console.record.write.store import open_store
from console.web.browser.auto_refresh import REFRESH_SECONDS
from tests.console.support.seeded import BIG, FLEET, OPEN, TENANT, fleet_rollout, host_name, ident, seed_big, seed_small
from tests.console.support.table_in_browser import click_cell
from tests.console.support.timeline_in_browser import bar_of, click, drag_to_zoom, settled, ticked, window

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    now = time.time()
    seed_small(folder / "console.db", folder / "runs", now)
    with open_store(folder / "console.db") as store:
        store.put_rollouts([fleet_rollout(ident(20, 0x11), 24, 2, now - 20_000)])
    seed_big(folder / "console.db", now, 2_000)
    return folder / "console.db"


def test_chart_table_and_address_share_a_selection_and_the_link_restores_it(address: str, watched: Page) -> None:
    page = watched
    page.set_viewport_size({"width": 1400, "height": 2400})
    page.goto(f"{address}/rollout?id={FLEET}&axis=Elapsed&sort=Start")
    # A click in the chart ticks the row of the table.
    click(page, bar_of(page, "agent-00001."))
    settled(page, 1)
    assert [host[:11] for host in ticked(page)] == ["agent-00001"]
    # A tick in the table outlines the bar in the chart.
    page.locator("[data-testid=stDataFrame]").first.click(position={"x": 18, "y": 48 + 2 * 33})
    settled(page, 2)
    assert [host[:11] for host in ticked(page)] == ["agent-00001", "agent-00002"]
    # A second click removes what the first one added.
    click(page, bar_of(page, "agent-00001."))
    settled(page, 1)
    click(page, bar_of(page, "agent-00001."))
    settled(page, 2)
    # A box in the chart adds all bars that it touches.
    page.locator("[data-title='Box Select']").first.click()
    first, last = bar_of(page, "agent-00004.").bounding_box(), bar_of(page, "agent-00006.").bounding_box()
    assert first is not None and last is not None
    page.mouse.move(first["x"] - 4, first["y"] - 2)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] + 4, last["y"] + last["height"] + 2, steps=4)
    page.mouse.up()
    settled(page, 5)

    link, chosen = page.url, ticked(page)
    page.goto("about:blank")
    page.goto(link)
    settled(page, 5)
    assert ticked(page) == chosen and page.url == link
    assert page.locator(".js-plotly-plot .xaxislayer-above text").last.text_content() == "500 s"

    page.get_by_text("Selected only").click()
    page.get_by_text("5 of 24 targets").wait_for()
    page.get_by_test_id("stBaseButton-tertiary").filter(has_text="Clear selection").click()
    page.get_by_text("24 targets", exact=True).wait_for()
    settled(page, 0)


def test_several_rows_can_be_selected_by_keyboard(address: str, watched: Page) -> None:
    page = watched
    page.set_viewport_size({"width": 1400, "height": 2400})
    page.goto(f"{address}/rollout?id={FLEET}&sort=Start")
    page.get_by_text("24 targets", exact=True).wait_for()
    bar_of(page, "agent-00001.")
    for _dummy in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.matches('[data-testid=stDataFrame] canvas')"):
            break
    for count, hosts in enumerate((["agent-00001"], ["agent-00001", "agent-00002"]), start=1):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Space")
        settled(page, count)
        assert [host[:11] for host in ticked(page)] == hosts


def test_dragging_over_the_chart_of_2000_targets_selects_the_window_and_a_row_links_to_its_instance(
    address: str, watched: Page
) -> None:
    page = watched
    page.goto(f"{address}/rollout?id={BIG}")
    picture = page.locator(".js-plotly-plot .nsewdrag").first
    picture.wait_for()
    page.get_by_text("2,000 targets", exact=True).wait_for()
    inside = page.get_by_text(re.compile(r"of 2,000 targets in the window"))
    for _dummy in range(6):
        # A chart that is still settling may miss a drag.
        box = picture.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 90, steps=4)
        page.mouse.up()
        with contextlib.suppress(TimeoutError):
            inside.wait_for(timeout=10_000)
            break
    page.wait_for_url(re.compile(r"window=\d+&window=\d+"))
    page.locator(".js-plotly-plot").nth(1).wait_for()

    page.goto(f"{address}/rollout?id={FLEET}&targets_q=agent-00003")
    page.get_by_text("1 of 24 targets").wait_for()
    table = page.locator("[data-testid=stDataFrame]").first
    table.locator("canvas").first.wait_for()
    click_cell(page, table, 68, 48, r"/instance\?")
    assert f"/instance?id={ident(3, 0xB0)}" in page.url
    page.get_by_role("heading", name=host_name(3)).wait_for()


def test_a_page_with_a_selection_or_zoom_does_not_refresh_but_shows_new_data_on_request(
    address: str, record: Path, page: Page
) -> None:
    # Not ``watched``: Plotly reports an error for a chart that is replaced under the pointer.
    page.set_viewport_size({"width": 1400, "height": 2400})

    def sync() -> None:
        with open_store(record) as store:
            store.put_cursor(Cursor("api", TENANT, last_ok_at=time.time()))

    sync()
    page.goto(f"{address}/rollout?id={OPEN}&sort=Start")
    until = page.get_by_text(re.compile("in progress, drawn up to"))
    stopped = page.get_by_text("Automatic refresh is off while something is selected or zoomed", exact=True)
    new_data = page.get_by_text("There is new data", exact=True)
    third = bar_of(page, "agent-00003.")
    expect(stopped).to_be_hidden()
    click(page, third)
    settled(page, 1)
    expect(stopped).to_be_visible()
    shown_until = until.text_content() or ""
    sync()
    expect(new_data).to_be_visible()
    page.wait_for_timeout(2000 * REFRESH_SECONDS)
    expect(until).to_have_text(shown_until)
    assert [host[:11] for host in ticked(page)] == ["agent-00003"] and page.url.count("selected=") == 1
    page.get_by_role("button", name="Show it").click()
    expect(until).not_to_have_text(shown_until)
    expect(stopped).to_be_visible()
    settled(page, 1)

    drag_to_zoom(page, "agent-00003.")
    page.get_by_test_id("stBaseButton-tertiary").filter(has_text="Clear selection").click()
    settled(page, 0)
    zoomed, shown_until = window(page), until.text_content() or ""
    sync()
    expect(new_data).to_be_visible()
    expect(until).to_have_text(shown_until)
    assert zoomed and window(page) == zoomed
    page.locator("[data-title='Reset axes']").click()
    expect(new_data).to_be_hidden()
    expect(stopped).to_be_hidden()

    shown_until = until.text_content() or ""
    sync()
    expect(until).not_to_have_text(shown_until)


def test_a_link_of_a_list_keeps_the_keyboard_focus_when_a_refresh_adds_a_row_above_it(
    address: str, record: Path, watched: Page
) -> None:
    page = watched
    page.goto(f"{address}/rollouts")
    link = page.locator(f".fo-table a[href='./rollout?id={FLEET}']")
    link.focus()
    total = int((page.get_by_text(re.compile(r"^\d+ rollouts$")).text_content() or "").split()[0])
    with open_store(record) as store:
        store.put_rollouts([fleet_rollout(ident(21, 0x12), 6, 2, time.time() - 300)])
    page.get_by_text(f"{total + 1} rollouts", exact=True).wait_for()
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Rollout, fleet").wait_for()
    assert f"id={FLEET}" in page.url


def test_a_page_refreshes_while_it_is_live_and_visible_and_then_stops(
    address: str, record: Path, watched: Page
) -> None:
    page = watched
    with open_store(record) as store:
        # Only recently read data is live, and the previous tests take a while.
        store.put_cursor(Cursor("api", TENANT, last_ok_at=time.time()))
    asked: list[float] = []
    page.on("websocket", lambda line: line.on("framesent", lambda _frame: asked.append(time.monotonic())))
    hidden = "Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true})"
    page.add_init_script(hidden)
    page.goto(f"{address}/rollout?id={OPEN}")
    live = page.locator(".stMarkdownBadge", has_text="live")
    live.wait_for()

    def goes_on() -> None:
        """Wait until the page has refreshed twice more."""
        goal, deadline = len(asked) + 2, time.monotonic() + 90
        while len(asked) < goal:
            assert time.monotonic() < deadline, "the page does not refresh itself"
            page.wait_for_timeout(100)

    def rests() -> None:
        """Wait until the page has not refreshed for one and a half intervals, which must happen soon."""
        before, deadline = -1, time.monotonic() + 120
        while before < len(asked):
            assert time.monotonic() < deadline, "the page keeps refreshing itself"
            before = len(asked)
            # By the clock of the page: while it is busy drawing, it does not refresh either.
            page.evaluate("wait => new Promise(done => setTimeout(done, wait))", 1500 * REFRESH_SECONDS)
            page.wait_for_timeout(200)

    def seen(state: str) -> None:
        page.evaluate(
            """state => {
              Object.defineProperty(document, 'visibilityState', {get: () => state, configurable: true})
              document.dispatchEvent(new Event('visibilitychange'))
            }""",
            state,
        )

    page.get_by_text("24 targets", exact=True).wait_for()
    # Opened in a background tab: it was hidden before a listener existed, and no event reports it.
    rests()
    seen("visible")
    goes_on()
    seen("hidden")
    rests()
    seen("visible")
    goes_on()

    with open_store(record) as store:
        # Read later than the stored data, since the store ignores older reads.
        store.put_rollouts([fleet_rollout(OPEN, 24, 3, time.time() - 100)])
    expect(live).to_be_hidden()
    assert "API data as of" in (page.locator("[data-testid=stCaptionContainer]").first.text_content() or "")
    rests()
