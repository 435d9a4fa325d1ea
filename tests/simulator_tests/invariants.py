# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The invariants of an engine (behaviour.md 3.2), computed from the rows."""

from __future__ import annotations

from collections import Counter

from tests.simulator.engine import Engine
from tests.simulator.rollouts import ROLLOUT_STATUSES, ROLLOUT_TERMINAL, TARGET_STATUSES, Rollout
from tests.simulator.views import Views

START = 1_790_000_000.0


def check_engine(engine: Engine) -> None:
    running: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    for rollout in engine.rollouts.values():
        check_rollout(engine, rollout)
        for target in rollout.targets:
            if target.status == "in_progress":
                running[target.instance.id] += 1
            if target.status in ("queued", "in_progress"):
                waiting[target.instance.id] += 1
    assert all(count == 1 for count in running.values()), "two targets of one instance in progress"
    assert engine.in_flight == running.total()
    assert not [entry for entry in engine.in_flight_log if entry.violation]
    for instance in engine.fleet:
        assert instance.open_targets == waiting[instance.id]
        assert (instance.current is not None) == bool(running[instance.id])
        assert instance.host_boot <= instance.process_boot <= engine.now


def check_rollout(engine: Engine, rollout: Rollout) -> None:
    counted = Counter(target.status for target in rollout.targets)
    assert set(counted) <= set(TARGET_STATUSES)
    assert {status: counted[status] for status in TARGET_STATUSES} == rollout.counts
    row = Views(engine).rollout(rollout)
    named = ("queued", "in_progress", "succeeded", "failed", "uncertain")
    assert sum(row[f"{name}_targets"] for name in named) + counted["cancelled"] == row["total_targets"]
    assert rollout.status in ROLLOUT_STATUSES
    assert (rollout.completed_at is not None) == (rollout.status in ROLLOUT_TERMINAL)
    if rollout.status in ROLLOUT_TERMINAL:
        assert not counted["queued"] and not counted["in_progress"]
        assert rollout.completed_at is not None
        assert rollout.created_at <= rollout.completed_at <= engine.now
    for target in rollout.targets:
        moments = (rollout.created_at, target.created_at, target.started_at, target.completed_at, engine.now)
        known = [moment for moment in moments if moment is not None]
        assert known == sorted(known)
        ended = target.status not in ("queued", "in_progress")
        assert (target.completed_at is not None) == ended
        assert (target.started_at is None) == (target.status in ("queued", "cancelled"))
        if rollout.completed_at is not None and target.completed_at is not None:
            assert target.completed_at <= rollout.completed_at
