# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waiting for a state, with a deadline and growing pauses. The last state is returned even after a timeout.

A read that fails because the server is down for a while does not end a wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .._client.errors import ApiError
from .._module.operation import Context

State = TypeVar("State")

# For how many seconds consecutive reads may fail, by the kind of the error. Another error ends the wait at once.
_PASSES_WITHIN = {
    **dict.fromkeys(("server", "unavailable", "timeout", "connection_lost", "unreachable"), 120.0),
    **dict.fromkeys(("unreadable", "rate_limited"), 120.0),
    # What was just created may not be found yet (behaviour 2.3).
    "not_found": 10.0,
}


class Outage:
    """Consecutive reads that fail. ``clock``: the task's clock in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None

    def note(self, error: ApiError) -> None:
        """Record a read that has failed. Raises ``error`` if another read would fail too, or if the outage is too long.

        The error of a write is always raised. An unexpected answer with a success status may come from a proxy, so the
        next one may be different.
        """
        now = self._clock()
        self._since = now if self._since is None else self._since
        is_unexpected = error.kind == "unexpected" and error.status == 200
        within = _PASSES_WITHIN["unreadable"] if is_unexpected else _PASSES_WITHIN.get(error.kind, 0.0)
        if error.method != "GET" or now - self._since >= within:
            raise error

    def over(self) -> None:
        """Record a read that has succeeded."""
        self._since = None


@dataclass(frozen=True)
class Waited(Generic[State]):
    """How a wait ended. ``done``: whether the state was reached. ``state``: the last one. ``reads``: their number."""

    done: bool
    state: State
    seconds: float
    reads: int


def wait_until(
    context: Context,
    read: Callable[[], State],
    done: Callable[[State], bool],
    *,
    timeout: float,
    interval: float | None = None,
    longest_interval: float | None = None,
    outlasts: bool = False,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Waited[State]:
    """Read until ``done(state)`` is true, or until ``timeout`` seconds have passed.

    Pauses start at ``interval`` seconds (default: wait_interval) and grow by half each time, up to ``longest_interval``
    (default: 5 times ``interval``). The last read is at the deadline, so a state that is reached during the last pause
    counts. An ApiError of ``read`` is raised as Outage says, or after the timeout. With ``outlasts``, only as Outage
    says, so the last read may be later. ``clock`` and ``sleep``: by default those of the task.
    """
    clock, sleep = clock or context.clock, sleep or context.sleep
    start = clock()
    outage = Outage(clock)
    pause = context.params["wait_interval"] if interval is None else interval
    longest = pause * 5 if longest_interval is None else longest_interval
    reads = 0
    while True:
        try:
            state = read()
        except ApiError as error:
            waited = clock() - start
            if waited >= timeout and not outlasts:
                raise
            outage.note(error)
            left = timeout - waited if waited < timeout else pause
        else:
            outage.over()
            reads += 1
            waited = clock() - start
            if done(state):
                return Waited(True, state, waited, reads)
            if waited >= timeout:
                return Waited(False, state, waited, reads)
            left = timeout - waited
        sleep(min(pause, left))
        pause = min(pause * 1.5, longest)


def wait_for_effect(
    context: Context, read: Callable[[], State], done: Callable[[State], bool], *, timeout: float
) -> Waited[State]:
    """As ``wait_until``, for the effect of a call that was just sent. It is soon there, so the pauses are short.

    A server that does not answer for a while says nothing about the effect, so the wait outlasts that.
    """
    return wait_until(
        context,
        read,
        done,
        timeout=timeout,
        interval=min(1.0, context.params.get("wait_interval") or 1.0),
        longest_interval=2.0,
        outlasts=True,
    )
