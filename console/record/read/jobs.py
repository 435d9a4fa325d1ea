# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of AWX or ansible-runner that ran a playbook run, and the runs of its relaunches."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from console.record.read.frames import as_frame, reading


def jobs_of_run(path: Path, run_id: str) -> pd.DataFrame:
    """The jobs that ran a playbook run, usually one: job_id, status, name, template, project, launch_type, launched_by,
    url (None for ansible-runner), explanation, and relaunch_run (the run of the job that was relaunched, or None).
    """
    with reading(path) as conn:
        return as_frame(
            conn,
            """
            SELECT j.job_id, j.status, j.name, j.template, j.project, j.launch_type, j.launched_by, j.url,
                   j.explanation, before.run_id AS relaunch_run
            FROM run_jobs j LEFT JOIN run_jobs before ON before.job = j.relaunch_of
            WHERE j.run_id = :id ORDER BY j.job LIMIT 10
            """,
            {"id": run_id},
        )


def relaunches_of_run(path: Path, run_id: str) -> pd.DataFrame:
    """The runs of the jobs that are relaunches of a run's job: run_id, job_id, status; newest first."""
    with reading(path) as conn:
        return as_frame(
            conn,
            """
            SELECT later.run_id, later.job_id, later.status FROM run_jobs j
            JOIN run_jobs later ON later.origin = j.origin AND later.template IS j.template
              AND later.relaunch_of = j.job
            WHERE j.run_id = :id ORDER BY later.finished_at DESC LIMIT 10
            """,
            {"id": run_id},
        )
