# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a rollout went as it did: its failures by message, its bundles, and the rollout before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from console.record.read.durations import HOST
from console.record.read.frames import as_frame, dicts, one, reading
from console.text.message_fingerprint import normalised

HOSTS_NAMED = 6
CLUSTERS_MOST = 50


@dataclass(frozen=True)
class Cluster:
    """Targets of a rollout with the same status and message, whatever hosts, ids and numbers are in it.

    message: of its first target; pattern: the same, normalised. first_at, last_at: within the rollout. before: how many
    earlier rollouts had it, first_seen and last_before: when; later: how many later rollouts. Without a message
    (``message`` is '') nothing is known of other rollouts, and ``is_new`` is false.
    """

    status: str
    message: str
    pattern: str
    targets: int
    hosts: tuple[str, ...]
    first_at: float | None
    last_at: float | None
    before: int
    first_seen: float | None
    last_before: float | None
    later: int

    @property
    def is_new(self) -> bool:
        return bool(self.message) and not self.before


_CLUSTERS = f"""
WITH bad AS (
  SELECT t.status, t.position, {HOST} AS host, t.msg_fp, t.fp_version, t.error_message,
         coalesce(t.msg_fp, t.error_message, '') AS cluster, coalesce(t.completed_at, t.started_at, t.created_at) AS at
  FROM rollout_targets t
  WHERE t.tenant = :tenant AND t.rollout_id = :id AND t.status IN ('failed', 'uncertain')
), counted AS (
  SELECT *, count(*) OVER kind AS n, min(at) OVER kind AS first_at, max(at) OVER kind AS last_at,
         row_number() OVER (PARTITION BY status, cluster ORDER BY position) AS place
  FROM bad WINDOW kind AS (PARTITION BY status, cluster)
)
SELECT status, cluster, host, msg_fp, fp_version, substr(error_message, 1, 2000) AS message, n, first_at, last_at, place
FROM counted WHERE place <= :named ORDER BY n DESC, status, cluster, place LIMIT :most
"""  # noqa: S608 - HOST is a fragment of ours

# Only the nearest 20,000 before and after are counted, which is enough for "in 900 rollouts".
_ELSEWHERE = """
SELECT
  (SELECT count(DISTINCT rollout_id) FROM (
     SELECT rollout_id FROM rollout_targets INDEXED BY rollout_targets_message
     WHERE msg_fp = :fp AND fp_version = :version AND created_at < :created AND rollout_id <> :id
     ORDER BY created_at DESC LIMIT 20000)) AS before,
  (SELECT min(created_at) FROM rollout_targets INDEXED BY rollout_targets_message
     WHERE msg_fp = :fp AND fp_version = :version) AS first_seen,
  (SELECT created_at FROM rollout_targets INDEXED BY rollout_targets_message
     WHERE msg_fp = :fp AND fp_version = :version AND created_at < :created AND rollout_id <> :id
     ORDER BY created_at DESC LIMIT 1) AS last_before,
  (SELECT count(DISTINCT rollout_id) FROM (
     SELECT rollout_id FROM rollout_targets INDEXED BY rollout_targets_message
     WHERE msg_fp = :fp AND fp_version = :version AND created_at > :created AND rollout_id <> :id
     ORDER BY created_at LIMIT 20000)) AS later
"""


def failure_clusters(path: Path, tenant: str, rollout_id: str) -> list[Cluster]:
    """The failed and uncertain targets of a rollout by status and normalised message, the biggest cluster first."""
    key = {"tenant": tenant, "id": rollout_id}
    with reading(path) as conn:
        rows = dicts(conn, _CLUSTERS, {**key, "named": HOSTS_NAMED, "most": CLUSTERS_MOST * HOSTS_NAMED})
        mine = one(conn, "SELECT created_at FROM rollouts WHERE tenant = :tenant AND rollout_id = :id", key)
        created = mine["created_at"] if mine else None
        hosts: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            hosts.setdefault((row["status"], row["cluster"]), []).append(row["host"])
        clusters = []
        for row in [row for row in rows if row["place"] == 1][:CLUSTERS_MOST]:
            asked = {"fp": row["msg_fp"], "version": row["fp_version"], "created": created, "id": rollout_id}
            [other] = dicts(conn, _ELSEWHERE, asked)
            message = row["message"] or ""
            clusters.append(
                Cluster(
                    status=row["status"],
                    message=message,
                    pattern=normalised(message, row["host"]),
                    targets=row["n"],
                    hosts=tuple(hosts[row["status"], row["cluster"]]),
                    first_at=row["first_at"],
                    last_at=row["last_at"],
                    **other,
                )
            )
    return clusters


def bundles(path: Path, tenant: str, rollout_id: str) -> pd.DataFrame:
    """The bundles that the succeeded targets of a rollout got: bundle, targets, first_host, first_at, last_at.

    More than one row is drift: the rollout did not leave the same runtime everywhere. Targets without a bundle hash are
    left out.
    """
    with reading(path) as conn:
        return as_frame(
            conn,
            f"""
            SELECT t.bundle_hash AS bundle, count(*) AS targets, min({HOST}) AS first_host,
                   min(t.completed_at) AS first_at, max(t.completed_at) AS last_at
            FROM rollout_targets t
            WHERE t.tenant = :tenant AND t.rollout_id = :id AND t.status = 'succeeded' AND t.bundle_hash <> ''
            GROUP BY t.bundle_hash ORDER BY targets DESC, bundle LIMIT 100
            """,  # noqa: S608 - HOST is a fragment of ours
            {"tenant": tenant, "id": rollout_id},
        )


_BEFORE_OF_FLEET = """
SELECT rollout_id FROM rollouts
WHERE tenant = :tenant AND created_at < :created AND scope IS :scope ORDER BY created_at DESC LIMIT 1
"""

_BEFORE_OF_INSTANCE = """
SELECT b.rollout_id FROM rollout_targets a
CROSS JOIN rollout_targets b INDEXED BY rollout_targets_instance
  ON b.tenant = a.tenant AND b.instance_id = a.instance_id AND b.created_at < :created
CROSS JOIN rollouts r ON r.tenant = b.tenant AND r.rollout_id = b.rollout_id AND r.scope IS :scope
WHERE a.tenant = :tenant AND a.rollout_id = :id ORDER BY b.created_at DESC LIMIT 1
"""


def previous_rollout(path: Path, tenant: str, rollout_id: str) -> str | None:
    """The id of the rollout before this one of the same scope (for one of a single target: of that instance)."""
    key = {"tenant": tenant, "id": rollout_id}
    with reading(path) as conn:
        mine = one(
            conn,
            "SELECT created_at AS created, scope, total FROM rollouts WHERE tenant = :tenant AND rollout_id = :id",
            key,
        )
        if mine is None:
            return None
        found = one(conn, _BEFORE_OF_INSTANCE if mine["total"] == 1 else _BEFORE_OF_FLEET, {**key, **mine})
    return str(found["rollout_id"]) if found else None
