# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All operations of the record in numbers, for counters: by what only ever grows, so that no pruning changes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from console.outcomes.facts import ACT
from console.outcomes.words import CHECK, LOST, RUNNING
from console.record.opening import open_to_read
from console.record.read.operations import OperationFilter, matching


@dataclass
class OperationTotals:
    """The operations of one kind and name (as in outcomes.facts.Facts).

    verdicts: how many ended, by verdict. running: how many run. seconds: how long each took that has an end, except
    predictions and acts. last_at: when the newest one ended (epoch seconds, UTC), None for none.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    running: int = 0
    seconds: list[float] = field(default_factory=list)
    last_at: float | None = None


def operation_totals(path: Path) -> dict[tuple[str, str], OperationTotals]:
    """The operations of all time by kind and name. Raises DatabaseProblem.

    Runs with their reports, rollouts and acts are never pruned, so the numbers only grow, with one exception: a run
    that counted as lost and turns out to have ended moves to its verdict.
    """
    found: dict[tuple[str, str], OperationTotals] = {}
    # Without the time limit of a page: nobody waits for it.
    with open_to_read(path) as conn:
        for key in matching(conn, OperationFilter(), judged=True):
            totals = found.setdefault((key.kind, key.name), OperationTotals())
            if key.verdict == RUNNING:
                totals.running += 1
                continue
            totals.verdicts[key.verdict] += 1
            if key.ended_at is not None:
                totals.last_at = max(totals.last_at or 0.0, key.ended_at)
                if key.at and key.kind != ACT and key.verdict not in (CHECK, LOST):
                    totals.seconds.append(max(0.0, key.ended_at - key.at))
    return found
