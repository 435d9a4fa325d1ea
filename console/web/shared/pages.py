# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the console. A script's file name is the page's name in the address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Page:
    """A page: its script beside console/app.py, its title, and its icon in the menu; '' keeps it out of the menu."""

    script: str
    title: str
    icon: str = ""

    @property
    def name(self) -> str:
        """The page's name in the address; the first page's address has none."""
        return PurePosixPath(self.script).stem


OVERVIEW = "web/overview/overview.py"
OPERATIONS, OPERATION = "web/operations/operations.py", "web/operations/operation.py"
FAILURES = "web/operations/failures.py"
ROLLOUTS, ROLLOUT, COMPARE = "web/rollouts/rollouts.py", "web/rollouts/rollout.py", "web/rollouts/compare.py"
RUNS, RUN = "web/runs/runs.py", "web/runs/run.py"
INSTANCES, INSTANCE, POLICY = "web/instances/instances.py", "web/instances/instance.py", "web/instances/policy.py"
AUDIT, ACTIONS, RECORD = "web/audit/audit.py", "web/actions/actions.py", "web/overview/record.py"

PAGES = (
    Page(OVERVIEW, "Overview", ":material/monitor_heart:"),
    Page(OPERATIONS, "Operations", ":material/view_timeline:"),
    Page(INSTANCES, "Instances", ":material/dns:"),
    Page(FAILURES, "Failures", ":material/error:"),
    Page(AUDIT, "Audit", ":material/fact_check:"),
    Page(POLICY, "Policy", ":material/event_available:"),
    Page(RECORD, "Record", ":material/database:"),
    Page(OPERATION, "Operation"),
    Page(INSTANCE, "Instance"),
    Page(COMPARE, "Compare"),
    Page(ROLLOUTS, "Rollouts"),
    Page(ROLLOUT, "Rollout"),
    Page(RUNS, "Playbook runs"),
    Page(RUN, "Run"),
    Page(ACTIONS, "Console actions"),
)
"""In the order of the menu. The first one is the page without a name in the address."""

SCRIPTS = {page.name: page.script for page in PAGES}
