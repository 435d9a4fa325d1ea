# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances: the list with the newest data of each, everything known about one instance, and its history."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.record.connection import dicts, first_row
from console.record.read.audit import EVENT
from console.record.read.declared import override_words
from console.record.read.frames import LIST_PAGE, OnePage, as_frame, as_page, like, query
from console.record.read.rollouts import SHORT_ID
from console.record.read.sql import (
    ENDS_RUN,
    MATERIALIZED,
    RETIRED,
    RUN_BY,
    RUN_SECONDS,
    TARGET_AT,
    among,
    is_instance,
    matches_search,
    operation_of,
)

HEALTH_WORDS = ("healthy", "degraded", "unhealthy")
HEALTH_OTHER, HEALTH_UNREAD, HEALTH_GONE = "other", "not read", "gone"

MAX_CHECKS = 50_000
"""Maximum number of health checks that are read: a little more than one a minute over 30 days."""


_FAILED = "(last_result LIKE 'failed%' OR last_result LIKE 'uncertain%')"


def _instances(where: str = "") -> str:
    """A WITH clause with the table ``judged``. last_status: the status of the newest target. last_result: that of the
    newest one that was not cancelled, which left its instance as it was, with its error. problem: what needs attention,
    '' if nothing does.

    ``where``: a WHERE clause on ``i``, without user input.
    """
    return f"""
WITH known AS (
  SELECT i.tenant, i.instance_id, i.hostname, i.current_bundle, i.bundle_at, s.health, s.checked_at, s.uptime_s,
         s.trouble, s.runtime_current, s.runtime_available, s.outdated, s.memories, s.memories_full,
         s.components_json, s.policy_json,
         (SELECT t.status FROM rollout_targets t INDEXED BY rollout_targets_instance
          WHERE t.tenant = i.tenant AND t.instance_id = i.instance_id
          ORDER BY t.created_at DESC LIMIT 1) AS last_status,
         (SELECT t.status || coalesce(': ' || substr(nullif(t.error_message, ''), 1, 200), '')
          FROM rollout_targets t INDEXED BY rollout_targets_instance
          WHERE t.tenant = i.tenant AND t.instance_id = i.instance_id AND t.status IS NOT 'cancelled'
          ORDER BY t.created_at DESC LIMIT 1) AS last_result,
         (SELECT t.completed_at FROM rollout_targets t INDEXED BY rollout_targets_instance
          WHERE t.tenant = i.tenant AND t.instance_id = i.instance_id AND t.status = 'succeeded'
            AND t.completed_at IS NOT NULL
          ORDER BY t.created_at DESC LIMIT 1) AS deployed_at
  FROM instances i LEFT JOIN instance_state s USING (tenant, instance_id)
  {where}
), judged AS (
  SELECT *, coalesce(hostname, instance_id) AS host,
         CASE WHEN health = '{HEALTH_GONE}' THEN '' ELSE
         trim(CASE WHEN {_FAILED} THEN 'last rollout ' || last_result ELSE '' END
              || CASE WHEN {_FAILED} AND (health <> 'healthy' OR trouble <> '') THEN '; ' ELSE '' END
              || CASE WHEN health <> 'healthy' THEN health || coalesce(' (' || trouble || ')', '')
                      ELSE coalesce(trouble, '') END) END AS problem
  FROM known
)
"""  # noqa: S608 - no user input


HEALTH_WORD = f"""CASE WHEN health IS NULL THEN '{HEALTH_UNREAD}'
  WHEN health IN {(*HEALTH_WORDS, HEALTH_GONE)} THEN health
  ELSE '{HEALTH_OTHER}' END"""
"""SQL for the health in instance_state: one of HEALTH_WORDS, HEALTH_OTHER, HEALTH_UNREAD or HEALTH_GONE."""

UPDATE_KIND = """CASE substr(json_extract(c.value, '$.name') || '/', 1,
  instr(json_extract(c.value, '$.name') || '/', '/') - 1)
  WHEN 'runtime' THEN 'runtime' WHEN 'skills' THEN 'skills' WHEN 'mcp_servers' THEN 'servers' ELSE 'other' END"""
