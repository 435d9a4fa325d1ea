# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Pausing, resuming and cancelling a rollout: it is read first, the call is made if needed, and it is read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import Record, rollout_status
from .._rules.ids import id_key
from .._rules.record_words import is_status, origin, text_of, with_status
from .._rules.rollout import after_transition, refusal_of_rollout, tally, transition
from .claimed import claimed
from .look_up import looking_up
from .refusal import fail_if_refused, fail_refused
from .rollout_follow import SHOWS_WITHIN, read_until, read_until_shown, remember, unfinished_fleet_rollouts

# Seconds within which the status of the rollout must change after an accepted call.
_CHANGES_WITHIN = 60


def steer(context: Context) -> None:
    """Bring a rollout to the state paused, running or cancelled, unless it already is in that state."""
    rollout_id = context.params["rollout_id"] or _only_one(context)
    with claimed(context, f"rollout {id_key(rollout_id)}", f"acting on rollout {rollout_id}"):
        _steer(context, rollout_id)


def _steer(context: Context, rollout_id: str) -> None:
    state, force = context.params["state"], context.params["force"]
    detail = context.client.get_rollout(rollout_id)
    remember(context, detail)
    if not _needs_call(context, detail):
        return
    before = tally(detail["rollout"], detail["targets"])
    try:
        context.write(
            lambda: call_until_it_shows(context, rollout_id, state, force),
            before={"status": rollout_status(detail["rollout"].get("status")), **before.as_dict()},
            after=after_transition(state, before, force),
        )
    except ApiError as error:
        fail_if_refused(context, error)
        if error.kind != "conflict":
            raise
        # The rollout may have changed since it was read, by itself or because of somebody else.
        detail = context.client.get_rollout(rollout_id)
        remember(context, detail)
        if not _needs_call(context, detail):
            return
        raise
    if context.check_mode:
        return
    if context.params["wait"]:
        _wait_for_status(context, rollout_id)
    if state != "running":
        _judge_end(context, before.cancelled)


def _only_one(context: Context) -> str:
    """The id of the only fleet rollout that has not ended. Fails if there is none, or more than one."""
    unfinished = unfinished_fleet_rollouts(context)
    if len(unfinished) == 1 and unfinished[0].get("id"):
        return str(unfinished[0]["id"])
    if len(unfinished) == 1:
        context.fail(
            f"The server lists the fleet rollout that is in progress without an id ({origin(unfinished[0])}), so no "
            "call can name it. Nothing was sent."
        )
    if not unfinished:
        return context.fail("No fleet rollout is in progress. Give rollout_id to name one.")
    told = with_status(unfinished)
    return context.fail(f"Several fleet rollouts are in progress: {told}. Give rollout_id to name one.")


def _needs_call(context: Context, detail: Record) -> bool:
    """Whether a call is needed. Fails if the rollout has ended and cannot be brought to that state."""
    state, rollout = context.params["state"], detail["rollout"]
    step = transition(state, rollout, detail["targets"], context.params["force"])
    if step == "too_late":
        said = f"Rollout {text_of(rollout, 'id')} {is_status(rollout)}"
        if state != "cancelled":
            goal = "paused" if state == "paused" else "resumed"
            context.fail(f"{said}: it can no longer be {goal}.")
        context.warn(f"{said}: there was nothing left to cancel.")
    return step == "call"


def _judge_end(context: Context, cancelled: int) -> None:
    """Report a rollout that has ended although the server had accepted its pause or cancellation.

    ``cancelled``: the number of cancelled targets before the call. If there are no more now, nothing was changed.
    """
    state, detail = context.params["state"], {name: context.result[name] for name in ("rollout", "targets")}
    if transition(state, detail["rollout"], detail["targets"]) != "too_late":
        return
    had_effect = tally(detail["rollout"], detail["targets"]).cancelled > cancelled
    if not had_effect:
        context.changed, context.diff = False, None
    if state == "paused" or not had_effect:
        _needs_call(context, detail)


