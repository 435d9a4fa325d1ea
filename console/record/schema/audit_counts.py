# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audit events counted for the whole fleet, so that a page over a million of them reads some thousand rows."""

from __future__ import annotations

_DAY = "coalesce(strftime('%Y-%m-%d', CAST(e.event_ts AS INTEGER), 'unixepoch'), '')"
_HOUR = "strftime('%Y-%m-%dT%H', CAST(e.event_ts AS INTEGER), 'unixepoch')"
DIMENSIONS = ("source", "role", "tool_name", "server_slug")

_FILL_DAILY = f"""
INSERT INTO audit_daily
SELECT e.tenant, e.instance_id, {_DAY}, coalesce(e.source, ''), coalesce(e.outcome, ''), coalesce(e.role, ''),
       coalesce(e.tool_name, ''), coalesce(e.server_slug, ''), count(*)
FROM audit_events e LEFT JOIN audit_floors f ON f.tenant = e.tenant AND f.instance_id = e.instance_id
WHERE f.floor IS NULL OR e.event_ts IS NULL OR e.event_ts >= f.floor
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608 - the fragments above

_FILL_COUNTS = (
    *(
        f"""
        INSERT INTO audit_counts
        SELECT 'day', '{name}', day, {name}, outcome, tenant, sum(n)
        FROM audit_daily GROUP BY day, {name}, outcome, tenant
        """  # noqa: S608 - the names above
        for name in DIMENSIONS
    ),
    *(
        f"""
        INSERT INTO audit_counts
        SELECT 'hour', '{name}', {_HOUR}, coalesce(e.{name}, ''), coalesce(e.outcome, ''), e.tenant, count(*)
        FROM audit_events e WHERE {_HOUR} IS NOT NULL GROUP BY 3, 4, 5, 6
        """  # noqa: S608 - the names above
        for name in DIMENSIONS
    ),
    "INSERT INTO audit_held (tenant, instance_id, events)"
    " SELECT tenant, instance_id, sum(n) FROM audit_daily GROUP BY tenant, instance_id",
)

FILL = (_FILL_DAILY, *_FILL_COUNTS)
"""What makes all counts from the raw events, where none were pruned and none counted yet."""

STATEMENTS = (
    # The daily counts know the server too. Days of which raw events were pruned keep their counts, their server is ''.
    "ALTER TABLE audit_daily RENAME TO audit_daily_before",
    "DROP INDEX audit_daily_day",
    """
    CREATE TABLE audit_daily (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      day TEXT NOT NULL,
      source TEXT NOT NULL,
      outcome TEXT NOT NULL,
      role TEXT NOT NULL,
      tool_name TEXT NOT NULL,
      server_slug TEXT NOT NULL,
      n INTEGER NOT NULL,
      PRIMARY KEY (tenant, instance_id, day, source, outcome, role, tool_name, server_slug)
    ) WITHOUT ROWID
    """,
    _FILL_DAILY,
    """
    INSERT INTO audit_daily
    SELECT b.tenant, b.instance_id, b.day, b.source, b.outcome, b.role, b.tool_name, '', b.n
    FROM audit_daily_before b JOIN audit_floors f ON f.tenant = b.tenant AND f.instance_id = b.instance_id
    WHERE b.day <> '' AND b.day < strftime('%Y-%m-%d', CAST(f.floor AS INTEGER), 'unixepoch')
    """,
    "DROP TABLE audit_daily_before",
    # grain: day or hour; bucket: YYYY-MM-DD or YYYY-MM-DDTHH (UTC), '' for events without a time (they have no hour).
    # dimension: source, role, tool_name or server_slug, and value one of its words, '' for none. Of one dimension the
    # rows add up to all events.
    """
    CREATE TABLE audit_counts (
      grain TEXT NOT NULL,
      dimension TEXT NOT NULL,
      bucket TEXT NOT NULL,
      value TEXT NOT NULL,
      outcome TEXT NOT NULL,
      tenant TEXT NOT NULL,
      n INTEGER NOT NULL,
      PRIMARY KEY (grain, dimension, bucket, value, outcome, tenant)
    ) WITHOUT ROWID
    """,
    # events: how many are held of an instance, as raw events or as counts of pruned ones.
    """
    CREATE TABLE audit_held (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      events INTEGER NOT NULL,
      PRIMARY KEY (tenant, instance_id)
    ) WITHOUT ROWID
    """,
    *_FILL_COUNTS,
)
