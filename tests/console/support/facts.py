# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a database for tests: rows, complete dumps, and values of the wrong type."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

# The only column that a sync without news may change: the time of the last read.
LOOKED = {"ingest_cursors": {"last_ok_at"}}

_STORAGE = {"TEXT": "text", "INTEGER": "integer", "REAL": "real"}


def tables(path: Path) -> list[str]:
    with sqlite3.connect(path) as conn:
        found = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return sorted(row[0] for row in found)


def rows(path: Path, sql: str, *params: Any) -> list[dict[str, Any]]:
    """The rows of a query, as dictionaries."""
    conn = sqlite3.connect(path)
    try:
        cursor = conn.execute(sql, params)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
    finally:
        conn.close()


def evidence(path: Path, run_id: str) -> list[dict[str, Any]]:
    """The plan, the gates and the report that are stored for a run, in order, each with its ``document``."""
    found = rows(path, "SELECT * FROM run_evidence WHERE run_id = ? ORDER BY counter", run_id)
    for row in found:
        row["document"] = json.loads(row.pop("document_json"))
        row["reasons"], row["checks"] = row["document"].get("reasons", []), row["document"].get("checks", [])
    return found


def dump(path: Path, *, leave_out: dict[str, set[str]] | None = None) -> dict[str, list[str]]:
    """Every row of every table as sorted text, without the columns in ``leave_out`` (default: LOOKED)."""
    left_out = LOOKED if leave_out is None else leave_out
    return {
        table: sorted(
            repr({k: v for k, v in row.items() if k not in left_out.get(table, ())})
            for row in rows(path, f"SELECT * FROM {table}")
        )
        for table in tables(path)
        if table != "_sqlite_migrations"
    }


def wrong_types(path: Path) -> list[str]:
    """The columns that contain values of another storage class than the declared one."""
    found = []
    for table in tables(path):
        for column in rows(path, f"SELECT name, type FROM pragma_table_info('{table}')"):
            name, wanted = column["name"], _STORAGE[column["type"]]
            odd = rows(path, f"SELECT DISTINCT typeof({name}) AS t FROM {table} WHERE typeof({name}) <> 'null'")
            found += [f"{table}.{name}: {row['t']}" for row in odd if row["t"] != wanted]
    return found
