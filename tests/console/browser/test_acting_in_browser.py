# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signing in and acting in a headless Chromium: a local login provider, the served console, the simulated API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, WebSocket, expect

from console.collect.sync import sync_once
from console.settings.environment import ApiConnection, Settings
from tests.console.support.every_page import Tab
from tests.console.support.served import upgrade_answer
from tests.console.support.site_with_login import ROLLOUTS, Site, running_site, sign_in
from tests.console.support.visitor import Visitor

pytestmark = pytest.mark.browser

HOSTILE = "![x](http://203.0.113.9/x) :green-badge[up] <img src=x>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("acting")) as site:
        yield site


@pytest.fixture
def heard(page: Page, site: Site) -> Iterator[Page]:
    """The page. At the end, checks that no secret reached the browser in a message or a text."""
    frames: list[bytes] = []

    def listen(line: WebSocket) -> None:
        line.on("framereceived", lambda data: frames.append(data if isinstance(data, bytes) else data.encode()))

    page.on("websocket", listen)
    yield page
    got = b"".join(frames) + page.content().encode()
    assert frames
    assert not [secret for secret in site.secrets if secret.encode() in got]


def test_without_a_login_every_page_asks_to_sign_in(site: Site) -> None:
    with Visitor(site.url) as visitor:
        for page in ("", "rollout", "instance", "actions", "audit", "record"):
            visit = visitor.open(page, f"id={site.rollout_id}")
            assert (visit.headings, visit.errors) == (["fleetops console"], []), page
            assert site.rollout_id[:8] not in str(visit.texts)
    port = int(site.url.rpartition(":")[2])
    assert upgrade_answer(port, "evil.example").startswith("HTTP/1.1 403")


def test_no_page_is_visible_before_the_login_and_a_viewer_cannot_act(site: Site, heard: Page) -> None:
    page = heard
    page.goto(f"{site.url}/rollout?id={site.rollout_id}")
    page.get_by_role("button", name="Sign in").wait_for()
    assert site.rollout_id[:8] not in page.locator("body").inner_text()
    sign_in(page, site, "viewer", f"/rollout?id={site.rollout_id}")
    page.get_by_role("heading", name="Rollout, fleet").wait_for()
    for action in ("Pause", "Resume", "Cancel", "Retry"):
        expect(page.get_by_role("button", name=action, exact=True)).to_be_disabled()
    page.get_by_text("your login is not in the list of operators").wait_for()
    page.get_by_role("button", name="Pause", exact=True).click(force=True)
    page.wait_for_timeout(500)
    assert page.get_by_role("dialog").count() == 0
    assert site.fleet.writes() == []


def test_an_operator_can_pause_a_rollout_but_must_type_its_name_to_force_a_cancellation(
    site: Site, heard: Page
) -> None:
    page = heard
    sign_in(page, site, "operator", f"/rollout?id={site.rollout_id}")
    page.get_by_role("button", name="Pause", exact=True).click()
    dialog = page.get_by_role("dialog")
    send = dialog.get_by_test_id("stBaseButton-primary")
    dialog.get_by_text("until the rollout is resumed").wait_for()
    queued = sum(
        row["status"] == "queued" for row in site.fleet.call("GET", f"{ROLLOUTS}/{site.rollout_id}")[1]["targets"]
    )
    expect(send).to_contain_text(f"Pause: {queued} targets")
    # Without a reason nothing is sent, and the refusal is recorded.
    send.click()
    dialog.get_by_text("Give a reason").wait_for()
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    expect(dialog).to_have_count(0)
    assert site.fleet.writes() == []

    page.get_by_role("button", name="Pause", exact=True).click()
    dialog.get_by_label("Reason").fill("the new bundle <b>fails</b>")
    dialog.get_by_label("Reason").press("Tab")
    # The outcome of what is being sent is shown even if the dialog is closed meanwhile.
    site.fleet.fault(operation="pause_rollout", latency_after_s=1.5, times=1)
    send.click()
    dialog.get_by_text("Sending").wait_for()
    page.keyboard.press("Escape")
    dialog.get_by_text("The server accepted the action. The rollout is paused.").wait_for()
    assert site.status() == "paused"
    dialog.get_by_role("button", name="Sync and close").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_enabled()

    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog.get_by_text("Also terminate targets in progress").click()
    dialog.get_by_label("Reason").fill("give up")
    dialog.get_by_label("Type").fill("no")
    dialog.get_by_label("Type").press("Tab")
    send.click()
    dialog.get_by_text(f"To force this, type the name: {site.rollout_id[:8]}.").wait_for()
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    assert [row["operation_id"] for row in site.fleet.writes()] == ["pause_rollout"]

    instance_id = site.fleet.instance_ids[0]
    with sqlite3.connect(site.database) as conn:
        conn.execute("UPDATE rollout_targets SET hostname = ? WHERE instance_id = ?", (HOSTILE, instance_id))
        conn.execute("UPDATE instances SET hostname = ? WHERE instance_id = ?", (HOSTILE, instance_id))
    page.goto(f"{site.url}/instance?id={instance_id}")
    page.get_by_role("button", name="Power-cycle").click()
    dialog.get_by_text("The instance is being redeployed").wait_for()
    expect(send).to_be_disabled()
    assert HOSTILE in dialog.inner_text()
    assert page.locator("img[src*='203.0.113.9'], img[src='x'], a[href*='203.0.113.9']").count() == 0
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    page.goto(f"{site.url}/actions?acted_q={site.rollout_id}")
    page.get_by_role("heading", name="Console actions").wait_for()
    page.get_by_text("3 actions", exact=True).wait_for()
    page.get_by_test_id("stTopNavSection").filter(has_text="ops@example.com").click()
    page.get_by_test_id("stTopNavDropdownLink").click()
    page.get_by_role("heading", name="Sign out").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()


