# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether the next batch may start. Each check judges plain data, and the worst verdict decides. Pure functions.

``pass``: continue. ``hold``: not now, since somebody holds the run. ``deferred``: the window closes or a freeze begins;
nothing failed, and the rest waits. ``inconclusive``: a check cannot be judged, so the run stops. ``fail``: the run
stops because something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import Record, is_healthy, is_single_target, iso_time, known_count, max_parallel_rollouts
from .durations import clock, duration
from .record_words import as_sentence, counted, text_of, with_status
from .window import Window

PASS, HOLD, DEFERRED, INCONCLUSIVE, FAIL = "pass", "hold", "deferred", "inconclusive", "fail"
_ORDER = (PASS, HOLD, DEFERRED, INCONCLUSIVE, FAIL)
_NAMED = 5


@dataclass(frozen=True)
class Check:
    """One check of a gate: its verdict, the reason as a sentence, and the figures (``facts``) that led to it."""

    name: str
    verdict: str
    reason: str
    facts: Record = field(default_factory=dict)

    def as_dict(self) -> Record:
        return {"name": self.name, "verdict": self.verdict, "reason": self.reason, **self.facts}


def worst(checks: Iterable[Check]) -> str:
    """The verdict of a gate: the worst verdict of its checks; pass if there are none."""
    return max((check.verdict for check in checks), key=_ORDER.index, default=PASS)


def budget(failed: Sequence[str], max_failed: int, last_batch: Sequence[str]) -> Check:
    """Fails if more instances than ``max_failed`` have failed, or all instances of the last batch.

    ``failed`` and ``last_batch``: names of instances.
    """
    names = listed(failed)
    if len(failed) > max_failed:
        return Check(
            "budget",
            FAIL,
            f"{counted(len(failed), 'instance')} failed ({names}); at most {max_failed} may fail.",
            {"failed": len(failed), "max_failed": max_failed},
        )
    if last_batch and set(last_batch) <= set(failed):
        return Check(
            "budget", FAIL, f"Every instance of the last batch failed ({listed(last_batch)}).", {"failed": len(failed)}
        )
    said = f"{len(failed)} of at most {max_failed} failed" if failed else "No instance failed"
    return Check("budget", PASS, f"{said}.", {"failed": len(failed), "max_failed": max_failed})


def parallel_limit(policy: Mapping[str, Any]) -> Check:
    """Fails unless the policy (E9) has a valid max_parallel_rollouts."""
    try:
        limit = max_parallel_rollouts(policy)
    except ValueError as refusal:
        return Check("policy", FAIL, as_sentence(refusal))
    return Check("policy", PASS, f"At most {limit} at once.", {"max_parallel_rollouts": limit})


@dataclass(frozen=True)
class NextStart:
    """What is started next, for the checks of its time.

    ``needs``: the seconds that it takes. ``margin``: the seconds that must be left after it. ``started``: the run has
    already changed something, so that a closed window or a freeze only defers the rest. ``override``: the reason for
    ignoring the window and freezes, or an empty text. ``subject``: what it is, as the beginning of a sentence.
    """

    needs: float
    margin: float
    started: bool
    override: str
    subject: str = "The next batch"


def window(policy: Mapping[str, Any], now: float, start: NextStart) -> Check:
    """Whether the maintenance window is open now (epoch seconds), and long enough for ``start``. ``policy``: E9."""
    known = Window.of_policy(policy)
    if known.problem and not start.override:
        return Check("window", INCONCLUSIVE, known.problem, {"needs_seconds": start.needs})
    if known.always_open:
        return Check("window", PASS, known.sentence(now))
    opening, closes = known.next_opening(now), known.closes_at(now)
    facts = {"next_opening": iso_time(opening), "closes_at": iso_time(closes), "needs_seconds": start.needs}
    if start.override:
        said = f"The maintenance window is overridden: {start.override}"
        return Check("window", PASS, said, {**facts, "overridden": True})
    stop = DEFERRED if start.started else FAIL
    if opening is not None:
        return Check("window", stop, known.sentence(now), facts)
    if closes is not None and now + start.needs + start.margin > closes:
        after = known.next_opening(closes)
        return Check(
            "window",
            stop,
            f"The maintenance window closes at {clock(closes)}. {start.subject} takes about {duration(start.needs)} "
            f"and {duration(start.margin)} must be left, so it would not end in time. It opens next at "
            f"{clock(after or 0)}.",
            {**facts, "next_opening": iso_time(after)},
        )
    return Check("window", PASS, known.sentence(now), facts)


