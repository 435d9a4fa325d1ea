# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stuck: the rules for open targets, uncertain targets and lost runs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import DAY, HOUR, Window
from console.outcomes.words import UNCERTAIN
from console.record.connection import dicts, first_column
from console.record.read.durations import p95_of_scope
from console.record.read.frames import query
from console.record.read.freshness import Freshness, freshness
from console.record.read.policy import in_flight, tenant_policy
from console.record.read.sql import HOST, SUCCEEDED_LATER
from console.record.read.unrecovered import failing_targets
from console.text import times

COLUMNS = ["rule", "targets", "host", "since_at", "for_s", "why", "rollout_id", "run_id"]


@dataclass(frozen=True)
class StuckRules:
    """When something counts as stuck. Times are in seconds.

    A target in progress, or with an unknown status: after ``slower`` times the 95th percentile of its scope, but not
    before ``at_least``. A queued target: ``grace`` after its countdown, while the window is open and a slot is free. An
    uncertain target: if it is at most ``recent`` old and its instance has not recovered since. A lost run: if it is at
    most ``recent`` old and no later run of its playbook was successful.
    """

    slower: float = 3.0
    at_least: float = 600.0
    grace: float = 60.0
    recent: float = 14 * 86400.0


def opened_at(window: Window, at: float) -> float | None:
    """When the window that is open at ``at`` opened; -inf if it never closes, None if it is closed at ``at``."""
    if window.start is None or window.always_open:
        return -math.inf
    if not window.is_open(at):
        return None
    opening = at // DAY * DAY + window.start * HOUR
    return opening if opening <= at else opening - DAY


OPEN = """
FROM rollout_targets t INDEXED BY rollout_targets_open CROSS JOIN rollouts r
  ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
WHERE t.is_open = 1 AND r.status <> 'paused'
"""
"""The open targets ``t`` of rollouts ``r`` that are not paused."""

# The tenants come first in the join, so that their times are looked up once and not for each target.
_SLOW = f"""
SELECT {HOST} AS host, t.started_at, t.rollout_id, l.value AS most, a.value AS as_of
FROM json_each(:as_of) a CROSS JOIN rollout_targets t INDEXED BY rollout_targets_open CROSS JOIN rollouts r
  ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
CROSS JOIN json_each(:limits) l ON l.key = coalesce(r.scope, '')
WHERE t.tenant = a.key AND t.is_open = 1 AND r.status <> 'paused' AND t.status IS NOT 'queued'
  AND t.started_at < a.value - l.value ORDER BY t.started_at LIMIT 500
"""  # noqa: S608 - no user input

_DUE = "max(t.created_at + coalesce(t.countdown_s, 0), :opened)"
_QUEUED = (
    f"SELECT count(*) AS n, min({HOST}) AS host, min({_DUE}) AS due_at,"
    f" t.rollout_id {OPEN} AND t.tenant = :tenant AND t.status = 'queued' AND {_DUE} < :as_of - :grace"
    " GROUP BY t.rollout_id ORDER BY due_at LIMIT 500"
)

_WAITING = (
    f"SELECT count(*) AS targets, min({HOST}) AS host,"
    f" min(t.created_at) AS at, t.rollout_id {OPEN} AND t.tenant = :tenant AND t.status = 'queued'"
    " GROUP BY t.rollout_id ORDER BY at LIMIT 20"
)

_LOST = f"""
SELECT run_id, playbook, controller, hosts, coalesce(heartbeat_at, started_at) AS at FROM runs r
WHERE status = 'lost' AND started_at >= :since AND NOT {SUCCEEDED_LATER} ORDER BY at DESC LIMIT 500
"""  # noqa: S608 - no user input


