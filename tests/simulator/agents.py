# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on a single agent (E12 to E16), its list of actions, and its health."""

from __future__ import annotations

import random
from typing import Any

from tests.simulator.engine import HEALS, Engine
from tests.simulator.fleet import Ids, Instance
from tests.simulator.refusal import Refused
from tests.simulator.rollouts import Target

SUBSYSTEMS = ("agent", "database", "disk", "memory", "worker")
PROVIDERS = ("anthropic", "openai", "mistral")
SICK_SUBSYSTEM = {"breakers": "llm", "process": "worker", "vps": "disk", "incurable": "database"}
RESTARTS = {"power-cycle": ("process", "power_cycle_s"), "reboot": ("vps", "reboot_s")}


def actions_of(engine: Engine, instance: Instance) -> list[dict[str, Any]]:
    """The rows of E11, oldest first; a new instance has a few seeded rows from the days before."""
    if instance.actions is None:
        past = random.Random(f"{engine.seed}-actions-{instance.index}")
        ids = Ids(f"{engine.seed}-action-ids-{instance.index}")
        span = max(0.0, engine.started - instance.born)
        instance.actions = []
        for moment in sorted(instance.born + past.uniform(0, span) for _dummy in range(past.randint(0, 4))):
            kind = past.choice(("power-cycle", "run-diagnostics", "clear-circuit-breakers"))
            row = _row(ids.take(), kind, moment, None)
            finish(row, moment + past.uniform(0.2, 3.0))
            instance.actions.append(row)
    return instance.actions


def _row(action_id: str, kind: str, moment: float, target: Target | None) -> dict[str, Any]:
    return {
        "action_id": action_id,
        "action": kind,
        "status": "running",
        "created_at": moment,
        "completed_at": None,
        "message": None,
        "detail": {},
        "target": target,
    }


def record(engine: Engine, instance: Instance, kind: str, target: Target | None = None) -> dict[str, Any]:
    """Add a row to E11; if a target is given, the row follows the status of the target."""
    row = _row(engine.ids.take(), kind, engine.now, target)
    actions_of(engine, instance).append(row)
    return row


def finish(row: dict[str, Any], moment: float, message: str | None = None) -> None:
    row["status"] = "completed"
    row["completed_at"] = moment
    row["message"] = message or row["message"]


def must_run(instance: Instance) -> None:
    if instance.stopped:
        raise Refused(409, "Instance is not running")


def clear_breakers(engine: Engine, instance: Instance) -> dict[str, Any]:
    """E12: completed before the answer is sent."""
    must_run(instance)
    if instance.busy:
        raise Refused(409, "Instance is restarting")
    opened = open_breakers(instance)
    if instance.disease in HEALS["breakers"]:
        instance.disease = "none"
    row = record(engine, instance, "clear-circuit-breakers")
    row["detail"] = {"cleared": opened}
    finish(row, engine.now, f"{len(opened)} circuit breaker(s) cleared")
    return row


def restart(engine: Engine, instance: Instance, kind: str) -> dict[str, Any]:
    """E13 `power-cycle` or E14 `reboot`: accepted now, completed when the agent is back."""
    must_run(instance)
    if instance.busy:
        raise Refused(409, "Instance is busy: a deployment or restart is under way")
    rung, knob = RESTARTS[kind]
    row = record(engine, instance, kind)
    row["status"] = "accepted"
    row["message"] = "exit(0) sent; systemd brings the agent back" if rung == "process" else "reboot requested"
    engine.restart(instance, rung, getattr(engine.knobs, knob), lambda: finish(row, engine.now))
    return row


def open_breakers(instance: Instance) -> list[str]:
    return [PROVIDERS[0]] if instance.disease == "breakers" else []


def live_health(engine: Engine, instance: Instance) -> dict[str, Any]:
    """The health that the agent would report now."""
    sick = SICK_SUBSYSTEM.get(instance.disease)
    warming = engine.now - instance.process_boot < engine.knobs.warmup_s
    subsystems: dict[str, Any] = {name: {"status": "healthy"} for name in SUBSYSTEMS}
    breakers = {provider: "open" if provider in open_breakers(instance) else "closed" for provider in PROVIDERS}
    subsystems["llm"] = {"status": "degraded" if sick == "llm" else "healthy", "circuit_breakers": breakers}
    if sick and sick != "llm":
        subsystems[sick] = {"status": "unhealthy", "message": f"{sick} does not answer"}
    if warming:
        subsystems["agent"] = {"status": "starting"}
    status = "healthy"
    if warming or sick == "llm":
        status = "degraded"
    if sick and sick != "llm":
        status = "unhealthy"
    return {
        "status": status,
        "subsystems": subsystems,
        "process_boot": instance.process_boot,
        "host_boot": instance.host_boot,
        "checked_at": engine.now,
    }


def cached_health(engine: Engine, instance: Instance) -> dict[str, Any]:
    """The stored health; before the first check, a result of the health loop that is up to five minutes old."""
    if instance.cached_health is None:
        row = live_health(engine, instance)
        row["checked_at"] = max(engine.now - instance.index % 300, row["process_boot"])
        instance.cached_health = row
    return instance.cached_health


def deep_health(engine: Engine, instance: Instance, force: bool) -> tuple[dict[str, Any], bool]:
    """E16 -> (health, cached)."""
    knobs = engine.knobs
    if not force or knobs.force_always_cached:
        return cached_health(engine, instance), True
    if instance.stopped or instance.busy:
        if knobs.force_while_down == "cached" or instance.stopped:
            return cached_health(engine, instance), True
        raise Refused(int(str(knobs.force_while_down)), "The agent does not answer")
    instance.cached_health = live_health(engine, instance)
    return instance.cached_health, False


def diagnose(engine: Engine, instance: Instance) -> dict[str, Any]:
    """E15: a live check whose result is stored."""
    must_run(instance)
    if instance.busy:
        raise Refused(503, "The agent does not answer", {"Retry-After": "1"})
    cached_health(engine, instance)
    instance.cached_health = live_health(engine, instance)
    finish(record(engine, instance, "run-diagnostics"), engine.now, f"status {instance.cached_health['status']}")
    return instance.cached_health
