# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Following one rollout target to its end: by the list of rollouts that all tasks share, and by reading it alone."""

from __future__ import annotations

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    in_flight,
    normalise,
    rollout_is_terminal,
    target_is_terminal,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.durations import pause_before_look
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import same_id
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import named, origin
from ansible_collections.fleetops.agents.plugins.module_utils._rules.redeploy import FLEET_SCOPES
from ansible_collections.fleetops.agents.plugins.module_utils._steps.admission_locks import Admission
from ansible_collections.fleetops.agents.plugins.module_utils._steps.shared_reads import FRESH_FOR, SharedReads

# Pauses are multiples of wait_interval: the longest one, and between two reads of a target that the list shows open.
_LONGEST, _ALONE_EVERY = 5, 15
# Such a target is first read once it has taken so many times as long as usual.
_OVERDUE = 2
# Between two looks around the usual end lies one of so many parts of the usual time.
_PARTS = 10
# Seconds between two looks at what another task has read, which ask no server: of the shortest pause one of so many
# parts, and the bounds.
_LOOKS, _LOOKS_EVERY = 8, (0.25, 1.0)


def fresh_for(context: Context) -> float:
    """For how many seconds a shared read is good enough for this task."""
    return min(FRESH_FOR, context.params["wait_interval"])


def shared_reads(context: Context) -> SharedReads:
    """The reads that this task shares with the others of this machine."""
    return SharedReads(context.client, clock=context.clock)


def remember(context: Context, target: Record) -> None:
    """Keep the last known state of the target in the result."""
    context.result.update(target=target, target_id=target.get("id"), rollout_id=target.get("rollout_id"))


def own_target(context: Context, target: Record) -> Record:
    """The target as it is now, by its row id, which a retry or a resume keeps: E4, or E23 for one of a fleet rollout.

    As it was before, if the answer does not hold it.
    """
    client, rows = context.client, []
    if target.get("rollout_id") and normalise(target.get("rollout_scope")) not in FLEET_SCOPES:
        try:
            rows = client.get_rollout(str(target["rollout_id"]))["targets"]
        except ApiError as error:
            if error.kind not in ("not_found", "unexpected"):
                raise
    seen = next((row for row in rows if row.get("id") == target.get("id")), None)
    if seen is None:
        rows = client.list_instance_rollouts(context.params["instance_id"])
        seen = next((row for row in rows if row.get("id") == target.get("id")), target)
    remember(context, seen)
    return seen


class _Listed:
    """What the shared list says of one rollout. ``useful`` is false once it says nothing that helps."""

    def __init__(self, context: Context, target: Record, admission: Admission | None) -> None:
        self._context, self._admission, self._rollout_id = context, admission, target.get("rollout_id")
        self._reads = shared_reads(context)
        self.useful = admission is not None and bool(self._rollout_id) and context.params["admission"] != "none"
        self.row: Record | None = None
        self._rows: list[Record] = []

    def look(self, max_age: float | None) -> None:
        """Look at what is at most ``max_age`` seconds old, or at what was read last, however old that is (None)."""
        if not self.useful:
            return
        try:
            rows = self._reads.last_rollouts() if max_age is None else self._reads.rollouts(max_age)
        except ApiError as error:
            if error.kind == "auth":
                raise
            self.useful, self.row = False, None
            return
        if rows is self._rows:
            return
        self._rows = rows
        row = next((row for row in rows if same_id(row.get("id"), self._rollout_id)), None)
        if row is not None and self.row is None and self._admission is not None:
            count_as_listed(self._context, rows, self._admission)
        if row is None and self.row is not None:
            # It ended, and newer rollouts have taken its place on the page.
            self.useful = False
        self.row = row


def count_as_listed(context: Context, rollouts: list[Record], admission: Admission) -> None:
    """The list shows the redeploy, so from now on the list alone counts it. Warns if it shows more than are allowed."""
    admission.listed()
    count = in_flight(rollouts)
    if admission.allowed is None or count <= admission.allowed:
        return
    told = "; ".join(
        f"{named('rollout', row)} ({in_flight([row])} in flight, {origin(row)})" for row in rollouts if in_flight([row])
    )
    context.result["in_flight_excess"] = count - admission.allowed
    context.warn(
        f"{count} redeploys are in flight, and the policy allows {admission.allowed} (max_parallel_rollouts): {told}. "
        "Another controller, or somebody else, has started some at the same moment. Run one controller only."
    )


def until_ended(context: Context, target: Record, admission: Admission | None = None) -> Record:
    """The target at its end, or as it is after ``wait_timeout`` seconds.

    ``admission`` is what counts it as in flight. While the list of rollouts shows it open, that list is looked at, one
    read for all tasks of this machine, and the target itself rarely; otherwise it is read, most often around its usual
    end, or in pauses that grow if that is not known.
    """
    interval, expected = context.params["wait_interval"], context.params.get("expected_seconds")
    listed, started, longest = _Listed(context, target, admission), context.clock(), _LONGEST * interval
    shortest = fresh_for(context)
    if context.params.get("stream"):
        # The next one waits for the end of any, not of the last one: it may be seen late by a small part of the time.
        shortest = min(max(interval, (expected or 0.0) / _PARTS), longest)

    look_every = min(max(shortest / _LOOKS, _LOOKS_EVERY[0]), _LOOKS_EVERY[1])

    def alone_again(waited: float, former: float | None = None) -> float:
        """Seconds until the target itself is read again."""
        if expected is not None:
            return pause_before_look(waited, expected, interval, longest)
        return interval if former is None else min(former * 1.5, longest)

    alone_pause, read_at, list_at = alone_again(0.0), started, started
    while not target_is_terminal(target):
        now = context.clock()
        if now - started >= context.params["wait_timeout"]:
            return own_target(context, target)
        listed.look(shortest if now >= list_at else None)
        if now >= list_at:
            list_at = now + pause_before_look(now - started, expected, shortest, longest)
        ended = listed.row is not None and rollout_is_terminal(listed.row)
        is_open = listed.useful and listed.row is not None and not ended
        read_next = read_at + alone_pause
        if is_open:
            read_next = max(read_at + _ALONE_EVERY * interval, started + _OVERDUE * (expected or 0.0))
        if now >= read_next or (ended and listed.useful):
            target, read_at = own_target(context, target), now
            alone_pause = alone_again(now - started, alone_pause)
            # A list that says otherwise than the target itself is not asked again.
            listed.useful = listed.useful and not ended
            continue
        left = started + context.params["wait_timeout"] - now
        wake = min([read_next, *([list_at] if listed.useful else [])]) - now
        step = look_every if listed.useful else wake
        context.sleep(max(min(wake, step, left, interval), 0.001))
    return target
