# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the console's database, as numbered migrations.

In all tables, times are REAL epoch seconds (UTC), and the ``*_raw`` column of a time is the text that the API sent.
``*_json`` columns contain JSON text. Booleans are 0 or 1. ``status`` is the normalised status, ``status_raw`` the text
that the API sent. ``first_seen`` is when the console first stored a row, ``updated_at`` when it last changed it.
A released migration is never edited: a change is a new migration at the end of the dictionary below. The statements
that create tables are in the other files of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlite_utils import Database, Migrations

from console.record.schema import audit, console, instances, rollouts, runs, times

migrations = Migrations("fleetops-console")


def known_names() -> list[str]:
    """The names of all migrations of this code, in order."""
    return [migration.name for migration in migrations._migrations]


def _by(statements: Sequence[str]) -> Callable[[Database], None]:
    def migrate(db: Database) -> None:
        # One by one, because sqlite3's executescript would commit the transaction of the migration.
        for statement in statements:
            db.execute(statement)

    return migrate


_MIGRATIONS: dict[str, Callable[[Database], None]] = {
    "0001_runs": _by(runs.STATEMENTS),
    "0002_rollouts": _by(rollouts.STATEMENTS),
    "0003_audit": _by(audit.STATEMENTS),
    "0004_instances": _by(instances.STATEMENTS),
    "0005_upkeep": _by(console.STATEMENTS),
    "0006_messages": _by(rollouts.MESSAGES),
    "0007_console_audit": _by(console.ACTIONS),
    "0008_audit_counts": _by(audit.COUNTS),
    "0009_run_jobs": _by(runs.JOBS),
    "0010_audit_newest": _by(audit.NEWEST),
    "0011_first_failure": _by(runs.FIRST_FAILURE),
    "0012_times": lambda db: times.read_again(db.conn),
    "0013_audit_fleet_daily": _by(audit.FLEET_DAILY),
    "0014_run_evidence": _by(runs.EVIDENCE),
    "0015_follower": _by(console.FOLLOWER),
    "0016_notifications": _by(console.NOTIFICATIONS),
    # The table is not used.
    "0017_no_target_changes": _by(("DROP TABLE target_changes",)),
    "0018_failures": lambda db: runs.read_failures_again(db.conn),
    "0019_closed_targets": _by(rollouts.CLOSED_TARGETS),
    "0020_shorter_states": _by(runs.SHORTER_STATES),
}
for _name, _migrate in _MIGRATIONS.items():
    migrations(name=_name)(_migrate)
