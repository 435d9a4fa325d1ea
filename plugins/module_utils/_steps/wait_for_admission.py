# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waiting until the policy and the server admit a redeploy, then sending it once (E3, E9, E23)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .._client.client import ROLLOUTS_PAGE
from .._client.errors import ApiError
from .._module.operation import Context, OperationFailed
from .._module.options import Spec
from .._rules.admission import FULL, GO
from .._rules.answers import Record, in_flight, max_parallel_rollouts
from .._rules.ids import id_key, same_id
from .._rules.redeploy import may_pass, newest_first
from .admission_locks import Admission, AdmissionError
from .redeploy import Sent
from .refusal import closed_window
from .stream import NotAdmittedError, Stream
from .target_follow import count_as_listed, fresh_for, shared_reads
from .unresolved import resolve_update
from .wait import wait_until

# Seconds within which an accepted redeploy must appear in the list of rollouts.
_LISTED_WITHIN = 30.0
# While all seats are taken, the policy and the list may be older than for an admission, by this factor.
_WHILE_FULL = 5

Result = TypeVar("Result")

# The options of a module that waits for admission. Times are in seconds.
ADMISSION_OPTIONS: Spec = {
    "admission": {"type": "str", "choices": ["policy", "none"], "default": "policy"},
    "admission_timeout": {"type": "int", "default": 3600},
    "stream": {
        "type": "dict",
        "options": {
            "run": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "needs": {"type": "float", "default": 180},
            "place": {"type": "int"},
            "batches": {"type": "bool", "default": False},
        },
    },
}


class OvertakenError(Exception):
    """The instance has changed since the decision to send.

    ``target``: a redeploy of it by somebody else or by an earlier run; None if there is none.
    """

    def __init__(self, target: Record | None = None) -> None:
        super().__init__("overtaken")
        self.target = target


def converge_admitted(context: Context, converge: Callable[[Context, Admission, Record | None], None]) -> None:
    """Run ``converge``, again after each OvertakenError, then give the seat back and set ``waited_seconds``.

    The third argument of ``converge`` is the target of the last OvertakenError, or None. In a stream, the seat is taken
    before the instance is read, unless somebody else's redeploy may be one of this instance. If the stream ends, the
    task does not fail, but is skipped with the return value ``not_admitted``.
    """
    started = context.clock()
    context.result.update(instance_id=context.params["instance_id"], adopted=False)
    stream = Stream.of(context)
    admission = Admission(context.params["api_url"], None if stream is None else stream.queue(context))
    overtaken_by: Record | None = None
    try:
        while True:
            try:
                if stream is not None:
                    _take_place(context, admission, stream)
                converge(context, admission, overtaken_by)
                break
            except OvertakenError as overtaken:
                overtaken_by = overtaken.target
                admission.leave()
        if stream is not None:
            stream.record(context, "done", changed=context.changed)
    except NotAdmittedError as stopped:
        decision = stopped.decision
        context.result.update(
            skipped=True,
            not_admitted={"verdict": decision.worst, "reasons": decision.reasons},
            skipped_reason=f"Nothing was sent: {' '.join(decision.reasons)}",
        )
    except (ApiError, OperationFailed):
        if stream is not None:
            stream.record(context, "failed")
        raise
    finally:
        admission.leave()
        context.result["waited_seconds"] = round(context.clock() - started, 1)


def tell_started(context: Context, target: Record, admission: Admission) -> None:
    """Record which redeploy belongs to this task, for the other tasks of this machine and of the stream, if any."""
    if not target.get("rollout_id"):
        return
    rollout_id, stream = id_key(str(target["rollout_id"])), Stream.of(context)
    admission.found(rollout_id)
    if stream is not None:
        stream.record(context, "started", rollout=rollout_id)


def claim_first(context: Context, admission: Admission) -> bool:
    """Claim the instance before its history is read. Returns whether this task has the claim.

    Without the claim, the history is read again before anything is sent. An unusable lock file is reported then, and
    not here. Nothing is claimed in check mode.
    """
    try:
        return not context.check_mode and admission.claim(context.params["instance_id"])
    except AdmissionError:
        return False


