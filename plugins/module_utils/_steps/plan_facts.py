# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The data for the order of a plan: health (E16), history (E23) and newest audit events (E20) of each instance."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .._client.client import FleetClient
from .._client.errors import ApiError
from .._client.pool import HOPELESS, failures, in_one_phrase, in_pool
from .._module.operation import Context
from .._rules.order import is_failing, why_busy
from .._rules.record_words import with_variable

# How many of an instance's newest audit events are searched for a conversation.
_EVENTS = 100
# How many of an instance's newest redeploys are read, at least.
_HISTORY = 20


def health_words(context: Context, instances: Mapping[str, str]) -> dict[str, str | None]:
    """The stored health of each instance (E16) by name, None if it cannot be read. ``instances``: names to ids."""
    answers = _each(context, instances, FleetClient.get_deep_health)
    return {
        name: str(answer.get("status")) if isinstance(answer, dict) else None
        for name, answer in zip(instances, answers, strict=True)
    }


def failing(context: Context, instances: Mapping[str, str], rows: int) -> frozenset[str]:
    """The names of the instances whose last ``rows`` redeploys failed (E23). Fails if a history cannot be read.

    ``instances``: names to ids.
    """
    limit = max(rows, _HISTORY)
    answers = _each(context, instances, partial(FleetClient.list_instance_rollouts, limit=limit))
    unread = failures(list(instances), answers)
    if unread:
        context.fail(
            "It is not known which instances are in quarantine. Plan again, or set "
            f"{with_variable('quarantine')} to 0. This failed: " + in_one_phrase(unread)
        )
    return frozenset(name for name, history in zip(instances, answers, strict=True) if is_failing(history, rows))


def busy(context: Context, instances: Mapping[str, str], within: float) -> dict[str, str]:
    """Why instances count as busy, by name. An instance whose audit events cannot be read counts as busy.

    ``instances``: names to ids. ``within``: for how many seconds after a conversation an instance is busy.
    """
    answers = _each(context, instances, partial(FleetClient.list_audit_events, limit=_EVENTS))
    now = context.client.server_time or time.time()
    why = {
        name: why_busy(answer if isinstance(answer, list) else None, now, within, _EVENTS)
        for name, answer in zip(instances, answers, strict=True)
    }
    return {name: reason for name, reason in why.items() if reason}


def _each(context: Context, instances: Mapping[str, str], call: Callable[..., Any]) -> list[Any]:
    """The answer of the call for each instance, or its ApiError. Raises an ApiError that would affect every call."""
    calls = [partial(call, instance_id=str(instance_id)) for instance_id in instances.values()]
    answers = in_pool(context.client, calls, workers=context.params["workers"])
    for answer in answers:
        if isinstance(answer, ApiError) and answer.kind in HOPELESS:
            raise answer
    return answers
