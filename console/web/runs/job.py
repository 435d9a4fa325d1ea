# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of a run: its data in AWX or ansible-runner, and the runs from which or as which it was relaunched."""

from __future__ import annotations

import streamlit as st

from console.record.read import jobs
from console.web.shared import cached, links, lists, pages


def show(run_id: str) -> None:
    """One row for each job of the run; nothing for a run that only the callback plugin has recorded."""
    for job in lists.records(cached.ask(jobs.jobs_of_run, run_id)):
        with lists.row():
            if job["url"]:
                lists.line(
                    f"AWX job {job['job_id']}",
                    job["template"] or job["name"] or "",
                    f"project {job['project']}" if job["project"] else "",
                    f"launched by {job['launched_by']}" if job["launched_by"] else "",
                    job["launch_type"] or "",
                    job["explanation"] or "",
                )
                st.link_button("Open in AWX", job["url"], icon=":material/open_in_new:", type="tertiary")
            else:
                lists.line(f"ansible-runner {job['name']}", job["explanation"] or "")
            if job["relaunch_run"]:
                _link("Relaunched from", job["relaunch_run"])
            for later in lists.records(cached.ask(jobs.relaunches_of_run, run_id)):
                _link(f"Relaunched as job {later['job_id']}", later["run_id"])


def _link(label: str, run_id: str) -> None:
    links.to(pages.OPERATION, lists.literal(label), icon="replay", id=run_id)
