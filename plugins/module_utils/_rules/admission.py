# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether the next redeploy of a stream may be sent: the checks of a gate, for one instance at a time. Pure.

A batch may be larger than the limit at that time, and a stream without batches (``fleetops_pace=continuous``) has no
gates in between, so most checks of the gate are made again before each redeploy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import freezes, gate, stall
from .answers import counters, is_single_target, max_parallel_rollouts, rollout_is_terminal
from .ids import id_key

GO, WAIT, STOP = "go", "wait", "stop"
FULL = "as many redeploys as max_parallel_rollouts allows are in flight"


@dataclass(frozen=True)
class Facts:
    """The data that decides an admission.

    ``policy``: the answer of E9, and ``now``, the server's time of that answer (epoch seconds). ``rollouts``: the
    newest rows of E3, and all rollouts that have not ended. ``most``: the run's own limit of redeploys in flight, or
    None. ``in_flight``: redeploys in flight, whoever started them. ``names``: the run's host names by rollout
    (id_key). ``failed`` and ``unsure``: names of the run's instances whose redeploy failed, or ended
    as uncertain and is still being checked. ``max_failed``: how many may fail. ``needs`` and ``margin``: the seconds
    that the redeploy takes, and the seconds that must be left in the window after it. ``started``: the run has already
    sent a redeploy. ``override``: the reason for ignoring window and freezes, or empty. ``stall_timeout``: seconds, 0
    for no check. ``health``: the check of the newest health sample, and ``hold``, the check of the hold; None if the
    run has no such check.
    """

    policy: Mapping[str, Any]
    now: float
    rollouts: Sequence[Mapping[str, Any]] = ()
    most: int | None = None
    in_flight: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    failed: Sequence[str] = ()
    unsure: Sequence[str] = ()
    max_failed: int = 0
    needs: float = 0.0
    margin: float = 0.0
    started: bool = False
    override: str = ""
    freezes: freezes.Freezes = freezes.NO_FREEZES
    stall_timeout: float = 0.0
    health: gate.Check | None = None
    hold: gate.Check | None = None


@dataclass(frozen=True)
class Decision:
    """``word``: go, wait or stop. ``allowed``: how many redeploys may be in flight, 0 if none may be started now.

    ``worst``: the verdict of the gate's checks, pass unless the run stops or is held. ``reasons``: sentences, but
    phrases that can follow "for 10 s" if the checks pass and the stream waits.
    """

    word: str
    allowed: int = 0
    worst: str = gate.PASS
    reasons: list[str] = field(default_factory=list)


Rule = Callable[[Facts], "gate.Check | None"]


def policy_limit(facts: Facts) -> gate.Check:
    """The policy has a valid max_parallel_rollouts."""
    return gate.parallel_limit(facts.policy)


def failure_budget(facts: Facts) -> gate.Check:
    """The run has not had more failures than allowed."""
    return gate.budget(facts.failed, facts.max_failed, [])


def _redeploy(facts: Facts) -> gate.NextStart:
    return gate.NextStart(facts.needs, facts.margin, facts.started, facts.override, subject="The next redeploy")


def open_window(facts: Facts) -> gate.Check:
    """The maintenance window is open for as long as the redeploy takes."""
    return gate.window(facts.policy, facts.now, _redeploy(facts))


def no_fleet_rollout(facts: Facts) -> gate.Check:
    """No fleet rollout is in progress on the server."""
    return gate.foreign_rollout(row for row in facts.rollouts if not rollout_is_terminal(row))


def no_freeze(facts: Facts) -> gate.Check | None:
    """Changes are not frozen now, and no freeze begins before the redeploy has ended."""
    if facts.freezes == freezes.NO_FREEZES:
        return None
    return freezes.judge(facts.freezes, facts.now, _redeploy(facts))


def no_stall(facts: Facts) -> gate.Check | None:
    """The redeploys in flight are not stalled. The reason names the run's own instances among them."""
    if not facts.stall_timeout:
        return None
    check = stall.judge(facts.rollouts, facts.now, timeout=facts.stall_timeout)
    in_flight_ids = [id_key(rollout_id) for rollout_id in check.facts.get("rollouts", [])]
    named = gate.listed([facts.names[rollout_id] for rollout_id in in_flight_ids if rollout_id in facts.names])
    if check.verdict == gate.PASS or not named:
        return check
    return gate.Check(check.name, check.verdict, f"{check.reason} In flight: {named}.", check.facts)


def not_held(facts: Facts) -> gate.Check | None:
    """The run is not held."""
    return facts.hold


def healthy_fleet(facts: Facts) -> gate.Check | None:
    """Enough of the fleet was healthy at the newest health sample."""
    return facts.health


# Reasons are reported in this order. A hold comes last, because a person can lift it at once.
RULES: tuple[Rule, ...] = (
    failure_budget,
    policy_limit,
    open_window,
    no_freeze,
    no_fleet_rollout,
    no_stall,
    healthy_fleet,
    not_held,
)


def admission_decision(facts: Facts, rules: Iterable[Rule] = RULES) -> Decision:
    """Whether one more redeploy may be sent now (go), perhaps later (wait), or no more in this run (stop).

    ``rules``: each returns a check of a gate, or None if it does not apply. If the worst check is ``hold``, the stream
    waits. If it is neither ``hold`` nor ``pass``, the stream stops.
    """
    checks = [check for rule in rules if (check := rule(facts)) is not None]
    worst = gate.worst(checks)
    if worst == gate.HOLD:
        return Decision(WAIT, 0, worst, [check.reason for check in checks if check.verdict == gate.HOLD])
    if worst != gate.PASS:
        return Decision(STOP, 0, worst, [check.reason for check in checks if check.verdict != gate.PASS])
    limit = max_parallel_rollouts(facts.policy)
    allowed = limit if facts.most is None else min(limit, facts.most)
    if facts.unsure and len(facts.failed) + len(facts.unsure) > facts.max_failed:
        named = gate.listed(facts.unsure)
        return Decision(WAIT, allowed, reasons=[f"the server does not know whether the redeploy of {named} worked"])
    if facts.in_flight >= allowed:
        return Decision(WAIT, allowed, reasons=[FULL])
    return Decision(GO, allowed)


@dataclass(frozen=True)
class Marks:
    """What the tasks of a stream have recorded for each other, by host name.

    ``started``: the rollout (id_key) of each redeploy that was sent. ``done`` and ``failed``: the hosts whose task has
    succeeded or failed. ``changed``: whether one of the tasks in ``done`` has changed its instance.
    """

    started: Mapping[str, str] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    failed: tuple[str, ...] = ()
    changed: bool = False


def ends_of(marks: Marks, rollouts: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Names of the stream's instances that failed, and of those whose redeploy the server reports as uncertain.

    ``rollouts``: rows of E3. Their counters can show a failure before the task that waits for the redeploy has ended.
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