def foreign_rollout(open_rollouts: Iterable[Mapping[str, Any]]) -> Check:
    """Fails if a fleet rollout of the server is in progress: it and the run would redeploy the same instances.

    ``open_rollouts``: rows of E3 that have not ended.
    """
    fleet = [row for row in open_rollouts if not is_single_target(row)]
    if not fleet:
        return Check("foreign_rollout", PASS, "No fleet rollout is in progress on the server.")
    return Check(
        "foreign_rollout",
        FAIL,
        f"A fleet rollout is in progress on the server: {with_status(fleet[:_NAMED])}. Wait for its end "
        "(resume it if it is paused), or cancel it, and start again.",
        {"rollouts": [row.get("id") for row in fleet]},
    )


def health_share(readings: Mapping[str, Mapping[str, Any] | None], least: float, fleet: int) -> Check:
    """Whether the share of healthy instances is at least ``least`` (0 to 1).

    ``readings``: health records (E16) by name, None if there was no answer. Such an instance counts as not healthy. If
    there was no answer at all, the check is inconclusive. ``fleet``: the number of instances in the whole fleet.
    """
    asked = len(readings)
    answered = [name for name, health in readings.items() if health is not None]
    if asked and not answered:
        reason = f"No health could be read: none of {counted(asked, 'instance')} answered."
        return Check("health", INCONCLUSIVE, reason, {"asked": asked})
    unhealthy = [name for name, health in readings.items() if health is None or not is_healthy(health)]
    healthy = asked - len(unhealthy)
    share = healthy / asked if asked else 1.0
    facts = {"asked": asked, "of": fleet, "healthy": healthy, "share": round(share, 3), "unhealthy": unhealthy}
    said = f"{healthy} of {asked} checked instances are healthy"
    if share < least:
        return Check("health", FAIL, f"{said}; at least {least:.0%} must be. Not healthy: {listed(unhealthy)}.", facts)
    return Check("health", PASS, f"{said}.", facts)


@dataclass(frozen=True)
class Tally:
    """The number of audit events (E21) of some instances, and how many of them (``bad``) were errors or denials."""

    total: int
    bad: int

    @property
    def rate(self) -> float:
        return self.bad / self.total if self.total else 0.0


