# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts with their targets, and the instances that they name. The store begins the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from console.record.rows import RolloutRead, Row
from console.record.write.tables import Tables


def one(tables: Tables, tenant: str, rollout_id: str) -> Row | None:
    """A stored rollout, all columns of the table; None if it is not stored."""
    return tables.one("SELECT * FROM rollouts WHERE tenant = ? AND rollout_id = ?", (tenant, rollout_id))


def unfinished(tables: Tables, tenant: str) -> list[Row]:
    """The stored rollouts of a tenant that are open, or whose targets could not be read."""
    return tables.rows("SELECT * FROM rollouts WHERE tenant = ? AND (is_open = 1 OR targets_read = 0)", (tenant,))


def put(tables: Tables, reads: Iterable[RolloutRead]) -> int:
    """Store rollouts with their targets; returns how many rows were written.

    A read that is older than what is stored is ignored (another sync was faster).
    """
    written = 0
    instances: dict[tuple[str, str], float] = {}
    for read in reads:
        key = (read.rollout["tenant"], read.rollout["rollout_id"])
        if _newest_change(tables, key) > read.read_at:
            continue
        stamps = {"first_seen": read.read_at, "updated_at": read.read_at}
        row = {**read.rollout, "targets_read": int(read.targets is not None), **stamps}
        written += tables.upsert("rollouts", [row])
        if read.targets:
            written += tables.upsert("rollout_targets", [{**target, **stamps} for target in read.targets])
            instances.update({(t["tenant"], t["instance_id"]): read.read_at for t in read.targets if t["instance_id"]})
    written += _put_instances(tables, instances)
    return written


def _newest_change(tables: Tables, key: tuple[str, str]) -> float:
    newest = tables.conn.execute(
        "SELECT max(updated_at) FROM (SELECT updated_at FROM rollouts WHERE tenant = :t AND rollout_id = :r"
        " UNION ALL SELECT updated_at FROM rollout_targets WHERE tenant = :t AND rollout_id = :r)",
        {"t": key[0], "r": key[1]},
    ).fetchone()[0]
    return float(newest) if newest is not None else 0.0


def _put_instances(tables: Tables, written: Mapping[tuple[str, str], float]) -> int:
    rows = []
    for (tenant, instance_id), at in written.items():
        rows += tables.rows(_INSTANCE, {"tenant": tenant, "instance_id": instance_id, "at": at})
    return tables.upsert("instances", rows)


# Without the hint the planner reads all of the tenant's targets.
_INSTANCE = """
SELECT :tenant AS tenant, :instance_id AS instance_id, (
         SELECT hostname FROM rollout_targets
         WHERE tenant = :tenant AND instance_id = :instance_id AND hostname IS NOT NULL
         ORDER BY created_at DESC LIMIT 1) AS hostname,
       newest.bundle_hash AS current_bundle, newest.completed_at AS bundle_at, :at AS first_seen, :at AS updated_at
FROM (SELECT 1) LEFT JOIN (
  SELECT bundle_hash, completed_at FROM rollout_targets INDEXED BY rollout_targets_instance
  WHERE tenant = :tenant AND instance_id = :instance_id AND status = 'succeeded' AND bundle_hash IS NOT NULL
  ORDER BY completed_at DESC LIMIT 1) newest
"""
