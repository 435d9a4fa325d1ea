# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""May the next redeploy of a stream be sent? The checks of a gate, for one instance at a time. Pure.

A stream has no batches, so what a gate asks between two batches is asked before each redeploy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import gate
from .answers import counters, is_single_target, max_parallel_rollouts
from .ids import id_key

GO, WAIT, STOP = "go", "wait", "stop"
FULL = "as many redeploys as max_parallel_rollouts allows are in flight"


@dataclass(frozen=True)
class Facts:
    """What an admission is decided by.

    ``policy``: E9, and ``now``, the server's clock then (epoch seconds). ``rollouts``: the rows of E3 that are not at
    their end. ``most``: the run's own limit, or None. ``in_flight``: redeploys under way, whoever started them.
    ``failed`` and ``unsure``: names of the run's instances whose redeploy failed, or ended as uncertain and is not
    judged yet. ``needs`` and ``margin``: seconds that the redeploy takes, and that must then be left of the window.
    ``started``: the run has sent something already. ``override``: why the window is ignored, or empty. ``health``: the
    newest sample of the fleet's health, or None.
    """

    policy: Mapping[str, Any]
    now: float
    rollouts: Sequence[Mapping[str, Any]] = ()
    most: int | None = None
    in_flight: int = 0
    failed: Sequence[str] = ()
    unsure: Sequence[str] = ()
    max_failed: int = 0
    needs: float = 0.0
    margin: float = 0.0
    started: bool = False
    override: str = ""
    health: gate.Check | None = None


@dataclass(frozen=True)
class Verdict:
    """``word``: go, wait or stop. ``worst``: the gate's word for the run, pass unless it stops. ``reasons``: sentences.

    ``allowed``: how many redeploys may be in flight, 0 if the policy does not say.
    """

    word: str
    allowed: int = 0
    worst: str = gate.PASS
    reasons: list[str] = field(default_factory=list)


Rule = Callable[[Facts], gate.Check | None]


def policy_limit(facts: Facts) -> gate.Check:
    """The policy says how many redeploys may be in flight."""
    try:
        limit = max_parallel_rollouts(facts.policy)
    except ValueError as refusal:
        return gate.Check("policy", gate.FAIL, f"{str(refusal)[:1].upper()}{str(refusal)[1:]}.")
    return gate.Check("policy", gate.PASS, f"At most {limit} at once.", {"max_parallel_rollouts": limit})


def failure_budget(facts: Facts) -> gate.Check:
    """No more failures over the run than allowed."""
    return gate.budget(facts.failed, facts.max_failed, [])


def open_window(facts: Facts) -> gate.Check:
    """The maintenance window is open for as long as the redeploy takes."""
    return gate.window(
        facts.policy,
        facts.now,
        needs=facts.needs,
        margin=facts.margin,
        started=facts.started,
        override=facts.override,
        subject="The next redeploy",
    )


def no_fleet_rollout(facts: Facts) -> gate.Check:
    """The server itself drives no fleet rollout."""
    return gate.foreign_rollout(facts.rollouts)


def healthy_fleet(facts: Facts) -> gate.Check | None:
    """Enough of the fleet was healthy when it was asked last."""
    return facts.health


# In this order: the first reasons are those that a person can do least about.
RULES: tuple[Rule, ...] = (failure_budget, policy_limit, open_window, no_fleet_rollout, healthy_fleet)


def admission_verdict(facts: Facts, rules: Iterable[Rule] = RULES) -> Verdict:
    """Whether one more redeploy may be sent now (go), later (wait), or none of this run any more (stop).

    ``rules``: each gives a check of a gate, or None for no opinion; any that does not pass stops the stream.
    """
    checks = [check for rule in rules if (check := rule(facts)) is not None]
    worst = gate.worst(checks)
    if worst != gate.PASS:
        return Verdict(STOP, 0, worst, [check.reason for check in checks if check.verdict != gate.PASS])
    limit = max_parallel_rollouts(facts.policy)
    allowed = limit if facts.most is None else min(limit, facts.most)
    if facts.unsure and len(facts.failed) + len(facts.unsure) > facts.max_failed:
        named = gate.listed(facts.unsure)
        return Verdict(WAIT, allowed, reasons=[f"whether the redeploy of {named} worked is uncertain to the server"])
    if facts.in_flight >= allowed:
        return Verdict(WAIT, allowed, reasons=[FULL])
    return Verdict(GO, allowed)


@dataclass(frozen=True)
class Marks:
    """What the tasks of a stream have told each other, by host names.

    ``started``: the rollout (id_key) of each redeploy that was sent. ``done`` and ``failed``: whose task has ended,
    how.
    """

    started: Mapping[str, str] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    failed: tuple[str, ...] = ()


def ends_of(marks: Marks, rollouts: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Names of the stream's instances that failed, and of those that the server is uncertain about.

    ``rollouts``: rows of E3. Their counters show a failure before the task that follows it has ended.
    """
    name_of = {rollout_id: name for name, rollout_id in marks.started.items()}
    failed, unsure = list(marks.failed), []
    for row in rollouts:
        name = name_of.get(id_key(str(row.get("id"))))
        if name is None or name in marks.done or name in failed or not is_single_target(row):
            continue
        seen = counters(row)
        if seen.failed:
            failed.append(name)
        elif seen.uncertain:
            unsure.append(name)
    return failed, unsure
