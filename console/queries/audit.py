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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from console.queries.reading import LIST_PAGE, as_frame, one, reading

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


# From what is there and not from all instances, most of which may have no audit. Of the API's figures the newest count:
# beside max() SQLite takes the other columns from the row that has it.
_COVERED = """
FROM (
  SELECT tenant, instance_id, max(events) AS events, max(total) AS total, max(success) AS success, max(error) AS error,
         max(denied) AS denied, max(taken_at) AS taken_at
  FROM (
    SELECT tenant, instance_id, events, NULL AS total, NULL AS success, NULL AS error, NULL AS denied, NULL AS taken_at
    FROM audit_held WHERE events > 0
    UNION ALL
    SELECT tenant, instance_id, NULL, total, success, error, denied, taken_at FROM (
      SELECT tenant, instance_id, max(taken_at) AS taken_at, total, success, error, denied
      FROM audit_summaries GROUP BY tenant, instance_id)
    WHERE total IS NOT NULL)
  GROUP BY tenant, instance_id) k
LEFT JOIN ingest_cursors c ON c.source = 'audit' AND c.scope = k.tenant || '|' || k.instance_id
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
        total = conn.execute("SELECT count(*) " + _COVERED).fetchone()[0]
        frame = as_frame(
            conn,
            f"""
            SELECT coalesce((SELECT hostname FROM instances i
                             WHERE i.tenant = k.tenant AND i.instance_id = k.instance_id),
                            k.instance_id) AS host, k.instance_id, coalesce(k.events, 0) AS ours,
                   k.total, k.success, k.error, k.denied, k.taken_at, c.gap_from, c.gap_to
            {_COVERED}
            ORDER BY c.gap_from IS NULL, round(coalesce(k.events, 0) * 100.0 / k.total) ASC NULLS LAST,
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
    """One page of the raw events of a cell, newest first; and how many there are, as the hourly counts say.

    Columns: event_ts, host, instance_id, outcome, source, event_type, tool_name, server_slug, role, conversation_id,
    request_id, id. Events without a time are in no list. Of the fleet only those hours are read that the page needs.
    """
    if cell.by not in AUDIT_DIMENSIONS:
        raise ValueError(f"{cell.by!r} is no dimension of the audit")
    first, last = _limits(cell)
    params: dict[str, Any] = {"value": cell.value, "outcome": cell.outcome, "first": first, "last": last}
    skip = (page - 1) * size
    # S608: `by` is one of the dimensions.
    wanted = f"""
        (:value IS NULL OR coalesce(e.{cell.by}, '') = :value)
        AND (:outcome IS NULL OR coalesce(e.outcome, '') = :outcome)"""
    named = "LEFT JOIN instances i ON i.tenant = e.tenant AND i.instance_id = e.instance_id"
    with reading(path) as conn:
        if cell.span.instance_id:
            of_one = f"""
                FROM audit_held h CROSS JOIN audit_events e ON e.tenant = h.tenant AND e.instance_id = h.instance_id
                  AND e.event_ts >= :first AND e.event_ts < :last {named}
                WHERE h.instance_id = :instance AND {wanted}"""
            params["instance"] = cell.span.instance_id
            total = conn.execute("SELECT count(*) " + of_one, params).fetchone()[0]
            sql = _EVENT + of_one + " ORDER BY e.event_ts DESC, e.id LIMIT :size OFFSET :skip"
            return as_frame(conn, sql, {**params, "size": size, "skip": skip}, ("event_ts",)), total
        hours = _hours(conn, cell, first, last)
        total = sum(n for _begin_of, n in hours)
        chosen, before = [], 0
        for begin, n in hours:
            if before + n > skip and before < skip + size:
                chosen.append((begin, before))
            before += n
        # S608: `by` is one of the dimensions.
        sql = f"""{_EVENT}
            FROM json_each(:looks) look CROSS JOIN audit_events e
              ON e.tenant = look.value ->> 0 AND e.instance_id = look.value ->> 1
              AND e.event_ts >= look.value ->> 2 AND e.event_ts < (look.value ->> 2) + 3600 {named}
            WHERE {wanted} ORDER BY e.event_ts DESC, e.id LIMIT :size OFFSET :skip"""
        params["looks"] = json.dumps(_looks(conn, cell, [begin for begin, _before in chosen]))
        params |= {"size": size, "skip": skip - chosen[0][1] if chosen else 0}
        return as_frame(conn, sql, params, ("event_ts",)), total


def _hours(conn: sqlite3.Connection, cell: AuditCell, first: float, last: float) -> list[tuple[int, int]]:
    """The hours that hold events of the cell, newest first: their begin and how many."""
    found = conn.execute(
        """
        SELECT CAST(strftime('%s', bucket || ':00:00') AS INTEGER) AS begin, sum(n) FROM audit_counts
        WHERE grain = 'hour' AND dimension = :by AND bucket >= :since AND bucket < :until
          AND (:value IS NULL OR value = :value) AND (:outcome IS NULL OR outcome = :outcome)
        GROUP BY bucket ORDER BY bucket DESC
        """,
        {
            "by": cell.by,
            "since": _bucket("hour", first) if first > 0 else "",
            "until": _bucket("hour", last) if last < _FAR else "~",
            "value": cell.value,
            "outcome": cell.outcome,
        },
    )
    return [(int(begin), int(n)) for begin, n in found if begin is not None]


def _looks(conn: sqlite3.Connection, cell: AuditCell, hours: Sequence[int]) -> list[tuple[str, str, int]]:
    """Where events of the cell can be in these hours: tenant, instance_id and hour, by the daily counts.

    Apart from the query that reads them: joined in one, SQLite makes a Bloom filter of all events first.
    """
    of_day: dict[str, list[int]] = {}
    for begin in hours:
        of_day.setdefault(_bucket("day", begin), []).append(begin)
    found = conn.execute(
        f"""
        SELECT DISTINCT h.tenant, h.instance_id, d.day
        FROM json_each(:days) x CROSS JOIN audit_held h CROSS JOIN audit_daily d
          ON d.tenant = h.tenant AND d.instance_id = h.instance_id AND d.day = x.value
        WHERE (:value IS NULL OR d.{cell.by} = :value) AND (:outcome IS NULL OR d.outcome = :outcome)
        """,  # noqa: S608 - one of the dimensions
        {"days": json.dumps(list(of_day)), "value": cell.value, "outcome": cell.outcome},
    )
    return [(tenant, instance_id, begin) for tenant, instance_id, day in found for begin in of_day[day]]


_FAR = 1e18


def _begin(bucket: str) -> float:
    """When a bucket begins, epoch seconds."""
    return pd.Timestamp(bucket + ("" if len(bucket) == 10 else ":00"), tz="UTC").timestamp()


def _limits(cell: AuditCell) -> tuple[float, float]:
    if cell.bucket:
        begin = _begin(cell.bucket)
        return begin, begin + (DAY if len(cell.bucket) == 10 else HOUR)
    return (_begin(cell.span.since) if cell.span.since else -_FAR), _FAR
