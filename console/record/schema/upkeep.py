# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was done to keep the database: backups, prunings, and where pruned audits begin."""

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
