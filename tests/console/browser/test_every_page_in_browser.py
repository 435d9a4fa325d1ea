# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every page in a Chromium with 0, 24 and 20,000 targets, without an error on the page or in the browser's console."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from console.record.write.store import open_store
from tests.console.support.every_page import Tab, declared_pages, place
from tests.console.support.seeded import FLEET, OPEN, RUN, ident, seed_small
from tests.console.support.seeded_instances import INSTANCE, NAME, seed_details, seed_many
from tests.console.support.served import serving

pytestmark = pytest.mark.browser

MANY = ident(9, 0x4D04ED99)
# Page: its heading and, for each size, its query and a text that only appears with data.
Shown = dict[str, tuple[str, str, str]]

EMPTY: Shown = {
    "overview": ("Overview", "", "Nothing has been synced yet"),
    "operations": ("Operations", "", "No operations yet"),
    "instances": ("Instances", "", "No instances yet"),
    "failures": ("Failures", "", "No failures are recorded."),
    "audit": ("Audit", "", "No audit events yet"),
    "policy": ("Policy and window", "", "No policy yet"),
    "record": ("Record health", "", "Nothing has been synced yet"),
    "operation": ("Operation", "id=x", "The database has no operation x."),
    "instance": ("Instance", "id=x", "The database has no instance x."),
    "compare": ("Compare two operations", "", "Nothing to compare yet"),
    "rollouts": ("Rollouts", "", "No rollouts yet"),
    "rollout": ("Rollout", "id=x", "The database has no rollout x."),
    "runs": ("Playbook runs", "", "No playbook runs yet"),
    "run": ("Playbook run", "id=x", "The database has no run x."),
    "actions": ("Console actions", "", "No actions have been tried from this console."),
}
SMALL: Shown = {
    "overview": ("Overview", "", "Needs attention"),
    "operations": ("Operations", "", "4 operations, newest first"),
    "instances": ("Instances", "", "36 instances"),
    "failures": ("Failures", "", "2 failures with 2 messages"),
    "audit": ("Audit", "", "1,200 of 1,320 events"),
    "policy": ("Policy and window", "", "Parallel rollouts, maximum2"),
    "record": ("Record health", "", "audit_events"),
    "operation": ("rolling_redeploy", f"id={RUN}", "Stopped after batch 4"),
    "instance": (NAME, f"id={INSTANCE}", "Runtime2.4.0"),
    "compare": ("Compare two operations", f"a={FLEET}&b={OPEN}", "24 instances, matched by id or host name"),
    "rollouts": ("Rollouts", "", "14 rollouts"),
    "rollout": ("Rollout, fleet", f"id={FLEET}", "Targets24"),
    "runs": ("Playbook runs", "", "2 runs"),
    "run": ("rolling_redeploy, ", f"id={RUN}", "What failed"),
    "actions": EMPTY["actions"],
}
LARGE: Shown = {
    **SMALL,
    "operations": ("Operations", "", "5 operations, newest first"),
    "operation": ("fleet rollout", f"id={MANY}", "20,000 instances, problems first"),
    "failures": ("Failures", "", "failures with"),
    "compare": ("Compare two operations", f"a={FLEET}&b={MANY}", "20,000 instances, matched by id or host name"),
    "instances": ("Instances", "", "20,0"),
    "rollout": ("Rollout, fleet", f"id={MANY}", "Targets20,000"),
    "rollouts": ("Rollouts", "", "15 rollouts"),
}


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three databases, each with its run logs."""
    folder = tmp_path_factory.mktemp("sizes")
    now = time.time()
    for size in ("empty", "small", "large"):
        place_of = folder / size
        place_of.mkdir()
        (place_of / "runs").mkdir()
        open_store(place_of / "console.db").close()
        if size != "empty":
            seed_small(place_of / "console.db", place_of / "runs", now)
            seed_details(place_of / "console.db", now)
    seed_many(folder / "large" / "console.db", now)
    return folder


@pytest.mark.parametrize(("size", "shown"), [("empty", EMPTY), ("small", SMALL), ("large", LARGE)])
def test_every_page_opens_without_an_error(size: str, shown: Shown, databases: Path, browser: Browser) -> None:
    assert sorted(shown) == sorted(declared_pages()), "a page of console/app.py is missing here, or no longer exists"
    failures = []
    with serving(databases / size / "console.db", databases / size / "runs") as served:
        opened = browser.new_page(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
        tab = Tab(opened, served.url)
        for number, page in enumerate(declared_pages()):
            heading, query, expected = shown[page]
            # Pages of a single object are opened by a direct link, the large ones from the previous page.
            go = tab.load if not number or (size != "large" and query) else tab.turn
            took = go(place(page, query), heading)
            print(f"{size:6}{page:12}{took:6.2f} s")
            failures += [f"{page}: {text}" for text in [*tab.errors_shown(), *tab.troubles]]
            tab.troubles.clear()
            if expected not in tab.says():
                failures.append(f"{page}: {expected!r} is not in {tab.says()[:1500]!r}")
        tab.page.close()
        logged = [line for line in served.log.read_text().splitlines() if "Traceback" in line or "Error" in line]
    assert failures == [], "\n".join(failures)
    assert logged == []
