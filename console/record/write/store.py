# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console's store, the only writer of its database: what sync has read becomes rows.

Everything is an upsert by natural key that touches a row only if it differs: storing the same facts twice changes
nothing. Each method is one transaction. Errors are StoreError, one sentence each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.record.opening import BUSY_TIMEOUT, Row, StoreError, open_database
from console.record.write.audit import AuditTables, day_of
from console.record.write.instances import InstanceRows, InstanceTables
from console.record.write.jobs import JobTables

__all__ = [
    "Cursor",
    "RolloutRead",
    "Row",
    "RunRows",
    "Store",
    "StoreError",
    "day_of",
    "open_store",
    "storable",
    "to_json",
]


@dataclass
class Cursor:
    """How far one source has been read (table ingest_cursors)."""

    source: str
    scope: str
    position: int | None = None
    bad_lines: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    last_id: str | None = None
    last_ts: float | None = None
    last_ok_at: float | None = None
    last_error: str | None = None
    gap_from: float | None = None
    gap_to: float | None = None

    def note(self, at: float, problems: Sequence[str]) -> None:
        """How a look at the source ended: with these problems, or well at ``at``."""
        self.last_error = " ".join(problems) or None
        if not problems:
            self.last_ok_at = at


@dataclass
class RunRows:
    """What a stretch of one run's events says, ready to store: rows by table, keyed by the tables' columns.

    ``hosts``: Ansible's own recap, present once the run has ended. ``in_flight``: the whole present list.
    """

    run: Row
    plays: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    hosts: list[Row] = field(default_factory=list)
    in_flight: list[Row] = field(default_factory=list)


@dataclass
class RolloutRead:
    """One rollout as read from the API at ``read_at``. ``targets`` is None when they could not be read."""

    rollout: Row
    targets: list[Row] | None
    read_at: float


def open_store(
    path: str | os.PathLike[str],
    *,
    busy_timeout: float = BUSY_TIMEOUT,
    make_folder: bool = False,
    into_copy: bool = False,
) -> Store:
    """Open the database for writing; create it (0600, with ``make_folder`` its folder too) or migrate it as needed.

    Raises StoreError when the folder is missing, the file is no database, a newer one, read-only, locked for longer
    than ``busy_timeout`` seconds, damaged, or a copy for review (unless ``into_copy``).
    """
    db, file = open_database(path, busy_timeout, make_folder=make_folder, into_copy=into_copy)
    return Store(db, file, busy_timeout)


