# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Downloads of the lists on an instance's page in a browser: all rows, not only those that are shown."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page

from console.collect.api.records import audit_row
from console.record.read import frames
from console.record.rows import Cursor
from console.record.write.store import open_store
from tests.console.support.downloads import downloaded
from tests.console.support.facts import rows
from tests.console.support.seeded import HOSTILE, TENANT, audit_events, seed_small
from tests.console.support.seeded_instances import INSTANCE, actions, put, seed_details

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More actions and failed audit events than the page shows."""
    folder = tmp_path_factory.mktemp("shared")
    now = float(int(time.time()))
    seed_small(folder / "console.db", folder / "runs", now)
    seed_details(folder / "console.db", now)
    with open_store(folder / "console.db") as store:
        put(store, "actions", 1, actions(1, now, frames.LIST_PAGE + 30), now)
        events = [audit_row(TENANT, INSTANCE, event) for event in audit_events(1, 1500, now)]
        store.put_audit(events, None, Cursor("audit", f"{TENANT}|{INSTANCE}", last_ok_at=now))
    return folder / "console.db"


def file_of(page: Page, of: str, kind: str) -> tuple[str, str]:
    """The name and text of a file from the list's menu."""
    menu = page.locator(f".st-key-{of}_share").get_by_role("button", name="Share")
    body = page.locator("[data-testid=stPopoverBody]")
    name, content = downloaded(page, menu, body.get_by_role("button", name=kind, exact=True))
    page.keyboard.press("Escape")
    body.wait_for(state="hidden")
    return name, content.decode()


def test_each_list_of_an_instance_can_be_downloaded_with_all_its_rows(
    record: Path, address: str, watched: Page
) -> None:
    page = watched
    page.goto(f"{address}/instance?id={INSTANCE}")
    page.get_by_text("Versions seen over time").wait_for()

    name, text = file_of(page, "instance-actions", "CSV")
    assert name.startswith("fleetops-instance-actions-") and name.endswith(".csv")
    downloaded = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(downloaded) == frames.LIST_PAGE + 30
    assert downloaded[0]["created_at"].endswith("Z") and HOSTILE in {row["message"] for row in downloaded}

    _name, text = file_of(page, "instance-rollouts", "JSON lines")
    stored = rows(record, "SELECT rollout_id FROM rollout_targets WHERE instance_id = ?", INSTANCE)
    assert {json.loads(line)["rollout_id"] for line in text.splitlines()} == {row["rollout_id"] for row in stored}

    _name, text = file_of(page, "instance-audit", "JSON lines")
    bad = rows(
        record,
        "SELECT count(*) AS n FROM audit_events WHERE tenant = ? AND instance_id = ? AND outcome IS NOT 'success'",
        TENANT,
        INSTANCE,
    )
    outcomes = [json.loads(line)["outcome"] for line in text.splitlines()]
    assert len(outcomes) == bad[0]["n"] > 100
    assert set(outcomes) == {"error", "denied"}

    _name, text = file_of(page, "instance-versions", "CSV")
    assert [row["runtime"] for row in csv.DictReader(io.StringIO(text))] == ["2.4.0", "2.3.0"]
