# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening the console's database for reading and for writing, and the messages for when that fails.

The database is an SQLite file in WAL mode. Every error of SQLite or the file system becomes a DatabaseProblem with a
message for the user. This module does not import pandas.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from ansible_collections.fleetops.agents.plugins.module_utils._steps.state_folder import make_private
from console.record.connection import Connection, first_column, first_value
from console.record.private_files import log_of, only_for_the_owner
from console.record.schema.migrations import known_names, migrations
from console.settings.environment import is_default
from console.settings.invocation import command_for

T = TypeVar("T")

BUSY_TIMEOUT = 15.0
"""Seconds that a writer waits for a lock."""
READ_TIMEOUT = 3.0
"""Seconds that a reader waits for a lock."""
QUERY_SECONDS = 10.0
"""Seconds after which a page's query is stopped."""

# Without mode=ro, SQLite would create a missing file.
_IMMUTABLE = "mode=ro&immutable=1"


class DatabaseProblem(Exception):
    """The database cannot be used. The message says what is wrong and what to do."""


class NoDatabase(DatabaseProblem):
    """The database does not exist yet or is empty: nothing has been synced."""


def no_database(file: Path) -> NoDatabase:
    can_create = file.parent.is_dir() or is_default(file)
    create = f", or create this one with: {command_for(file, 'sync')}" if can_create else "."
    return NoDatabase(f"There is no database at {file}; specify another with --db or FLEETOPS_CONSOLE_DB{create}")


_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_NO_RIGHTS = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_NETWORK = ("SQLITE_PROTOCOL", "SQLITE_IOERR_LOCK", "SQLITE_IOERR_RDLOCK", "SQLITE_IOERR_UNLOCK",
            "SQLITE_IOERR_CHECKRESERVEDLOCK", "SQLITE_IOERR_SHMLOCK", "SQLITE_IOERR_SHMMAP",
            "SQLITE_IOERR_SHMOPEN")  # fmt: skip

# How the names of SQLite's errors begin, and the console's message for them. The first match is used.
_MESSAGES = (
    (
        _BUSY,
        "The database {file} has been locked by another program for {seconds:g} s; try again when it has finished.",
    ),
    (
        ("SQLITE_INTERRUPT",),
        "Reading the database {file} took longer than {limit:g} s and was stopped; narrow the filters.",
    ),
    (
        ("SQLITE_NOTADB", "SQLITE_CORRUPT"),
        "The file {file} is damaged or not an SQLite database ({reason}), or {file.name}-wal and {file.name}-shm next"
        " to it belong to another file. If you have no backup, move all three away and sync again. To replace them with"
        " a backup, which keeps them under other names, run: {restore}",
    ),
    (
        _NO_RIGHTS,
        "The database {file} cannot be {action} ({reason}); check the owner and mode of the file and of its folder.",
    ),
    (("SQLITE_FULL",), "The database {file} cannot grow ({reason}); free some space and sync again."),
    (
        _NETWORK,
        "The database {file} cannot be {action} ({reason}). It must be on a local disk: SQLite's write-ahead log does"
        " not work on a network file system.",
    ),
    (
        ("SQLITE_IOERR",),
        "The database {file} cannot be {action} ({reason}, {reason.sqlite_errorname}): the disk is full or"
        " faulty, or a limit of the file size (ulimit -f) was reached.",
    ),
    (("",), "The database {file} cannot be {action}: {reason}."),
)


def _kind(error: sqlite3.Error) -> str:
    """SQLite's name of an error; '' for an error of Python's sqlite3 module itself."""
    return getattr(error, "sqlite_errorname", "")


def _message(error: sqlite3.Error) -> str:
    return next(text for kinds, text in _MESSAGES if _kind(error).startswith(kinds))


@contextmanager
def as_database_problem(file: Path, seconds: float, action: str = "written") -> Iterator[None]:
    """Turn errors of SQLite and the file system into a DatabaseProblem.

    ``seconds``: the busy timeout, for the message. ``action``: what was attempted, "read" or "written".
    """
    if sqlite3.sqlite_version_info < (3, 34):
        found = f"{sys.executable} has {sqlite3.sqlite_version}"
        raise DatabaseProblem(f"The console needs SQLite 3.34 or newer, but {found}.")
    try:
        yield
    except sqlite3.Error as error:
        restore = command_for(file, "restore BACKUP")
        raise DatabaseProblem(
            _message(error).format(
                file=file, reason=error, seconds=seconds, action=action, limit=QUERY_SECONDS, restore=restore
            )
        ) from error
    except OSError as error:
        raise DatabaseProblem(f"The database {file} cannot be opened: {error.strerror or error}.") from error


class _Version(Enum):
    EMPTY = "has no tables"
    FOREIGN = "belongs to another program"
    OLDER = "lacks migrations"
    CURRENT = "has all migrations"
    NEWER = "has migrations that this console does not know"


