# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the console. A script's file name is the page's name in the address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Page:
    """A page: its script, relative to console/app.py, its title, and its icon in the menu; '' for none in the menu."""

    script: str
    title: str
    icon: str = ""

    @property
    def name(self) -> str:
        """The page's name in the address; the first page's address has none."""
        return PurePosixPath(self.script).stem


OVERVIEW = Page("web/overview/overview.py", "Overview", ":material/monitor_heart:")
OPERATIONS = Page("web/operations/operations.py", "Operations", ":material/view_timeline:")
INSTANCES = Page("web/instances/instances.py", "Instances", ":material/dns:")
FAILURES = Page("web/failures/failures.py", "Failures", ":material/error:")
AUDIT = Page("web/audit/audit.py", "Audit", ":material/fact_check:")
POLICY = Page("web/policy/policy.py", "Policy", ":material/event_available:")
RECORD = Page("web/record/record.py", "Record", ":material/database:")
OPERATION = Page("web/operations/operation.py", "Operation")
INSTANCE = Page("web/instances/instance.py", "Instance")
COMPARE = Page("web/operations/compare.py", "Compare")
ROLLOUTS = Page("web/rollouts/rollouts.py", "Rollouts")
ROLLOUT = Page("web/rollouts/rollout.py", "Rollout")
RUNS = Page("web/runs/runs.py", "Playbook runs")
RUN = Page("web/runs/run.py", "Run")
ACTIONS = Page("web/actions/actions.py", "Console actions")

PAGES = (OVERVIEW, OPERATIONS, INSTANCES, FAILURES, AUDIT, POLICY, RECORD, OPERATION, INSTANCE, COMPARE, ROLLOUTS,
         ROLLOUT, RUNS, RUN, ACTIONS)  # fmt: skip
"""The pages in menu order. The first one has no name in the address."""
