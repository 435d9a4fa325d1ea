# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Clearing memories of an instance (E19): only if all of them are listed, sent once, and verified with E17."""

from __future__ import annotations

from collections.abc import Mapping

from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import Record, count, number
from .._rules.memory import Listing, outside_selection, remains, slices
from .._rules.refusals import refusal_in
from .look_up import looking_up
from .memory_read import SHOWS_WITHIN, of_selection, read_for_change, read_memories, read_until
from .notes_of_sent import Notes
from .refusal import fail_refused


def clear(context: Context, selection: Mapping[str, str]) -> None:
    """Clear the memories of a conversation, a customer or both; an empty selection clears the whole instance."""
    instance_id = context.params["instance_id"]
    before = read_for_change(context, selection)
    context.result["memories_before"] = before.listed
    _refuse_unsure(context, selection, before)
    if before.listed == 0:
        context.result.update(deleted=0, deleted_ids=[], remaining=0)
        return
    lost: ApiError | None = None
    answer: Record | None = None
    try:
        answer = context.write(
            lambda: context.client.clear_memories(instance_id, selection),
            before={"count": before.listed, "ids": before.ids},
            after={"count": 0, "ids": []},
        )
    except ApiError as error:
        if not error.ambiguous:
            raise
        lost = error
    context.result.update(deleted=before.listed, deleted_ids=before.ids)
    if answer is None and lost is None:
        return
    # The notes of stored memories no longer apply: these memories may be stored again.
    Notes(context, "memory", instance_id).end()
    refused = refusal_in(answer)
    if refused is not None:
        _fail_if_nothing_went(context, selection, before, refused)
    reported: int | None = None
    if answer is not None:
        context.result["status"] = answer.get("status")
        if number(answer.get("deleted")) is not None:
            context.result["deleted"] = reported = count(answer["deleted"])
    _verify_cleared(context, selection, before, lost, reported)
    if context.result["deleted"] > before.listed:
        surplus = (
            f"The server cleared {context.result['deleted']} memories of {context.instance}, but only "
            f"{before.listed}{of_selection(selection)} had been listed."
        )
        if selection:
            context.fail(
                f"{surplus} Either some were stored in between, or it clears more than was selected. Compare with a "
                "backup before you clear another one."
            )
        context.warn(f"{surplus} Some were stored in between.")


def _fail_if_nothing_went(context: Context, selection: Mapping[str, str], before: Listing, refused: str) -> None:
    """Fail because the answer is a refusal, unless the list shows that memories were cleared nevertheless."""
    with looking_up(context, refused=refused):
        now = read_memories(context, selection)
    if remains(before, now)[0] < before.listed:
        return
    context.changed, context.diff = False, None
    context.result.update(deleted=0, deleted_ids=[], remaining=before.listed)
    fail_refused(context, f"Clearing the memories{of_selection(selection)} of {context.instance}", refused)


def _refuse_unsure(context: Context, selection: Mapping[str, str], before: Listing) -> None:
    """Fail unless the list contains all memories that would be cleared, and no others."""
    expected = context.params["expect_count"]
    foreign = outside_selection(before.memories, selection)
    if foreign:
        context.fail(
            f"The server was asked for the memories{of_selection(selection)} of {context.instance}, but also listed "
            f"others ({len(foreign)} of {before.listed}), so it might clear others too. Nothing was cleared."
        )
    if before.truncated:
        context.result["slices"] = slices(before.memories)
        context.fail(
            f"The server lists only {before.listed} memories{of_selection(selection)} of {context.instance} and there "
            "may be more, so it is unknown what would be cleared. Nothing was cleared. Clear it by conversation_id or "
            "customer_id; those that were seen are in slices."
        )
    if expected is not None and before.listed not in (0, expected):
        context.fail(
            f"{context.instance_first} has {before.listed} memories{of_selection(selection)}, but expect_count is "
            f"{expected}. Nothing was cleared. Back them up again."
        )


def _verify_cleared(
    context: Context, selection: Mapping[str, str], before: Listing, lost: ApiError | None, reported: int | None
) -> None:
    """Read the list again, and fail if memories from before are still listed.

    ``lost``: the error of a call with an unknown outcome, otherwise None. ``reported``: how many the server says that
    it has cleared; None if it gave no number.
    """

    def gone(now: Listing) -> bool:
        return now.available and not now.truncated and remains(before, now)[0] == 0

    waited = read_until(context, selection, gone, since=lost)
    left, since = remains(before, waited.state)
    context.result.update(remaining=waited.state.listed, truncated=waited.state.truncated)
    if waited.done:
        if since:
            context.warn(
                f"Memories{of_selection(selection)} of {context.instance} that were stored since are kept: {since}."
            )
        return
    still = set(waited.state.ids)
    context.result["deleted_ids"] = [identity for identity in before.ids if identity not in still]
    if reported is None:
        context.result["deleted"] = len(context.result["deleted_ids"])
    shown = f"After {SHOWS_WITHIN:.0f} s memories{of_selection(selection)} are still listed: {left} of {before.listed}"
    if not waited.state.available:
        shown = "The server says now that its memory is not available"
    if lost is not None:
        context.fail(f"{lost} {shown}. Check them, then run this task again.", ambiguous=True, error=lost.as_dict())
    # If the server says that it has cleared none, and all are still listed, nothing has changed.
    context.changed = not (reported == 0 and left >= before.listed)
    cleared = f"says that it cleared {reported} memories of {context.instance}"
    said = "accepted the call" if reported is None else cleared
    context.fail(f"The server {said}, but: {shown}. Check them, then run this task again.")
