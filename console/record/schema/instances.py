# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of what was read from each instance itself: health, versions, actions, and the number of its memories."""

from __future__ import annotations

STATEMENTS = (
    # The newest values, one row per instance; a group of columns is NULL until its kind has been read.
    # health to trouble: E16. health: healthy, or the server's status, normalised; trouble: unhealthy subsystems and
    # open breakers, as text. runtime_current to policy_json: E25; outdated: how many components have an update.
    # memories: E17, only their number; memories_full: 1 if the API's list was truncated at this number.
    """
    CREATE TABLE instance_state (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      health TEXT,
      checked_at REAL,
      uptime_s REAL,
      trouble TEXT,
      runtime_current TEXT,
      runtime_available TEXT,
      outdated INTEGER,
      components_json TEXT,
      policy_json TEXT,
      memories INTEGER,
      memories_full INTEGER,
      PRIMARY KEY (tenant, instance_id)
    ) WITHOUT ROWID
    """,
    # E16 as stored by the server. checked_at: when the server checked, or if unknown, when it was read.
    """
    CREATE TABLE health_checks (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      checked_at REAL NOT NULL,
      checked_raw TEXT,
      status TEXT NOT NULL,
      status_raw TEXT,
      cached INTEGER,
      uptime_s REAL,
      trouble TEXT,
      subsystems_json TEXT,
      PRIMARY KEY (tenant, instance_id, checked_at)
    ) WITHOUT ROWID
    """,
    # E25; a row is added if the versions differ from those of the newest row. versions_json: component -> version.
    """
    CREATE TABLE instance_versions (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      taken_at REAL NOT NULL,
      runtime TEXT,
      versions_json TEXT NOT NULL,
      PRIMARY KEY (tenant, instance_id, taken_at)
    ) WITHOUT ROWID
    """,
    # E11, the newest 100 at each read; the key of an action without an id is a hash of its name and time. More than
    # 100 between two reads leave a gap, which is in ingest_cursors (source actions).
    """
    CREATE TABLE instance_actions (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      action_id TEXT NOT NULL,
      action TEXT,
      status TEXT NOT NULL,
      status_raw TEXT,
      message TEXT,
      actor TEXT,
      created_at REAL,
      created_raw TEXT,
      completed_at REAL,
      completed_raw TEXT,
      duration_ms REAL,
      detail_json TEXT,
      PRIMARY KEY (tenant, instance_id, action_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX instance_actions_time ON instance_actions (tenant, instance_id, created_at)",
)
