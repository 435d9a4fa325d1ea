# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening the console's database for reading: what can be wrong with it, and rows as frames.

Every call opens the file read-only for itself, so that a sync is never held up and a page never sees half of one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    FIRST_TIME,
    PAST_LAST_TIME,
    parse_time,
)
from console.record.problem import DatabaseProblem, NoDatabase, damaged
from console.record.schema.migrations import known_names
from console.settings.invocation import COMMAND

BUSY_SECONDS = 3.0
QUERY_SECONDS = 10.0
PAGE = 500
LIST_PAGE = 100

SYNC = f"{COMMAND} sync"
MIGRATE = f"{COMMAND} migrate"


def stamp(path: Path) -> tuple[int, ...]:
    """A value that changes whenever the database does: sizes and times of the file and its write-ahead log."""
    values: list[int] = []
    for file in (path, path.with_name(path.name + "-wal")):
        try:
            state = file.stat()
        except OSError:
            values += [0, 0]
        else:
            values += [state.st_mtime_ns, state.st_size]
    return tuple(values)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    conn = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        conn.execute("PRAGMA query_only = on")
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        conn.close()
        raise
    return conn


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path, "mode=ro")
    except sqlite3.OperationalError as error:
        log = path.with_name(path.name + "-wal")
        cut_off = "readonly" in str(error) or "unable to open" in str(error)
        if not cut_off or (log.exists() and log.stat().st_size):
            raise
        # A WAL database needs its -shm file, which cannot be made in a folder this account may not write. Without a
        # log there is no writer and nothing pending, so the file alone is the whole truth.
        return _connect(path, "immutable=1")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise NoDatabase(f"There is no database at {path} yet. Make one with: {SYNC}")
    try:
        conn = _open(path)
    except (sqlite3.Error, OSError) as error:
        raise _problem(path, error) from error
    deadline = time.monotonic() + QUERY_SECONDS
    conn.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
    try:
        _check_version(conn, path)
        yield conn
    except sqlite3.Error as error:
        raise _problem(path, error) from error
    finally:
        conn.close()


def _check_version(conn: sqlite3.Connection, path: Path) -> None:
    version = conn.execute("PRAGMA user_version").fetchone()[0]
    ours = len(known_names())
    if version > ours:
        raise DatabaseProblem(
            f"The database {path} was written by a newer console (version {version}, this one knows {ours}). "
            "Update this checkout, or name another file in FLEETOPS_CONSOLE_DB."
        )
    if version < ours:
        if version == 0 and conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'runs'").fetchone()[0] == 0:
            if conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise DatabaseProblem(f"{path} is not the console's database. Name its file in FLEETOPS_CONSOLE_DB.")
            raise NoDatabase(f"The database {path} is empty. Fill it with: {SYNC}")
        raise DatabaseProblem(
            f"The database {path} is from an older console. Bring it up to date (a copy of it, if it is to stay as it"
            f" is) with: {MIGRATE} --db FILE"
        )


def _problem(path: Path, error: Exception) -> DatabaseProblem:
    text = str(error)
    if "locked" in text or "busy" in text:
        return DatabaseProblem(f"The database {path} is locked by another program. Reload the page when it is done.")
    if "interrupted" in text:
        return DatabaseProblem(f"Reading took longer than {QUERY_SECONDS:g} s and was stopped. Narrow the filters.")
    if "not a database" in text or "malformed" in text or "corrupt" in text:
        return DatabaseProblem(damaged(path, text))
    if "unable to open" in text or "readonly" in text or isinstance(error, OSError):
        return DatabaseProblem(
            f"This account may not read the database {path} ({text}). Check the rights of its folder."
        )
    return DatabaseProblem(f"The database {path} cannot be read: {text}.")


def as_frame(conn: sqlite3.Connection, sql: str, params: dict[str, Any], numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Rows as a frame: ``numbers`` as floats (NaN for NULL), whole numbers as int64, the rest as Python objects.

    Here and below a column that is named ``at``, ``*_at`` or ``*_ts`` is a time.
    """
    cursor = conn.execute(sql, params)
    names = [column[0] for column in cursor.description]
    columns = list(zip(*cursor.fetchall(), strict=True)) or [() for _dummy in names]
    frame = {}
    for name, values in zip(names, columns, strict=True):
        if _is_time(name):
            values = tuple(map(_time, values))
        if name in numbers:
            frame[name] = pd.Series(values, dtype=float)
        elif set(map(type, values)) == {int}:
            frame[name] = pd.Series(values, dtype="int64")
        else:
            # Not pandas' own text type: it turns None into NaN, which is true.
            frame[name] = pd.Series(values, dtype=object)
    return pd.DataFrame(frame)


def one(conn: sqlite3.Connection, sql: str, params: dict[str, Any]) -> dict[str, Any] | None:
    cursor = conn.execute(sql, params)
    row = cursor.fetchone()
    return None if row is None else _with_times([column[0] for column in cursor.description], row)


def like(search: str) -> str:
    """A LIKE pattern that finds the text literally; '' when there is nothing to look for."""
    text = search.strip()
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, "\\" + sign)
    return f"%{text}%" if text else ""


def dicts(conn: sqlite3.Connection, sql: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = conn.execute(sql, params)
    names = [column[0] for column in cursor.description]
    times = [name for name in names if _is_time(name)]
    rows = [dict(zip(names, values, strict=True)) for values in cursor]
    for name in times:
        for row in rows:
            row[name] = _time(row[name])
    return rows


def _with_times(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {name: _time(value) if _is_time(name) else value for name, value in zip(names, row, strict=True)}


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith(("_at", "_ts"))


def _time(value: Any) -> Any:
    """A stored time; None for a number that is none, which an older console may have stored."""
    if isinstance(value, (int, float)) and not FIRST_TIME <= value < PAST_LAST_TIME:
        return parse_time(value)
    return value
