# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The queries of the pages: rows and order, use of indexes, and databases that are read-only."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from console.collect.api.records import health_rows
from console.record import opening
from console.record.read import attention, audit, fleet, frames, freshness, operation, operations, rollouts, runs
from console.record.read.operation import whole_id
from console.record.rows import Cursor, RunRows
from console.record.write.store import open_store
from tests.console.support.seeded import (
    FLEET,
    LOST,
    OPEN,
    REASON,
    RUN,
    TENANT,
    fleet_rollout,
    host_name,
    ident,
    iso,
    rollout_read,
    seed_small,
    target,
)

NOW = float(int(time.time()))
CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queries")
    seed_small(folder / "console.db", folder / "runs", NOW)
    return folder / "console.db"


def test_rollouts_are_filtered_and_have_their_host_and_run(database: Path) -> None:
    everything, total = rollouts.rollouts(database)
    assert total == len(everything) == 14
    assert list(everything["created_at"]) == sorted(everything["created_at"], reverse=True)
    fleet, count = rollouts.rollouts(database, scope="fleet")
    assert count == 2 and set(fleet["rollout_id"]) == {FLEET, OPEN}
    found, count = rollouts.rollouts(database, ["failed"], search=host_name(11))
    assert count == 1
    assert (found["host"][0], found["run_id"][0]) == (host_name(11), RUN)
    # The wildcards of LIKE are matched literally.
    assert rollouts.rollouts(database, search="agent_000")[1] == 0
    assert rollouts.rollouts(database, search="%")[1] == 0


def test_the_pages_of_targets_contain_each_target_once(database: Path) -> None:
    seen: list[str] = []
    for page in range(1, 6):
        part, total = rollouts.target_page(database, TENANT, FLEET, rollouts.TargetFilter(), NOW, page, size=5)
        assert total == 24
        seen += part["target_id"].tolist()
    assert len(seen) == len(set(seen)) == 24
    assert not len(rollouts.target_page(database, TENANT, FLEET, rollouts.TargetFilter(), NOW, 6, size=5)[0])


def test_problems_come_first_and_an_invalid_time_is_kept_as_text(database: Path) -> None:
    page, _dummy = rollouts.target_page(database, TENANT, OPEN, rollouts.TargetFilter(), NOW)
    order = list(dict.fromkeys(page["status"]))
    assert order == ["uncertain", "in_progress", "queued", "succeeded"]
    odd = page[page["host"] == host_name(2)].iloc[0]
    assert odd["unread"] == "yesterday, about noon"
    assert odd["started_at"] != odd["started_at"]
    running = page[page["status"] == "in_progress"].iloc[0]
    assert running["took_s"] == pytest.approx(NOW - running["started_at"])


def test_a_time_window_selects_the_targets_that_ran_in_it(database: Path) -> None:
    everything = rollouts.targets_of(database, TENANT, OPEN)
    started = everything["started_at"].dropna()
    first = float(started.max())
    wanted = rollouts.TargetFilter(window=(first, NOW))
    page, total = rollouts.target_page(database, TENANT, OPEN, wanted, NOW)
    ends = everything["completed_at"].fillna(NOW).where(everything["is_open"] == 1, everything["completed_at"])
    expected = everything[(everything["started_at"] <= NOW) & (ends >= first)]
    assert set(page["target_id"]) == set(expected["target_id"])
    assert total == len(expected) > 0


@pytest.mark.parametrize("sort", rollouts.TARGET_SORTS)
def test_each_sort_option_orders_the_targets_accordingly(sort: str, database: Path) -> None:
    page, _dummy = rollouts.target_page(database, TENANT, FLEET, rollouts.TargetFilter(sort=sort), NOW)
    key = {
        "Problems first": (page["status"] != "failed").tolist(),
        "Start": page["started_at"].tolist(),
        "Slowest first": (-page["took_s"]).tolist(),
        "Host": page["host"].tolist(),
    }[sort]
    assert key == sorted(key)


def test_a_run_has_its_batches_results_failures_and_rollouts(database: Path) -> None:
    batches = runs.batches(database, RUN)
    assert batches["batch"].tolist() == [1, 2, 3, 4]
    assert batches["failed"].tolist() == [0, 0, 0, 1]
    assert batches["host_names"][0] == ", ".join(host_name(n) for n in range(3))
    results, total = runs.results(database, RUN)
    assert total == 23
    assert results["status"].tolist()[0] == "failed" and results["host"][0] == host_name(11)
    assert results["counter"].tolist()[1:] == sorted(results["counter"].tolist()[1:])
    last = int(batches["counter"].iloc[-1])
    assert runs.results(database, RUN, play=last)[1] == 5
    assert runs.failed_results(database, RUN)["task"].tolist() == ["Redeploy the runtime"]
    assert len(rollouts.targets_of_run(database, RUN)) == len(rollouts.rollouts_of_run(database, RUN)) == 12
    linked = rollouts.runs_of_rollout(database, rollouts.rollouts_of_run(database, RUN)["rollout_id"][0])
    assert linked["run_id"].tolist() == [RUN]
    assert runs.recap(database, RUN)["host"][0] == host_name(11)
    assert runs.in_flight(database, LOST)["task"].tolist() == ["Reboot the instance"]


