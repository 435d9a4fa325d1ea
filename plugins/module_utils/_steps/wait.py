# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waiting for a state, with a deadline and growing pauses. The last state is returned even after a timeout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context

State = TypeVar("State")


@dataclass(frozen=True)
class Waited(Generic[State]):
    """How a wait ended. ``done``: whether the state was reached. ``state``: the last one. ``reads``: their number."""

    done: bool
    state: State
    seconds: float
    reads: int


def wait_until(
    read: Callable[[], State],
    done: Callable[[State], bool],
    *,
    timeout: float,
    interval: float,
    longest_interval: float | None = None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Waited[State]:
    """Read until ``done(state)`` is true, or until ``timeout`` seconds have passed.

    Pauses start at ``interval`` seconds and grow by half each time, up to ``longest_interval`` (default: 5 times
    ``interval``). The last read is at the deadline, so a state that is reached during the last pause counts.
    Exceptions of ``read`` are not caught.
    """
    start = clock()
    longest = interval * 5 if longest_interval is None else longest_interval
    pause = interval
    reads = 0
    while True:
        state = read()
        reads += 1
        waited = clock() - start
        if done(state):
            return Waited(True, state, waited, reads)
        if waited >= timeout:
            return Waited(False, state, waited, reads)
        sleep(min(pause, max(0.0, timeout - waited)))
        pause = min(pause * 1.5, longest)


def wait_for_effect(
    context: Context, read: Callable[[], State], done: Callable[[State], bool], *, timeout: float
) -> Waited[State]:
    """As ``wait_until``, for the effect of a call that was just sent. It is soon there, so the pauses are short."""
    return wait_until(
        read,
        done,
        timeout=timeout,
        interval=min(1.0, context.params.get("wait_interval") or 1.0),
        longest_interval=2.0,
        clock=context.clock,
        sleep=context.sleep,
    )
