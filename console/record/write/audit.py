# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes audit events, and in the same transaction the counts of them.

A raw event is added once and never changed, so only new events are added to the counts. These are per day (UTC), for
each instance and for the fleet, and are kept when the raw events are pruned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from console.record.rows import Row, storable
from console.record.schema.audit import DIMENSIONS
from console.record.write.tables import Tables


def known_ids(tables: Tables, tenant: str, instance_id: str, *, newest: int, not_after: float | None) -> set[str]:
    """The ids (id_key) of the newest stored audit events of an instance: at most ``newest``, up to ``not_after``."""
    found = tables.rows(
        "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ? AND (? IS NULL OR event_ts <= ?)"
        " ORDER BY event_ts DESC LIMIT ?",
        (tenant, instance_id, not_after, not_after, newest),
    )
    return {id_key(row["id"]) for row in found}


def newest_summary(tables: Tables, tenant: str, instance_id: str) -> Row | None:
    """The newest stored summary of an instance, None if there is none."""
    return tables.one(
        "SELECT * FROM audit_summaries WHERE tenant = ? AND instance_id = ? ORDER BY taken_at DESC LIMIT 1",
        (tenant, instance_id),
    )


def add(tables: Tables, events: Sequence[Row]) -> int:
    """Store events of one instance; known ones are not changed. Returns how many are new."""
    if not events:
        return 0
    key = {"tenant": events[0]["tenant"], "instance_id": events[0]["instance_id"]}
    by_id = {storable(e["id"]): e for e in events}
    known = tables.spelled("audit_events", "id", key, by_id)
    # Pruned events are not stored again: they are in the counts of their day.
    floors = "SELECT floor FROM audit_floors WHERE tenant = :tenant AND instance_id = :instance_id"
    floor = (tables.one(floors, key) or {"floor": -math.inf})["floor"]
    new = {id_: e for id_, e in by_id.items() if id_ not in known and (e["event_ts"] is None or e["event_ts"] >= floor)}
    tables.upsert("audit_events", list(new.values()))
    for statement in _COUNT:
        tables.conn.execute(statement, {**key, "ids": list(new)})
    return len(new)


# The events of one instance that have one of these ids.
_WITH_IDS = """
FROM audit_events WHERE tenant = :tenant AND instance_id = :instance_id AND id IN (SELECT value FROM json_each(:ids))
"""
_DAY = "coalesce(strftime('%Y-%m-%d', CAST(event_ts AS INTEGER), 'unixepoch'), '')"
_COUNT = (
    f"""
    INSERT INTO audit_daily
    SELECT tenant, instance_id, {_DAY}, coalesce(source, ''), coalesce(outcome, ''), coalesce(role, ''),
           coalesce(tool_name, ''), coalesce(server_slug, ''), count(*)
    {_WITH_IDS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ON CONFLICT
    (tenant, instance_id, day, source, outcome, role, tool_name, server_slug) DO UPDATE SET n = n + excluded.n
    """,
    *(
        f"""
        INSERT INTO audit_fleet_daily
        SELECT '{name}', {_DAY}, coalesce({name}, ''), coalesce(outcome, ''), tenant, count(*)
        {_WITH_IDS} GROUP BY 1, 2, 3, 4, 5 ON CONFLICT
        (dimension, day, value, outcome, tenant) DO UPDATE SET n = n + excluded.n
        """
        for name in DIMENSIONS
    ),
    f"""
    INSERT INTO audit_held (tenant, instance_id, events) SELECT :tenant, :instance_id, count(*)
    {_WITH_IDS} ON CONFLICT (tenant, instance_id) DO UPDATE SET events = events + excluded.events
    """,
)
"""Adds new events to the counts: those of their instance per day, of the fleet per day, and of their instance."""
