# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a follower reads its sources again, how much it reads at once, and what it leaves for later. Pure.

The rate of its calls is limited: a larger fleet does not cause more calls, it takes longer to read. All times are in
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
POLICY_EVERY = 30.0
# Most reads list one page of rollouts. The complete list also shows old rollouts that were opened again, and new ones
# that did not fit on that page.
WHOLE_LIST_EVERY, WHOLE_LIST_OF_MANY_EVERY = 300.0, 30.0

# The maximum number of calls per second, not counting the list of rollouts: for the targets of rollouts (two calls
# each), and in total. Calls that rollouts do not use are available for single instances.
_ROLLOUT_CALLS, _CALLS = 2.0, 2.25

# Kinds of errors that trying again does not resolve: a refused key always, the others only before the first success,
# because they are then mistakes in the settings.
_FINAL = frozenset({"auth", "forbidden"})
_FINAL_AT_FIRST = frozenset({"tls", "redirected", "wrong_path"})


@dataclass(frozen=True)
class Pace:
    """Seconds between two reads: ``interval`` while something is open, ``idle_interval`` while nothing is, and
    ``details_interval`` for the audit and details of one instance."""

    interval: float = 3.0
    idle_interval: float = 30.0
    details_interval: float = 600.0

    def problem(self) -> str:
        """What is wrong with the seconds, as a message; '' if nothing is."""
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
        # A limit for the exponent, since 2.0 to a very large power raises OverflowError.
        return min(LONGEST_PAUSE, pace.interval * 2.0 ** min(failures, 20))
    return pace.interval if is_open else pace.idle_interval


def is_final(kind: str, *, ever_read: bool) -> bool:
    """Whether trying again is useless after an error of this kind (ApiError.kind)."""
    return kind in _FINAL or (not ever_read and kind in _FINAL_AT_FIRST)


def rollouts_at_once(seconds: float) -> int:
    """How many rollouts are read with their targets, in a read that is ``seconds`` after the previous one."""
    return max(1, int(_ROLLOUT_CALLS * seconds / 2))


def credit(saved: float, seconds: float, used: float, pace: Pace) -> float:
    """How many calls for single instances may be made: those ``saved`` before plus those of the ``seconds`` since,
    minus those ``used`` by the previous read."""
    return max(0.0, min(saved + _CALLS * seconds - used, _CALLS * pace.idle_interval))


def instances_at_once(calls: float, calls_each: int) -> int:
    """How many instances can be read with ``calls`` calls; 0 if nothing is read of an instance."""
    return int(calls // calls_each) if calls_each else 0


def due_instances(
    known: Sequence[T], read_at: Mapping[T, float], ended_at: Mapping[T, float], now: float, every: float
) -> list[T]:
    """The instances to read, most urgent first: never read, redeployed since they were read, read longest ago.

    ``read_at``: when each was read; ``ended_at``: when a redeploy of it was seen to have ended. Those that were read
    within ``every`` seconds and not redeployed since are left out.
    """

    def last_read(instance: T) -> float:
        return read_at.get(instance, -math.inf)

    def has_ended(instance: T) -> bool:
        return ended_at.get(instance, -math.inf) > last_read(instance)

    due = [instance for instance in known if now - last_read(instance) >= every or has_ended(instance)]
    return sorted(due, key=lambda each: (last_read(each) > -math.inf, not has_ended(each), last_read(each)))
