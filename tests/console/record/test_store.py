# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store: opening, migrating, errors of the database, and upserts that change nothing the second time."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from console.collect.api.records import policy_row, rollout_row, target_rows
from console.record.opening import DatabaseProblem, as_database_problem, open_to_write
from console.record.read.policy import policies
from console.record.rows import Cursor, RolloutRead, RunRows
from console.record.schema.migrations import known_names, migrations
from console.record.write.store import open_store
from console.settings.environment import load_settings
from console.text.message_fingerprint import fingerprint
from tests.console.support.facts import dump, rows

ROOT = Path(__file__).resolve().parents[3]
TENANT = "https://ops.example.com"
OPEN = (
    "import sys; from console.record.write.store import open_store;"
    " open_store(sys.argv[1], busy_timeout=float(sys.argv[2])).close()"
)


# File modes do not restrict root, so root switches to another account after the imports.
AS_NOBODY = (
    "import os, sqlite_utils, console.record.write.store;"
    " os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534)); "
)


def opening(path: Path, busy: float = 15, before: str = "") -> subprocess.Popen[str]:
    """Start another process that opens the store and ends."""
    command = [sys.executable, "-c", before + OPEN, str(path), str(busy)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def target(number: int, status: str, **more: object) -> dict:
    return {"id": f"t{number}", "target_id": f"t{number}", "instance_id": f"i{number}", "status": status, **more}


def read(status: str, targets: list[dict], at: float) -> RolloutRead:
    record = {"id": "r1", "scope": "fleet", "status": status, "created_at": "2026-11-01T10:00:00Z", "total_targets": 2}
    return RolloutRead(rollout_row(TENANT, record, targets), target_rows(TENANT, "r1", targets, targets), at)


def test_four_processes_can_create_the_same_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    for attempt in range(2):
        processes = [opening(path) for _dummy in range(4)]
        assert [(p.communicate()[1], p.returncode) for p in processes] == [("", 0)] * 4
        assert [r["name"] for r in rows(path, "SELECT name FROM _sqlite_migrations ORDER BY id")] == known_names()
        assert path.stat().st_mode & 0o777 == 0o600
        assert rows(path, "PRAGMA journal_mode")[0]["journal_mode"] == "wal"
        assert rows(path, "PRAGMA auto_vacuum")[0]["auto_vacuum"] == 2
        if not attempt:
            path.unlink()


@pytest.mark.parametrize("stop_before", known_names()[1:])
def test_an_older_database_is_migrated_and_keeps_its_rows(tmp_path: Path, stop_before: str) -> None:
    path = tmp_path / "old.db"
    old = Database(path)
    migrations.apply(old, stop_before=stop_before)
    old.conn.execute("INSERT INTO runs (run_id, source, status) VALUES ('r', 'callback', 'successful')")
    failed = "INSERT INTO host_results (run_id, counter, host, kind, status, msg, msg_fp, fp_version)"
    values = " VALUES ('r', ?, 'a', 'result', 'failed', ?, ?, 1)"
    states = ['{"run":{"events":1,"stats_json":"{}"}}', '{"run":{"stats_json":null}}', "{", None]
    old.conn.executemany(
        "INSERT INTO ingest_cursors (source, scope, state_json) VALUES ('spool', ?, ?)", [*enumerate(states)]
    )
    messages = ["a is down", "a is down", "Task failed"]
    read = messages if stop_before > "0018" else ["Task failed: a is down", *messages[1:]]
    for counter, text in enumerate(read):
        old.conn.execute(failed + values, (counter, text, fingerprint(text, "a")))
    old.conn.commit()
    old.close()
    path.chmod(0o600)
    if stop_before == known_names()[1]:
        processes = [opening(path) for _dummy in range(4)]
        assert [(p.communicate()[1], p.returncode) for p in processes] == [("", 0)] * 4
    else:
        open_store(path).close()
    new = tmp_path / "new.db"
    open_store(new).close()
    schema = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    assert rows(path, schema) == rows(new, schema)
    assert rows(path, "SELECT run_id, status, events FROM runs") == [
        {"run_id": "r", "status": "successful", "events": 0}
    ]
    found = rows(path, "SELECT state_json AS state FROM ingest_cursors ORDER BY scope")
    assert [row["state"] for row in found] == ['{"run":{"events":1}}', *states[1:]]
    found = rows(path, "SELECT msg, msg_fp FROM host_results ORDER BY counter")
    assert found == [{"msg": text, "msg_fp": fingerprint(text, "a")} for text in messages]
    assert rows(path, "PRAGMA user_version") == [{"user_version": len(known_names())}]


def test_the_open_targets_of_a_rollout_that_is_not_open_are_closed_by_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with open_store(path) as store:
        store.put_rollouts([read("in_progress", [target(1, "in_progress"), target(2, "succeeded")], 1e9)])
    with sqlite3.connect(path) as conn:
        for table in ("rollouts", "rollout_targets"):
            conn.execute(f"CREATE TEMP TABLE other AS SELECT * FROM {table}")
            conn.execute("UPDATE other SET rollout_id = 'r2'")
            conn.execute(f"INSERT INTO {table} SELECT * FROM other")
            conn.execute("DROP TABLE other")
        # The API no longer has it.
        conn.execute("UPDATE rollouts SET is_open = 0 WHERE rollout_id = 'r2'")
        conn.execute(f"DELETE FROM {migrations.migrations_table} WHERE name = '0019_closed_targets'")
        conn.execute(f"PRAGMA user_version={len(known_names()) - 1}")
    open_store(path).close()
    found = rows(path, "SELECT rollout_id, target_id FROM rollout_targets WHERE is_open = 1")
    assert found == [{"rollout_id": "r1", "target_id": "t1"}]


def test_a_newer_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    open_store(path).close()
    newer = Database(path)
    newer["_sqlite_migrations"].insert({"migration_set": migrations.name, "name": "0099_later", "applied_at": "x"})
    newer.close()
    before = path.read_bytes()
    with pytest.raises(
        DatabaseProblem, match=r"^The database .*new\.db was written by a newer version.*0099_later.*\.$"
    ):
        open_store(path)
    assert path.read_bytes() == before


def test_a_sync_that_is_running_while_a_newer_console_migrates_the_database_ends_and_writes_nothing_more(
    tmp_path: Path,
) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_tenant("http://one", 1.0)
        other = Database(path)
        # A change of the schema that is no migration, as ANALYZE and VACUUM make it.
        other.execute("ANALYZE")
        other.vacuum()
        store.put_tenant("http://two", 2.0)
        other["_sqlite_migrations"].insert({"migration_set": migrations.name, "name": "0099_later", "applied_at": "x"})
        other.execute(f"PRAGMA user_version={len(known_names()) + 1}")
        other.close()
        with pytest.raises(DatabaseProblem, match=r"written by a newer version of the console \(0099_later\)"):
            store.put_tenant("http://three", 3.0)
        assert not store.conn.in_transaction
    assert rows(path, "SELECT tenant FROM tenants ORDER BY first_seen") == [
        {"tenant": "http://one"},
        {"tenant": "http://two"},
    ]


def test_a_file_that_is_not_a_console_database_is_refused_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("these are my notes, not a database\n" * 100)
    foreign = Database(other)
    foreign["places"].insert({"url": "x"})
    foreign.close()
    for path, sentence in ((text, "not an SQLite database"), (other, "of another program"), (tmp_path, "is a folder")):
        path.chmod(0o755)
        before = path.read_bytes() if path.is_file() else None
        for into_copy in (False, True):
            with pytest.raises(DatabaseProblem, match=sentence) as raised:
                open_to_write(path, into_copy=into_copy)
            assert "\n" not in str(raised.value)
        assert before == (path.read_bytes() if path.is_file() else None)
        # Other accounts may use the file.
        assert path.stat().st_mode & 0o777 == 0o755
    with pytest.raises(DatabaseProblem, match=r"The folder .*absent of the console's database does not exist"):
        open_store(tmp_path / "absent" / "console.db")
    assert not (tmp_path / "absent").exists()
    # The folder of only the default database is created.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "made"))
    monkeypatch.delenv("FLEETOPS_CONSOLE_DB", raising=False)
    open_store(load_settings().database).close()
    assert load_settings().database.parent.stat().st_mode & 0o777 == 0o700


def test_a_locked_database_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    open_store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(DatabaseProblem, match=r"locked by another program for 0\.5 s; try again"):
        open_store(path, busy_timeout=0.5)
    assert time.monotonic() - started > 0.4
    waiting = opening(path)
    time.sleep(1)
    assert waiting.poll() is None
    other.execute("COMMIT")
    other.close()
    assert (waiting.communicate()[1], waiting.returncode) == ("", 0)


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that other accounts can enter, unlike tmp_path."""
    above = Path(tempfile.mkdtemp())
    above.chmod(0o755)
    folder = above / "shelf"
    folder.mkdir()
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(above)


@pytest.mark.parametrize(
    ("kind", "said", "explained"),
    [
        ("SQLITE_BUSY_RECOVERY", "database is locked", "has been locked by another program for 1 s"),
        ("SQLITE_INTERRUPT", "interrupted", "took longer than 10 s"),
        ("SQLITE_CORRUPT_INDEX", "database disk image is malformed", "is damaged or not an SQLite database"),
        ("SQLITE_NOTADB", "file is not a database", "is damaged or not an SQLite database"),
        ("SQLITE_READONLY_DIRECTORY", "attempt to write a readonly database", "check the owner and mode"),
        ("SQLITE_FULL", "database or disk is full", "free some space"),
        ("SQLITE_IOERR_WRITE", "disk I/O error", "full or faulty, or a limit of the file size (ulimit -f)"),
        ("SQLITE_IOERR_SHMSIZE", "disk I/O error", "full or faulty, or a limit of the file size (ulimit -f)"),
        ("SQLITE_IOERR_READ", "disk I/O error", "full or faulty, or a limit of the file size (ulimit -f)"),
        ("SQLITE_IOERR_SHMMAP", "disk I/O error", "must be on a local disk"),
        ("SQLITE_IOERR_LOCK", "disk I/O error", "must be on a local disk"),
        ("SQLITE_PROTOCOL", "locking protocol", "must be on a local disk"),
        ("SQLITE_ERROR", "no such table: runs", "cannot be written: no such table: runs."),
    ],
)
def test_each_kind_of_error_of_sqlite_has_its_own_explanation(
    kind: str, said: str, explained: str, tmp_path: Path
) -> None:
    error = sqlite3.OperationalError(said)
    error.sqlite_errorname = kind
    with pytest.raises(DatabaseProblem, match=re.escape(explained)), as_database_problem(tmp_path / "console.db", 1.0):
        raise error


def test_a_read_only_file_or_folder_is_reported(shelf: Path) -> None:
    folder = shelf
    path = folder / "console.db"
    open_store(path).close()
    path.chmod(0o444)
    folder.chmod(0o555)
    process = opening(path, before=AS_NOBODY)
    complaint = process.communicate()[1].splitlines()[-1]
    assert process.returncode == 1
    assert "DatabaseProblem: The database" in complaint
    assert "cannot be written" in complaint
    complaint = opening(folder / "another.db", before=AS_NOBODY).communicate()[1].splitlines()[-1]
    assert "cannot be opened: Permission denied" in complaint
    folder.chmod(0o000)
    complaint = opening(path, before=AS_NOBODY).communicate()[1].splitlines()[-1]
    assert "cannot be opened: Permission denied" in complaint


def test_a_damaged_database_is_reported_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        for number in range(300):
            store.put_cursor(Cursor("spool", f"file-{number:05d}", last_error="x" * 200))
    whole = path.read_bytes()
    size = len(whole)
    for begin, end in ((0, 100), (100, 4096), (4096, size), (size // 2, size)):
        path.write_bytes(whole[:begin] + os.urandom(end - begin) + whole[end:])
        with (
            pytest.raises(DatabaseProblem, match="damaged or not an SQLite database") as raised,
            open_store(path) as store,
        ):
            for number in range(300):
                store.put_cursor(Cursor("spool", f"file-{number:05d}", last_error="y"))
        assert "\n" not in str(raised.value)


def test_an_older_sqlite_is_named_with_the_version_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console.db"
    open_store(path).close()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 33, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.33.0")
    for use in (open_store, policies):
        with pytest.raises(DatabaseProblem, match=r"needs SQLite 3\.34 or newer, but .+ has 3\.33\.0"):
            use(path)


def test_storing_the_same_rows_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    seen = read(
        "in_progress",
        [target(1, "succeeded", bundle_hash="b1", completed_at="2026-11-01T10:01:00Z"), target(2, "queued")],
        100.0,
    )
    with open_store(path) as store:
        assert store.put_rollouts([seen]) == 5  # a rollout, two targets, two instances
        assert store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 2}, 100.0))
        before = dump(path, leave_out={})
        assert store.put_rollouts([RolloutRead(seen.rollout, seen.targets, 200.0)]) == 0
        assert not store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 2}, 200.0))
        assert dump(path, leave_out={}) == before
        assert store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 1}, 300.0))
    assert [r["max_parallel_rollouts"] for r in rows(path, "SELECT * FROM policies ORDER BY taken_at")] == [2, 1]


def test_a_policy_is_stored_once_although_another_sync_has_already_stored_a_later_read(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store, open_store(path) as other:
        assert store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 2}, 100.0))
        assert other.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 1}, 300.0))
        assert not store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 2}, 290.0))
        assert not store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 1}, 295.0))
        assert store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 4}, 297.0))
    assert [r["taken_at"] for r in rows(path, "SELECT taken_at FROM policies ORDER BY taken_at")] == [100, 297, 300]


def test_a_change_of_status_is_stored_and_an_old_read_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_rollouts([read("in_progress", [target(1, "queued"), target(2, "queued")], 100.0)])
        done = [target(1, "in_progress", started_at="2026-11-01T10:00:09Z"), target(2, "queued")]
        store.put_rollouts([read("in_progress", done, 200.0)])
        late = read("in_progress", [target(1, "queued"), target(2, "queued")], 120.0)
        assert store.put_rollouts([late]) == 0
    stamps = rows(path, "SELECT target_id, status, first_seen, updated_at FROM rollout_targets ORDER BY target_id")
    assert [tuple(r.values()) for r in stamps] == [("t1", "in_progress", 100.0, 200.0), ("t2", "queued", 100.0, 100.0)]


def test_events_that_another_sync_has_already_stored_are_refused_completely(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    run = {"run_id": "r", "source": "callback", "status": "running"}
    with open_store(path) as store:
        assert store.put_run(RunRows(run), Cursor("spool", "f", position=10), after=None)
        before = dump(path)
        assert not store.put_run(RunRows({**run, "status": "lost"}), Cursor("spool", "f", position=20), after=None)
        assert not store.put_run(RunRows({**run, "status": "lost"}), Cursor("spool", "f", position=20), after=5)
        assert dump(path) == before
        assert store.put_run(RunRows({**run, "status": "lost"}), Cursor("spool", "f", position=20), after=10)


def test_a_full_disk_is_reported_and_leaves_no_partial_transaction(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_cursor(Cursor("spool", "before"))
        pages = rows(path, "PRAGMA page_count")[0]["page_count"]
        store.conn.execute(f"PRAGMA max_page_count={pages + 2}")
        many = [target(n, "queued", error_message="x" * 500) for n in range(500)]
        with pytest.raises(DatabaseProblem, match="cannot grow"):
            store.put_rollouts([read("in_progress", many, 1.0)])
        assert rows(path, "SELECT count(*) AS n FROM rollouts") == [{"n": 0}]
        store.drop_cursor("spool", "before")


def test_a_database_on_a_full_disk_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_policy(policy_row(TENANT, {}, 100.0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file can grow, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        found = len(policies(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found == 1


def test_the_work_of_storing_grows_linearly_with_the_fleet(tmp_path: Path) -> None:
    work = []
    for size in (500, 1000):
        with open_store(tmp_path / f"{size}.db") as store:
            steps = []
            store.conn.set_progress_handler(lambda steps=steps: steps.append(1), 1000)
            store.put_rollouts([read("completed", [target(n, "succeeded", bundle_hash="b") for n in range(size)], 1.0)])
            store.conn.set_progress_handler(None, 1000)
            work.append(len(steps))
    assert work[0] > 20
    assert work[1] < 3 * work[0]
