# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened on one instance, of all kinds together: rollouts, actions, health, audit trouble, playbook runs."""

from __future__ import annotations

from sqlite3 import Connection

import pandas as pd

from console.record.read.frames import as_frame, query
from console.record.read.sql import TARGET_AT, operation_of

# Each part is read newest first and cut, so that a wide period stays quick.
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
         CASE WHEN r.ended_at IS NULL THEN r.status WHEN h.failed + h.unreachable > 0 THEN 'failed'
              ELSE 'took part' END,
         'by ' || coalesce(r.user, 'someone'), r.run_id
  FROM run_hosts h INDEXED BY run_hosts_host JOIN runs r ON r.run_id = h.run_id
  WHERE h.host = :host AND r.started_at < :until AND coalesce(r.ended_at, r.heartbeat_at, r.started_at) >= :since
  ORDER BY r.started_at DESC LIMIT :most)
ORDER BY at DESC LIMIT :most
"""  # noqa: S608 - texts of ours


@query
def history(
    conn: Connection, tenant: str, instance_id: str, host: str, since: float, until: float, most: int = 200
) -> pd.DataFrame:
    """The newest events of an instance in a period (epoch seconds), newest first.

    Columns: at, kind (rollout, action, health, audit or playbook), what, status, detail, operation (its key, None where
    there is none). Of health only the changes, of audit events those without success; ``took part`` says of a
    playbook run that the instance was among its hosts, and no more: its outcome is on the page of the operation.
    """
    params = {"tenant": tenant, "id": instance_id, "host": host, "since": since, "until": until, "most": most}
    return as_frame(conn, _HISTORY, params)
