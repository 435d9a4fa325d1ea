# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who tried what from the console, why, and what the outcome was. Rows are only added."""

from __future__ import annotations

STATEMENTS = (
    # Two rows an attempt: phase 'attempt', stored before anything is sent, and 'outcome', stored after. An attempt
    # without an outcome was cut off in between. issuer and subject: the login's iss and sub; user: its name for people.
    # targets: how many were confirmed (attempt) or found just before sending (outcome).
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
    # INSERT OR REPLACE removes the old row without asking the trigger on DELETE.
    """
    CREATE TRIGGER console_audit_no_replace BEFORE INSERT ON console_audit
    WHEN EXISTS (SELECT 1 FROM console_audit WHERE attempt_id = NEW.attempt_id AND phase = NEW.phase)
    BEGIN SELECT RAISE(ABORT, 'console_audit is append only'); END
    """,
)
