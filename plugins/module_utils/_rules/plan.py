# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The plan of a rolling redeploy: batches by name, how long they take, whether they fit the window. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import Record, number, parse_time, runtime_component, target_status
from .durations import percentile
from .freezes import NO_FREEZES, Freezes
from .ids import id_key
from .openings import Openings
from .window import Window

GROWTHS = ("fixed", "doubling", "percent")
# A redeploy of which nothing is known yet (rollouts.md 4.8).
FALLBACK_SECONDS = 180.0


def batch_sizes(
    limit: int,
    *,
    canary: int = 1,
    batch_max: int | None = None,
    growth: str = "fixed",
    percent: int = 25,
    of: int | None = None,
) -> list[int]:
    """Sizes for ``serial``: at least one, each from 1 to ``limit`` (and ``batch_max``); the last one repeats.

    ``limit`` is the policy's max_parallel_rollouts, 1 or more; a canary above it is cut down to it. With growth
    ``percent`` a batch is that share of ``of`` instances, rounded down.
    """
    full = limit if batch_max is None else min(limit, batch_max)
    if growth == "percent":
        full = min(full, max(1, (of or 0) * percent // 100))
    sizes = [min(canary, full)] if canary else []
    if growth == "doubling":
        sizes = sizes or [1]
        while sizes[-1] < full:
            sizes.append(min(sizes[-1] * 2, full))
        return sizes
    return [*sizes, full]


@dataclass(frozen=True)
class Member:
    """One instance of the plan. ``planned``: it will be redeployed. ``why`` says why, or why not."""

    name: str
    instance_id: str
    current: str | None
    available: str | None
    planned: bool
    why: str


@dataclass
class Part:
    """Members that a run takes together, in their order. ``limit``: how many at once, besides the policy's limit.

    ``soak``: seconds, instead of the run's. ``settings``: what the gate after one of its batches is asked differently.
    """

    name: str
    members: list[Member]
    limit: int | None = None
    soak: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def cut(
    parts: Sequence[Part],
    sizes: Sequence[int],
    *,
    canary: str = "",
    caps: Mapping[str, int] | None = None,
    groups: Mapping[str, str] | None = None,
) -> list[tuple[Part, list[Member]]]:
    """The parts cut into batches: one size after the other, and the last one repeated, also from part to part.

    Each batch of the part named ``canary`` has the first size. ``caps``: how many of a group a batch holds at most,
    ``groups``: the group of each name; who is too many waits for the next batch.
    """
    caps, groups = caps or {}, groups or {}
    batches: list[tuple[Part, list[Member]]] = []
    step = 0
    for part in parts:
        waiting = list(part.members)
        while waiting:
            size = sizes[0] if canary and part.name == canary else sizes[min(step, len(sizes) - 1)]
            size = size if part.limit is None else min(size, part.limit)
            batch: list[Member] = []
            taken: Counter[str] = Counter()
            for member in waiting:
                group = groups.get(member.name, "")
                if len(batch) < size and taken[group] < caps.get(group, size):
                    taken[group] += 1
                    batch.append(member)
            inside = {member.name for member in batch}
            waiting = [member for member in waiting if member.name not in inside]
            batches.append((part, batch))
            step = 1 if canary and part.name == canary else step + 1
    return batches


def member_of(
    name: str, instance_id: str, updates: Mapping[str, Any], *, redeploy_all: bool, any_component: bool = False
) -> Member:
    """What an instance's available updates (E25) mean for the plan; where the server says too little, it is planned.

    ``any_component``: skills and MCP servers count too, not the runtime alone.
    """
    runtime = runtime_component(updates)
    said, current, available = (runtime.get(key) for key in ("has_update", "current_version", "available_version"))
    current, available = (None if v is None else str(v) for v in (current, available))
    if isinstance(said, bool):
        outdated: bool | None = said
    else:
        outdated = current != available if current and available else None
    if any_component:
        waiting = number(updates.get("total_available"))
        why = "the server does not say how many updates there are" if waiting is None else f"{waiting:.0f} updates"
        return Member(name, instance_id, current, available, waiting != 0, "current" if waiting == 0 else why)
    if redeploy_all:
        return Member(name, instance_id, current, available, True, "redeployed whatever its version")
    if outdated is None:
        return Member(name, instance_id, current, available, True, "the server does not say whether it is current")
    return Member(name, instance_id, current, available, outdated, "outdated" if outdated else "current")


def durations_of(timelines: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Seconds from start to end of each succeeded target, by instance (id_key), from rollout timelines (E1)."""
    found: dict[str, list[float]] = {}
    for timeline in timelines:
        rows = timeline.get("timeline")
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, Mapping) or target_status(row.get("status")) != "succeeded":
                continue
            seconds = number(row.get("duration_seconds"))
            if seconds is None:
                started, completed = parse_time(row.get("started_at")), parse_time(row.get("completed_at"))
                seconds = None if started is None or completed is None else completed - started
            if seconds is not None:
                found.setdefault(id_key(str(row.get("instance_id"))), []).append(max(0.0, seconds))
    return found


@dataclass(frozen=True)
class Expected:
    """Seconds that a batch, or all of them, will take: half of the times at most ``p50``, nine of ten ``p90``."""

    p50: float
    p90: float


def expect(
    batches: Sequence[Sequence[Member]],
    known: Mapping[str, Sequence[float]],
    *,
    fallback: float = FALLBACK_SECONDS,
    extra: float | Sequence[float] = 0.0,
) -> list[Expected]:
    """How long each batch takes: its slowest member, by that instance's own past or else by the fleet's.

    ``known``: see durations_of. ``extra`` seconds are added to each batch (proof of health, soak), of a list its own.
    """
    extras = [extra] * len(batches) if isinstance(extra, (int, float)) else extra
    everything = [seconds for past in known.values() for seconds in past]

    def of(member: Member, percent: int) -> float:
        own = percentile(known.get(id_key(member.instance_id), ()), percent)
        fleet = percentile(everything, percent)
        return own if own is not None else fleet if fleet is not None else fallback

    def slowest(batch: Sequence[Member], percent: int, more: float) -> float:
        return round(max((of(member, percent) for member in batch), default=0.0) + more, 1)

    return [
        Expected(slowest(batch, 50, more), slowest(batch, 90, more))
        for batch, more in zip(batches, extras, strict=True)
    ]


@dataclass(frozen=True)
class Fit:
    """Whether the batches fit into the window that is open at the start, or into the next one if it is closed.

    Freezes close it as its hours do. Nothing fits into a window, or a calendar of freezes, that cannot be read.
    """

    asked_at: float
    open_now: bool
    starts_at: float
    closes_at: float | None
    next_opening: float | None
    batches_that_fit: int
    ends_p50: float
    ends_p90: float


def fit(openings: Window | Openings, now: float, expected: Sequence[Expected], margin: float) -> Fit:
    """Lay the batches end to end from ``now`` (epoch seconds), or from the next opening if it is closed.

    A batch fits when its p90 end leaves ``margin`` seconds before the window closes.
    """
    opening = openings.next_opening(now)
    known = not openings.problem
    start = now if opening is None else opening
    ever = opening is not None or openings.is_open(now)
    closes = openings.closes_at(start)
    at = start
    fitting = 0
    for batch in expected:
        at += batch.p90
        if not known or not ever or (closes is not None and at + margin > closes):
            break
        fitting += 1
    return Fit(
        asked_at=now,
        open_now=known and ever and opening is None,
        starts_at=start,
        closes_at=closes,
        next_opening=opening,
        batches_that_fit=fitting,
        ends_p50=start + sum(batch.p50 for batch in expected),
        ends_p90=start + sum(batch.p90 for batch in expected),
    )


_PARTS = ("fleet", "policy", "versions")


def plan_hash(members: Iterable[Member], policy: Mapping[str, Any], batching: Mapping[str, Any]) -> str:
    """What a plan was made of, as three digests: the fleet and its order, the policy and ``batching``, the versions.

    ``batching``: the settings of batch_sizes, and not its sizes, which the versions change too with growth percent.
    Times are no part of it: the same plan an hour later has the same hash.
    """
    listed = list(members)
    window = [policy.get(f"maintenance_window_{end}_hour_utc") for end in ("start", "end")]
    parts = (
        [(m.name, id_key(m.instance_id)) for m in listed],
        [policy.get("max_parallel_rollouts"), window, sorted(batching.items())],
        [(id_key(m.instance_id), m.current, m.available, m.planned) for m in listed],
    )
    return "-".join(hashlib.sha256(json.dumps(part, default=str).encode()).hexdigest()[:10] for part in parts)


def moved(expected: str, found: str) -> list[str]:
    """Which parts of a plan differ from the ``expected`` hash: fleet, policy, versions; all three if it is no hash."""
    wanted, have = expected.strip().split("-"), found.split("-")
    if len(wanted) != len(have):
        return list(_PARTS)
    return [name for name, one, other in zip(_PARTS, wanted, have, strict=True) if one != other]


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run.

    ``parts``: the part of each batch. ``left``: who is left for a later run, and why.
    """

    members: list[Member]
    batches: list[list[Member]]
    expected: list[Expected]
    fit: Fit
    hash: str
    samples: int
    gone: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    left: Mapping[str, str] = field(default_factory=dict)

    @property
    def planned(self) -> list[Member]:
        """In the order in which they are taken."""
        return [member for batch in self.batches for member in batch]

    @property
    def skipped(self) -> list[Member]:
        return [member for member in self.members if not member.planned]


def make_plan(
    members: Sequence[Member],
    *,
    policy: Mapping[str, Any],
    sizes: Sequence[int],
    batching: Mapping[str, Any],
    known: Mapping[str, Sequence[float]],
    now: float,
    margin: float = 300.0,
    fallback: float = FALLBACK_SECONDS,
    extra: float = 0.0,
    gone: Sequence[str] = (),
    freezes: Freezes = NO_FREEZES,
    parts: Sequence[Part] | None = None,
    canary: str = "",
    caps: Mapping[str, int] | None = None,
    groups: Mapping[str, str] | None = None,
    left: Mapping[str, str] | None = None,
    soak: float = 0.0,
) -> Plan:
    """The plan for members in order of their names. ``parts``: see order.sequence, and cut for what belongs to them."""
    if parts is None:
        parts = [Part("", [member for member in members if member.planned])]
    cuts = cut(parts, sizes, canary=canary, caps=caps, groups=groups)
    batches = [batch for _part, batch in cuts]
    extras = [extra + (soak if part.soak is None else part.soak) for part, _batch in cuts]
    expected = expect(batches, known, fallback=fallback, extra=extras)
    return Plan(
        members=list(members),
        batches=batches,
        expected=expected,
        fit=fit(Openings(Window.of_policy(policy), freezes), now, expected, margin),
        hash=plan_hash(members, policy, batching),
        samples=sum(len(past) for past in known.values()),
        gone=list(gone),
        parts=[part for part, _batch in cuts],
        left=dict(left or {}),
    )


def describe(member: Member) -> Record:
    """A member as plain data."""
    return {
        "name": member.name,
        "instance_id": member.instance_id,
        "current_version": member.current,
        "available_version": member.available,
        "why": member.why,
    }
