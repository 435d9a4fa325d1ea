# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several of the console's tests share: seeded records, a clean environment, a served console and a browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.commands.browser import FLAGS, NoBrowser
from tests.commands.browser import browser as find_browser
from tests.console.support.every_page import WAIT_MS
from tests.console.support.seeded import seed_big, seed_small
from tests.console.support.served import serving

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    seed_small(folder / "console.db", folder / "runs", time.time())
    return folder / "console.db"


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "console.db"
    seed_big(path, time.time())
    return path


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of this project's variables but an empty folder of run logs."""
    for name in [n for n in os.environ if n.startswith("FLEETOPS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def record(small: Path) -> Path:
    """The database that is served: a fleet of 24, unless a test file has a fixture of this name."""
    return small


@pytest.fixture(scope="module")
def address(record: Path) -> Iterator[str]:
    """A served console, on a free port."""
    with serving(record, record.with_name("runs")) as served:
        yield served.url


# Not for the session: while it is open an asyncio loop runs in this thread, and other modules' tests start their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module; each test has a page of its own."""
    try:
        program, _version = find_browser()
    except NoBrowser as error:
        pytest.fail(f"{error}; `make browser` installs one, and BROWSER=0 leaves the tests that need it out.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    # Streamlit's own animations cost a fifth of the CPU and show nothing of the console's.
    opened = browser.new_page(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


@pytest.fixture
def watched(page: Page, address: str) -> Iterator[Page]:
    """The page. At the end, checks that no error occurred in it and that it sent nothing to other machines."""
    troubles: list[str] = []
    foreign: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        # Streamlit requests its health below the path of the page, and gets two answers with status 404.
        lambda said: troubles.append(said.text) if said.type == "error" and "404" not in said.text else None,
    )
    own = (address, "ws://127.0.0.1", "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
    yield page
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert troubles == []
    assert foreign == []
