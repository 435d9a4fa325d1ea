# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each number in the strip of a fleet is a link to a list with as many entries."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from console.__main__ import main
from console.collect.api.records import health_rows, memory_rows, policy_row, update_rows
from console.record.rows import Cursor
from console.record.write.instances import put_gone
from console.record.write.store import open_store
from tests.console.support.page import opened, words
from tests.console.support.recorded_runs import NOW as NOW_OF_RUNS
from tests.console.support.recorded_runs import put_run, report
from tests.console.support.seeded import TENANT, host_name, ident, iso, rollout_read, target

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))
OTHER = "https://ops.other.example"
LINK = re.compile(r'<a class="fo-link" href="\./(instances|operations|policy)(?:\?([^"]*))?"[^>]*>([0-9][^<]*)</a>')


def updates(current: str, available: str, *, slug: str | None = None, skill: str = "1") -> dict[str, Any]:
    return {
        "runtime": {"slug": slug, "current_version": current, "available_version": available},
        "skills": [{"slug": "calendar", "current_version": "1", "available_version": skill}],
    }


def put_fleet(path: Path, tenant: str, number: int, *records: dict[str, Any]) -> None:
    """A fleet with one instance for each record of available updates, one that is gone, and one that was not read."""
    began, rollout_id = NOW - 9000, ident(number, 0x7700)
    hosts = range(number * 10, number * 10 + len(records) + 2)
    targets = [target(n, rollout_id, "succeeded", began, began, began + 9) for n in hosts]
    read = rollout_read(rollout_id, targets, "completed", began, began + 9)
    rows = [{**row, "tenant": tenant} for row in read.targets or []]
    with open_store(path) as store:
        store.put_tenant(tenant, NOW)
        store.put_cursor(Cursor("api", tenant, last_ok_at=NOW))
        store.put_policy(policy_row(tenant, {"max_parallel_rollouts": number}, NOW - 900))
        store.put_rollouts([replace(read, rollout={**read.rollout, "tenant": tenant}, targets=rows)])
        for place, (n, record) in enumerate(zip(hosts, records, strict=False)):
            # The records are read one after the other.
            key, at = (tenant, ident(n, 0xB0)), NOW - 100 + place
            health = {"status": "healthy" if place else "degraded", "checked_at": iso(at)}
            store.put_instance(update_rows(*key, record, at), Cursor("updates", "|".join(key), last_ok_at=at))
            store.put_instance(health_rows(*key, health, at), Cursor("health", "|".join(key), last_ok_at=at))
        put_gone(store, tenant, ident(hosts[-2], 0xB0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two tenants, and operations with each status. The first two instances of TENANT were read before the version
    2.5.0 was published."""
    path, hosts = tmp_path / "console.db", [host_name(n) for n in range(3)]
    old = updates("2.4.0", "2.4.0")
    put_fleet(path, TENANT, 3, old, old, updates("2.4.0", "2.5.0"), updates("2.5.0", "2.5.0", skill="2"))
    put_fleet(path, OTHER, 5, updates("2.4.0", "2.4.0"), updates("2.4.0", "2.4.0", skill="2"))
    ago = NOW_OF_RUNS - NOW
    for place, (failed, verdict) in enumerate([((), "pass"), ((), "pass"), (hosts[:1], "pass"), (hosts[:1], "fail")]):
        reported = report(verdict, updated=hosts[1:], failed=failed)
        put_run(path, f"run-{place}", ago + 900 - place, hosts=hosts, reported=reported,
                status="failed" if failed else "successful")  # fmt: skip
    put_run(path, "lost", ago + 800, hosts=hosts, status="lost")
    return path


def test_each_number_opens_a_list_with_as_many_entries(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for page in ("overview", "instances"):
        strips = [str(part.value) for part in opened(monkeypatch, path, page).get("html") if "fo-strip" in part.value]
        for target_page, query, label in LINK.findall("".join(strips)):
            text = words(opened(monkeypatch, path, target_page, **dict(parse_qsl(unescape(query)))))
            number = int(label.partition(" ")[0])
            if target_page == "policy":
                assert f"Parallel rollouts, maximum {re.findall('[0-9]+', label)[-1]}" in text, label
            else:
                shown = re.search(r"^([0-9]+) (of [0-9]+ instances|operations?, newest first)$", text, re.MULTILINE)
                assert shown is not None and int(shown[1]) == number, (label, query)
            seen.append(label)
    assert {"3 behind the published version", "1 runtime", "1 skills", "1 degraded", "1 not read", "4 complete",
            "1 complete with failures", "1 stopped", "1 lost", "7 operations"} <= set(seen)  # fmt: skip


def test_an_instance_that_is_gone_is_not_one_that_was_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "console.db"
    put_fleet(path, TENANT, 3, updates("2.5.0", "2.5.0"))
    unread = "Some data has not been read for every instance"
    assert unread in [part.label for part in opened(monkeypatch, path, "instances").expander]
    health, memories = {"status": "healthy", "checked_at": iso(NOW)}, {"memories": [], "count": 1}
    with open_store(path) as store:
        for n in (30, 32):
            key = TENANT, ident(n, 0xB0)
            read = update_rows(*key, updates("2.5.0", "2.5.0"), NOW), memory_rows(*key, memories)
            for rows in (*read, health_rows(*key, health, NOW)):
                store.put_instance(rows, Cursor("details", "|".join(key), last_ok_at=NOW))
    assert unread not in [part.label for part in opened(monkeypatch, path, "instances").expander]


@pytest.mark.parametrize("second", [0, 25, 59])
def test_the_operations_of_the_last_day_are_those_of_the_list_at_any_second(
    second: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, minute = tmp_path / "console.db", NOW // 60 * 60
    put_fleet(path, TENANT, 3, updates("2.5.0", "2.5.0"))
    for place in range(0, 60, 10):
        # Each ended a day before a time of this minute.
        put_run(path, f"run-{place}", NOW_OF_RUNS - minute + 86400 - place + 60, hosts=[host_name(0)])
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: minute + second)
    app = opened(monkeypatch, path, "overview")
    strips = "".join(str(part.value) for part in app.get("html") if "fo-strip" in part.value)
    label, query = next((label, query) for page, query, label in LINK.findall(strips) if page == "operations")
    listed = words(opened(monkeypatch, path, "operations", **dict(parse_qsl(unescape(query)))))
    assert f"{label}, newest first" in listed


def test_an_instance_of_a_retired_tenant_is_not_one_that_was_not_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memories = {"memories": [], "count": 1}
    with open_store(path) as store:
        for n in (30, 31, 32, 33, 35):
            rows = memory_rows(TENANT, ident(n, 0xB0), memories)
            store.put_instance(rows, Cursor("memory", f"{TENANT}|{ident(n, 0xB0)}", last_ok_at=NOW))
        rows = update_rows(TENANT, ident(35, 0xB0), updates("2.5.0", "2.5.0"), NOW)
        store.put_instance(rows, Cursor("updates", f"{TENANT}|{ident(35, 0xB0)}", last_ok_at=NOW))
        rows = health_rows(TENANT, ident(35, 0xB0), {"status": "healthy", "checked_at": iso(NOW)}, NOW)
        store.put_instance(rows, Cursor("health", f"{TENANT}|{ident(35, 0xB0)}", last_ok_at=NOW))
    unread = "Some data has not been read for every instance"
    assert unread in [part.label for part in opened(monkeypatch, path, "instances").expander]
    assert main(["retire", OTHER, "--db", str(path)]) == 0
    assert unread not in [part.label for part in opened(monkeypatch, path, "instances").expander]
