# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restoring a backup: after a killed sync, while another process writes, and over a damaged file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from console.__main__ import main
from console.record.opening import DatabaseProblem, open_to_read
from console.record.read import record_health
from console.record.rows import Cursor
from console.record.write.maintenance import back_up
from console.record.write.restore import restore
from console.record.write.store import open_store
from tests.console.support.facts import dump, rows
from tests.console.support.seeded import seed_small

NOW = 1795514400.0
CHECKOUT = Path(__file__).resolve().parents[3]

# A sync that is killed, so that its data is only in the write-ahead log.
WRITES_AND_DIES = """
import os, sys
from console.record.rows import Cursor
from console.record.write.store import open_store
store = open_store(sys.argv[1])
store.conn.execute("PRAGMA wal_autocheckpoint=0")
for number in range(200):
    store.put_cursor(Cursor("api", f"https://late.example/{number}", last_ok_at=1.0))
print("written", flush=True)
sys.stdin.read()
os._exit(9)
"""


@pytest.fixture
def backed_up(tmp_path: Path) -> tuple[Path, Path]:
    """A database and its backup."""
    database, backup = tmp_path / "console.db", tmp_path / "backup.db"
    seed_small(database, tmp_path / "runs", NOW)
    back_up(database, backup, NOW)
    return database, backup


def writer(database: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_AND_DIES, str(database)],
        cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def late_cursors(database: Path) -> int:
    return rows(database, "SELECT count(*) AS n FROM ingest_cursors WHERE scope LIKE 'https://late.example/%'")[0]["n"]


def without_upkeep(database: Path) -> dict[str, object]:
    return {table: found for table, found in dump(database, leave_out={}).items() if table != "upkeep"}