def test_audit_counts_add_up_to_the_number_of_stored_events(database: Path) -> None:
    covered, count = audit.audit_coverage(database)
    # The least complete instance comes first. The other 20 instances have no audit data.
    assert (count, covered["total"].tolist()[0]) == (4, 420)
    assert covered["ours"].tolist() == [300, 300, 300, 300]
    assert sorted(covered["total"]) == [300, 300, 300, 420]
    for by in audit.AUDIT_DIMENSIONS:
        assert audit.audit_over_time(database, by, audit.AuditSpan())["events"].sum() == 1200
    one = audit.audit_over_time(database, "source", audit.AuditSpan(instance_id=ident(0, 0xB0)))
    assert one["events"].sum() == 300
    today = audit.audit_over_time(database, "source", audit.span_of(1, "day", NOW))
    assert set(today["bucket"]) <= {time.strftime("%Y-%m-%d", time.gmtime(NOW))}


def titles(path: Path, now: float = NOW) -> list[str]:
    return attention.attention(path, now)["title"].tolist()


def test_all_reads_of_a_connection_see_the_same_state(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    seed_small(path, tmp_path / "runs", NOW)
    with frames.reading(path) as conn:
        _frame, before = runs.runs(conn)
        with sqlite3.connect(path) as other:
            other.execute("DELETE FROM runs")
        assert (runs.runs(conn)[1], runs.runs(path)[1]) == (before, 0)


@pytest.mark.parametrize(
    ("heartbeat", "problem"),
    [(None, "2 events of this run could not be read"), (NOW - 2, "2 events of this run could not be read"),
     (NOW - 700, "running, but without events for 700 s")],
    # Without the times, which differ between the processes of a test run.
    ids=["never", "2 s ago", "700 s ago"],
)  # fmt: skip
def test_a_run_in_progress_needs_attention_if_it_lost_events_or_sends_none(
    tmp_path: Path, heartbeat: float | None, problem: str
) -> None:
    path = tmp_path / "console.db"
    row = {"run_id": "r", "source": "callback", "playbook": "reboot.yml", "status": "running", "started_at": NOW - 900,
           "heartbeat_at": heartbeat, "dropped_events": 2}  # fmt: skip
    with open_store(path) as store:
        store.put_run(RunRows(row), Cursor("spool", "f", position=1, last_ok_at=NOW), after=None)
    assert attention.attention(path, NOW)["title"].tolist() == [f"reboot: {problem.replace('700 s', '12 min')}"]


def test_attention_lists_problems_and_drops_those_that_were_resolved(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    one, created = ident(1, 0xAA), NOW - 4000
    bad = target(5, one, "failed", created, created + 1, created + 60, error_message=REASON)
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
        store.put_rollouts([rollout_read(one, [bad], "failed", created, created + 60)])
    assert titles(path) == [f"{host_name(5)} failed"]
    assert attention.attention(path, NOW)["detail"].tolist() == [REASON]
    # The same instance succeeds later, so nothing needs attention.
    two = ident(2, 0xAB)
    good = target(5, two, "succeeded", created + 100, created + 101, created + 160)
    with open_store(path) as store:
        store.put_rollouts([rollout_read(two, [good], "completed", created + 100, created + 160)])
    assert titles(path) == []
    # A target has been in progress for over an hour, while 59 s is usual.
    three = ident(3, 0xAC)
    stuck = target(6, three, "in_progress", created, created + 5, None)
    with open_store(path) as store:
        store.put_rollouts([rollout_read(three, [stuck], "in_progress", created, None)])
    assert titles(path) == [f"{host_name(6)}: in progress for 67 min"]
    # The API was not read for a day while a target was in progress. An error is shown unchanged.
    with open_store(path) as store:
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW, last_error="GET /v1/x answered 403"))
    found = attention.attention(path, NOW + 86400)
    assert "The API was last read 24 h ago" in found["title"].tolist()
    assert "GET /v1/x answered 403" in found["detail"].tolist()
    with open_store(path) as store:
        store.put_cursor(Cursor("spool", "", last_ok_at=NOW))
    read = attention.attention(path, NOW + 86400)["title"].tolist()
    assert not [title for title in read if title.startswith("Run logs")]
    found = attention.attention(path, NOW + 86401)
    assert found["title"].tolist()[-3:-1] == ["The API was last read 24 h ago", "Run logs have not been read for 24 h"]
    # A run is in progress, so its run log should be read.
    run = {"run_id": "r1", "source": "callback", "status": "running", "playbook": "x.yml", "started_at": NOW - 5}
    with open_store(path) as store:
        store.put_run(RunRows(run={**run, "heartbeat_at": NOW}), Cursor("spool", "r1", position=1), after=None)
    assert "Run logs have not been read for 10 min" in titles(path, NOW + 601)
    assert "Run logs have not been read for 10 min" not in titles(path, NOW + 600)
    # Stale data comes before errors, of which there may be many, because a page hides the last entries.
    assert found["status"].tolist()[-2:] == ["unknown", "error"]


