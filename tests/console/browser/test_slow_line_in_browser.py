# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A slow line to a page that refreshes itself: requests written before an answer came do not undo what was chosen."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from console.record.rows import Cursor
from console.record.write.store import open_store
from console.web.browser.auto_refresh import REFRESH_SECONDS
from tests.console.support.seeded import OPEN, TENANT, seed_small
from tests.console.support.served import serving
from tests.console.support.timeline_in_browser import (
    bar_of,
    click,
    drag_to_zoom,
    framed,
    in_address,
    settled,
    shown,
    ticked,
    window,
)

pytestmark = pytest.mark.browser

# What the server says arrives late: most requests of the timer are written before it.
_SLOW = """
const late = heard => event => setTimeout(() => heard(event), 2200)
window.WebSocket = class extends WebSocket {
  set onmessage(heard) { super.onmessage = late(heard) }
  addEventListener(type, heard, ...more) {
    super.addEventListener(type, type === "message" ? late(heard) : heard, ...more)
  }
}
"""


# Milliseconds: an interval of the timer, and the time that its answer takes.
_OVER_A_REFRESH = 1000 * REFRESH_SECONDS + 2200

# Python runs this before the server's own code. On a busy machine a request may be answered long after it was written,
# and what is looked at here is what becomes of it, not how soon.
_PATIENT = """
from contextlib import suppress
with suppress(ImportError):
    from console.web.timeline import stale_requests
    stale_requests.SECONDS = 600.0
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("record")
    now = time.time()
    seed_small(folder / "console.db", folder / "runs", now)
    with open_store(folder / "console.db") as store:
        # Read in an hour, so that open bars grow at each refresh.
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now + 3600))
    (folder / "sitecustomize.py").write_text(_PATIENT)
    with serving(folder / "console.db", folder / "runs", {"PYTHONPATH": str(folder)}) as served:
        yield served.url


def zoomed(page: Page) -> list[int]:
    """Wait until the chart shows just the window of the address: the window."""
    deadline = time.monotonic() + 90
    while not shows(page, window(page)):
        assert time.monotonic() < deadline, (page.url, shown(page))
        page.wait_for_timeout(50)
    return window(page)


def shows(page: Page, asked: list[int]) -> bool:
    axis = shown(page)
    return bool(asked and axis) and abs(axis[1] - axis[0] - (asked[1] - asked[0]) * 1000) < 10


def remains(page: Page, hosts: list[str], asked: list[int] | None = None) -> None:
    """Over a refresh, table and address show the hosts as selected, address and chart the window."""
    settled(page, len(hosts))
    # By the page's own clock: while it is busy drawing, its timer and what it hears wait too.
    page.evaluate("wait => { window.over = false; setTimeout(() => { window.over = true }, wait) }", _OVER_A_REFRESH)
    while not page.evaluate("window.over"):
        assert [host[:11] for host in ticked(page)] == hosts
        assert len(in_address(page)) == len(hosts)
        # While a chart is replaced there is none.
        assert asked is None or (window(page) == asked and (shows(page, asked) or not shown(page)))
        page.wait_for_timeout(50)
    assert framed(page) % max(1, len(hosts)) == 0


def test_what_is_chosen_on_a_page_that_refreshes_itself_stays_chosen(address: str, page: Page) -> None:
    page.set_viewport_size({"width": 1400, "height": 2400})
    page.add_init_script(_SLOW)
    page.goto(f"{address}/rollout?id={OPEN}&sort=Start")
    bar_of(page, "agent-00003.")
    row = page.locator("[data-testid=stDataFrame]").first

    def tick(number: int) -> None:
        row.click(position={"x": 18, "y": 48 + number * 33})

    tick(0)
    settled(page, 1)
    first = [host[:11] for host in ticked(page)]
    remains(page, first)
    other = "agent-00003"
    assert other not in first
    for hosts in (sorted([*first, other]), first):
        click(page, bar_of(page, f"{other}."))
        remains(page, hosts)
    drag_to_zoom(page, f"{other}.")
    asked = zoomed(page)
    remains(page, first, asked)
