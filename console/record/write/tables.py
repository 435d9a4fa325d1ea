# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database that is open for writing: its transactions, and the statements that write its tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key, spellings
from console.record.connection import dicts, first_column, first_value
from console.record.opening import BUSY_TIMEOUT, as_database_problem, immediate, usable_version
from console.record.rows import Row


class Tables:
    """A database that is open for writing. Use it from one thread, and as a context manager.

    ``upsert``, ``replace`` and ``add_if_new`` belong inside ``transaction``. The names and conditions in their SQL come
    from this code, and values are bound.
    """

    def __init__(self, conn: sqlite3.Connection, path: Path, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.conn, self.path, self._busy_timeout = conn, path, busy_timeout
        self._opened_as = self._versions()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        # Statistics for the query planner of the readers. They are optional: a lock or a full disk is ignored here.
        with suppress(sqlite3.Error):
            self.conn.execute("PRAGMA busy_timeout=1000")
            self.conn.execute("PRAGMA analysis_limit=400")
            self.conn.execute("PRAGMA optimize")
        self.conn.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all changes of the block, or none. A nested block is part of the outer one. Raises DatabaseProblem."""
        if self.conn.in_transaction:
            yield
            return
        with as_database_problem(self.path, self._busy_timeout), immediate(self.conn):
            if self._versions() != self._opened_as:
                # A newer console may have migrated the database since it was opened here.
                usable_version(self.conn, self.path)
                self._opened_as = self._versions()
            yield

    def _versions(self) -> tuple[int, int]:
        """SQLite's counter of changes of the schema, and the number of migrations."""
        return first_value(self.conn, "PRAGMA schema_version"), first_value(self.conn, "PRAGMA user_version")

    def rows(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """The rows of a SELECT. Raises DatabaseProblem."""
        with as_database_problem(self.path, self._busy_timeout):
            return dicts(self.conn, sql, params)

    def one(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> Row | None:
        """The first row of a SELECT, None if there is none. Raises DatabaseProblem."""
        return next(iter(self.rows(sql, params)), None)

    def upsert(self, table: str, rows: Sequence[Row]) -> int:
        """Insert or update by the table's key; unchanged rows are not written. Returns how many were written.

        All rows have the same columns. ``first_seen`` is set on insert only. ``updated_at`` is only written if another
        column differs.
        """
        if not rows:
            return 0
        columns, keys = list(rows[0]), self._key(table)
        facts = [c for c in columns if c not in keys and c not in ("first_seen", "updated_at")]
        names, marks = ", ".join(columns), ", ".join(f":{c}" for c in columns)
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(keys)}) DO "  # noqa: S608
        if facts:
            changed = [*facts, "updated_at"] if "updated_at" in columns else facts
            sql += "UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in changed)
            sql += " WHERE " + " OR ".join(f"{table}.{c} IS NOT excluded.{c}" for c in facts)
        else:
            sql += "NOTHING"
        before = self.conn.total_changes
        self.conn.executemany(sql, rows)
        return self.conn.total_changes - before

    def replace(self, table: str, scope: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Make ``rows`` the only rows of ``table`` within ``scope``; unchanged rows are not written."""
        keys = self._key(table)
        where = " AND ".join(f"{c} = ?" for c in scope)
        have = self.conn.execute(f"SELECT {', '.join(keys)} FROM {table} WHERE {where}", tuple(scope.values()))  # noqa: S608
        gone = set(have) - {tuple(row[k] for k in keys) for row in rows}
        self.conn.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{k} = ?' for k in keys)}", list(gone))  # noqa: S608
        self.upsert(table, rows)

    def add_if_new(self, table: str, row: Row) -> bool:
        """Add a row unless the one before or after it (by ``taken_at``) with otherwise the same key has the same
        values: another sync may have stored a later read. Returns whether it was added."""
        keys = self._key(table)
        facts = [c for c in row if c not in keys]
        where = " AND ".join(f"{c} = :{c}" for c in keys if c != "taken_at")
        near = f"SELECT {', '.join(facts)} FROM {table} WHERE {where} AND taken_at"  # noqa: S608
        ends = ("<= :taken_at ORDER BY taken_at DESC LIMIT 1", "> :taken_at ORDER BY taken_at LIMIT 1")
        found = [self.conn.execute(f"{near} {end}", row).fetchone() for end in ends]
        return tuple(row[c] for c in facts) not in found and bool(self.upsert(table, [row]))

    def spelled(self, table: str, column: str, scope: Mapping[str, Any], ids: Iterable[str]) -> dict[str, str]:
        """For each of the ids that ``table`` contains within ``scope``, its spelling there.

        A server may spell a UUID in another way than before.
        """
        wanted = list(ids)
        among = f"{column} IN (SELECT value FROM json_each(:any))"  # noqa: S608
        where = " AND ".join([*(f"{c} = :{c}" for c in scope), among])
        sql = f"SELECT DISTINCT {column} AS id FROM {table} WHERE {where}"  # noqa: S608
        params = {**scope, "any": [text for i in wanted for text in spellings(i)]}
        found = [str(row["id"]) for row in self.rows(sql, params)]
        stored = {id_key(text): text for text in found} | {text: text for text in found}
        return {i: stored[i if i in stored else id_key(i)] for i in wanted if i in stored or id_key(i) in stored}

    def _key(self, table: str) -> list[str]:
        """The columns of a table's primary key."""
        return first_column(self.conn, "SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
