# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A change of some keys of a policy: only what differs is sent, and what the server took of it is read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._api.models import Record
from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context


def patch(
    context: Context,
    what: str,
    wanted: Mapping[str, Any],
    *,
    read: Callable[[], Record],
    send: Callable[[Record], object],
    value_of: Callable[[Record, str], Any] = lambda policy, key: policy.get(key),
) -> Record:
    """Bring the keys of ``wanted`` to their values; the policy as it is afterwards, in check mode as it would be.

    ``read()`` gives the policy, ``send(changes)`` sends a PATCH, ``value_of(policy, key)`` finds a key's value in it.
    ``what`` names the policy in sentences. Fails when the server did not take something, naming keys and values.
    """
    before = read()
    changes = {key: value for key, value in wanted.items() if value_of(before, key) != value}
    context.result.update(policy=before, policy_before=before, changed_keys=sorted(changes))
    if not changes:
        return before
    sent = context.write(
        lambda: [send(changes)], before={key: value_of(before, key) for key in changes}, after=dict(changes)
    )
    if sent is None:
        return {**before, **changes}
    after = read()
    context.result["policy"] = after
    not_taken = {
        key: {"wanted": value, "is": value_of(after, key)}
        for key, value in changes.items()
        if value_of(after, key) != value
    }
    if not_taken:
        if len(not_taken) == len(changes) and all(value_of(after, key) == value_of(before, key) for key in changes):
            context.changed = False
        told = "; ".join(f"{key} is {pair['is']!r}, not {pair['wanted']!r}" for key, pair in not_taken.items())
        context.fail(
            f"The server accepted the change of {what}, but reading it back shows otherwise: {told}. "
            "Somebody else may have changed it at the same time, or the server does not know the key.",
            not_taken=not_taken,
        )
    return after
