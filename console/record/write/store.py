# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console's store: writes what a sync has read.

Rows are inserted or updated by natural key, and only written if they differ: storing the same data twice changes
nothing. Each method that writes is one transaction. Errors are DatabaseProblem, one sentence each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.record.opening import BUSY_TIMEOUT, open_to_write
from console.record.rows import Cursor, InstanceRows, RolloutRead, Row, RunRows, to_json
from console.record.write import audit, instances, jobs, rollouts, runs
from console.record.write.tables import Tables
from console.text.json_values import parsed


def open_store(path: str | os.PathLike[str], *, busy_timeout: float = BUSY_TIMEOUT, into_copy: bool = False) -> Store:
    """Open the database for writing; create it or migrate it as needed.

    Raises DatabaseProblem (see ``opening.open_to_write``), for example for a copy for review unless ``into_copy``.
    """
    return Store(*open_to_write(path, busy_timeout, into_copy=into_copy), busy_timeout)


class Store(Tables):
    """The open store. The other modules in this folder have the functions that read what is already stored."""

    def cursor(self, source: str, scope: str) -> Cursor | None:
        """The cursor of one source and scope, None if it was never read."""
        found = self.one("SELECT * FROM ingest_cursors WHERE source = ? AND scope = ?", (source, scope))
        return _cursor(found) if found else None

    def cursors(self, source: str) -> dict[str, Cursor]:
        found = self.rows("SELECT * FROM ingest_cursors WHERE source = ?", (source,))
        return {row["scope"]: _cursor(row) for row in found}

    def positions(self, source: str) -> dict[str, int]:
        """The position of each cursor of a source that has one, by scope."""
        found = self.rows("SELECT scope, position FROM ingest_cursors WHERE source = ? AND position >= 0", (source,))
        return {row["scope"]: row["position"] for row in found}

    def put_cursor(self, cursor: Cursor) -> None:
        row = {**vars(cursor), "state_json": to_json(cursor.state) if cursor.state else None}
        del row["state"]
        with self.transaction():
            self.upsert("ingest_cursors", [row])

    def note_read(self, source: str, scope: str, at: float, problems: Sequence[str]) -> None:
        """Record how reading a complete source ended at ``at``: with these problems, or successfully."""
        with self.transaction():
            cursor = self.cursor(source, scope) or Cursor(source, scope)
            cursor.note(at, problems)
            self.put_cursor(cursor)

    def drop_cursor(self, source: str, scope: str) -> None:
        with self.transaction():
            self.conn.execute("DELETE FROM ingest_cursors WHERE source = ? AND scope = ?", (source, scope))

    def put_beat(self, row: Row) -> None:
        """Store the follower's report, a row of the table ``follower``, in place of the previous one."""
        with self.transaction():
            self.upsert("follower", [{"only": 1, **row}])

    def has_open_work(self, tenant: str) -> bool:
        """Whether a rollout of the tenant is open, or a playbook run is in progress."""
        [found] = self.rows(
            "SELECT EXISTS (SELECT 1 FROM rollouts WHERE tenant = ? AND is_open = 1)"
            " OR EXISTS (SELECT 1 FROM runs WHERE status = 'running' AND ended_at IS NULL) AS there",
            (tenant,),
        )
        return bool(found["there"])

    def put_run(self, rows: RunRows, cursor: Cursor, *, after: int | None, job: Row | None = None) -> bool:
        """Store the next events of a run and the cursor after them.

        ``after``: the stored position of the cursor at which these events begin (None: there was no cursor). Returns
        False and stores nothing if another sync has moved the cursor in the meantime: read it again and continue there.
        ``job``: the row of run_jobs to which these events belong. If the callback has recorded the same run, its row
        stays the only one (:func:`jobs.shown_by` returns it) and the events are left out.
        """
        with self.transaction():
            stored = self.cursor(cursor.source, cursor.scope)
            if (stored.position if stored else None) != after:
                return False
            if job is None or jobs.put(self, job) == rows.run["run_id"]:
                runs.put(self, rows)
            if rows.run["source"] == "callback":
                jobs.claim(self, rows.run["run_id"])
            self.put_cursor(cursor)
        return True

    def lose_runs(self, source: str, quiet_since: float, refs: Sequence[str] | None = None) -> int:
        """Set the running runs of a source, and their jobs, to lost if they have no event since ``quiet_since``.
        Returns how many runs. ``refs``: only runs with one of these source_ref."""
        with self.transaction():
            lost = self.conn.execute(
                "UPDATE runs SET status = 'lost' WHERE status = 'running' AND source = :source"
                " AND coalesce(heartbeat_at, started_at, 0) < :since"
                " AND (:refs IS NULL OR source_ref IN (SELECT value FROM json_each(:refs)))",
                {"source": source, "since": quiet_since, "refs": None if refs is None else to_json(refs)},
            ).rowcount
            self.conn.execute(
                "UPDATE run_jobs SET status = 'lost' WHERE status = 'running'"
                " AND run_id IN (SELECT run_id FROM runs WHERE status = 'lost' AND source = ?)",
                (source,),
            )
        return lost

    def put_tenant(self, tenant: str, at: float) -> None:
        """Remember a tenant; ``tenant`` is the API's base URL."""
        row = {"tenant": tenant, "base_url": tenant, "first_seen": at}
        with self.transaction():
            self.upsert("tenants", [row])

    def put_policy(self, row: Row) -> bool:
        """Add the current policy if it differs from the newest stored one. Returns whether it was added."""
        with self.transaction():
            return self.add_if_new("policies", row)

    def put_rollouts(self, reads: Iterable[RolloutRead]) -> int:
        """Store rollouts with their targets; returns how many rows were written."""
        with self.transaction():
            return rollouts.put(self, reads)

    def put_instance(self, rows: InstanceRows, cursor: Cursor) -> int:
        """Store what was read from an instance, and its cursor; returns how many rows were written."""
        with self.transaction():
            written = instances.put(self, rows)
            self.put_cursor(cursor)
        return written

    def put_audit(self, events: Sequence[Row], summary: Row | None, cursor: Cursor) -> int:
        """Store audit events of one instance, its summary if that differs from the newest, and the cursor.

        Returns how many events are new.
        """
        with self.transaction():
            added = audit.add(self, events)
            if summary is not None:
                self.add_if_new("audit_summaries", summary)
            self.put_cursor(cursor)
        return added


def _cursor(row: Mapping[str, Any]) -> Cursor:
    values = dict(row)
    return Cursor(state=parsed(values.pop("state_json")), **values)
