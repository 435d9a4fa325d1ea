# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which job ran which run; a run that was recorded twice becomes one. The store begins the transaction.

A run that is recorded by the callback inside a job, and is a job of AWX or ansible-runner too, is the callback's row:
it has the hosts of the batches and the options of the run. The job then only adds how it ended.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from console.record.rows import Row
from console.record.write.tables import Part

# Seconds. A job starts before its run, in a container that may start slowly; clocks differ a little.
SLACK = 300.0

_UNSETTLED = ("running", "lost", "unknown")
_PARTS = ("plays", "tasks", "host_results", "run_evidence", "run_links", "run_hosts", "run_in_flight", "runs")


class Jobs(Part):
    """Table run_jobs."""

    def complete(self, origin: str) -> set[str]:
        """The jobs of an origin of which everything is stored."""
        found = self._tables.rows("SELECT job FROM run_jobs WHERE origin = ? AND complete = 1", (origin,))
        return {row["job"] for row in found}

    def shown_by(self, job: str) -> str | None:
        """The run that shows a job, None for an unknown job."""
        found = self._tables.one("SELECT run_id FROM run_jobs WHERE job = ?", (job,))
        return found["run_id"] if found else None

    def put(self, job: Row) -> str:
        """Store a job; returns the run that shows it: its own, or the callback's record of the same run."""
        stored = self._tables.one("SELECT run_id, first_play FROM run_jobs WHERE job = ?", (job["job"],))
        row = {**job, "run_id": job["job"], "relaunch_of": self._relaunched(job)}
        if stored:
            row["first_play"] = row["first_play"] or stored["first_play"]
            row["run_id"] = stored["run_id"]
        if row["run_id"] == row["job"]:
            row["run_id"] = self._recorded(row) or row["job"]
        self._tables.upsert("run_jobs", [row])
        if row["run_id"] != row["job"]:
            self._drop_run(row["job"])
            self._settle(row)
        return str(row["run_id"])

    def _relaunched(self, job: Row) -> str | None:
        if job["launch_type"] != "relaunch":
            return None
        found = self._tables.one(
            "SELECT job FROM run_jobs WHERE origin = :origin AND template IS :template AND playbook IS :playbook"
            " AND finished_at <= :created_at ORDER BY finished_at DESC LIMIT 1",
            job,
        )
        return found["job"] if found else None

    def _recorded(self, job: Row) -> str | None:
        """The callback's record of the run of a job."""
        if job["started_at"] is None:
            return None
        found = self._tables.rows(
            """
            SELECT run_id, playbook FROM runs
            WHERE source = 'callback' AND started_at BETWEEN :started_at - :slack
              AND coalesce(:finished_at, 1e12) + :slack
              AND (job_id = :job_id
                   OR EXISTS (SELECT 1 FROM plays p WHERE p.run_id = runs.run_id AND p.play_uuid = :first_play))
            ORDER BY started_at
            """,
            {**job, "slack": SLACK},
        )
        return next((row["run_id"] for row in found if _same_playbook(row["playbook"], job["playbook"])), None)

    def claim(self, run: Row) -> None:
        """Show the jobs that ran a run by the callback's record of it, instead of by rows of their own."""
        found = self._tables.rows(
            """
            SELECT * FROM run_jobs
            WHERE (job_id = :job_id OR first_play IN
                     (SELECT play_uuid FROM plays WHERE run_id = :run_id ORDER BY counter LIMIT 1))
              AND run_id IN (job, :run_id) AND started_at - :slack <= :started_at
              AND coalesce(finished_at, 1e12) + :slack >= :started_at
            """,
            {name: run.get(name) for name in ("run_id", "job_id", "started_at")} | {"slack": SLACK},
        )
        for job in found:
            if _same_playbook(run.get("playbook"), job["playbook"]):
                job["run_id"] = run["run_id"]
                self._tables.upsert("run_jobs", [job])
                self._drop_run(job["job"])
                self._settle(job)

    def _settle(self, job: Row) -> None:
        """Take the end of a run from its job where the record of the run is incomplete."""
        if job["status"] in _UNSETTLED:
            return
        run = self._tables.one("SELECT * FROM runs WHERE run_id = ?", (job["run_id"],))
        if run and run["status"] in _UNSETTLED:
            ended = run["ended_at"] or job["finished_at"]
            self._tables.upsert("runs", [{**run, "status": job["status"], "ended_at": ended}])

    def _drop_run(self, run_id: str) -> None:
        for table in _PARTS:
            self._tables.replace(table, {"run_id": run_id}, [])


def _same_playbook(one: Any, other: Any) -> bool:
    """Compare by file name, since the callback has the whole path. An unknown playbook counts as the same."""
    return not one or not other or PurePosixPath(str(one)).name == PurePosixPath(str(other)).name
