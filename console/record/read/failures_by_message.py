# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of targets and playbook results, grouped by normalised message across hosts and times."""

from __future__ import annotations

from sqlite3 import Connection

import pandas as pd

from console.record.read.frames import as_frame, like, query
from console.record.read.sql import ENDS_RUN, HOST, IS_FAILURE, MATERIALIZED, TARGET_AT, identified, run_of
from console.text.message_fingerprint import normalised

# How many of the newest targets, and of the newest results, are read at most.
MAX_FAILURES = 200_000

NOTICED_AFTER = 3600.0
"""How many seconds after a target failed the task that waited for it may fail, and be in another period."""

# A loop on localhost whose items name their instances counts for these, and any other loop for its host. CASE evaluates
# only what is needed.
_NAMED = """CASE WHEN {0}.kind = 'item' AND {0}.host = 'localhost' AND json_valid({0}.result_json)
  THEN json_extract({0}.result_json, '$.instance_id') END"""
_COUNTS = f"""CASE WHEN h.kind = 'item' THEN {_NAMED.format("h")} IS NOT NULL WHEN h.kind <> 'result' THEN 0
  WHEN h.host <> 'localhost' THEN 1 ELSE NOT EXISTS (
    SELECT 1 FROM host_results x INDEXED BY host_results_trouble WHERE x.run_id = h.run_id
    AND x.task_counter = h.task_counter AND x.status IN ('failed', 'unreachable') AND {_NAMED.format("x")} IS NOT NULL
  ) END"""  # noqa: S608 - no user input
# The verdict of a run is not a failure of the host that reports it (localhost, or another one with --limit).
_RESULT_HOST = f"""CASE WHEN h.kind = 'item' THEN coalesce((
  SELECT i.hostname FROM tenants CROSS JOIN instances i ON i.tenant = tenants.tenant
  AND i.instance_id = {_NAMED.format("h")}), {_NAMED.format("h")})
  WHEN k.action = '{ENDS_RUN}' THEN 'localhost' ELSE h.host END"""  # noqa: S608 - no user input

# Not counted: results of modules of this collection that waited for a failed target, and the report of a run, because
# they repeat the same failure. who: the instance or, if it is not known, the host.
_FAILED = f"""
WITH targets AS {MATERIALIZED} (
  SELECT 'target' AS kind, t.msg_fp, t.fp_version, {HOST} AS host, {TARGET_AT} AS at, t.error_message AS message,
         t.rollout_id, {run_of("t.rollout_id")} AS run_id, t.instance_id,
         coalesce(t.tenant || '|' || t.instance_id, {HOST}) AS who
  FROM rollouts r JOIN rollout_targets t USING (tenant, rollout_id)
  WHERE max(r.updated_at, coalesce(r.completed_at, 0)) >= :since - {NOTICED_AFTER} AND r.failed + r.uncertain > 0
    AND t.status IN ('failed', 'uncertain') AND t.msg_fp IS NOT NULL
    AND coalesce({TARGET_AT}, r.created_at, 0) >= :since - {NOTICED_AFTER}
  ORDER BY at DESC LIMIT :rows
), results AS {MATERIALIZED} (
  SELECT h.msg_fp, h.fp_version, {_RESULT_HOST} AS host, max(h.ended_at) AS at, h.msg AS message, h.run_id,
         min(coalesce(k.action LIKE 'fleetops.agents.%' OR k.role LIKE '%fleet_report', 0)) AS is_ours
  FROM host_results h INDEXED BY host_results_failed
  LEFT JOIN tasks k ON k.run_id = h.run_id AND k.counter = h.task_counter
  WHERE h.msg_fp IS NOT NULL AND h.ended_at >= :since AND {_COUNTS} AND {IS_FAILURE}
  GROUP BY h.run_id, 3, h.msg_fp, h.fp_version ORDER BY at DESC LIMIT :rows
), {identified("results")}, reported AS {MATERIALIZED} (
  SELECT l.run_id, p.value AS who FROM targets JOIN run_links l ON l.kind = 'rollout' AND l.ref = targets.rollout_id
  JOIN json_each(json_array(targets.who, targets.host, 'localhost')) p
), failed AS (
  SELECT * FROM targets WHERE at IS NULL OR at >= :since
  UNION ALL
  SELECT * FROM (
    SELECT 'result', msg_fp, fp_version, host, at, message, NULL, run_id, instance_id,
           coalesce(tenant || '|' || instance_id, host) AS who
    FROM results JOIN identified USING (run_id, host)
    WHERE NOT (is_ours AND EXISTS (
      SELECT 1 FROM reported WHERE reported.run_id = results.run_id
      AND reported.who = coalesce(identified.tenant || '|' || identified.instance_id, results.host))))
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY {{group}} ORDER BY at DESC) AS place FROM failed
  WHERE (:until IS NULL OR at < :until) AND (:fingerprint IS NULL OR msg_fp = :fingerprint)
)
"""  # noqa: S608 - no user input

