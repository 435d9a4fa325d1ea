# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the database: how fresh each source is, what is missing, table sizes, and the last maintenance."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.record.connection import first_column, first_value
from console.record.read.frames import LIST_PAGE, OnePage, as_frame, as_page, query, reading
from console.record.read.freshness import UNREAD, Follower, follower, freshness
from console.record.read.sql import RETIRED
from console.record.read.stuck import OPEN, StuckRules, lost_runs, stuck_targets
from console.record.read.unrecovered import failing_targets
from console.record.retention import BEFORE, Retention, removals
from console.text.json_values import parsed


@query
def sources(conn: Connection) -> pd.DataFrame:
    """One row per source: source, scopes (how many), read_at (newest read), oldest_at (when the scope that was not read
    for the longest time was read), and the numbers of errors, gaps and bad_lines."""
    sql = f"""
    SELECT source, count(*) FILTER (WHERE scope <> '') AS scopes, max(last_ok_at) AS read_at,
           min(last_ok_at) AS oldest_at, count(*) FILTER (WHERE {UNREAD}) AS errors,
           sum(gap_from IS NOT NULL) AS gaps, sum(bad_lines) AS bad_lines
    FROM ingest_cursors GROUP BY source ORDER BY source
    """  # noqa: S608 - no user input
    return as_frame(conn, sql)


@query
def source_troubles(conn: Connection, page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of what could not be read: source, scope, host, last_error, gap_from, gap_to, bad_lines, last_ok_at."""
    where = """
        FROM ingest_cursors c LEFT JOIN instances i
          ON i.tenant = substr(c.scope, 1, instr(c.scope, '|') - 1)
          AND i.instance_id = substr(c.scope, instr(c.scope, '|') + 1)
        WHERE coalesce(c.last_error, '') <> '' OR c.gap_from IS NOT NULL OR c.bad_lines > 0
    """
    columns = "SELECT c.source, c.scope, i.hostname AS host, c.last_error, c.gap_from, c.gap_to, c.bad_lines,"
    columns += " c.last_ok_at"
    return as_page(conn, columns, where, "ORDER BY c.source, c.scope", {}, page, size)


@query
def run_log_positions(conn: Connection) -> dict[str, int]:
    """Up to which byte each run log has been read, by file name."""
    found = conn.execute("SELECT scope, position FROM ingest_cursors WHERE source = 'spool' AND scope <> ''")
    return {str(name): int(position or 0) for name, position in found}


@dataclass(frozen=True)
class LastMaintenance:
    """When the newest backup and pruning took place (epoch seconds; None for never), and their details.

    copied_at, copy: when this database was copied for review (None if it is not a copy), and from which "file".
    """

    backup_at: float | None
    backup: dict[str, Any]
    prune_at: float | None
    prune: dict[str, Any]
    copied_at: float | None
    copy: dict[str, Any]


@query
def last_maintenance(conn: Connection) -> LastMaintenance:
    """The newest backup and pruning, and whether the database is a copy."""
    found = {
        kind: (at, parsed(detail))
        for kind, at, detail in conn.execute("SELECT kind, max(at), detail_json FROM upkeep GROUP BY kind")
    }
    backup, prune, copy = (found.get(kind, (None, {})) for kind in ("backup", "prune", "copy"))
    return LastMaintenance(*backup, *prune, *copy)


@query
def table_sizes(conn: Connection) -> pd.DataFrame:
    """One row per table, biggest first: table, rows, bytes (including indexes; NaN if SQLite does not report it)."""
    names = first_column(conn, "SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = [name for name in names if not name.startswith(("sqlite_", "_sqlite"))]
    rows = {name: first_value(conn, f'SELECT count(*) FROM "{name}"') for name in tables}  # noqa: S608 - own tables
    try:
        sizes = dict(
            conn.execute(
                "SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat s"
                " LEFT JOIN sqlite_master m ON m.name = s.name WHERE s.aggregate = 1 GROUP BY 1"
            ).fetchall()
        )
    except sqlite3.Error:
        # This SQLite was built without dbstat, or reading the entire file exceeded the time limit for a page.
        sizes = {}
    frame = pd.DataFrame(
        {"table": tables, "rows": [rows[t] for t in tables], "bytes": [float(sizes.get(t, "nan")) for t in tables]}
    )
    return frame.sort_values(["bytes", "rows"], ascending=False, ignore_index=True)


@query
def prunable(conn: Connection, retention: Retention, now: float) -> pd.DataFrame:
    """What pruning would remove: what, table, before_at (older rows are candidates), rows."""
    found = []
    for removal in removals(retention, now):
        sql = f"""
        WITH s AS ({removal.scopes})
        SELECT {BEFORE}, (SELECT count(*) FROM s CROSS JOIN {removal.table} t ON {removal.where.format("s.")})
        """  # noqa: S608 - no user input
        found.append((removal.what, removal.table, *conn.execute(sql, removal.params).fetchone()))
    return pd.DataFrame(found, columns=["what", "table", "before_at", "rows"])


@dataclass(frozen=True)
class Vitals:
    """Figures that monitoring checks. Times are epoch seconds (UTC); None for never or none.

    api_at: when the API of the tenant that is behind (Freshness.behind) was last read. api_tenant: that tenant; '' if
    there is only one. oldest_open_at: when the oldest open target was created, by this machine's clock. stuck: targets
    that are stuck (rules in stuck.py). uncertain, failed: instances whose newest target in the last 14 days has this
    status and that have not recovered since. lost: lost runs in those days without a later success. errors: sources
    with an error. follower: as returned by freshness.follower.
    """

    api_at: float | None
    runs_at: float | None
    oldest_open_at: float | None
    stuck: int
    uncertain: int
    failed: int
    lost: int
    errors: int
    backup_at: float | None
    api_tenant: str = ""
    follower: Follower | None = None


def vitals(path: Path, now: float, stuck_rules: StuckRules | None = None) -> Vitals:
    chosen = stuck_rules or StuckRules()
    with reading(path) as conn:
        fresh, since = freshness(conn), now - chosen.recent
        moving, lost = stuck_targets(conn, fresh, now, chosen), lost_runs(conn, since)
        oldest = conn.execute(
            f"SELECT t.tenant, min(t.created_at) AS at {OPEN} AND t.tenant NOT IN {RETIRED}"
            " AND t.created_at IS NOT NULL GROUP BY t.tenant"
        )
        oldest_at = min((at - fresh.ahead(tenant) for tenant, at in oldest), default=None)
        bad = Counter(failing.status for failing in failing_targets(conn, since))
        errors = first_value(conn, f"SELECT count(*) FROM ingest_cursors WHERE {UNREAD}")  # noqa: S608
        backup_at = last_maintenance(conn).backup_at
    behind = fresh.behind(now)
    return Vitals(
        api_at=behind.at if behind else None,
        runs_at=fresh.runs_at,
        oldest_open_at=oldest_at,
        stuck=sum(row["targets"] for row in moving),
        uncertain=bad["uncertain"],
        failed=bad["failed"],
        lost=len(lost),
        errors=errors,
        backup_at=backup_at,
        api_tenant=behind.tenant if behind and len(fresh.tenants) > 1 else "",
        follower=follower(path, now),
    )
