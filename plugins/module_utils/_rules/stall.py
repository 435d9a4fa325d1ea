# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A stall: redeploys are in flight, and none has ended for a long time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .answers import in_flight, parse_time, target_is_terminal
from .durations import clock, duration
from .gate import FAIL, INCONCLUSIVE, PASS, Check

NAME = "stall"


def judge(rollouts: Iterable[Mapping[str, Any]], now: float, *, timeout: float) -> Check:
    """``fail`` if redeploys are in flight and none has ended for ``timeout`` seconds.

    ``rollouts``: the newest rows of E3, including ended ones. ``now``: epoch seconds by the server's clock. The facts
    contain the ids of the rollouts in flight, and for how many seconds none has ended. The time counts from the latest
    end, or from the creation of the oldest rollout in flight, whichever is later.
    """
    rows = list(rollouts)
    flying = [row for row in rows if in_flight([row])]
    made = [at for row in flying if (at := parse_time(row.get("created_at"))) is not None]
    if not flying:
        return Check(NAME, PASS, "Nothing is in flight.")
    if not made:
        return Check(NAME, INCONCLUSIVE, "The server does not say since when its rollouts are in flight.")
    ends = [at for row in rows if row not in flying and (at := parse_time(row.get("completed_at"))) is not None]
    since = max([min(made), *ends])
    ids = [str(row.get("id")) for row in flying]
    facts = {"rollouts": ids, "quiet_seconds": round(max(0.0, now - since), 1)}
    if now - since < timeout:
        ago = duration(max(0.0, now - since))
        said = f"The last redeploy ended {ago} ago." if since in ends else f"The oldest redeploy began {ago} ago."
        return Check(NAME, PASS, said, facts)
    return Check(
        NAME,
        FAIL,
        f"Nothing has ended since {clock(since)}, for {duration(now - since)}, while {len(flying)} "
        f"{'rollout is' if len(flying) == 1 else 'rollouts are'} in flight; {duration(timeout)} are allowed.",
        facts,
    )


def instances_in_flight(timelines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The instances with a target that has not ended, by host name or else by id, from rollout timelines (E1)."""
    names: list[str] = []
    for timeline in timelines:
        rows = timeline.get("timeline")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, Mapping) and not target_is_terminal(row):
                names.append(str(row.get("instance_hostname") or row.get("instance_id")))
    return names
