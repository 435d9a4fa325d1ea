# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Viewers in other time zones: UTC until they switch to local time, and no effect of an invalid zone."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect

from tests.console.support.every_page import Tab, place
from tests.console.support.seeded import BIG, FLEET, seed_big, seed_small

pytestmark = pytest.mark.browser

NEW_YORK, DARWIN = "America/New_York", "Australia/Darwin"
STARTED = re.compile(r"started (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC(\([^)]*\))?")
HOSTILE = '<img src=x onerror="window.hit=1">/../../etc/passwd'


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a fleet of 24 and a rollout of 2,000 from today."""
    folder = tmp_path_factory.mktemp("zones")
    seed_small(folder / "console.db", folder / "runs", time.time())
    seed_big(folder / "console.db", time.time(), 2_000)
    return folder / "console.db"


@contextmanager
def viewer(browser: Browser, address: str, zone: str, script: str = "") -> Iterator[Tab]:
    """A tab of a viewer in that time zone. At the end, checks that no error occurred in it."""
    context = browser.new_context(timezone_id=zone, viewport={"width": 1400, "height": 1600})
    if script:
        context.add_init_script(script)
    tab = Tab(context.new_page(), address)
    yield tab
    assert (tab.troubles, tab.errors_shown()) == ([], [])
    context.close()


def hovered(page: Page) -> str:
    """The label of the longest bar of a run."""
    bars = page.locator(".js-plotly-plot .barlayer .point path")
    bars.first.wait_for()
    boxes = [box for box in (one.bounding_box() for one in bars.all()) if box and box["height"] > 8]
    box = max(boxes, key=lambda found: found["width"])
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".js-plotly-plot .hoverlayer .hovertext").first
    label.wait_for()
    return label.text_content() or ""


def switch(page: Page) -> Locator:
    return page.get_by_role("radio", name="Local time", exact=True)


def first_tick(page: Page) -> str:
    return (page.locator(".js-plotly-plot .xaxislayer-above text").first.text_content() or "")[:8]


def test_a_viewer_in_new_york_sees_utc_and_local_time_on_hover_and_a_viewer_in_utc_only_utc(
    address: str, browser: Browser
) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for zone in (NEW_YORK, "UTC"):
        with viewer(browser, address, zone) as tab:
            tab.load(place("rollout", f"id={FLEET}"), "Rollout")
            started = STARTED.search(hovered(tab.page))
            assert started is not None
            utc = datetime.strptime(started[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            there = utc.astimezone(ZoneInfo(NEW_YORK))
            pattern = "%H:%M:%S" if there.date() == utc.date() else "%Y-%m-%d %H:%M:%S"
            own = f"({there.strftime(pattern)} {NEW_YORK})"
            # One server, and therefore one cache of figures, for both.
            assert started[2] == (own if zone == NEW_YORK else None)
            assert switch(tab.page).count() == int(zone == NEW_YORK)
            seen[zone] = started[1], first_tick(tab.page)
    # The same bar and the same axis.
    assert seen[NEW_YORK] == seen["UTC"]


def test_after_switching_to_local_time_every_page_of_the_session_shows_it(address: str, browser: Browser) -> None:
    with viewer(browser, address, DARWIN) as tab:
        tab.load(place("rollouts"), "Rollouts")
        assert "started (UTC)" in tab.says() and DARWIN not in tab.says()
        utc = as_of(tab.says(), "UTC")
        where = tab.page.url
        tab.page.get_by_text("Local time", exact=True).click()
        # The table is drawn last.
        expect(tab.page.get_by_test_id("stMain")).to_contain_text(f"started ({DARWIN})")
        tab.rest("Rollouts")
        assert (as_of(tab.says(), DARWIN) - utc) % timedelta(days=1) == timedelta(hours=9, minutes=30)
        # A link is the same for all viewers.
        assert tab.page.url == where
        for page, query, heading in (("operations", "", "Operations"), ("operation", f"id={FLEET}", "fleet rollout")):
            tab.turn(place(page, query), heading)
            assert (as_of(tab.says(), DARWIN) - utc) % timedelta(days=1) == timedelta(hours=9, minutes=30)
        tab.turn(place("operations"), "Operations")
        when = tab.page.get_by_role("textbox", name=f"When ({DARWIN})")
        when.wait_for()
        # A period has the same meaning in every time zone.
        when.fill("10:00 to 10:10")
        when.press("Enter")
        tab.page.wait_for_url(re.compile("operations_when=10.*Darwin"))
        tab.rest("Operations")
        when.fill("")
        when.press("Enter")
        tab.page.wait_for_url(lambda url: "operations_when" not in url)
        tab.page.get_by_text("UTC", exact=True).click()
        tab.page.get_by_role("textbox", name="When (UTC)").wait_for()
        tab.rest("Operations")
        assert as_of(tab.says(), "UTC") == utc


def test_a_period_without_a_zone_stays_in_utc_after_switching_to_local_time(address: str, browser: Browser) -> None:
    with viewer(browser, address, DARWIN) as tab:
        # It was typed in UTC, here or by the sender of the link.
        tab.load(place("operations", "operations_when=00:00+to+23:59"), "Operations")
        listed = re.search(r"\d+ operations?, newest first|No operations match", tab.says())
        assert listed is not None
        tab.page.get_by_text("Local time", exact=True).click()
        when = tab.page.get_by_role("textbox", name=f"When ({DARWIN})")
        expect(when).to_have_value("00:00 to 23:59 UTC")
        tab.page.wait_for_url(re.compile("operations_when=00.*UTC"))
        tab.rest("Operations")
        assert listed[0] in tab.says()
        when.fill("")
        when.press("Enter")
        tab.page.wait_for_url(lambda url: "operations_when" not in url)
        tab.rest("Operations")
        expect(when).to_have_value("")


def as_of(message: str, zone: str) -> timedelta:
    """The time of day of the API's data on a page, in that zone."""
    found = re.search(rf"API data as of \S+ (\d\d):(\d\d) {re.escape(zone)}", message)
    assert found is not None, message[:500]
    return timedelta(hours=int(found[1]), minutes=int(found[2]))


