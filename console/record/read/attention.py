# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs attention, for the overview."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd

from console.record.read.frames import dicts, reading
from console.record.read.freshness import Freshness, freshness
from console.record.read.stuck import COLUMNS, StuckRules, unmoved, waiting_for_window
from console.text import times

STUCK_SECONDS = 600.0
RECENT_SECONDS = 14 * 86400.0


# The same failure in several rollouts is one entry. It links to the rollout with most of them and names a host of it.
_BAD_TARGETS = """
WITH recent AS (
  SELECT tenant, rollout_id FROM rollouts
  WHERE created_at >= :since AND failed + uncertain > 0 ORDER BY created_at DESC LIMIT 500
), bad AS (
  SELECT t.*, coalesce(t.hostname, t.instance_id, t.target_id) AS host
  FROM recent JOIN rollout_targets t USING (tenant, rollout_id)
  WHERE t.status IN ('failed', 'uncertain') AND NOT EXISTS (
    SELECT 1 FROM rollout_targets later
    WHERE later.tenant = t.tenant AND later.instance_id = t.instance_id AND later.created_at > t.created_at)
), by_rollout AS (
  SELECT status, coalesce(msg_fp, error_message, '') AS kind, rollout_id, count(*) AS targets, min(host) AS first_host,
         max(coalesce(completed_at, created_at)) AS at, substr(max(error_message), 1, 300) AS detail
  FROM bad GROUP BY status, kind, tenant, rollout_id
), ranked AS (
  SELECT *, sum(targets) OVER alike AS n, count(*) OVER alike AS rollouts,
         row_number() OVER (PARTITION BY status, kind ORDER BY targets DESC, at DESC, rollout_id) AS place
  FROM by_rollout WINDOW alike AS (PARTITION BY status, kind)
)
SELECT * FROM ranked WHERE place = 1 ORDER BY status = 'uncertain' DESC, n DESC LIMIT 20
"""

# SQLite takes the bare columns from the row of min().
_UNHEALTHY = """
SELECT s.health, coalesce(s.trouble, '') AS trouble, count(*) AS n, s.instance_id, s.checked_at,
       min(coalesce(i.hostname, s.instance_id)) AS first_host
FROM instance_state s LEFT JOIN instances i ON i.tenant = s.tenant AND i.instance_id = s.instance_id
WHERE s.health IS NOT NULL AND s.health NOT IN ('healthy', 'starting', '')
GROUP BY s.health, coalesce(s.trouble, '') ORDER BY s.health = 'unhealthy' DESC, n DESC LIMIT 20
"""

_BAD_RUNS = """
SELECT run_id, status, playbook, started_at, heartbeat_at, failed, unreachable, dropped_events,
       (SELECT CASE instr(h.msg, h.host) WHEN 1 THEN '' ELSE h.host || ': ' END || substr(h.msg, 1, 300)
        FROM host_results h INDEXED BY host_results_trouble
        WHERE h.run_id = r.run_id AND h.status IN ('failed', 'unreachable') ORDER BY h.counter LIMIT 1) AS first_failure
FROM runs r
WHERE started_at >= :since AND (
  (status IN ('failed', 'lost', 'unknown') AND NOT EXISTS (
     SELECT 1 FROM runs later WHERE later.started_at > r.started_at AND later.playbook IS r.playbook
     AND later.status = 'successful' AND later.check_mode IS r.check_mode))
  OR (status = 'running' AND heartbeat_at < :quiet)
  OR dropped_events > 0)
ORDER BY started_at DESC LIMIT 20
"""


Entry = tuple[str, str, str, float | None, str, str]


def attention(path: Path, now: float) -> pd.DataFrame:
    """What needs attention: stuck, uncertain, failed, unhealthy, waiting for the window, bad runs, stale data.

    Columns: status (a key of text.statuses.LOOKS), title, detail (machine text or ''), at, page ('rollout', 'run',
    'instance', 'instances' or ''), id (of the page; for 'instances' the health that they have in common).
    A failed target counts while it is the newest of its instance; a failed run until the playbook succeeds later; an
    instance is unhealthy by its newest health check, whenever that was.
    """
    fresh = freshness(path)
    rows: list[Entry] = []
    with reading(path) as conn:
        rows += _unmoved(conn, fresh, now)
        for r in dicts(conn, _BAD_TARGETS, {"since": now - RECENT_SECONDS}):
            where = f"in {r['rollouts']:,} rollouts" if r["rollouts"] > 1 else ""
            rows.append((r["status"], _counted(r, where), r["detail"] or "", r["at"], "rollout", r["rollout_id"]))
        rows += _unhealthy(conn)
        for r in waiting_for_window(conn, fresh, now):
            title = _counted({"first_host": r["host"], "n": r["targets"]}, "waiting for the window")
            rows.append(("queued", title, r["why"], r["at"], "rollout", r["rollout_id"]))
        for r in dicts(
            conn, _BAD_RUNS, {"since": now - RECENT_SECONDS, "quiet": (fresh.runs_at or now) - STUCK_SECONDS}
        ):
            rows.append((r["status"], *_run_trouble(r, fresh.runs_at or now), r["started_at"], "run", r["run_id"]))
        gaps = _gaps(conn)
    return pd.DataFrame(rows + _stale(fresh, now) + gaps, columns=["status", "title", "detail", "at", "page", "id"])