def audit_delta(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Tally | None:
    """The events that were added between two summaries of one instance.

    None if a summary or a counter is not known, or if a counter decreased (retention).
    """
    grown = []
    for key in ("total_events", "error_events", "denied_events"):
        first, last = (known_count((summary or {}).get(key)) for summary in (before, after))
        if first is None or last is None or last < first:
            return None
        grown.append(last - first)
    return Tally(grown[0], grown[1] + grown[2])


def audit(
    updated: Mapping[str, Tally | None], control: Mapping[str, Tally | None], *, most: float, least_events: int
) -> Check:
    """Compares errors and denials of updated instances with those of instances that are not updated yet.

    Both groups have the events of the same time, by name of the instance; None if the counters decreased or could not
    be read. The check fails if the rate of the updated instances is more than ``most`` (0 to 1) above that of the
    control group. It is inconclusive if a group has fewer than ``least_events`` events, or if the events of an instance
    are not known.
    """
    lost = [name for group in (updated, control) for name, tally in group.items() if tally is None]
    sums = [_sum(group.values()) for group in (updated, control)]
    facts = {
        "updated": {"events": sums[0].total, "bad": sums[0].bad, "rate": round(sums[0].rate, 4)},
        "control": {"events": sums[1].total, "bad": sums[1].bad, "rate": round(sums[1].rate, 4)},
        "unreadable": lost,
    }
    if lost:
        return Check(
            "audit",
            INCONCLUSIVE,
            f"The audit counters of {listed(lost)} went backwards or could not be read, so they cannot be compared.",
            facts,
        )
    if min(sums[0].total, sums[1].total) < max(1, least_events):
        return Check(
            "audit",
            INCONCLUSIVE,
            f"Too little traffic to compare: {sums[0].total} audit events of updated instances and {sums[1].total} of "
            f"the others, {max(1, least_events)} of each are needed.",
            facts,
        )
    said = (
        f"{sums[0].rate:.1%} of the updated instances' events are errors or denials, {sums[1].rate:.1%} of the others'"
    )
    if sums[0].rate - sums[1].rate > most:
        return Check("audit", FAIL, f"{said}; the difference may be at most {most:.1%}.", facts)
    return Check("audit", PASS, f"{said}.", facts)


def bundle(bundles: Mapping[str, Sequence[str]], *, stop: bool) -> Check:
    """Whether the run has deployed only one bundle. A second one means that a bundle was published during the run.

    ``bundles``: names of instances by the hash of the bundle. ``stop``: whether the check fails in this case.
    """
    if len(bundles) < 2:
        return Check("bundle", PASS, "One bundle was deployed.", {"bundles": len(bundles)})
    return Check("bundle", FAIL if stop else PASS, bundle_sentence(bundles), {"bundles": len(bundles)})


def bundle_sentence(bundles: Mapping[str, Sequence[str]]) -> str:
    """A sentence that the run has deployed more than one bundle, with the instances of each."""
    told = "; ".join(f"{found} to {len(names)} ({listed(names)})" for found, names in bundles.items())
    return f"{len(bundles)} bundles were deployed in this run, probably because one was published during it: {told}."


@dataclass
class Soak:
    """The live health reads of the instances of the last batch.

    ``needed``: how many consecutive healthy reads each instance needs. ``in_a_row``: how many it has.
    ``unhealthy``: the status of each instance that was not healthy. ``errors_in_a_row``: how many consecutive reads
    failed.
    """

    needed: int
    in_a_row: dict[str, int] = field(default_factory=dict)
    unhealthy: dict[str, str] = field(default_factory=dict)
    errors_in_a_row: dict[str, int] = field(default_factory=dict)

    def take(self, name: str, health: Mapping[str, Any] | None) -> None:
        """Add one read. ``health``: a live health record, or None if the call failed."""
        if health is None:
            self.errors_in_a_row[name] = self.errors_in_a_row.get(name, 0) + 1
            self.in_a_row[name] = 0
            return
        self.errors_in_a_row[name] = 0
        if is_healthy(health):
            self.in_a_row[name] = self.in_a_row.get(name, 0) + 1
        else:
            self.in_a_row[name] = 0
            self.unhealthy[name] = text_of(health, "status", "of unknown health")

    def unreadable(self, most_errors: int) -> list[str]:
        """The names of instances whose last reads failed, ``most_errors`` or more in a row."""
        return [name for name, errors in self.errors_in_a_row.items() if errors >= most_errors]

    def steady(self, names: Iterable[str]) -> bool:
        return all(self.in_a_row.get(name, 0) >= self.needed for name in names)


def soaked(soak: Soak, names: Sequence[str], seconds: float, most_errors: int) -> Check:
    """The check of the instances ``names`` after a soak of ``seconds``. ``most_errors``: see Soak.unreadable."""
    facts = {"seconds": round(seconds, 1), "unhealthy": dict(soak.unhealthy)}
    if soak.unhealthy:
        named = listed([f"{name} was {status}" for name, status in soak.unhealthy.items()])
        return Check("soak", FAIL, f"Not healthy in the soak after the redeploy: {named}.", facts)
    unread = soak.unreadable(most_errors) or [name for name in names if not soak.steady([name])]
    if unread:
        return Check(
            "soak", INCONCLUSIVE, f"The live health of {listed(unread)} could not be read often enough.", facts
        )
    return Check("soak", PASS, f"The last batch was healthy for {duration(seconds)}.", facts)


def _sum(tallies: Iterable[Tally | None]) -> Tally:
    known = [tally for tally in tallies if tally is not None]
    return Tally(sum(tally.total for tally in known), sum(tally.bad for tally in known))


def listed(names: Sequence[str]) -> str:
    """The first names, and the number of further ones: ``a, b, c, d, e and 3 more``."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + more
