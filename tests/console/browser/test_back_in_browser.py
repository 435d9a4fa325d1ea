# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening a row of a list, by pointer and by keyboard only: Back returns to the list in its previous state."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from console.record.read import instances, operations, rollouts, runs
from tests.console.support.every_page import Tab
from tests.console.support.seeded import RUN, ident, seed_big, seed_small

pytestmark = pytest.mark.browser

NAMED = instances.InstanceFilter(search="agent-")


def only_instances(page: Page) -> None:
    page.get_by_role("radio", name="instance", exact=True).click()


def search_reboot(page: Page) -> None:
    page.get_by_label("Playbook, user, controller or change contains").fill("reboot")


def by_ops(page: Page) -> None:
    page.get_by_label("Who", exact=True).fill("ops")


def second_page_of_named(page: Page) -> None:
    page.get_by_label("Host, id or problem contains").fill("agent-")
    page.wait_for_url(re.compile("instances_q=agent-"))
    page.get_by_test_id("stPaginationPage").get_by_text("2", exact=True).click()


@dataclass(frozen=True)
class List:
    """A list: its name, the word for one row, the column of its id, its filters, and what it shows with them.

    rows: the rows in the database for these filters. heading: the heading of a row's page.
    """

    name: str
    title: str
    word: str
    column: str
    narrow: Callable[[Page], None]
    query: str
    count: str
    rows: Callable[[Path], pd.DataFrame]
    heading: Callable[[pd.Series], str]


LISTS = [
    List(
        *("operations", "Operations", "operation", "key"),
        *(by_ops, "operations_who=ops", "2 operations, newest first"),
        lambda path: operations.operations(path, time.time(), operations.OperationFilter(who="ops"))[0],
        lambda row: str(row["title"]),
    ),
    List(
        *("instances", "Instances", "instance", "instance_id"),
        *(second_page_of_named, "instances_page=2&instances_q=agent-", "120 instances"),
        lambda path: instances.instance_page(path, NAMED, 2)[0],
        lambda row: str(row["host"]),
    ),
    List(
        *("rollouts", "Rollouts", "rollout", "rollout_id"),
        *(only_instances, "rollouts_scope=instance", "12 rollouts"),
        lambda path: rollouts.rollouts(path, (), "instance", "")[0],
        lambda _row: "Rollout, instance",
    ),
    List(
        *("runs", "Playbook runs", "run", "run_id"),
        *(search_reboot, "runs_q=reboot", "1 run"),
        lambda path: runs.runs(path, (), "reboot")[0],
        lambda _row: "reboot, ",
    ),
]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("back")
    seed_small(folder / "console.db", folder / "runs", time.time())
    # More instances than fit on one page of the list.
    seed_big(folder / "console.db", time.time(), 120)
    return folder / "console.db"


def link_to(page: Page, of: List, row: pd.Series) -> Locator:
    return page.locator(f"table a[href='./{of.word}?id={row[of.column]}']")


def open_by_keyboard(page: Page, of: List, row: pd.Series) -> None:
    link_to(page, of, row).focus()
    page.keyboard.press("Enter")


@pytest.mark.parametrize("of", LISTS, ids=[of.name for of in LISTS])
def test_back_from_a_row_returns_to_the_filtered_list_and_forward_to_the_row(
    of: List, address: str, record: Path, watched: Page
) -> None:
    page, tab = watched, Tab(watched, address)
    rows = of.rows(record)
    first, last = rows.iloc[0], rows.iloc[-1]
    listed = f"{address}/{of.name}?{of.query}"

    def is_listed() -> None:
        tab.rest(of.title)
        expect(page).to_have_url(listed)
        page.get_by_text(of.count, exact=True).wait_for()

    def is_open(row: pd.Series) -> None:
        tab.rest(of.heading(row))
        expect(page).to_have_url(f"{address}/{of.word}?id={row[of.column]}")

    tab.load(f"/{of.name}", of.title)
    of.narrow(page)
    is_listed()
    for row, opening in (
        (first, lambda: link_to(page, of, first).click()),
        (last, lambda: open_by_keyboard(page, of, last)),
    ):
        opening()
        is_open(row)
        page.go_back()
        is_listed()
        page.go_forward()
        is_open(row)
        page.go_back()
        is_listed()
    assert tab.troubles == []


def test_back_from_a_link_returns_to_the_previous_page_in_its_state(address: str, watched: Page) -> None:
    page, tab = watched, Tab(watched, address)
    tab.load("/rollouts", "Rollouts")
    only_instances(page)
    listed = f"{address}/rollouts?rollouts_scope=instance"
    expect(page).to_have_url(listed)
    page.get_by_role("link", name="Operations").first.click()
    tab.rest("Operations")
    expect(page).to_have_url(f"{address}/operations")
    page.go_back()
    tab.rest("Rollouts")
    expect(page).to_have_url(listed)
    page.get_by_text("12 rollouts", exact=True).wait_for()

    opened = f"/rollout?id={ident(11, 0x7700000B)}&sort=Start"
    tab.load(opened, "Rollout")
    page.get_by_role("link", name="Operation of a playbook run that mentions it").click()
    tab.rest("rolling_redeploy")
    expect(page).to_have_url(f"{address}/operation?id={RUN}")
    page.go_back()
    tab.rest("Rollout, instance")
    expect(page).to_have_url(address + opened)
    assert tab.troubles == []
