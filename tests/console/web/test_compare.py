# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two rollouts compared: new, remaining and fixed failures, longer durations, and the address that selects the two."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from console.record.read import frames
from console.record.read.frames import framed
from console.record.read.operation import operation
from console.record.rows import Cursor
from console.record.write.store import open_store
from console.web.operations.comparison import compared
from tests.console.support.page import opened, words
from tests.console.support.recorded_runs import NOW as NOW_OF_RUNS
from tests.console.support.recorded_runs import A, B, put_run, report
from tests.console.support.seeded import FLEET, OPEN, TENANT, fleet_rollout, host_name, ident, rollout_read, target

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))
SIDE_COLUMNS = ("host", "instance_id", "category", "seconds", "waited", "message")
THEN, TODAY = ident(1, 0x0C01), ident(2, 0x0C02)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine instances, each with a different outcome."""
    path = tmp_path_factory.mktemp("compare") / "console.db"

    def one(number: int, rollout: str, status: str, run: float | None, created: float, **more: object):
        started = created + 10 if run is not None else None
        done = created + 10 + run if run is not None and status != "in_progress" else None
        return target(number, rollout, status, created, started, done, **more)

    then, today = NOW - 9000, NOW - 100
    a = [
        one(0, THEN, "succeeded", 20, then), one(1, THEN, "failed", 20, then, error_message="before"),
        one(2, THEN, "uncertain", 20, then), one(3, THEN, "succeeded", 20, then), one(4, THEN, "succeeded", 20, then),
        one(5, THEN, "succeeded", 20, then), one(7, THEN, "succeeded", 20, then, instance_id=None),
        # The same instance again: the last target counts.
        {**one(8, THEN, "failed", 20, then), "target_id": ident(99, 0xAB)}, one(8, THEN, "succeeded", 25, then),
    ]  # fmt: skip
    b = [
        one(0, TODAY, "failed", 21, today, error_message="now"), one(1, TODAY, "failed", 22, today),
        one(2, TODAY, "succeeded", 23, today), one(3, TODAY, "succeeded", 50, today, scheduled_countdown_seconds=4),
        one(4, TODAY, "in_progress", 20, today), one(6, TODAY, "failed", 20, today),
        one(7, TODAY, "succeeded", 20, today, instance_id=None), one(8, TODAY, "succeeded", 20, today),
    ]  # fmt: skip
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_rollouts([rollout_read(THEN, a, "partial", then, then + 60)])
        store.put_rollouts([rollout_read(TODAY, b, "in_progress", today, None)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
    return path


@pytest.fixture(scope="module")
def two_big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two_big") / "console.db"
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        for rollout, count, created, bad in ((THEN, 20_000, NOW - 90_000, 0.05), (TODAY, 20_001, NOW - 40_000, 0.02)):
            read = fleet_rollout(rollout, count, 50, created, bad)
            # Without ids the instances are matched by host name, which is slower.
            for row in read.targets or ():
                row["instance_id"] = None
            store.put_rollouts([read])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
    return path


def side_by_side(path: Path) -> pd.DataFrame:
    before, now = (operation(path, rollout, NOW) for rollout in (THEN, TODAY))
    assert before is not None and now is not None
    return compared(before.instances, now.instances)


def test_each_target_is_matched_and_classified(database: Path) -> None:
    found = side_by_side(database)
    assert dict(zip(found["host"], found["kind"], strict=True)) == {
        host_name(0): "new failure",
        host_name(1): "still failing",
        host_name(2): "fixed",
        host_name(3): "same",
        host_name(4): "other",
        host_name(5): "only before",
        host_name(6): "only now",
        host_name(7): "same",
        host_name(8): "same",
    }
    assert found["kind"].tolist()[:3] == ["new failure", "still failing", "fixed"]
    rows = found.set_index("host")
    assert rows.loc[host_name(3), ["seconds_before", "seconds_now", "seconds_more"]].tolist() == [20, 50, 30]
    assert rows.loc[host_name(3), ["waited_before", "waited_now", "waited_more"]].tolist() == [10, 10, 0]
    assert rows.loc[host_name(8), "seconds_before"] == 25
    # An unfinished run is neither slower nor faster than a finished one.
    assert rows.loc[[host_name(4), host_name(5)], "seconds_more"].isna().all()
    assert (rows.loc[host_name(0), "message"], rows.loc[host_name(1), "message"]) == ("now", "before")


@pytest.mark.parametrize(
    ("before", "now", "tenants", "matched"),
    [
        (("a", "1"), ("b", "1"), (TENANT, TENANT), True),
        (("a", None), ("a", "1"), (None, TENANT), True),
        (("a", "1"), ("a", None), (TENANT, None), True),
        (("a", "1"), ("a", "2"), (TENANT, TENANT), True),
        (("a", "1"), ("a", "2"), (None, TENANT), False),
        (("a", "1"), ("a", "2"), (None, None), False),
        (("a", "1"), ("a", "1"), (TENANT, "https://other.example"), False),
        (("a", None), ("a", None), (TENANT, "https://other.example"), False),
        (("a", None), ("a", None), (None, TENANT), True),
    ],
)
def test_an_instance_is_matched_by_its_id_or_else_by_its_host_name_and_never_across_tenants(
    before: tuple[str, str | None], now: tuple[str, str | None], tenants: tuple[str | None, str | None], matched: bool
) -> None:
    sides = [framed([(*side, "updated", 1.0, 1.0, "")], SIDE_COLUMNS) for side in (before, now)]
    kinds = compared(*sides, tenants)["kind"].tolist()
    assert kinds == (["same"] if matched else ["only before", "only now"])


def test_an_instance_that_was_recreated_is_one_host_with_both_outcomes() -> None:
    then = [
        ("a", "1", "updated", 1.0, 1.0, ""),
        ("b", "2", "updated", 1.0, 1.0, ""),
        ("c", "3", "updated", 1.0, 1.0, ""),
    ]
    today = [
        ("a", "4", "failed", 1.0, 1.0, "no disk"),
        ("b", "5", "updated", 1.0, 1.0, ""),
        ("b2", "3", "updated", 1.0, 1.0, ""),
    ]
    found = compared(framed(then, SIDE_COLUMNS), framed(today, SIDE_COLUMNS), (TENANT, TENANT))
    assert found[["host", "instance_id", "kind", "message"]].to_numpy().tolist() == [
        ["a", "4", "new failure", "Recreated with another id. no disk"],
        ["b", "5", "same", "Recreated with another id."],
        ["b2", "3", "same", None],
    ]


@pytest.mark.parametrize(
    ("checks", "kinds", "were_done"),
    [
        ((False, False), "Fixed 1 Same 1", True),
        ((False, True), "Other 2", False),
        ((True, False), "Fixed 1 Other 1", False),
        ((True, True), "Same 1 Other 1", False),
    ],
)
def test_what_a_check_run_would_update_is_neither_fixed_nor_done(
    checks: tuple[bool, bool], kinds: str, were_done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console.db"
    for run_id, ago, check, failed in (("before", 900, checks[0], [B]), ("now", 600, checks[1], [])):
        results = [{"host": host, "status": "ok", "changed": 1, "started_at": NOW_OF_RUNS - ago} for host in (A, B)]
        reported = report(updated=[host for host in (A, B) if host not in failed], failed=failed)
        put_run(path, run_id, ago, hosts=[A, B], results=results, check_mode=int(check), reported=reported)
    text = words(opened(monkeypatch, path, "compare", a="before", b="now"))
    assert kinds in text
    assert ("On average, the instances that were done both times" in text) == were_done


def test_20000_instances_are_matched_with_20000_in_time(two_big: Path) -> None:
    before = time.process_time()
    found = side_by_side(two_big)
    spent = time.process_time() - before
    # Quadratic matching took minutes.
    assert spent < 5
    assert found["host"].is_unique and len(found) == 20_001


def listed(app: AppTest) -> list[str]:
    """The hosts of the page's table, in order."""
    drawn = "".join(part.value for part in app.get("html"))
    return re.findall(r'href="\./instance\?[^"]*" target="_self">([^<]+)</a>', drawn)