def send_admitted(
    context: Context,
    history: list[Record],
    admission: Admission,
    send: Callable[[], Sent],
    *,
    read_at: float | None = None,
    limited: bool = True,
    skills_too: bool = False,
    unchanged: Callable[[], bool] = lambda: True,
) -> Sent:
    """Wait for admission, then call ``send()`` once. If the server is full or busy, it is called again later.

    ``history``: the targets of the instance (E23) when the decision to send was made. ``read_at``: when the history was
    read, by the task's clock, if the instance was claimed before. ``unchanged()``: whether the decision is still valid;
    called when this task has the claim. Raises OvertakenError if it returns false or if there is a new target.
    ``limited``: whether the redeploy counts against the policy. It does not with the option admission=none.
    ``skills_too``: see resolve_update.
    """
    instance_id = context.params["instance_id"]
    known = {row.get("id") for row in history}
    limited = limited and context.params["admission"] != "none"
    resolved = False

    def rows_now() -> list[Record]:
        rows = context.client.list_instance_rollouts(instance_id)
        new = [row for row in newest_first(rows) if row.get("id") not in known]
        if new:
            raise OvertakenError(new[0])
        return rows

    def leave() -> None:
        nonlocal read_at
        admission.leave()
        read_at = None

    def attempt() -> Sent | str:
        nonlocal resolved
        try:
            if not admission.claim(instance_id):
                # The other task may itself be waiting for a seat.
                leave()
                rows_now()
                return "another task on this machine is redeploying it"
            if not resolved:
                earlier = resolve_update(context, skills_too=skills_too)
                if earlier is not None:
                    raise OvertakenError(earlier)
                resolved = True
            if limited and not admission.seated and (why := _why_not(context, admission)):
                return why
            # Another task or another controller may have sent a redeploy in the meantime.
            if read_at is None or context.clock() - read_at > fresh_for(context):
                rows_now()
            if not unchanged():
                raise OvertakenError
            if why := _why_not_after_all(context, admission) if limited else _why_not_without_seat(context):
                leave()
                return why
        except (AdmissionError, ValueError) as failure:
            context.fail(f"{context.instance_first} was not redeployed: {failure}.")
        try:
            return send()
        except ApiError as error:
            leave()
            if may_pass(error.kind, error.status, error.detail) and context.params["admission"] != "none":
                return f"the server answered: {error.detail or error}"
            if error.kind != "conflict" or context.params["admission"] == "none":
                raise
            return context.fail(
                f"{str(error).rstrip('.')}. This does not say that the server is full or busy, so the call was "
                "not repeated. Check the instance, and run this task again.",
                error=error.as_dict(),
            )

    return _wait(context, admission, attempt)


def _take_place(context: Context, admission: Admission, stream: Stream) -> None:
    """Wait for a seat in the stream before the instance is read, unless it may already have a redeploy in progress."""
    stream.raise_if_stopped()
    # Before the list is read, for which the tasks wait for each other.
    admission.join_queue()
    if stream.has_others_open(context, max_age=_WHILE_FULL * fresh_for(context)):
        admission.leave_queue()
        return

    def attempt() -> bool | str:
        try:
            return _why_not(context, admission) or True
        except (AdmissionError, ValueError) as failure:
            return context.fail(f"{context.instance_first} was not redeployed: {failure}.")

    _wait(context, admission, attempt)