# The newest failure of a group provides its message; rows without a time come last.
_BY_MESSAGE = f"""
{_FAILED.format(group="msg_fp, fp_version")}
SELECT msg_fp AS fingerprint, count(*) AS failures, count(DISTINCT who) AS hosts, sum(kind = 'target') AS targets,
       sum(kind = 'result') AS results, count(DISTINCT coalesce(run_id, rollout_id)) AS operations,
       min(at) AS first_at, max(at) AS last_at,
       max(CASE WHEN place = 1 THEN host END) AS newest_host, max(CASE WHEN place = 1 THEN message END) AS message,
       max(instance_id) FILTER (WHERE place = 1) AS newest_id,
       max(rollout_id) FILTER (WHERE place = 1) AS rollout_id, max(run_id) FILTER (WHERE place = 1) AS run_id
FROM ranked GROUP BY msg_fp, fp_version
HAVING :like = '' OR max(host LIKE :like ESCAPE '\\') OR max(message LIKE :like ESCAPE '\\')
ORDER BY failures DESC, last_at DESC LIMIT :most
"""  # noqa: S608 - no user input
_INSTANCES = f"""
{_FAILED.format(group="who")}
SELECT max(host) FILTER (WHERE place = 1) AS host, max(instance_id) AS instance_id, max(at) AS at, count(*) AS failures,
       max(coalesce(run_id, rollout_id)) FILTER (WHERE place = 1) AS operation, count(*) OVER () AS total
FROM ranked GROUP BY who ORDER BY at DESC LIMIT :most
"""  # noqa: S608 - no user input


@query
def failures_by_message(
    conn: Connection, since: float = 0.0, most: int = 100, until: float | None = None, search: str = ""
) -> pd.DataFrame:
    """Failures in a period (failed or uncertain targets, and results as in sql.IS_FAILURE), grouped by message, biggest
    group first. search: only groups with this text in a message (as reported or normalised) or a host name.

    Columns: fingerprint; failures, hosts (instances), targets, results and operations (how many); first_at, last_at;
    newest_host, newest_id (of its instance, or None), message (normalised), rollout_id and run_id of the newest
    failure. Its operation is run_id, or rollout_id for a rollout that no run started. Tasks that waited for a failed
    target are not counted.
    """
    # The placeholders for hosts and numbers in a normalised message must match any text.
    pattern = like(search).replace("<host>", "%").replace("#", "%")
    params = {"since": since, "until": until, "rows": MAX_FAILURES, "most": most, "like": pattern, "fingerprint": None}
    frame = as_frame(conn, _BY_MESSAGE, params)
    frame["message"] = [
        normalised(message, host) for message, host in zip(frame["message"], frame["newest_host"], strict=True)
    ]
    return frame


@query
def hosts_with(
    conn: Connection, fingerprint: str, most: int = 200, since: float = 0.0, until: float | None = None
) -> pd.DataFrame:
    """The instances with a failure of this message in a period, newest failure first: host, instance_id (None if not
    known), at, failures, operation (of the newest one), total (the number of all these instances, in each row)."""
    params = {"since": since, "until": until, "rows": MAX_FAILURES, "most": most, "fingerprint": fingerprint}
    return as_frame(conn, _INSTANCES, params)