def _version(conn: sqlite3.Connection) -> tuple[_Version, str]:
    """The version of a database, and the name of its newest migration ('' if none is applied)."""
    tables = set(first_column(conn, "SELECT name FROM sqlite_master WHERE type = 'table'"))
    table, applied = migrations.migrations_table, []
    if table in tables:
        sql = f"SELECT name FROM {table} WHERE migration_set = ?"  # noqa: S608 - a constant of sqlite-utils
        applied = sorted(first_column(conn, sql, (migrations.name,)))
    if not applied:
        return _Version.FOREIGN if tables - {table, "sqlite_sequence"} else _Version.EMPTY, ""
    known = known_names()
    if set(applied) - set(known):
        return _Version.NEWER, applied[-1]
    return _Version.OLDER if len(applied) < len(known) else _Version.CURRENT, applied[-1]


def _of_another_program(file: Path) -> DatabaseProblem:
    return DatabaseProblem(
        f"{file} is the database of another program, not the console's;"
        " specify the console's file with --db or FLEETOPS_CONSOLE_DB."
    )


def usable_version(conn: sqlite3.Connection, file: Path) -> _Version:
    """The version of a database. Raises DatabaseProblem for that of a newer console or of another program."""
    version, newest = _version(conn)
    if version is _Version.FOREIGN:
        raise _of_another_program(file)
    if version is _Version.NEWER:
        raise DatabaseProblem(
            f"The database {file} was written by a newer version of the console ({newest});"
            " update this console, or specify another database with --db or FLEETOPS_CONSOLE_DB."
        )
    return version


def refuse_other_files(file: Path) -> None:
    """Raise DatabaseProblem for anything but a regular file, so that its mode and name are never changed."""
    if file.exists() and not file.is_file():
        kind = "folder" if file.is_dir() else "device, a pipe or a socket"
        raise DatabaseProblem(f"{file} is a {kind}, not a database; specify a file with --db or FLEETOPS_CONSOLE_DB.")


def refuse_other_programs(file: Path) -> None:
    """Raise DatabaseProblem for the database of another program. A file that SQLite cannot read may be a damaged one of
    the console, and is accepted."""
    version = None
    # Without a log, SQLite's files next to the database are not needed, and are not created.
    mode = "mode=ro" if _has_log(file) else _IMMUTABLE
    with suppress(sqlite3.Error, OSError), closing(_connect(file, mode, READ_TIMEOUT)) as conn:
        version, _newest = _version(conn)
    if version is _Version.FOREIGN:
        raise _of_another_program(file)


def check_folder(file: Path) -> None:
    """Create the folder of the default database (0700). Raises DatabaseProblem if another one has no folder."""
    if is_default(file):
        make_private(file.parent)
    if not file.parent.is_dir():
        raise DatabaseProblem(
            f"The folder {file.parent} of the console's database does not exist; create it, or specify another."
        )


@contextmanager
def open_to_read(file: Path) -> Iterator[Connection]:
    """Open a database of this version read-only. Raises DatabaseProblem, also for errors in the block."""
    with as_database_problem(file, READ_TIMEOUT, "read"):
        if not file.exists():
            raise no_database(file)
        refuse_other_files(file)
        with closing(connect_to_read(file)) as conn:
            # All reads in the block see the same state.
            conn.execute("BEGIN")
            version = usable_version(conn, file)
            if version is _Version.EMPTY:
                raise NoDatabase(f"The database {file} is empty. Fill it with: {command_for(file, 'sync')}")
            if version is _Version.OLDER:
                raise DatabaseProblem(
                    f"The database {file} was written by an older version of the console. To update it (or a copy of"
                    f" it, to keep the original unchanged), run: {command_for(file, 'migrate')}"
                )
            yield conn


def connect_to_read(file: Path, busy_timeout: float | None = None) -> Connection:
    """A connection that cannot write, to a database of any version. Raises sqlite3.Error and OSError."""
    seconds = READ_TIMEOUT if busy_timeout is None else busy_timeout
    try:
        return _connect(file, "mode=ro", seconds)
    except sqlite3.OperationalError as error:
        if not _kind(error).startswith((*_NO_RIGHTS, "SQLITE_IOERR_SHMSIZE")) or _has_log(file):
            raise
        # A WAL database needs its -shm file, which cannot be created on a full disk, or in a folder that this account
        # cannot write to. Without a log, no process is writing and nothing is pending, so the database file is complete
        # by itself.
        return _connect(file, _IMMUTABLE, seconds)


def _has_log(file: Path) -> bool:
    """Whether a database has a write-ahead log that is not empty."""
    log = log_of(file)
    return log.exists() and log.stat().st_size > 0


def _connect(file: Path, mode: str, seconds: float) -> Connection:
    return _connected(f"{file.resolve().as_uri()}?{mode}", seconds, uri=True, check_same_thread=False)


