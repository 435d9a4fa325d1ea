# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How the instances of a run follow each other: in batches, or as one stream. Pure functions.

``continuous``: after the canary one batch holds all that is left. Its instances are not waited for together: the next
one begins as soon as another one has ended, never more at once than the policy allows.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BATCHES, CONTINUOUS = "batches", "continuous"
PACES = (BATCHES, CONTINUOUS)


def refusal_of(pace: str, growth: str, soak: float = 0.0) -> str:
    """Why settings of the batches do not go with the pace, as a sentence; empty if they do."""
    if pace == CONTINUOUS and growth != "fixed":
        return f"growth is {growth}, and pace is continuous: without batches there is nothing that grows. Leave out one"
    if pace == CONTINUOUS and soak:
        return f"soak is {soak:g}, and pace is continuous: there is no next batch that waits for it. Leave out one"
    return ""


def refusal_of_run(asked: Mapping[str, Any]) -> str:
    """Why the variables of a run (their names as the playbook has them) do not go with its pace; empty if they do."""
    pace = asked.get("fleetops_pace", BATCHES)
    if pace not in PACES:
        return f"fleetops_pace is {pace}: it must be {' or '.join(PACES)}."
    if pace == BATCHES:
        return ""
    growth, soak = asked.get("fleetops_growth", "fixed"), asked.get("fleetops_soak", 0)
    why = ""
    if asked.get("fleetops_plan_for", "redeploy") != "redeploy":
        return "fleetops_pace is continuous, which is for redeploys only. Leave it out here."
    if growth != "fixed":
        why = f"fleetops_growth is {growth}, and with fleetops_pace=continuous there are no batches that grow"
    elif soak:
        why = f"fleetops_soak is {soak:g}, and with fleetops_pace=continuous there is no next batch that waits for it"
    elif asked.get("fleetops_audit_gate"):
        why = (
            "fleetops_audit_gate compares what was before a batch with what was after it, and with "
            "fleetops_pace=continuous there are no batches"
        )
    elif asked.get("fleetops_metric_checks"):
        why = "fleetops_metric_checks are asked before a batch, and with fleetops_pace=continuous there are no batches"
    elif asked.get("fleetops_on_bundle_change") == "stop":
        why = (
            "fleetops_on_bundle_change is stop, which compares the bundles before a batch, and with "
            "fleetops_pace=continuous there are no batches"
        )
    elif asked.get("fleetops_repair"):
        why = (
            "fleetops_repair heals an instance before the next batch, and with fleetops_pace=continuous there is none; "
            "fleetops.agents.recover can follow the run"
        )
    return f"{why}. Leave out one of them." if why else ""


def follow_each_other(seconds: Sequence[float], most: int, begin: float = 0.0) -> Iterator[tuple[float, float]]:
    """Start and end of each one, in their order, if the next one begins when one of ``most`` has ended."""
    ends: list[float] = []
    for each in seconds:
        start = begin if len(ends) < most else heapq.heappop(ends)
        heapq.heappush(ends, start + each)
        yield start, start + each


def forks_needed(most: int, of: int, usual: float, proof: float) -> int:
    """How many of Ansible's workers keep ``most`` redeploys in flight, of ``of`` instances in all.

    A worker stays with its instance for the ``proof`` of its health, after a redeploy of ``usual`` seconds.
    """
    busy = most * (1.0 + proof / usual) if usual > 0 else float(of)
    return max(1, min(math.ceil(busy), of))
