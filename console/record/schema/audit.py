# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runtime audit events of the instances, their daily counts, and the API's own summary."""

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
    # day: YYYY-MM-DD (UTC) of event_ts, '' when it has none; an absent word counts as ''.
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
    # E21; a row is added when the figures differ from the newest one stored. The API's own totals: coverage is
    # count(audit_events) against the newest row's total.
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
