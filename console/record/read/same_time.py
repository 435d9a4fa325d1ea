# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on the hosts of a playbook run or rollout while it was running."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.record.read.audit import EVENT
from console.record.read.frames import as_frame, query
from console.record.read.sql import MATERIALIZED, ROLLOUT_STATUS, is_instance

BEFORE, AFTER = 60.0, 300.0
"""Seconds before the start and after the end to include: the clocks of the API and the control node may differ."""

MAX_INSTANCES = 2000
"""How many instances are examined at most; for a rollout, those with failed targets first."""


@dataclass(frozen=True)
class SameTime:
    """What happened on some hosts between two times.

    others: for a run, the rollouts, and for a rollout, the runs that worked on the same hosts and are not linked to it.
    actions: the newest 50, with created_at, host, instance_id, action, status, message, actor.
    outcomes: the number of audit events by outcome: outcome, events.
    events: the newest 50 audit events that were not successful, in the columns of audit.audit_events.
    """

    others: pd.DataFrame
    actions: pd.DataFrame
    outcomes: pd.DataFrame
    events: pd.DataFrame


def margins(started: float, ended: float) -> tuple[float, float]:
    """The start and end (epoch seconds) of the period that counts as the same time."""
    return started - BEFORE, ended + AFTER


# The instances that the run's hosts are: by host name, by host names that are ids, and by the ids in its results.
_HOSTS_OF_RUN = f"""
WITH who AS {MATERIALIZED} (
  SELECT tenant, instance_id, hostname FROM instances i
  WHERE EXISTS (SELECT 1 FROM run_hosts h WHERE h.run_id = :id AND h.host = i.hostname
                AND {is_instance("i.tenant", "i.instance_id")})
     OR instance_id IN (SELECT host FROM run_hosts WHERE run_id = :id
                        UNION SELECT ref FROM run_links WHERE run_id = :id AND kind = 'instance')
  LIMIT :most)
"""  # noqa: S608 - no user input

_HOSTS_OF_ROLLOUT = f"""
WITH who AS {MATERIALIZED} (
  SELECT DISTINCT tenant, instance_id, hostname FROM (
    SELECT tenant, instance_id, hostname FROM rollout_targets
    WHERE tenant = :tenant AND rollout_id = :id AND instance_id IS NOT NULL
    ORDER BY CASE status WHEN 'failed' THEN 0 WHEN 'uncertain' THEN 1 ELSE 2 END, position LIMIT :most))
"""  # noqa: S608 - no user input

_OTHER_ROLLOUTS = f"""
SELECT o.rollout_id, {ROLLOUT_STATUS} AS status, o.scope, o.created_at, o.completed_at,
       count(DISTINCT t.instance_id) AS hosts
FROM who CROSS JOIN rollout_targets t INDEXED BY rollout_targets_instance
  ON t.tenant = who.tenant AND t.instance_id = who.instance_id AND t.created_at BETWEEN :first - 86400 AND :last
JOIN rollouts o ON o.tenant = t.tenant AND o.rollout_id = t.rollout_id
WHERE coalesce(o.completed_at, :last) >= :first AND o.created_at <= :last AND NOT EXISTS (
  SELECT 1 FROM run_links l WHERE l.run_id = :id AND l.kind = 'rollout' AND l.ref = o.rollout_id)
GROUP BY o.tenant, o.rollout_id ORDER BY o.created_at LIMIT 20
"""  # noqa: S608 - no user input

_OTHER_RUNS = f"""
WITH near AS {MATERIALIZED} (
  SELECT * FROM runs WHERE started_at <= :last AND coalesce(ended_at, heartbeat_at, started_at) >= :first
  ORDER BY started_at DESC LIMIT 50)
SELECT near.run_id, playbook, status, check_mode, started_at, ended_at, count(*) AS hosts
FROM near CROSS JOIN run_hosts h ON h.run_id = near.run_id
WHERE h.host IN (SELECT hostname FROM rollout_targets WHERE tenant = :tenant AND rollout_id = :id
                 UNION SELECT instance_id FROM rollout_targets WHERE tenant = :tenant AND rollout_id = :id)
  AND {is_instance(":tenant", "NULL")}
  AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.run_id = near.run_id AND l.kind = 'rollout' AND l.ref = :id)
GROUP BY near.run_id ORDER BY started_at LIMIT 20
"""  # noqa: S608 - no user input

_ACTIONS = """
SELECT a.created_at, coalesce(who.hostname, who.instance_id) AS host, who.instance_id, a.action, a.status,
       substr(a.message, 1, 400) AS message, a.actor
FROM who CROSS JOIN instance_actions a
  ON a.tenant = who.tenant AND a.instance_id = who.instance_id AND a.created_at BETWEEN :first AND :last
ORDER BY a.created_at DESC LIMIT 50
"""

_AUDIT = """
FROM who i CROSS JOIN audit_events e
  ON e.tenant = i.tenant AND e.instance_id = i.instance_id AND e.event_ts BETWEEN :first AND :last
"""
_OUTCOMES = f"SELECT coalesce(e.outcome, '') AS outcome, count(*) AS events {_AUDIT} GROUP BY 1"
_EVENTS = f"{EVENT} {_AUDIT} WHERE e.outcome IS NOT 'success' ORDER BY e.event_ts DESC LIMIT 50"


@query
def beside_run(conn: Connection, run_id: str, first: float, last: float) -> SameTime:
    """What else happened on the hosts of a run. others: rollout_id, status, scope, created_at, completed_at, hosts (how
    many of the run's hosts), oldest first, at most 20."""
    key = {"id": run_id, "first": first, "last": last, "most": MAX_INSTANCES}
    return _beside(conn, _HOSTS_OF_RUN, _HOSTS_OF_RUN + _OTHER_ROLLOUTS, key)


@query
def beside_rollout(conn: Connection, tenant: str, rollout_id: str, first: float, last: float) -> SameTime:
    """What else happened on the hosts of a rollout. others: run_id, playbook, status, check_mode, started_at, ended_at,
    hosts (how many of the rollout's hosts), oldest first, at most 20."""
    key = {"tenant": tenant, "id": rollout_id, "first": first, "last": last, "most": MAX_INSTANCES}
    return _beside(conn, _HOSTS_OF_ROLLOUT, _OTHER_RUNS, key)


def _beside(conn: Connection, hosts: str, others: str, key: dict[str, Any]) -> SameTime:
    return SameTime(
        *(as_frame(conn, sql, key) for sql in (others, hosts + _ACTIONS, hosts + _OUTCOMES, hosts + _EVENTS))
    )
