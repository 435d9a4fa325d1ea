# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page that is open while the server is stopped and started again, or while the database is away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.support.every_page import Tab
from tests.console.support.seeded import OPEN
from tests.console.support.served import free_port, serving

pytestmark = pytest.mark.browser


def test_a_link_and_back_that_were_used_while_the_server_was_stopped_open_when_it_runs_again(
    small: Path, page: Page
) -> None:
    port = free_port()
    tab = Tab(page, f"http://127.0.0.1:{port}")

    def use(action: Callable[[], object], heading: str) -> None:
        """Do something while the server is stopped, start the server and wait for the page with this heading."""
        expect(page.get_by_test_id("stApp")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
        before = page.url
        action()
        expect(page).not_to_have_url(before)
        with serving(small, small.parent / "runs", port=port):
            tab.rest(heading)

    with serving(small, small.parent / "runs", port=port):
        tab.load("/operations?operations_who=ops", "Operations")
    listed, row = page.url, page.locator(".fo-table a").first
    title = row.inner_text()
    use(row.click, title)
    use(page.go_back, "Operations")
    expect(page).to_have_url(listed)


def test_a_live_page_shows_its_data_again_after_the_database_was_away_for_a_moment(
    small: Path, page: Page, tmp_path: Path
) -> None:
    database, elsewhere = tmp_path / "console.db", tmp_path / "elsewhere.db"
    shutil.copy(small, database)
    with serving(database, tmp_path / "runs") as served:
        tab = Tab(page, served.url)
        for path, heading in ((f"/rollout?id={OPEN}", "Rollout, fleet"), ("/operations", "Operations")):
            tab.load(path, heading)
            data = page.get_by_text("API data as of")
            data.wait_for()
            database.rename(elsewhere)
            page.get_by_text("There is no data yet").wait_for()
            expect(data).to_be_hidden()
            elsewhere.rename(database)
            data.wait_for()
