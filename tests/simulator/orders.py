# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that change rollouts (E2, E5 to E8, E22, E24), as behaviour.md 3.1 and 3.2 specify them."""

from __future__ import annotations

from typing import Any

from tests.simulator.engine import Engine
from tests.simulator.fleet import Instance
from tests.simulator.policy import instance_policy, seconds_until_open, window_open
from tests.simulator.refusal import Refused
from tests.simulator.rollouts import Rollout, Target

FOREIGN_IP = "203.0.113.77"


def find_rollout(engine: Engine, rollout_id: str) -> Rollout:
    """The rollout; 404 if it is unknown or younger than list_lag_s."""
    rollout = engine.rollouts.get(rollout_id)
    if rollout is None or rollout.visible_at > engine.now:
        raise Refused(404, "Rollout not found")
    return rollout


def find_instance(engine: Engine, instance_id: str) -> Instance:
    instance = engine.fleet.by_id.get(instance_id)
    if instance is None or instance.gone:
        raise Refused(404, "Instance not found")
    return instance


def _new_rollout(engine: Engine, scope: str, ip: str | None) -> Rollout:
    rollout = Rollout(
        id=engine.ids.take(),
        scope=scope,
        created_at=engine.now,
        initiated_from_ip=ip,
        metadata={
            "bundle_version": engine.catalogue.runtime,
            "max_parallel_rollouts": engine.policy.values["max_parallel_rollouts"],
        },
        visible_at=engine.now + engine.knobs.list_lag_s,
    )
    engine.rollouts[rollout.id] = rollout
    return rollout


def _new_target(engine: Engine, rollout: Rollout, instance: Instance, countdown: float) -> Target:
    target = Target(engine.ids.take(), instance, rollout, engine.ids.take(), engine.now)
    target.countdown = countdown
    rollout.add(target)
    instance.targets.append(target)
    instance.open_targets += 1
    return target


def _window_wait(engine: Engine, override: bool) -> float | None:
    """Virtual seconds until the maintenance window opens; 0 if it is open, None if it never opens."""
    if override:
        return 0.0
    start, end = engine.policy.window
    moment = engine.now + engine.knobs.clock_skew_s
    if window_open(start, end, moment, engine.knobs.equal_hours):
        return 0.0
    return seconds_until_open(start, end, moment, engine.knobs.equal_hours)


def _enforce_window(engine: Engine, override: bool) -> tuple[bool, float]:
    """(skip all instances, additional countdown). Raises the refusal that window_error selects."""
    wait = _window_wait(engine, override)
    if wait == 0.0:
        return False, 0.0
    mode = engine.knobs.window_error
    if mode == "200_skip" or (mode == "defer_countdown" and wait is None):
        return True, 0.0
    if mode == "defer_countdown" and wait is not None:
        return False, wait
    values = engine.policy.values
    hours = f"{values['maintenance_window_start_hour_utc']}:00-{values['maintenance_window_end_hour_utc']}:00 UTC"
    raise Refused(int(str(mode)), f"Outside of the maintenance window ({hours})")


def start_fleet_rollout(engine: Engine, override_window: bool, ip: str | None) -> tuple[Rollout | None, int, int]:
    """E2: returns the rollout (None if nothing was enqueued), the number of skipped instances, and the total."""
    unfinished = [item for item in engine.rollouts.values() if item.scope == "fleet" and not item.terminal]
    if unfinished and engine.knobs.second_fleet == 409:
        raise Refused(409, "Another fleet rollout is still in flight")
    everything = [instance for instance in engine.fleet if not instance.gone]
    skip_all, extra = _enforce_window(engine, override_window)
    chosen = [] if skip_all else [instance for instance in everything if _wanted(engine, instance)]
    rollout = _enqueue_fleet(engine, chosen, extra, ip) if chosen else None
    for _dummy in range(int(engine.knobs.twin_rollouts) if chosen else 0):
        _enqueue_fleet(engine, chosen, extra, FOREIGN_IP)
    engine.advance_to(engine.now)
    return rollout, len(everything) - len(chosen), len(everything)


def _wanted(engine: Engine, instance: Instance) -> bool:
    if instance.stopped or instance.restart_until is not None or instance.open_targets:
        return False
    if engine.knobs.skip_current and instance.runtime == engine.catalogue.runtime:
        return False
    return instance_policy(engine.policy, instance.overrides)["runtime"] != "disabled"


