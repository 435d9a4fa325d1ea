# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Changing some keys of a policy: only values that differ are sent, and the policy is read again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import Record
from .._rules.policy import changed_unasked, differing
from .._rules.refusals import refusal_in
from .look_up import looking_up
from .wait import wait_for_effect

# Seconds within which a change must be visible when the policy is read again.
_SHOWS_WITHIN = 10.0


def patch(
    context: Context,
    what: str,
    before: Record,
    wanted: Mapping[str, Any],
    *,
    read: Callable[[], Record],
    send: Callable[[Record], Record],
    values: Callable[[Record], Record],
    predict: Callable[[Record, Record], Record],
) -> Record:
    """Set the keys of ``wanted``, and return the policy after that, in check mode the predicted one.

    ``what``: the name of the policy in messages. ``before``: the current policy. ``read()`` reads it again.
    ``send(changes)`` sends a PATCH. ``values(policy)`` returns the values of the keys. ``predict(policy, changes)``
    predicts the policy. The return values ``policy``, ``policy_before``, ``changed_keys`` and ``drift`` are set. If the
    outcome of the PATCH is unknown, the policy is read to find out. Fails with ``not_taken`` if a value was not set.
    """
    held = values(before)
    changes = differing(held, wanted)
    old = {key: held.get(key) for key in changes}
    context.result.update(policy=before, policy_before=before, changed_keys=[], drift={})
    if not changes:
        return before
    lost: ApiError | None = None
    answer: Record | None = None
    try:
        answer = context.write(lambda: send(changes), before=old, after=dict(changes))
    except ApiError as error:
        # A refusal after several attempts counts as unknown too, since an earlier attempt may have been carried out.
        if not error.ambiguous and error.attempts < 2:
            raise
        lost = error
    else:
        context.result["policy"] = predict(before, changes) if answer is None else answer
        if answer is None:
            context.result["changed_keys"] = sorted(changes)
            return context.result["policy"]
    refused = refusal_in(answer)
    with looking_up(context, lost, refused):
        after = wait_for_effect(
            context,
            read,
            lambda seen: not differing(values(seen), wanted),
            timeout=0.0 if refused is not None else _SHOWS_WITHIN,
        ).state
    context.result["policy"] = after
    _compare(context, what, held, values(after), wanted, changes, lost, refused)
    return after


def _compare(
    context: Context,
    what: str,
    held: Record,
    now: Record,
    wanted: Mapping[str, Any],
    changes: Record,
    lost: ApiError | None,
    refused: str | None,
) -> None:
    """Compare the policy with ``wanted``, set the return values, and fail if a value was not set.

    ``held`` and ``now``: the values before and after. ``changes``: what was sent. ``lost``: the error of a PATCH with
    an unknown outcome. ``refused``: the server's words if its answer was a refusal.
    """
    # All wanted values are compared: somebody else may have changed one that was not sent.
    not_taken = {key: {"wanted": value, "is": now.get(key)} for key, value in differing(now, wanted).items()}
    changed = sorted(key for key in changes if key not in not_taken or now.get(key) != held.get(key))
    drift = changed_unasked(held, now, changes)
    context.changed = bool(changed)
    context.diff = {
        "before": {key: held.get(key) for key in changed},
        "after": {key: now.get(key) if key in not_taken else changes[key] for key in changed},
    }
    context.result.update(changed_keys=changed, drift=drift)
    if drift:
        context.warn(f"Somebody else changed {what} at the same time: {', '.join(drift)}.")
    if lost is not None and not changed:
        raise lost
    if not_taken:
        told = "; ".join(
            f"{key} is {_shown(pair['is'])}, not {_shown(pair['wanted'])}" for key, pair in not_taken.items()
        )
        if refused is not None:
            context.fail(
                f"A change of {what} was refused by the server: {refused}. Reading it back shows: {told}.",
                not_taken=not_taken,
                refused=refused,
            )
        context.fail(
            f"A change of {what} was sent, but reading it back shows otherwise: {told}. "
            "Somebody else may have changed it at the same time, or the server does not know the key.",
            not_taken=not_taken,
        )
    if lost is not None:
        context.warn(f"The answer to the change of {what} was lost; reading it back shows that it was made.")


def _shown(value: Any) -> str:
    return "unset" if value is None else repr(value)
