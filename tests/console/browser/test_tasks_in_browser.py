# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions of somebody on duty, each starting on Overview: the answer is found with a limited number of clicks."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.support.downloads import downloaded
from tests.console.support.every_page import Tab
from tests.console.support.seeded_operations import (
    BAD,
    HOSTS,
    REASON,
    STOPPED,
    UNDER_WAY,
    WHY,
    YESTERDAY,
    seed_operations,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    seed_operations(folder / "console.db", folder / "runs", time.time())
    return folder / "console.db"


class Person:
    """Somebody who starts on Overview, clicks and reads. ``clicks``: the number of clicks."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.tab, self.clicks = page, Tab(page, address), 0
        self.tab.load("/", "Overview")

    def click(self, what: Locator, heading: str = "") -> None:
        """Click. With a heading, wait until its page is shown."""
        what.click()
        self.clicks += 1
        if heading:
            self.tab.rest(heading)

    def link(self, name: str, within: str = "main") -> Locator:
        return self.page.locator(within).get_by_role("link", name=name).first

    def menu(self, name: str) -> Locator:
        return self.page.get_by_test_id("stTopNavLink").filter(has_text=name)

    def reads(self, *texts: str) -> None:
        """Check that the page shows all texts, visible by scrolling down only."""
        for text in texts:
            expect(self.page.get_by_test_id("stMain")).to_contain_text(text)


@pytest.fixture
def person(watched: Page, address: str) -> Iterator[Person]:
    watched.set_viewport_size({"width": 1440, "height": 900})
    somebody = Person(watched, address)
    yield somebody
    assert somebody.tab.troubles == []


def row_of(page: Page, text: str) -> Locator:
    return page.locator(".fo-table tbody tr").filter(has_text=text).first


def test_overview_shows_the_health_of_the_fleet_what_runs_and_why_the_last_run_stopped(person: Person) -> None:
    page = person.page
    person.reads("7 of 8 healthy", "1 degraded", "Runtime, published 2.5.0", "3 of 8 up to date")
    # What runs now, who started it, and its progress.
    running = page.locator(".fo-card").filter(has_text="started").first
    for text in ("rolling_redeploy to 2.5.0", "by ops", "batch 2 of 4", "2 updated", "4 waiting", HOSTS[2]):
        expect(running).to_contain_text(text)
    # The last operation that ended, with its numbers and reason.
    stopped = page.locator(f".fo-table tr:has(a[href='./operation?id={STOPPED}'])")
    for text in ("stopped", "3 updated, 1 failed, 4 not touched", WHY):
        expect(stopped).to_contain_text(text)
    # All of this without scrolling: the list of operations starts on the first screen.
    box = page.get_by_role("heading", name="Operations", exact=True).bounding_box()
    assert box is not None and box["y"] < 900
    assert person.clicks == 0
    person.click(stopped.get_by_role("link"), "rolling_redeploy to 2.5.0")
    person.reads(f"Stopped after batch 2 of 4: {WHY}", REASON, "in no earlier operation", f"--limit 'all:!{BAD}'")
    assert person.clicks == 1


def test_the_instances_behind_the_published_runtime_are_found(person: Person) -> None:
    person.click(person.link("5 behind the published version", ".fo-strip"), "Instances")
    person.reads("5 of 8 instances", "2.4.0 → 2.5.0")
    hosts = person.page.locator(".fo-table tbody td.fo-host").all_inner_texts()
    assert sorted(hosts) == sorted(HOSTS[3:])
    assert person.clicks == 1


def test_yesterdays_operations_and_who_started_them_are_found(person: Person) -> None:
    person.click(person.menu("Operations"), "Operations")
    when = person.page.get_by_role("textbox", name="When (UTC)")
    person.click(when)
    when.fill("yesterday")
    when.press("Enter")
    person.page.wait_for_url(re.compile("operations_when=yesterday"))
    expect(row_of(person.page, "reboot")).to_contain_text("jon")
    expect(row_of(person.page, "reboot")).to_contain_text("yesterday 10:02")
    expect(person.page.get_by_test_id("stMain")).not_to_contain_text("fleet rollout")
    assert person.clicks == 2


def test_the_events_of_an_instance_within_ten_minutes_are_found(person: Person) -> None:
    person.click(person.menu("Instances"), "Instances")
    person.click(person.link(HOSTS[1], ".fo-table"), HOSTS[1])
    when = person.page.get_by_role("textbox", name="When (UTC)")
    person.click(when)
    when.fill("yesterday 10:00 to 10:10")
    when.press("Enter")
    person.reads("4 entries from ")
    rows = person.page.get_by_role("region", name="What happened, newest first").locator("tbody tr")
    expect(rows).to_have_count(4)
    events = [" ".join(text.split()) for text in rows.all_inner_texts()]
    for text, kind in zip(events, ("health", "audit", "health", "playbook"), strict=True):
        assert f" {kind} " in text
    assert "10:04:00" in events[1] and "error" in events[1] and "reboot" in events[3] and "jon" in events[3]
    assert person.clicks == 3


def test_the_last_two_operations_can_be_compared(person: Person) -> None:
    person.click(person.link("Compare the last two"), "Compare two operations")
    person.page.wait_for_url(re.compile(f"a={STOPPED}&b={UNDER_WAY}"))
    person.reads("8 instances, matched by id or host name", "Stopped after batch 2 of 4", "Running, batch 2 of 4")
    expect(row_of(person.page, HOSTS[3])).to_contain_text("failed")
    expect(row_of(person.page, HOSTS[3])).to_contain_text("running")
    assert person.clicks == 1


def test_an_audit_error_leads_to_the_operation_of_that_time(person: Person) -> None:
    person.click(person.menu("Audit"), "Audit")
    error = row_of(person.page, "error")
    expect(error).to_contain_text("10:04:00")
    person.click(error.get_by_role("link").first, "Operations")
    # It began before the minutes in the link.
    person.page.wait_for_url(re.compile("operations_when="))
    person.reads("1 operation, newest first")
    expect(person.page.locator(f".fo-table a[href='./operation?id={YESTERDAY}']")).to_have_count(1)
    assert person.clicks == 2


def test_the_failures_can_be_downloaded(person: Person) -> None:
    person.click(person.menu("Failures"), "Failures")
    menu = person.page.get_by_role("button", name="Share").first
    person.click(menu)
    name, content = downloaded(person.page, menu, person.page.get_by_role("button", name="CSV", exact=True))
    text = content.decode()
    (failure,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (failure["message"], failure["failures"], failure["newest_host"]) == (REASON, "1", BAD)
    assert name.startswith("fleetops-failures-")
    assert person.clicks + 1 == 3
