# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of SQL that several queries share. They name the tables as ``t`` rollout_targets, ``h`` host_results, ``l``
run_links, ``r`` runs and ``o`` rollouts."""

from __future__ import annotations

from console.record.retention import retired_at

RETIRED = f"""(SELECT k.tenant FROM tenants k LEFT JOIN ingest_cursors c ON c.source = 'api' AND c.scope = k.tenant
  WHERE {retired_at("k.tenant", "c.last_ok_at")} IS NOT NULL)"""  # noqa: S608 - no user input
"""The tenants whose API is no longer read."""

HOST = "coalesce(t.hostname, t.instance_id, t.target_id)"
"""How a target's instance is called."""

TARGET_AT = "coalesce(t.completed_at, t.started_at, t.created_at)"
"""The newest time of a target."""

RUN_SECONDS = "max(0, coalesce(t.completed_at, CASE WHEN t.is_open THEN :now END) - t.started_at)"
"""How long a target ran; until ``:now`` while it is open."""

GOES_ON = f"(o.is_open = 1 AND o.tenant NOT IN {RETIRED})"
"""Whether a rollout ``o`` is open, and still read."""

ROLLOUT_STATUS = f"""CASE WHEN o.status IN ('pending', 'in_progress', 'paused', 'cancelling') AND NOT {GOES_ON}
  THEN 'lost' ELSE o.status END"""
"""The status of a rollout ``o``, or 'lost' if it is open and its end will never be read."""

RESULT_STATUS = "CASE WHEN h.status = 'ok' AND h.changed THEN 'changed' ELSE h.status END"
"""The status of a result, 'changed' for one that is ok and has changed something."""

WAS_RESCUED = """EXISTS (SELECT 1 FROM run_hosts n WHERE n.run_id = h.run_id AND n.host = h.host
  AND n.final AND n.failed + n.unreachable = 0)"""
"""Of a result that failed: whether the playbook rescued or ignored it, since the recap of its host has no failure."""

WAS_SENT = """instr(h.result_json, '"rollout_id":"') + instr(h.result_json, '"task_id":"')
  + instr(h.result_json, '"action_id":"') > 0"""
"""Whether a result names what was sent to the server."""

STARTED = "NOT EXISTS (SELECT 1 FROM run_links a WHERE a.run_id = l.run_id AND a.kind = 'adopted' AND a.ref = l.ref)"
"""Of a link to a rollout: whether the run has started it, and did not only follow it."""

RUN_BY = """coalesce((SELECT j.launched_by FROM run_jobs j WHERE j.run_id = r.run_id AND j.launched_by <> '' LIMIT 1),
  r.user)"""
"""Who made a run ``r``: who launched its job, or else the account under which it ran."""

WENT_THROUGH = """EXISTS (
  SELECT 1 FROM runs later INDEXED BY runs_started
  WHERE later.started_at > r.started_at AND later.playbook IS r.playbook
  AND later.status = 'successful' AND later.check_mode IS r.check_mode)"""
"""Whether the same playbook has gone through since the run ``r``."""

# The clocks of the control node and of the server differ; the last event of a run that was killed is some time ago. A
# rollout of the fleet that began before the task was followed by it, and is somebody else's.
SENT = """
flights AS MATERIALIZED (
  SELECT f.run_id, f.host, f.started_at, t.action = 'fleetops.agents.rollout' AS of_fleet,
         CASE r.status WHEN 'running' THEN 1e12 ELSE coalesce(r.heartbeat_at, 0) + 300 END AS until
  FROM run_in_flight f JOIN runs r ON r.run_id = f.run_id
  JOIN tasks t ON t.run_id = f.run_id AND t.counter = f.task_counter
  WHERE t.action IN ('fleetops.agents.instance_runtime', 'fleetops.agents.instance_update', 'fleetops.agents.rollout')
    AND coalesce(r.check_mode, 0) = 0 AND f.started_at IS NOT NULL AND (:run IS NULL OR f.run_id = :run)
), known AS MATERIALIZED (
  SELECT tenant, instance_id, hostname FROM instances WHERE hostname IN (SELECT host FROM flights)
), sent AS (
  SELECT f.host, t.tenant, t.rollout_id, min(t.created_at)
  FROM flights f CROSS JOIN known i ON i.hostname = f.host
  CROSS JOIN rollout_targets t INDEXED BY rollout_targets_instance
    ON t.tenant = i.tenant AND t.instance_id = i.instance_id AND t.created_at BETWEEN f.started_at - 60 AND f.until
  CROSS JOIN rollouts r ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
  WHERE NOT f.of_fleet AND r.total = 1
    AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = t.rollout_id)
  GROUP BY f.run_id, f.host, i.tenant, i.instance_id
  UNION ALL
  SELECT NULL, r.tenant, r.rollout_id, min(r.created_at)
  FROM flights f CROSS JOIN tenants CROSS JOIN rollouts r INDEXED BY rollouts_created
    ON r.tenant = tenants.tenant AND r.created_at BETWEEN f.started_at - 10 AND f.until
  WHERE f.of_fleet AND r.scope IS NOT 'instance'
    AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = r.rollout_id)
  GROUP BY f.run_id, f.host
)
"""
"""A WITH clause with the table ``sent``: the rollouts that tasks of the run ``:run`` (NULL: of any) must have started,
by their time. They are under way, or were when the process of the run ended, so that no result names them yet. host:
NULL for a rollout of the fleet."""


def run_of(rollout: str) -> str:
    """The run that names a rollout, NULL without one; ``rollout``: an expression of its id."""
    return f"(SELECT l.run_id FROM run_links l WHERE l.kind = 'rollout' AND l.ref = {rollout} LIMIT 1)"  # noqa: S608 - no user input


def means(tenant: str, instance: str) -> str:
    """Whether the run of a row ``h`` with a host means this instance by the host's name: its results name the instance,
    or none of another tenant that is called so. ``tenant``, ``instance``: expressions of the tenant and of the id."""
    return f"""(
      EXISTS (SELECT 1 FROM run_links n WHERE n.run_id = h.run_id AND n.kind = 'instance' AND n.ref = {instance})
      OR NOT EXISTS (
        SELECT 1 FROM tenants k CROSS JOIN run_links n CROSS JOIN instances j
        WHERE k.tenant <> {tenant} AND n.run_id = h.run_id AND n.kind = 'instance' AND n.host = h.host
          AND j.tenant = k.tenant AND j.instance_id = n.ref AND j.hostname = h.host))"""  # noqa: S608


def operation_of(rollout: str) -> str:
    """The key of the operation that a rollout belongs to: of the run that names it, or its own."""
    return f"coalesce({run_of(rollout)}, {rollout})"


def among(column: str, param: str) -> str:
    """Whether a column is one of the words of a JSON list; an empty list stands for all."""
    return f"(:{param} = '[]' OR {column} IN (SELECT value FROM json_each(:{param})))"  # noqa: S608 - no user input


def looked_for(*columns: str, param: str = "like", also: str = "") -> str:
    """Whether one of the columns is like a pattern of :func:`frames.like`, or the condition ``also`` holds; an empty
    pattern stands for all."""
    conditions = [f":{param} = ''", *(f"{column} LIKE :{param} ESCAPE '\\'" for column in columns)]
    return f"({' OR '.join([*conditions, *([also] if also else [])])})"