# reports/2026-11 D1
def test_a_backup_is_restored_although_a_killed_sync_left_a_log(
    backed_up: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    database, backup = backed_up
    good = without_upkeep(backup)
    killed = writer(database)
    killed.kill()
    killed.communicate()
    log = database.with_name("console.db-wal")
    assert log.stat().st_size > 100_000
    # The backup was copied over the database by hand, but the log beside it belongs to the old file.
    old = database.read_bytes()
    shutil.copyfile(backup, database)
    before = backup.read_bytes()
    mask = os.umask(0o000)
    try:
        assert main(["restore", str(backup), "--db", str(database)]) == 0
    finally:
        os.umask(mask)
    printed = capsys.readouterr()
    assert without_upkeep(database) == good
    assert (late_cursors(database), backup.read_bytes() == before) == (0, True)
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    # The previous files are kept, including the log, and can still be read.
    kept = sorted(file for file in database.parent.iterdir() if ".before-restore-" in file.name)
    assert [file.name.partition("Z")[2] for file in kept] == ["", "-shm", "-wal"]
    assert all(str(file) in printed.err for file in kept)
    kept[0].write_bytes(old)
    assert late_cursors(kept[0]) == 200
    # The database is not marked as a copy, and the restore is recorded.
    with open_store(database) as store:
        store.put_cursor(Cursor("api", "https://next.example", last_ok_at=1.0))
    assert rows(database, "SELECT count(*) AS n FROM upkeep WHERE kind = 'restore'") == [{"n": 1}]
    known = record_health.last_maintenance(database)
    assert (known.copied_at, known.backup_at) == (None, NOW)
    assert known.backup == {"file": str(backup), "bytes": len(before)}
    assert not list(database.parent.glob(".console.db.*"))


# reports/2026-11 D1
def test_nothing_is_restored_while_another_process_writes(
    backed_up: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    database, backup = backed_up
    busy = writer(database)
    try:
        with pytest.raises(DatabaseProblem, match="in use by another program"):
            restore(backup, database, NOW, wait=0.3)
        assert late_cursors(database) == 200
        assert sorted(file.name for file in database.parent.iterdir() if "before" in file.name) == []
    finally:
        busy.communicate("")
    assert main(["restore", str(backup), "--db", str(database)]) == 0
    assert "is restored from" in capsys.readouterr().out
    assert late_cursors(database) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_restore_that_is_ended_by_a_signal_leaves_no_part_of_a_copy(
    number: signal.Signals, backed_up: tuple[Path, Path]
) -> None:
    database, backup = backed_up
    with closing(sqlite3.connect(database)) as user:
        user.execute("SELECT * FROM rollouts").fetchone()
        before = set(database.parent.iterdir())
        process = subprocess.Popen(
            [sys.executable, "-m", "console", "restore", str(backup), "--db", str(database)],
            cwd=CHECKOUT, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )  # fmt: skip
        # It waits for the other program.
        while not list(database.parent.glob(".console.db.*")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _out, message = process.communicate(timeout=60)
        assert (process.returncode, set(database.parent.iterdir())) == (130, before), message
    assert message.startswith("console: Interrupted.")


def test_a_restore_that_runs_out_of_space_for_the_previous_database_leaves_no_part_of_a_copy(
    backed_up: tuple[Path, Path],
) -> None:
    database, backup = backed_up
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("CREATE TABLE large AS SELECT zeroblob(8000000) AS content")
        conn.commit()
    killed = writer(database)
    killed.kill()
    killed.communicate()
    # SQLite changes the index of the log, console.db-shm, when it reads.
    names, before = sorted(database.parent.iterdir()), database.read_bytes()
    limit = backup.stat().st_size + 4_000_000
    restoring = f"""
import resource, sys
from console.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(main(["restore", {str(backup)!r}, "--db", {str(database)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", restoring], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "cannot be replaced: File too large" in done.stderr
    assert (sorted(database.parent.iterdir()), database.read_bytes() == before) == (names, True)
    assert late_cursors(database) == 200


# reports/2026-11 D1
def test_a_connection_to_the_old_file_cannot_write_to_the_restored_one(backed_up: tuple[Path, Path]) -> None:
    database, backup = backed_up
    # SQLite opens the file here, and reads it with the first statement.
    early = sqlite3.connect(database, isolation_level=None)
    restore(backup, database, NOW)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        early.execute("BEGIN IMMEDIATE")
    early.close()
    assert without_upkeep(database) == without_upkeep(backup)


@pytest.mark.parametrize("open_it", [open_to_read, open_store])
def test_a_database_that_is_replaced_while_it_is_opened_is_opened_again(
    open_it: Callable[[Path], AbstractContextManager[object]],
    backed_up: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database, backup = backed_up
    connect = sqlite3.connect

    def connect_before_restore(*args: Any, **options: Any) -> sqlite3.Connection:
        early = connect(*args, **options)
        monkeypatch.undo()
        restore(backup, database, NOW)
        return early

    monkeypatch.setattr(sqlite3, "connect", connect_before_restore)
    with open_it(database):
        pass
    assert without_upkeep(database) == without_upkeep(backup)


# reports/2026-11 D1
@pytest.mark.parametrize("command", [["runs"], ["retire", "https://x.example"]])
def test_the_error_for_a_damaged_database_explains_a_restore_that_works(
    command: list[str], backed_up: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    database, backup = backed_up
    database.write_bytes(b"not a database at all" * 400)
    assert main([*command, "--db", str(database)]) == 3
    printed = capsys.readouterr().err
    for part in ("console.db-wal", "console.db-shm", f"python -m console restore --db {database} BACKUP"):
        assert part in printed
    assert main(["restore", str(backup), "--db", str(database)]) == 0
    assert main(["runs", "--db", str(database), "--format", "json"]) == 0
    assert without_upkeep(database) == without_upkeep(backup)


def test_an_invalid_backup_is_not_restored(
    backed_up: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, backup = backed_up
    before = without_upkeep(database)
    torn = tmp_path / "torn.db"
    whole = backup.read_bytes()
    torn.write_bytes(whole[:8192] + os.urandom(len(whole) - 8192))
    songs = tmp_path / "songs.db"
    with sqlite3.connect(songs) as conn:
        conn.execute("CREATE TABLE songs (name TEXT)")
    newer = tmp_path / "newer.db"
    shutil.copyfile(backup, newer)
    with sqlite3.connect(newer) as conn:
        conn.execute("UPDATE _sqlite_migrations SET name = '9999_later' WHERE name = '0001_runs'")
    for file, sentence in (
        (torn, "torn.db "),
        (songs, "songs.db is not the console's database"),
        (newer, "newer.db was written by a newer version"),
        (tmp_path / "absent.db", "There is no backup"),
        (database, "is the database itself"),
    ):
        assert main(["restore", str(file), "--db", str(database)]) == 3
        printed = capsys.readouterr().err
        assert (sentence in printed, printed.count("\n")) == (True, 1), printed
    assert without_upkeep(database) == before
    assert not [file for file in tmp_path.iterdir() if "before" in file.name or file.name.startswith(".")]


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_the_database_of_another_program_is_not_replaced(
    journal: str, backed_up: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = tmp_path / "songs.db"
    with closing(sqlite3.connect(songs)) as conn:
        conn.execute(f"PRAGMA journal_mode={journal}")
        conn.execute("CREATE TABLE songs (name TEXT)")
    before = songs.read_bytes()
    assert main(["restore", str(backed_up[1]), "--db", str(songs)]) == 3
    printed = capsys.readouterr().err
    assert ("songs.db is the database of another program" in printed, printed.count("\n")) == (True, 1), printed
    assert songs.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if "songs" in file.name] == ["songs.db"]


def test_only_the_database_itself_is_kept_if_it_has_no_log(backed_up: tuple[Path, Path]) -> None:
    database, backup = backed_up
    assert len(restore(backup, database, NOW)) == 1


def test_a_deleted_database_is_restored_although_its_log_still_exists(backed_up: tuple[Path, Path]) -> None:
    database, backup = backed_up
    killed = writer(database)
    killed.kill()
    killed.communicate()
    database.unlink()
    restore(backup, database, NOW)
    assert without_upkeep(database) == without_upkeep(backup)
