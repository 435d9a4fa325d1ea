# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts and their targets: rows, counters, and the status derived from them (behaviour.md 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulator.fleet import Instance

TARGET_STATUSES = ("queued", "in_progress", "succeeded", "failed", "uncertain", "cancelled")
ROLLOUT_TERMINAL = frozenset({"completed", "partial", "failed", "cancelled"})
ROLLOUT_STATUSES = ROLLOUT_TERMINAL | {"pending", "in_progress", "paused", "cancelling"}

# The transitions (from, to) in the table of behaviour.md 3.1.
TARGET_TRANSITIONS = frozenset(
    {
        ("queued", "in_progress"),
        ("queued", "cancelled"),
        ("in_progress", "succeeded"),
        ("in_progress", "failed"),
        ("in_progress", "uncertain"),
        ("uncertain", "succeeded"),
        ("uncertain", "failed"),
        ("failed", "queued"),
        ("uncertain", "queued"),
        ("cancelled", "queued"),
    }
)


class Target:
    """One instance in one rollout. Times are virtual epoch seconds."""

    __slots__ = (
        "attempts",
        "bundle_hash",
        "completed_at",
        "countdown",
        "created_at",
        "draw",
        "error_message",
        "id",
        "instance",
        "last_result",
        "rollout",
        "started_at",
        "status",
        "task_id",
        "ticket",
        "uncapped",
        "version",
    )

    def __init__(self, target_id: str, instance: Instance, rollout: Rollout, task_id: str, created_at: float) -> None:
        self.id = target_id
        self.instance = instance
        self.rollout = rollout
        self.task_id = task_id
        self.created_at = created_at
        self.status = "queued"
        self.last_result: str | None = None
        self.bundle_hash: str | None = None
        self.error_message: str | None = None
        self.started_at: float | None = None
        self.completed_at: float | None = None
        self.countdown = 0.0
        self.attempts = 1
        self.uncapped = False
        self.version: str | None = None
        self.draw: Any = None
        # The number changes whenever the row is queued again: events and queue entries with an older number are void.
        self.ticket = 0

    def move(self, status: str) -> None:
        """Change the status and the counters of the rollout. Every change of status goes through this method."""
        if (self.status, status) not in TARGET_TRANSITIONS:
            raise AssertionError(f"target {self.id}: the transition {self.status} -> {status} is not allowed")
        counts = self.rollout.counts
        counts[self.status] -= 1
        counts[status] += 1
        self.status = status


@dataclass
class Rollout:
    """A rollout of the fleet (E2) or of one instance (E22, E24)."""

    id: str
    scope: str
    created_at: float
    initiated_from_ip: str | None
    metadata: dict[str, Any]
    visible_at: float
    targets: list[Target] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TARGET_STATUSES, 0))
    paused: bool = False
    cancelled: bool = False
    started: bool = False
    completed_at: float | None = None
    dispatched: int = 0
    by_id: dict[str, Target] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return len(self.targets)

    @property
    def status(self) -> str:
        return derive_status(self.counts, self.total, self.paused, self.cancelled, self.started)

    @property
    def terminal(self) -> bool:
        return self.status in ROLLOUT_TERMINAL

    def add(self, target: Target) -> None:
        self.targets.append(target)
        self.by_id[target.id] = target
        self.counts[target.status] += 1

    def settle(self, now: float) -> None:
        """Set completed_at if the rollout is terminal, otherwise clear it."""
        if not self.terminal:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = now


def derive_status(counts: Mapping[str, int], total: int, paused: bool, cancelled: bool, started: bool) -> str:
    """The status by the table of behaviour.md 3.2, in the order of its rows."""
    if cancelled:
        return "cancelling" if counts["in_progress"] else "cancelled"
    if paused:
        return "paused"
    if counts["queued"] or counts["in_progress"]:
        return "in_progress" if started else "pending"
    if counts["succeeded"] == total:
        return "completed"
    return "partial" if counts["succeeded"] else "failed"