def test_a_lost_run_is_listed_by_the_instance_that_failed_in_it(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    run = {"run_id": "r1", "source": "callback", "status": "lost", "playbook": "reboot.yml", "started_at": NOW - 90}
    failed = {"run_id": "r1", "counter": 1, "host": "a", "kind": "result", "status": "failed", "msg": "no route"}
    with open_store(path) as store:
        store.put_run(RunRows(run, results=[failed]), Cursor("spool", "f", position=1), after=None)
    (found,) = attention.attention(path, NOW).itertuples()
    assert (found.status, found.title, found.detail) == ("failed", "a failed", "no route")
    assert (found.page, found.id, found.hosts) == ("run", "r1", ("a",))


def test_a_failed_run_and_the_target_that_failed_in_it_are_one_entry(database: Path) -> None:
    found = attention.attention(database, NOW)
    (entry,) = [row for row in found.itertuples() if host_name(11) in row.hosts]
    # The message of the server, which the failed task repeats.
    assert (entry.status, entry.detail, entry.instances, entry.operations) == ("failed", REASON, 1, 1)
    assert not found["title"].str.contains("rolling_redeploy").any()


def test_unhealthy_instances_are_grouped_and_come_after_failed_targets(tmp_path: Path) -> None:
    path, rollout = tmp_path / "console.db", ident(1, 0xAD)
    bad = [target(n, rollout, word, NOW - 900, NOW - 800, NOW - 700, error_message="x")
           for n, word in enumerate(["failed", "uncertain", *["succeeded"] * 6])]  # fmt: skip
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW - 2 * 86400))
        store.put_rollouts([rollout_read(rollout, bad, "failed", NOW - 900, NOW - 700)])
        for number, (word, trouble) in enumerate(
            [("degraded", "memory: degraded")] * 3 + [("unhealthy", None), ("on fire", None), ("healthy", None)]
        ):
            sick = {"memory": "degraded"} if trouble else {}
            checked = {"status": word, "checked_at": iso(NOW - number), "subsystems": sick}
            rows = health_rows(TENANT, ident(number, 0xB0), checked, NOW)
            store.put_instance(rows, Cursor("health", f"{TENANT}|{number}"))
    found = attention.attention(path, NOW)
    assert found["status"].tolist() == ["uncertain", "failed", "unhealthy", "degraded", "on_fire", "unknown"]
    sick = found[2:5]
    assert sick["title"].tolist() == [
        f"{host_name(3)} is unhealthy",
        "3 instances are degraded",
        f"{host_name(4)} is on fire",
    ]
    assert sick[["page", "id"]].to_numpy().tolist() == [
        ["instance", ident(3, 0xB0)], ["instances", "degraded"], ["instance", ident(4, 0xB0)]
    ]  # fmt: skip
    assert "memory" in sick["detail"].tolist()[1]