@query
def stuck(conn: Connection, now: float, rules: StuckRules | None = None) -> pd.DataFrame:
    """What is stuck as of the last read of its tenant's API; at most 500 rows per rule.

    Columns: rule (in progress, queued, lost, uncertain), targets (how many; 0 for a run), host (the first one, or the
    run's controller), since_at, for_s, why (one sentence), rollout_id or run_id (for an uncertain target, the id of its
    operation).
    """
    rules = rules or StuckRules()
    found = stuck_targets(conn, freshness(conn), now, rules)
    since = now - rules.recent
    for r in lost_runs(conn, since):
        why = f"{Path(r['playbook'] or 'A playbook').name}: its process ended without a recap."
        found.append(_row("lost", 0, r["controller"], r["at"], now, why, run_id=r["run_id"]))
    uncertain = [target for target in failing_targets(conn, since) if target.status == UNCERTAIN]
    for target in sorted(uncertain, key=lambda target: -(target.at or 0.0))[:500]:
        why = " ".join((target.message or "The server does not know how it ended.").split())[:200]
        found.append(_row("uncertain", 1, target.host, target.at, now, why, **{f"{target.kind}_id": target.key}))
    return pd.DataFrame(found, columns=COLUMNS)


def lost_runs(conn: Connection, since: float) -> list[dict[str, Any]]:
    """Runs since a time that were lost, without a later successful run of the playbook: run_id, playbook, controller,
    hosts, at."""
    return dicts(conn, _LOST, {"since": since})


def stuck_targets(conn: Connection, fresh: Freshness, now: float, rules: StuckRules) -> list[dict[str, Any]]:
    """The open targets that are stuck, as rows of COLUMNS: one row per target in progress, and one per rollout with
    queued targets. Each is judged as of the last read of its tenant's API."""
    found: list[dict[str, Any]] = []
    as_of = {known.tenant: fresh.as_of(now, known.tenant) for known in fresh.tenants if known.retired_at is None}
    scopes = first_column(conn, "SELECT DISTINCT scope FROM rollouts WHERE is_open = 1")
    limits = {s or "": max(rules.at_least, rules.slower * (p95_of_scope(conn, s) or 0.0)) for s in scopes}
    for r in dicts(conn, _SLOW, {"limits": json.dumps(limits), "as_of": json.dumps(as_of, ensure_ascii=False)}):
        why = f"In progress for longer than {times.duration(r['most'])}, the limit for its scope."
        found.append(_row("in progress", 1, r["host"], r["started_at"], r["as_of"], why, rollout_id=r["rollout_id"]))
    for tenant, at in as_of.items():
        found += _queued(conn, tenant, at, rules)
    return found


def waiting_for_window(conn: Connection, fresh: Freshness, at: float) -> list[dict[str, Any]]:
    """Rollouts with targets that are queued while the window is closed: rollout_id, targets, host, at, why."""
    found = []
    for tenant in [known.tenant for known in fresh.tenants if known.retired_at is None]:
        window, _slots = tenant_policy(conn, tenant)
        if not window.is_open(at):
            rows = dicts(conn, _WAITING, {"tenant": tenant})
            found += [{**row, "why": window.sentence(at)} for row in rows]
    return found


def _row(
    rule: str, n: int, host: str | None, at: float | None, now: float, why: str, rollout_id: str = "", run_id: str = ""
) -> dict[str, Any]:
    age = round(max(0.0, now - at)) if at is not None else None
    row = {"rule": rule, "targets": n, "host": host, "since_at": at, "for_s": age, "why": why}
    return {**row, "rollout_id": rollout_id or None, "run_id": run_id or None}


def _queued(conn: Connection, tenant: str, as_of: float, rules: StuckRules) -> list[dict[str, Any]]:
    window, slots = tenant_policy(conn, tenant)
    opened = opened_at(window, as_of)
    active = in_flight(conn, tenant)
    if opened is None or active >= slots:
        return []
    params = {"tenant": tenant, "opened": opened, "as_of": as_of, "grace": rules.grace}
    why = f"Due but not started, although only {active} of {slots} slots are busy and the window is open."
    return [
        _row("queued", r["n"], r["host"], r["due_at"], as_of, why, rollout_id=r["rollout_id"])
        for r in dicts(conn, _QUEUED, params)
    ]
