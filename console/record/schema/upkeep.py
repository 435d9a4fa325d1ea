# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was done to keep the database: backups, prunings, where pruned audits begin, and who keeps it up to date."""

from __future__ import annotations

STATEMENTS = (
    # kind: backup, restore, prune, copy (this file is one, for review; gone once it is adopted), adopt, or retire (of a
    # tenant, until a sync reads it again). detail_json: the file and its bytes, rows removed by table, the file that
    # was copied or restored, or the tenant. Else append only.
    """
    CREATE TABLE upkeep (
      kind TEXT NOT NULL,
      at REAL NOT NULL,
      detail_json TEXT,
      PRIMARY KEY (kind, at)
    ) WITHOUT ROWID
    """,
    # Raw events before this time (start of a UTC day) were pruned; their days in audit_daily are final.
    """
    CREATE TABLE audit_floors (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      floor REAL NOT NULL,
      PRIMARY KEY (tenant, instance_id)
    ) WITHOUT ROWID
    """,
)

# The process that keeps the database up to date (sync --follow).
FOLLOWER = (
    # One row at most, of the newest follower. beat_at: when it last reported; due_at: until when it will have reported
    # again. ended_at: when it ended by itself. trouble: what it cannot read ("the API"), since trouble_at.
    """
    CREATE TABLE follower (
      only INTEGER PRIMARY KEY CHECK (only = 1),
      host TEXT NOT NULL,
      pid INTEGER NOT NULL,
      started_at REAL NOT NULL,
      beat_at REAL NOT NULL,
      due_at REAL NOT NULL,
      ended_at REAL,
      trouble TEXT,
      trouble_at REAL
    )
    """,
)
