# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audits: raw events, and the counts that are kept of them in the same transaction.

A raw event is added once and never changed, so all counts grow by what is new. An hour that is counted is counted
whole: where pruning took its counts and left some of its events, those are counted again with the first new one.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from console.record.rows import Row
from console.record.write.tables import Tables

DIMENSIONS = ("source", "role", "tool_name", "server_slug")
HOUR, DAY = 3600, 86400


class Audit:
    """Tables audit_events, audit_daily, audit_counts, audit_held."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def known_ids(self, tenant: str, instance_id: str, *, newest: int, not_after: float | None = None) -> set[str]:
        """The ids of the ``newest`` stored audit events of an instance, of those up to ``not_after`` if given."""
        found = self._tables.rows(
            "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ? AND (? IS NULL OR event_ts <= ?)"
            " ORDER BY event_ts DESC LIMIT ?",
            (tenant, instance_id, not_after, not_after, newest),
        )
        return {row["id"] for row in found}

    def add(self, events: Sequence[Row]) -> int:
        """Store events of one instance; those that are known stay as they are. Returns how many are new."""
        if not events:
            return 0
        tenant, instance_id = events[0]["tenant"], events[0]["instance_id"]
        known = {
            row[0]
            for start in range(0, len(events), 500)
            for row in self._tables.conn.execute(
                "SELECT id FROM audit_events WHERE tenant = ? AND instance_id = ?"
                " AND id IN (SELECT value FROM json_each(?))",
                (tenant, instance_id, json.dumps([e["id"] for e in events[start : start + 500]])),
            )
        }
        # What was pruned stays out; its day is counted already.
        floor = self._audit_floor(tenant, instance_id)
        new = {e["id"]: e for e in events if e["id"] not in known and (e["event_ts"] is None or e["event_ts"] >= floor)}
        self._tables.upsert("audit_events", ("tenant", "instance_id", "id"), list(new.values()))
        self._count_days(tenant, instance_id, list(new.values()))
        self._count_fleet(tenant, list(new.values()))
        self._tables.conn.execute(
            "INSERT INTO audit_held (tenant, instance_id, events) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET events = events + excluded.events",
            (tenant, instance_id, len(new)),
        )
        return len(new)

    def _audit_floor(self, tenant: str, instance_id: str) -> float:
        found = self._tables.conn.execute(
            "SELECT floor FROM audit_floors WHERE tenant = ? AND instance_id = ?", (tenant, instance_id)
        ).fetchone()
        return float(found[0]) if found else -math.inf

    def _count_days(self, tenant: str, instance_id: str, new: Sequence[Row]) -> None:
        by_day = Counter(
            (
                None if e["event_ts"] is None else int(e["event_ts"] // DAY * DAY),
                e["source"] or "",
                e["outcome"] or "",
                e["role"] or "",
                e["tool_name"] or "",
                e["server_slug"] or "",
            )
            for e in new
        )
        days = {begin: day_of(begin) for begin in {key[0] for key in by_day}}
        self._tables.conn.executemany(
            "INSERT INTO audit_daily (tenant, instance_id, day, source, outcome, role, tool_name, server_slug, n)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(tenant, instance_id, days[begin], *words, n) for (begin, *words), n in by_day.items()],
        )

    def _count_fleet(self, tenant: str, new: Sequence[Row]) -> None:
        by_hour: Counter[tuple[int | None, str, str, str]] = Counter()
        sizes: Counter[int] = Counter()
        for event in new:
            ts, outcome = event["event_ts"], event["outcome"] or ""
            begin = None if ts is None else int(ts // HOUR * HOUR)
            if begin is not None:
                sizes[begin] += 1
            for name in DIMENSIONS:
                by_hour[begin, name, event[name] or "", outcome] += 1
        cut_off = self._cut_off(sizes)
        days = {begin: day_of(begin) for begin in (None, *sizes)}
        hours = {begin: hour_of(begin) for begin in sizes if begin not in cut_off}
        counted: Counter[tuple[str, str, str, str, str]] = Counter()
        for (begin, name, value, outcome), n in by_hour.items():
            counted["day", name, days[begin], value, outcome] += n
            if begin in hours:
                counted["hour", name, hours[begin], value, outcome] = n
        self._tables.conn.executemany(
            "INSERT INTO audit_counts (grain, dimension, bucket, value, outcome, tenant, n)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, tenant, n) for key, n in counted.items()],
        )
        for begin in cut_off:
            self._count_hour(begin)

    def _cut_off(self, begins: Mapping[int, int]) -> set[int]:
        """Those hours (their begin, and how many events are new) whose counts were pruned, but not all raw events."""
        found = self._tables.conn.execute(
            """
            WITH hours AS (SELECT CAST(key AS INTEGER) AS begin, value AS n FROM json_each(?))
            SELECT begin FROM hours
            WHERE NOT EXISTS (SELECT 1 FROM audit_counts c WHERE c.grain = 'hour' AND c.dimension = 'source'
                              AND c.bucket = strftime('%Y-%m-%dT%H', begin, 'unixepoch'))
              AND n < (SELECT count(*) FROM audit_events e INDEXED BY audit_events_newest
                       WHERE e.event_ts >= begin AND e.event_ts < begin + 3600)
            """,
            (json.dumps(begins),),
        )
        return {int(row[0]) for row in found}

    def _count_hour(self, begin: int) -> None:
        bucket = hour_of(begin)
        for name in DIMENSIONS:
            self._tables.conn.execute(
                "DELETE FROM audit_counts WHERE grain = 'hour' AND dimension = ? AND bucket = ?", (name, bucket)
            )
            # S608: `name` is one of the dimensions.
            self._tables.conn.execute(
                f"""
                INSERT INTO audit_counts (grain, dimension, bucket, value, outcome, tenant, n)
                SELECT 'hour', '{name}', :bucket, coalesce({name}, ''), coalesce(outcome, ''), tenant, count(*)
                FROM audit_events INDEXED BY audit_events_newest
                WHERE event_ts >= :begin AND event_ts < :begin + 3600 GROUP BY 4, 5, 6
                """,  # noqa: S608
                {"bucket": bucket, "begin": begin},
            )


def day_of(ts: float | None) -> str:
    """The UTC day (YYYY-MM-DD) of a time, '' for none."""
    return time.strftime("%Y-%m-%d", time.gmtime(ts)) if ts is not None else ""


def hour_of(ts: float) -> str:
    """The UTC hour (YYYY-MM-DDTHH) of a time."""
    return time.strftime("%Y-%m-%dT%H", time.gmtime(ts))
