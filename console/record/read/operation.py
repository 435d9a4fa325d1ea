# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One operation: its facts, the outcome of each instance, its failures, gates and rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from console.outcomes.facts import Facts
from console.outcomes.verdict import Verdict

INSTANCE_COLUMNS = ("host", "instance_id", "category", "started_at", "ended_at", "seconds", "waited", "message",
                    "derived", "rollout_id")  # fmt: skip
FAILURE_COLUMNS = ("status", "message", "pattern", "hosts", "instances", "first_at", "last_at", "before", "first_seen")
GATE_COLUMNS = ("batch", "at", "verdict", "figures")


@dataclass(frozen=True)
class Operation:
    """One operation.

    row: the values of operations.COLUMNS. facts: what it was judged by. instances: INSTANCE_COLUMNS, problems first;
    seconds: how long the redeploy or restart took, waited: before it began (both NaN where not known). failures:
    FAILURE_COLUMNS, each normalised message once, with its hosts (a tuple) and how many earlier operations had it
    (before) and since when (first_seen). batches: batch, hosts (how many), started_at, touched. rollouts: those that
    the run started, as in rollouts.rollouts_of_run. gates: GATE_COLUMNS, empty where none is recorded. plan: what the
    record has of the plan: hash, planned, left_alone, gone, batches, override_reason. followed: ids of rollouts that
    the run adopted. disagreements: host -> what the server says otherwise, from the report.
    """

    row: dict[str, Any]
    facts: Facts
    verdict: Verdict
    instances: pd.DataFrame
    failures: pd.DataFrame
    batches: pd.DataFrame
    rollouts: pd.DataFrame
    gates: pd.DataFrame
    plan: dict[str, Any]
    followed: tuple[str, ...]
    disagreements: dict[str, str]


def operation(path: Path, key: str, now: float) -> Operation | None:
    """One operation by its run id, rollout id or attempt id; None if it is not known."""
    raise NotImplementedError
