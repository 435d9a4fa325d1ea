# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deep link with a login in a headless Chromium: the same view after the login, once, and no other page."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.console.support.site_with_login import Site, running_site, sign_in

pytestmark = pytest.mark.browser

WANTED = "fleetops_wanted"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("way_back")) as site:
        yield site


def target_ids(site: Site) -> list[str]:
    with sqlite3.connect(site.database) as conn:
        found = conn.execute("SELECT target_id FROM rollout_targets WHERE rollout_id = ?", (site.rollout_id,))
        return sorted(target for (target,) in found)


def kept(page: Page) -> str | None:
    found: str | None = page.evaluate("name => sessionStorage.getItem(name)", WANTED)
    return found


def open_with(page: Page, site: Site, path: str, value: str) -> None:
    """Open a page in a tab that stores ``value``, and wait until the page has consumed it."""
    page.evaluate("([name, value]) => sessionStorage.setItem(name, value)", [WANTED, value])
    page.goto(site.url + path)
    page.wait_for_function("name => sessionStorage.getItem(name) === null", arg=WANTED)


def wanted(page: object, query: object, age: float = 0.0) -> str:
    """An address as the tab stores it, ``age`` seconds old."""
    return json.dumps({"page": page, "query": query, "at": (time.time() - age) * 1000})


def test_a_deep_link_is_restored_after_the_login_and_a_second_login_leads_to_the_first_page(
    site: Site, page: Page
) -> None:
    first, second = target_ids(site)[:2]
    link = f"/rollout?id={site.rollout_id}&axis=Elapsed&sort=Start&targets_q=e&selected={first}&selected={second}"
    sign_in(page, site, "viewer", link)
    page.get_by_text("2 selected", exact=True).wait_for()
    expect(page.get_by_role("radio", name="Elapsed")).to_be_checked()
    expect(page.get_by_label("Host or error contains")).to_have_value("e")
    assert page.url == site.url + link
    assert kept(page) is None

    page.goto(f"{site.url}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="viewer").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.wait_for_timeout(2000)
    assert page.url == f"{site.url}/"


def test_an_invalid_stored_address_leads_nowhere(site: Site, page: Page) -> None:
    sign_in(page, site, "viewer", "/rollouts?rollouts_scope=fleet")
    rollouts = wanted("rollouts", "?rollouts_scope=fleet")
    for value in (
        "{",
        "null",
        "[]",
        json.dumps({"page": "rollouts", "query": ""}),
        wanted("rollouts", "?rollouts_scope=fleet", age=3700),
        wanted("rollouts", "?rollouts_scope=fleet", age=-60),
        wanted("https://evil.example/", ""),
        wanted("//evil.example", ""),
        wanted("sign-out", ""),
        wanted(["rollouts"], ""),
    ):
        open_with(page, site, "/", value)
        page.get_by_role("heading", name="Overview").wait_for()
        page.wait_for_timeout(700)
        assert page.url == f"{site.url}/", value
        assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    # If another link is opened in a session, that link wins.
    open_with(page, site, "/runs?runs_q=x", rollouts)
    page.wait_for_timeout(3000)
    assert page.url == f"{site.url}/runs?runs_q=x"
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.wait_for_timeout(700)
    assert page.url == f"{site.url}/"
    # The corrected value is followed.
    open_with(page, site, "/", rollouts)
    page.get_by_role("heading", name="Rollouts", exact=True).wait_for()
    assert page.url == f"{site.url}/rollouts?rollouts_scope=fleet"


def test_a_link_that_cannot_be_kept_says_so(site: Site, page: Page) -> None:
    lost = page.get_by_text("Open your link again then")
    page.add_init_script("Object.defineProperty(window, 'sessionStorage', {get: () => { throw new Error('no') }})")
    page.goto(f"{site.url}/rollouts?rollouts_q=x")
    lost.wait_for()
    page.goto(site.url)
    page.get_by_role("button", name="Sign in").wait_for()
    page.wait_for_timeout(500)
    assert page.get_by_text("your link").count() == 0
