# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any sequence of requests, failures and delays preserves the invariants, and no target is lost."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.simulator import agents, orders
from tests.simulator.engine import Engine
from tests.simulator.fleet import Fleet
from tests.simulator.history import write_history
from tests.simulator.knobs import Knobs
from tests.simulator.refusal import Refused
from tests.simulator.rollouts import Rollout, Target
from tests.simulator_tests.invariants import START, check_engine

SIZE = 6
SHARES = {"failed": 0.2, "uncertain_applied": 0.1, "uncertain_not_applied": 0.1, "stuck": 0.05}


def engine_of(size: int, seed: int, **knobs: Any) -> Engine:
    settings_of_engine = Knobs()
    settings_of_engine.change(knobs)
    return Engine(Fleet(size, seed, START - 7 * 86400), settings_of_engine, seed, START)


class RolloutMachine(RuleBasedStateMachine):
    """A 409 is a valid answer; any other exception is a defect."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = engine_of(SIZE, 3, outcome_shares=SHARES, second_fleet="allow", skip_current=False)
        self.paused_targets: dict[str, set[str]] = {}

    def some(self, position: int) -> Rollout | None:
        rollouts = list(self.engine.rollouts.values())
        return rollouts[position % len(rollouts)] if rollouts else None

    def accepted(self, operation: Any, *arguments: Any) -> bool:
        try:
            operation(self.engine, *arguments)
        except Refused as refusal:
            assert refusal.status == 409
            return False
        return True

    @rule(late=st.sampled_from([None, 0.0, 45.0]), when_paused=st.sampled_from([409, "queue", "run"]))
    def knobs(self, late: float | None, when_paused: Any) -> None:
        self.engine.knobs.change({"late_result_s": late, "retry_when_paused": when_paused})

    @rule(most=st.integers(min_value=0, max_value=4))
    def policy(self, most: int) -> None:
        self.engine.policy.force({"max_parallel_rollouts": most})
        self.engine.advance_to(self.engine.now)

    @rule()
    def fleet_rollout(self) -> None:
        self.accepted(orders.start_fleet_rollout, False, None)

    @rule(index=st.integers(min_value=0, max_value=SIZE - 1))
    def redeploy(self, index: int) -> None:
        self.accepted(orders.redeploy, self.engine.fleet.find(index), None)

    @rule(index=st.integers(min_value=0, max_value=SIZE - 1))
    def apply_all(self, index: int) -> None:
        self.accepted(orders.apply_all, self.engine.fleet.find(index), None)

    @rule(index=st.integers(min_value=0, max_value=SIZE - 1), kind=st.sampled_from(["power-cycle", "reboot"]))
    def restart(self, index: int, kind: str) -> None:
        self.accepted(agents.restart, self.engine.fleet.find(index), kind)

    @rule(index=st.integers(min_value=0, max_value=SIZE - 1), stopped=st.booleans())
    def stop_or_run(self, index: int, stopped: bool) -> None:
        self.engine.fleet.find(index).stopped = stopped

    @precondition(lambda self: self.engine.rollouts)
    @rule(position=st.integers(min_value=0, max_value=30))
    def pause(self, position: int) -> None:
        rollout = self.some(position)
        assert rollout is not None
        if self.accepted(orders.pause, rollout):
            assert rollout.counts["queued"] == 0
            self.paused_targets[rollout.id] = {item.id for item in rollout.targets if item.status == "cancelled"}

    @precondition(lambda self: self.engine.rollouts)
    @rule(position=st.integers(min_value=0, max_value=30))
    def resume(self, position: int) -> None:
        rollout = self.some(position)
        assert rollout is not None
        if self.accepted(orders.resume, rollout):
            assert rollout.counts["cancelled"] == 0, "a target was lost by pause and resume"
            revived = self.paused_targets.pop(rollout.id)
            assert revived <= {target.id for target in rollout.targets}

    @precondition(lambda self: self.engine.rollouts)
    @rule(position=st.integers(min_value=0, max_value=30), force=st.booleans())
    def cancel(self, position: int, force: bool) -> None:
        rollout = self.some(position)
        assert rollout is not None
        if self.accepted(orders.cancel, rollout, force) and force:
            assert rollout.status == "cancelled"

    @precondition(lambda self: self.engine.rollouts)
    @rule(position=st.integers(min_value=0, max_value=30), which=st.integers(min_value=0, max_value=SIZE))
    def retry(self, position: int, which: int) -> None:
        rollout = self.some(position)
        assert rollout is not None
        target = rollout.targets[which % rollout.total]
        before = (target.id, target.task_id, target.status)
        if self.accepted(orders.retry, rollout, target.id):
            assert before[0] == target.id and before[1] != target.task_id
            assert before[2] in ("failed", "uncertain")
        else:
            assert before == (target.id, target.task_id, target.status)

    @rule(seconds=st.sampled_from([0.0, 0.5, 7.0, 31.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.engine.advance_to(self.engine.now + seconds)

    @invariant()
    def holds(self) -> None:
        check_engine(self.engine)

    def teardown(self) -> None:
        """Every queued target ends once nothing blocks it."""
        self.engine.policy.force({"max_parallel_rollouts": 2})
        for rollout in self.engine.rollouts.values():
            if rollout.paused:
                orders.resume(self.engine, rollout)
        for _dummy in range(1000):
            self.engine.advance_to(self.engine.now + 100_000)
            stuck = [item.rollout for item in self._open() if item.status == "in_progress"]
            if not stuck:
                break
            for rollout in stuck:
                if not rollout.terminal:
                    orders.cancel(self.engine, rollout, True)
        assert not self._open(), "a queued target never ran"
        check_engine(self.engine)

    def _open(self) -> list[Target]:
        rollouts = self.engine.rollouts.values()
        return [
            target for rollout in rollouts for target in rollout.targets if target.status in ("queued", "in_progress")
        ]


TestRollouts = RolloutMachine.TestCase
TestRollouts.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def snapshot(engine: Engine) -> list[Any]:
    return [
        (item.id, item.status, [(t.id, t.status, t.started_at, t.completed_at, t.bundle_hash) for t in item.targets])
        for item in engine.rollouts.values()
    ]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(min_value=0, max_value=999),
    most=st.integers(min_value=1, max_value=5),
    steps=st.lists(st.floats(min_value=0.0, max_value=40.0), max_size=30),
    late=st.sampled_from([None, 12.0]),
)
def test_one_long_step_and_many_short_steps_give_the_same_state(
    seed: int, most: int, steps: list[float], late: float | None
) -> None:
    engines = [engine_of(9, seed, outcome_shares=SHARES, late_result_s=late) for _dummy in range(2)]
    for engine in engines:
        engine.policy.force({"max_parallel_rollouts": most})
        orders.start_fleet_rollout(engine, False, None)
        orders.redeploy(engine, engine.fleet.find(3), None)
    stepped, jumped = engines
    for step in steps:
        stepped.advance_to(stepped.now + step)
    end = max(stepped.now, START + 200)
    stepped.advance_to(end)
    jumped.advance_to(end)
    assert snapshot(stepped) == snapshot(jumped)
    assert stepped.in_flight_log == jumped.in_flight_log


@settings(max_examples=25, deadline=None)
@given(size=st.integers(min_value=1, max_value=70), seed=st.integers(min_value=0, max_value=99))
def test_the_generated_history_satisfies_the_invariants(size: int, seed: int) -> None:
    engine = engine_of(size, seed)
    write_history(engine)
    check_engine(engine)
    fleet = [rollout for rollout in engine.rollouts.values() if rollout.scope == "fleet"]
    assert {rollout.total for rollout in fleet} == {size}
    assert {rollout.status for rollout in fleet} >= {"completed", "cancelled"}
    if size >= 3:
        partial = next(rollout for rollout in fleet if rollout.status == "partial")
        assert partial.counts["failed"] and partial.counts["uncertain"]
    assert {instance.runtime for instance in engine.fleet} == {"2026.7.1"}
    assert all(math.isfinite(instance.process_boot) for instance in engine.fleet)