def test_the_page_compares_the_operations_in_its_address(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(opened(monkeypatch, database, "compare", a=THEN, b=TODAY))
    assert "New failure 1" in text and "9 instances" in text and "took 8.3 s longer" in text
    assert f"?a={THEN}&b={TODAY}" in text
    app = opened(monkeypatch, database, "compare", a=THEN, b=TODAY, compare_kind="fixed")
    assert listed(app) == [host_name(2)]
    slower = opened(monkeypatch, database, "compare", a=THEN, b=TODAY, compare_sort="Slower now")
    faster = opened(monkeypatch, database, "compare", a=THEN, b=TODAY, compare_sort="Faster now")
    assert (listed(slower)[0], listed(faster)[0]) == (host_name(3), host_name(8))
    by_host = opened(monkeypatch, database, "compare", a=THEN, b=TODAY, compare_sort="Host")
    assert listed(by_host) == [host_name(number) for number in range(9)]
    assert listed(opened(monkeypatch, database, "compare", a=THEN, b=TODAY, compare_q="before")) == [host_name(1)]
    next(button for button in app.button if button.label == "Swap").click()
    app.run()
    assert f"?a={TODAY}&b={THEN}" in words(app)
    app.selectbox(key="compare_a").set_value(THEN).run()
    assert "Both are the same operation" in words(app)


def test_without_operations_in_the_address_the_page_takes_the_two_newest(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"?a={FLEET}&b={OPEN}" in words(opened(monkeypatch, small, "compare"))


def test_the_page_takes_the_newest_two_operations_that_can_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ids = tmp_path / "console.db", [ident(n, 0x0C10) for n in range(4)]
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        for place, (rollout, instance) in enumerate(zip(ids, (1, 2, 1, 3), strict=True)):
            created = NOW - 9000 + 1000 * place
            redeployed = target(instance, rollout, "succeeded", created, created + 10, created + 30)
            store.put_rollouts(
                [rollout_read(rollout, [redeployed], "completed", created, created + 30, scope="instance")]
            )
    # Those of the same instance.
    assert f"?a={ids[0]}&b={ids[2]}" in words(opened(monkeypatch, path, "compare"))


def test_unknown_operations_and_an_empty_database_are_reported(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    app = opened(monkeypatch, small, "compare", a="0000-unknown", b=OPEN)
    assert "has no operation 0000-unknown" in words(app)
    with open_store(tmp_path / "empty.db"):
        pass
    assert "python -m console sync" in words(opened(monkeypatch, tmp_path / "empty.db", "compare"))
    assert "python -m console sync" in words(opened(monkeypatch, tmp_path / "none.db", "compare"))


def test_the_page_shows_a_comparison_of_20000_targets(two_big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(monkeypatch, two_big, "compare", a=THEN, b=TODAY)
    assert "20,001 instances" in words(app)
    assert len(listed(app)) == frames.LIST_PAGE
