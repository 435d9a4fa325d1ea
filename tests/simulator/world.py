# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The complete state of a running simulator, and its configuration at the start and at run time."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.simulator.auth import ROLES, KeyRing
from tests.simulator.clock import VirtualClock
from tests.simulator.engine import Engine
from tests.simulator.faults import FaultBook, TokenBucket, read_plan
from tests.simulator.fleet import DISEASES, Fleet
from tests.simulator.history import write_history
from tests.simulator.journal import Journal
from tests.simulator.knobs import CHECKS, Knobs
from tests.simulator.orders import delete_rollouts, insert_foreign, start_fleet_rollout
from tests.simulator.outcomes import read_outcomes
from tests.simulator.policy import COMPONENTS, check_mode
from tests.simulator.refusal import Refused

# Instances are a week old, so that boot times and seeded rows can lie in the past.
AGE_S = 7 * 86400.0
FOREIGN_FLEET_IP = "203.0.113.77"


class World:
    """Clock, engine, keys, faults and journal of one simulator."""

    def __init__(self, keys: KeyRing, instances: int, seed: int, speed: float, start: float, history: bool) -> None:
        self.keys = keys
        self.seed = seed
        self.clock = VirtualClock(start, speed)
        self.knobs = Knobs()
        self.faults = FaultBook(seed)
        self.bucket = TokenBucket()
        self.journal = Journal()
        self.engine = Engine(Fleet(instances, seed, start - AGE_S), self.knobs, seed, start)
        self._rng = random.Random(f"churn-{seed}")
        self._churn = 0
        if history:
            write_history(self.engine)

    def catch_up(self) -> float:
        """Advance the engine to the current virtual time and return that time."""
        self.engine.advance_to(self.clock.now())
        return self.engine.now

    def configure(self, document: Mapping[str, Any]) -> None:
        """Apply the JSON object that README.md describes, key by key. Raises ValueError if it is not valid."""
        for key, value in document.items():
            if key in CHECKS:
                self.knobs.change({key: value})
                if key == "insert_rollouts_per_s":
                    self._churn += 1
                    self._insert_repeatedly(self._churn, False)
            elif (change := getattr(self, f"_set_{key}", None)) is not None:
                change(value)
            else:
                raise ValueError(f"there is no setting {key!r}; README.md lists them")
        self.engine.advance_to(self.engine.now)

    # the keys that are not knobs

    def _set_clock_speed(self, speed: float) -> None:
        self.clock.set_speed(float(speed))

    def _set_plans(self, plans: list[Mapping[str, Any]]) -> None:
        self.faults.plans += [read_plan(plan) for plan in plans]

    def _set_outcomes(self, by_host: Mapping[str, Any]) -> None:
        for host, outcomes in by_host.items():
            read = read_outcomes(outcomes)
            for instance in self.engine.fleet.select(host):
                instance.outcomes = read
                instance.attempts = 0

    def _set_disease(self, by_host: Mapping[str, str]) -> None:
        for host, disease in by_host.items():
            for instance in self.engine.fleet.select(host):
                instance.disease = _disease(disease)

    def _set_unhealthy_after_deploy(self, hosts: Mapping[str, str | None] | list[str]) -> None:
        by_host = hosts if isinstance(hosts, Mapping) else dict.fromkeys(hosts, "incurable")
        for host, disease in by_host.items():
            for instance in self.engine.fleet.select(host):
                instance.disease_after_deploy = None if disease is None else _disease(disease)

    def _set_stopped(self, hosts: list[str]) -> None:
        for host in hosts:
            self.engine.fleet.find(host).stopped = True

    def _set_running(self, hosts: list[str]) -> None:
        for host in hosts:
            self.engine.fleet.find(host).stopped = False

    def _set_gone(self, hosts: list[str]) -> None:
        for host in hosts:
            self.engine.fleet.find(host).gone = True

    def _set_new(self, hostnames: list[str | None]) -> None:
        for hostname in hostnames:
            self.engine.fleet.add(self.engine.now, hostname)

    def _set_policy(self, values: Mapping[str, Any]) -> None:
        self.engine.policy.force(dict(values))

    def _set_overrides(self, by_host: Mapping[str, Mapping[str, str | None]]) -> None:
        for host, overrides in by_host.items():
            for component, mode in overrides.items():
                if component not in COMPONENTS:
                    raise ValueError(f"there is no component {component!r}")
                check_mode(component, component, mode)
            for instance in self.engine.fleet.select(host):
                instance.overrides |= overrides

    def _set_publish(self, version: str) -> None:
        self.engine.catalogue.publish(str(version))

    def _set_key_expiry(self, by_role: Mapping[str, float | None]) -> None:
        for role, seconds in by_role.items():
            if role not in ROLES:
                raise ValueError(f"there is no role {role!r}; the roles are {', '.join(ROLES)}")
            if seconds is None:
                self.keys.expires_at.pop(role, None)
            else:
                self.keys.expires_at[role] = self.engine.now + seconds

    def _set_foreign_fleet(self, override_window: bool) -> None:
        """Another admin starts a fleet rollout now."""
        try:
            start_fleet_rollout(self.engine, bool(override_window), FOREIGN_FLEET_IP)
        except Refused as refusal:
            raise ValueError(f"the foreign fleet rollout was refused: {refusal}") from refusal

    def _set_insert_rollouts(self, count: int) -> None:
        for _dummy in range(count):
            insert_foreign(self.engine, self._rng)

    def _set_delete_rollouts(self, oldest: int) -> None:
        delete_rollouts(self.engine, oldest)

    def _set_schedule(self, steps: list[Mapping[str, Any]]) -> None:
        """Each step consists of `at_s`, seconds from now, and the keys to apply then."""
        for step in steps:
            rest = {key: value for key, value in step.items() if key != "at_s"}
            if "at_s" not in step:
                raise ValueError(f"a step of the schedule needs at_s: {step!r}")
            self.engine.at(self.engine.now + float(step["at_s"]), self.configure, rest)

    def _insert_repeatedly(self, generation: int, now: bool) -> None:
        """Insert rollouts of another user at the configured rate until the knob is set again."""
        rate = self.knobs.insert_rollouts_per_s
        if generation != self._churn or not rate:
            return
        if now:
            insert_foreign(self.engine, self._rng)
        self.engine.at(self.engine.now + 1 / rate, self._insert_repeatedly, generation, True)


def _disease(word: str) -> str:
    if word not in DISEASES:
        raise ValueError(f"{word!r} is not a disease; the diseases are {', '.join(DISEASES)}")
    return word
