# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading an instance's memories (E17), once, or until the effect of a write is visible."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .._client.client import MEMORY_CAP
from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.memory import SCOPE, Listing, listing_of
from .look_up import looking_up
from .wait import Waited, wait_for_effect

# Seconds within which the effect of a write must be visible in the list.
SHOWS_WITHIN = 10.0


def selected(context: Context) -> dict[str, str]:
    """The conversation and the customer from the options. No id is empty (check_ids): a server may read it as "any"."""
    return {name: context.params[name] for name in SCOPE if context.params[name] is not None}


def of_selection(selection: Mapping[str, str]) -> str:
    """The selection as a part of a sentence, `` of conversation conv-1``; empty for the whole instance."""
    return "".join(f" of {key.removesuffix('_id')} {value}" for key, value in selection.items())


def read_memories(context: Context, selection: Mapping[str, str], limit: int = MEMORY_CAP) -> Listing:
    """The memories of the instance, or of one conversation or customer."""
    instance_id = context.params["instance_id"]
    answer = context.client.list_memories(
        instance_id,
        conversation_id=selection.get("conversation_id"),
        customer_id=selection.get("customer_id"),
        limit=limit,
    )
    context.use_spelling_of(answer)
    return listing_of(answer, limit)


def read_for_change(context: Context, selection: Mapping[str, str]) -> Listing:
    """The memories before a change. Fails if the server says that they cannot be read now."""
    before = read_memories(context, selection)
    context.result.update(status=before.status, truncated=before.truncated)
    if not before.available:
        context.fail(
            f"The server says that the memory of {context.instance} is not available, so its "
            "list may be wrong. Nothing was changed. Check the instance's health."
        )
    return before


def read_until(
    context: Context,
    selection: Mapping[str, str],
    done: Callable[[Listing], bool],
    *,
    since: ApiError | None = None,
    refused: str | None = None,
    timeout: float = SHOWS_WITHIN,
) -> Waited[Listing]:
    """Read the memories until ``done(listing)``, for at most ``timeout`` seconds.

    ``since`` and ``refused``: see looking_up. Fails if the memories cannot be read.
    """
    with looking_up(context, since, refused):
        return wait_for_effect(context, lambda: read_memories(context, selection), done, timeout=timeout)
