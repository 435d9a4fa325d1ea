# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's targets of a playbook run: those of all rollouts that it started or followed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from console.outcomes.facts import Target
from console.record.connection import dicts
from console.record.read.sql import HOST

_TARGET = """
SELECT {host} AS host, t.target_id, coalesce(t.instance_id, '') AS instance_id, t.status, t.created_at, t.started_at,
       t.completed_at, substr(coalesce(t.error_message, ''), 1, 2000) AS message, t.rollout_id
"""
# The inventory may name an instance otherwise than the server does.
_LINKED = """
FROM run_links l CROSS JOIN tenants CROSS JOIN rollout_targets t
LEFT JOIN run_links i ON i.run_id = l.run_id AND i.kind = 'instance' AND i.ref = t.instance_id
  AND i.host <> 'localhost'
WHERE l.run_id = :id AND l.kind = 'rollout' AND t.tenant = tenants.tenant AND t.rollout_id = l.ref
  AND (:only IS NULL OR l.host IN (SELECT value FROM json_each(:only)))
"""
_OF_RUN = _TARGET.format(host=f"coalesce(i.host, {HOST})") + _LINKED


def targets_of_run(conn: Connection, run_id: str, only: Iterable[str] | None = None) -> list[Target]:
    """The targets of all rollouts that a run started or followed, those too that no result of it has named yet.

    only: of the rollouts that results name, those of these hosts.
    """
    found = _targets(conn, _OF_RUN, {"id": run_id, "only": None if only is None else sorted(only)})
    for sent in sent_by_tasks(conn, run_id):
        found += _targets(
            conn,
            _TARGET.format(host=f"coalesce(:host, {HOST})")
            + "FROM rollout_targets t WHERE t.tenant = :tenant AND t.rollout_id = :rollout",
            {"host": sent.host or None, "tenant": sent.tenant, "rollout": sent.rollout_id},
        )
    return found


@dataclass(frozen=True)
class Sent:
    """A rollout that a task of a run must have started, by its time: its result is not there yet.

    host: '' for a rollout of the fleet.
    """

    run_id: str
    host: str
    tenant: str
    rollout_id: str


# The clocks of the control node and of the server differ; the last event of a run that was killed is some time ago.
_SENT_BEFORE, _SENT_AFTER = 60.0, 300.0
_FLIGHTS = """
SELECT f.run_id, f.host, f.started_at, CASE r.status WHEN 'running' THEN 1e12 ELSE coalesce(r.heartbeat_at, 0) END,
       t.action = 'fleetops.agents.rollout' AS of_fleet
FROM run_in_flight f JOIN runs r ON r.run_id = f.run_id
JOIN tasks t ON t.run_id = f.run_id AND t.counter = f.task_counter
WHERE t.action IN ('fleetops.agents.instance_runtime', 'fleetops.agents.instance_update', 'fleetops.agents.rollout')
  AND coalesce(r.check_mode, 0) = 0 AND f.started_at IS NOT NULL AND (:run IS NULL OR f.run_id = :run)
"""
_SENT = """
SELECT t.rollout_id FROM rollout_targets t INDEXED BY rollout_targets_instance
JOIN rollouts r ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
WHERE t.tenant = ? AND t.instance_id = ? AND t.created_at BETWEEN ? AND ? AND r.total = 1
  AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = t.rollout_id)
ORDER BY t.created_at LIMIT 1
"""
# One that began before the task was followed by it, and is somebody else's.
_FLEET_SENT_BEFORE = 10.0
_SENT_TO_FLEET = """
SELECT r.tenant, r.rollout_id FROM tenants CROSS JOIN rollouts r INDEXED BY rollouts_created
WHERE r.tenant = tenants.tenant AND r.created_at BETWEEN ? AND ? AND r.scope IS NOT 'instance'
  AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = r.rollout_id)
ORDER BY r.created_at LIMIT 1
"""


def sent_by_tasks(conn: Connection, run_id: str | None = None) -> list[Sent]:
    """The rollouts of redeploys that are under way in a run, or were when its process ended. run_id: None for all."""
    flights = conn.execute(_FLIGHTS, {"run": run_id}).fetchall()
    if not flights:
        return []
    hosts = {host for _run, host, *_rest in flights}
    known: dict[str, list[tuple[str, str]]] = {}
    for tenant, instance_id, name in conn.execute("SELECT tenant, instance_id, hostname FROM instances"):
        if name in hosts:
            known.setdefault(name, []).append((tenant, instance_id))
    found = []
    for run, host, at, until, of_fleet in flights:
        if of_fleet:
            row = conn.execute(_SENT_TO_FLEET, (at - _FLEET_SENT_BEFORE, until + _SENT_AFTER)).fetchone()
            found += [Sent(run, "", *row)] if row is not None else []
            continue
        for tenant, instance_id in known.get(host, ()):
            row = conn.execute(_SENT, (tenant, instance_id, at - _SENT_BEFORE, until + _SENT_AFTER)).fetchone()
            if row is not None:
                found.append(Sent(run, host, tenant, row[0]))
    return found


def _targets(conn: Connection, sql: str, params: dict[str, Any]) -> list[Target]:
    return [Target(**row) for row in dicts(conn, sql, params)]
