# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a new simulator: finished fleet rollouts of the last days, for discovery and the console."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulator.bundles import OLD_RUNTIMES, bundle_hash
from tests.simulator.engine import Engine
from tests.simulator.fleet import Instance
from tests.simulator.rollouts import Rollout, Target

DAY = 86400.0
PAST_IP = "198.51.100.20"


@dataclass(frozen=True)
class PastRollout:
    """A fleet rollout of the past. `failed`, `uncertain` and `cancelled_after` are fractions of the fleet."""

    days_ago: float
    version: str
    failed: float = 0.0
    uncertain: float = 0.0
    cancelled_after: float = 1.0


PAST_ROLLOUTS = (
    PastRollout(6.0, OLD_RUNTIMES[0]),
    PastRollout(4.0, OLD_RUNTIMES[1], failed=0.08, uncertain=0.05),
    PastRollout(2.5, OLD_RUNTIMES[2], cancelled_after=0.4),
    PastRollout(1.0, OLD_RUNTIMES[3]),
)


def write_history(engine: Engine) -> None:
    """Write the rows directly, not through the queue. Afterwards every instance has the same, outdated runtime."""
    instances = list(engine.fleet)
    if not instances:
        return
    rng = random.Random(f"{engine.seed}-history")
    for past in PAST_ROLLOUTS:
        began = engine.now - past.days_ago * DAY + rng.uniform(-3600, 3600)
        _write_fleet_rollout(engine, past, began, instances, rng)
        if past.failed:
            _repair(engine, past, began, rng)


def _lanes(size: int) -> int:
    # In a large fleet more targets ran in parallel, so that each rollout ended within hours.
    return max(2, -(-size * 20 // 7200))


def _rollout(engine: Engine, scope: str, began: float, version: str, lanes: int) -> Rollout:
    metadata = {"bundle_version": version, "max_parallel_rollouts": lanes}
    rollout = Rollout(engine.ids.take(), scope, began, PAST_IP, metadata, visible_at=began)
    engine.rollouts[rollout.id] = rollout
    return rollout


def _write_fleet_rollout(
    engine: Engine, past: PastRollout, began: float, instances: list[Instance], rng: random.Random
) -> None:
    size = len(instances)
    lanes = _lanes(size)
    rollout = _rollout(engine, "fleet", began, past.version, lanes)
    # At least one of each kind, even in a small fleet.
    bad = rng.sample(range(size), min(size - 1, _share(past.failed, size) + _share(past.uncertain, size)))
    ends = dict.fromkeys(bad[: _share(past.failed, size)], "failed")
    ends |= dict.fromkeys(bad[_share(past.failed, size) :], "uncertain")
    cut = int(size * past.cancelled_after)
    free = [began] * lanes
    for position, instance in enumerate(instances):
        if position >= cut:
            _revoke(engine, rollout, instance, max(free))
            continue
        lane = position % lanes
        started = max(free[lane], began + position // lanes * engine.knobs.stagger_s)
        free[lane] = started + rng.uniform(10, 30)
        _run(engine, rollout, instance, started, free[lane], ends.get(position, "succeeded"), past.version)
    if cut < size:
        rollout.cancelled = True
    rollout.started = cut > 0
    rollout.settle(max(free))


def _share(share: float, size: int) -> int:
    return max(1, round(share * size)) if share else 0


def _target(engine: Engine, rollout: Rollout, instance: Instance) -> Target:
    target = Target(engine.ids.take(), instance, rollout, engine.ids.take(), rollout.created_at)
    rollout.add(target)
    instance.targets.append(target)
    return target


def _revoke(engine: Engine, rollout: Rollout, instance: Instance, moment: float) -> None:
    target = _target(engine, rollout, instance)
    target.move("cancelled")
    target.completed_at = moment
    target.last_result = "revoked"


def _run(
    engine: Engine, rollout: Rollout, instance: Instance, started: float, ended: float, end: str, version: str
) -> None:
    target = _target(engine, rollout, instance)
    target.move("in_progress")
    target.move(end)
    target.started_at, target.completed_at = started, ended
    target.last_result = end
    target.version = version
    rollout.dispatched += 1
    if end == "succeeded":
        target.bundle_hash = bundle_hash(version)
        instance.install("runtime", "agent-runtime", version, ended)
        instance.process_boot = ended
    elif end == "failed":
        target.error_message = "bundle upload timed out after 3 attempts"
    else:
        target.error_message = "the worker was lost before the agent reported"


def _repair(engine: Engine, past: PastRollout, began: float, rng: random.Random) -> None:
    """An hour later a user redeployed the failed and uncertain instances one by one."""
    last = next(reversed(engine.rollouts.values()))
    moment = (last.completed_at or began) + 3600
    for target in [item for item in last.targets if item.status in ("failed", "uncertain")][:20]:
        ended = moment + rng.uniform(10, 30)
        single = _rollout(engine, "instance", moment, past.version, 1)
        single.started = True
        _run(engine, single, target.instance, moment + 0.4, ended, "succeeded", past.version)
        single.settle(ended)
        moment = ended + 30