def _wait(context: Context, admission: Admission, attempt: Callable[[], Result | str]) -> Result:
    """The result of ``attempt()``, which is repeated while it returns why to wait. Fails after admission_timeout."""
    outcome: Result | str = ""
    stream, seconds_behind = Stream.of(context), 0.0

    def clock() -> float:
        """The task's clock without the time for which the run was held, which hold_timeout limits, and without the time
        behind others of the stream, each of which has its own deadline."""
        return context.clock() - (0.0 if stream is None else stream.seconds_held()) - seconds_behind

    def attempt_again() -> Result | str:
        nonlocal outcome
        outcome = attempt()
        if outcome != FULL:
            admission.give_up_first()
        return outcome

    def pause(seconds: float) -> None:
        nonlocal seconds_behind
        if outcome != FULL:
            context.sleep(seconds)
            return
        was_behind, before = admission.is_behind, clock()
        try:
            admission.pause(seconds, context.sleep)
        except AdmissionError as failure:
            context.fail(f"{context.instance_first} was not redeployed: {failure}.")
        if was_behind:
            seconds_behind += clock() - before

    waited = wait_until(
        context,
        attempt_again,
        lambda outcome: not isinstance(outcome, str),
        timeout=context.params["admission_timeout"],
        longest_interval=context.params["wait_interval"] * 2,
        clock=clock,
        sleep=pause,
    )
    if not isinstance(waited.state, str):
        return waited.state
    return context.fail(
        f"{context.instance_first} was not redeployed: for {waited.seconds:.0f} s {waited.state}. "
        f"Look for a rollout that does not end, or raise admission_timeout. {closed_window(context)}".strip(),
        timed_out=True,
    )


def until_listed(context: Context, target: Record, admission: Admission) -> None:
    """Wait until the server's list of rollouts shows the redeploy, so that it is counted by the list alone.

    This is for a task that does not follow its redeploy. If the redeploy does not appear in the list, it is counted by
    its seat until the task ends.
    """
    rollout_id = target.get("rollout_id")
    if context.params["admission"] == "none" or not rollout_id:
        return
    waited = wait_until(
        context,
        lambda: context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE),
        lambda rows: any(same_id(row.get("id"), rollout_id) for row in rows),
        timeout=_LISTED_WITHIN,
    )
    if waited.done:
        count_as_listed(context, waited.state, admission)


def _why_not(context: Context, admission: Admission) -> str:
    """Take a seat, or return why that is not possible now. Only the first of the waiting tasks reads the lists."""
    stream, fresh = Stream.of(context), fresh_for(context)
    if stream is not None:
        stream.raise_if_stopped()
    if not admission.is_first():
        return FULL
    if stream is not None:
        stream.refresh_hold(context)
        stream.refresh_health(context)
    why, reads = FULL, shared_reads(context)

    def seen(max_age: float) -> tuple[int, int]:
        """How many redeploys are in flight on the server, and how many are allowed."""
        nonlocal why
        if stream is None:
            policy, _server_time = reads.policy(max_age)
            return in_flight(reads.rollouts(max_age)), max_parallel_rollouts(policy)
        decision, count = stream.decision(context, max_age=max_age)
        why = next(iter(decision.reasons), FULL)
        return count, decision.allowed if decision.word == GO or why == FULL else 0

    def look(seats: int) -> tuple[int, int]:
        count, allowed = seen(_WHILE_FULL * fresh)
        return (count, allowed) if seats >= allowed else seen(fresh)

    def is_listed(rollout_id: str) -> bool:
        return any(id_key(str(row.get("id"))) == rollout_id for row in reads.last_rollouts())

    if not admission.enter(look, is_listed):
        return why
    admission.give_up_first()
    return ""


def _why_not_after_all(context: Context, admission: Admission) -> str:
    """The last check before the call, by the server's list, which also shows the redeploys of other machines."""
    stream, max_age = Stream.of(context), fresh_for(context)
    if stream is not None:
        decision, _count = stream.decision(context, max_age=max_age)
        return "" if decision.word == GO else decision.reasons[0]
    full = in_flight(shared_reads(context).rollouts(max_age)) >= (admission.allowed or 0)
    return FULL if full else ""


def _why_not_without_seat(context: Context) -> str:
    """Why a call that starts no redeploy cannot be made now by the rules of the stream, if the task is in one."""
    if (stream := Stream.of(context)) is None:
        return ""
    stream.refresh_hold(context)
    decision, _count = stream.decision(context, max_age=fresh_for(context))
    return "" if decision.word == GO or decision.reasons == [FULL] else decision.reasons[0]
