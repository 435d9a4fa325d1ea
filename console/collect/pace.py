# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a follower reads its sources again, how much it reads at once, and what it leaves for later. Pure.

Its calls are limited, so that following costs the API the same however large the fleet is: what there is more of takes
longer. All times are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
POLICY_EVERY = 30.0
# The whole list of rollouts shows old ones that were opened again, and more new ones than the one page of other reads.
WHOLE_LIST_EVERY, WHOLE_LIST_OF_MANY_EVERY = 300.0, 30.0

# Calls a second beside the list: for the targets of rollouts at most (two calls a rollout), and for all. What rollouts
# leave is for single instances.
_ROLLOUT_CALLS, _CALLS = 2.0, 2.25

# A wrong key stays wrong. The others are mistakes in the settings as long as no call has succeeded.
_FINAL = frozenset({"auth", "forbidden"})
_FINAL_AT_FIRST = frozenset({"tls", "redirected", "wrong_path"})


@dataclass(frozen=True)
class Pace:
    """Seconds between two reads: while something is open, while nothing is, and of one instance's audit and details."""

    interval: float = 3.0
    idle_interval: float = 30.0
    details_interval: float = 600.0

    def problem(self) -> str:
        """Why the seconds cannot be used, '' if they can."""
        if self.interval < SHORTEST_PAUSE:
            return f"--interval must be {SHORTEST_PAUSE:g} s or more"
        if self.idle_interval < self.interval:
            return "--idle-interval must not be shorter than --interval"
        if self.details_interval < self.idle_interval:
            return "--details-interval must not be shorter than --idle-interval"
        return ""


def pause(pace: Pace, *, is_open: bool, failures: int = 0) -> float:
    """Seconds until a source is read again; ``failures``: how often in a row it could not be read."""
    if failures:
        # The exponent is limited: a float has an end.
        return min(LONGEST_PAUSE, pace.interval * 2.0 ** min(failures, 20))
    return pace.interval if is_open else pace.idle_interval


def is_final(kind: str, *, ever_read: bool) -> bool:
    """Whether there is no use in trying again after an error of this kind (ApiError.kind)."""
    return kind in _FINAL or (not ever_read and kind in _FINAL_AT_FIRST)


def rollouts_at_once(seconds: float) -> int:
    """How many rollouts are read with their targets in a read that comes after so many seconds."""
    return max(1, int(_ROLLOUT_CALLS * seconds / 2))


def credit(saved: float, seconds: float, used: float, pace: Pace) -> float:
    """Calls for single instances that may be made: those saved before, and those of so many seconds since, without the
    ``used`` ones."""
    return max(0.0, min(saved + _CALLS * seconds - used, _CALLS * pace.idle_interval))


def instances_at_once(calls: float, calls_each: int) -> int:
    """How many instances are read for so many calls."""
    return int(calls // calls_each) if calls_each else 0


def due_instances(
    known: Sequence[T], read_at: Mapping[T, float], ended_at: Mapping[T, float], now: float, every: float
) -> list[T]:
    """The instances to read, most urgent first: never read, redeployed since they were read, read longest ago.

    ``read_at``: when each was read; ``ended_at``: when a redeploy of it was seen to have ended. Those that were read
    within ``every`` seconds and not redeployed since are left out.
    """

    def last(instance: T) -> float:
        return read_at.get(instance, -math.inf)

    def has_moved(instance: T) -> bool:
        return ended_at.get(instance, -math.inf) > last(instance)

    due = [one for one in known if now - last(one) >= every or has_moved(one)]
    return sorted(due, key=lambda one: (last(one) > -math.inf, not has_moved(one), last(one)))