def test_a_confirmation_that_was_left_with_back_does_not_open_again(site: Site, page: Page) -> None:
    tab, dialog = Tab(page, site.url), page.get_by_role("dialog")
    sign_in(page, site, "operator", "/rollouts")
    link = page.locator(f"table a[href='./rollout?id={site.rollout_id}']")
    link.click()
    # Whatever its state, an open rollout can be cancelled.
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog.get_by_label("Reason").wait_for()
    for reopen in (page.go_forward, link.click):
        page.go_back()
        tab.rest("Rollouts")
        expect(dialog).to_have_count(0)
        reopen()
        tab.rest("Rollout, fleet")
        assert dialog.count() == 0


# reports/2026-11 D12
def test_an_operator_in_many_groups_can_sign_in(site: Site, page: Page) -> None:
    sign_in(page, site, "some", f"/rollout?id={site.rollout_id}")
    page.get_by_role("heading", name="Rollout, fleet").wait_for()
    cookies = sum(len(cookie["value"]) for cookie in page.context.cookies())
    assert cookies > 2 * 8192
    page.goto(site.url)
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()


# reports/2026-11 D12
@pytest.mark.parametrize(("person", "sentence"), [("many", "The login would need"), ("most", "sign-in failed")])
def test_a_user_in_too_many_groups_is_told_so(person: str, sentence: str, site: Site, page: Page) -> None:
    page.goto(site.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=person).click()
    page.get_by_text(sentence).wait_for()
    page.get_by_text("fewer claims").wait_for()


# reports/2026-11 F6
def test_a_viewer_cannot_sync(site: Site, page: Page) -> None:
    site.fleet.clear_journal()
    sign_in(page, site, "viewer", "/rollouts")
    page.goto(site.url)
    button = page.get_by_role("button", name="Sync now")
    expect(button).to_be_disabled()
    button.click(force=True)
    page.get_by_text("Only operators can sync").wait_for()
    assert site.fleet.journal() == []


# The last test, because it ends the rollout.
def test_the_targets_to_retry_are_offered_by_their_host_names(site: Site, page: Page) -> None:
    site.fleet.knobs(outcomes={"*": "failed"})
    site.fleet.call("POST", f"{ROLLOUTS}/{site.rollout_id}/resume")
    for _dummy in range(12):
        site.fleet.advance(300)
    settings = Settings(site.database, site.database.with_name("runs"), run_log_dir_is_default=True)
    assert sync_once(settings, connection=ApiConnection(site.fleet.url, site.fleet.admin_key)).problems == []
    with sqlite3.connect(site.database) as conn:
        failed = dict(conn.execute("SELECT hostname || ' (failed)', 1 FROM rollout_targets WHERE status = 'failed'"))
    sign_in(page, site, "operator", f"/rollout?id={site.rollout_id}")
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("dialog").get_by_label("Target").click()
    page.get_by_role("option").first.wait_for()
    # Of a long list, only the visible options are drawn.
    assert page.get_by_role("option").all_inner_texts()[0] in failed