"""SQL for the kind of a component ``c`` of components_json: runtime, skills, servers or other."""

PUBLISHED = """
SELECT *, row_number() OVER (PARTITION BY tenant ORDER BY newest_at DESC, n DESC, version DESC) AS place FROM (
  SELECT s.tenant, s.runtime_available AS version, count(*) AS n, max(coalesce(c.last_ok_at, 0)) AS newest_at,
         coalesce(i.hostname, i.instance_id) AS host
  FROM instance_state s JOIN instances i USING (tenant, instance_id)
  LEFT JOIN ingest_cursors c ON c.source = 'updates' AND c.scope = s.tenant || '|' || s.instance_id
  WHERE s.runtime_available IS NOT NULL GROUP BY s.tenant, version)
"""
"""SQL for the published versions of each tenant as of its instances' last reads (E25), and how many instances (``n``)
have each. That of ``place`` 1, from the newest read, is the published version; the others are from earlier reads.
SQLite takes the bare columns from the row of max()."""

_FILTER = f"""
FROM judged
WHERE (:tenant = '' OR tenant = :tenant) AND {among("last_status", "statuses")} AND {among(HEALTH_WORD, "health")}
  AND (:only = '' OR (:only = 'problem' AND problem <> '') OR (:only = 'outdated' AND outdated > 0)
       OR (:only = 'behind' AND runtime_current <> (
         SELECT version FROM published p WHERE p.tenant = judged.tenant AND p.place = 1))
       OR (:only = 'overrides' AND overrides(policy_json) <> '')
       OR (:only = 'differs' AND (host IN (SELECT value FROM json_each(:differing))
                               OR instance_id IN (SELECT value FROM json_each(:differing))))
       OR (outdated > 0 AND json_valid(components_json) AND EXISTS (
         SELECT 1 FROM json_each(components_json) c
         WHERE json_extract(c.value, '$.outdated') AND {UPDATE_KIND} = :only)))
  AND (:runtime = '' OR runtime_current = :runtime)
  AND {matches_search("hostname", "instance_id", "problem")}
"""  # noqa: S608 - no user input

INSTANCE_SORTS = {
    "Problems first": "ORDER BY problem = '', outdated > 0 DESC, host, instance_id",
    "Host": "ORDER BY host, instance_id",
    "Oldest deploy": "ORDER BY deployed_at IS NOT NULL, deployed_at, host, instance_id",
    "Newest deploy": "ORDER BY deployed_at IS NULL, deployed_at DESC, host, instance_id",
}


@dataclass(frozen=True)
class InstanceFilter:
    """Which instances the list shows.

    statuses: of the newest target. health: from HEALTH_WORDS, HEALTH_OTHER, HEALTH_UNREAD and HEALTH_GONE. only:
    'problem', 'outdated', 'behind' (the published runtime), 'overrides' (has its own update policy), 'differs' (is in
    ``differing``), the kind of a pending update, as in UPDATE_KIND, or ''. runtime: the version that is running.
    search: part of the host name, the id or the problem. tenant: only its instances.
    """

    statuses: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    only: str = ""
    search: str = ""
    sort: str = "Problems first"
    runtime: str = ""
    differing: tuple[str, ...] = ()
    tenant: str = ""


