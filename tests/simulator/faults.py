# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fault plans: which requests fail, how often, and how. This module only decides; wire.py carries it out."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

EFFECTS = (
    "latency_s",
    "latency_after_s",
    "status",
    "retry_after",
    "reset_before",
    "reset_after",
    "truncated_body",
    "html_body",
    "empty_204",
    "slow_read",
    "commit_then_status",
)


@dataclass
class FaultPlan:
    """README.md describes the effects. Without `times` and `probability` a plan applies to every matching request."""

    match: str | None = None
    operation: str | None = None
    instance: str | None = None
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    latency_s: float = 0.0
    latency_after_s: float = 0.0
    status: int | None = None
    detail: str | None = None
    retry_after: float | None = None
    retry_after_form: str = "seconds"
    reset_before: bool = False
    reset_after: bool = False
    truncated_body: bool = False
    html_body: bool = False
    empty_204: bool = False
    slow_read: float = 0.0
    commit_then_status: int | None = None
    used: int = 0
    seen: int = 0

    @property
    def name(self) -> str:
        return "+".join(effect for effect in EFFECTS if getattr(self, effect) not in (None, False, 0, 0.0))


PLAN_KEYS = tuple(item.name for item in fields(FaultPlan) if item.name not in ("used", "seen"))


def read_plan(document: Mapping[str, Any]) -> FaultPlan:
    """A plan from JSON. Raises ValueError if it is invalid."""
    unknown = set(document) - set(PLAN_KEYS)
    if unknown:
        raise ValueError(f"a fault plan has no key {', '.join(sorted(unknown))}; its keys are {', '.join(PLAN_KEYS)}")
    plan = FaultPlan(**document)
    if plan.match is None and plan.operation is None:
        raise ValueError(
            "a fault plan needs `match` (regular expression for 'METHOD /path') or `operation` (operationId)"
        )
    if plan.match is not None:
        try:
            re.compile(plan.match)
        except re.error as problem:
            raise ValueError(f"match is not a regular expression: {problem} (got {plan.match!r})") from problem
    for key in ("status", "commit_then_status"):
        status = getattr(plan, key)
        if status is not None and not (isinstance(status, int) and 200 <= status <= 599):
            raise ValueError(f"{key} must be an HTTP status from 200 to 599 (got {status!r})")
    for key in ("latency_s", "latency_after_s", "slow_read", "retry_after", "times", "skip"):
        number = getattr(plan, key)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float) or number < 0):
            raise ValueError(f"{key} must be a number that is not negative (got {number!r})")
    if not isinstance(plan.probability, int | float) or not 0 <= plan.probability <= 1:
        raise ValueError(f"probability must be between 0 and 1 (got {plan.probability!r})")
    if plan.retry_after_form not in ("seconds", "date"):
        raise ValueError(f"retry_after_form must be seconds or date (got {plan.retry_after_form!r})")
    if plan.retry_after is not None and plan.status is None:
        plan.status = 429
    if not plan.name:
        raise ValueError(f"a fault plan needs an effect: {', '.join(EFFECTS)}")
    return plan


class FaultBook:
    """Plans in the order in which they were added; the first match that is not used up applies."""

    def __init__(self, seed: int) -> None:
        self.plans: list[FaultPlan] = []
        self._rng = random.Random(f"faults-{seed}")

    def pick(self, method: str, path: str, operation: str | None, instance_names: tuple[str, ...]) -> FaultPlan | None:
        """The plan that applies to a request. instance_names: id, host name and short name, if any."""
        for plan in self.plans:
            if plan.times is not None and plan.used >= plan.times:
                continue
            if plan.operation is not None and plan.operation != operation:
                continue
            if plan.match is not None and not re.search(plan.match, f"{method} {path}"):
                continue
            if plan.instance is not None and plan.instance not in instance_names:
                continue
            plan.seen += 1
            if plan.seen <= plan.skip or (plan.probability < 1 and self._rng.random() >= plan.probability):
                continue
            plan.used += 1
            return plan
        return None


class TokenBucket:
    """The rate limit of the service, in real seconds because clients wait in real time."""

    def __init__(self) -> None:
        self._level: float | None = None
        self._moment = 0.0

    def wait(self, rps: float, burst: float, wall: float) -> float:
        """Take a token: 0 if there was one, otherwise the seconds until the next."""
        level = burst if self._level is None else min(burst, self._level + (wall - self._moment) * rps)
        self._moment = wall
        self._level = level - 1 if level >= 1 else level
        return 0.0 if level >= 1 else (1 - level) / rps
