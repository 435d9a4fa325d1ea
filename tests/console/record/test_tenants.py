# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two tenants in one database, of which one was last read days ago: each is judged by its own tenant's clock."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from console.__main__ import main
from console.collect.api.records import policy_row
from console.record.read import attention, stuck
from console.record.read.freshness import STALE_OPEN_SECONDS, STALE_SECONDS, Freshness, TenantFreshness
from console.record.read.operation import operation
from console.record.read.operations import OperationFilter, operation_totals, operations, running
from console.record.read.record_health import vitals
from console.record.rows import Cursor, RolloutRead
from console.record.write.store import open_store
from console.web.shared import cached
from tests.console.support.seeded import TENANT, host_name, ident, rollout_read, target
from tests.console.web.test_pages import opened, words

pytestmark = pytest.mark.usefixtures("environment")

DAY = 86400.0
NOW = float(int(time.time()))
OTHER = "https://ops.other.example"
_HOUR = int(NOW // 3600) % 24
CLOSED = {
    "maintenance_window_start_hour_utc": (_HOUR + 2) % 24,
    "maintenance_window_end_hour_utc": (_HOUR + 3) % 24,
}
HERE, THERE, SLOW = ident(1, 0xA1), ident(2, 0xA2), ident(3, 0xA3)


def of_tenant(tenant: str, read: RolloutRead) -> RolloutRead:
    rows = [{**row, "tenant": tenant} for row in read.targets or []]
    return replace(read, rollout={**read.rollout, "tenant": tenant}, targets=rows)


def under_way(tenant: str, rollout_id: str, started: float, number: int) -> RolloutRead:
    one = target(number, rollout_id, "in_progress", started, started, None)
    waiting = target(number + 1, rollout_id, "queued", started, None, None)
    return of_tenant(tenant, rollout_read(rollout_id, [one, waiting], "in_progress", started, None))


def seed(path: Path, now: float, there_at: float) -> None:
    """TENANT was read just now; OTHER at ``there_at``, when a rollout had run for a minute and another for 2 hours."""
    with open_store(path) as store:
        for tenant, at in ((TENANT, now - 19), (OTHER, there_at)):
            store.put_tenant(tenant, at)
            store.put_cursor(Cursor("api", tenant, last_ok_at=at))
            store.put_policy(policy_row(tenant, {"max_parallel_rollouts": 5}, at))
        store.put_rollouts(
            [
                under_way(TENANT, HERE, now - 60, 10),
                under_way(OTHER, THERE, there_at - 50, 20),
                under_way(OTHER, SLOW, there_at - 7200, 30),
            ]
        )


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "console.db"
    seed(path, NOW, NOW - 3 * DAY)
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
    return path


def test_what_nobody_looked_at_is_not_stuck_but_stale_and_its_tenant_is_named(two: Path) -> None:
    found = stuck.stuck(two, NOW)
    # Stuck was only what had stood still when its own tenant was looked at, and for as long as it had then.
    assert found[["rule", "host", "for_s"]].to_numpy().tolist() == [
        ["in progress", host_name(30), 7200],
        ["queued", host_name(31), 7200],
    ]
    items = attention.attention(two, NOW).to_dict("records")
    said = [(i["status"], i["title"]) for i in items]
    assert ("unknown", f"{OTHER}: the API was last read 3 d ago") in said
    assert [title for _status, title in said if "progress" in title or "not started" in title] == [
        f"{host_name(30)}: in progress for 2 h",
        f"{host_name(31)}: due and not started for 2 h",
    ]
    assert not [title for _status, title in said if TENANT in title]
    # Read again, everything there is as old as it is.
    with open_store(two) as store:
        store.put_cursor(Cursor("api", OTHER, last_ok_at=NOW))
    titles = attention.attention(two, NOW)["title"].tolist()
    assert not [title for title in titles if "last read" in title]
    assert len(stuck.stuck(two, NOW)) == 4


def test_a_rollout_has_run_until_its_tenant_was_last_read_and_one_that_is_read_no_more_is_lost(two: Path) -> None:
    assert running(two, NOW).set_index("key")["seconds"].to_dict() == {HERE: 41, THERE: 50, SLOW: 7200}
    found = operation(two, SLOW, NOW)
    assert found is not None and found.instances["seconds"].tolist()[0] == 7200
    with sqlite3.connect(two) as conn:
        conn.executemany(
            "INSERT INTO instance_state (tenant, instance_id, health, checked_at) VALUES (?, ?, 'unhealthy', ?)",
            [(tenant, ident(number, 0xB0), NOW) for tenant, number in ((TENANT, 10), (OTHER, 20))],
        )
        # A rollout that is gone from the API is stored so.
        conn.execute("UPDATE rollouts SET is_open = 0 WHERE rollout_id = ?", (HERE,))
    assert running(two, NOW)["key"].tolist() == [THERE, SLOW]
    assert main(["retire", OTHER, "--db", str(two)]) == 0
    assert len(running(two, NOW)) == 0
    assert not sum(totals.running for totals in operation_totals(two).values())
    frame, total = operations(two, NOW, OperationFilter(verdicts=("lost",)))
    assert total == 3
    assert frame[["running", "waiting", "uncertain"]].to_numpy().tolist() == [[0, 0, 2]] * 3
    assert set(frame["sentence"]) == {"Lost: how it ended is unknown. 2 uncertain."}
    found = operation(two, SLOW, NOW)
    assert found is not None and found.instances["category"].tolist() == ["uncertain"] * 2
    assert operations(two, NOW, OperationFilter(since=NOW - DAY))[0]["key"].tolist() == [HERE]
    titles = attention.attention(two, NOW)["title"].tolist()
    assert f"{host_name(10)} is unhealthy" in titles
    assert not [title for title in titles if host_name(20) in title]


def test_check_names_the_tenant_that_is_behind(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = two.with_name("fleetops.prom")
    # The limits leave some seconds that pass until the check looks.
    arguments = ["check", "--format", "json", "--prometheus", str(file)]
    assert main(arguments) == 2
    told = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert told["sync-age"]["level"] == "critical"
    assert told["sync-age"]["sentence"].startswith(f"Time since the API was last read: 3 d at {OTHER} (")
    at = re.search(r"^fleetops_console_api_read_timestamp_seconds (\S+)$", file.read_text(), re.MULTILINE)
    assert at and float(at[1]) == NOW - 3 * DAY
    assert told["stuck"]["value"] == vitals(two, NOW).stuck == 2


def test_nothing_waits_for_a_retired_tenant_until_it_is_read_again(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # TENANT was read lately, and other tests may come before this one.
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: NOW + 20)
    with open_store(two) as store:
        store.put_cursor(Cursor("health", f"{OTHER}|{ident(30)}", last_error="GET /v1/x answered 403"))
        store.put_policy(policy_row(OTHER, {**CLOSED, "max_parallel_rollouts": 5}, NOW - 2 * DAY))
    assert said_of_other(two) == {OTHER, "GET /v1/x", host_name(21), host_name(30)}
    app = opened(monkeypatch, two, "record")
    assert dict(app.dataframe[1].value[["address of the API", "state"]].to_numpy()) == {
        TENANT: "followed",
        OTHER: "stale",
    }
    command = next(code.value for code in app.code if " retire " in code.value)
    assert main(shlex.split(command)[3:]) == 0
    assert capsys.readouterr().out.startswith(f"{OTHER} is retired: its data is kept")
    assert main(shlex.split(command)[3:]) == 0
    assert "it was already retired" in capsys.readouterr().err
    assert said_of_other(two) == set()
    found = vitals(two, time.time())
    assert (found.stuck, found.errors, found.api_tenant, found.oldest_open_at) == (0, 0, TENANT, NOW - 60)
    # What is known of it is shown, as of its last sync, and its pages wait for nothing.
    app = opened(monkeypatch, two, "rollout", id=THERE)
    assert "Running for 50 s" in words(app) and "3 d" in words(app)
    assert not cached.is_open(THERE)
    assert cached.is_open(HERE)
    with sqlite3.connect(two) as conn:
        conn.executemany(
            "INSERT INTO run_links (run_id, kind, ref) VALUES (?, 'rollout', ?)", [("over", THERE), ("on", HERE)]
        )
    assert (cached.is_open("over"), cached.is_open("on")) == (False, True)
    assert "oldest of" not in words(opened(monkeypatch, two, "overview"))
    app = opened(monkeypatch, two, "record")
    assert states_of(app)[OTHER].startswith("retired 20")
    with open_store(two) as store:
        store.put_cursor(Cursor("api", OTHER, last_ok_at=time.time() + 1))
    assert len(stuck.stuck(two, NOW)) > 0


def states_of(app: AppTest) -> dict[str, str]:
    """The state of each tenant in the table of the page Record."""
    return dict(app.dataframe[1].value[["address of the API", "state"]].to_numpy())


def said_of_other(path: Path) -> set[str]:
    """Which of these words attention and check say."""
    items = attention.attention(path, NOW).to_dict("records")
    said = " ".join([*(f"{i['title']} {i['detail']}" for i in items), *stuck.stuck(path, NOW)["host"]])
    return {word for word in (OTHER, "GET /v1/x", host_name(20), host_name(21), host_name(30)) if word in said}


def test_a_tenant_that_is_none_cannot_be_retired(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retire", "https://nobody.example"]) == 2
    said = capsys.readouterr().err
    assert f"https://nobody.example is not a tenant of {two}" in said
    assert TENANT in said and OTHER in said


def test_each_page_says_the_time_of_what_it_shows(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is live was read lately, and other tests may come before this one.
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: NOW + 20)
    said = words(opened(monkeypatch, two, "overview"))
    assert re.search(r"API data as of [-0-9: ]+ UTC \(3 d( \d+ h)? ago, the oldest of 2 tenants\)", said)
    assert f"{OTHER}: the API was last read 3 d ago" in said
    assert said.count("Last 24 hours, all tenants") == 2
    app = opened(monkeypatch, two, "rollouts")
    listed = words(app)
    assert " 50 s " in listed and " 2 h 00 min " in listed
    app = opened(monkeypatch, two, "rollout", id=THERE)
    said = words(app)
    assert re.search(r"API data as of [-0-9: ]+ UTC \(3 d( \d+ h)? ago\)", said)
    assert "Running for 50 s" in said
    assert not [badge.value for badge in app.markdown if "live" in badge.value]
    app = opened(monkeypatch, two, "rollout", id=HERE)
    said = words(app)
    assert [badge.value for badge in app.markdown if "live" in badge.value]
    assert not re.search(r"\(3 d|tenants", said) and "API data as of" in said
    assert re.search(r"Running for \d\d s", said)
    app = opened(monkeypatch, two, "instance", id=ident(20, 0xB0))
    said = words(app)
    assert re.search(r"API data as of [-0-9: ]+ UTC \(3 d( \d+ h)? ago\)", said)
    assert not app.exception
    assert re.search(r"in progress [-0-9: ]+ 50 s", said)


AGES = st.one_of(st.none(), st.floats(0, 5 * DAY))


@given(st.lists(st.tuples(AGES, st.booleans()), max_size=6), st.booleans())
def test_who_is_behind(tenants: list[tuple[float | None, bool]], running: bool) -> None:
    looks = [
        TenantFreshness(f"t{n}", None if age is None else NOW - age, busy) for n, (age, busy) in enumerate(tenants)
    ]
    fresh = Freshness(tuple(looks), None, (), running, None)
    read = [look for look in looks if look.at is not None]
    behind, stale = fresh.behind(NOW), fresh.stale(NOW)
    assert (behind is None) == (not read)
    # Nobody with open work, and nobody unread for a day, was read before the one that is named.
    for look in read:
        if look.open_work or NOW - look.at > STALE_SECONDS:
            assert behind.at <= look.at
            assert (look in stale) == (NOW - look.at > (STALE_OPEN_SECONDS if look.open_work else STALE_SECONDS)) or (
                running and look.at == max(one.at for one in read)
            )
        assert fresh.as_of(NOW, look.tenant) == look.at
    if len(read) == 1:
        assert behind is read[0]
