# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The plan of a rolling redeploy: batches by name, how long they take, whether they fit the window. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .answers import Record, number, parse_time, runtime_component, target_status
from .durations import Usual, percentile
from .ids import id_key
from .pace import BATCHES, CONTINUOUS, follow_each_other, forks_needed
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
    pace: str = BATCHES,
) -> list[int]:
    """Sizes for ``serial``: at least one, each from 1 to ``limit`` (and ``batch_max``); the last one repeats.

    ``limit`` is the policy's max_parallel_rollouts, 1 or more; a canary above it is cut down to it. With growth
    ``percent`` a batch is that share of ``of`` instances, rounded down. With pace ``continuous`` all of ``of`` that
    the canary leaves are one batch, whatever the limit.
    """
    full = limit if batch_max is None else min(limit, batch_max)
    if pace == CONTINUOUS:
        first = [min(canary, full)] if canary else []
        return [*first, max(1, (of or 0) - sum(first))]
    if growth == "percent":
        full = min(full, max(1, (of or 0) * percent // 100))
    sizes = [min(canary, full)] if canary else []
    if growth == "doubling":
        sizes = sizes or [1]
        while sizes[-1] < full:
            sizes.append(min(sizes[-1] * 2, full))
        return sizes
    return [*sizes, full]


def batches_of(names: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """The names cut as Ansible's serial cuts them: one batch a size, the last size repeated."""
    batches: list[list[str]] = []
    start = 0
    while start < len(names):
        size = sizes[min(len(batches), len(sizes) - 1)]
        batches.append(list(names[start : start + size]))
        start += size
    return batches


@dataclass(frozen=True)
class Member:
    """One instance of the plan. ``planned``: it will be redeployed. ``why`` says why, or why not."""

    name: str
    instance_id: str
    current: str | None
    available: str | None
    planned: bool
    why: str


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
    extra: float = 0.0,
) -> list[Expected]:
    """How long each batch takes: its slowest member, by that instance's own past or else by the fleet's.

    ``known``: see durations_of. ``extra`` seconds are added to each batch (proof of health, soak).
    """
    usual = Usual(known, fallback)

    def slowest(batch: Sequence[Member], percent: int) -> float:
        return round(max((usual.of(member.instance_id, percent) for member in batch), default=0.0) + extra, 1)

    return [Expected(slowest(batch, 50), slowest(batch, 90)) for batch in batches]


def expect_stream(
    batches: Sequence[Sequence[Member]],
    known: Mapping[str, Sequence[float]],
    most: int,
    *,
    fallback: float = FALLBACK_SECONDS,
    extra: float = 0.0,
) -> list[Expected]:
    """The same where the members of a batch follow each other, at most ``most`` of them at once."""
    usual = Usual(known, fallback)

    def all_of(batch: Sequence[Member], percent: int) -> float:
        ends = (end for _start, end in follow_each_other([usual.of(m.instance_id, percent) for m in batch], most))
        return round(max(ends, default=0.0) + extra, 1)

    return [Expected(all_of(batch, 50), all_of(batch, 90)) for batch in batches]


@dataclass(frozen=True)
class Fit:
    """Whether the batches fit into the window that is open at the start, or into the next one if it is closed.

    Nothing fits into a window that cannot be read.
    """

    open_now: bool
    starts_at: float
    closes_at: float | None
    next_opening: float | None
    batches_that_fit: int
    ends_p50: float
    ends_p90: float
    instances_that_fit: int | None = None


def fit(window: Window, now: float, expected: Sequence[Expected], margin: float) -> Fit:
    """Lay the batches end to end from ``now`` (epoch seconds), or from the next opening of a closed window.

    A batch fits when its p90 end leaves ``margin`` seconds before the window closes.
    """
    opening = window.next_opening(now)
    known = not window.problem
    start = now if opening is None else opening
    closes = window.closes_at(start)
    at = start
    fitting = 0
    for batch in expected:
        at += batch.p90
        if not known or (closes is not None and at + margin > closes):
            break
        fitting += 1
    return Fit(
        open_now=known and opening is None,
        starts_at=start,
        closes_at=closes,
        next_opening=opening,
        batches_that_fit=fitting,
        ends_p50=start + sum(batch.p50 for batch in expected),
        ends_p90=start + sum(batch.p90 for batch in expected),
    )


def fit_stream(
    window: Window,
    now: float,
    batches: Sequence[Sequence[Member]],
    expected: Sequence[Expected],
    seconds: Sequence[float],
    most: int,
    extra: float,
    margin: float,
) -> Fit:
    """The same for a stream: how many of its instances are sent before what is left of the window is too short.

    ``seconds``: of each member of the last batch, in order. ``extra`` seconds of proof follow each of them.
    """
    whole = fit(window, now, expected, margin)
    before = len(batches) - 1
    count = sum(map(len, batches[: min(before, whole.batches_that_fit)]))
    if whole.batches_that_fit >= before and not window.problem:
        begin = whole.starts_at + sum(batch.p90 for batch in expected[:before])
        closes = whole.closes_at
        for _start, end in follow_each_other(seconds, most, begin):
            if closes is not None and end + extra + margin > closes:
                break
            count += 1
    return replace(whole, instances_that_fit=count)


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

    ``forks``: how many workers of Ansible it takes. ``usual``: by name, the seconds that half of an instance's
    redeploys take at most (None if nothing is known), and nine of ten. ``needs``: the seconds of the window that must
    be left before each batch.
    """

    members: list[Member]
    batches: list[list[Member]]
    expected: list[Expected]
    fit: Fit
    hash: str
    samples: int
    gone: list[str] = field(default_factory=list)
    pace: str = BATCHES
    forks: int = 1
    usual: dict[str, tuple[float | None, float]] = field(default_factory=dict)
    needs: list[float] = field(default_factory=list)

    @property
    def planned(self) -> list[Member]:
        return [member for member in self.members if member.planned]

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
    most: int | None = None,
) -> Plan:
    """The plan for members in the order in which they are taken.

    ``most``: with pace ``continuous`` in ``batching``, how many may be in flight at once.
    """
    by_name = {member.name: member for member in members}
    names = [member.name for member in members if member.planned]
    batches = [[by_name[name] for name in batch] for batch in batches_of(names, sizes)]
    window, usual = Window.of_policy(policy), Usual(known, fallback)
    slowest = expect(batches, known, fallback=fallback, extra=extra)
    if batching.get("pace") == CONTINUOUS and batches:
        most = most or 1
        expected = expect_stream(batches, known, most, fallback=fallback, extra=extra)
        stream = [usual.of(member.instance_id, 90) for member in batches[-1]]
        fitting = fit_stream(window, now, batches, expected, stream, most, extra, margin)
        half = percentile([usual.of(member.instance_id, 50) for member in batches[-1]], 50) or 0.0
        forks = max(forks_needed(most, len(batches[-1]), half, extra), *(len(batch) for batch in batches[:-1]), 1)
    else:
        expected = slowest
        fitting = fit(window, now, expected, margin)
        forks = max((len(batch) for batch in batches), default=1)
    return Plan(
        members=list(members),
        batches=batches,
        expected=expected,
        fit=fitting,
        hash=plan_hash(members, policy, batching),
        samples=sum(len(past) for past in known.values()),
        gone=list(gone),
        pace=batching.get("pace", BATCHES),
        forks=forks,
        usual={
            name: (usual.told(by_name[name].instance_id, 50), usual.of(by_name[name].instance_id, 90)) for name in names
        },
        needs=[batch.p90 for batch in slowest],
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
