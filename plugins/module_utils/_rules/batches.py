# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How the members of a plan are cut into batches: how large these are, and who is in which. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .pace import BATCHES, CONTINUOUS

GROWTHS = ("fixed", "doubling", "percent")


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


def one_stream(parts: Sequence[Part], canary: str) -> list[Part]:
    """The part named ``canary``, and all others as one without a name, in their order."""
    first = [part for part in parts if canary and part.name == canary]
    rest = [member for part in parts if not (canary and part.name == canary) for member in part.members]
    return [*first, Part("", rest)] if rest else first
