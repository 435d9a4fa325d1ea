# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two tenants in one database, one of which was last read days ago: each is judged as of its own last read."""

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
from console.collect.api.records import audit_row, policy_row
from console.record.opening import open_to_read
from console.record.read import attention, stuck
from console.record.read.freshness import STALE_OPEN_SECONDS, STALE_SECONDS, Freshness, TenantFreshness
from console.record.read.operation import operation
from console.record.read.operation_facts import instances_of_run
from console.record.read.operations import OperationFilter, operation_totals, operations
from console.record.read.policy import outside_window
from console.record.read.record_health import vitals
from console.record.rows import Cursor, RolloutRead
from console.record.write.store import open_store
from console.web.shared import cached
from tests.console.support.facts import dump
from tests.console.support.page import opened, words
from tests.console.support.recorded_runs import NOW as NOW_OF_RUNS
from tests.console.support.recorded_runs import put_run, report
from tests.console.support.seeded import TENANT, host_name, ident, iso, rollout_read, target

pytestmark = pytest.mark.usefixtures("environment")

DAY = 86400.0
NOW = float(int(time.time()))
OTHER = "https://ops.other.example"
_HOUR = int(NOW // 3600) % 24
CLOSED = {
    "maintenance_window_start_hour_utc": (_HOUR + 2) % 24,
    "maintenance_window_end_hour_utc": (_HOUR + 3) % 24,
}
RUNNING_NOW = OperationFilter(verdicts=("running",))
HERE, THERE, SLOW = ident(1, 0xA1), ident(2, 0xA2), ident(3, 0xA3)


def of_tenant(tenant: str, read: RolloutRead) -> RolloutRead:
    rows = [{**row, "tenant": tenant} for row in read.targets or []]
    return replace(read, rollout={**read.rollout, "tenant": tenant}, targets=rows)


def under_way(tenant: str, rollout_id: str, started: float, number: int) -> RolloutRead:
    one = target(number, rollout_id, "in_progress", started, started, None)
    waiting = target(number + 1, rollout_id, "queued", started, None, None)
    return of_tenant(tenant, rollout_read(rollout_id, [one, waiting], "in_progress", started, None))


def seed(path: Path, now: float, there_at: float) -> None:
    """TENANT was just read; OTHER at ``there_at``, when one rollout had run for a minute and another for 2 hours."""
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


def test_targets_of_a_tenant_that_was_not_read_are_reported_as_stale_and_not_as_stuck(two: Path) -> None:
    found = stuck.stuck(two, NOW)
    # Only targets that were stuck when their tenant was last read count, with the duration at that time.
    assert found[["rule", "host", "for_s"]].to_numpy().tolist() == [
        ["in progress", host_name(30), 7200],
        ["queued", host_name(31), 7200],
    ]
    items = attention.attention(two, NOW).to_dict("records")
    entries = [(i["status"], i["title"]) for i in items]
    assert ("unknown", f"{OTHER}: the API was last read 3 d ago") in entries
    assert [title for _status, title in entries if "progress" in title or "not started" in title] == [
        f"{host_name(30)}: in progress for 2 h",
        f"{host_name(31)}: due but not started for 2 h",
    ]
    assert not [title for _status, title in entries if TENANT in title]
    # After another read, durations count up to now.
    with open_store(two) as store:
        store.put_cursor(Cursor("api", OTHER, last_ok_at=NOW))
    titles = attention.attention(two, NOW)["title"].tolist()
    assert not [title for title in titles if "last read" in title]
    assert len(stuck.stuck(two, NOW)) == 4


def test_a_rollout_ran_until_its_tenant_was_last_read_and_is_lost_if_the_tenant_is_retired(two: Path) -> None:
    found, _total = operations(two, NOW, RUNNING_NOW)
    assert found.set_index("key")["seconds"].to_dict() == {HERE: 41, THERE: 50, SLOW: 7200}
    found = operation(two, SLOW, NOW)
    assert found is not None and found.instances["seconds"].tolist()[0] == 7200
    with sqlite3.connect(two) as conn:
        conn.executemany(
            "INSERT INTO instance_state (tenant, instance_id, health, checked_at) VALUES (?, ?, 'unhealthy', ?)",
            [(tenant, ident(number, 0xB0), NOW) for tenant, number in ((TENANT, 10), (OTHER, 20))],
        )
        # This is how a rollout that is no longer in the API is stored.
        conn.execute("UPDATE rollouts SET is_open = 0 WHERE rollout_id = ?", (HERE,))
    assert operations(two, NOW, RUNNING_NOW)[0]["key"].tolist() == [THERE, SLOW]
    assert main(["retire", OTHER, "--db", str(two)]) == 0
    assert operations(two, NOW, RUNNING_NOW)[1] == 0
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


def test_the_check_names_the_tenant_that_was_not_read(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = two.with_name("fleetops.prom")
    # The limits tolerate the seconds that pass until the check runs.
    arguments = ["check", "--format", "json", "--prometheus", str(file)]
    assert main(arguments) == 2
    checks = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert checks["sync-age"]["level"] == "critical"
    assert checks["sync-age"]["sentence"].startswith(f"Time since the API was last read: 3 d at {OTHER} (")
    at = re.search(r"^fleetops_console_api_read_timestamp_seconds (\S+)$", file.read_text(), re.MULTILINE)
    assert at and float(at[1]) == NOW - 3 * DAY
    assert checks["stuck"]["value"] == vitals(two, NOW).stuck == 2


def test_a_retired_tenant_needs_no_attention_until_it_is_read_again(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # So that TENANT was read recently, although other tests may run before this one.
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: NOW + 20)
    with open_store(two) as store:
        store.put_cursor(Cursor("health", f"{OTHER}|{ident(30)}", last_error="GET /v1/x answered 403"))
        store.put_policy(policy_row(OTHER, {**CLOSED, "max_parallel_rollouts": 5}, NOW - 2 * DAY))
    assert mentioned_of_other(two) == {OTHER, "GET /v1/x", host_name(21), host_name(30)}
    app = opened(monkeypatch, two, "record")
    assert states_of(app) == {TENANT: "current", OTHER: "stale"}
    command = next(code.value for code in app.code if " retire " in code.value)
    assert main(shlex.split(command)[3:]) == 0
    assert capsys.readouterr().out.startswith(f"{OTHER} is retired: its data is kept")
    assert main(shlex.split(command)[3:]) == 0
    assert "it was already retired" in capsys.readouterr().err
    assert mentioned_of_other(two) == set()
    found = vitals(two, time.time())
    assert (found.stuck, found.errors, found.api_tenant, found.oldest_open_at) == (0, 0, TENANT, NOW - 60)
    # Its data is shown as of its last sync, and its pages are not live.
    app = opened(monkeypatch, two, "rollout", id=THERE)
    assert "Took unknown" in words(app) and "3 d" in words(app)
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


def test_a_rollout_of_a_retired_tenant_is_lost_in_each_list_as_among_the_operations(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: NOW + 20)
    with open_store(two) as store:
        # The window was closed when THERE began.
        store.put_policy(policy_row(OTHER, {**CLOSED, "max_parallel_rollouts": 5}, NOW - 4 * DAY))
    assert main(["retire", OTHER]) == 0
    both = {HERE: "in_progress", THERE: "lost", SLOW: "lost"}
    for arguments, expected in (((), both), (("--status", "lost"), {THERE: "lost", SLOW: "lost"})):
        capsys.readouterr()
        assert main(["rollouts", "--format", "json", *arguments]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert {row["rollout_id"]: row["status"] for row in listed} == expected
    assert main(["rollouts", "--status", "soon"]) == 0
    assert "known statuses: in_progress, lost" in capsys.readouterr().err
    for query, head in (({}, "3 rollouts"), ({"rollouts_status": "lost"}, "2 rollouts")):
        shown = words(opened(monkeypatch, two, "rollouts", **query))
        assert head in shown and shown.count(" lost ") == 2
    assert set(outside_window(two, OTHER)["status"]) == {"lost"}


def test_what_failed_at_a_retired_tenant_needs_no_attention(two: Path) -> None:
    at = NOW - 3 * DAY
    bad = [
        target(40 + n, SLOW, word, at, at, at + 60, error_message="boom")
        for n, word in enumerate(("failed", "uncertain"))
    ]
    hosts = [host_name(40), host_name(41)]
    with open_store(two) as store:
        store.put_rollouts([of_tenant(OTHER, rollout_read(SLOW, bad, "partial", at, at + 60))])
    put_run(two, "run", NOW_OF_RUNS - at, hosts=hosts, status="failed", links=[("rollout", SLOW, "localhost")],
            reported=report("fail", failed=hosts[:1], uncertain=hosts[1:]))  # fmt: skip

    def mentioned() -> set[str]:
        text = " ".join([*attention.attention(two, NOW)["title"], *stuck.stuck(two, NOW)["host"]])
        return {host for host in hosts if host in text}

    found = vitals(two, NOW)
    assert (mentioned(), found.failed, found.uncertain) == ({*hosts}, 1, 1)
    assert main(["retire", OTHER]) == 0
    found = vitals(two, NOW)
    assert (mentioned(), found.failed, found.uncertain) == (set(), 0, 0)


@pytest.mark.parametrize("former", ["https://aaa.example", "https://zzz.example"])
def test_a_rollout_that_was_read_at_two_addresses_is_the_one_of_the_newer_read(
    former: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, at = tmp_path / "console.db", NOW - 3 * DAY
    done = [target(1, HERE, "succeeded", at, at, at + 90)]
    with open_store(path) as store:
        for tenant in (former, OTHER):
            store.put_tenant(tenant, at)
            store.put_cursor(Cursor("api", tenant, last_ok_at=at))
        store.put_rollouts([under_way(former, HERE, at, 1)])
        newer = of_tenant(OTHER, rollout_read(HERE, done, "completed", at, at + 90))
        store.put_rollouts([replace(newer, read_at=NOW)])
    assert main(["retire", former, "--db", str(path)]) == 0
    found = operation(path, HERE, NOW)
    assert found is not None and (found.row["tenant"], found.row["verdict"]) == (OTHER, "complete")
    assert "Succeeded 1 Failed 0" in words(opened(monkeypatch, path, "rollout", id=HERE))


def test_an_instance_that_was_read_at_two_addresses_has_recovered_at_the_newer_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, at = tmp_path / "console.db", NOW - DAY
    hosts = [host_name(1), host_name(2)]
    put_run(path, "run", NOW_OF_RUNS - at, hosts=hosts, status="failed", links=[("instance", ident(1, 0xB0), hosts[0])],
            reported=report("pass", failed=hosts))  # fmt: skip
    done = [target(n, HERE, "succeeded", at + 600, at + 600, at + 690) for n in (1, 2)]
    with open_store(path) as store:
        for tenant, read_at in (("https://former.example", at + 1000), (OTHER, at + 2000)):
            store.put_tenant(tenant, read_at)
            store.put_cursor(Cursor("api", tenant, last_ok_at=NOW))
            read = of_tenant(tenant, rollout_read(HERE, done, "completed", at + 600, at + 690))
            store.put_rollouts([replace(read, read_at=read_at)])
    assert attention.attention(path, NOW)["title"].tolist() == []


def test_only_the_same_api_can_have_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        for tenant, rollout_id in ((TENANT, HERE), (OTHER, ident(7, 0xA4))):
            store.put_tenant(tenant, NOW)
            store.put_rollouts([of_tenant(tenant, rollout_read(rollout_id, [], "completed", NOW, NOW))])
    before = dump(path)
    for new, why in (
        (OTHER, f"{TENANT} and {OTHER} have no rollout in common, so they are not the same API. Nothing was changed."),
        (TENANT, f"{TENANT} is not the address of an API that was read at another address than {TENANT}."),
        ("https://unread.example", "Run sync with the new address first. Nothing was changed."),
        ("unread", "--moved-to unread is no address of an API: "),
    ):
        assert main(["retire", TENANT, "--moved-to", new, "--db", str(path)]) == 2
        assert why in capsys.readouterr().err
    assert dump(path) == before


@pytest.mark.parametrize("pruned", [False, True])
def test_the_data_of_an_address_that_has_changed_becomes_that_of_the_new_one(pruned: bool, tmp_path: Path) -> None:
    former, moved, instance_id = tmp_path / "moved.db", tmp_path / "never-moved.db", ident(1, 0xB0)
    # The new address shows the rollouts and some of the events that the former one has shown.
    for path, first in ((former, TENANT), (moved, OTHER)):
        with open_store(path) as store:
            for tenant, numbers, at in ((first, range(200), NOW - DAY), (OTHER, range(150, 400), NOW)):
                store.put_tenant(tenant, at)
                store.put_cursor(Cursor("api", tenant, last_ok_at=at))
                events = [
                    {"id": f"e{n}", "event_ts": iso(NOW + (n - 480) * 7200), "source": f"{n % 3}", "outcome": "success"}
                    for n in numbers
                ]
                rows_of_audit = [audit_row(tenant, instance_id, event) for event in events]
                store.put_audit(rows_of_audit, None, Cursor("audit", f"{tenant}|{instance_id}", last_ok_at=at))
                for n in {number // 50 for number in numbers}:
                    one = target(n, ident(n, 0xA4), "failed", NOW - n, NOW, NOW + 1, error_message="boom")
                    read = of_tenant(tenant, rollout_read(ident(n, 0xA4), [one], "failed", NOW - n, NOW + 1))
                    store.put_rollouts([replace(read, read_at=at)])
    assert not pruned or main(["prune", "--yes", "--audit", "3", "--db", str(former)]) == 0
    assert main(["retire", OTHER, "--db", str(moved)]) == 0
    assert main(["retire", TENANT, "--moved-to", f"{OTHER.upper()}/", "--db", str(former)]) == 0
    seen = {"first_seen", "updated_at"}
    leave_out = {"rollouts": seen, "rollout_targets": seen, "instances": seen, "tenants": seen}
    found, expected = (dump(path, leave_out=leave_out) for path in (former, moved))
    for table in ("upkeep", *(("audit_events", "audit_floors") if pruned else ())):
        assert found.pop(table) != expected.pop(table)
    assert found == expected


@pytest.mark.parametrize("newest", [1, 2, 3])
def test_a_host_is_the_newest_instance_of_that_name(newest: int, two: Path) -> None:
    put_run(two, "run", 0, hosts=["agent"])
    with open_store(two) as store:
        for number in (1, 2, 3):
            one = target(number, SLOW, "succeeded", NOW, NOW, NOW + 1, instance_hostname="agent")
            read = of_tenant(OTHER, rollout_read(ident(number, 0xA4), [one], "completed", NOW, NOW + 1))
            store.put_rollouts([replace(read, read_at=NOW + (number == newest))])
    with open_to_read(two) as conn:
        assert instances_of_run(conn, "run", ["agent"]) == {"agent": (OTHER, ident(newest, 0xB0))}


def states_of(app: AppTest) -> dict[str, str]:
    """The state of each tenant in the table of the Record page."""
    return dict(app.dataframe[1].value[["address of the API", "state"]].to_numpy())


def mentioned_of_other(path: Path) -> set[str]:
    """The items of OTHER that attention or the check mention."""
    items = attention.attention(path, NOW).to_dict("records")
    text = " ".join([*(f"{i['title']} {i['detail']}" for i in items), *stuck.stuck(path, NOW)["host"]])
    return {word for word in (OTHER, "GET /v1/x", host_name(20), host_name(21), host_name(30)) if word in text}


def test_a_tenant_can_be_retired_with_any_spelling_of_its_address(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retire", f"{OTHER.upper()}:443/v1/instances/"]) == 0
    assert main(["retire", OTHER]) == 0
    assert "it was already retired" in capsys.readouterr().err


def test_an_unknown_tenant_cannot_be_retired(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retire", "https://nobody.example"]) == 2
    printed = capsys.readouterr().err
    assert f"https://nobody.example is not a tenant of {two}" in printed
    assert TENANT in printed and OTHER in printed


def test_each_page_shows_the_age_of_its_data(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that TENANT was read recently, although other tests may run before this one.
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: NOW + 20)
    shown = words(opened(monkeypatch, two, "overview"))
    assert re.search(r"API data as of [-0-9: ]+ UTC \(3 d( \d+ h)? ago, the oldest of 2 tenants\)", shown)
    assert f"{OTHER}: the API was last read 3 d ago" in shown
    assert shown.count("Last 24 hours, all tenants") == 1
    listed = words(opened(monkeypatch, two, "rollouts"))
    assert " 50 s " in listed and " 2 h 00 min " in listed
    app = opened(monkeypatch, two, "rollout", id=THERE)
    shown = words(app)
    assert re.search(r"API data as of [-0-9: ]+ UTC \(3 d( \d+ h)? ago\)", shown)
    assert "Running for 50 s" in shown
    assert not [badge.value for badge in app.markdown if "live" in badge.value]
    app = opened(monkeypatch, two, "rollout", id=HERE)
    shown = words(app)
    assert [badge.value for badge in app.markdown if "live" in badge.value]
    assert not re.search(r"\(3 d|tenants", shown) and "API data as of" in shown
    assert re.search(r"Running for \d\d s", shown)
    app = opened(monkeypatch, two, "instance", id=ident(20, 0xB0))
    shown = words(app)
    assert re.search(r"API data as of [-0-9: ]+ UTC \(3 d( \d+ h)? ago\)", shown)
    assert not app.exception
    assert re.search(r"in progress [-0-9: ]+ 50 s", shown)


AGES = st.one_of(st.none(), st.floats(0, 5 * DAY))


@given(st.lists(st.tuples(AGES, st.booleans()), max_size=6), st.booleans())
def test_no_stale_or_busy_tenant_was_read_before_the_reported_one(
    tenants: list[tuple[float | None, bool]], running: bool
) -> None:
    tenants_read = [
        TenantFreshness(f"t{n}", None if age is None else NOW - age, busy) for n, (age, busy) in enumerate(tenants)
    ]
    fresh = Freshness(tuple(tenants_read), None, (), running, None)
    read = [tenant for tenant in tenants_read if tenant.at is not None]
    behind, stale = fresh.behind(NOW), fresh.stale(NOW)
    assert (behind is None) == (not read)
    # No tenant with open work or unread for a day was read before the reported tenant.
    for tenant in read:
        if tenant.open_work or NOW - tenant.at > STALE_SECONDS:
            assert behind.at <= tenant.at
            assert (tenant in stale) == (
                NOW - tenant.at > (STALE_OPEN_SECONDS if tenant.open_work else STALE_SECONDS)
            ) or (running and tenant.at == max(one.at for one in read))
        assert fresh.as_of(NOW, tenant.tenant) == tenant.at
    if len(read) == 1:
        assert behind is read[0]
