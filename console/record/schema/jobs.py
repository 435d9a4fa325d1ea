# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Table of the jobs that ran playbooks: AWX's, and ansible-runner's artifact folders."""

from __future__ import annotations

STATEMENTS = (
    # One row a job. job: <id>-awx-<server>, or <ident>-runner-<start of its first event's uuid>.
    # run_id: the run that shows it: of the same name, or the callback's own record of the same run.
    # origin: AWX's address, or "runner". job_id: as the run log of a callback inside the job knows it (JOB_ID).
    # first_play: uuid of the first play, by which a callback's record without a job id is known as the same run.
    # status: as in runs. relaunch_of: the job before it of the same template (derived, AWX does not say which).
    # launched_by: and after a comma who approved the workflow of the job ("anna, approved by boris").
    # complete: 1 once the job has ended and all its events are stored.
    """
    CREATE TABLE run_jobs (
      job TEXT PRIMARY KEY,
      run_id TEXT NOT NULL,
      origin TEXT NOT NULL,
      job_id TEXT NOT NULL,
      first_play TEXT,
      status TEXT NOT NULL,
      name TEXT,
      template TEXT,
      project TEXT,
      playbook TEXT,
      launch_type TEXT,
      launched_by TEXT,
      relaunch_of TEXT,
      url TEXT,
      created_at REAL,
      started_at REAL,
      finished_at REAL,
      explanation TEXT,
      complete INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX run_jobs_run ON run_jobs (run_id)",
    "CREATE INDEX run_jobs_id ON run_jobs (job_id)",
    "CREATE INDEX run_jobs_play ON run_jobs (first_play)",
    "CREATE INDEX run_jobs_template ON run_jobs (origin, template, finished_at)",
)
