# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what was read from each instance itself: state, health, versions and actions."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import spellings
from console.record.rows import InstanceRows, Row
from console.record.write.tables import Tables


def known(tables: Tables, tenant: str) -> list[Row]:
    """The known instances of a tenant: instance_id and hostname, by name."""
    return tables.rows(
        "SELECT instance_id, hostname FROM instances WHERE tenant = ? ORDER BY hostname, instance_id", (tenant,)
    )


def newest_action(tables: Tables, tenant: str, instance_id: str, unless: Sequence[str]) -> float | None:
    """When the newest stored action of an instance began; None if there is none, or if an action with one of the ids
    ``unless`` is stored."""
    [newest] = tables.rows(
        "SELECT CASE WHEN NOT max(action_id IN (SELECT value FROM json_each(?))) THEN max(created_at) END AS at"
        " FROM instance_actions WHERE tenant = ? AND instance_id = ?",
        ([text for i in unless for text in spellings(i)], tenant, instance_id),
    )
    return newest["at"]


def put_gone(tables: Tables, tenant: str, instance_id: str) -> None:
    """Record that the API no longer knows an instance. Its history is kept, and the next successful read ends this."""
    # The other columns become NULL: it is not known whether the last answers of the API are still true.
    sql = "INSERT OR REPLACE INTO instance_state (tenant, instance_id, health) VALUES (?, ?, 'gone')"
    with tables.transaction():
        tables.conn.execute(sql, (tenant, instance_id))


def put(tables: Tables, rows: InstanceRows) -> int:
    """Store what was read from one instance, within a transaction; returns how many rows were written."""
    written = 0
    if rows.state is not None:
        tables.conn.execute(
            "UPDATE instance_state SET health = NULL"
            " WHERE tenant = :tenant AND instance_id = :instance_id AND health = 'gone'",
            rows.state,
        )
        written += tables.upsert("instance_state", [rows.state])
    if rows.health is not None:
        written += tables.upsert("health_checks", [rows.health])
    if rows.versions is not None:
        written += int(tables.add_if_new("instance_versions", rows.versions))
    if not rows.actions:
        return written
    key = {name: rows.actions[0][name] for name in ("tenant", "instance_id")}
    known = tables.spelled("instance_actions", "action_id", key, (row["action_id"] for row in rows.actions))
    actions = [{**row, "action_id": known.get(row["action_id"], row["action_id"])} for row in rows.actions]
    return written + tables.upsert("instance_actions", actions)
