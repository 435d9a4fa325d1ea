# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Corrects times that were stored while this machine's clock was ahead. Otherwise, until the clock reached them, every
new read would count as older than what is stored, and would be ignored."""

from __future__ import annotations

from console.record.write.tables import Tables
from console.text.times import ahead_by

# The columns with times of this machine's clock. console_audit is never changed.
_OWN_TIMES = {
    "rollouts": ("first_seen", "updated_at"),
    "rollout_targets": ("first_seen", "updated_at"),
    "instances": ("first_seen", "updated_at"),
    "instance_versions": ("taken_at",),
    "policies": ("taken_at",),
    "audit_summaries": ("taken_at",),
    "audit_floors": ("floor",),
    "tenants": ("first_seen",),
    "ingest_cursors": ("last_ok_at",),
    "notifications": ("since", "begun_at", "ended_at", "over_at"),
    "upkeep": ("at",),
}


def ahead_of(tables: Tables, now: float) -> float | None:
    """By how many seconds the newest stored time is ahead, None if by less than a minute."""
    [newest] = tables.rows(
        "SELECT max(coalesce((SELECT max(last_ok_at) FROM ingest_cursors), 0),"
        " coalesce((SELECT max(updated_at) FROM rollouts), 0),"
        " coalesce((SELECT max(taken_at) FROM policies), 0)) AS at"
    )
    return ahead_by(newest["at"], now)


def correct(tables: Tables, now: float) -> None:
    """Move the future times of each column back so that the last one is ``now`` and their order is kept."""
    with tables.transaction():
        for table, columns in _OWN_TIMES.items():
            for column in columns:
                sql = f"""
                UPDATE OR REPLACE {table} SET {column} = {column} - (SELECT max({column}) FROM {table}) + :now
                WHERE {column} > :now
                """  # noqa: S608 - the names above
                tables.conn.execute(sql, {"now": now})
