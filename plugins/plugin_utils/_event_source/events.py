# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The events: their types, their ids, and the names of the instances that they are about. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, iso_time, parse_time

from .._inventory.discovery import Instance
from .._inventory.hosts import Given, host_names, with_given

STARTED, PAUSED, RESUMED, FINISHED = ROLLOUT_EVENTS = tuple(
    f"fleetops.rollout.{word}" for word in ("started", "paused", "resumed", "finished")
)
TARGET_EVENTS = tuple(f"fleetops.target.{word}" for word in ("failed", "uncertain", "succeeded"))
UNHEALTHY, HEALTHY, GONE = HEALTH_EVENTS = tuple(
    f"fleetops.instance.{word}" for word in ("unhealthy", "healthy", "gone")
)
AUDIT_EVENT = "fleetops.audit.event"
EVENTS = (*ROLLOUT_EVENTS, *TARGET_EVENTS, *HEALTH_EVENTS, AUDIT_EVENT)
DEFAULT_EVENTS = tuple(kind for kind in EVENTS if kind not in ("fleetops.target.succeeded", AUDIT_EVENT))

# Characters of a text of the API in an event.
LONGEST_TEXT = 2000
# Seconds by which the clocks behind the API may differ.
FURTHEST_AHEAD = 600.0


class Step(NamedTuple):
    """The new known state after something was read, and the events that follow from the change."""

    known: Record
    events: list[Record]


def event(kind: str, at: str | None, occurrence: Iterable[Any], **fields: Any) -> Record:
    """One event of type ``kind``. ``at``: ISO 8601 in UTC, or None. Equal ``occurrence`` gives the same id."""
    name = json.dumps([kind, *occurrence], default=str)
    return {"type": kind, "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "at": at, "repeated": False, **fields}


def in_utc(value: Any) -> str | None:
    """A time of the API as ISO 8601 text in UTC with whole seconds; None for an invalid time."""
    return iso_time(parse_time(value))


def is_ahead(at: float | None, server_time: float) -> bool:
    """Whether a time is so far in the future that it was written while a clock was ahead."""
    return at is not None and at > server_time + FURTHEST_AHEAD


def bounded_text(value: Any) -> str | None:
    """The first 2000 characters of a text; None for an absent or empty one."""
    return None if value in (None, "") else str(value)[:LONGEST_TEXT]


def names_by_id(hostnames: Mapping[str, str | None], given: Mapping[str, Given]) -> dict[str, str]:
    """Host names by instance id, as in the inventory plugin.

    ``hostnames``: the API's host names by id. ``given``: the option ``instances``, see given_instances.
    """
    instances = with_given([Instance(i, hostname) for i, hostname in hostnames.items()], given)
    names, _problems = host_names(instances, given, by_id=False)
    return names


def addressed(row: Record, names: Mapping[str, str]) -> Record:
    """The event with the name of its instance, also as ``meta.hosts``, to which ansible-rulebook limits its actions.

    ``names``: host names by instance id.
    """
    meta: Record = {"uuid": row["id"]}
    if (instance_id := row.get("instance", {}).get("id")) is not None:
        name = names.get(instance_id)
        row = {**row, "instance": {"id": instance_id, "name": name}}
        if name:
            meta["hosts"] = name
    return {**row, "meta": meta}
