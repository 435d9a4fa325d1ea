# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SQLite connection that accepts any Python string, whether from run logs, responses, URLs or command lines."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from console.record.rows import storable

Params = Mapping[str, Any] | Sequence[Any]

# A list parameter is passed as JSON, for json_each.
sqlite3.register_adapter(list, json.dumps)
sqlite3.register_adapter(tuple, json.dumps)


class Connection(sqlite3.Connection):
    """A connection that replaces lone surrogates with ``?``, both in stored values and in search terms.

    JSON can contain a lone surrogate (an emoji that was cut in two), and Python uses one for each byte of an argument
    or file name that is not UTF-8. SQLite cannot store them.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, _storable(parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """As in sqlite3. If a row contains a lone surrogate, the rows before it are written twice, so the statement
        must be idempotent."""
        rows = list(parameters)
        try:
            return super().executemany(sql, rows)
        except UnicodeEncodeError:
            return super().executemany(sql, map(_storable, rows))


def dicts(conn: sqlite3.Connection, sql: str, params: Params = ()) -> list[dict[str, Any]]:
    """All rows of a SELECT, each as a dictionary."""
    cursor = conn.execute(sql, params)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def first_row(conn: sqlite3.Connection, sql: str, params: Params = ()) -> dict[str, Any] | None:
    """The first row, or None if there is none."""
    return next(iter(dicts(conn, sql, params)), None)


def first_column(conn: sqlite3.Connection, sql: str, params: Params = ()) -> list[Any]:
    """The first value of each row."""
    return [row[0] for row in conn.execute(sql, params)]


def first_value(conn: sqlite3.Connection, sql: str, params: Params = ()) -> Any:
    """The first value of the first row, or None if there is no row."""
    return next(iter(first_column(conn, sql, params)), None)


def _storable(values: Params) -> Any:
    if isinstance(values, Mapping):
        return {name: _value(value) for name, value in values.items()}
    return tuple(map(_value, values))


def _value(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
