# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database with very many audit events, for benchmarks: events by executemany, and their counts by SQL in one pass.

The counts are the same as if the store had written the events; test_audit_page.py checks that with a small database.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from console.record.write.store import open_store
from tests.console.support.seeded import TENANT, host_name, ident, iso

SOURCES = ("mcp", "runtime", "api", "skill")
ROLES = ("agent", "operator", "system")
SERVERS = ("github", "jira", "calendar", "mail", "files", "search")
DAYS = 30
COUNT = (
    """
    INSERT INTO audit_daily
    SELECT tenant, instance_id, strftime('%Y-%m-%d', event_ts, 'unixepoch'), coalesce(source, ''),
           coalesce(outcome, ''), coalesce(role, ''), coalesce(tool_name, ''), coalesce(server_slug, ''), count(*)
    FROM audit_events GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    """,
    *(
        f"INSERT INTO audit_fleet_daily SELECT '{name}', day, {name}, outcome, tenant, sum(n) FROM audit_daily"
        f" GROUP BY day, {name}, outcome, tenant"
        for name in ("source", "role", "tool_name", "server_slug")
    ),
    "INSERT INTO audit_held (tenant, instance_id, events)"
    " SELECT tenant, instance_id, sum(n) FROM audit_daily GROUP BY tenant, instance_id",
)


def seed_audit(path: Path, events: int = 1_000_000, instances: int = 200, now: float | None = None) -> None:
    """Add ``events`` of the last 30 days, distributed over ``instances``. About 1 % of the API's total is missing.

    The database is created if it does not exist. A million events take a minute or two on a busy machine.
    """
    now = time.time() if now is None else now
    open_store(path).close()
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        conn.execute("PRAGMA synchronous = off")
        conn.execute("BEGIN")
        each = [events // instances + (number < events % instances) for number in range(instances)]
        conn.execute("INSERT INTO tenants VALUES (?, ?, NULL, ?) ON CONFLICT DO NOTHING", (TENANT, TENANT, now))
        conn.executemany(
            "INSERT INTO instances (tenant, instance_id, hostname, first_seen, updated_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(TENANT, ident(n, 0xB0), host_name(n), now, now) for n in range(instances)],
        )
        conn.executemany(
            "INSERT INTO audit_events (tenant, instance_id, id, event_id, event_ts, event_ts_raw, source, event_type,"
            " outcome, role, tool_name, server_slug) VALUES (?, ?, ?, ?, ?, ?, ?, 'tool_call', ?, ?, ?, ?)",
            (row for number, count in enumerate(each) for row in _rows(number, count, now)),
        )
        for statement in COUNT:
            conn.execute(statement)
        conn.executemany(
            "INSERT INTO audit_summaries VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            [
                (TENANT, ident(n, 0xB0), now, count + count // 100, count * 9 // 10, count // 12, count // 50)
                for n, count in enumerate(each)
            ],
        )
        conn.executemany(
            "INSERT INTO ingest_cursors (source, scope, last_ok_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [("api", TENANT, now), *(("audit", f"{TENANT}|{ident(n, 0xB0)}", now) for n in range(instances))],
        )
        conn.execute("COMMIT")
        conn.execute("PRAGMA analysis_limit = 400")
        conn.execute("ANALYZE")
    finally:
        conn.close()


def _rows(number: int, count: int, now: float) -> Iterator[tuple[object, ...]]:
    rng = random.Random(number)
    instance = ident(number, 0xB0)
    tools = [f"tool_{n:02d}" for n in range(30)]
    for index in range(count):
        at = now - rng.random() * DAYS * 86400
        kind = rng.random()
        source = SOURCES[int(4 * kind * kind)]
        called = source in ("mcp", "skill")
        chance = rng.random()
        yield (
            TENANT, instance, f"{number}-{index}", f"e{index}", at, iso(at), source,
            "error" if chance < 0.07 else "denied" if chance < 0.1 else "success",
            ROLES[int(3 * rng.random() ** 3)],
            tools[int(30 * rng.random() ** 2)] if called else None,
            SERVERS[int(6 * kind)] if source == "mcp" else None,
        )  # fmt: skip
