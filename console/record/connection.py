# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to SQLite that takes every text that Python has: of run logs, answers, addresses and command lines."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from console.record.rows import storable

# A list among the parameters becomes JSON, for json_each.
sqlite3.register_adapter(list, json.dumps)
sqlite3.register_adapter(tuple, json.dumps)


class Connection(sqlite3.Connection):
    """A connection that stores, and looks for, half of a surrogate pair as ``?``.

    JSON can carry such a half (an emoji that was cut in two), and Python has one for each byte of an argument or a file
    name that is not UTF-8. SQLite can store none.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As in sqlite3."""
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, _storable(parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """As in sqlite3. With such a text among the rows, the rows before it are written twice: the statement must
        have the same effect then."""
        rows = list(parameters)
        try:
            return super().executemany(sql, rows)
        except UnicodeEncodeError:
            return super().executemany(sql, map(_storable, rows))


def dicts(conn: sqlite3.Connection, sql: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> list[dict[str, Any]]:
    """All rows that a SELECT finds, one dictionary each."""
    cursor = conn.execute(sql, params)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def one(conn: sqlite3.Connection, sql: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> dict[str, Any] | None:
    """The first row, None without one."""
    return next(iter(dicts(conn, sql, params)), None)


def _storable(values: Mapping[str, Any] | Sequence[Any]) -> Any:
    if isinstance(values, Mapping):
        return {name: _value(value) for name, value in values.items()}
    return tuple(map(_value, values))


def _value(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
