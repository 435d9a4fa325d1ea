# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of the API's data about tenants, policies, rollouts, targets and instances."""

from __future__ import annotations

STATEMENTS = (
    # tenant: the API's base URL without a trailing slash; never an API key.
    """
    CREATE TABLE tenants (
      tenant TEXT PRIMARY KEY,
      base_url TEXT NOT NULL,
      label TEXT,
      first_seen REAL NOT NULL
    )
    """,
    # E9; a row is added if the policy differs from that of the newest row. Hours are UTC.
    """
    CREATE TABLE policies (
      tenant TEXT NOT NULL,
      taken_at REAL NOT NULL,
      max_parallel_rollouts INTEGER,
      window_start_hour INTEGER,
      window_end_hour INTEGER,
      runtime_default TEXT,
      skills_default TEXT,
      mcp_servers_default TEXT,
      raw_json TEXT NOT NULL,
      PRIMARY KEY (tenant, taken_at)
    ) WITHOUT ROWID
    """,
    # E3. is_open: something is still in progress. cancelled is derived, because the API has no counter for it.
    # total_duration_s: from E1. targets_read: 0 while the targets could not be read for this state.
    """
    CREATE TABLE rollouts (
      tenant TEXT NOT NULL,
      rollout_id TEXT NOT NULL,
      scope TEXT,
      status TEXT NOT NULL,
      status_raw TEXT,
      is_open INTEGER NOT NULL,
      created_at REAL,
      created_raw TEXT,
      completed_at REAL,
      completed_raw TEXT,
      total INTEGER NOT NULL DEFAULT 0,
      queued INTEGER NOT NULL DEFAULT 0,
      in_progress INTEGER NOT NULL DEFAULT 0,
      succeeded INTEGER NOT NULL DEFAULT 0,
      failed INTEGER NOT NULL DEFAULT 0,
      uncertain INTEGER NOT NULL DEFAULT 0,
      cancelled INTEGER NOT NULL DEFAULT 0,
      total_duration_s REAL,
      initiated_from_ip TEXT,
      metadata_json TEXT,
      targets_read INTEGER NOT NULL DEFAULT 0,
      first_seen REAL NOT NULL,
      updated_at REAL NOT NULL,
      PRIMARY KEY (tenant, rollout_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX rollouts_created ON rollouts (tenant, created_at)",
    # E1 merged with E4 by target id. position: order in the timeline. duration_s: as returned by the API. is_open: 0 if
    # its rollout is not open.
    """
    CREATE TABLE rollout_targets (
      tenant TEXT NOT NULL,
      rollout_id TEXT NOT NULL,
      target_id TEXT NOT NULL,
      position INTEGER NOT NULL,
      instance_id TEXT,
      hostname TEXT,
      status TEXT NOT NULL,
      status_raw TEXT,
      is_open INTEGER NOT NULL,
      last_result_status TEXT,
      created_at REAL,
      created_raw TEXT,
      started_at REAL,
      started_raw TEXT,
      completed_at REAL,
      completed_raw TEXT,
      duration_s REAL,
      countdown_s REAL,
      bundle_hash TEXT,
      celery_task_id TEXT,
      error_message TEXT,
      msg_fp TEXT,
      fp_version INTEGER,
      detail_json TEXT,
      first_seen REAL NOT NULL,
      updated_at REAL NOT NULL,
      PRIMARY KEY (tenant, rollout_id, target_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX rollout_targets_instance ON rollout_targets (tenant, instance_id, created_at)",
    "CREATE INDEX rollout_targets_open ON rollout_targets (tenant, rollout_id) WHERE is_open = 1",
    "CREATE INDEX rollout_targets_failed ON rollout_targets (msg_fp, completed_at) WHERE status = 'failed'",
    # Append only. The API keeps only the newest status; these are the changes that the console saw, at `at` (its own
    # clock), some time after `not_before` (the previous read; NULL if unknown).
    """
    CREATE TABLE target_changes (
      tenant TEXT NOT NULL,
      rollout_id TEXT NOT NULL,
      target_id TEXT NOT NULL,
      at REAL NOT NULL,
      not_before REAL,
      old_status TEXT NOT NULL,
      new_status TEXT NOT NULL,
      PRIMARY KEY (tenant, rollout_id, target_id, at)
    ) WITHOUT ROWID
    """,
    # Derived from targets: the newest host name, and the bundle of the newest succeeded target.
    """
    CREATE TABLE instances (
      tenant TEXT NOT NULL,
      instance_id TEXT NOT NULL,
      hostname TEXT,
      current_bundle TEXT,
      bundle_at REAL,
      first_seen REAL NOT NULL,
      updated_at REAL NOT NULL,
      PRIMARY KEY (tenant, instance_id)
    ) WITHOUT ROWID
    """,
)

MESSAGES = (
    # To find other targets with the same message (before, after, and the first) without reading all targets.
    "CREATE INDEX rollout_targets_message ON rollout_targets (msg_fp, fp_version, created_at) WHERE msg_fp IS NOT NULL",
)

CLOSED_TARGETS = (
    # Those of rollouts that the API no longer has stayed open before this migration.
    """
    UPDATE rollout_targets SET is_open = 0 WHERE is_open = 1 AND EXISTS (
      SELECT 1 FROM rollouts r
      WHERE r.tenant = rollout_targets.tenant AND r.rollout_id = rollout_targets.rollout_id AND r.is_open = 0)
    """,
)
