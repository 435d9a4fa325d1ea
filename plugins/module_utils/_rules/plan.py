# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The plan of a rolling run: its batches, how long they take, and whether they fit into the window. Pure functions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .answers import Record, number, parse_time, records_in, runtime_component, target_status
from .batches import Member, Part, cut, one_stream
from .durations import Usual, percentile
from .freezes import NO_FREEZES, Freezes
from .ids import id_key
from .openings import Openings
from .pace import BATCHES, CONTINUOUS, follow_each_other, forks_needed
from .updates import RUNTIME, component_of
from .window import Window


def member_of(
    name: str, instance_id: str, updates: Mapping[str, Any], *, redeploy_all: bool, any_component: bool = False
) -> Member:
    """The member for an instance, from its available updates (E25). It is planned if the server does not say enough.

    ``redeploy_all``: plan it whatever its version is. ``any_component``: updates of skills and MCP servers count too.
    """
    runtime = component_of(RUNTIME, runtime_component(updates))
    current, available, outdated = runtime.current, runtime.available, runtime.outdated
    if any_component:
        waiting = number(updates.get("total_available"))
        why = "the server does not say how many updates there are" if waiting is None else f"{waiting:.0f} updates"
        return Member(name, instance_id, current, available, waiting != 0, "current" if waiting == 0 else why)
    if redeploy_all:
        return Member(name, instance_id, current, available, True, "redeployed whatever its version is")
    if outdated is None:
        return Member(name, instance_id, current, available, True, "the server does not say whether it is current")
    return Member(name, instance_id, current, available, outdated, "outdated" if outdated else "current")


def durations_of(timelines: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The durations in seconds of all succeeded targets in rollout timelines (E1), by instance (id_key)."""
    found: dict[str, list[float]] = {}
    for timeline in timelines:
        for row in records_in(timeline.get("timeline")):
            if target_status(row.get("status")) != "succeeded":
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
    """The expected seconds of a batch: the median, ``p50``, and the 90th percentile, ``p90``."""

    p50: float
    p90: float


def expect(batches: Sequence[Sequence[Member]], usual: Usual, extras: Sequence[float]) -> list[Expected]:
    """How long each batch takes: as long as its slowest member.

    ``extras``: for each batch, the seconds of the health checks and the soak that are added.
    """

    def slowest(batch: Sequence[Member], percent: int, more: float) -> float:
        return round(max((usual.of(member.instance_id, percent) for member in batch), default=0.0) + more, 1)

    return [
        Expected(slowest(batch, 50, more), slowest(batch, 90, more))
        for batch, more in zip(batches, extras, strict=True)
    ]


def expect_stream(batches: Sequence[Sequence[Member]], usual: Usual, most: int, extra: float) -> list[Expected]:
    """As ``expect``, if the members of a batch follow each other, with at most ``most`` of them at once."""

    def all_of(batch: Sequence[Member], percent: int) -> float:
        ends = (end for _start, end in follow_each_other([usual.of(m.instance_id, percent) for m in batch], most))
        return round(max(ends, default=0.0) + extra, 1)

    return [Expected(all_of(batch, 50), all_of(batch, 90)) for batch in batches]


@dataclass(frozen=True)
class Fit:
    """Whether the batches fit into the maintenance window, or the next one if it is closed. A freeze closes it too.

    All times are epoch seconds. ``asked_at``: the time of the plan. ``starts_at``: the time of the first batch.
    ``closes_at``: None if the window never closes. ``next_opening``: None if it is open. If the window or the freezes
    are invalid, no batch fits. ``instances_that_fit``: only for a stream.
    """

    asked_at: float
    open_now: bool
    starts_at: float
    closes_at: float | None
    next_opening: float | None
    batches_that_fit: int
    ends_p50: float
    ends_p90: float
    instances_that_fit: int | None = None


def fit(openings: Openings, now: float, expected: Sequence[Expected], margin: float) -> Fit:
    """The fit of batches that run one after the other from ``now`` (epoch seconds), or from the next opening.

    A batch fits if it ends, by p90, at least ``margin`` seconds before the window closes.
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


def fit_stream(
    openings: Openings,
    now: float,
    batches: Sequence[Sequence[Member]],
    expected: Sequence[Expected],
    seconds: Sequence[float],
    most: int,
    extra: float,
    margin: float,
) -> Fit:
    """As ``fit``, for a stream. Also counts the instances that can be sent before the time in the window is too short.

    ``seconds``: how long the redeploy of each member of the last batch takes, in order. ``most``: how many may be in
    flight at once. ``extra``: the seconds of the health checks after each redeploy.
    """
    whole = fit(openings, now, expected, margin)
    before = len(batches) - 1
    count = sum(map(len, batches[: min(before, whole.batches_that_fit)]))
    opens = whole.open_now or whole.next_opening is not None
    if whole.batches_that_fit >= before and opens:
        begin = whole.starts_at + sum(batch.p90 for batch in expected[:before])
        closes = whole.closes_at
        for _start, end in follow_each_other(seconds, most, begin):
            if closes is not None and end + extra + margin > closes:
                break
            count += 1
    return replace(whole, instances_that_fit=count)


_PARTS = ("fleet", "policy", "versions")


def plan_hash(members: Iterable[Member], policy: Mapping[str, Any], batching: Mapping[str, Any]) -> str:
    """The hash of a plan, with three parts: the names and ids of the fleet, the policy with ``batching``, the versions.

    ``batching``: the settings for the batches. The resulting sizes are not part of the hash, because with growth
    percent they depend on the versions. Times are not part of it either: the same plan an hour later has the same hash.
    """
    listed = list(members)
    window = [policy.get(f"maintenance_window_{end}_hour_utc") for end in ("start", "end")]
    parts = (
        [(m.name, id_key(m.instance_id)) for m in listed],
        [policy.get("max_parallel_rollouts"), window, sorted(batching.items())],
        [(id_key(m.instance_id), m.current, m.available, m.planned) for m in listed],
    )
    return "-".join(hashlib.sha256(json.dumps(part, default=str).encode()).hexdigest()[:10] for part in parts)


def is_plan_hash(text: str) -> bool:
    """Whether a text has the form of a hash of a plan."""
    return re.fullmatch(r"[0-9a-f]{10}(-[0-9a-f]{10}){2}", text.strip()) is not None


def moved(expected: str, found: str) -> list[str]:
    """Which parts of a plan differ from the ``expected`` hash: fleet, policy, versions. All if that is not valid."""
    wanted, have = expected.strip().split("-"), found.split("-")
    if len(wanted) != len(have):
        return list(_PARTS)
    return [name for name, one, other in zip(_PARTS, wanted, have, strict=True) if one != other]


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run.

    ``samples``: the number of past redeploys that the durations are calculated from. ``gone``: names of instances that
    the server does not know. ``parts``: the part of each batch. ``left``: the instances that are left for a later run,
    with the reasons. ``forks``: how many of Ansible's workers are needed. ``usual``: by name, the p50 (None if nothing
    is known) and the p90 of the seconds of an instance's redeploys. ``needs``: for each batch, the seconds that
    must be left in the window when it begins.
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
    pace: str = BATCHES
    forks: int = 1
    usual: dict[str, tuple[float | None, float]] = field(default_factory=dict)
    needs: list[float] = field(default_factory=list)

    @property
    def planned(self) -> list[Member]:
        """The planned members, in the order in which the run takes them."""
        return [member for batch in self.batches for member in batch]

    @property
    def skipped(self) -> list[Member]:
        return [member for member in self.members if not member.planned]