def _enqueue_fleet(engine: Engine, chosen: list[Instance], extra: float, ip: str | None) -> Rollout:
    rollout = _new_rollout(engine, "fleet", ip)
    lanes = max(1, engine.policy.max_parallel or 1)
    for position, instance in enumerate(chosen):
        target = _new_target(engine, rollout, instance, extra + position // lanes * engine.knobs.stagger_s)
        engine.queue(target, engine.now + target.countdown)
    return rollout


def redeploy(engine: Engine, instance: Instance, ip: str | None) -> Target:
    """E22, and the runtime part of E24: a rollout with scope `instance` and one target."""
    knobs = engine.knobs
    if instance.stopped:
        raise Refused(409, "Instance is not running")
    extra = 0.0
    if knobs.window_applies_to == "everything":
        skip_all, extra = _enforce_window(engine, override=False)
        if skip_all:
            raise Refused(409, "Outside of the maintenance window")
    most = engine.policy.max_parallel
    if knobs.max_parallel_mode in (409, 429) and most is not None and engine.in_flight >= most:
        headers = {"Retry-After": "1"} if knobs.max_parallel_mode == 429 else {}
        text = f"max_parallel_rollouts ({most}) reached: {engine.in_flight} in progress"
        raise Refused(int(str(knobs.max_parallel_mode)), text, headers)
    rollout = _new_rollout(engine, "instance", ip)
    target = _new_target(engine, rollout, instance, extra)
    target.uncapped = knobs.max_parallel_mode == "none"
    engine.queue(target, engine.now + extra)
    engine.advance_to(engine.now)
    return target


def apply_all(engine: Engine, instance: Instance, ip: str | None) -> tuple[list[str], Target | None]:
    """E24: update skills and MCP servers at once, and the runtime by a rollout. Returns the skills and the target."""
    if instance.stopped:
        raise Refused(409, "Instance is not running")
    outdated = [
        (component, slug)
        for (component, slug), newest in engine.catalogue.newest.items()
        if instance.version(component, slug) != newest
    ]
    runtime_wanted = any(component == "runtime" for component, _dummy in outdated)
    target = redeploy(engine, instance, ip) if runtime_wanted else None
    for component, slug in outdated:
        if component != "runtime":
            instance.install(component, slug, engine.catalogue.newest[component, slug], engine.now)
    return sorted(slug for component, slug in outdated if component == "skills"), target


def pause(engine: Engine, rollout: Rollout) -> None:
    """E6: revoke the queued targets; those in progress continue to their end."""
    if rollout.terminal or rollout.cancelled:
        raise Refused(409, f"Rollout is {rollout.status} and cannot be paused")
    rollout.paused = True
    _revoke_queued(engine, rollout)
    rollout.settle(engine.now)
    engine.advance_to(engine.now)


def cancel(engine: Engine, rollout: Rollout, force: bool) -> None:
    """E5: revoke the queued targets; with force, terminate those in progress, whose result is then uncertain."""
    if rollout.terminal:
        raise Refused(409, f"Rollout is {rollout.status} and cannot be cancelled")
    rollout.cancelled, rollout.paused = True, False
    _revoke_queued(engine, rollout)
    if force:
        for target in rollout.targets:
            if target.status == "in_progress":
                outcome = target.draw.outcome
                # The bundle is switched when half of the duration has passed.
                share = (engine.now - (target.started_at or engine.now)) / max(target.draw.duration, 0.001)
                engine.lose(target, applied=outcome in ("succeeded", "uncertain_applied") and share > 0.5)
                target.error_message = "terminated by SIGTERM"
    rollout.settle(engine.now)
    engine.advance_to(engine.now)


def _revoke_queued(engine: Engine, rollout: Rollout) -> None:
    for target in rollout.targets:
        if target.status == "queued":
            target.move("cancelled")
            target.completed_at = engine.now
            target.last_result = "revoked"
            target.instance.open_targets -= 1


def resume(engine: Engine, rollout: Rollout) -> None:
    """E7: queue the revoked targets again, with new task ids and countdowns."""
    if not rollout.paused:
        raise Refused(409, f"Rollout is {rollout.status}, not paused")
    rollout.paused = False
    lanes = max(1, engine.policy.max_parallel or 1)
    position = 0
    for target in rollout.targets:
        if target.status == "cancelled":
            _reopen(engine, target, position // lanes * engine.knobs.stagger_s)
            position += 1
        elif target.status == "queued":
            engine.queue(target, engine.now)
    rollout.settle(engine.now)
    engine.advance_to(engine.now)


def retry(engine: Engine, rollout: Rollout, target_id: str) -> None:
    """E8: queue a failed or uncertain target again, in the same row."""
    target = rollout.by_id.get(target_id)
    if target is None:
        raise Refused(404, "Rollout target not found")
    if target.status not in ("failed", "uncertain"):
        raise Refused(409, f"Target is {target.status}; only failed or uncertain targets can be retried")
    if rollout.cancelled:
        raise Refused(409, f"Rollout is {rollout.status}; its targets cannot be retried")
    if rollout.paused and engine.knobs.retry_when_paused == 409:
        raise Refused(409, "Rollout is paused; resume it first")
    target.attempts += 1
    _reopen(engine, target, 0.0, wait_for_resume=rollout.paused and engine.knobs.retry_when_paused == "queue")
    rollout.settle(engine.now)
    engine.advance_to(engine.now)


def _reopen(engine: Engine, target: Target, countdown: float, wait_for_resume: bool = False) -> None:
    target.move("queued")
    target.ticket += 1
    target.task_id = engine.ids.take()
    target.started_at = target.completed_at = None
    target.error_message = None
    target.bundle_hash = None
    # Clients compute the start as created_at + countdown, so the countdown begins when the row was created.
    target.countdown = engine.now - target.created_at + countdown
    target.instance.open_targets += 1
    if not wait_for_resume:
        engine.queue(target, engine.now + countdown)


def insert_foreign(engine: Engine, chooser: Any) -> None:
    """Add a finished redeploy by another user: a new row in every list, without an effect on the fleet."""
    instance = chooser.choice([item for item in engine.fleet if not item.gone])
    rollout = _new_rollout(engine, "instance", FOREIGN_IP)
    rollout.visible_at = engine.now
    target = _new_target(engine, rollout, instance, 0.0)
    instance.open_targets -= 1
    for status in ("in_progress", "succeeded"):
        target.move(status)
    target.started_at = target.completed_at = engine.now
    target.last_result = "succeeded"
    rollout.started = True
    rollout.settle(engine.now)


def delete_rollouts(engine: Engine, oldest: int) -> None:
    """Delete the oldest finished rollouts, as a retention period on the server does."""
    for rollout_id in [rollout.id for rollout in engine.rollouts.values() if rollout.terminal][:oldest]:
        for target in engine.rollouts.pop(rollout_id).targets:
            target.instance.targets.remove(target)
