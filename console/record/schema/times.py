# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migration of stored times that are not valid: placeholders such as 0001-01-01, and milliseconds read as seconds.

Consoles before this migration stored them as they were sent, and pages could not show them.
"""

from __future__ import annotations

import sqlite3

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    FIRST_TIME,
    PAST_LAST_TIME,
    parse_time,
)
from console.record.schema.audit import FILL

# Table -> its times, each with the column that contains the text of the API, None if that is not stored.
_TIMES: dict[str, dict[str, str | None]] = {
    "rollouts": {"created_at": "created_raw", "completed_at": "completed_raw"},
    "rollout_targets": {"created_at": "created_raw", "started_at": "started_raw", "completed_at": "completed_raw"},
    "instances": {"bundle_at": None},
    "instance_state": {"checked_at": None},
    "instance_actions": {"created_at": "created_raw", "completed_at": "completed_raw"},
    "audit_events": {"event_ts": "event_ts_raw", "ingested_at": "ingested_raw"},
    "ingest_cursors": {"last_ts": None, "gap_from": None, "gap_to": None},
}
_ODD_DAY = "(length(day) <> 10 OR day < '1970' OR day > '2243') AND day <> ''"


def read_again(conn: sqlite3.Connection) -> None:
    """Parse invalid times again from the stored text; those that are still invalid become NULL."""
    conn.create_function("fleetops_time", 1, parse_time, deterministic=True)
    bounds = (FIRST_TIME, PAST_LAST_TIME)
    moved = 0
    for table, times in _TIMES.items():
        for column, raw in times.items():
            sql = f"UPDATE {table} SET {column} = fleetops_time({raw or column})"  # noqa: S608 - the names above
            touched = conn.execute(f"{sql} WHERE {column} < ? OR {column} >= ?", bounds).rowcount
            moved += touched if column == "event_ts" else 0
    # The time is part of the key, and a check without a time cannot be shown.
    odd = "checked_at < ? OR checked_at >= ?"
    conn.execute(f"UPDATE OR REPLACE health_checks SET checked_at = coalesce(fleetops_time(checked_raw), -1) WHERE {odd}", bounds)  # noqa: S608, E501  # fmt: skip
    conn.execute(f"DELETE FROM health_checks WHERE {odd}", bounds)  # noqa: S608
    if moved:
        _count_again(conn)


def _count_again(conn: sqlite3.Connection) -> None:
    if not conn.execute("SELECT count(*) FROM audit_floors").fetchone()[0]:
        for table in ("audit_daily", "audit_held"):
            conn.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
        for statement in FILL:
            conn.execute(statement)
        return
    # The raw events of some days are pruned, so counts of an invalid day are added to those of events without a time.
    conn.execute(
        f"INSERT INTO audit_daily SELECT tenant, instance_id, '', source, outcome, role, tool_name, server_slug, sum(n)"  # noqa: S608
        f" FROM audit_daily WHERE {_ODD_DAY} GROUP BY 1, 2, 4, 5, 6, 7, 8 ON CONFLICT"
        " (tenant, instance_id, day, source, outcome, role, tool_name, server_slug) DO UPDATE SET n = n + excluded.n"
    )
    conn.execute(f"DELETE FROM audit_daily WHERE {_ODD_DAY}")  # noqa: S608
