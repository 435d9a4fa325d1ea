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


# What needs batches, by the names of the modules' options and of the playbooks' variables after fleetops_: the words
# that ask for it (none: whatever is not empty, 0 or false), and why it does not go without batches.
_NEEDS_BATCHES: dict[str, tuple[tuple[str, ...], str]] = {
    "growth": (("doubling", "percent"), "nothing grows"),
    "soak": ((), "there is no next batch that waits for it"),
    "audit": ((), "it compares the time before a batch with the time after it"),
    "audit_gate": ((), "it compares the time before a batch with the time after it"),
    "metric_checks": ((), "they are asked before a batch"),
    "on_bundle_change": (("stop",), "the bundles are compared before a batch"),
    "repair": ((), "an instance is healed before the next batch (fleetops.agents.recover can follow the run)"),
    "waves": ((), "the limit, the soak and the gate of a wave are those of its batches"),
    "share_scope": (("at_once",), "it is the share of a batch"),
    "quarantine": ((), "each instance in quarantine has a batch of its own"),
    "defer_busy": ((), "who is busy is looked at again before a batch"),
}


def refusal_of(asked: Mapping[str, Any], without: str, prefix: str = "") -> str:
    """Why one of the options ``asked`` (names to values) does not go with a run that has no batches, as a sentence.

    Empty if all of them do. ``without``: what makes it a run without batches, ``pace=continuous``. ``prefix`` stands
    before the names of the options. ``waves``: a tuple of the names of those that have settings of their own.
    """
    for option, (words, why) in _NEEDS_BATCHES.items():
        value = asked.get(prefix + option)
        if value in words or (value and not words):
            shown = f"={value}" if words else f" ({', '.join(value)})" if isinstance(value, tuple) else ""
            said = f"{prefix}{option}{shown} does not go with {without}, which has no batches: {why}."
            return f"{said} Leave out one of them."
    return ""


def refusal_of_run(asked: Mapping[str, Any]) -> str:
    """Why the variables of a run (their names as the playbook has them) do not go with its pace; empty if they do."""
    pace = asked.get("fleetops_pace", BATCHES)
    if pace not in PACES:
        return f"fleetops_pace is {pace}: it must be {' or '.join(PACES)}."
    if pace == BATCHES:
        return ""
    if asked.get("fleetops_plan_for", "redeploy") not in ("redeploy", "updates"):
        return "fleetops_pace is continuous, which is for redeploys and updates only. Leave it out here."
    # Which waves have settings of their own is known once the plan has read them.
    known = {name: value for name, value in asked.items() if name != "fleetops_waves"}
    return refusal_of(known, "fleetops_pace=continuous", "fleetops_")


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
