# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening the console's database for writing, its transactions and upserts. What is written is store.py's matter.

SQLite in WAL mode; every write is one transaction begun with BEGIN IMMEDIATE, so that several syncs at once wait for
each other instead of failing half-way. What goes wrong is StoreError, one sentence each.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlite_utils import Database

from console.record.private_files import make_private_folder, only_for_the_owner
from console.record.problem import damaged
from console.record.schema.migrations import known_names, migrations
from console.settings.invocation import COMMAND

Row = dict[str, Any]

BUSY_TIMEOUT = 15.0


class StoreError(Exception):
    """The database cannot be used. The message is one sentence for people."""


def open_database(
    path: str | os.PathLike[str], busy_timeout: float, *, make_folder: bool, into_copy: bool = False
) -> tuple[Database, Path]:
    """What store.open_store documents, as the open database and its path."""
    file = Path(path).expanduser()
    with _errors(file, busy_timeout):
        if make_folder:
            make_private_folder(file.parent)
        if not file.parent.is_dir():
            raise StoreError(
                f"The folder {file.parent} of the console's database does not exist;"
                " create it, or name another database."
            )
        if file.is_dir():
            raise StoreError(f"{file} is a folder, not a database file; name a file in it.")
        _create_private(file)
        conn = sqlite3.connect(file, timeout=busy_timeout, isolation_level=None)
        try:
            db = as_database(conn)
            if not into_copy:
                _refuse_copy(conn, file)
            # Not before: a copy that is refused stays as it is, its mode too.
            only_for_the_owner(file)
            _prepare(db, file, busy_timeout)
        except BaseException:
            conn.close()
            raise
    return db, file


def as_database(conn: sqlite3.Connection) -> Database:
    """An open connection for sqlite-utils; plugins of it that are installed here have no say."""
    return Database(conn, execute_plugins=False)


def open_existing(path: Path, busy_timeout: float, *, into_copy: bool = False) -> tuple[Database, Path]:
    """As open_database, but a database that is not there is none to be made. Raises StoreError."""
    if not path.exists():
        raise StoreError(f"There is no database at {path}; name it with --db or FLEETOPS_CONSOLE_DB.")
    return open_database(path, busy_timeout, make_folder=False, into_copy=into_copy)


def is_current(path: Path) -> bool:
    """Whether ``path`` is a console's database of this version; looked at without any write."""
    return bool(_looked_up(path, lambda conn: conn.execute("PRAGMA user_version").fetchone()[0] == len(known_names())))


def is_copy(path: Path) -> bool:
    """Whether ``path`` is a copy of a console's database for review; looked at without any write."""
    return _looked_up(path, _copied_at) is not None


def _looked_up(path: Path, look: Callable[[sqlite3.Connection], Any]) -> Any:
    """What ``look`` finds in a console's database; None if it is none, or cannot be read."""
    log = path.with_name(path.name + "-wal")
    # Where no shared-memory file can be made, a database without a log can still be read.
    for mode in ("mode=ro", "immutable=1") if not (log.exists() and log.stat().st_size) else ("mode=ro",):
        with suppress(sqlite3.Error, OSError):
            conn = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=BUSY_TIMEOUT)
            try:
                ours = conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'ingest_cursors'").fetchone()[0]
                return look(conn) if ours else None
            finally:
                conn.close()
    return None


def _copied_at(conn: sqlite3.Connection) -> float | None:
    """When a database was made as a copy for review (epoch seconds), None for one that is none."""
    # A database of before there was upkeep has no place for it.
    if not conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'upkeep'").fetchone()[0]:
        return None
    at: float | None = conn.execute("SELECT max(at) FROM upkeep WHERE kind = 'copy'").fetchone()[0]
    return at


def _refuse_copy(conn: sqlite3.Connection, file: Path) -> None:
    at = _copied_at(conn)
    if at is not None:
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
        raise StoreError(
            f"The database {file} is a copy of {moment} UTC for review, and nothing is stored in it."
            f" To go on with it as a database of its own, run: {COMMAND} migrate --adopt --db {shlex.quote(str(file))}"
        )


def _create_private(file: Path) -> None:
    # SQLite gives -wal and -shm the mode of the database.
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(db: Database, file: Path, busy_timeout: float) -> None:
    conn = db.conn
    conn.execute("PRAGMA synchronous=NORMAL")
    conn.execute("PRAGMA journal_size_limit=67108864")
    # An audit's new events lie all over its counts and indexes: SQLite's usual 2 MB would be read again and again.
    conn.execute("PRAGMA cache_size=-65536")
    if _check_version(db, file) or _journal_mode(conn) != "wal":
        _enter_wal(conn, busy_timeout)
        with _immediate(conn):
            # Another process may have migrated while this one waited.
            _check_version(db, file)
            migrations.apply(db)
            conn.execute(f"PRAGMA user_version={len(known_names())}")
    # A file or folder that is read-only shows only when a write begins.
    with _immediate(conn):
        pass


