# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audits: raw events, and the counts that are kept of them in the same transaction.

A raw event is added once and never changed, so the counts grow by what is new. They count days (UTC), of each instance
and of the fleet, and stay when the raw events are pruned.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from console.record.rows import Row
from console.record.write.tables import Part

DIMENSIONS = ("source", "role", "tool_name", "server_slug")
DAY = 86400

# What is counted of an event besides its day, in the order of the columns of audit_daily.
_WORDS = ("source", "outcome", "role", "tool_name", "server_slug")


class Audit(Part):
    """Tables audit_events, audit_daily, audit_fleet_daily, audit_held."""

    def known_ids(self, tenant: str, instance_id: str, *, newest: int, not_after: float | None = None) -> set[str]:
        """The ids of the ``newest`` stored audit events of an instance, of those up to ``not_after`` if given."""
        found = self._tables.rows(
            "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ? AND (? IS NULL OR event_ts <= ?)"
            " ORDER BY event_ts DESC LIMIT ?",
            (tenant, instance_id, not_after, not_after, newest),
        )
        return {row["id"] for row in found}

    def newest_summary(self, tenant: str, instance_id: str) -> Row | None:
        """The newest stored summary of an instance, None without one."""
        return self._tables.one(
            "SELECT * FROM audit_summaries WHERE tenant = ? AND instance_id = ? ORDER BY taken_at DESC LIMIT 1",
            (tenant, instance_id),
        )

    def add(self, events: Sequence[Row]) -> int:
        """Store events of one instance; those that are known stay as they are. Returns how many are new."""
        if not events:
            return 0
        tenant, instance_id = events[0]["tenant"], events[0]["instance_id"]
        found = self._tables.conn.execute(
            "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ?"
            " AND id IN (SELECT value FROM json_each(?))",
            (tenant, instance_id, json.dumps([e["id"] for e in events])),
        )
        known = {row[0] for row in found}
        # Pruned events are not stored again: their day has counted them.
        floor = self._floor(tenant, instance_id)
        by_id = {
            e["id"]: e for e in events if e["id"] not in known and (e["event_ts"] is None or e["event_ts"] >= floor)
        }
        new = list(by_id.values())
        self._tables.upsert("audit_events", new)
        self._count(tenant, instance_id, new)
        self._tables.conn.execute(
            "INSERT INTO audit_held (tenant, instance_id, events) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET events = events + excluded.events",
            (tenant, instance_id, len(new)),
        )
        return len(new)

    def _floor(self, tenant: str, instance_id: str) -> float:
        found = self._tables.one(
            "SELECT floor FROM audit_floors WHERE tenant = ? AND instance_id = ?", (tenant, instance_id)
        )
        return float(found["floor"]) if found else -math.inf

    def _count(self, tenant: str, instance_id: str, new: Sequence[Row]) -> None:
        """Add new events to the counts by day: those of their instance, and those of the fleet."""
        counted: Counter[tuple[Any, ...]] = Counter(
            (None if e["event_ts"] is None else e["event_ts"] // DAY * DAY, *(e[word] or "" for word in _WORDS))
            for e in new
        )
        days = {begin: day_of(begin) for begin in {key[0] for key in counted}}
        fleet: Counter[tuple[str, ...]] = Counter()
        for (begin, *words), n in counted.items():
            told = dict(zip(_WORDS, words, strict=True))
            for name in DIMENSIONS:
                fleet[name, days[begin], told[name], told["outcome"]] += n
        self._tables.conn.executemany(
            "INSERT INTO audit_daily (tenant, instance_id, day, source, outcome, role, tool_name, server_slug, n)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(tenant, instance_id, days[begin], *words, n) for (begin, *words), n in counted.items()],
        )
        self._tables.conn.executemany(
            "INSERT INTO audit_fleet_daily (dimension, day, value, outcome, tenant, n)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, tenant, n) for key, n in fleet.items()],
        )


def day_of(ts: float | None) -> str:
    """The UTC day (YYYY-MM-DD) of a time, '' for none."""
    return time.strftime("%Y-%m-%d", time.gmtime(ts)) if ts is not None else ""
