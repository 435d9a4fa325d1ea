# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout engine: the queue, dispatch within max_parallel_rollouts, and the results. Only advance_to moves time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.simulator.bundles import Catalogue, bundle_hash
from tests.simulator.fleet import Fleet, Ids, Instance
from tests.simulator.knobs import Knobs
from tests.simulator.outcomes import Draw, draw
from tests.simulator.policy import FleetPolicy
from tests.simulator.rollouts import Rollout, Target

# The diseases that each action heals: each rung also heals the diseases of the rungs below it.
HEALS = {"breakers": {"breakers"}, "process": {"breakers", "process"}, "vps": {"breakers", "process", "vps"}}


class InFlight(NamedTuple):
    """The start or end of a target, with the number of targets in progress after it and the limit at the time."""

    at: float
    in_progress: int
    max_parallel: int | None
    event: str
    instance: str

    @property
    def violation(self) -> bool:
        return self.event == "start" and self.max_parallel is not None and self.in_progress > self.max_parallel


class Engine:
    """An event queue: the state at `now` includes all events up to it. The cost depends on events, not fleet size."""

    def __init__(self, fleet: Fleet, knobs: Knobs, seed: int, now: float) -> None:
        self.fleet = fleet
        self.knobs = knobs
        self.seed = seed
        self.now = now
        self.started = now
        self.policy = FleetPolicy()
        self.catalogue = Catalogue()
        self.ids = Ids(f"engine-{seed}")
        self.rollouts: dict[str, Rollout] = {}
        self.in_flight = 0
        self.in_flight_log: list[InFlight] = []
        self._order = 0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._queue: list[tuple[float, int, int, Target]] = []
        self._uncapped: list[tuple[float, int, int, Target]] = []

    # time

    def at(self, moment: float, event: Callable[..., None], *arguments: Any) -> None:
        self._order += 1
        heapq.heappush(self._events, (moment, self._order, event, arguments))

    def advance_to(self, moment: float) -> None:
        """Run all events that are due up to and including `moment` (virtual epoch seconds)."""
        while True:
            self._dispatch()
            due = self._next_moment()
            if due is None or due > moment:
                break
            self.now = max(self.now, due)
            while self._events and self._events[0][0] <= self.now:
                _dummy, _dummy, event, arguments = heapq.heappop(self._events)
                event(*arguments)
        self.now = max(self.now, moment)

    def _next_moment(self) -> float | None:
        moments = [self._events[0][0]] if self._events else []
        if self._has_slot():
            self._drop_void(self._queue)
            moments += [self._queue[0][0]] if self._queue else []
        self._drop_void(self._uncapped)
        moments += [self._uncapped[0][0]] if self._uncapped else []
        return min(moments) if moments else None

    # queue and dispatch

    def queue(self, target: Target, eligible_at: float) -> None:
        """Make a queued target wait until its countdown has ended and a slot and its instance are free."""
        self._order += 1
        lane = self._uncapped if target.uncapped else self._queue
        heapq.heappush(lane, (eligible_at, self._order, target.ticket, target))

    def _has_slot(self) -> bool:
        most = self.policy.max_parallel
        return most is None or self.in_flight < most

    @staticmethod
    def _drop_void(lane: list[tuple[float, int, int, Target]]) -> None:
        while lane and (lane[0][2] != lane[0][3].ticket or lane[0][3].status != "queued"):
            heapq.heappop(lane)

    def _dispatch(self) -> None:
        for lane in (self._uncapped, self._queue):
            while lane is self._uncapped or self._has_slot():
                self._drop_void(lane)
                if not lane or lane[0][0] > self.now:
                    break
                target = heapq.heappop(lane)[3]
                if target.instance.busy:
                    target.instance.held.append((target.ticket, target))
                else:
                    self._start(target)

    def _start(self, target: Target) -> None:
        instance, rollout = target.instance, target.rollout
        target.move("in_progress")
        target.started_at = self.now
        rollout.started = True
        rollout.dispatched += 1
        instance.current = target
        instance.attempts += 1
        drawn = draw(instance, instance.attempts, self.knobs, self.seed)
        if instance.gone or instance.stopped:
            drawn = Draw("failed", 0.5, f"instance is {instance.state}, not running", None, None)
        target.draw = drawn
        target.version = self.catalogue.runtime
        self.in_flight += 1
        self._log_in_flight("start", target)
        rollout.settle(self.now)
        if drawn.outcome != "stuck":
            self.at(self.now + drawn.duration, self._end, target, target.ticket)

    def _log_in_flight(self, event: str, target: Target) -> None:
        entry = InFlight(self.now, self.in_flight, self.policy.max_parallel, event, target.instance.hostname)
        self.in_flight_log.append(entry)

    # ends of jobs

    def _end(self, target: Target, ticket: int) -> None:
        if target.ticket != ticket or target.status != "in_progress":
            return
        drawn: Draw = target.draw
        if target.instance.gone:
            drawn = target.draw = drawn._replace(outcome="failed", error_message="instance is gone")
        if drawn.outcome.startswith("uncertain"):
            self.lose(target, applied=drawn.outcome == "uncertain_applied")
            return
        if drawn.outcome == "succeeded":
            self._apply(target)
        elif target.instance.state == "restarting":
            self.restarted(target.instance, "process")
        self._finish(target, drawn.outcome)

    def lose(self, target: Target, applied: bool) -> None:
        """The worker was lost, so the result is unknown, whether or not the bundle was applied."""
        if applied:
            self._apply(target)
        self._finish(target, "uncertain")
        late = target.draw.late_s
        if late is not None:
            self.at(self.now + late, self._late_result, target, target.ticket, applied)

    def _finish(self, target: Target, status: str) -> None:
        target.move(status)
        target.completed_at = self.now
        target.last_result = status
        if status != "succeeded":
            target.error_message = target.draw.error_message
        target.instance.current = None
        target.instance.open_targets -= 1
        self.in_flight -= 1
        self._log_in_flight("end", target)
        self._free(target.instance)
        target.rollout.settle(self.now)

    def _late_result(self, target: Target, ticket: int, applied: bool) -> None:
        if target.ticket != ticket or target.status != "uncertain":
            return
        target.move("succeeded" if applied else "failed")
        target.completed_at = self.now
        target.last_result = target.status
        if applied:
            target.error_message = None
            target.bundle_hash = self._hash_for(target)
        # The rollout ends with its last target, so its end time is set again.
        target.rollout.completed_at = None
        target.rollout.settle(self.now)

    def _hash_for(self, target: Target) -> str:
        change_at = self.knobs.bundle_change_at
        changed = change_at is not None and target.rollout.dispatched >= change_at
        return bundle_hash(target.version or self.catalogue.runtime, int(changed))

    def _apply(self, target: Target) -> None:
        instance = target.instance
        instance.install("runtime", "agent-runtime", target.version or self.catalogue.runtime, self.now)
        self.restarted(instance, "process")
        self._keep_memories(instance)
        if target.draw.outcome == "succeeded":
            target.bundle_hash = self._hash_for(target)
        if target.draw.disease is not None:
            instance.disease = target.draw.disease

    def _keep_memories(self, instance: Instance) -> None:
        kept = self.knobs.survives_redeploy
        if kept is True or instance.memories is None:
            return
        lost = len(instance.memories) if kept is False else int(str(kept)[6:-1])
        del instance.memories[:lost]

    # restarts

    def restarted(self, instance: Instance, rung: str) -> None:
        """The agent is back: set the boot times, and cure the disease if this rung heals it."""
        instance.process_boot = self.now
        if rung == "vps":
            instance.host_boot = self.now
        if instance.disease in HEALS[rung]:
            instance.disease = "none"

    def restart(self, instance: Instance, rung: str, seconds: float, done: Callable[[], None]) -> None:
        """Take the agent (rung "process") or its VPS (rung "vps") down for `seconds`."""
        instance.restart_until = self.now + seconds

        def back() -> None:
            instance.restart_until = None
            self.restarted(instance, rung)
            self._free(instance)
            done()

        self.at(self.now + seconds, back)

    def _free(self, instance: Instance) -> None:
        held, instance.held = instance.held, []
        for ticket, target in held:
            if target.status == "queued" and target.ticket == ticket:
                self.queue(target, self.now)
