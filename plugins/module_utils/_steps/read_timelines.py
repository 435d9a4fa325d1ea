# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The timelines (E1) of recent rollouts, for figures that are less exact if some cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .._client.client import ROLLOUTS_PAGE, FleetClient
from .._client.errors import ApiError
from .._client.pool import failures, in_one_phrase, in_pool
from .._module.operation import Context
from .._rules.answers import Record


def read_timelines(
    context: Context, choose: Callable[[list[Record]], list[Record]], *, without: str, with_fewer: str
) -> list[Record]:
    """The timelines of those of the newest rollouts that ``choose`` selects. None is read if ``history`` is 0.

    What cannot be read is a warning. It begins with ``without`` if the rollouts cannot be listed, and with
    ``with_fewer`` if a timeline cannot be read. Raises ApiError if the server refuses the key.
    """
    if context.params["history"] == 0:
        return []
    try:
        rows = context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE)
    except ApiError as error:
        if error.kind == "auth":
            raise
        context.warn(f"{without}, since the rollouts cannot be read: {error}")
        return []
    ids = [str(row["id"]) for row in choose([row for row in rows if row.get("id")])]
    calls = [partial(FleetClient.get_rollout_timeline, rollout_id=rollout_id) for rollout_id in ids]
    answers = in_pool(context.client, calls, workers=context.params["workers"])
    unread = failures([f"the timeline of rollout {i}" for i in ids], answers)
    if unread:
        context.warn(f"{with_fewer}: {in_one_phrase(unread)}")
    return [answer for answer in answers if isinstance(answer, dict)]