class Store(InstanceTables, AuditTables, JobTables):
    """The open store. Use it from one thread, and as a context manager."""

    # Cursors

    def cursor(self, source: str, scope: str) -> Cursor | None:
        """The cursor of one source and scope, None if it was never read."""
        found = self._rows("SELECT * FROM ingest_cursors WHERE source = ? AND scope = ?", (source, scope))
        return _cursor(found[0]) if found else None

    def cursors(self, source: str) -> dict[str, Cursor]:
        """All cursors of a source, by scope."""
        return {
            row["scope"]: _cursor(row) for row in self._rows("SELECT * FROM ingest_cursors WHERE source = ?", (source,))
        }

    def put_cursor(self, cursor: Cursor) -> None:
        """Store a cursor as it is."""
        with self._write():
            self._put_cursor(cursor)

    def drop_cursor(self, source: str, scope: str) -> None:
        """Forget a cursor."""
        with self._write():
            self._conn.execute("DELETE FROM ingest_cursors WHERE source = ? AND scope = ?", (source, scope))

    def _put_cursor(self, cursor: Cursor) -> None:
        row = {name: getattr(cursor, name) for name in Cursor.__dataclass_fields__ if name != "state"}
        row["state_json"] = to_json(cursor.state) if cursor.state else None
        self._upsert("ingest_cursors", ("source", "scope"), [row])

    # Playbook runs

    def put_run(self, rows: RunRows, cursor: Cursor, *, after: int | None, job: Row | None = None) -> bool:
        """Store a stretch of a run's events and the cursor behind it, in one transaction.

        ``after``: the cursor's stored position this stretch begins at (None: there was no cursor). Returns False and
        stores nothing when another sync has moved the cursor meanwhile: read it again and go on from there.
        ``job``: the row of run_jobs that these events are of. If the callback has recorded the same run, its row stays
        the only one (``shown_by`` tells) and the events are left out.
        """
        with self._write():
            stored = self._conn.execute(
                "SELECT position FROM ingest_cursors WHERE source = ? AND scope = ?", (cursor.source, cursor.scope)
            ).fetchone()
            if (stored[0] if stored else None) != after:
                return False
            if job is None or self._put_job(job) == rows.run["run_id"]:
                self._put_run_rows(rows)
            if rows.run["source"] == "callback":
                self._claim_jobs(rows.run)
            self._put_cursor(cursor)
        return True

    def _put_run_rows(self, rows: RunRows) -> None:
        run_id = rows.run["run_id"]
        self._upsert("runs", ("run_id",), [rows.run])
        for table, part in (("plays", rows.plays), ("tasks", rows.tasks), ("host_results", rows.results)):
            self._upsert(table, ("run_id", "counter"), part)
        self._put_links(rows.links)
        self._replace("run_in_flight", {"run_id": run_id}, ("run_id", "host"), rows.in_flight)
        if rows.hosts:
            self._replace("run_hosts", {"run_id": run_id}, ("run_id", "host"), rows.hosts)
        elif rows.results:
            self._count_hosts(run_id)
        self._sum_recap(run_id)

    def _put_links(self, links: Sequence[Row]) -> None:
        self._conn.executemany(
            "INSERT INTO run_links (run_id, kind, ref, counter, host) VALUES (:run_id, :kind, :ref, :counter, :host)"
            " ON CONFLICT DO NOTHING",
            links,
        )

    def _count_hosts(self, run_id: str) -> None:
        """The recap so far, counted from the results as Ansible counts: an ignored failure is also ok."""
        counted = self._rows(
            """
            SELECT run_id, host, sum(status IN ('ok', 'ignored')) AS ok,
                   sum(changed AND status IN ('ok', 'ignored')) AS changed,
                   sum(status = 'failed') AS failed, sum(status = 'unreachable') AS unreachable,
                   sum(status = 'skipped') AS skipped, 0 AS rescued, sum(status = 'ignored') AS ignored, 0 AS final
            FROM host_results WHERE run_id = ? AND kind = 'result' GROUP BY host
            """,
            (run_id,),
        )
        self._upsert("run_hosts", ("run_id", "host"), counted)

    def _sum_recap(self, run_id: str) -> None:
        self._conn.execute(
            """
            UPDATE runs SET (hosts, ok, changed, failed, unreachable, skipped, rescued, ignored) = (
              SELECT count(*), coalesce(sum(ok), 0), coalesce(sum(changed), 0), coalesce(sum(failed), 0),
                     coalesce(sum(unreachable), 0), coalesce(sum(skipped), 0), coalesce(sum(rescued), 0),
                     coalesce(sum(ignored), 0)
              FROM run_hosts WHERE run_id = :run)
            WHERE run_id = :run
            """,
            {"run": run_id},
        )

    # Rollouts

    def put_tenant(self, tenant: str, at: float) -> None:
        """Remember a tenant; ``tenant`` is the API's base URL."""
        with self._write():
            self._upsert(
                "tenants",
                ("tenant",),
                [{"tenant": tenant, "base_url": tenant, "first_seen": at}],
                first=("first_seen",),
            )

    def put_policy(self, row: Row) -> bool:
        """Add a policy snapshot if it differs from the newest one. Returns whether it did."""
        with self._write():
            return self._add_if_new("policies", ("tenant",), row)

    def known_rollouts(self, tenant: str) -> dict[str, Row]:
        """The stored rollouts of a tenant, by id: all columns of the table."""
        return {row["rollout_id"]: row for row in self._rows("SELECT * FROM rollouts WHERE tenant = ?", (tenant,))}

    def put_rollouts(self, reads: Iterable[RolloutRead], *, not_before: float | None = None) -> int:
        """Store rollouts with their targets in one transaction; returns how many rows were touched.

        A status that differs from the stored one becomes a row of target_changes; ``not_before`` is when the targets
        were last looked at before this. A read older than what is stored (another sync was quicker) is left out.
        """
        touched = 0
        with self._write():
            instances: dict[tuple[str, str], float] = {}
            for read in reads:
                key = (read.rollout["tenant"], read.rollout["rollout_id"])
                if self._newest_change(key) > read.read_at:
                    continue
                stamps = {"first_seen": read.read_at, "updated_at": read.read_at}
                row = {**read.rollout, "targets_read": int(read.targets is not None), **stamps}
                touched += self._upsert(
                    "rollouts", ("tenant", "rollout_id"), [row], first=("first_seen",), stamp=("updated_at",)
                )
                if read.targets:
                    self._note_changes(key, read, not_before)
                    rows = [{**target, **stamps} for target in read.targets]
                    touched += self._upsert(
                        "rollout_targets",
                        ("tenant", "rollout_id", "target_id"),
                        rows,
                        first=("first_seen",),
                        stamp=("updated_at",),
                    )
                    instances.update(
                        {(t["tenant"], t["instance_id"]): read.read_at for t in read.targets if t["instance_id"]}
                    )
            touched += self._put_instances(instances)
        return touched

    def _newest_change(self, key: tuple[str, str]) -> float:
        newest = self._conn.execute(
            "SELECT max(updated_at) FROM (SELECT updated_at FROM rollouts WHERE tenant = :t AND rollout_id = :r"
            " UNION ALL SELECT updated_at FROM rollout_targets WHERE tenant = :t AND rollout_id = :r)",
            {"t": key[0], "r": key[1]},
        ).fetchone()[0]
        return float(newest) if newest is not None else 0.0

    def _note_changes(self, key: tuple[str, str], read: RolloutRead, not_before: float | None) -> None:
        stored = dict(
            self._conn.execute(
                "SELECT target_id, status FROM rollout_targets WHERE tenant = ? AND rollout_id = ?", key
            ).fetchall()
        )
        changes = [
            {
                "tenant": key[0],
                "rollout_id": key[1],
                "target_id": target["target_id"],
                "at": read.read_at,
                "not_before": not_before,
                "old_status": stored[target["target_id"]],
                "new_status": target["status"],
            }
            for target in read.targets or ()
            if stored.get(target["target_id"], target["status"]) != target["status"]
        ]
        self._upsert("target_changes", ("tenant", "rollout_id", "target_id", "at"), changes)

    def _put_instances(self, touched: Mapping[tuple[str, str], float]) -> int:
        rows = []
        for (tenant, instance_id), at in touched.items():
            name = self._conn.execute(
                "SELECT hostname FROM rollout_targets WHERE tenant = ? AND instance_id = ? AND hostname IS NOT NULL"
                " ORDER BY created_at DESC LIMIT 1",
                (tenant, instance_id),
            ).fetchone()
            bundle = self._conn.execute(
                # Without the hint the planner reads all of the tenant's targets.
                "SELECT bundle_hash, completed_at FROM rollout_targets INDEXED BY rollout_targets_instance"
                " WHERE tenant = ? AND instance_id = ?"
                " AND status = 'succeeded' AND bundle_hash IS NOT NULL ORDER BY completed_at DESC LIMIT 1",
                (tenant, instance_id),
            ).fetchone()
            rows.append(
                {
                    "tenant": tenant,
                    "instance_id": instance_id,
                    "hostname": name[0] if name else None,
                    "current_bundle": bundle[0] if bundle else None,
                    "bundle_at": bundle[1] if bundle else None,
                    "first_seen": at,
                    "updated_at": at,
                }
            )
        return self._upsert("instances", ("tenant", "instance_id"), rows, first=("first_seen",), stamp=("updated_at",))

    # Instances

    def put_instance(self, rows: InstanceRows, cursor: Cursor) -> int:
        """Store what one look at an instance said, and its cursor; returns how many rows were touched."""
        with self._write():
            touched = self._put_instance_rows(rows)
            self._put_cursor(cursor)
        return touched

    def instances(self, tenant: str) -> list[Row]:
        """The known instances of a tenant: instance_id and hostname, by name."""
        return self._rows(
            "SELECT instance_id, hostname FROM instances WHERE tenant = ? ORDER BY hostname, instance_id", (tenant,)
        )

    # Audit

    def put_audit(self, events: Sequence[Row], summary: Row | None, cursor: Cursor) -> int:
        """Store audit events of one instance (known ids are left alone), its summary if it differs, and the cursor.

        Returns how many events are new; the counts of the pages grow with them.
        """
        with self._write():
            added = self._add_events(events) if events else 0
            if summary is not None:
                self._add_if_new("audit_summaries", ("tenant", "instance_id"), summary)
            self._put_cursor(cursor)
        return added


def to_json(value: Any) -> str:
    """Compact JSON text with stable key order, so that equal data is equal text.

    NaN and the infinities, which JSON has no word for and SQLite cannot read, become their names as text.
    """
    form: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False, "default": str}
    try:
        text = json.dumps(value, allow_nan=False, **form)
    except ValueError:
        text = json.dumps(json.loads(json.dumps(value, **form), parse_constant=str), **form)
    return storable(text)


def storable(text: str) -> str:
    """``text`` with half characters (which JSON can carry and SQLite cannot) as ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _cursor(row: Mapping[str, Any]) -> Cursor:
    values = {name: row[name] for name in Cursor.__dataclass_fields__ if name != "state"}
    return Cursor(**values, state=json.loads(row["state_json"]) if row["state_json"] else {})
