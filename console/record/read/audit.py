# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runtime audit: how much of the API's log the database holds, its counts over time, and the events behind a count.

Nothing here reads all events: the fleet's counts are in audit_counts, those of one instance in audit_daily.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from console.record.read.frames import LIST_PAGE, as_frame, one, reading

Grain = Literal["day", "hour"]

AUDIT_DIMENSIONS = ("source", "tool_name", "role", "server_slug")
HOUR, DAY = 3600, 86400


@dataclass(frozen=True)
class AuditSpan:
    """What is counted: by ``day`` or ``hour`` (UTC), from the bucket ``since`` on ('' for all), of one instance or ''.

    Buckets are 'YYYY-MM-DD' and 'YYYY-MM-DDTHH'. Events without a time are in no hour, and in no day that is named.
    """

    grain: Grain = "day"
    since: str = ""
    instance_id: str = ""


@dataclass(frozen=True)
class AuditCell:
    """Which of a span's events are listed: those with this word of a dimension, outcome and bucket; None for any."""

    span: AuditSpan
    by: str = "source"
    value: str | None = None
    outcome: str | None = None
    bucket: str | None = None


def span_of(days: int, grain: Grain, now: float, instance_id: str = "") -> AuditSpan:
    """The newest ``days`` days up to ``now``, the present one included; 0 for all. By hour: so many times 24 hours."""
    if not days:
        return AuditSpan(grain, "", instance_id)
    if grain == "hour":
        return AuditSpan(grain, _bucket("hour", now - (days * 24 - 1) * HOUR), instance_id)
    return AuditSpan(grain, _bucket("day", now - (days - 1) * DAY), instance_id)


def _bucket(grain: Grain, at: float) -> str:
    return time.strftime("%Y-%m-%d" if grain == "day" else "%Y-%m-%dT%H", time.gmtime(at))


# From what is there and not from all instances, most of which may have no audit.
_COVERED = """
FROM audit_held k
LEFT JOIN ingest_cursors c ON c.source = 'audit' AND c.scope = k.tenant || '|' || k.instance_id
WHERE k.events > 0 OR k.total IS NOT NULL
"""


@dataclass(frozen=True)
class AuditTotals:
    """Sums over the instances: events held, and the API's own figures. gaps: instances with a hole in what is held."""

    instances: int
    held: int
    total: int
    success: int
    error: int
    denied: int
    gaps: int


def audit_totals(path: Path) -> AuditTotals:
    """The fleet's figures; an instance counts once it has events or figures of the API."""
    with reading(path) as conn:
        row = one(
            conn,
            "SELECT count(*) AS instances, coalesce(sum(k.events), 0) AS held, coalesce(sum(k.total), 0) AS total,"
            " coalesce(sum(k.success), 0) AS success, coalesce(sum(k.error), 0) AS error,"
            " coalesce(sum(k.denied), 0) AS denied, count(c.gap_from) AS gaps " + _COVERED,
            {},
        )
    return AuditTotals(**row) if row else AuditTotals(0, 0, 0, 0, 0, 0, 0)


def audit_coverage(path: Path, page: int = 1, size: int = LIST_PAGE) -> tuple[pd.DataFrame, int]:
    """One page of the instances, those with gaps and those held least first; and how many there are.

    Columns: host, instance_id, ours (events held), the figures of the API total, success, error, denied at taken_at,
    gap_from and gap_to (between these times more happened than could be read). Unknown figures are empty.
    """
    with reading(path) as conn:
        total = conn.execute("SELECT count(*) FROM audit_held WHERE events > 0 OR total IS NOT NULL").fetchone()[0]
        frame = as_frame(
            conn,
            f"""
            SELECT coalesce((SELECT hostname FROM instances i
                             WHERE i.tenant = k.tenant AND i.instance_id = k.instance_id),
                            k.instance_id) AS host, k.instance_id, k.events AS ours,
                   k.total, k.success, k.error, k.denied, k.taken_at, c.gap_from, c.gap_to
            {_COVERED}
            ORDER BY c.gap_from IS NULL, round(k.events * 100.0 / k.total) ASC NULLS LAST,
                     k.error + k.denied DESC NULLS LAST, host LIMIT :size OFFSET :skip
            """,  # noqa: S608 - the text above
            {"size": size, "skip": (page - 1) * size},
            ("ours", "total", "success", "error", "denied", "taken_at", "gap_from", "gap_to"),
        )
    return frame, total


def audit_instances(path: Path, most: int = 5000) -> pd.DataFrame:
    """The instances with events, by name: instance_id, host."""
    with reading(path) as conn:
        return as_frame(
            conn,
            "SELECT h.instance_id, coalesce(i.hostname, h.instance_id) AS host FROM audit_held h"
            " LEFT JOIN instances i ON i.tenant = h.tenant AND i.instance_id = h.instance_id"
            " WHERE h.events > 0 ORDER BY host LIMIT :most",
            {"most": most},
        )


