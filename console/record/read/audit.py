# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runtime audit: how much of the API's log is in the database, event counts over time, and the events behind a count.

Counts by day are in audit_fleet_daily (the fleet) and audit_daily (one instance), and are kept when the raw events are
pruned. Counts by hour are computed from the raw events, for at most the newest HOURLY_DAYS days.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from sqlite3 import Connection
from typing import Any, Literal, NamedTuple

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from console.record.connection import dicts, first_value
from console.record.read.frames import LIST_PAGE, OnePage, as_frame, as_page, query
from console.record.read.rollouts import SHORT_ID

Grain = Literal["day", "hour"]

AUDIT_DIMENSIONS = ("source", "tool_name", "role", "server_slug")
HOUR, DAY = 3600, 86400
HOURLY_DAYS = 7
"""For how many days up to now events are counted by hour."""


@dataclass(frozen=True)
class AuditSpan:
    """What is counted. grain: by day or hour (UTC). since: the first bucket, '' for all. instance_id: '' for all.
    tenant: only its instance of this id, '' for those of all tenants.

    Buckets are 'YYYY-MM-DD' and 'YYYY-MM-DDTHH'. Events without a time are in the day '' and not in any hour.
    """

    grain: Grain = "day"
    since: str = ""
    instance_id: str = ""
    tenant: str = ""


@dataclass(frozen=True)
class AuditCell:
    """Which events of a span are listed. value: of the dimension ``by``. value, outcome, bucket: None for any."""

    span: AuditSpan
    by: str = "source"
    value: str | None = None
    outcome: str | None = None
    bucket: str | None = None


def span_of(days: int, grain: Grain, now: float, instance_id: str = "") -> AuditSpan:
    """The newest ``days`` days up to and including the current one; 0 for all. By hour: ``days`` times 24 hours, for at
    most HOURLY_DAYS days."""
    if grain == "hour":
        hours = min(days or HOURLY_DAYS, HOURLY_DAYS) * 24
        return AuditSpan(grain, _bucket("hour", now - (hours - 1) * HOUR), instance_id)
    return AuditSpan(grain, _bucket("day", now - (days - 1) * DAY) if days else "", instance_id)


def _bucket(grain: Grain, at: float) -> str:
    return time.strftime("%Y-%m-%d" if grain == "day" else "%Y-%m-%dT%H", time.gmtime(at))


_OF_INSTANCE = "h.instance_id = :instance AND (:tenant = '' OR h.tenant = :tenant)"

# Not from all instances, because most of them may have no audit events.
_COVERED = """
FROM audit_held k
LEFT JOIN ingest_cursors c ON c.source = 'audit' AND c.scope = k.tenant || '|' || k.instance_id
WHERE k.events > 0 OR k.total IS NOT NULL
"""


@query
def audit_totals(conn: Connection) -> dict[str, int]:
    """Sums over the instances that have stored events or totals from the API: instances (how many), the API's totals
    (total, success, error and denied), held and gaps.

    held: how many events are stored, counting for each instance at most its total, so that stored events that the API
    no longer has do not hide missing events of other instances. gaps: how many instances have a gap in their events.
    """
    [row] = dicts(
        conn,
        "SELECT count(*) AS instances, coalesce(sum(min(k.events, k.total)), 0) AS held,"
        " coalesce(sum(k.total), 0) AS total, coalesce(sum(k.success), 0) AS success,"
        " coalesce(sum(k.error), 0) AS error, coalesce(sum(k.denied), 0) AS denied, count(c.gap_from) AS gaps "
        + _COVERED,
    )
    return row


