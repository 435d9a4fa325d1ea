# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sharing a view in a browser: the file contains the filtered rows, and the link opens the same view."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page

from tests.console.support.downloads import downloaded
from tests.console.support.seeded import FLEET, HOSTILE, OPEN

pytestmark = pytest.mark.browser


def menu(page: Page) -> Locator:
    return page.locator(".st-key-targets_share").get_by_role("button", name="Share")


def file_as(page: Page, name: str) -> tuple[str, bytes]:
    return downloaded(page, menu(page), page.get_by_role("button", name=name, exact=True))


def test_files_contain_the_filtered_rows_and_the_link_opens_the_same_view(address: str, watched: Page) -> None:
    page = watched
    page.goto(f"{address}/rollout?id={FLEET}")
    page.get_by_text("24 targets", exact=True).wait_for()
    page.locator(".js-plotly-plot .barlayer").first.wait_for()
    page.locator(".st-key-targets_status").get_by_text("failed", exact=True).click()
    page.get_by_text("1 of 24 targets").wait_for()
    menu(page).click()
    link = page.locator("[data-testid=stPopoverBody] code", has_text="targets_status=failed")
    link.wait_for()

    name, data = file_as(page, "CSV")
    assert name.startswith("fleetops-targets-") and name.endswith(".csv")
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert [(row["status"], row["error"]) for row in rows] == [("failed", HOSTILE)]
    assert rows[0]["started_at"].endswith("Z")
    _dummy, data = file_as(page, "JSON lines")
    assert [json.loads(line)["error"] for line in data.splitlines()] == [HOSTILE]
    _dummy, data = file_as(page, "Parquet")
    assert pd.read_parquet(io.BytesIO(data))["error"].tolist() == [HOSTILE]

    shared = link.inner_text()
    assert shared == page.url
    page.goto("about:blank")
    page.goto(shared)
    page.get_by_text("1 of 24 targets").wait_for()


def test_a_rollout_links_to_its_comparison_and_back(address: str, watched: Page) -> None:
    page = watched
    page.goto(f"{address}/rollout?id={OPEN}&why=Where+time+went")
    page.get_by_text("Slowest targets").wait_for()
    page.get_by_role("link", name="Compare with the previous rollout").click()
    page.get_by_role("heading", name="Compare two operations").wait_for()
    page.get_by_text("24 instances, matched by id or host name").wait_for()
    assert f"a={FLEET}&b={OPEN}" in page.url
    page.get_by_role("button", name="Swap").click()
    page.wait_for_url(f"**/compare?a={OPEN}&b={FLEET}*")
    # The address changes before the page is redrawn: the link belongs to the swapped comparison.
    page.locator(f"dt:has-text('Before') + dd a[href*='id={OPEN}']").click()
    page.wait_for_url(f"**/operation?id={OPEN}*")
    page.get_by_role("heading", name="fleet rollout").wait_for()
