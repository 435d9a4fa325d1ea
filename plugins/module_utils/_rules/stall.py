# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A stall: redeploys are in flight, and none has ended for a long time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .answers import in_flight, parse_time, records_in, target_is_terminal
from .durations import clock, duration
from .gate import FAIL, INCONCLUSIVE, PASS, Check
from .record_words import text_of

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
        return Check(NAME, INCONCLUSIVE, "The server does not report when its rollouts in flight began.")
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


def with_instances(check: Check, timelines: Iterable[Mapping[str, Any]]) -> Check:
    """``check`` with the instances in flight in its reason, or with their rollouts if no instance is known.

    ``timelines``: those (E1) of the rollouts in flight. An instance is named by its host name or else by its id.
    """
    names = [
        text_of(row, "instance_hostname", text_of(row, "instance_id", ""))
        for timeline in timelines
        for row in records_in(timeline.get("timeline"))
        if not target_is_terminal(row)
    ]
    named = ", ".join(filter(None, names)) or f"the rollouts {', '.join(check.facts['rollouts'])}"
    return replace(check, reason=f"{check.reason} In flight: {named}.")