def call_until_it_shows(context: Context, rollout_id: str, state: str, force: bool = False) -> None:
    """Call E5, E6 or E7 (see send_until_it_shows)."""
    client = context.client

    def send() -> Any:
        if state == "paused":
            return client.pause_rollout(rollout_id)
        if state == "running":
            return client.resume_rollout(rollout_id)
        return client.cancel_rollout(rollout_id, force=force)

    def shows(detail: Record) -> bool:
        remember(context, detail)
        return transition(state, detail["rollout"], detail["targets"], force) != "call"

    send_until_it_shows(context, rollout_id, f"Bringing rollout {rollout_id} to {state}", send, shows)


def stop(context: Context, rollout_id: str, state: str) -> None:
    """Pause or cancel a rollout. Fails if E4 does not show that, although the server has accepted it."""

    def is_done(detail: Record) -> bool:
        remember(context, detail)
        return transition(state, detail["rollout"], detail["targets"]) == "already"

    call_until_it_shows(context, rollout_id, state)
    with looking_up(context):
        waited = read_until_shown(context, rollout_id, is_done)
    if not waited.done:
        status = text_of(waited.state["rollout"], "status")
        context.fail(f"the server accepted that, but after {SHOWS_WITHIN:.0f} s its status is {status}.")


def send_until_it_shows(
    context: Context, rollout_id: str, what: str, send: Callable[[], Any], shows: Callable[[Record], bool]
) -> None:
    """Call E5, E6, E7 or E8. If the outcome is unknown and E4 shows no effect, call once more (behaviour 2.5).

    ``what``: the beginning of a sentence about a refusal. ``shows(detail)``: whether E4 shows the effect. Returns when
    it does, or when the server has accepted the call. Raises ApiError if the call is refused, or if the outcome remains
    unknown.
    """
    lost: ApiError | None = None
    for _attempt in range(2):
        try:
            said = refusal_of_rollout(send())
        except ApiError as error:
            if not error.ambiguous and lost is None:
                raise
            if not error.ambiguous:
                with looking_up(context, lost, doing="Sending it once more"):
                    # The first call may have been carried out after E4 was read and before the second call.
                    if error.kind == "conflict" and shows(context.client.get_rollout(rollout_id)):
                        return
                    raise
            lost = error
        else:
            if said is not None:
                with looking_up(context, lost, said):
                    shown = shows(context.client.get_rollout(rollout_id))
                if not shown:
                    with looking_up(context, lost, doing="Sending it once more"):
                        fail_refused(context, what, said)
            return
        with looking_up(context, lost):
            if read_until_shown(context, rollout_id, shows).done:
                return
    if lost is not None:
        raise lost


def _wait_for_status(context: Context, rollout_id: str) -> None:
    """Wait until E4 shows the new status. Targets of a cancelled rollout that are in progress may take longer."""
    state, force = context.params["state"], context.params["force"]
    limit = min(_CHANGES_WITHIN, context.params["wait_timeout"])

    def has_changed(detail: Record) -> bool:
        remember(context, detail)
        if state == "cancelled" and rollout_status(detail["rollout"].get("status")) == "cancelling":
            return False
        return transition(state, detail["rollout"], detail["targets"], force) != "call"

    waited = read_until(context, rollout_id, has_changed, timeout=limit)
    rollout, targets = waited.state["rollout"], waited.state["targets"]
    if waited.done:
        return
    word = rollout_status(rollout.get("status"))
    if word == "cancelling":
        left = tally(rollout, targets).in_progress
        context.warn(f"Rollout {rollout_id} is being cancelled; targets in progress ({left}) continue to their end.")
        return
    context.fail(
        f"Rollout {rollout_id} was to be {state}, and the server accepted that, but after {limit} s its status is "
        f"{text_of(rollout, 'status')}. Read it with rollout_info.",
        timed_out=True,
    )
