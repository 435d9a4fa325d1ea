# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running queries on the console's database: connections, and rows as pandas frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Concatenate, ParamSpec, TypeVar

import pandas as pd

from console.record.connection import first_value
from console.record.opening import QUERY_SECONDS, open_to_read
from console.record.private_files import log_of
from console.text.times import is_duration, is_time

PAGE = 500
LIST_PAGE = 100

OnePage = tuple[pd.DataFrame, int]
"""One page of the matching rows, and the total number of matching rows."""

P = ParamSpec("P")
R = TypeVar("R")


def database_version(path: Path) -> tuple[int, ...]:
    """A value that changes whenever the database does: mtime and size of the file and of its write-ahead log."""
    values: list[int] = []
    for file in (path, log_of(path)):
        try:
            state = file.stat()
        except OSError:
            values += [0, 0]
        else:
            values += [state.st_mtime_ns, state.st_size]
    return tuple(values)


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Open the database for the queries of one function, which are interrupted after QUERY_SECONDS.

    It is opened read-only each time, so that it never blocks a sync and a page never sees a half-finished one. Raises
    DatabaseProblem.
    """
    with open_to_read(path) as conn:
        deadline = time.monotonic() + QUERY_SECONDS
        conn.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
        yield conn


def query(read: Callable[Concatenate[Connection, P], R]) -> Callable[Concatenate[Path | Connection, P], R]:
    """Decorator for a function that reads from a connection: it also accepts the path of the database, which is then
    opened with :func:`reading` for this call."""

    @wraps(read)
    def called(database: Path | Connection, *args: P.args, **kwargs: P.kwargs) -> R:
        if isinstance(database, Connection):
            return read(database, *args, **kwargs)
        with reading(database) as conn:
            return read(conn, *args, **kwargs)

    return called


def as_frame(
    conn: Connection, sql: str, params: Mapping[str, Any] | None = None, numbers: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows as a frame: times, seconds and ``numbers`` as floats (NaN for NULL), columns of integers as int64, and all
    other columns as objects.

    Whether a column contains times (:func:`times.is_time`) or seconds (:func:`times.is_duration`) is determined by its
    name.
    """
    cursor = conn.execute(sql, params or {})
    return framed(cursor.fetchall(), [column[0] for column in cursor.description], numbers)


def framed(
    rows: Iterable[Sequence[Any]], columns: Sequence[str], numbers: Sequence[str] = (), integers: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows of values as a frame, as in :func:`as_frame`. ``integers``: columns that are int64 even without rows."""
    by_column = list(zip(*rows, strict=True)) or [() for _dummy in columns]
    frame = {}
    for name, values in zip(columns, by_column, strict=True):
        if name in numbers or is_duration(name) or is_time(name):
            frame[name] = pd.Series(values, dtype=float)
        elif name in integers or set(map(type, values)) == {int}:
            frame[name] = pd.Series(values, dtype="int64")
        else:
            # Not pandas' own string type: it turns None into NaN, which is truthy.
            frame[name] = pd.Series(values, dtype=object)
    return pd.DataFrame(frame)


def as_page(
    conn: Connection,
    select: str,
    found: str,
    order: str,
    params: dict[str, Any],
    page: int,
    size: int,
    numbers: Sequence[str] = (),
    *,
    tables: str = "",
) -> OnePage:
    """Page ``page`` (1, 2, ...) of the rows that ``found`` (FROM and WHERE) selects, and their total number.

    ``tables``: a WITH clause for both queries.
    """
    total = first_value(conn, f"{tables} SELECT count(*) {found}", params)
    sql = f"{tables} {select} {found} {order} LIMIT :size OFFSET :skip"
    return as_frame(conn, sql, {**params, "size": size, "skip": (page - 1) * size}, numbers), total


def like(search: str) -> str:
    """A LIKE pattern that matches the text literally; '' if there is nothing to search for."""
    text = search.strip()
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, "\\" + sign)
    return f"%{text}%" if text else ""
