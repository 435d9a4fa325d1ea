# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long targets spent in each phase (queue, countdown and run), as SQL on ``rollout_targets t`` and as figures of a
rollout.

countdown is the part of the wait that the server scheduled, queue is the rest of the wait, run is from start to end.
Each is NULL while it is not known. An open phase is counted until ``:now``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.durations import percentile
from console.record.connection import first_column
from console.record.read.frames import as_frame, query
from console.record.read.sql import HOST, RUN_SECONDS

MIN_DEPLOYS = 4
"""An instance with fewer succeeded deploys has no usual duration."""

HISTORY = 50
"""How many of its newest succeeded deploys determine the usual duration of an instance."""

_WAITED = "max(0, coalesce(t.started_at, CASE WHEN t.is_open AND t.status = 'queued' THEN :now END) - t.created_at)"

COUNTDOWN = f"min({_WAITED}, max(0, coalesce(t.countdown_s, 0)))"
QUEUE = f"({_WAITED} - {COUNTDOWN})"

PHASES = ("queue", "countdown", "run")
PHASE_NUMBERS = ("queue_s", "countdown_s", "run_s")
PHASE_COLUMNS = f"{QUEUE} AS queue_s, {COUNTDOWN} AS countdown_s, {RUN_SECONDS} AS run_s"

SLOWEST_BY = {
    "Run": RUN_SECONDS,
    "Queue": QUEUE,
    "Whole": f"coalesce({_WAITED}, 0) + coalesce({RUN_SECONDS}, 0)",
}


@query
def time_spent(conn: Connection, tenant: str, rollout_id: str, now: float) -> pd.DataFrame:
    """One row per phase: phase, targets (for which it is known), total_s, share (of the total time, 0 to 1), p50_s,
    p95_s, longest_s, longest_host. Empty for a rollout without times."""
    sql = f"""
    SELECT {HOST} AS host, {PHASE_COLUMNS} FROM rollout_targets t
    WHERE t.tenant = :tenant AND t.rollout_id = :id
    """  # noqa: S608 - no user input
    found = as_frame(conn, sql, {"tenant": tenant, "id": rollout_id, "now": now})
    rows = []
    for phase, column in zip(PHASES, PHASE_NUMBERS, strict=True):
        known = found[found[column].notna()]
        if len(known):
            seconds = known[column]
            p50, p95 = (percentile(seconds.tolist(), percent) for percent in (50, 95))
            host = known["host"].iloc[int(seconds.argmax())]
            rows.append((phase, len(known), seconds.sum(), p50, p95, seconds.max(), host))
    columns = ["phase", "targets", "total_s", "p50_s", "p95_s", "longest_s", "longest_host"]
    frame = pd.DataFrame(rows, columns=columns)
    total = frame["total_s"].sum()
    frame.insert(columns.index("p50_s"), "share", frame["total_s"] / total if total else 0.0)
    return frame


@query
def slowest_targets(
    conn: Connection, tenant: str, rollout_id: str, now: float, by: str = "Run", most: int = 12
) -> pd.DataFrame:
    """The targets that took longest, slowest first: host, instance_id, status, is_open, queue_s, countdown_s, run_s,
    usual_s.

    by: a key of SLOWEST_BY. usual_s: the median run phase of the instance's HISTORY newest succeeded targets in earlier
    rollouts; NaN if there are none.
    """
    key = {"tenant": tenant, "id": rollout_id}
    sql = f"""
    SELECT {HOST} AS host, t.instance_id, t.status, t.is_open, t.created_at, {PHASE_COLUMNS},
           {SLOWEST_BY.get(by, SLOWEST_BY["Run"])} AS whole_s
    FROM rollout_targets t WHERE t.tenant = :tenant AND t.rollout_id = :id AND whole_s > 0
    ORDER BY whole_s DESC, t.position LIMIT :most
    """  # noqa: S608 - no user input
    frame = as_frame(conn, sql, {**key, "now": now, "most": most})
    earlier = _by_instance(conn, {**key, "before": frame["created_at"].min()}, frame["instance_id"].dropna().tolist())
    usual = [percentile(earlier.get(instance_id, ()), 50) for instance_id in frame["instance_id"]]
    return frame.assign(usual_s=pd.Series(usual, dtype=float))