@query
def instance_page(conn: Connection, wanted: InstanceFilter, page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of instances, and how many match.

    Columns: instance_id, host, health, checked_at, problem, last_status, runtime_current, runtime_available, outdated,
    components_json, current_bundle, deployed_at (the newest successful deploy), memories, memories_full, overrides (as
    in :func:`override_words`).
    """
    params = {**vars(wanted), "like": like(wanted.search)}
    sort = INSTANCE_SORTS.get(wanted.sort, INSTANCE_SORTS["Problems first"])
    columns = """
    SELECT instance_id, host, health, checked_at, problem, last_status, runtime_current, runtime_available, outdated,
           components_json, current_bundle, deployed_at, memories, memories_full, overrides(policy_json) AS overrides
    """
    numbers = ("outdated", "memories")
    _with_overrides(conn)
    tables = f"{_instances()}, published AS {MATERIALIZED} ({PUBLISHED})"
    return as_page(conn, columns, _FILTER, sort, params, page, size, numbers, tables=tables)


_PRESENT = f"(s.health IS NOT '{HEALTH_GONE}' AND tenant NOT IN {RETIRED})"


@query
def instance_tally(conn: Connection) -> dict[str, int]:
    """Numbers of instances: total; present (neither gone nor of a retired tenant); of these, health_read, updates_read
    and with_memory (this part of them was read); of the total, policies_read (their update policy was read) and
    overriding (they have their own policy)."""
    _with_overrides(conn)
    sql = f"""
    SELECT count(*) AS total, count(*) FILTER (WHERE {_PRESENT}) AS present,
           count(s.health) FILTER (WHERE {_PRESENT}) AS health_read,
           count(s.outdated) FILTER (WHERE {_PRESENT}) AS updates_read,
           count(s.memories) FILTER (WHERE {_PRESENT}) AS with_memory,
           count(s.policy_json) AS policies_read, coalesce(sum(overrides(s.policy_json) <> ''), 0) AS overriding
    FROM instances LEFT JOIN instance_state s USING (tenant, instance_id)
    """  # noqa: S608 - no user input
    [tally] = dicts(conn, sql)
    return tally


def _with_overrides(conn: Connection) -> None:
    conn.create_function("overrides", 1, override_words, deterministic=True)


@query
def instance(conn: Connection, wanted: str) -> dict[str, Any] | None:
    """Everything about one instance, by its id or host name, which may be followed by the beginning of the id; None if
    it is not known.

    In addition to columns of instances and instance_state: last_status, deployed_at and problem; when each part was
    last read (health_at, updates_at, actions_at, memory_at, audit_at); and gap_from and gap_to of its actions.
    """
    key = first_row(
        conn,
        "SELECT tenant, instance_id FROM instances WHERE instance_id = :id OR hostname = :id"  # noqa: S608
        f" OR :id IN (hostname || '-' || substr(instance_id, 1, {SHORT_ID}), hostname || '-' || instance_id)"
        " ORDER BY instance_id = :id DESC, updated_at DESC LIMIT 1",
        {"id": wanted},
    )
    if key is None:
        return None
    tables = _instances("WHERE i.tenant = :tenant AND i.instance_id = :instance_id")
    [found] = dicts(conn, tables + "SELECT * FROM judged", key)  # noqa: S608 - no user input
    kinds = ("health", "updates", "actions", "memory", "audit")
    sql = """
    SELECT source, last_ok_at, gap_from, gap_to FROM ingest_cursors
    WHERE source IN (SELECT value FROM json_each(:kinds)) AND scope = :scope
    """
    params = {"kinds": kinds, "scope": f"{key['tenant']}|{key['instance_id']}"}
    cursors = {row["source"]: row for row in dicts(conn, sql, params)}
    read_at = {f"{kind}_at": cursors.get(kind, {}).get("last_ok_at") for kind in kinds}
    gap = {name: cursors.get("actions", {}).get(name) for name in ("gap_from", "gap_to")}
    return {**gap, **read_at, **found}


@query
def health_checks(conn: Connection, tenant: str, instance_id: str, since: float = 0.0) -> pd.DataFrame:
    """The newest MAX_CHECKS health checks since a time, oldest first: checked_at, status, uptime_s, trouble."""
    sql = """
    SELECT checked_at, status, uptime_s, trouble FROM health_checks
    WHERE tenant = :tenant AND instance_id = :id AND checked_at >= :since ORDER BY checked_at DESC LIMIT :most
    """
    frame = as_frame(conn, sql, {"tenant": tenant, "id": instance_id, "since": since, "most": MAX_CHECKS})
    return frame.iloc[::-1].reset_index(drop=True)


@query
def instance_actions(conn: Connection, tenant: str, instance_id: str, page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of an instance's actions, newest first, and how many are stored."""
    columns = """
    SELECT action_id, action, status, actor, substr(message, 1, 600) AS message, created_at, created_raw, completed_at,
           coalesce(duration_ms / 1000.0, completed_at - created_at) AS took_s
    """
    found = "FROM instance_actions WHERE tenant = :tenant AND instance_id = :id"
    order = "ORDER BY created_at DESC, action_id"
    key = {"tenant": tenant, "id": instance_id}
    return as_page(conn, columns, found, order, key, page, size)


@query
def instance_targets(
    conn: Connection, tenant: str, instance_id: str, now: float, page: int = 1, size: int = LIST_PAGE
) -> OnePage:
    """One page of an instance's rollout targets, newest first, and how many there are.

    took_s: duration of the run phase, until ``now`` while it is running. scope: of the rollout.
    """
    columns = f"""
    SELECT t.rollout_id, t.status, t.is_open, t.created_at, t.started_at, t.completed_at, t.bundle_hash,
           {RUN_SECONDS} AS took_s,
           substr(t.error_message, 1, 400) AS error,
           (SELECT r.scope FROM rollouts r WHERE r.tenant = t.tenant AND r.rollout_id = t.rollout_id) AS scope
    """  # noqa: S608 - no user input
    found = """
    FROM rollout_targets t INDEXED BY rollout_targets_instance WHERE t.tenant = :tenant AND t.instance_id = :id
    """
    order = "ORDER BY t.created_at DESC, t.target_id"
    key = {"tenant": tenant, "id": instance_id, "now": now}
    return as_page(conn, columns, found, order, key, page, size)


@query
def instance_versions(conn: Connection, tenant: str, instance_id: str, most: int = 1000) -> pd.DataFrame:
    """The versions that an instance was seen to run, newest first: taken_at, runtime, versions_json."""
    return as_frame(
        conn,
        "SELECT taken_at, runtime, versions_json FROM instance_versions"
        " WHERE tenant = :tenant AND instance_id = :id ORDER BY taken_at DESC LIMIT :most",
        {"tenant": tenant, "id": instance_id, "most": most},
    )


@query
def non_success_events(conn: Connection, tenant: str, instance_id: str, most: int = 50) -> OnePage:
    """The newest audit events of an instance that were not successful, as in audit.audit_events; and how many there
    are."""
    found = """
    FROM audit_events e INDEXED BY audit_events_time LEFT JOIN instances i USING (tenant, instance_id)
    WHERE e.tenant = :tenant AND e.instance_id = :id AND e.outcome IS NOT 'success'
    """
    return as_page(conn, EVENT, found, "ORDER BY e.event_ts DESC", {"tenant": tenant, "id": instance_id}, 1, most)


# The runs with this host, or with a host that their results name as this instance. In a run in progress or lost, a host
# without results is only in run_in_flight.
_WORKED = """
  SELECT run_id, host, failed, unreachable FROM run_hosts INDEXED BY run_hosts_host
  WHERE host IN (SELECT :host UNION SELECT host FROM run_links WHERE kind = 'instance' AND ref = :id)
  UNION ALL SELECT f.run_id, f.host, 0, 0 FROM run_in_flight f WHERE f.host = :host
    AND NOT EXISTS (SELECT 1 FROM run_hosts n WHERE n.run_id = f.run_id AND n.host = f.host)"""
# How many failures of a host ``h`` are only the verdict of its run.
_VERDICTS = f"""(SELECT count(*) FROM host_results v INDEXED BY host_results_trouble
  JOIN tasks k ON k.run_id = v.run_id AND k.counter = v.task_counter AND k.action = '{ENDS_RUN}'
  WHERE v.run_id = h.run_id AND v.host = h.host AND v.status IN ('failed', 'unreachable') AND v.kind = 'result')"""  # noqa: S608
# Each part is read newest first and limited, so that the query stays fast for a long period.
_HISTORY = f"""
SELECT * FROM (
  SELECT {TARGET_AT} AS at, 'rollout' AS kind,
         coalesce(r.scope, '') || ' rollout' AS what, t.status, substr(coalesce(t.error_message, ''), 1, 300) AS detail,
         {operation_of("t.rollout_id")} AS operation
  FROM rollout_targets t INDEXED BY rollout_targets_instance
  LEFT JOIN rollouts r ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
  WHERE t.tenant = :tenant AND t.instance_id = :id AND t.created_at < :until
    AND coalesce(t.completed_at, t.created_at) >= :since
  ORDER BY t.created_at DESC LIMIT :most)
UNION ALL SELECT * FROM (
  SELECT a.created_at, 'action', coalesce(a.action, 'action'), a.status,
         substr(coalesce(a.message, ''), 1, 300) || CASE WHEN a.actor IS NULL THEN '' ELSE ' by ' || a.actor END, NULL
  FROM instance_actions a
  WHERE a.tenant = :tenant AND a.instance_id = :id AND a.created_at >= :since AND a.created_at < :until
  ORDER BY a.created_at DESC LIMIT :most)
UNION ALL SELECT * FROM (
  SELECT h.checked_at, 'health', 'health check', h.status, coalesce(h.trouble, ''), NULL
  FROM (SELECT *, lag(status) OVER (ORDER BY checked_at) AS before FROM health_checks
        WHERE tenant = :tenant AND instance_id = :id AND checked_at < :until AND checked_at >= :since - 86400.0) h
  WHERE h.status IS NOT h.before AND h.checked_at >= :since
  ORDER BY h.checked_at DESC LIMIT :most)
UNION ALL SELECT * FROM (
  SELECT e.event_ts, 'audit', coalesce(e.event_type, e.source, 'event'), coalesce(e.outcome, ''),
         coalesce(e.tool_name, e.server_slug, ''), NULL
  FROM audit_events e INDEXED BY audit_events_time
  WHERE e.tenant = :tenant AND e.instance_id = :id AND e.outcome IS NOT 'success'
    AND e.event_ts >= :since AND e.event_ts < :until
  ORDER BY e.event_ts DESC LIMIT :most)
UNION ALL SELECT * FROM (
  SELECT r.started_at, 'playbook',
         coalesce(r.playbook, 'playbook') || CASE WHEN r.check_mode THEN ' (check)' ELSE '' END,
         CASE WHEN r.ended_at IS NULL THEN r.status
              WHEN h.host = :host AND h.failed + h.unreachable > {_VERDICTS} THEN 'failed' ELSE 'took part' END,
         'by ' || coalesce({RUN_BY}, 'someone'), r.run_id
  FROM ({_WORKED}) h JOIN runs r ON r.run_id = h.run_id
  LEFT JOIN run_links l ON l.run_id = h.run_id AND l.kind = 'instance' AND l.ref = :id
  WHERE (h.host = :host AND {is_instance(":tenant", ":id")} OR h.host = l.host AND NOT EXISTS (
      SELECT 1 FROM run_hosts o WHERE o.run_id = h.run_id AND o.host = :host)) AND r.started_at < :until
    AND coalesce(r.ended_at, r.heartbeat_at, r.started_at) >= :since
  ORDER BY r.started_at DESC LIMIT :most)
ORDER BY at DESC LIMIT :most
"""  # noqa: S608 - no user input


@query
def history(
    conn: Connection, tenant: str, instance_id: str, host: str, since: float, until: float, most: int = 200
) -> pd.DataFrame:
    """The newest events of an instance in a period (epoch seconds), newest first.

    Columns: at, kind (rollout, action, health, audit or playbook), what, status, detail, operation (its key, or None).
    Only changes of health and audit events that were not successful are included. The status ``took part`` of a
    playbook run only means that the instance was one of its hosts, possibly under a previous name, or was named by a
    task of another host; its outcome is shown on the page of the operation.
    """
    params = {"tenant": tenant, "id": instance_id, "host": host, "since": since, "until": until, "most": most}
    return as_frame(conn, _HISTORY, params)