def audit_over_time(path: Path, by: str, span: AuditSpan) -> pd.DataFrame:
    """Events by bucket, word of the dimension ``by`` and outcome: columns bucket, value, outcome, events.

    Of the whole fleet hours are kept as long as raw events; of one instance they are counted from its raw events.
    Events without a time are in the bucket ''. At most the 50,000 newest rows.
    """
    if by not in AUDIT_DIMENSIONS:
        raise ValueError(f"{by!r} is no dimension of the audit")
    params: dict[str, Any] = {"by": by, "grain": span.grain, "since": span.since, "instance": span.instance_id}
    with reading(path) as conn:
        # S608: `by` is one of the four words above.
        if not span.instance_id:
            sql = """
                SELECT bucket, value, outcome, sum(n) AS events FROM audit_counts
                WHERE grain = :grain AND dimension = :by AND bucket >= :since
                GROUP BY 1, 2, 3 ORDER BY 1 DESC LIMIT 50000"""
        elif span.grain == "day":
            sql = f"""
                SELECT d.day AS bucket, d.{by} AS value, d.outcome, sum(d.n) AS events
                FROM audit_held h CROSS JOIN audit_daily d ON d.tenant = h.tenant AND d.instance_id = h.instance_id
                WHERE h.instance_id = :instance AND d.day >= :since GROUP BY 1, 2, 3 ORDER BY 1 DESC LIMIT 50000"""  # noqa: S608
        else:
            params["first"] = _begin(span.since) if span.since else -1e18
            sql = f"""
                SELECT strftime('%Y-%m-%dT%H', CAST(e.event_ts AS INTEGER), 'unixepoch') AS bucket,
                       coalesce(e.{by}, '') AS value, coalesce(e.outcome, '') AS outcome, count(*) AS events
                FROM audit_held h CROSS JOIN audit_events e ON e.tenant = h.tenant AND e.instance_id = h.instance_id
                WHERE h.instance_id = :instance AND e.event_ts >= :first
                GROUP BY 1, 2, 3 ORDER BY 1 DESC LIMIT 50000"""  # noqa: S608
        return as_frame(conn, sql, params)


def audit_counts(path: Path, by: str, instance_id: str = "", days: int = 0, now: float = 0.0) -> pd.DataFrame:
    """Events of one instance, or of all, by word of ``by`` and outcome, the biggest first.

    Columns: <by>, outcome, events. days: only the newest n days up to ``now``; 0 for all, then with the events that
    have no time.
    """
    found = audit_over_time(path, by, span_of(days, "day", now, instance_id))
    summed = found.groupby(["value", "outcome"])["events"].sum().reset_index()
    return summed.sort_values("events", ascending=False, ignore_index=True).rename(columns={"value": by})


_EVENT = """
SELECT e.event_ts, coalesce(i.hostname, e.instance_id) AS host, e.instance_id, e.outcome, e.source, e.event_type,
       e.tool_name, e.server_slug, e.role, e.conversation_id, e.request_id, e.id
"""


def audit_events(path: Path, cell: AuditCell, page: int = 1, size: int = LIST_PAGE) -> tuple[pd.DataFrame, int]:
    """One page of the raw events of a cell, newest first; and how many there are.

    Columns: event_ts, host, instance_id, outcome, source, event_type, tool_name, server_slug, role, conversation_id,
    request_id, id. Events without a time are in no list. Of the fleet only those hours are read that the page needs.
    """
    if cell.by not in AUDIT_DIMENSIONS:
        raise ValueError(f"{cell.by!r} is no dimension of the audit")
    first, last = _limits(cell)
    skip = (page - 1) * size
    params: dict[str, Any] = {"value": cell.value, "outcome": cell.outcome, "first": first, "last": last, "size": size}
    with reading(path) as conn:
        if cell.span.instance_id:
            found = f"""
                FROM audit_held h CROSS JOIN audit_events e ON e.tenant = h.tenant AND e.instance_id = h.instance_id
                  AND e.event_ts >= :first AND e.event_ts < :last
                WHERE h.instance_id = :instance AND {_wanted(cell.by)}"""
            params |= {"instance": cell.span.instance_id, "skip": skip}
            total = conn.execute("SELECT count(*) " + found, params).fetchone()[0]
        else:
            hours = _hours(conn, cell, params)
            total = sum(hours.values())
            chosen, before = _hours_of_page(hours, skip, size)
            found = f"""
                FROM json_each(:hours) hour CROSS JOIN audit_events e INDEXED BY audit_events_newest
                  ON e.event_ts >= hour.value AND e.event_ts < hour.value + {HOUR}
                WHERE {_wanted(cell.by)}"""
            params |= {"hours": json.dumps(chosen), "skip": skip - before}
        # The keys first: SQLite would read each row that the index leaves out, too.
        # S608: the texts above and one of the dimensions.
        sql = f"""{_EVENT}
            FROM (
              SELECT e.tenant, e.instance_id, e.id {found}
              ORDER BY e.event_ts DESC, e.id, e.instance_id LIMIT :size OFFSET :skip) k
            CROSS JOIN audit_events e ON e.tenant = k.tenant AND e.instance_id = k.instance_id AND e.id = k.id
            LEFT JOIN instances i ON i.tenant = e.tenant AND i.instance_id = e.instance_id
            ORDER BY e.event_ts DESC, e.id, e.instance_id"""
        return as_frame(conn, sql, params, ("event_ts",)), total