def _by_instance(conn: Connection, key: dict[str, Any], instance_ids: Sequence[str]) -> dict[str, list[float]]:
    """The seconds that each instance's HISTORY newest succeeded targets ran. ``key``: tenant, before, and id (of a
    rollout to leave out)."""
    found: dict[str, list[float]] = {}
    sql = """
    SELECT instance_id, took FROM (
      SELECT h.instance_id, h.completed_at - h.started_at AS took,
             row_number() OVER (PARTITION BY h.instance_id ORDER BY h.created_at DESC) AS age
      FROM json_each(:ids) i CROSS JOIN rollout_targets h INDEXED BY rollout_targets_instance
      WHERE h.instance_id = i.value AND h.tenant = :tenant AND h.created_at < :before AND h.rollout_id <> :id
        AND h.status = 'succeeded' AND h.completed_at >= h.started_at)
    WHERE age <= :history ORDER BY instance_id
    """
    rows = conn.execute(sql, {**key, "ids": sorted(set(instance_ids)), "history": HISTORY})
    for instance_id, seconds in rows:
        found.setdefault(instance_id, []).append(seconds)
    return found


def _of_rollouts(conn: Connection, which: str, key: dict[str, Any]) -> list[float]:
    """The seconds that up to 2,000 succeeded targets ran, in the 200 newest rollouts that match the SQL ``which``."""
    sql = f"""
    WITH newest AS (SELECT tenant, rollout_id FROM rollouts WHERE {which} ORDER BY created_at DESC LIMIT 200)
    SELECT h.completed_at - h.started_at FROM newest CROSS JOIN rollout_targets h
      ON h.tenant = newest.tenant AND h.rollout_id = newest.rollout_id
    WHERE h.status = 'succeeded' AND h.completed_at >= h.started_at LIMIT 2000
    """  # noqa: S608 - no user input
    return first_column(conn, sql, key)


def p95_of_scope(conn: Connection, scope: str | None) -> float | None:
    """The 95th percentile, in seconds, of the newest succeeded targets of rollouts with this scope; None if none."""
    return percentile(_of_rollouts(conn, "scope IS :scope", {"scope": scope}), 95)


@query
def usual_of_instance(conn: Connection, tenant: str, instance_id: str) -> dict[str, Any]:
    """How long the newest succeeded deploys took, in seconds.

    n, p50, p95: of the instance's HISTORY newest ones; p50 and p95 are None for fewer than MIN_DEPLOYS. fleet_p95: of
    the newest ones of all instances of the tenant; None if there are none.
    """
    key = {"tenant": tenant, "id": "", "before": math.inf}
    took = _by_instance(conn, key, [instance_id]).get(instance_id, [])
    fleet = percentile(_of_rollouts(conn, "tenant = :tenant", key), 95)
    known = took if len(took) >= MIN_DEPLOYS else []
    return {"n": len(took), "p50": percentile(known, 50), "p95": percentile(known, 95), "fleet_p95": fleet}


@query
def usual_runs(
    conn: Connection, tenant: str, rollout_id: str, before: float, instance_ids: Sequence[str]
) -> pd.DataFrame:
    """How long the run phase took in earlier rollouts: instance_id, deploys, p50_s, p95_s.

    One row for each instance with at least MIN_DEPLOYS succeeded deploys created before ``before`` (epoch seconds),
    computed from its HISTORY newest; preceded by a row for the fleet, with the instance_id '', from its 2,000 newest.
    """
    key = {"tenant": tenant, "id": rollout_id, "before": before}
    fleet = _of_rollouts(conn, "tenant = :tenant AND created_at < :before AND rollout_id <> :id", key)
    took = {"": fleet, **_by_instance(conn, key, instance_ids)}
    rows = [
        (instance_id, len(runs), percentile(runs, 50), percentile(runs, 95))
        for instance_id, runs in took.items()
        if len(runs) >= MIN_DEPLOYS
    ]
    return pd.DataFrame(rows, columns=["instance_id", "deploys", "p50_s", "p95_s"])
