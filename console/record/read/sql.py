# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL fragments that several queries share. They use these aliases: ``t`` rollout_targets, ``h`` host_results, ``l``
run_links, ``r`` runs, ``o`` rollouts."""

from __future__ import annotations

from sqlite3 import sqlite_version_info

from console.record.retention import retired_at
from console.record.rows import PREDICTED

# SQLite 3.34, the version in RHEL 9, does not support this hint.
MATERIALIZED = "MATERIALIZED" if sqlite_version_info >= (3, 35) else ""

RETIRED = f"""(SELECT k.tenant FROM tenants k LEFT JOIN ingest_cursors c ON c.source = 'api' AND c.scope = k.tenant
  WHERE {retired_at("k.tenant", "c.last_ok_at")} IS NOT NULL)"""  # noqa: S608 - no user input
"""The tenants whose API is no longer read."""

HOST = "coalesce(t.hostname, t.instance_id, t.target_id)"
"""The name of a target's instance."""

TARGET_AT = "coalesce(t.completed_at, t.started_at, t.created_at)"
"""The latest known time of a target."""

RUN_SECONDS = "max(0, coalesce(t.completed_at, CASE WHEN t.is_open THEN :now END) - t.started_at)"
"""How long a target ran, or has been running by ``:now`` if it is open."""

GOES_ON = f"(o.is_open = 1 AND o.tenant NOT IN {RETIRED})"
"""Whether a rollout ``o`` is open and its tenant's API is still read."""

ROLLOUT_STATUS = f"""CASE WHEN o.status IN ('pending', 'in_progress', 'paused', 'cancelling') AND NOT {GOES_ON}
  THEN 'lost' ELSE o.status END"""
"""The status of a rollout ``o``; 'lost' for an open rollout whose end will never be read."""

RESULT_STATUS = f"""CASE WHEN h.status = 'ok' AND h.changed AND (h.changed <> {PREDICTED}
  OR (SELECT c.check_mode FROM runs c WHERE c.run_id = h.run_id)) THEN 'changed' ELSE h.status END"""  # noqa: S608
"""The status of a result; 'changed' for an ok result that changed something, or in a check run would have."""

WAS_RESCUED = """EXISTS (SELECT 1 FROM run_hosts n WHERE n.run_id = h.run_id AND n.host = h.host
  AND n.final AND n.failed + n.unreachable = 0)"""
"""Whether the playbook rescued or ignored a failed result: the recap of its host then contains no failure."""

WAS_BAD = "h.status IN ('failed', 'ignored', 'unreachable')"
"""Whether a result was an error, also if the playbook ignored it. As in the index host_results_failed."""

ENDS_RUN = "fleetops.agents.rollout_end"
"""The module that fails with the verdict of a run."""

# Modules whose errors say nothing about the host for which the task ran.
_OF_RUN = ("rollout_plan", "rollout_gate", "rollout_report", "rollout_end", "report_file")
IS_FAILURE = f"""({WAS_BAD} AND (coalesce(k.action, '') LIKE 'fleetops.agents.%'
  AND k.action NOT LIKE '%!_info' ESCAPE '!' AND replace(k.action, 'fleetops.agents.', '') NOT IN {_OF_RUN}
  OR h.status <> 'ignored' AND NOT {WAS_RESCUED}))"""
"""Whether a result of a task ``k`` is a failure of its host: an error of a module of this collection that changes
something always, since the instance is not as asked, and any other error unless the playbook rescued or ignored it."""

WAS_SENT = """instr(h.result_json, '"rollout_id":"') + instr(h.result_json, '"task_id":"')
  + instr(h.result_json, '"action_id":"') > 0"""
"""Whether a result contains the id of something that the server started for it."""

STARTED = """NOT EXISTS (SELECT 1 FROM run_links a WHERE a.run_id = l.run_id AND a.kind = 'adopted' AND a.ref = l.ref
  AND coalesce(a.counter <= l.counter, 1))"""
"""For a link to a rollout: whether the run started the rollout, instead of only following it. After a timeout, a run
may follow what it has started itself: its first link to the rollout is then older."""