def test_dragging_over_a_chart_in_local_time_selects_the_right_period(address: str, browser: Browser) -> None:
    with viewer(browser, address, NEW_YORK) as tab:
        tab.load(place("rollout", f"id={BIG}"), "Rollout")
        picture = tab.page.locator(".js-plotly-plot .nsewdrag").first
        for _dummy in range(6):
            # A chart that is still settling may miss a drag.
            box = picture.bounding_box()
            assert box is not None
            tab.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
            tab.page.mouse.down()
            tab.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 90, steps=4)
            tab.page.mouse.up()
            with contextlib.suppress(TimeoutError):
                tab.page.wait_for_url(re.compile(r"window=\d+&window=\d+"), timeout=10_000)
                break
        chosen = [int(second) for second in parse_qs(urlsplit(tab.page.url).query)["window"]]
        slider = tab.page.get_by_role("slider").last
        most = int(slider.get_attribute("aria-valuemax") or slider.get_attribute("max") or 0)
        assert [round(second / most, 1) for second in chosen] == [0.4, 0.5], (chosen, most)
        tab.rest("Rollout")


def test_an_unknown_time_zone_is_ignored(address: str, browser: Browser) -> None:
    script = f"""
      const before = Intl.DateTimeFormat.prototype.resolvedOptions
      Intl.DateTimeFormat.prototype.resolvedOptions = function () {{
        window.asked = true
        return {{...before.call(this), timeZone: {HOSTILE!r}}}
      }}"""
    with viewer(browser, address, NEW_YORK, script) as tab:
        tab.load(place("rollout", f"id={FLEET}"), "Rollout")
        started = STARTED.search(hovered(tab.page))
        assert started is not None and started[2] is None
        assert switch(tab.page).count() == 0
        assert tab.page.evaluate("[window.asked, window.hit]") == [True, None]
        assert "passwd" not in tab.says()