def make_plan(
    members: Sequence[Member],
    *,
    policy: Mapping[str, Any],
    parts: Sequence[Part],
    sizes: Sequence[int],
    batching: Mapping[str, Any],
    known: Mapping[str, Sequence[float]],
    now: float,
    margin: float = 300.0,
    fallback: float = 180.0,
    extra: float = 0.0,
    gone: Sequence[str] = (),
    freezes: Freezes = NO_FREEZES,
    canary: str = "",
    caps: Mapping[str, int] | None = None,
    groups: Mapping[str, str] | None = None,
    left: Mapping[str, str] | None = None,
    soak: float = 0.0,
    most: int | None = None,
) -> Plan:
    """The plan for ``members``, which are in order of their names.

    ``parts`` and ``left``: see order.sequence. ``sizes`` and ``batching``: see batch_sizes and plan_hash. ``known`` and
    ``fallback``: see Usual. ``extra``: the seconds of the health checks after a redeploy. ``now``: epoch seconds.
    ``margin``: see fit. ``canary``, ``caps`` and ``groups``: see cut. ``soak``: the soak (seconds) of parts without
    their own. ``most``: with pace ``continuous`` in ``batching``, how many redeploys may be in flight at once. All
    parts after the canary then form one.
    """
    pace = batching.get("pace", BATCHES)
    cuts = cut(
        one_stream(parts, canary) if pace == CONTINUOUS else parts, sizes, canary=canary, caps=caps, groups=groups
    )
    batches = [batch for _part, batch in cuts]
    extras = [extra + (soak if part.soak is None else part.soak) for part, _batch in cuts]
    openings, usual = Openings(Window.of_policy(policy), freezes), Usual(known, fallback)
    slowest = expect(batches, usual, extras)
    if pace == CONTINUOUS and batches:
        most = most or 1
        expected = expect_stream(batches, usual, most, extra)
        stream = [usual.of(member.instance_id, 90) for member in batches[-1]]
        fitting = fit_stream(openings, now, batches, expected, stream, most, extra, margin)
        median = percentile([usual.of(member.instance_id, 50) for member in batches[-1]], 50) or 0.0
        forks = max(forks_needed(most, len(batches[-1]), median, extra), *(len(batch) for batch in batches[:-1]), 1)
    else:
        expected = slowest
        fitting = fit(openings, now, expected, margin)
        forks = max((len(batch) for batch in batches), default=1)
    return Plan(
        members=list(members),
        batches=batches,
        expected=expected,
        fit=fitting,
        hash=plan_hash(members, policy, batching),
        samples=sum(len(past) for past in known.values()),
        gone=list(gone),
        parts=[part for part, _batch in cuts],
        left=dict(left or {}),
        pace=pace,
        forks=forks,
        usual={
            member.name: (usual.known_seconds(member.instance_id, 50), usual.of(member.instance_id, 90))
            for batch in batches
            for member in batch
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