RUN_BY = """coalesce((SELECT j.launched_by FROM run_jobs j WHERE j.run_id = r.run_id AND j.launched_by <> '' LIMIT 1),
  r.user)"""
"""The user of a run ``r``: who launched its job, or else the account under which it ran."""

SUCCEEDED_LATER = """EXISTS (
  SELECT 1 FROM runs later INDEXED BY runs_started
  WHERE later.started_at > r.started_at AND later.playbook IS r.playbook
  AND later.status = 'successful' AND later.check_mode IS r.check_mode)"""
"""Whether the same playbook was run successfully after the run ``r``, in the same mode (check mode or not)."""

# The margins allow for the difference between the clocks of the control node and the server, and for the time between
# a killed run's last event and its end. A fleet rollout that is older than the task belongs to someone else, and the
# task only follows it.
SENT = f"""
flights AS {MATERIALIZED} (
  SELECT f.run_id, f.host, f.started_at, t.action = 'fleetops.agents.rollout' AS of_fleet,
         CASE r.status WHEN 'running' THEN 1e12 ELSE coalesce(r.heartbeat_at, 0) + 300 END AS until
  FROM run_in_flight f JOIN runs r ON r.run_id = f.run_id
  JOIN tasks t ON t.run_id = f.run_id AND t.counter = f.task_counter
  WHERE t.action IN ('fleetops.agents.instance_runtime', 'fleetops.agents.instance_update', 'fleetops.agents.rollout')
    AND coalesce(r.check_mode, 0) = 0 AND f.started_at IS NOT NULL AND (:run IS NULL OR f.run_id = :run)
), known AS {MATERIALIZED} (
  SELECT tenant, instance_id, hostname FROM instances WHERE hostname IN (SELECT host FROM flights)
), sent AS (
  SELECT f.host, t.tenant, t.rollout_id, min(abs(t.created_at - f.started_at))
  FROM flights f CROSS JOIN known i ON i.hostname = f.host
  CROSS JOIN rollout_targets t INDEXED BY rollout_targets_instance
    ON t.tenant = i.tenant AND t.instance_id = i.instance_id AND t.created_at BETWEEN f.started_at - 60 AND f.until
  CROSS JOIN rollouts r ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
  WHERE NOT f.of_fleet AND r.total = 1
    AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = t.rollout_id AND {STARTED})
  GROUP BY f.run_id, f.host, i.tenant, i.instance_id
  UNION ALL
  SELECT NULL, r.tenant, r.rollout_id, min(abs(r.created_at - f.started_at))
  FROM flights f CROSS JOIN tenants CROSS JOIN rollouts r INDEXED BY rollouts_created
    ON r.tenant = tenants.tenant AND r.created_at BETWEEN f.started_at - 10 AND f.until
  WHERE f.of_fleet AND r.scope IS NOT 'instance'
    AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = r.rollout_id AND {STARTED})
  GROUP BY f.run_id, f.host
)
"""  # noqa: S608 - no user input
"""A WITH clause with the table ``sent``: the rollouts that tasks of the run ``:run`` (NULL: any run) must have started,
judged by time. These tasks are running, or were when the run's process ended, so no result of the run names the
rollouts, but another run may have adopted them. host: NULL for a fleet rollout."""


def run_of(rollout: str) -> str:
    """SQL for the run that started a rollout, or NULL. ``rollout``: an expression for the rollout's id."""
    return f"(SELECT l.run_id FROM run_links l WHERE l.kind = 'rollout' AND l.ref = {rollout} AND {STARTED} LIMIT 1)"  # noqa: S608 - no user input


def is_instance(tenant: str, instance: str) -> str:
    """SQL for whether the host of a row ``h`` of a run is this instance: the run's results name the instance, or do not
    name an instance of another tenant with the same host name. ``tenant``, ``instance``: expressions for the tenant and
    the instance's id."""
    return f"""(
      EXISTS (SELECT 1 FROM run_links n WHERE n.run_id = h.run_id AND n.kind = 'instance' AND n.ref = {instance})
      OR NOT EXISTS (
        SELECT 1 FROM tenants k CROSS JOIN run_links n CROSS JOIN instances j
        WHERE k.tenant <> {tenant} AND n.run_id = h.run_id AND n.kind = 'instance' AND n.host = h.host
          AND j.tenant = k.tenant AND j.instance_id = n.ref AND j.hostname = h.host))"""  # noqa: S608


