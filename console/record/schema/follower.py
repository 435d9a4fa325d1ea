# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process that keeps the database up to date (sync --follow)."""

from __future__ import annotations

STATEMENTS = (
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