def _unhealthy(conn: sqlite3.Connection) -> list[Entry]:
    found: list[Entry] = []
    for r in dicts(conn, _UNHEALTHY, {}):
        where = ("instance", r["instance_id"]) if r["n"] == 1 else ("instances", r["health"])
        found.append((r["health"], _counted(r), r["trouble"], r["checked_at"], *where))
    return found


def _stale(fresh: Freshness, now: float) -> list[Entry]:
    newest = fresh.read[-1][0] if fresh.read else fresh.runs_at
    found: list[Entry] = []
    stale = fresh.stale(now)
    # One entry for the tenants with open work and one for those without.
    for looks in ([look for look in stale if look.open_work], [look for look in stale if not look.open_work]):
        if looks:
            whose = f"{looks[0].tenant}: the" if len(fresh.looks) > 1 else "The"
            title = f"{whose} API was last read {times.rounded(now - (looks[0].at or 0))} ago"
            others = len(looks) - 1
            were = f"{others:,} more tenant{'s were' if others > 1 else ' was'} not read recently either."
            found.append(("unknown", title, were if others else "", looks[0].at, "", ""))
    # After the stale tenants: a page that shows only the first entries of a kind must show those.
    return found + [
        ("error", "The last sync could not read everything", error, newest, "", "") for error in fresh.errors
    ]


def _gaps(conn: sqlite3.Connection) -> list[Entry]:
    return [
        (
            "unknown",
            "Actions of an instance are missing" if r["source"] == "actions" else "Audit events are missing",
            f"Between two syncs there were more than could be read: {r['scope']}",
            r["gap_from"],
            "",
            "",
        )
        for r in dicts(
            conn, "SELECT source, scope, gap_from FROM ingest_cursors WHERE gap_from IS NOT NULL LIMIT 5", {}
        )
    ]


def _unmoved(conn: sqlite3.Connection, fresh: Freshness, now: float) -> list[Entry]:
    """What is stuck, one entry a rollout and rule."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in unmoved(conn, fresh, now, StuckRules()):
        one_row = dict(zip(COLUMNS, row, strict=True))
        entry = found.setdefault((one_row["rollout_id"], one_row["rule"]), {**one_row, "n": 0})
        entry["n"] += one_row["targets"]
    said = {"in progress": "in progress for", "queued": "due and not started for"}
    return [
        (
            "stuck",
            _counted({"first_host": e["host"], "n": e["n"]}, f"{said[rule]} {times.rounded(e['for_s'] or 0)}"),
            f"It may be stuck. {e['why']}",
            e["since_at"],
            "rollout",
            rollout_id,
        )
        for (rollout_id, rule), e in list(found.items())[:20]
    ]


def _counted(row: dict[str, Any], what: str = "") -> str:
    others = row["n"] - 1
    more = f" and {others:,} more instance{'s' if others > 1 else ''}" if others else ""
    return f"{row['first_host']}{more}" + (f": {what}" if what else "")


def _run_trouble(row: dict[str, Any], now: float) -> tuple[str, str]:
    name = Path(row["playbook"] or "a playbook").name
    if row["status"] == "running":
        return f"{name}: running, but without events for {times.rounded(now - row['heartbeat_at'])}", ""
    if row["status"] in ("failed", "lost", "unknown"):
        bad = row["failed"] + row["unreachable"]
        words = [f"{row[word]:,} {word}" for word in ("failed", "unreachable") if row[word]]
        counts = f"{' and '.join(words)} task result{'s' if bad > 1 else ''}" if bad else ""
        first = f"First, {row['first_failure']}" if row["first_failure"] else ""
        detail = ". ".join(part for part in (counts, first) if part)
        why = {"lost": ": its process ended without a recap", "unknown": ": its state is unknown"}
        return name + why.get(row["status"], ""), detail
    return f"{name}: {row['dropped_events']:,} events of this run could not be read", ""
