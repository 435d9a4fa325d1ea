# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fact was told to which destination of notifications, and how that ended."""

from __future__ import annotations

STATEMENTS = (
    # One row a fact and destination, written before anything is sent, and never with an address or a text but the
    # title. destination: its name in the rules. subject, key, state: what the fact is, as "operations", "run ID" and
    # "stopped". at: of the fact. since: when it was first to be sent. outcome: sending, sent, failed or gave up; it is
    # sending until the end of the attempt is noted. attempts: how many were begun, interrupted: how many of those had
    # no end when the next one began. over_at: when a condition was over; it is sent again when it comes back.
    """
    CREATE TABLE notifications (
      destination TEXT NOT NULL,
      subject TEXT NOT NULL,
      key TEXT NOT NULL,
      state TEXT NOT NULL,
      at REAL,
      title TEXT NOT NULL,
      since REAL NOT NULL,
      outcome TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      interrupted INTEGER NOT NULL,
      begun_at REAL NOT NULL,
      ended_at REAL,
      error TEXT,
      over_at REAL,
      PRIMARY KEY (destination, subject, key, state)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX notifications_since ON notifications (since)",
)
