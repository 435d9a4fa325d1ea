# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on the hosts of a playbook run while it was at work: rollouts, actions, audit events."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from console.record.read.frames import as_frame, reading

INSTANCES_MOST = 2000
"""Of a run on more hosts so many count."""

# The run's hosts as instances: by their names, by ids that are names, and by ids that its results gave.
_WHO = """
WITH who AS MATERIALIZED (
  SELECT tenant, instance_id, hostname FROM instances
  WHERE hostname IN (SELECT host FROM run_hosts WHERE run_id = :id)
     OR instance_id IN (SELECT host FROM run_hosts WHERE run_id = :id
                        UNION SELECT ref FROM run_links WHERE run_id = :id AND kind = 'instance')
  LIMIT :most)
"""


def rollouts_beside_run(path: Path, run_id: str, first: float, last: float) -> pd.DataFrame:
    """Rollouts that the run did not name and that worked on its hosts between two times: rollout_id, status, scope,
    created_at, completed_at, hosts (how many of the run's), oldest first and at most 20."""
    with reading(path) as conn:
        return as_frame(
            conn,
            f"""{_WHO}
            SELECT r.rollout_id, r.status, r.scope, r.created_at, r.completed_at, count(DISTINCT t.instance_id) AS hosts
            FROM who CROSS JOIN rollout_targets t INDEXED BY rollout_targets_instance
              ON t.tenant = who.tenant AND t.instance_id = who.instance_id
              AND t.created_at BETWEEN :first - 86400 AND :last
            JOIN rollouts r ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
            WHERE coalesce(r.completed_at, :last) >= :first AND r.created_at <= :last AND NOT EXISTS (
              SELECT 1 FROM run_links l WHERE l.run_id = :id AND l.kind = 'rollout' AND l.ref = r.rollout_id)
            GROUP BY r.tenant, r.rollout_id ORDER BY r.created_at LIMIT 20
            """,  # noqa: S608 - the text above
            {"id": run_id, "first": first, "last": last, "most": INSTANCES_MOST},
            ("created_at", "completed_at"),
        )


def actions_beside_run(path: Path, run_id: str, first: float, last: float) -> pd.DataFrame:
    """Stored actions on the run's hosts between two times, newest first, at most 50: created_at, host, instance_id,
    action, status, message, actor."""
    with reading(path) as conn:
        return as_frame(
            conn,
            f"""{_WHO}
            SELECT a.created_at, coalesce(who.hostname, who.instance_id) AS host, who.instance_id, a.action, a.status,
                   substr(a.message, 1, 400) AS message, a.actor
            FROM who CROSS JOIN instance_actions a
              ON a.tenant = who.tenant AND a.instance_id = who.instance_id AND a.created_at BETWEEN :first AND :last
            ORDER BY a.created_at DESC LIMIT 50
            """,  # noqa: S608 - the text above
            {"id": run_id, "first": first, "last": last, "most": INSTANCES_MOST},
            ("created_at",),
        )


def audit_beside_run(path: Path, run_id: str, first: float, last: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stored audit events of the run's hosts between two times: counts (outcome, events), and the newest 50 that did
    not succeed (event_ts, host, instance_id, outcome, source, event_type, tool_name, role)."""
    params = {"id": run_id, "first": first, "last": last, "most": INSTANCES_MOST}
    joined = """
        FROM who CROSS JOIN audit_events e
          ON e.tenant = who.tenant AND e.instance_id = who.instance_id AND e.event_ts BETWEEN :first AND :last
    """
    with reading(path) as conn:
        counts = as_frame(
            conn, f"{_WHO} SELECT coalesce(e.outcome, '') AS outcome, count(*) AS events {joined} GROUP BY 1", params
        )
        events = as_frame(
            conn,
            f"""{_WHO}
            SELECT e.event_ts, coalesce(who.hostname, who.instance_id) AS host, who.instance_id, e.outcome, e.source,
                   e.event_type, e.tool_name, e.role
            {joined} WHERE e.outcome IS NOT 'success' ORDER BY e.event_ts DESC LIMIT 50""",
            params,
            ("event_ts",),
        )
    return counts, events
