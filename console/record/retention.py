# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long details in the database are kept, and which rows are older than that. Pure: rules as data.

Only details are removed: task results, raw audit events and the API's audit totals, individual health checks, and old
actions and versions. Runs with their recaps, plans, gates and reports, rollouts with their targets, and the daily audit
counts are kept forever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DAY = 86400.0
# How many rows are kept for each instance regardless of age: sync needs them to find where it stopped reading, and
# pages show the last state.
NEWEST_AUDIT = 100
NEWEST_ACTIONS = 100
NEWEST_STATE = 1


@dataclass(frozen=True)
class Retention:
    """For how many days details are kept; None keeps them forever.

    results: task results of successful runs without failed hosts. failed_results: task results of all other ended runs.
    audit: raw events and the API's own totals. versions: what an instance ran before its newest versions.
    """

    results: int | None = 90
    failed_results: int | None = 365
    audit: int | None = 30
    health: int | None = 30
    actions: int | None = 365
    versions: int | None = 365


@dataclass(frozen=True)
class Removal:
    """Rows to remove: rows ``t`` of ``table`` that match a row of ``scopes``, a SELECT with the parameters ``params``.

    ``where``: the condition for a match, as SQL with {0} before the scope's column names. ``floors``: whether the edge
    of each scope is stored, so that a later sync does not bring the rows back.
    """

    what: str
    table: str
    scopes: str
    where: str
    params: dict[str, Any]
    floors: bool = False


def retired_at(tenant: str, read_at: str) -> str:
    """SQL for when it was recorded that a tenant's API is no longer read; NULL if that was never recorded, or if the
    API was read since.

    ``tenant``, ``read_at``: SQL expressions for the tenant's address and for when it was last read.
    """
    return f"""(SELECT max(u.at) FROM upkeep u WHERE u.kind = 'retire'
      AND json_extract(u.detail_json, '$.tenant') = {tenant} AND u.at > coalesce({read_at}, 0))"""  # noqa: S608


# When the database was last brought up to date: the newest read of an API that is still read, by its server's clock;
# if there is none, the newest read of any other source. A later time on this machine's clock is not trusted, because
# with a clock that is ahead, all rows would count as too old.
_LATEST = f"""coalesce(
  (SELECT max(coalesce(c.last_ts, c.last_ok_at)) FROM ingest_cursors c
   WHERE c.source = 'api' AND {retired_at("c.scope", "c.last_ok_at")} IS NULL),
  (SELECT max(c.last_ok_at) FROM ingest_cursors c WHERE c.source <> 'api'))"""  # noqa: S608 - no user input
BEFORE = f"(min(:now, coalesce({_LATEST}, :now)) - :kept)"
"""SQL for the time before which rows may be removed, with the parameters of a rule."""

_WENT_WELL = "status = 'successful' AND failed + unreachable = 0"
_RUNS = f"""
SELECT run_id FROM runs WHERE status <> 'running' AND {{which}}
AND coalesce(ended_at, heartbeat_at, started_at) < {BEFORE}
"""  # noqa: S608 - no user input
# Only whole days: a day's counts are computed from all of its raw events or not at all.
_INSTANCES = f"""
SELECT tenant, instance_id, CAST(min({BEFORE}, newest) / 86400 AS INTEGER) * 86400.0 AS edge FROM (
  SELECT tenant, instance_id, (
    SELECT e.{{time}} FROM {{table}} e WHERE e.tenant = known.tenant AND e.instance_id = known.instance_id
    AND e.{{time}} IS NOT NULL ORDER BY e.{{time}} DESC LIMIT 1 OFFSET {{others}}) AS newest
  FROM (SELECT DISTINCT tenant, instance_id FROM {{known}}) AS known)
WHERE newest IS NOT NULL
"""  # noqa: S608 - no user input


def removals(retention: Retention, now: float) -> tuple[Removal, ...]:
    """The rows that ``retention`` no longer keeps, as of ``now`` (epoch seconds, UTC) or the last read, whichever is
    earlier."""
    found = []
    for what, days, which in (
        ("results of runs that went well", retention.results, _WENT_WELL),
        ("results of other ended runs", retention.failed_results, f"NOT ({_WENT_WELL})"),
    ):
        if days is not None:
            params = {"now": now, "kept": days * DAY}
            found.append(Removal(what, "host_results", _RUNS.format(which=which), "t.run_id = {0}run_id", params))
    for what, days, table, time, known, newest in (
        ("raw audit events", retention.audit, "audit_events", "event_ts", "audit_held", NEWEST_AUDIT),
        ("totals of the audit", retention.audit, "audit_summaries", "taken_at", "instances", NEWEST_STATE),
        ("health checks", retention.health, "health_checks", "checked_at", "instances", NEWEST_STATE),
        ("actions", retention.actions, "instance_actions", "created_at", "instances", NEWEST_ACTIONS),
        ("versions", retention.versions, "instance_versions", "taken_at", "instances", NEWEST_STATE),
    ):
        if days is not None:
            scopes = _INSTANCES.format(table=table, time=time, known=known, others=newest - 1)
            where = f"t.tenant = {{0}}tenant AND t.instance_id = {{0}}instance_id AND t.{time} < {{0}}edge"
            params = {"now": now, "kept": days * DAY}
            found.append(Removal(what, table, scopes, where, params, floors=table == "audit_events"))
    return tuple(found)
