# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store's part for audits: raw events, and the counts that are kept of them in the same transaction.

A raw event is added once and never changed, so the counts of the fleet grow by what is new; the daily counts of an
instance are made anew for each day that got an event.
"""

from __future__ import annotations

import calendar
import json
import math
import time
from collections import Counter
from collections.abc import Sequence

from console.database import Row, Tables

DIMENSIONS = ("source", "role", "tool_name", "server_slug")


class AuditTables(Tables):
    """Tables audit_events, audit_daily, audit_counts, audit_held."""

    def known_audit_ids(
        self, tenant: str, instance_id: str, *, newest: int, not_after: float | None = None
    ) -> set[str]:
        """The ids of the ``newest`` stored audit events of an instance, of those up to ``not_after`` if given."""
        found = self._rows(
            "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ? AND (? IS NULL OR event_ts <= ?)"
            " ORDER BY event_ts DESC LIMIT ?",
            (tenant, instance_id, not_after, not_after, newest),
        )
        return {row["id"] for row in found}

    def _add_events(self, events: Sequence[Row]) -> int:
        tenant, instance_id = events[0]["tenant"], events[0]["instance_id"]
        known = {
            row[0]
            for start in range(0, len(events), 500)
            for row in self._conn.execute(
                "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ?"
                " AND id IN (SELECT value FROM json_each(?))",
                (tenant, instance_id, json.dumps([e["id"] for e in events[start : start + 500]])),
            )
        }
        # What was pruned stays out; its day is counted already.
        floor = self._audit_floor(tenant, instance_id)
        new = {e["id"]: e for e in events if e["id"] not in known and (e["event_ts"] is None or e["event_ts"] >= floor)}
        self._upsert("audit_events", ("tenant", "instance_id", "id"), list(new.values()))
        for day in {day_of(e["event_ts"]) for e in new.values()}:
            self._count_day(tenant, instance_id, day)
        self._count_fleet(tenant, list(new.values()))
        self._conn.execute(
            "INSERT INTO audit_held VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
            (tenant, instance_id, len(new)),
        )
        return len(new)

    def _audit_floor(self, tenant: str, instance_id: str) -> float:
        found = self._conn.execute(
            "SELECT floor FROM audit_floors WHERE tenant = ? AND instance_id = ?", (tenant, instance_id)
        ).fetchone()
        return float(found[0]) if found else -math.inf

    def _count_day(self, tenant: str, instance_id: str, day: str) -> None:
        self._conn.execute(
            "DELETE FROM audit_daily WHERE tenant = ? AND instance_id = ? AND day = ?", (tenant, instance_id, day)
        )
        begin = calendar.timegm(time.strptime(day, "%Y-%m-%d")) if day else None
        span = "event_ts >= :begin AND event_ts < :begin + 86400" if day else "event_ts IS NULL"
        # S608: `span` is one of the two texts above.
        self._conn.execute(
            f"""
            INSERT INTO audit_daily (tenant, instance_id, day, source, outcome, role, tool_name, server_slug, n)
            SELECT tenant, instance_id, :day, coalesce(source, ''), coalesce(outcome, ''), coalesce(role, ''),
                   coalesce(tool_name, ''), coalesce(server_slug, ''), count(*)
            FROM audit_events WHERE tenant = :tenant AND instance_id = :instance AND {span} GROUP BY 4, 5, 6, 7, 8
            """,  # noqa: S608
            {"tenant": tenant, "instance": instance_id, "day": day, "begin": begin},
        )

    def _count_fleet(self, tenant: str, new: Sequence[Row]) -> None:
        counted: Counter[tuple[str, str, str, str, str]] = Counter()
        for event in new:
            buckets = [("day", day_of(event["event_ts"]))]
            if event["event_ts"] is not None:
                buckets.append(("hour", time.strftime("%Y-%m-%dT%H", time.gmtime(event["event_ts"]))))
            for grain, bucket in buckets:
                for name in DIMENSIONS:
                    counted[grain, name, bucket, event[name] or "", event["outcome"] or ""] += 1
        self._conn.executemany(
            "INSERT INTO audit_counts (grain, dimension, bucket, value, outcome, tenant, n)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, tenant, n) for key, n in counted.items()],
        )


def day_of(ts: float | None) -> str:
    """The UTC day (YYYY-MM-DD) of a time, '' for none."""
    return time.strftime("%Y-%m-%d", time.gmtime(ts)) if ts is not None else ""
