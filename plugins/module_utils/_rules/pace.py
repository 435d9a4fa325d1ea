# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How the instances of a run follow each other: in batches, or as one stream. Pure functions.

With ``continuous``, all instances after the canary are one batch. The next instance begins as soon as another one has
ended, and there are never more at once than the policy allows.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BATCHES, CONTINUOUS = "batches", "continuous"
PACES = (BATCHES, CONTINUOUS)


# The settings that need batches, by the name of the module's option, which is that of the playbooks' variable without
# fleetops_. Each has the values that need batches (an empty tuple: all except an empty value, 0 and false), and the
# reason.
_NEEDS_BATCHES: dict[str, tuple[tuple[str, ...], str]] = {
    "growth": (("doubling", "percent"), "there is nothing to grow"),
    "soak": ((), "it is the time between two batches"),
    "audit_gate": ((), "it compares the time before a batch with the time after it"),
    "metric_checks": ((), "they are made before each batch"),
    "on_bundle_change": (("stop",), "the bundles are compared before each batch"),
    "repair": ((), "an instance is healed before the next batch (fleetops.agents.recover can follow the run)"),
    "waves": ((), "the limit, the soak and the gate of a wave apply to its batches"),
    "share_scope": (("at_once",), "it is the share of a batch"),
    "quarantine": ((), "each instance in quarantine has a batch of its own"),
    "defer_busy": ((), "busy instances are checked again before each batch"),
}


def refusal_of(asked: Mapping[str, Any], without: str, prefix: str = "") -> str:
    """Why one of the options ``asked`` (names to values) cannot be used in a run without batches, as a sentence.

    Empty if all of them can. ``without``: the setting that makes it such a run, for example ``pace=continuous``.
    ``prefix``: the prefix of the names of the options. The value of ``waves`` is a tuple with the names of the waves
    that have their own settings.
    """
    for option, (words, why) in _NEEDS_BATCHES.items():
        value = asked.get(prefix + option)
        if value in words or (value and not words):
            shown = f"={value}" if words else f" ({', '.join(value)})" if isinstance(value, tuple) else ""
            said = f"{prefix}{option}{shown} cannot be used with {without}, which has no batches: {why}."
            return f"{said} Leave out one of them."
    return ""


def refusal_of_run(asked: Mapping[str, Any]) -> str:
    """Why the variables of a run (names to values) cannot be used with its pace, as a sentence; empty if they can.

    The pace is one of PACES.
    """
    if asked.get("fleetops_pace", BATCHES) == BATCHES:
        return ""
    if asked.get("fleetops_plan_for", "redeploy") not in ("redeploy", "updates"):
        return "fleetops_pace is continuous, which is for redeploys and updates only. Leave it out here."
    # The waves are checked with the plan: it is not known here which of them have their own settings.
    known = {name: value for name, value in asked.items() if name != "fleetops_waves"}
    return refusal_of(known, "fleetops_pace=continuous", "fleetops_")


def follow_each_other(seconds: Sequence[float], most: int, begin: float = 0.0) -> Iterator[tuple[float, float]]:
    """Start and end of each item in order, if at most ``most`` run at once and the next one begins as soon as one ends.

    ``seconds``: how long each item takes. ``begin``: the start of the first one. All are in seconds.
    """
    ends: list[float] = []
    for each in seconds:
        start = begin if len(ends) < most else heapq.heappop(ends)
        heapq.heappush(ends, start + each)
        yield start, start + each


def forks_needed(most: int, of: int, usual: float, proof: float) -> int:
    """How many of Ansible's workers are needed to keep ``most`` redeploys in flight, with ``of`` instances in total.

    A worker is busy for the ``usual`` seconds of the redeploy and the ``proof`` seconds of the health checks after it.
    """
    busy = most * (1.0 + proof / usual) if usual > 0 else float(of)
    return max(1, min(math.ceil(busy), of))
