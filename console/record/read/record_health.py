# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record itself: how fresh each source is, what is missing, how big the tables are, and its last maintenance."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.record.read.failing import failing_targets
from console.record.read.frames import LIST_PAGE, OnePage, as_frame, as_page, query, reading
from console.record.read.freshness import UNREAD, Follower, follower, freshness
from console.record.read.sql import RETIRED
from console.record.read.stuck import StuckRules, lost_runs, unmoved
from console.record.retention import BEFORE, Retention, rules
from console.text.json_values import parsed


@query
def sources(conn: Connection) -> pd.DataFrame:
    """By source: source, scopes (how many), read_at (newest read), oldest_at (of the scope read longest ago), errors,
    gaps and bad_lines (how many)."""
    sql = f"""
    SELECT source, count(*) FILTER (WHERE scope <> '') AS scopes, max(last_ok_at) AS read_at,
           min(last_ok_at) AS oldest_at, count(*) FILTER (WHERE {UNREAD}) AS errors,
           sum(gap_from IS NOT NULL) AS gaps, sum(bad_lines) AS bad_lines
    FROM ingest_cursors GROUP BY source ORDER BY source
    """  # noqa: S608 - the text in freshness.py
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
def spool_positions(conn: Connection) -> dict[str, int]:
    """How many bytes of each run log are stored, by file name."""
    found = conn.execute("SELECT scope, position FROM ingest_cursors WHERE source = 'spool' AND scope <> ''")
    return {str(name): int(position or 0) for name, position in found}


@dataclass(frozen=True)
class LastMaintenance:
    """The newest backup and pruning (epoch seconds, None for never) and their details.

    copied_at, copy: when this database was copied for review, and from which "file"; None if it is not a copy.
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
    """By table, biggest first: table, rows, bytes (with its indexes; NaN where this SQLite cannot tell)."""
    names = [row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = [name for name in names if not name.startswith(("sqlite_", "_sqlite"))]
    # S608: the names of the database's own tables.
    rows = {name: conn.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608
    try:
        sizes = dict(
            conn.execute(
                "SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat s"
                " LEFT JOIN sqlite_master m ON m.name = s.name WHERE s.aggregate = 1 GROUP BY 1"
            ).fetchall()
        )
    except sqlite3.Error:
        # This SQLite was built without dbstat, or reading the whole file takes longer than a page may wait.
        sizes = {}
    frame = pd.DataFrame(
        {"table": tables, "rows": [rows[t] for t in tables], "bytes": [float(sizes.get(t, "nan")) for t in tables]}
    )
    return frame.sort_values(["bytes", "rows"], ascending=False, ignore_index=True)


@query
def prunable(conn: Connection, retention: Retention, now: float) -> pd.DataFrame:
    """What a pruning would remove: what, table, before_at (older rows may go), rows."""
    found = []
    for rule in rules(retention, now):
        # S608: the rule's own text.
        sql = f"""
        WITH s AS ({rule.scopes})
        SELECT {BEFORE}, (SELECT count(*) FROM s CROSS JOIN {rule.table} t ON {rule.where.format("s.")})
        """  # noqa: S608
        found.append((rule.what, rule.table, *conn.execute(sql, rule.params).fetchone()))
    return pd.DataFrame(found, columns=["what", "table", "before_at", "rows"])


@dataclass(frozen=True)
class Vitals:
    """Figures that monitoring checks. Times are epoch seconds (UTC), None for never or none.

    api_at: of the tenant that is behind (Freshness.behind); api_tenant: which, '' where there is only one.

    stuck: targets that make no progress (rules of stuck.py). uncertain, failed: instances whose newest target of the
    last 14 days ended so, and that have not recovered since. lost: runs of those days without a later success. errors:
    sources with an error.
    follower: as freshness.follower tells it.
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
    """The figures at ``now``."""
    chosen = stuck_rules or StuckRules()
    with reading(path) as conn:
        fresh, since = freshness(conn), now - chosen.recent
        moving, lost = unmoved(conn, fresh, now, chosen), lost_runs(conn, since)
        sql = f"""
        SELECT min(t.created_at) FROM rollout_targets t INDEXED BY rollout_targets_open CROSS JOIN rollouts r
          ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
        WHERE t.is_open = 1 AND r.status <> 'paused' AND t.tenant NOT IN {RETIRED}
        """  # noqa: S608 - no user input
        oldest = conn.execute(sql).fetchone()[0]
        bad = Counter(one.status for one in failing_targets(conn, since))
        errors = conn.execute(f"SELECT count(*) FROM ingest_cursors WHERE {UNREAD}").fetchone()[0]  # noqa: S608
        backup_at = last_maintenance(conn).backup_at
    behind = fresh.behind(now)
    return Vitals(
        api_at=behind.at if behind else None,
        runs_at=fresh.runs_at,
        oldest_open_at=oldest,
        stuck=sum(row["targets"] for row in moving),
        uncertain=bad["uncertain"],
        failed=bad["failed"],
        lost=len(lost),
        errors=errors,
        backup_at=backup_at,
        api_tenant=behind.tenant if behind and len(fresh.looks) > 1 else "",
        follower=follower(path, now),
    )
