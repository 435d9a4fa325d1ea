# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The available updates and the update policies (E25) of many instances, all of which must be readable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .._client.client import FleetClient
from .._client.errors import ApiError
from .._client.pool import HOPELESS, failures, in_one_phrase, in_pool
from .._module.operation import Context
from .._rules.answers import Record


def read_updates(
    context: Context, instances: Mapping[str, Any], *, refusal: str
) -> tuple[dict[str, Record], list[str]]:
    """E25 of each instance by name, in order of names, and the names of instances that the server does not know.

    ``instances``: names to ids. Fails if an instance cannot be read, with ``refusal`` ("There is no plan") and the
    reasons.
    """
    named = sorted((str(name), str(instance_id)) for name, instance_id in instances.items())
    calls = [partial(FleetClient.get_available_updates, instance_id=instance_id) for _name, instance_id in named]
    answers = in_pool(context.client, calls, workers=context.params["workers"])
    found: dict[str, Record] = {}
    gone, unread, labels = [], [], []
    for (name, instance_id), answer in zip(named, answers, strict=True):
        if isinstance(answer, ApiError) and answer.kind == "not_found":
            gone.append(name)
        elif isinstance(answer, dict):
            found[name] = answer
        else:
            unread.append(answer)
            labels.append(f"{name} ({instance_id})")
    if unread:
        first = next((answer for answer in unread if isinstance(answer, ApiError)), None)
        if first is not None and first.kind in HOPELESS:
            raise first
        context.fail(
            f"{refusal}, since {len(unread)} of {len(named)} instances cannot be read: "
            f"{in_one_phrase(failures(labels, unread))}"
        )
    return found, gone
