# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of runtime audit events, their counts, and the API's own summaries; in the order of the migrations."""

from __future__ import annotations

STATEMENTS = (
    """
    CREATE TABLE audit_events (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      id TEXT NOT NULL,
      event_id TEXT,
      event_ts REAL,
      event_ts_raw TEXT,
      ingested_at REAL,
      ingested_raw TEXT,
      source TEXT,
      event_type TEXT,
      outcome TEXT,
      role TEXT,
      tool_name TEXT,
      server_slug TEXT,
      conversation_id TEXT,
      request_id TEXT,
      metadata_json TEXT,
      PRIMARY KEY (tenant, instance_id, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX audit_events_time ON audit_events (tenant, instance_id, event_ts)",
    # day: YYYY-MM-DD (UTC) of event_ts, '' for events without a time. The other columns are '' for absent values.
    """
    CREATE TABLE audit_daily (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      day TEXT NOT NULL,
      source TEXT NOT NULL,
      outcome TEXT NOT NULL,
      role TEXT NOT NULL,
      tool_name TEXT NOT NULL,
      n INTEGER NOT NULL,
      PRIMARY KEY (tenant, instance_id, day, source, outcome, role, tool_name)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX audit_daily_day ON audit_daily (tenant, day)",
    # E21, the API's own totals; a row is added if they differ from those of the newest row. Coverage is
    # count(audit_events) compared with the total of the newest row.
    """
    CREATE TABLE audit_summaries (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      taken_at REAL NOT NULL,
      total INTEGER NOT NULL,
      success INTEGER NOT NULL,
      error INTEGER NOT NULL,
      denied INTEGER NOT NULL,
      by_source_json TEXT,
      PRIMARY KEY (tenant, instance_id, taken_at)
    ) WITHOUT ROWID
    """,
)

_DAY = "coalesce(strftime('%Y-%m-%d', CAST(e.event_ts AS INTEGER), 'unixepoch'), '')"
DIMENSIONS = ("source", "role", "tool_name", "server_slug")

_FILL_DAILY = f"""
INSERT INTO audit_daily
SELECT e.tenant, e.instance_id, {_DAY}, coalesce(e.source, ''), coalesce(e.outcome, ''), coalesce(e.role, ''),
       coalesce(e.tool_name, ''), coalesce(e.server_slug, ''), count(*)
FROM audit_events e LEFT JOIN audit_floors f ON f.tenant = e.tenant AND f.instance_id = e.instance_id
WHERE f.floor IS NULL OR e.event_ts IS NULL OR e.event_ts >= f.floor
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608 - the fragments above

_FILL_HELD = """
INSERT INTO audit_held (tenant, instance_id, events)
SELECT tenant, instance_id, sum(n) FROM audit_daily GROUP BY tenant, instance_id
"""

FILL = (_FILL_DAILY, _FILL_HELD)
"""Creates the counts of the instances from the raw events, if none were pruned and none are counted yet."""

COUNTS = (
    # The daily counts get server_slug too. Days whose raw events were pruned keep their counts, with server_slug ''.
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
    # events: how many events of an instance are stored, as raw events or in the counts of pruned ones.
    """
    CREATE TABLE audit_held (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      events INTEGER NOT NULL,
      PRIMARY KEY (tenant, instance_id)
    ) WITHOUT ROWID
    """,
    _FILL_HELD,
)

_FIGURES = """
DO UPDATE SET total = excluded.total, success = excluded.success, error = excluded.error, denied = excluded.denied,
  taken_at = excluded.taken_at
WHERE taken_at IS NULL OR excluded.taken_at >= taken_at
"""

_FILL = f"""
INSERT INTO audit_held (tenant, instance_id, events, total, success, error, denied, taken_at)
SELECT tenant, instance_id, 0, total, success, error, denied, max(taken_at) FROM audit_summaries
WHERE true GROUP BY tenant, instance_id
ON CONFLICT (tenant, instance_id) {_FIGURES}
"""  # noqa: S608 - the text above

# Triggers, so that this is done for every writer. Pruning keeps the newest row of an instance.
_FOLLOW = tuple(
    f"""
    CREATE TRIGGER audit_summaries_{name} AFTER {change} ON audit_summaries
    BEGIN
      INSERT INTO audit_held (tenant, instance_id, events, total, success, error, denied, taken_at)
      VALUES (NEW.tenant, NEW.instance_id, 0, NEW.total, NEW.success, NEW.error, NEW.denied, NEW.taken_at)
      ON CONFLICT (tenant, instance_id) {_FIGURES};
    END
    """  # noqa: S608 - the text above
    for name, change in (("added", "INSERT"), ("changed", "UPDATE"))
)

# The newest summary of each instance, so that a page about many instances does not read a row per day and instance.
NEWEST = (
    # From the newest row of audit_summaries, NULL if there is none. If there is only a summary, events is 0.
    "ALTER TABLE audit_held ADD COLUMN total INTEGER",
    "ALTER TABLE audit_held ADD COLUMN success INTEGER",
    "ALTER TABLE audit_held ADD COLUMN error INTEGER",
    "ALTER TABLE audit_held ADD COLUMN denied INTEGER",
    "ALTER TABLE audit_held ADD COLUMN taken_at REAL",
    _FILL,
    *_FOLLOW,
    # All columns that a cell of the pivot needs, so that an hour of the fleet is read from the index only.
    """
    CREATE INDEX audit_events_newest ON audit_events (event_ts, outcome, source, tool_name, role, server_slug)
    WHERE event_ts IS NOT NULL
    """,
)

# The fleet's events counted by day, so that a page about a million events reads some thousand rows. Hours are counted
# from the raw events, with audit_events_newest.
FLEET_DAILY = (
    # day: YYYY-MM-DD (UTC), '' for events without a time. dimension: source, role, tool_name or server_slug; value: its
    # value, '' for none. The rows of one dimension add up to all events, including pruned ones.
    """
    CREATE TABLE audit_fleet_daily (
      dimension TEXT NOT NULL,
      day TEXT NOT NULL,
      value TEXT NOT NULL,
      outcome TEXT NOT NULL,
      tenant TEXT NOT NULL,
      n INTEGER NOT NULL,
      PRIMARY KEY (dimension, day, value, outcome, tenant)
    ) WITHOUT ROWID
    """,
    *(
        f"INSERT INTO audit_fleet_daily SELECT '{name}', day, {name}, outcome, tenant, sum(n) FROM audit_daily"  # noqa: S608
        f" GROUP BY day, {name}, outcome, tenant"
        for name in DIMENSIONS
    ),
    # A database that was migrated in several steps has this table, with the same counts and those of hours.
    "DROP TABLE IF EXISTS audit_counts",
)