def test_an_entry_for_equal_failures_links_to_the_operation_with_most_of_them(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
        # The largest rollout is neither the newest nor the first by id or host.
        for number, ago, hosts in ((3, 900, (1,)), (2, 1900, (4, 5, 6)), (1, 2900, (7, 0))):
            created = NOW - ago
            bad = [target(n, ident(number, 0xAE), "failed", created, created, created + 9, error_message=REASON)
                   for n in hosts]  # fmt: skip
            store.put_rollouts([rollout_read(ident(number, 0xAE), bad, "failed", created, created + 9)])
    (found,) = attention.attention(path, NOW).itertuples()
    assert (found.title, found.instances, found.operations) == ("6 instances failed in 3 operations", 6, 3)
    assert (found.page, found.id, found.at) == ("rollout", ident(2, 0xAE), NOW - 2891)
    assert found.hosts == tuple(host_name(n) for n in (0, 1, 4, 5, 6, 7))


def test_failures_that_differ_only_in_the_host_are_one_entry(tmp_path: Path) -> None:
    path, rollout = tmp_path / "console.db", ident(1, 0xAD)
    targets = [
        target(n, rollout, "failed", NOW - 900, NOW - 800, NOW - 700, error_message=f"{REASON} on {host_name(n)}")
        for n in range(40)
    ]
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
        store.put_rollouts([rollout_read(rollout, targets, "failed", NOW - 900, NOW - 700)])
    assert titles(path) == ["40 instances failed"]


BIG_TABLES = {"t", "rollout_targets", "host_results", "h", "audit_events", "later"}


def test_no_query_scans_a_big_table(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The query plan of every statement searches the big tables only by an index or a key."""
    plans: list[tuple[str, str]] = []
    connect = opening.connect_to_read

    def explaining(path: Path) -> sqlite3.Connection:
        conn = connect(path)
        explainer = connect(path)

        def explain(sql: str) -> None:
            if sql.lstrip().startswith(("SELECT", "WITH")):
                plans.extend((sql, row[3]) for row in explainer.execute("EXPLAIN QUERY PLAN " + sql))

        # The traced statement contains its values.
        conn.set_trace_callback(explain)
        return conn

    monkeypatch.setattr(opening, "connect_to_read", explaining)
    freshness.freshness(database)
    attention.attention(database, NOW)
    rollouts.rollouts(database)
    rollouts.rollout(database, FLEET)
    rollouts.targets_of(database, TENANT, FLEET)
    rollouts.target_page(database, TENANT, FLEET, rollouts.TargetFilter(search="x"), NOW)
    rollouts.targets_of_run(database, RUN)
    rollouts.rollouts_of_run(database, RUN)
    rollouts.runs_of_rollout(database, FLEET)
    runs.runs(database)
    runs.batches(database, RUN)
    runs.results(database, RUN, search="x")
    runs.failed_results(database, RUN)
    runs.in_flight(database, RUN)
    runs.recap(database, RUN)
    operations.operations(database, NOW, operations.OperationFilter(text="x", who="x", verdicts=("stopped",)))
    for key in operations.operations(database, NOW)[0]["key"]:
        assert operation.operation(database, key, NOW) is not None
    fleet.fleets(database, NOW)
    assert len(plans) > 30
    for sql, step in plans:
        words = step.split()
        scanned = words[1] if words[:1] == ["SCAN"] else ""
        # The partial index of open targets is small, so it may be scanned.
        assert scanned not in BIG_TABLES or "rollout_targets_open" in step, f"{step}\n{sql}"


AS_ANOTHER_ACCOUNT = """
import os, sys
from pathlib import Path
from console.record.read import rollouts
if os.geteuid() == 0:  # root can write everywhere
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
print(rollouts.rollouts(Path(sys.argv[1]))[1])
"""


def test_an_account_without_write_access_can_read_the_database() -> None:
    """SQLite cannot open a WAL database with mode=ro there if no writer is left, but the pages can."""
    # Not tmp_path, which only its owner can enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "console.db"
        with open_store(path) as store:
            store.put_tenant(TENANT, NOW)
            store.put_rollouts([fleet_rollout(FLEET, 3, 2, NOW - 500)])
        assert not path.with_name("console.db-wal").exists()
        path.chmod(0o444)
        folder.chmod(0o555)
        command = [sys.executable, "-c", AS_ANOTHER_ACCOUNT, str(path)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        folder.chmod(0o755)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_the_errors_for_a_locked_foreign_or_missing_database_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "READ_TIMEOUT", 0.1)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as conn:
        conn.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(opening.DatabaseProblem, match="of another program"):
        rollouts.rollouts(foreign)
    conn.execute("PRAGMA locking_mode = exclusive")
    conn.execute("BEGIN EXCLUSIVE")
    with pytest.raises(opening.DatabaseProblem, match="locked by another program"):
        rollouts.rollouts(foreign)
    conn.close()
    with pytest.raises(opening.NoDatabase, match="python -m console sync"):
        rollouts.rollouts(tmp_path / "none.db")


def test_the_version_of_the_database_changes_with_every_write(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    stamps = [frames.database_version(path)]
    with open_store(path) as store:
        stamps.append(frames.database_version(path))
        for n in range(3):
            store.put_tenant(f"{TENANT}{n}", NOW)
            stamps.append(frames.database_version(path))
    assert len(set(stamps)) == len(stamps)


def test_an_id_or_host_name_is_found_by_its_beginning_if_that_is_unique(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with open_store(database) as store:
        store.put_tenant(TENANT, 1e9)
        store.put_rollouts([fleet_rollout("abcd1234-0000-4000-8000-000000000001", 3, 1, 1e9)])
    assert whole_id(database, "abcd1234", "run", "rollout") == "abcd1234-0000-4000-8000-000000000001"
    assert whole_id(database, host_name(2)[:11], "instance") == ident(2, 0xB0)
    for unclear in ("agent-0000", "abc", "no-such", "abcd1234%"):
        assert whole_id(database, unclear, "run", "rollout", "instance") is None
