# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The update policy: its current state, its changes, and what was started outside its maintenance window; and when
changes are frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import max_parallel_rollouts, parse_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window
from console.record.connection import dicts, first_column, first_value
from console.record.read.frames import as_frame, query
from console.record.read.operation_facts import name_of
from console.record.read.sql import ROLLOUT_STATUS, RUN_BY, STARTED
from console.text.json_values import listed, mapping, names, parsed

_MAX_ROLLOUTS = 5000


@query
def policies(conn: Connection) -> list[dict[str, Any]]:
    """The newest policy of each tenant: the columns of the table policies, and ``raw``, the API's response."""
    rows = dicts(
        conn,
        "SELECT p.* FROM policies p WHERE p.taken_at ="
        " (SELECT max(taken_at) FROM policies n WHERE n.tenant = p.tenant) ORDER BY p.tenant LIMIT 100",
    )
    return [{**row, "raw": parsed(row["raw_json"])} for row in rows]


def in_flight(conn: Connection, tenant: str) -> int:
    """How many redeploys of a tenant are in progress on the server."""
    sql = """
    SELECT count(*) FROM rollout_targets INDEXED BY rollout_targets_open
    WHERE is_open = 1 AND tenant = ? AND status = 'in_progress'
    """
    return int(first_value(conn, sql, (tenant,)))


@dataclass(frozen=True)
class WindowNow:
    """The window at a given time. opens_at, closes_at: epoch seconds; None if it never opens or closes again.

    open_hours: 24 values, whether the window is open in each hour of the day (UTC). sentence: the state as text.
    is_known: False if the policy's hours cannot be parsed; the window then counts as closed and the sentence says why.
    """

    is_known: bool
    is_open: bool
    sentence: str
    opens_at: float | None
    closes_at: float | None
    open_hours: tuple[bool, ...]


def tenant_policy(conn: Connection, tenant: str) -> tuple[Window, int]:
    """The tenant's window, and how many targets may run at a time: 0, so that nothing may be started, if its policy was
    never read or contains no valid limit."""
    sql = "SELECT raw_json FROM policies WHERE tenant = ? ORDER BY taken_at DESC LIMIT 1"
    policy = parsed(first_value(conn, sql, (tenant,)))
    try:
        slots = max_parallel_rollouts(policy)
    except ValueError:
        slots = 0
    return Window.of_policy(policy), slots