@query
def audit_coverage(conn: Connection, page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of the instances, those with gaps first, then by the stored share of events; and how many there are.

    Columns: host, instance_id, ours (how many events are stored), the API's total, success, error and denied as of
    taken_at, gap_from and gap_to (between which there were more events than could be read). Unknown values are empty.
    """
    columns = """
    SELECT coalesce((SELECT hostname FROM instances i WHERE i.tenant = k.tenant AND i.instance_id = k.instance_id),
                    k.instance_id) AS host, k.instance_id, k.events AS ours, k.total, k.success, k.error, k.denied,
           k.taken_at, c.gap_from, c.gap_to
    """
    order = """
    ORDER BY c.gap_from IS NULL, round(k.events * 100.0 / k.total) ASC NULLS LAST, k.error + k.denied DESC NULLS LAST,
             host
    """
    numbers = ("ours", "total", "success", "error", "denied")
    return as_page(conn, columns, _COVERED, order, {}, page, size, numbers)


@query
def audit_instances(conn: Connection) -> pd.DataFrame:
    """The first 5,000 instances with stored events, sorted by name: instance_id, host. The name of a host that several
    instances have is followed by the beginning of the id, as in the inventory."""
    return as_frame(
        conn,
        "SELECT h.instance_id, coalesce(i.hostname || CASE WHEN count(*) OVER (PARTITION BY i.hostname) > 1"  # noqa: S608
        f" THEN '-' || substr(h.instance_id, 1, {SHORT_ID}) ELSE '' END, h.instance_id) AS host FROM audit_held h"
        " LEFT JOIN instances i ON i.tenant = h.tenant AND i.instance_id = h.instance_id"
        " WHERE h.events > 0 ORDER BY host LIMIT 5000",
    )


@query
def audit_over_time(conn: Connection, by: str, span: AuditSpan) -> pd.DataFrame:
    """The number of events by bucket, value of the dimension ``by``, and outcome: bucket, value, outcome, events.

    Counts by day include pruned events; counts by hour do not. By day, events without a time are in the bucket ''.
    """
    if by not in AUDIT_DIMENSIONS:
        raise ValueError(f"{by!r} is not a dimension of the audit")
    params: dict[str, Any] = {"by": by, "since": span.since, "instance": span.instance_id, "tenant": span.tenant}
    if span.grain == "hour":
        params["first"] = _begin(span.since)
        found = "audit_events e INDEXED BY audit_events_newest WHERE"
        if span.instance_id:
            found = f"""audit_held h CROSS JOIN audit_events e ON e.tenant = h.tenant AND e.instance_id = h.instance_id
                WHERE {_OF_INSTANCE} AND"""
        sql = f"""
            SELECT strftime('%Y-%m-%dT%H', hour * {HOUR}, 'unixepoch') AS bucket, value, outcome, events FROM (
              SELECT CAST(e.event_ts / {HOUR} AS INTEGER) AS hour, coalesce(e.{by}, '') AS value,
                     coalesce(e.outcome, '') AS outcome, count(*) AS events
              FROM {found} e.event_ts >= :first
              GROUP BY 1, 2, 3 ORDER BY 1 DESC)"""  # noqa: S608
    elif span.instance_id:
        sql = f"""
            SELECT d.day AS bucket, d.{by} AS value, d.outcome, sum(d.n) AS events
            FROM audit_held h CROSS JOIN audit_daily d ON d.tenant = h.tenant AND d.instance_id = h.instance_id
            WHERE {_OF_INSTANCE} AND d.day >= :since GROUP BY 1, 2, 3 ORDER BY 1 DESC"""  # noqa: S608
    else:
        sql = """
            SELECT day AS bucket, value, outcome, sum(n) AS events FROM audit_fleet_daily
            WHERE dimension = :by AND day >= :since GROUP BY 1, 2, 3 ORDER BY 1 DESC"""
    return as_frame(conn, sql, params)


EVENT = """
SELECT e.event_ts, coalesce(i.hostname, e.instance_id) AS host, e.instance_id, e.outcome, e.source, e.event_type,
       e.tool_name, e.server_slug, e.role, e.conversation_id, e.request_id, e.id
"""
"""The columns of a list of events ``e`` of instances ``i``."""


@query
def audit_events(conn: Connection, cell: AuditCell, page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of the raw events of a cell, newest first; and how many there are.

    Columns: event_ts, host, instance_id, outcome, source, event_type, tool_name, server_slug, role, conversation_id,
    request_id, id. Events without a time are never listed. For the fleet, only the days on the page are read.
    """
    if cell.by not in AUDIT_DIMENSIONS:
        raise ValueError(f"{cell.by!r} is not a dimension of the audit")
    first, last = _limits(cell)
    skip = (page - 1) * size
    params: dict[str, Any] = {"value": cell.value, "outcome": cell.outcome, "first": first, "last": last, "size": size}
    if cell.span.instance_id:
        found = f"""
            FROM audit_held h CROSS JOIN audit_events e ON e.tenant = h.tenant AND e.instance_id = h.instance_id
              AND e.event_ts >= :first AND e.event_ts < :last
            WHERE {_OF_INSTANCE} AND {_wanted(cell.by)}"""
        params |= {"instance": cell.span.instance_id, "tenant": cell.span.tenant, "skip": skip}
        total = first_value(conn, "SELECT count(*) " + found, params)
    else:
        parts = _parts(conn, cell, first, last)
        total = sum(part.events for part in parts)
        chosen, before = _parts_of_page(parts, skip, size)
        found = f"""
            FROM audit_events e INDEXED BY audit_events_newest
            WHERE e.event_ts >= :first AND e.event_ts < :last AND {_wanted(cell.by)}"""
        params |= {"first": chosen[-1].begin, "last": chosen[0].end} if chosen else {"last": first}
        params |= {"skip": skip - before}
    # The keys are selected first, because otherwise SQLite reads the complete row of every event that the index
    # does not exclude.
    sql = f"""{EVENT}
        FROM (
          SELECT e.tenant, e.instance_id, e.id {found}
          ORDER BY e.event_ts DESC, e.id, e.instance_id LIMIT :size OFFSET :skip) k
        CROSS JOIN audit_events e ON e.tenant = k.tenant AND e.instance_id = k.instance_id AND e.id = k.id
        LEFT JOIN instances i ON i.tenant = e.tenant AND i.instance_id = e.instance_id
        ORDER BY e.event_ts DESC, e.id, e.instance_id"""
    return as_frame(conn, sql, params), total


def _wanted(by: str) -> str:
    return f"""(:value IS NULL OR coalesce(e.{by}, '') = :value)
        AND (:outcome IS NULL OR coalesce(e.outcome, '') = :outcome)"""


class _Part(NamedTuple):
    """A part of the period of a list, from ``begin`` to before ``end`` (epoch seconds), and its number of events."""

    begin: float
    end: float
    events: int


def _parts(conn: Connection, cell: AuditCell, first: float, last: float) -> list[_Part]:
    """The parts of the period from ``first`` to ``last`` that contain events of the fleet in the cell, newest first.

    For complete days, the number of events is taken from the daily counts, as far back as no instance was pruned. Older
    events, and those of an incomplete day at either end, are counted from the raw events.
    """
    pruned = first_value(conn, "SELECT max(floor) FROM audit_floors")
    begin = max(-(-first // DAY) * DAY, -_FAR if pruned is None else pruned)
    end = last // DAY * DAY
    if begin >= end:
        return _raw_part(conn, cell, first, last)
    sql = """
    SELECT CAST(strftime('%s', day) AS INTEGER), sum(n) FROM audit_fleet_daily
    WHERE dimension = :by AND day > '' AND day >= :since AND day < :until
      AND (:value IS NULL OR value = :value) AND (:outcome IS NULL OR outcome = :outcome)
    GROUP BY day ORDER BY day DESC
    """
    days = conn.execute(
        sql,
        {
            # The counts of any one dimension cover all events; this one has few values.
            "by": cell.by if cell.value is not None else "source",
            "since": _bucket("day", begin) if begin > -_FAR else "",
            "until": _bucket("day", end) if end < _FAR else "~",
            "value": cell.value,
            "outcome": cell.outcome,
        },
    )
    complete = [_Part(day, day + DAY, n) for day, n in days]
    return [*_raw_part(conn, cell, end, last), *complete, *_raw_part(conn, cell, first, begin)]


def _raw_part(conn: Connection, cell: AuditCell, first: float, last: float) -> list[_Part]:
    if first >= last:
        return []
    sql = f"""SELECT count(*) FROM audit_events e INDEXED BY audit_events_newest
        WHERE e.event_ts >= :first AND e.event_ts < :last AND {_wanted(cell.by)}"""  # noqa: S608 - one of the dimensions
    params = {"first": first, "last": last, "value": cell.value, "outcome": cell.outcome}
    n = first_value(conn, sql, params)
    return [_Part(first, last, n)] if n else []


def _parts_of_page(parts: Sequence[_Part], skip: int, size: int) -> tuple[list[_Part], int]:
    """The parts that contain the ``size`` events after the first ``skip``; and how many events are in newer parts."""
    newer = accumulate((part.events for part in parts), initial=0)
    chosen = [(part, n) for part, n in zip(parts, newer, strict=False) if n < skip + size and n + part.events > skip]
    return [part for part, _newer in chosen], chosen[0][1] if chosen else 0


_FAR = 10**12 * DAY
"""A time later than that of any event."""


def _begin(bucket: str) -> float:
    """When a bucket begins (epoch seconds)."""
    return parse_time(bucket + ("" if len(bucket) == 10 else ":00")) or 0.0


def _limits(cell: AuditCell) -> tuple[float, float]:
    if cell.bucket:
        begin = _begin(cell.bucket)
        return begin, begin + (DAY if len(cell.bucket) == 10 else HOUR)
    return (_begin(cell.span.since) if cell.span.since else -_FAR), _FAR
