# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""axe-core on every page, in both themes, on a wide screen and on a phone; forced colours; paper."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.console.support.every_page import Tab
from tests.console.support.seeded_operations import BY_OTHERS, HOSTS, STOPPED, UNDER_WAY, seed_operations

pytestmark = pytest.mark.browser

PAGES = (
    ("/", "Overview"),
    ("/operations", "Operations"),
    (f"/operation?id={STOPPED}", "rolling_redeploy"),
    ("/instances", "Instances"),
    (f"/instance?id={HOSTS[1]}", HOSTS[1]),
    ("/failures?message=x", "Failures"),
    (f"/compare?a={STOPPED}&b={UNDER_WAY}", "Compare two operations"),
    ("/audit", "Audit summary"),
    ("/policy", "Policy and window"),
    ("/record", "Record health"),
    ("/actions", "Console actions"),
    ("/runs", "Playbook runs"),
    (f"/run?id={STOPPED}", "rolling_redeploy,"),
    ("/rollouts", "Rollouts"),
    (f"/rollout?id={BY_OTHERS}", "Rollout,"),
)
WIDTHS = (1440, 390)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accessible")
    seed_operations(folder / "console.db", folder / "runs", time.time())
    with closing(sqlite3.connect(folder / "console.db", isolation_level=None)) as conn:
        conn.execute("UPDATE runs SET user = 'given.family@platform-engineering.example.com, approved by another one'")
    return folder / "console.db"


def violations(page: Page) -> set[tuple[str, str, str]]:
    """The rule, the element and the required change, for each element that violates a rule."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return {(rule["id"], node["html"][:200], node["failureSummary"]) for rule in found for node in rule["nodes"]}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_violates_an_accessibility_rule_of_axe(theme: Any, address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 1000}, color_scheme=theme, reduced_motion="reduce")
    tab, broken = Tab(page, address), dict[tuple[str, str, str], list[str]]()
    for number, (where, heading) in enumerate(PAGES):
        (tab.turn if number else tab.load)(where, heading)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 1000})
            tab.rest(heading)
            for found in violations(page):
                broken.setdefault(found, []).append(f"{where.partition('?')[0]} at {width}")
        page.set_viewport_size({"width": WIDTHS[0], "height": 1000})
    assert tab.troubles == []
    page.close()
    assert broken == {}, "\n".join(
        f"{rule}: {html}\n  {why}\n  {places}" for (rule, html, why), places in broken.items()
    )


def test_the_first_row_of_a_list_is_in_the_upper_half_of_a_screen(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    tab = Tab(page, address)
    for number, (where, heading) in enumerate((PAGES[1], *PAGES[3:6])):
        (tab.turn if number else tab.load)(where, heading)
        box = page.locator(".fo-table td").first.bounding_box()
        assert box is not None and box["y"] < 450, f"{where}: {box}"
        # Streamlit's header covers no title.
        title, head = (page.locator(f"{part} >> visible=true").first.bounding_box() for part in ("h1", "header"))
        assert title is not None and head is not None and title["y"] >= head["y"] + head["height"], where
    page.close()


def test_on_a_phone_each_row_shows_status_and_name_without_horizontal_scrolling(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    tab = Tab(page, address)
    for number, (where, heading) in enumerate(PAGES[:7]):
        (tab.turn if number else tab.load)(where, heading)
        wide = page.evaluate(
            """() => {
              const main = document.querySelector('[data-testid=stMain]');
              const own = [...document.querySelectorAll('.fo')].filter(part => part.scrollWidth > part.clientWidth + 1);
              return [main.scrollWidth - main.clientWidth, own.length];
            }"""
        )
        assert wide == [0, 0], where
        for name in page.locator(".fo-table td a").all()[:20]:
            box = name.bounding_box()
            assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= 390), f"{where}: {name.inner_text()}"
    page.close()


def test_in_forced_colours_bars_and_legends_keep_the_colours_of_their_statuses(address: str, browser: Browser) -> None:
    page = browser.new_page(reduced_motion="reduce")
    tab = Tab(page, address)
    tab.load(*PAGES[0])
    seen: list[list[str]] = []
    modes: tuple[Literal["active", "none"], ...] = ("none", "active")
    for mode in modes:
        page.emulate_media(forced_colors=mode)
        parts = page.locator(".fo-part, .fo-sample")
        seen.append(parts.evaluate_all("parts => parts.map(part => getComputedStyle(part).backgroundColor)"))
    page.close()
    assert seen[0] == seen[1] and len(set(seen[0])) > 3


# Paper: 210 mm less the browser's usual margins of 10 mm.
@pytest.mark.parametrize(("width", "media"), [(718, "print"), (1024, "screen")])
def test_a_table_fits_the_width_of_printed_a4_paper_and_of_a_small_screen(
    width: int, media: Any, address: str, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 1000}, reduced_motion="reduce")
    page.emulate_media(media=media)
    tab, cut = Tab(page, address), list[str]()
    for number, (where, heading) in enumerate(PAGES):
        (tab.turn if number else tab.load)(where, heading)
        cut += page.locator(".fo-scroll").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.ariaLabel)"
        )
    page.close()
    assert cut == []
