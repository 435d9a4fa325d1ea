# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what is sent now, from the rules, the facts and the ledger of what was sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from console.notifications.facts import CONDITIONS, OPERATIONS, POLICY, Fact
from console.notifications.rules import Quiet, Rule, Rules
from console.outcomes.words import CHECK, CURRENT, NOT_TOUCHED, RUNNING
from console.record.rows import FAILED, GAVE_UP, SENDING, SENT, Notification

MAX_SINGLE = 10
"""The maximum number of messages to one destination at a time; more facts become one message."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds before a failed message is sent again; the pause doubles after each attempt."""
GIVE_UP_AFTER = 86400.0
"""Seconds after which a message that could not be sent is given up."""


@dataclass(frozen=True)
class Due:
    """One message to send. repeated: an earlier attempt did not succeed, but the message may have arrived. since: when
    it first became due (epoch seconds)."""

    destination: str
    facts: tuple[Fact, ...]
    repeated: bool
    since: float


@dataclass(frozen=True)
class Plan:
    """due: the messages to send now. quiet: the number of facts held back until the quiet hours end. paused: the number
    of facts that wait for the next attempt. give_up: ledger rows whose message is not sent again. over: ledger rows of
    conditions that have ended."""

    due: tuple[Due, ...] = ()
    quiet: int = 0
    paused: int = 0
    give_up: tuple[Notification, ...] = ()
    over: tuple[Notification, ...] = ()


def plan(rules: Rules, facts: Sequence[Fact], ledger: Sequence[Notification], now: float) -> Plan:
    """What to do at ``now``. ``facts``: all current facts of the subjects in the rules."""
    known = {(row.destination, row.subject, row.key, row.state): row for row in ledger}
    is_quiet = rules.quiet is not None and in_quiet_hours(rules.quiet, now)
    ready: dict[str, list[tuple[Fact, Notification | None]]] = {}
    quiet = paused = 0
    give_up = []
    for fact in facts:
        if fact.is_held:
            continue
        is_old = fact.subject not in CONDITIONS and fact.at is not None and fact.at < now - rules.max_age
        for destination, urgent in _destinations(rules, fact).items():
            row = known.get((destination, *fact.identity))
            if row is not None and row.over_at is not None:
                row = None
            if row is not None and row.outcome in (SENT, GAVE_UP):
                continue
            if row is not None and _should_give_up(row, now):
                give_up.append(row)
            elif row is None and is_old:
                continue
            elif is_quiet and not urgent:
                quiet += 1
            elif row is not None and row.outcome == FAILED and now < _next_attempt(row):
                paused += 1
            else:
                ready.setdefault(destination, []).append((fact, row))
    due = [message for destination, found in ready.items() for message in _messages(destination, found, now)]
    return Plan(tuple(due), quiet, paused, tuple(give_up), _ended_conditions(rules, facts, ledger))


def in_quiet_hours(quiet: Quiet, now: float) -> bool:
    """Whether ``now`` is in the quiet hours of their own time zone."""
    clock = datetime.fromtimestamp(now, UTC).astimezone(quiet.zone).time()
    if quiet.start < quiet.until:
        return quiet.start <= clock < quiet.until
    return clock >= quiet.start or clock < quiet.until


def matches(rule: Rule, fact: Fact) -> bool:
    if fact.subject not in rule.on:
        return False
    if fact.subject == POLICY:
        return fact.outside_window or not rule.outside_window
    if fact.subject != OPERATIONS:
        return True
    if not matches_verdict(rule, fact.state):
        return False
    if rule.outcomes and not any(fact.counts.get(outcome) for outcome in rule.outcomes):
        return False
    if rule.operations and not _matches_any(fact.name, rule.operations):
        return False
    if not rule.instances:
        return True
    concerned = rule.outcomes or [outcome for outcome in fact.hosts if outcome not in (CURRENT, NOT_TOUCHED)]
    return any(_matches_any(host, rule.instances) for outcome in concerned for host in fact.hosts.get(outcome, ()))


def matches_verdict(rule: Rule, verdict: str) -> bool:
    return verdict in rule.verdicts if rule.verdicts else verdict not in (RUNNING, CHECK)


def _matches_any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _destinations(rules: Rules, fact: Fact) -> Mapping[str, bool]:
    """The destinations of a fact, each with whether any of the rules that select it is urgent."""
    found: dict[str, bool] = {}
    for rule in rules.rules:
        if matches(rule, fact):
            for destination in rule.to:
                found[destination] = found.get(destination, False) or rule.urgent
    return found


def _next_attempt(row: Notification) -> float:
    return row.begun_at + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(row.attempts - 1, 16))


def _should_give_up(row: Notification, now: float) -> bool:
    # If an attempt has no outcome, its process was killed, and the message may have arrived. It is sent only once more.
    if row.outcome == SENDING:
        return row.interrupted > 0
    return now - row.since > GIVE_UP_AFTER


def _messages(destination: str, found: Sequence[tuple[Fact, Notification | None]], now: float) -> list[Due]:
    single = [Due(destination, (fact,), row is not None, row.since if row is not None else now) for fact, row in found]
    if len(single) <= MAX_SINGLE:
        return single
    facts = tuple(fact for fact, _row in found)
    return [Due(destination, facts, any(due.repeated for due in single), min(due.since for due in single))]


def _ended_conditions(rules: Rules, facts: Sequence[Fact], ledger: Sequence[Notification]) -> tuple[Notification, ...]:
    current = {fact.identity for fact in facts}
    return tuple(
        row
        for row in ledger
        if row.subject in CONDITIONS
        and row.subject in rules.subjects
        and row.over_at is None
        and (row.subject, row.key, row.state) not in current
    )