def _connected(target: str | Path, seconds: float, *, is_second: bool = False, **options: bool) -> Connection:
    conn = sqlite3.connect(target, timeout=seconds, isolation_level=None, factory=Connection, **options)
    try:
        # SQLite reads the file with the first statement.
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        conn.close()
        if _kind(error) != "SQLITE_NOTADB" or is_second:
            raise
        # A restore may have replaced the file while this waited for its lock, and made the old one unusable.
        return _connected(target, seconds, is_second=True, **options)
    return conn


def is_current(file: Path) -> bool:
    """Whether ``file`` is a console database of this version. Writes nothing and raises nothing."""
    return _inspected(file, lambda conn: _version(conn)[0]) is _Version.CURRENT


def is_copy(file: Path) -> bool:
    """Whether ``file`` is a copy of a console database for review. Writes nothing and raises nothing."""
    return _inspected(file, copied_at) is not None


def is_of_the_console(conn: sqlite3.Connection) -> bool:
    """Whether a database is the console's, of any version."""
    return _version(conn)[0] not in (_Version.EMPTY, _Version.FOREIGN)


def copied_at(conn: sqlite3.Connection) -> float | None:
    """When a database was made as a copy for review (epoch seconds, UTC), None if it is not one."""
    # Databases of the first versions have no such table.
    if not first_value(conn, "SELECT 1 FROM sqlite_master WHERE name = 'upkeep'"):
        return None
    at: float | None = first_value(conn, "SELECT max(at) FROM upkeep WHERE kind = 'copy'")
    return at


def _inspected(file: Path, query: Callable[[sqlite3.Connection], T]) -> T | None:
    """What ``query`` returns for a console database; None for any other file, or if it cannot be read."""
    with suppress(sqlite3.Error, OSError), closing(connect_to_read(file)) as conn:
        return query(conn) if is_of_the_console(conn) else None
    return None


def open_to_write(
    path: str | os.PathLike[str], busy_timeout: float = BUSY_TIMEOUT, *, create: bool = True, into_copy: bool = False
) -> tuple[sqlite3.Connection, Path]:
    """Open the database and migrate it as needed; returns the connection and the file.

    ``create``: create the file (0600) if it is missing, and for the default database also its folder (0700).
    ``into_copy``: accept a copy for review.

    Raises DatabaseProblem if the file or its folder is missing, or if the file is not a database, belongs to another
    program or a newer console, is read-only or damaged, or stays locked for ``busy_timeout`` seconds.
    """
    file = Path(path).expanduser()
    with as_database_problem(file, busy_timeout):
        if not create and not file.exists():
            raise no_database(file)
        check_folder(file)
        refuse_other_files(file)
        # SQLite gives -wal and -shm the mode of the database.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        conn = _connected(file, busy_timeout)
        try:
            if not into_copy:
                _refuse_copy(conn, file)
            _prepare(conn, file, busy_timeout)
        except BaseException:
            conn.close()
            raise
    return conn, file


@contextmanager
def immediate(conn: sqlite3.Connection) -> Iterator[None]:
    """A BEGIN IMMEDIATE transaction, so that concurrent syncs wait for each other instead of failing halfway."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        # An error such as a full disk may have ended the transaction already.
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _refuse_copy(conn: sqlite3.Connection, file: Path) -> None:
    if (at := copied_at(conn)) is not None:
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
        raise DatabaseProblem(
            f"The database {file} is a copy for review, made on {moment} UTC, and is not written to."
            f" To use it as an independent database from now on, run: {command_for(file, 'migrate --adopt')}"
        )


def _prepare(conn: sqlite3.Connection, file: Path, busy_timeout: float) -> None:
    conn.execute("PRAGMA synchronous=NORMAL")
    conn.execute("PRAGMA journal_size_limit=67108864")
    # 64 MB: new audit events touch pages all over the counts and indexes; with the default cache of 2 MB, SQLite would
    # read these pages again and again.
    conn.execute("PRAGMA cache_size=-65536")
    version = usable_version(conn, file)
    # After the checks: a file that is refused is left unchanged, including its mode.
    only_for_the_owner(file)
    if version is not _Version.CURRENT or first_value(conn, "PRAGMA journal_mode") != "wal":
        _enter_wal(conn, busy_timeout)
        with immediate(conn):
            # Another process may have migrated while this one waited.
            usable_version(conn, file)
            # Without any plugins that are installed for sqlite-utils.
            migrations.apply(Database(conn, execute_plugins=False))
            # Consoles up to 0.2.0 use it to recognise a newer database, later ones a migration while they write.
            conn.execute(f"PRAGMA user_version={len(known_names())}")
    # SQLite reports a read-only file or folder only when a write begins.
    with immediate(conn):
        pass


def _enter_wal(conn: sqlite3.Connection, busy_timeout: float) -> None:
    # SQLite does not wait for a lock here, whatever the busy timeout.
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            conn.execute("PRAGMA auto_vacuum=INCREMENTAL")
            conn.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _kind(error).startswith(_BUSY) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