def identified(hosts: str) -> str:
    """SQL for the last part of a WITH clause, the table ``identified``: run_id and host of the table ``hosts``, and the
    tenant and instance_id of the known instance of that host, or NULL.

    This is the instance whose id is in the host's results. If they contain none or several ids, it is the newest
    instance with the host's name, unless several instances of several tenants have this name. An id that several
    tenants have is that of one instance, which was read at several addresses: the newest of them is the right one.
    """
    # The CROSS JOINs are in the order of the primary keys. SQLite takes the bare columns from the row of max().
    links = f"""FROM (SELECT DISTINCT run_id FROM {hosts}) w CROSS JOIN run_links l ON l.run_id = w.run_id
      AND (l.run_id, l.host) IN (SELECT run_id, host FROM {hosts}) CROSS JOIN tenants k"""  # noqa: S608 - no user input
    return f"""
named AS {MATERIALIZED} (
  SELECT run_id, host, tenant, instance_id, max(updated_at) FROM (
    SELECT l.run_id, l.host, i.tenant, i.instance_id, i.updated_at {links}
    CROSS JOIN instances i ON l.kind = 'instance' AND i.tenant = k.tenant AND i.instance_id = l.ref
    UNION SELECT l.run_id, l.host, t.tenant, t.instance_id, t.updated_at {links}
    CROSS JOIN rollout_targets t ON l.kind = 'rollout' AND t.tenant = k.tenant AND t.rollout_id = l.ref
    WHERE coalesce(t.instance_id, '') <> ''
  ) GROUP BY run_id, host HAVING count(DISTINCT instance_id) = 1
), by_name AS {MATERIALIZED} (
  SELECT hostname AS host, tenant, instance_id, max(updated_at) FROM instances
  WHERE hostname IN (SELECT host FROM {hosts})
  GROUP BY hostname HAVING count(DISTINCT tenant) = 1 OR count(DISTINCT instance_id) = 1
), identified AS {MATERIALIZED} (
  SELECT run_id, host, tenant, instance_id, max(place) FROM (
    SELECT run_id, host, NULL AS tenant, NULL AS instance_id, 0 AS place FROM {hosts}
    UNION ALL SELECT w.run_id, w.host, b.tenant, b.instance_id, 1 FROM {hosts} w JOIN by_name b ON b.host = w.host
    UNION ALL SELECT run_id, host, tenant, instance_id, 2 FROM named
  ) GROUP BY run_id, host
)"""  # noqa: S608 - no user input


def only_host_of(rollout: str) -> str:
    """SQL for the name of the instance of a rollout that has one target, or NULL. ``rollout``: the alias of its row."""
    return f"""CASE WHEN {rollout}.total = 1 THEN (SELECT coalesce(t.hostname, t.instance_id) FROM rollout_targets t
      WHERE t.tenant = {rollout}.tenant AND t.rollout_id = {rollout}.rollout_id LIMIT 1) END"""  # noqa: S608


def operation_of(rollout: str) -> str:
    """SQL for the key of the operation that a rollout belongs to: the id of the run that started it, or its own id."""
    return f"coalesce({run_of(rollout)}, {rollout})"


def among(column: str, param: str) -> str:
    """SQL for whether a column's value is in a JSON list; an empty list matches all values."""
    return f"(:{param} = '[]' OR {column} IN (SELECT value FROM json_each(:{param})))"  # noqa: S608 - no user input


def matches_search(*columns: str, param: str = "like", also: str = "") -> str:
    """SQL for whether any of the columns matches a pattern from :func:`frames.like`, or the condition ``also`` holds;
    an empty pattern matches everything."""
    conditions = [f":{param} = ''", *(f"{column} LIKE :{param} ESCAPE '\\'" for column in columns)]
    return f"({' OR '.join([*conditions, *([also] if also else [])])})"