def _wanted(by: str) -> str:
    return f"""(:value IS NULL OR coalesce(e.{by}, '') = :value)
        AND (:outcome IS NULL OR coalesce(e.outcome, '') = :outcome)"""


def _hours_of_page(hours: Mapping[int, int], skip: int, size: int) -> tuple[list[int], int]:
    """The hours, newest first, in which ``size`` events after ``skip`` lie; and how many events are in newer ones."""
    chosen: list[int] = []
    passed = before = 0
    for begin, n in hours.items():
        if passed + n > skip and passed < skip + size:
            before = before if chosen else passed
            chosen.append(begin)
        passed += n
    return chosen, before


def _hours(conn: sqlite3.Connection, cell: AuditCell, params: Mapping[str, Any]) -> dict[int, int]:
    """The hours that hold events of the cell, newest first: their begin and how many."""
    # Any dimension counts all events; that of the fewest words is read soonest.
    by = cell.by if cell.value is not None else "source"
    found = conn.execute(
        """
        SELECT CAST(strftime('%s', bucket || ':00:00') AS INTEGER) AS begin, sum(n) FROM audit_counts
        WHERE grain = 'hour' AND dimension = :by AND bucket >= :since AND bucket < :until
          AND (:value IS NULL OR value = :value) AND (:outcome IS NULL OR outcome = :outcome)
        GROUP BY bucket
        """,
        {
            **params,
            "by": by,
            "since": _bucket("hour", params["first"]) if params["first"] > -_FAR else "",
            "until": _bucket("hour", params["last"]) if params["last"] < _FAR else "~",
        },
    )
    hours = {int(begin): int(n) for begin, n in found if begin is not None}
    # S608: the text below and one of the dimensions.
    left = conn.execute(_UNCOUNTED + f"SELECT begin, ({_OF_HOUR} AND {_wanted(by)}) FROM uncounted", params)  # noqa: S608
    hours |= {begin: n for begin, n in left if n}
    return dict(sorted(hours.items(), reverse=True))


# Pruning takes the counts of all old hours, but leaves the newest events of each instance. Walked from hour to hour.
_OF_HOUR = f"""
SELECT count(*) FROM audit_events e INDEXED BY audit_events_newest
WHERE e.event_ts >= begin AND e.event_ts < begin + {HOUR}"""  # noqa: S608
_NEXT = f"""
(SELECT whole - (whole % {HOUR} + {HOUR}) % {HOUR} FROM (
  SELECT CAST(event_ts AS INTEGER) - (event_ts < CAST(event_ts AS INTEGER)) AS whole
  FROM audit_events INDEXED BY audit_events_newest WHERE event_ts >= :first AND event_ts < {{before}}
  ORDER BY event_ts DESC LIMIT 1))"""  # noqa: S608
_UNCOUNTED = f"""
WITH RECURSIVE hour (begin) AS (
  SELECT {_NEXT.format(before=":last")}
  UNION ALL SELECT {_NEXT.format(before="hour.begin")} FROM hour WHERE begin IS NOT NULL),
uncounted AS (
  SELECT begin FROM hour WHERE begin IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM audit_counts
    WHERE grain = 'hour' AND dimension = 'source' AND bucket = strftime('%Y-%m-%dT%H', begin, 'unixepoch')))
"""  # noqa: S608


_FAR = 1e18


def _begin(bucket: str) -> float:
    """When a bucket begins, epoch seconds."""
    return parse_time(bucket + ("" if len(bucket) == 10 else ":00")) or 0.0


def _limits(cell: AuditCell) -> tuple[float, float]:
    if cell.bucket:
        begin = _begin(cell.bucket)
        return begin, begin + (DAY if len(cell.bucket) == 10 else HOUR)
    return (_begin(cell.span.since) if cell.span.since else -_FAR), _FAR
