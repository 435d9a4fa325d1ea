# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of targets and playbook results, grouped by normalised message across hosts and times."""

from __future__ import annotations

from sqlite3 import Connection

import pandas as pd

from console.record.read.frames import as_frame, like, query
from console.record.read.sql import HOST, TARGET_AT, operation_of, run_of
from console.text.message_fingerprint import normalised

# How many of the newest targets, and of the newest results, are read at most.
MOST_FAILURES = 200_000

# The newest failure of a group provides its message; rows without a time come last. Not counted are the results of
# modules of this collection that waited for a failed target, and the report of a run, which repeat the same failure.
_FAILED = f"""
WITH targets AS (
  SELECT 'target' AS kind, t.msg_fp, t.fp_version, {HOST} AS host, {TARGET_AT} AS at, t.error_message AS message,
         t.rollout_id, {run_of("t.rollout_id")} AS run_id
  FROM rollouts r JOIN rollout_targets t USING (tenant, rollout_id)
  WHERE r.created_at >= :since AND r.failed + r.uncertain > 0
    AND t.status IN ('failed', 'uncertain') AND t.msg_fp IS NOT NULL
  ORDER BY at DESC LIMIT :rows
), reported AS MATERIALIZED (
  SELECT DISTINCT run_id, host FROM targets WHERE run_id IS NOT NULL
), failed AS (
  SELECT * FROM targets
  UNION ALL
  SELECT * FROM (
    SELECT 'result' AS kind, h.msg_fp, h.fp_version, h.host, max(h.ended_at) AS at, h.msg AS message,
           NULL AS rollout_id, h.run_id
    FROM host_results h INDEXED BY host_results_failed
    WHERE h.status IN ('failed', 'unreachable') AND h.kind = 'result' AND h.msg_fp IS NOT NULL
      AND h.ended_at >= :since
      AND NOT EXISTS (
        SELECT 1 FROM reported JOIN tasks k ON k.run_id = h.run_id AND k.counter = h.task_counter
        WHERE reported.run_id = h.run_id AND reported.host = h.host
          AND (k.action LIKE 'fleetops.agents.%' OR k.role LIKE '%fleet_report'))
    GROUP BY h.run_id, h.host, h.msg_fp, h.fp_version ORDER BY at DESC LIMIT :rows)
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY msg_fp, fp_version ORDER BY at DESC) AS place FROM failed
  WHERE :until IS NULL OR at < :until
)
SELECT msg_fp AS fingerprint, count(*) AS failures, count(DISTINCT host) AS hosts, sum(kind = 'target') AS targets,
       sum(kind = 'result') AS results, count(DISTINCT coalesce(run_id, rollout_id)) AS operations,
       min(at) AS first_at, max(at) AS last_at,
       max(CASE WHEN place = 1 THEN host END) AS newest_host, max(CASE WHEN place = 1 THEN message END) AS message,
       max(rollout_id) FILTER (WHERE place = 1) AS rollout_id, max(run_id) FILTER (WHERE place = 1) AS run_id
FROM ranked GROUP BY msg_fp, fp_version
HAVING :like = '' OR max(host LIKE :like ESCAPE '\\') OR max(message LIKE :like ESCAPE '\\')
ORDER BY failures DESC, last_at DESC LIMIT :most
"""  # noqa: S608 - no user input


@query
def failures_by_message(
    conn: Connection, since: float = 0.0, most: int = 100, until: float | None = None, search: str = ""
) -> pd.DataFrame:
    """Failures in a period (failed or uncertain targets, failed or unreachable results), grouped by message, biggest
    group first. search: only groups with this text in a message (as reported or normalised) or a host name.

    Columns: fingerprint; failures, hosts, targets, results and operations (how many); first_at, last_at; newest_host,
    message (normalised), rollout_id and run_id of the newest failure. Its operation is run_id, or rollout_id for a
    rollout that no run names. A task that waited for a failed target is not counted as another failure.
    """
    # The placeholders for hosts and numbers in a normalised message must match any text.
    pattern = like(search).replace("<host>", "%").replace("#", "%")
    params = {"since": since, "until": until, "rows": MOST_FAILURES, "most": most, "like": pattern}
    frame = as_frame(conn, _FAILED, params)
    frame["message"] = [
        normalised(message, host) for message, host in zip(frame["message"], frame["newest_host"], strict=True)
    ]
    return frame


# SQLite takes the bare column from the row of max().
_HOSTS = f"""
SELECT host, max(at) AS at, count(*) AS failures, operation, count(*) OVER () AS total FROM (
  SELECT {HOST} AS host, {TARGET_AT} AS at, {operation_of("t.rollout_id")} AS operation
  FROM rollouts r JOIN rollout_targets t USING (tenant, rollout_id)
  WHERE r.failed + r.uncertain > 0 AND t.status IN ('failed', 'uncertain') AND t.msg_fp = :fingerprint
  UNION ALL
  SELECT h.host, h.ended_at, h.run_id FROM host_results h INDEXED BY host_results_failed
  WHERE h.status IN ('failed', 'unreachable') AND h.kind = 'result' AND h.msg_fp = :fingerprint
    AND NOT EXISTS (
      SELECT 1 FROM run_links l CROSS JOIN tenants CROSS JOIN rollout_targets t
      WHERE l.run_id = h.run_id AND l.kind = 'rollout' AND l.host = h.host AND t.tenant = tenants.tenant
        AND t.rollout_id = l.ref AND t.status IN ('failed', 'uncertain') AND t.msg_fp = :fingerprint)
) GROUP BY host ORDER BY at DESC LIMIT :most
"""  # noqa: S608 - no user input


@query
def hosts_with(conn: Connection, fingerprint: str, most: int = 200) -> pd.DataFrame:
    """The hosts with a failure of this message, newest failure first: host, at, failures, operation (of the newest
    one), total (the total number of hosts, in each row)."""
    return as_frame(conn, _HOSTS, {"fingerprint": fingerprint, "most": most})
