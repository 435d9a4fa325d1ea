# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the facts that notifications report from the database. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import names_host
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window
from console.notifications.due import matches, matches_verdict
from console.notifications.facts import DRIFT, OPERATIONS, POLICY, STALE, STUCK, UNHEALTHY, WINDOW, Fact
from console.notifications.rules import LONGEST_AGE, Rule, Rules
from console.outcomes.words import CATEGORIES, FAILED, UNCERTAIN
from console.record.connection import Connection
from console.record.opening import open_to_read
from console.record.read.attention import attention
from console.record.read.fleet import fleets
from console.record.read.freshness import freshness
from console.record.read.ledgers import newest_operations
from console.record.read.operation import Failure, Operation, operation
from console.record.read.operations import Key, rows_of
from console.record.read.policy import outside_window, policies_since
from console.record.rows import GAVE_UP, SENT, Notification
from console.text import times
from console.text.counts import counted, first_of

CAUSES_NAMED = 5
HOSTS_NAMED = 6
# The page that shows an operation, by its name in the address.
PAGE = "operation"


def facts(database: Path, rules: Rules, ledger: Sequence[Notification], now: float) -> list[Fact]:
    """All facts that the rules may select, but only operations that were not yet sent to all their destinations.

    Raises DatabaseProblem.
    """
    # A message whose first attempt did not succeed is still due, even if it is older than max_age by now.
    open_since = [row.at for row in ledger if row.outcome not in (SENT, GAVE_UP) and row.at is not None]
    since = max(now - LONGEST_AGE, min([now - rules.max_age, *open_since]))
    # Without the time limit for pages, since nobody waits for the result.
    with open_to_read(database) as conn:
        readers: dict[str, Callable[[], Iterable[Fact]]] = {
            OPERATIONS: lambda: _operations(conn, rules, ledger, since, now),
            STUCK: lambda: _attention(conn, STUCK, now),
            UNHEALTHY: lambda: _attention(conn, UNHEALTHY, now),
            STALE: lambda: _stale(conn, now),
            DRIFT: lambda: _drift(conn, now),
            POLICY: lambda: _policy(conn, since),
            WINDOW: lambda: _window(conn, since),
        }
        return [fact for subject in readers if subject in rules.subjects for fact in readers[subject]()]


def _operations(
    conn: Connection, rules: Rules, ledger: Sequence[Notification], since: float, now: float
) -> Iterator[Fact]:
    finished: dict[tuple[str, str], set[str]] = {}
    for entry in ledger:
        if entry.subject == OPERATIONS and entry.outcome in (SENT, GAVE_UP):
            finished.setdefault((entry.key, entry.state), set()).add(entry.destination)
    candidates: list[tuple[Key, list[Rule]]] = []
    for key in newest_operations(conn, since):
        destinations = finished.get((f"{key.kind} {key.key}", key.verdict), set())
        open_rules = [
            # The hosts of an operation are not known until it is read completely.
            replace(rule, instances=())
            for rule in rules.rules
            if OPERATIONS in rule.on and matches_verdict(rule, key.verdict) and not destinations.issuperset(rule.to)
        ]
        if open_rules:
            candidates.append((key, open_rules))
    rows = rows_of(conn, [key for key, _rules in candidates], now)
    for (key, open_rules), row in zip(candidates, rows, strict=True):
        bare = Fact(OPERATIONS, key.key, key.verdict, key.last_at, "", "", counts=_counts(row), name=key.name)
        if any(matches(rule, bare) for rule in open_rules) and (found := operation(conn, key.key, now)) is not None:
            yield _operation(key, found)


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    return {category: int(row[category]) for category in CATEGORIES if row[category]}


def _operation(key: Key, found: Operation) -> Fact:
    row = found.row
    hosts: dict[str, tuple[str, ...]] = {}
    if not found.instances.empty:
        grouped = found.instances.groupby("category")["host"].agg(tuple)
        hosts = {str(category): names for category, names in grouped.items()}
    who = f" by {row['who']}" if row["who"] else ""
    took = f", {times.duration(row['seconds'])}" if row["seconds"] is not None else ""
    begun = f"Began {times.moment(row['started_at'], '%Y-%m-%d %H:%M')} UTC{who}{took}."
    version = f" to {row['to_version']}" if row["to_version"] else ""
    bad = [f"{row[category]:,} {category}" for category in (FAILED, UNCERTAIN) if row[category]]
    return Fact(
        subject=OPERATIONS,
        key=f"{key.kind} {key.key}",
        state=row["verdict"],
        at=key.last_at,
        title=f"{row['title']}{version}: {', '.join([row['verdict'], *bad])}",
        sentence=row["sentence"],
        details=(*_causes(found.failures), begun),
        counts=_counts(row),
        hosts=hosts,
        page=PAGE,
        id=key.key,
        name=key.name,
    )


