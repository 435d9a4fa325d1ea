# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How the members of a plan are divided into batches: their sizes and their members. Pure functions."""

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
    """Batch sizes for ``serial``, at least one, each from 1 to ``limit`` and ``batch_max``. The last one is repeated.

    ``limit``: the policy's max_parallel_rollouts, 1 or more; it also limits the canary. With growth ``percent`` a batch
    is that percentage of ``of`` instances, rounded down, but at least 1. With pace ``continuous``, all instances after
    the canary are one batch, whatever the limit is.
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
    """One instance of the plan. ``planned``: whether the run will change it. ``why``: the reason.

    ``current`` and ``available``: versions of the runtime, None if unknown.
    """

    name: str
    instance_id: str
    current: str | None
    available: str | None
    planned: bool
    why: str


@dataclass
class Part:
    """Members that a run takes together, in their order, for example a wave.

    ``limit``: the maximum size of its batches, in addition to the policy's limit. ``soak``: the soak after each of its
    batches in seconds, instead of that of the run. ``settings``: options of the gate after each of its batches.
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
    """The batches of all parts, each with its part. A batch never contains members of two parts.

    ``sizes``: the sizes of the first batch, the second one, and so on over all parts; the last size is repeated. Each
    batch of the part named ``canary`` has the first size. ``caps``: the maximum number of members of a group in one
    batch. ``groups``: the group of each member. A member beyond the maximum waits for the next batch.
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
    """The part named ``canary``, followed by one part without a name that contains all others in their order."""
    first = [part for part in parts if canary and part.name == canary]
    rest = [member for part in parts if not (canary and part.name == canary) for member in part.members]
    return [*first, Part("", rest)] if rest else first
