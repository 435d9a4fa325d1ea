# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the console by name, and a browser tab that opens them and collects errors."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page, Request, TimeoutError

from console.web.pages import PAGES

SCRIPTS = {page.name: page.script for page in PAGES}
# For how long a test waits for an element, in milliseconds. A busy machine takes its time.
WAIT_MS = 90_000.0

# What the app is still waiting for, or '' if it is idle and every chart and table has been drawn.
BUSY = """(heading) => {
  const app = document.querySelector('[data-testid=stApp]');
  if (!app) return 'no app';
  const {testConnectionState: line, testScriptState: script} = app.dataset;
  if (line !== 'CONNECTED' || script !== 'notRunning') return `${line}, ${script}`;
  if (![...document.querySelectorAll('h1')].some(h => h.textContent.includes(heading))) return 'no heading';
  for (const waiting of ['[data-stale=true]', '[data-testid=stSkeleton]'])
    if (document.querySelector(waiting)) return waiting;
  for (const [box, part] of [['[data-testid=stPlotlyChart]', '.main-svg'], ['[data-testid=stDataFrame]', 'canvas tr']])
    if ([...document.querySelectorAll(box)].some(e => e.checkVisibility() && !e.querySelector(part))) return box;
  return '';
}"""
# As Back and Forward do in a browser: Streamlit runs the page without loading its scripts again.
TURN = "place => { history.pushState({}, '', place); dispatchEvent(new PopStateEvent('popstate', {state: {}})) }"
# Streamlit first requests these two below the path of the page, where they do not exist.
EXPECTED = re.compile(r"/\w+/_stcore/(health|host-config)$")


def declared_pages() -> list[str]:
    """The names of the pages in the order of the menu: 'overview', 'rollouts', ..."""
    return list(SCRIPTS)


def place(page: str, query: str = "") -> str:
    """The path and query of a page."""
    return f"/{'' if page == 'overview' else page}{'?' if query else ''}{query}"


class Tab:
    """A browser tab. ``troubles``: the errors in its log, its scripts and its network, except the expected ones."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        page.set_default_timeout(WAIT_MS)
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._asked)
        page.on(
            "console",
            lambda message: (
                self.troubles.append(f"log: {message.text} {message.location['url']}")
                if message.type == "error" and not EXPECTED.search(message.location["url"])
                else None
            ),
        )

    def _failed(self, asked: Request) -> None:
        # Leaving a page aborts what it is still loading.
        if asked.failure != "net::ERR_ABORTED":
            self.troubles.append(f"request failed: {asked.url} {asked.failure}")

    def _asked(self, asked: Request) -> None:
        if not asked.url.startswith((self.address, self.address.replace("http", "ws", 1), "data:", "blob:")):
            self.troubles.append(f"foreign request: {asked.url}")

    def load(self, where: str, heading: str) -> float:
        """Open an address as a link does. Returns the seconds until the page is idle."""
        begun = time.monotonic()
        self.page.goto(self.address + where)
        self.rest(heading)
        return time.monotonic() - begun

    def turn(self, where: str, heading: str) -> float:
        """Go to another page of the open app. Returns the seconds until that page is idle."""
        begun = time.monotonic()
        self.page.evaluate(TURN, where)
        self.rest(heading)
        return time.monotonic() - begun

    def rest(self, heading: str) -> None:
        try:
            self.page.wait_for_function(
                f"heading => ({BUSY})(heading) === ''", arg=heading, timeout=120_000, polling=100
            )
        except TimeoutError as error:
            raise AssertionError(f"{self.page.url} is not idle: {self.page.evaluate(BUSY, heading)}") from error

    def errors_shown(self) -> list[str]:
        """The errors that the page shows."""
        boxes = "[data-testid=stException], [data-testid=stAlertContentError], [data-testid=stErrorElementBoundary]"
        return self.page.locator(boxes).all_inner_texts()

    def says(self) -> str:
        """The text of the page, including the cells of its tables and the labels of its charts."""
        found: str = self.page.evaluate("document.querySelector('[data-testid=stApp]').textContent")
        return found