def _causes(failures: Sequence[Failure]) -> list[str]:
    """The causes of failure with the most instances, one line each."""
    lines = []
    for failure in failures[:CAUSES_NAMED]:
        hosts = failure.hosts
        is_named = len(hosts) == 1 and names_host(failure.message, hosts[0])
        who = "" if is_named else f" ({first_of(hosts, HOSTS_NAMED)})"
        lines.append(f"{len(hosts):,} {failure.status}{who}: {failure.message or 'no message'}")
    left = len(failures) - CAUSES_NAMED
    return lines + ([f"And {counted(left, 'more cause')}."] if left > 0 else [])


def _attention(conn: Connection, subject: str, now: float) -> Iterable[Fact]:
    """What is stuck, one fact for each rollout; or what is unhealthy, one fact for each cause."""
    found: dict[str, Fact] = {}
    for row in attention(conn, now).to_dict("records"):
        is_stuck = row["status"] == STUCK
        if is_stuck != (subject == STUCK) or (not is_stuck and row["page"] not in ("instance", "instances")):
            continue
        if not is_stuck and row["operations"]:
            # Left in this state by an operation, which is reported itself.
            continue
        key = row["id"] if is_stuck else f"{row['status']} {row['detail']}"
        at = row["at"] if row["at"] == row["at"] else None
        named = ", ".join(row["hosts"]) + (" and others" * (row["instances"] > len(row["hosts"])))
        details = (f"Since {times.moment(at, '%Y-%m-%d %H:%M')} UTC.",) if at is not None else ()
        sentence = f"{named}. {row['detail']}".strip()
        fact = Fact(subject, key, "", at, row["title"], sentence, details, page=row["page"], id=row["id"])
        found.setdefault(key, fact)
    return found.values()


def _stale(conn: Connection, now: float) -> Iterator[Fact]:
    for api in freshness(conn).stale(now):
        title = f"The API of {api.tenant} was last read {times.rounded(now - (api.at or 0.0))} ago"
        sentence = "The recorded state of its fleet may be out of date. Find out why no sync reads the API."
        yield Fact(STALE, api.tenant, "", api.at, title, sentence, page="record")


def _drift(conn: Connection, now: float) -> Iterator[Fact]:
    for fleet in fleets(conn, now):
        others = {version: n for version, n in fleet.versions if version is not None and version != fleet.published}
        if fleet.published is None or not others:
            continue
        behind, read = sum(others.values()), sum(n for version, n in fleet.versions if version is not None)
        title = f"{behind:,} of {read:,} instances do not run the published runtime {fleet.published}"
        sentence = f"{fleet.tenant}: " + ", ".join(f"{n:,} run {version}" for version, n in others.items()) + "."
        key = f"{fleet.tenant} {fleet.published}"
        # While redeploys are in progress, versions are expected to differ.
        yield Fact(DRIFT, key, "", None, title, sentence, page="instances", is_held=fleet.in_flight > 0)


def _policy(conn: Connection, since: float) -> Iterator[Fact]:
    """Changes of the update policy, one fact for each read that found a change."""
    for change in policies_since(conn, since):
        # The API does not report the time of the change: the window is that at the time of the read that found it.
        window = Window.of_policy(change.before)
        outside = not window.problem and not window.is_open(change.seen_at)
        changed = "; ".join(f"{key} from {was or 'unset'} to {now or 'unset'}" for key, was, now in change.changed)
        seen = f"Seen {times.moment(change.seen_at, '%Y-%m-%d %H:%M')} UTC"
        title = f"The update policy was changed: {', '.join(name for name, _was, _now in change.changed)}"
        sentence = f"{change.tenant}: {changed}. {seen}{', while the maintenance window was closed' * outside}."
        key = f"{change.tenant} {change.seen_at:.3f}"
        yield Fact(POLICY, key, "", change.seen_at, title, sentence, page="policy", outside_window=outside)


def _window(conn: Connection, since: float) -> Iterator[Fact]:
    for fleet in freshness(conn).tenants:
        for row in outside_window(conn, fleet.tenant).to_dict("records"):
            if row["created_at"] < since:
                continue
            reason = f" The given reason is: {row['reason']}" if row["reason"] else " No reason was given."
            began, key = times.moment(row["created_at"], "%Y-%m-%d %H:%M"), row["rollout_id"]
            title = "A rollout began outside the maintenance window"
            sentence = f"It began {began} UTC, but the window is open from {row['hours']}.{reason}"
            yield Fact(WINDOW, key, "", row["created_at"], title, sentence, page=PAGE, id=key)
