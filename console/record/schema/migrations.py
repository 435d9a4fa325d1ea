# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the console's database, as numbered migrations.

Common to all tables: times are REAL epoch seconds (UTC); ``*_raw`` beside one is the text the API sent. ``*_json``
columns hold JSON text. Booleans are 0 or 1. ``status`` is the canonical word, ``status_raw`` what the API said.
``first_seen`` is when the console first stored a row, ``updated_at`` when it last stored a difference.
A migration that has been released is never edited: a change is a new one at the end of this file. The statements that
create tables are in the other files of this folder.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from console.record.schema import (
    audit,
    audit_counts,
    audit_fleet,
    audit_newest,
    console_audit,
    evidence,
    follower,
    instances,
    jobs,
    notifications,
    rollouts,
    runs,
    times,
    upkeep,
)

migrations = Migrations("fleetops-console")


def known_names() -> list[str]:
    """The names of all migrations of this code, in order."""
    return [migration.name for migration in migrations._migrations]


def _run(db: Database, *statements: str) -> None:
    # One by one: sqlite3's executescript would commit the transaction that guards the migration.
    for statement in statements:
        db.execute(statement)


@migrations(name="0001_runs")
def _runs(db: Database) -> None:
    """Playbook runs: from run log spools, ansible-runner artifacts or AWX job events, keyed by (run_id, counter)."""
    _run(db, *runs.STATEMENTS)


@migrations(name="0002_rollouts")
def _rollouts(db: Database) -> None:
    """What the API says about tenants, policies, rollouts, targets and instances."""
    _run(db, *rollouts.STATEMENTS)


@migrations(name="0003_audit")
def _audit(db: Database) -> None:
    """Runtime audit events of the instances, their daily counts, and the API's own summary."""
    _run(db, *audit.STATEMENTS)


@migrations(name="0004_instances")
def _instances(db: Database) -> None:
    """What was read of each instance itself: health, versions, actions, and the number of its memories."""
    _run(db, *instances.STATEMENTS)


@migrations(name="0005_upkeep")
def _upkeep(db: Database) -> None:
    """What was done to keep the database: backups, prunings, and where pruned audits begin."""
    _run(db, *upkeep.STATEMENTS)


@migrations(name="0006_messages")
def _messages(db: Database) -> None:
    """Where else a message was seen: before, after, and first, without reading every target there is."""
    _run(
        db,
        "CREATE INDEX rollout_targets_message ON rollout_targets (msg_fp, fp_version, created_at)"
        " WHERE msg_fp IS NOT NULL",
    )


@migrations(name="0007_console_audit")
def _console_audit(db: Database) -> None:
    """Who tried what from the console, why, and what came of it."""
    _run(db, *console_audit.STATEMENTS)


@migrations(name="0008_audit_counts")
def _audit_counts(db: Database) -> None:
    """Audit events of the fleet counted by day and hour, and by server."""
    _run(db, *audit_counts.STATEMENTS)


@migrations(name="0009_run_jobs")
def _run_jobs(db: Database) -> None:
    """The jobs of AWX and ansible-runner that ran playbooks, and which run shows each."""
    _run(db, *jobs.STATEMENTS)


@migrations(name="0010_audit_newest")
def _audit_newest(db: Database) -> None:
    """Audit events of all instances by time, and the API's newest figures beside what is held of each."""
    _run(db, *audit_newest.STATEMENTS)


@migrations(name="0011_first_failure")
def _first_failure(db: Database) -> None:
    """The first failure of each run, without going through its results."""
    _run(
        db,
        "CREATE INDEX host_results_trouble ON host_results (run_id, counter) WHERE status IN ('failed', 'unreachable')",
    )


@migrations(name="0012_times")
def _times(db: Database) -> None:
    """Times that are none, which older consoles stored as they came, are read again."""
    times.read_again(db.conn)


@migrations(name="0013_audit_fleet_daily")
def _audit_fleet_daily(db: Database) -> None:
    """The fleet's audit events counted by day only; the counts by hour are dropped."""
    _run(db, *audit_fleet.STATEMENTS)


@migrations(name="0014_run_evidence")
def _run_evidence(db: Database) -> None:
    """The plan, the gates and the report of each run."""
    _run(db, *evidence.STATEMENTS)


@migrations(name="0015_follower")
def _follower(db: Database) -> None:
    """The process that keeps the database up to date: when it last reported, and when it will report again."""
    _run(db, *follower.STATEMENTS)


@migrations(name="0016_notifications")
def _notifications(db: Database) -> None:
    """Which fact was told to which destination, and how that ended."""
    _run(db, *notifications.STATEMENTS)
