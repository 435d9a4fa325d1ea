# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet's audit events counted by day only. Hours are counted from the raw events, with audit_events_newest."""

from __future__ import annotations

STATEMENTS = (
    # day: YYYY-MM-DD (UTC), '' for events without a time. dimension: source, role, tool_name or server_slug, and value
    # one of its words, '' for none. The rows of one dimension add up to all events, those included that were pruned.
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
    "INSERT INTO audit_fleet_daily SELECT dimension, bucket, value, outcome, tenant, n FROM audit_counts"
    " WHERE grain = 'day'",
    "DROP TABLE audit_counts",
)
