# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes rollouts with their targets, and the instances of these. The store begins the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import spellings
from console.record.rows import RolloutRead, Row, to_json
from console.record.write.tables import Tables


def stored(tables: Tables, tenant: str, rollout_id: str) -> Row | None:
    """The row of a stored rollout, None if it is not stored."""
    return tables.one("SELECT * FROM rollouts WHERE tenant = ? AND rollout_id = ?", (tenant, rollout_id))


def unfinished(tables: Tables, tenant: str) -> list[Row]:
    """The stored rollouts of a tenant that are open, or whose targets could not be read."""
    return tables.rows("SELECT * FROM rollouts WHERE tenant = ? AND (is_open = 1 OR targets_read = 0)", (tenant,))


def spelled(tables: Tables, tenant: str, rollout_id: str) -> str:
    """The id of a rollout in the spelling in which it is stored, or as it is."""
    return tables.spelled("rollouts", "rollout_id", {"tenant": tenant}, [rollout_id]).get(rollout_id, rollout_id)


def _as_stored(tables: Tables, kind: str, scope: Mapping[str, Any], ids: Iterable[str]) -> dict[str, str]:
    """The ids of rollouts, instances or targets (``kind``) within ``scope``, each in the spelling in which it is
    stored, or as it is. The links of runs take over the spelling of the new ones."""
    wanted = list(dict.fromkeys(ids))
    known = tables.spelled(*TABLES[kind], scope, wanted)
    others = {text: i for i in wanted if i not in known for text in spellings(i) - {i}}
    tables.conn.execute(
        "UPDATE OR IGNORE run_links SET ref = (SELECT value FROM json_each(:ids) WHERE key = ref)"
        " WHERE kind IN (:kind, iif(:kind = 'rollout', 'adopted', '')) AND ref IN (SELECT key FROM json_each(:ids))",
        {"kind": kind, "ids": to_json(others)},
    )
    return {i: known.get(i, i) for i in wanted}


TABLES = {
    "rollout": ("rollouts", "rollout_id"),
    "target": ("rollout_targets", "target_id"),
    "instance": ("instances", "instance_id"),
}
"""The table and the column of the ids of each kind."""


def _read_as_stored(tables: Tables, read: RolloutRead) -> RolloutRead:
    """A read with all its ids in the spelling in which they are stored."""
    of_tenant, rollout_id = {"tenant": read.rollout["tenant"]}, read.rollout["rollout_id"]
    key = {"rollout_id": _as_stored(tables, "rollout", of_tenant, [rollout_id])[rollout_id]}
    found = read.targets or []
    targets = _as_stored(tables, "target", of_tenant | key, (t["target_id"] for t in found))
    instances = _as_stored(tables, "instance", of_tenant, (t["instance_id"] for t in found if t["instance_id"]))
    rows = [
        {**t, **key, "target_id": targets[t["target_id"]], "instance_id": instances.get(i := t["instance_id"], i)}
        for t in found
    ]
    return replace(read, rollout=read.rollout | key, targets=rows if read.targets else read.targets)


def put(tables: Tables, reads: Iterable[RolloutRead]) -> int:
    """Store rollouts with their targets; returns how many rows were written.

    A read that is older than what is stored is ignored (another sync was faster).
    """
    reads = [_read_as_stored(tables, read) for read in reads]
    written = 0
    instances: dict[tuple[str, str], Row] = {}
    for read in reads:
        at = read.read_at
        if tables.one(_IS_NEWER, {**read.rollout, "at": at}):
            continue
        stamps = {"first_seen": at, "updated_at": at}
        row = {**read.rollout, "targets_read": int(read.targets is not None and not read.again), **stamps}
        written += tables.upsert("rollouts", [row])
        if read.targets:
            written += tables.upsert("rollout_targets", [{**target, **stamps} for target in read.targets])
            instances |= {(t["tenant"], t["instance_id"]): {**t, "at": at} for t in read.targets if t["instance_id"]}
        if not read.rollout["is_open"]:
            # If the API no longer has the rollout, its targets were open when they were last read.
            tables.conn.execute(_CLOSE_TARGETS, read.rollout)
    rows = [row for instance in instances.values() for row in tables.rows(_INSTANCE, instance)]
    return written + tables.upsert("instances", rows)


_CLOSE_TARGETS = """
UPDATE rollout_targets SET is_open = 0 WHERE tenant = :tenant AND rollout_id = :rollout_id AND is_open = 1
"""
_IS_NEWER = """
SELECT 1 FROM rollouts WHERE tenant = :tenant AND rollout_id = :rollout_id AND updated_at > :at
UNION ALL SELECT 1 FROM rollout_targets WHERE tenant = :tenant AND rollout_id = :rollout_id AND updated_at > :at LIMIT 1
"""
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