def _check_version(db: Database, file: Path) -> bool:
    """Whether migrations are pending; raises StoreError for a newer database or one of another program."""
    tables = {row[0] for row in db.conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    applied = [m.name for m in migrations.applied(db)] if migrations.migrations_table in tables else []
    if not applied and tables - {migrations.migrations_table, "sqlite_sequence"}:
        raise StoreError(f"{file} is a SQLite database of another program; name another file for the console.")
    newer = [name for name in applied if name not in known_names()]
    if newer:
        raise StoreError(
            f"The database {file} was written by a newer version of the console ({newer[-1]});"
            " update this one, or name another database."
        )
    return len(applied) < len(known_names())


def _journal_mode(conn: sqlite3.Connection) -> str:
    return str(conn.execute("PRAGMA journal_mode").fetchone()[0])


def _enter_wal(conn: sqlite3.Connection, busy_timeout: float) -> None:
    # SQLite does not wait for a lock here, whatever the busy timeout says.
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            conn.execute("PRAGMA auto_vacuum=INCREMENTAL")
            conn.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _is_locked(error: sqlite3.Error) -> bool:
    return "locked" in str(error) or "busy" in str(error)


@contextmanager
def _immediate(conn: sqlite3.Connection) -> Iterator[None]:
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        # An error such as a full disk may have ended the transaction already.
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


@contextmanager
def _errors(file: Path, busy_timeout: float) -> Iterator[None]:
    """Turn what SQLite and the file system say into one sentence."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if _is_locked(error):
            raise StoreError(
                f"The database {file} has been locked by another program for {busy_timeout:g} s;"
                " try again when it is done."
            ) from error
        if "readonly" in text or "unable to open" in text:
            raise StoreError(
                f"The database {file} cannot be written ({text});"
                " check the owner and the mode of the file and of its folder."
            ) from error
        if "full" in text:
            raise StoreError(f"The database {file} cannot grow ({text}); free some space and sync again.") from error
        if "not a database" in text or "malformed" in text:
            raise StoreError(damaged(file, text)) from error
        raise StoreError(f"The database {file} refused a write: {text}.") from error
    except OSError as error:
        raise StoreError(f"The database {file} cannot be opened: {error.strerror or error}.") from error


class Tables:
    """An open database and the few ways in which its tables are written."""

    def __init__(self, db: Database, path: Path, busy_timeout: float) -> None:
        self.path = path
        self._db = db
        self._conn: sqlite3.Connection = db.conn
        self._busy_timeout = busy_timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        # Figures for the readers' query planner; they can do without, so a lock or a full disk is no failure here.
        with suppress(sqlite3.Error):
            self._conn.execute("PRAGMA busy_timeout=1000")
            self._conn.execute("PRAGMA analysis_limit=400")
            self._conn.execute("PRAGMA optimize")
        self._conn.close()

    @contextmanager
    def _write(self) -> Iterator[None]:
        with _errors(self.path, self._busy_timeout), _immediate(self._conn):
            yield

    def _rows(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        with _errors(self.path, self._busy_timeout):
            cursor = self._conn.execute(sql, params)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _upsert(
        self,
        table: str,
        keys: Sequence[str],
        rows: Sequence[Row],
        *,
        first: Sequence[str] = (),
        stamp: Sequence[str] = (),
    ) -> int:
        """Insert or update by key; rows that hold the same facts are left alone. Returns how many were touched.

        All rows have the same columns. ``first``: columns set on insert only. ``stamp``: columns that are written
        along with a difference but are none themselves.
        """
        if not rows:
            return 0
        columns = list(rows[0])
        facts = [c for c in columns if c not in keys and c not in first and c not in stamp]
        names, marks = ", ".join(columns), ", ".join(f":{c}" for c in columns)
        # S608: table and column names come from this code's own row dictionaries, values are bound.
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(keys)}) DO "  # noqa: S608
        if facts:
            sql += "UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in [*facts, *stamp])
            sql += " WHERE " + " OR ".join(f"{table}.{c} IS NOT excluded.{c}" for c in facts)
        else:
            sql += "NOTHING"
        before = self._conn.total_changes
        self._conn.executemany(sql, rows)
        return self._conn.total_changes - before

    def _replace(self, table: str, scope: Mapping[str, Any], keys: Sequence[str], rows: Sequence[Row]) -> None:
        """Make ``rows`` all that ``table`` holds within ``scope``; rows that stay are not rewritten."""
        where = " AND ".join(f"{c} = ?" for c in scope)
        # S608: names come from this code, values are bound.
        have = self._conn.execute(f"SELECT {', '.join(keys)} FROM {table} WHERE {where}", tuple(scope.values()))  # noqa: S608
        gone = set(have) - {tuple(row[k] for k in keys) for row in rows}
        self._conn.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{k} = ?' for k in keys)}", list(gone))  # noqa: S608
        self._upsert(table, keys, rows)

    def _delete_some(self, table: str, keys: Sequence[str], where: str, params: Mapping[str, Any], most: int) -> int:
        """Delete at most ``most`` rows of ``table`` (as ``t``) for which ``where`` holds; returns how many went."""
        names = ", ".join(keys)
        # S608: names and condition come from this code, values are bound.
        sql = f"DELETE FROM {table} WHERE ({names}) IN (SELECT {names} FROM {table} t WHERE {where} LIMIT :most)"  # noqa: S608
        return self._conn.execute(sql, {**params, "most": most}).rowcount

    def _add_if_new(self, table: str, scope: Sequence[str], row: Row) -> bool:
        facts = [c for c in row if c not in scope and c != "taken_at"]
        where = " AND ".join(f"{c} = :{c}" for c in scope)
        # S608: names come from this code, values are bound.
        sql = f"SELECT {', '.join(facts)} FROM {table} WHERE {where} ORDER BY taken_at DESC LIMIT 1"  # noqa: S608
        newest = self._conn.execute(sql, row).fetchone()
        if newest == tuple(row[c] for c in facts):
            return False
        self._upsert(table, (*scope, "taken_at"), [row])
        return True
