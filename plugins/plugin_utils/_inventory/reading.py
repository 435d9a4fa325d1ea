# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a fleet from the API for the inventory: the list of rollouts, each rollout, and each instance. I/O only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    ROLLOUT_TIMES,
    ROLLOUTS_PAGE,
    FleetClient,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import read_list
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import Call, failures, in_pool
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    is_single_target,
    normalise,
    runtime_component,
    text_or_none,
)

from .discovery import Instance, RolloutReading, choose_rollouts, instances_of


class Fleet(NamedTuple):
    """The instances that were found, sorted by id, and a phrase for each problem."""

    instances: list[Instance]
    problems: list[str]


def read_fleet(client: FleetClient, *, fleet: int, single: int, workers: int) -> Fleet:
    """Read E3 as far as needed, then E1 and E4 of each rollout. A failed call is one of the problems.

    ``fleet`` and ``single``: how many of the newest fleet rollouts and of the newest rollouts of single instances.
    """
    if fleet < 1 and single < 1:
        return Fleet([], [])
    try:
        rows = read_history(client, fleet, single)
    except ApiError as failure:
        return Fleet([], [f"the list of rollouts: {failure}"])
    choice = choose_rollouts(rows, fleet=fleet, single=single)
    ids = [str(row["id"]) for row in choice.rollouts]
    calls: list[Call] = [partial(FleetClient.get_rollout_timeline, rollout_id=i) for i in ids]
    calls += [partial(FleetClient.get_rollout, rollout_id=i) for i in ids]
    answers = in_pool(client, calls, workers=workers)
    problems = choice.problems + failures(
        [f"timeline of rollout {i}" for i in ids] + [f"targets of rollout {i}" for i in ids], answers
    )
    timelines, targets = answers[: len(ids)], answers[len(ids) :]
    readings = [
        RolloutReading(row, _record(timeline), _record(target))
        for row, timeline, target in zip(choice.rollouts, timelines, targets, strict=True)
    ]
    instances, missing = instances_of(readings)
    return Fleet(instances, problems + missing)


def read_history(client: FleetClient, fleet: int, single: int) -> list[Record]:
    """The rows of E3 down to the page with enough rollouts of both kinds, or to the end of the list.

    ``fleet`` and ``single``: see read_fleet. Raises ApiError.
    """
    rows: dict[str, Record] = {}
    ids: dict[bool, set[str]] = {False: set(), True: set()}

    def fetch(limit: int, offset: int) -> list[Record]:
        page = client.list_fleet_rollouts(limit=limit, offset=offset)
        # If a row is read twice, the later answer is kept. A row without an id is kept so that it is counted.
        rows.update({str(row.get("id") or f"no id, {offset} {place}"): row for place, row in enumerate(page)})
        for row in page:
            ids[is_single_target(row)].add(str(row.get("id")))
        return page

    def deep_enough(_row: Record) -> bool:
        return len(ids[False]) >= fleet and len(ids[True]) >= single

    read_list(fetch, page=ROLLOUTS_PAGE, until=deep_enough, times=ROLLOUT_TIMES)
    return list(rows.values())


def enrich(client: FleetClient, instances: Sequence[Instance], *, updates: bool, health: bool, workers: int) -> Fleet:
    """The instances with data from E25 (``updates``) and E16 (``health``, the stored record).

    An instance that the server no longer knows (status 404) is marked as gone. This is not a problem.
    """
    ids = [instance.instance_id for instance in instances]
    reads: list[tuple[str, Callable[..., Any]]] = []
    if updates:
        reads.append(("updates", FleetClient.get_available_updates))
    if health:
        reads.append(("health", FleetClient.get_deep_health))
    calls: list[Call] = [partial(read, instance_id=i) for _what, read in reads for i in ids]
    answers = in_pool(client, calls, workers=workers)
    asked = [(what, i) for what, _read in reads for i in ids]
    labels = [f"{what} of instance {i}" for what, i in asked]
    gone = [_is_gone(answer) for answer in answers]
    problems = failures(
        [label for label, left in zip(labels, gone, strict=True) if not left],
        [answer for answer, left in zip(answers, gone, strict=True) if not left],
    )
    found: dict[str, dict[str, Any]] = {i: {"gone": False} for i in ids}
    for (what, i), answer, is_gone in zip(asked, answers, gone, strict=True):
        found[i]["gone"] = found[i]["gone"] or is_gone
        if _record(answer) is not None:
            found[i].update(_updates(answer) if what == "updates" else _health(answer))
    return Fleet([instance._replace(**found[instance.instance_id]) for instance in instances], problems)


def _record(answer: Any) -> Record | None:
    return answer if isinstance(answer, dict) else None


def _is_gone(answer: Any) -> bool:
    return isinstance(answer, ApiError) and answer.kind == "not_found"


def _updates(answer: Record) -> Record:
    runtime = runtime_component(answer)
    # Not total_available, which also counts skills and MCP servers.
    has_update = runtime.get("has_update")
    return {
        "update_available": has_update if isinstance(has_update, bool) else None,
        "runtime_version": text_or_none(runtime.get("current_version")),
        "available_version": text_or_none(runtime.get("available_version")),
    }


def _health(answer: Record) -> Record:
    return {"health": normalise(answer.get("status")) or None}
