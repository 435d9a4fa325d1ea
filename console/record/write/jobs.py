# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records which job ran which run, and merges a run that was recorded twice. The store begins the transaction.

If the callback inside a job of AWX or ansible-runner recorded the run too, the callback's row is kept, because it has
the hosts of the batches and the options of the run. The job then only adds how the run ended.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from console.record.rows import Row
from console.record.write.tables import Tables

# Seconds. A job starts before its run, since its container may start slowly, and clocks differ slightly.
SLACK = 300.0

_UNSETTLED = ("running", "lost", "unknown")
_PARTS = ("plays", "tasks", "host_results", "run_evidence", "run_links", "run_hosts", "run_in_flight", "runs")


def complete(tables: Tables, origin: str) -> set[str]:
    """The jobs of an origin that are stored completely."""
    found = tables.rows("SELECT job FROM run_jobs WHERE origin = ? AND complete = 1", (origin,))
    return {row["job"] for row in found}


def shown_by(tables: Tables, job: str) -> str | None:
    """The run that shows a job, None for an unknown job."""
    found = tables.one("SELECT run_id FROM run_jobs WHERE job = ?", (job,))
    return found["run_id"] if found else None


def put(tables: Tables, job: Row) -> str:
    """Store a job; returns the run that shows it: its own, or the callback's record of the same run."""
    stored = tables.one("SELECT run_id, first_play FROM run_jobs WHERE job = ?", (job["job"],))
    row = {**job, "run_id": job["job"], "relaunch_of": _relaunched(tables, job)}
    if stored:
        row |= {"run_id": stored["run_id"], "first_play": row["first_play"] or stored["first_play"]}
    tables.upsert("run_jobs", [row])
    _join(tables, "j.job = ?", job["job"])
    return str(shown_by(tables, job["job"]))


def claim(tables: Tables, run_id: str) -> None:
    """Let the callback's record of a run show the jobs that ran it, instead of rows of their own."""
    _join(tables, "r.run_id = ?", run_id)


def _relaunched(tables: Tables, job: Row) -> str | None:
    if job["launch_type"] != "relaunch":
        return None
    found = tables.one(
        "SELECT job FROM run_jobs WHERE origin = :origin AND template IS :template AND playbook IS :playbook"
        " AND finished_at <= :created_at ORDER BY finished_at DESC LIMIT 1",
        job,
    )
    return found["job"] if found else None


def _join(tables: Tables, which: str, key: str) -> None:
    """Let the callback's records of runs show the jobs of these runs; if there are several, the first one."""
    joined: set[str] = set()
    for job in tables.rows(_SAME_RUN + which + " ORDER BY r.started_at", (key,)):
        if job["job"] not in joined and _same_playbook(job["run_playbook"], job["playbook"]):
            joined.add(job["job"])
            tables.conn.execute(
                "UPDATE run_jobs SET run_id = :recorded_as WHERE job = :job AND run_id <> :recorded_as", job
            )
            for table in _PARTS:
                tables.replace(table, {"run_id": job["job"]}, [])
            # If the record of the run is incomplete, it ends with the job.
            tables.conn.execute(
                "UPDATE runs SET status = :status, ended_at = coalesce(ended_at, :finished_at)"  # noqa: S608
                f" WHERE run_id = :recorded_as AND status IN {_UNSETTLED} AND :status NOT IN {_UNSETTLED}",
                job,
            )


# A job with the callback's record of its run: the record already shows the job, or the run was at the time of the job
# and has the same job id or first play.
_SAME_RUN = f"""
SELECT j.*, r.run_id AS recorded_as, r.playbook AS run_playbook
FROM run_jobs j JOIN runs r ON r.source = 'callback' AND r.run_id <> j.job AND (
  r.run_id = j.run_id OR (
    j.run_id = j.job
    AND r.started_at BETWEEN j.started_at - {SLACK} AND coalesce(j.finished_at, 1e12) + {SLACK}
    AND (j.job_id = r.job_id
         OR EXISTS (SELECT 1 FROM plays p WHERE p.run_id = r.run_id AND p.play_uuid = j.first_play))))
WHERE """  # noqa: S608 - a number of this file


def _same_playbook(first: Any, second: Any) -> bool:
    """Compare the file names, because the callback records the full path. An unknown playbook counts as the same."""
    return not first or not second or PurePosixPath(str(first)).name == PurePosixPath(str(second)).name
