# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of the console about itself: maintenance of the database, its follower, actions, and notifications."""

from __future__ import annotations

STATEMENTS = (
    # kind: backup, restore, prune, copy (this file is a copy for review; removed by adopt), adopt, or retire (of a
    # tenant, until a sync reads it again, or of an import). Otherwise append only. detail_json: the file and its bytes,
    # the number of removed rows, the file that was copied or restored, the tenant, or the import.
    """
    CREATE TABLE upkeep (
      kind TEXT NOT NULL,
      at REAL NOT NULL,
      detail_json TEXT,
      PRIMARY KEY (kind, at)
    ) WITHOUT ROWID
    """,
    # Raw audit events before this time (start of a UTC day) were pruned; their days in audit_daily are final.
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
    # At most one row, of the newest follower. beat_at: when it last reported; due_at: by when it will report again.
    # ended_at: when it stopped properly. trouble: the name of the source that it cannot read since trouble_at.
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

# Who attempted which action in the console, why, and with what outcome. Rows are only added.
ACTIONS = (
    # Two rows per attempt: phase 'attempt', stored before anything is sent, and 'outcome', stored afterwards. An
    # attempt without an outcome was interrupted in between. issuer and subject: iss and sub of the login; user: its
    # display name. targets: how many were confirmed (attempt) or found just before sending (outcome).
    # outcome: done, refused (nothing was sent), failed (the server did not do it), unknown.
    """
    CREATE TABLE console_audit (
      attempt_id TEXT NOT NULL,
      phase TEXT NOT NULL CHECK (phase IN ('attempt', 'outcome')),
      at REAL NOT NULL,
      issuer TEXT,
      subject TEXT,
      user TEXT,
      role TEXT,
      tenant TEXT,
      action TEXT,
      rollout_id TEXT,
      target_id TEXT,
      instance_id TEXT,
      name TEXT,
      force INTEGER,
      reason TEXT,
      targets INTEGER,
      outcome TEXT,
      detail TEXT,
      http_status INTEGER,
      request_id TEXT,
      PRIMARY KEY (attempt_id, phase)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX console_audit_time ON console_audit (phase, at)",
    """
    CREATE TRIGGER console_audit_no_update BEFORE UPDATE ON console_audit
    BEGIN SELECT RAISE(ABORT, 'console_audit is append only'); END
    """,
    """
    CREATE TRIGGER console_audit_no_delete BEFORE DELETE ON console_audit
    BEGIN SELECT RAISE(ABORT, 'console_audit is append only'); END
    """,
    # INSERT OR REPLACE deletes the old row without firing the DELETE trigger.
    """
    CREATE TRIGGER console_audit_no_replace BEFORE INSERT ON console_audit
    WHEN EXISTS (SELECT 1 FROM console_audit WHERE attempt_id = NEW.attempt_id AND phase = NEW.phase)
    BEGIN SELECT RAISE(ABORT, 'console_audit is append only'); END
    """,
)

# Which fact was sent to which destination of notifications, and with what outcome.
NOTIFICATIONS = (
    # One row per fact and destination, written before anything is sent; it contains no address, and no text but the
    # title. destination: its name in the rules. subject, key, state: identify the fact, such as "operations", "run ID"
    # and "stopped". at: the time of the fact. since: when it was first due. outcome: sending (until the end of the
    # attempt is recorded), sent, failed or gave up. attempts: how many were begun. interrupted: how many of those had
    # no recorded end when the next one began. over_at: when a condition was over; if it returns, it is sent again.
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