def state_of(window: Window, now: float) -> WindowNow:
    """The state of a window at ``now``; it is always open if no hours are set."""
    return WindowNow(
        not window.problem,
        window.is_open(now),
        window.sentence(now),
        window.next_opening(now),
        window.closes_at(now),
        tuple(window.is_open(hour * 3600.0) for hour in range(24)),
    )


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The key, old and new value of each difference, as JSON ('' for a missing key)."""
    pairs = [
        (key, *(json.dumps(side[key]) if key in side else "" for side in (before, after)))
        for key in sorted({*before, *after})
    ]
    return [(key, was, now) for key, was, now in pairs if was != now]


@dataclass(frozen=True)
class PolicyChange:
    """A change of a tenant's policy. seen_at: when the new policy was first read. not_before_at: when the previous one
    was first read. before: the previous policy. changed: as returned by _differences."""

    tenant: str
    seen_at: float
    not_before_at: float
    before: dict[str, Any]
    changed: tuple[tuple[str, str, str], ...]


@query
def policies_since(conn: Connection, since: float) -> list[PolicyChange]:
    """The changes of each tenant's policy that were seen since a time, oldest first. The API returns only the current
    policy, so a change took place at some time between not_before_at and seen_at."""
    sql = """
    SELECT * FROM (
      SELECT tenant, taken_at, raw_json, lag(taken_at) OVER by_time AS before_at,
             lag(raw_json) OVER by_time AS before_json
      FROM policies WINDOW by_time AS (PARTITION BY tenant ORDER BY taken_at))
    WHERE taken_at >= :since AND before_json IS NOT NULL ORDER BY taken_at, tenant
    """
    found = []
    for row in dicts(conn, sql, {"since": since}):
        before = parsed(row["before_json"])
        if changed := _differences(before, parsed(row["raw_json"])):
            found.append(PolicyChange(row["tenant"], row["taken_at"], row["before_at"], before, tuple(changed)))
    return found


@query
def policy_changes(conn: Connection, tenant: str) -> pd.DataFrame:
    """What changed in a tenant's policy, newest first, one row per difference: seen_at, not_before_at, key, before,
    after."""
    found = [
        (change.seen_at, change.not_before_at, *difference)
        for change in reversed(policies_since(conn, 0.0))
        for difference in reversed(change.changed)
        if change.tenant == tenant
    ]
    return pd.DataFrame(found, columns=["seen_at", "not_before_at", "key", "before", "after"])


@query
def outside_window(conn: Connection, tenant: str) -> pd.DataFrame:
    """The rollouts that began while the window was closed, except those of scope instance, newest first.

    Columns: rollout_id, scope, status, created_at, hours (the window at that time), assumed (no policy had been read by
    then, so the first one that was read afterwards is used), reason and run_id of the playbook run that started it (''
    if not known). Only the newest 5,000 rollouts are examined.
    """
    seen = [
        (row["taken_at"], Window.of_policy(parsed(row["raw_json"])))
        for row in dicts(
            conn, "SELECT taken_at, raw_json FROM policies WHERE tenant = :t ORDER BY taken_at", {"t": tenant}
        )
    ]
    rollouts = dicts(
        conn,
        f"SELECT rollout_id, scope, {ROLLOUT_STATUS} AS status, created_at FROM rollouts o WHERE tenant = :t"  # noqa: S608
        " AND scope IS NOT 'instance' AND created_at IS NOT NULL ORDER BY created_at DESC LIMIT :most",
        {"t": tenant, "most": _MAX_ROLLOUTS},
    )
    found = []
    for rollout in rollouts if seen else ():
        before = [window for taken_at, window in seen if taken_at <= rollout["created_at"]]
        window, assumed = (before[-1], False) if before else (seen[0][1], True)
        if window.problem or window.is_open(rollout["created_at"]):
            continue
        run_id, reason = _why(conn, rollout["rollout_id"])
        hours = f"{window.start:02d}:00 to {window.end:02d}:00 UTC"
        found.append({**rollout, "hours": hours, "assumed": assumed, "run_id": run_id, "reason": reason})
    columns = ["rollout_id", "scope", "status", "created_at", "hours", "assumed", "run_id", "reason"]
    return pd.DataFrame(found, columns=columns)


_REASON = "json_extract(r.stats_json, '$.fleetops_report.override_reason')"


def _why(conn: Connection, rollout_id: str) -> tuple[str, str]:
    row = conn.execute(
        f"SELECT r.run_id, CASE WHEN json_valid(r.stats_json) THEN {_REASON} END"  # noqa: S608 - no user input
        f" FROM run_links l JOIN runs r ON r.run_id = l.run_id WHERE l.kind = 'rollout' AND l.ref = ? AND {STARTED}"
        " ORDER BY r.started_at LIMIT 1",
        (rollout_id,),
    ).fetchone()
    return (row[0], str(row[1] or "")) if row else ("", "")


@query
def override_runs(conn: Connection) -> pd.DataFrame:
    """The playbook runs whose report contains a reason for overriding the window, newest first.

    Columns: run_id, playbook, status, user, started_at, reason.
    """
    sql = f"""
    SELECT r.run_id, r.playbook, r.status, {RUN_BY} AS user, r.started_at, CAST({_REASON} AS TEXT) AS reason FROM runs r
    WHERE r.stats_json LIKE '%"override_reason":"_%'
      AND CASE WHEN json_valid(r.stats_json) THEN {_REASON} <> '' END
    ORDER BY r.started_at DESC
    """  # noqa: S608 - no user input
    return as_frame(conn, sql)


PLANS_SECONDS = 35 * 86400.0
"""The maximum age of a plan: it contains the freezes of the 35 days after it was made."""


@dataclass(frozen=True)
class FrozenTime:
    """A period in which changes are frozen, from start to end (epoch seconds). reason: '' if none was given.

    run_id, name, planned_at: the run whose plan contains it, the run's playbook, and when the plan was made.
    """

    start: float
    end: float
    reason: str
    run_id: str
    name: str
    planned_at: float | None


@dataclass(frozen=True)
class Frozen:
    """times: the periods that are not over, in order. plans: how many plans were examined, the newest one of each
    playbook. unnamed: how many of these do not state when changes are frozen, because they are from an older version or
    could not read their calendar."""

    times: tuple[FrozenTime, ...]
    plans: int
    unnamed: int

    def at(self, now: float) -> FrozenTime | None:
        """The period that contains ``now``; if there are several, the one that ends last; None if there is none."""
        return max((time for time in self.times if time.start <= now < time.end), key=lambda t: t.end, default=None)

    def next_after(self, now: float) -> FrozenTime | None:
        """The next period that begins after ``now``; None if there is none."""
        return next((time for time in self.times if time.start > now), None)


@query
def frozen(conn: Connection, now: float, tenant: str = "") -> Frozen:
    """When changes are frozen from ``now`` on, according to the newest plan of each playbook.

    tenant: use only plans that name an instance of this tenant, because a run does not name its tenant.
    """
    sql = """
    SELECT r.run_id, r.playbook, e.at, e.document_json
    FROM runs r JOIN run_evidence e ON e.run_id = r.run_id AND e.kind = 'plan'
    WHERE r.started_at >= :since AND json_valid(e.document_json)
    ORDER BY e.at DESC, e.counter DESC
    """
    named = "SELECT hostname FROM instances WHERE tenant = ? AND hostname IS NOT NULL"
    hosts = set(first_column(conn, named, (tenant,))) if tenant else None
    newest: dict[str, tuple[str, float | None, Any]] = {}
    for run_id, playbook, at, document in conn.execute(sql, {"since": now - PLANS_SECONDS}):
        name = name_of(playbook)
        if name not in newest:
            plan = parsed(document)
            if hosts is None or not hosts.isdisjoint(_instances(plan)):
                newest[name] = (run_id, at, plan.get("freezes"))
    found: dict[tuple[float, float, str], FrozenTime] = {}
    for name, (run_id, at, entries) in newest.items():
        for entry in map(mapping, listed(entries)):
            match (parse_time(entry.get("from")), parse_time(entry.get("to"))):
                case (float(start), float(end)) if start < end and end > now:
                    reason = str(entry.get("reason") or "")
                    # If several plans contain the same period, the newest one is used.
                    found.setdefault((start, end, reason), FrozenTime(start, end, reason, run_id, name, at))
    unnamed = sum(not isinstance(entries, list) for _run_id, _at, entries in newest.values())
    return Frozen(tuple(found[key] for key in sorted(found)), len(newest), unnamed)


def _instances(plan: Mapping[str, Any]) -> set[str]:
    """The instances that a plan names: those in its batches and those that it leaves unchanged."""
    batches = map(mapping, listed(plan.get("batches")))
    return {*names(plan.get("left_alone")), *(name for batch in batches for name in names(batch.get("instances")))}
