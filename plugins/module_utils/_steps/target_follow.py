# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Following one rollout target to its end, by the list of rollouts that all tasks share, and by reading it itself."""

from __future__ import annotations

from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import FLEET_SCOPES, Record, in_flight, normalise, rollout_is_terminal, target_is_terminal
from .._rules.durations import pause_before_look
from .._rules.ids import same_id, task_keys
from .._rules.record_words import named, origin
from .admission_locks import Admission
from .shared_reads import FRESH_FOR, SharedReads
from .wait import Outage

# The longest pause, in multiples of wait_interval.
_LONGEST = 5
# The pause between two reads of a target that is open by the list, in multiples of wait_interval.
_ALONE_EVERY = 15
# Such a target is first read after this multiple of its usual duration.
_OVERDUE = 2
# A target that the lists have lacked for this many seconds is not expected to be listed again.
_UNLISTED_FOR = 60.0
# In a stream without batches, the shortest pause is the usual duration divided by this.
_PARTS = 10
# The pause between two checks of the list that another task has read, which make no call, is the shortest pause divided
# by this, but within these bounds in seconds.
_LOOKS, _MIN_LOOK, _MAX_LOOK = 8, 0.25, 1.0


def fresh_for(context: Context) -> float:
    """For how many seconds a shared read is recent enough for this task."""
    return min(FRESH_FOR, context.params["wait_interval"])


def shared_reads(context: Context) -> SharedReads:
    """The reads that this task shares with the others of this machine."""
    return SharedReads(context.client, clock=context.clock)


def remember(context: Context, target: Record) -> None:
    """Set the return values to the last known state of the target."""
    context.result.update(target=target, target_id=target.get("id"), rollout_id=target.get("rollout_id"))


def own_target(context: Context, target: Record) -> Record | None:
    """The current state of the target: from E4, or from E23 for a target of a fleet rollout. None if both lack it.

    It is found by its row id, which a retry or a resume does not change, or without one by its task id.
    """
    client, rows = context.client, []
    if target.get("rollout_id") and normalise(target.get("rollout_scope")) not in FLEET_SCOPES:
        try:
            rows = client.get_rollout(str(target["rollout_id"]))["targets"]
        except ApiError as error:
            if error.kind not in ("not_found", "invalid", "unexpected"):
                raise
    seen = next((row for row in rows if _is_same(row, target)), None)
    if seen is None:
        rows = client.list_instance_rollouts(context.params["instance_id"])
        seen = next((row for row in rows if _is_same(row, target)), None)
    if seen is not None:
        remember(context, seen)
    return seen


def _is_same(row: Record, target: Record) -> bool:
    if target.get("id"):
        return same_id(row.get("id"), target["id"])
    return bool(task_keys(row.get("celery_task_id")) & task_keys(target.get("celery_task_id")))


class _Listed:
    """The row of one rollout in the shared list. ``useful``: false as soon as the list can no longer help."""

    def __init__(self, context: Context, target: Record, admission: Admission) -> None:
        self._context, self._admission, self._rollout_id = context, admission, target.get("rollout_id")
        self._reads = shared_reads(context)
        self.useful = bool(self._rollout_id) and context.params["admission"] != "none"
        self.row: Record | None = None
        self._rows: list[Record] = []

    def look(self, max_age: float | None) -> None:
        """Update ``row`` from a list that is at most ``max_age`` seconds old; None for the last list of any age."""
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
        if row is not None and self.row is None:
            count_as_listed(self._context, rows, self._admission)
        if row is None and self.row is not None:
            # The rollout has ended, and is no longer on the page because of newer ones.
            self.useful = False
        self.row = row


def count_as_listed(context: Context, rollouts: list[Record], admission: Admission) -> None:
    """Count the redeploy only by the list from now on, since that shows it. Warns if it shows more than are allowed."""
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


def until_ended(context: Context, target: Record, admission: Admission) -> Record | None:
    """The target when it has ended, or as it is after ``wait_timeout`` seconds; None if it is no longer listed.

    ``admission``: counts the redeploy as in flight. While the list of rollouts shows the rollout as open, mostly that
    list is read, once for all tasks of this machine. Otherwise the target itself is read, most often around its usual
    end, or with growing pauses if that is unknown.
    """
    interval, expected = context.params["wait_interval"], context.params.get("expected_seconds")
    listed, started, longest = _Listed(context, target, admission), context.clock(), _LONGEST * interval
    shortest, outage = fresh_for(context), Outage(context.clock)
    stream = context.params.get("stream")
    if stream and not stream["batches"]:
        # The next redeploy begins when any of them ends, so a small delay until this end is noticed is acceptable.
        shortest = min(max(interval, (expected or 0.0) / _PARTS), longest)

    look_every = min(max(shortest / _LOOKS, _MIN_LOOK), _MAX_LOOK)

    def alone_again(waited: float, former: float | None = None) -> float:
        """Seconds until the target itself is read again."""
        if expected is not None:
            return pause_before_look(waited, expected, interval, longest)
        return interval if former is None else min(former * 1.5, longest)

    alone_pause, read_at, list_at = alone_again(0.0), started, started
    unlisted_since: float | None = None
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
            try:
                seen = own_target(context, target)
            except ApiError as error:
                outage.note(error)
                context.sleep(interval)
                continue
            outage.over()
            target, unlisted_since = seen or target, None if seen else unlisted_since or now
            if unlisted_since is not None and now - unlisted_since >= _UNLISTED_FOR:
                return None
            read_at, alone_pause = now, alone_again(now - started, alone_pause)
            # If the list contradicts the target itself, it is no longer used.
            listed.useful = listed.useful and not ended
            continue
        pauses = [read_next - now, started + context.params["wait_timeout"] - now, interval]
        if listed.useful:
            pauses += [list_at - now, look_every]
        context.sleep(max(min(pauses), 0.001))
    return target
