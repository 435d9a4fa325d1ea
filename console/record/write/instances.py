# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the store that writes what was read of each instance itself. A part of Store, inside its transactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from console.record.opening import Row, Tables

_KEY = ("tenant", "instance_id")


@dataclass
class InstanceRows:
    """What one look at an instance says, as rows of their tables; a part that was not read stays empty.

    ``states``: groups of columns of instance_state, one row a kind that was read.
    """

    states: list[Row] = field(default_factory=list)
    health: Row | None = None
    versions: Row | None = None
    actions: list[Row] = field(default_factory=list)


class InstanceTables(Tables):
    """Tables instance_state, health_checks, instance_versions, instance_actions."""

    def newest_action(self, tenant: str, instance_id: str) -> float | None:
        """When the newest stored action of an instance began, None without one."""
        found = self._rows(
            "SELECT max(created_at) AS at FROM instance_actions WHERE tenant = ? AND instance_id = ?",
            (tenant, instance_id),
        )
        return found[0]["at"] if found else None

    def known_actions(self, tenant: str, instance_id: str, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that are stored."""
        marks = ", ".join("?" * len(ids))
        # S608: only question marks are put into the text.
        found = self._rows(
            f"SELECT action_id FROM instance_actions WHERE tenant = ? AND instance_id = ? AND action_id IN ({marks})",  # noqa: S608
            (tenant, instance_id, *ids),
        )
        return {row["action_id"] for row in found}

    def _put_instance_rows(self, rows: InstanceRows) -> int:
        touched = 0
        for state in rows.states:
            # One by one: each kind has other columns.
            touched += self._upsert("instance_state", _KEY, [state])
        if rows.health is not None:
            touched += self._upsert("health_checks", (*_KEY, "checked_at"), [rows.health])
        if rows.versions is not None:
            touched += int(self._add_if_new("instance_versions", _KEY, rows.versions))
        return touched + self._upsert("instance_actions", (*_KEY, "action_id"), rows.actions)
