# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Health and audit of one instance: the new known state and the events, from the old state and new records. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    is_healthy,
    normalise,
    parse_time,
)

from .events import AUDIT_EVENT, GONE, HEALTHY, UNHEALTHY, Step, bounded_text, event, in_utc, is_ahead

NEVER_CHECKED = {"state": None, "streak": 0, "checked_at": None}
# An audit event that appears more than this many seconds after a newer one is missed.
AUDIT_LATENESS = 600.0
# Stands for the time of an audit event that has none. It stays known, and does not make other events old.
NO_TIME = 9e15
_AUDIT_FIELDS = (
    "event_type", "outcome", "role", "source", "server_slug", "tool_name", "conversation_id", "request_id",
)  # fmt: skip


def health_step(
    known: Mapping[str, Any] | None,
    instance_id: str,
    health: Record | None,
    *,
    needed: int = 1,
    excused: float = 0,
    server_time: float = math.inf,
) -> Step:
    """The step for one deep health record (E16). ``health``: None if the server does not know the instance.

    ``needed``: how many consecutive checks must find the instance unhealthy. ``excused``: until this time (epoch
    seconds) a deployment explains that it is unhealthy. ``server_time``: the server's clock (epoch seconds). A known
    check that is far ahead of it was made while a clock was ahead, so this one is newer.

    ``known``: None, or state (None, healthy, unhealthy, gone), streak (how many consecutive checks found it unhealthy),
    checked_at of the newest check, and gone_at, since when (epoch seconds) the server has not known the instance.
    """
    old: Record = dict(known or NEVER_CHECKED)
    subject = {"instance": {"id": instance_id}}
    if health is None:
        new = {"state": "gone", "streak": 0, "checked_at": None, "gone_at": old.get("gone_at", server_time)}
        gone = event(GONE, None, [instance_id, old["checked_at"]], **subject)
        return Step(new, [] if old["state"] == "gone" else [gone])
    checked = bounded_text(health.get("checked_at"))
    previous, now = parse_time(old["checked_at"]), parse_time(checked)
    was_ahead = is_ahead(previous, server_time)
    if previous is not None and now is not None and (now == previous or (now < previous and not was_ahead)):
        return Step(old, [])
    about = {
        "status": normalise(health.get("status")),
        "checked_at": in_utc(checked),
        "cached": health.get("cached") is not False,
        "unwell": unhealthy_subsystems(health.get("subsystems")),
    }
    occurrence = [instance_id, checked]
    if is_healthy(health):
        turned = event(HEALTHY, in_utc(checked), occurrence, health=about, **subject)
        new = {"state": "healthy", "streak": 0, "checked_at": checked}
        return Step(new, [] if old["state"] in (None, "healthy") else [turned])
    if now is not None and now < excused:
        return Step(old, [])
    streak = old["streak"] + 1
    if old["state"] == "unhealthy" or streak < needed:
        return Step({"state": old["state"], "streak": streak, "checked_at": checked}, [])
    new = {"state": "unhealthy", "streak": streak, "checked_at": checked}
    return Step(new, [event(UNHEALTHY, in_utc(checked), occurrence, health=about, **subject)])


def unhealthy_subsystems(subsystems: Any) -> list[str]:
    """The names of the subsystems that are not healthy, sorted."""
    if not isinstance(subsystems, dict):
        return []
    states = {name: part if isinstance(part, dict) else {"status": part} for name, part in subsystems.items()}
    return sorted(str(name) for name, state in states.items() if not is_healthy(state))


def new_audit_events(known: Mapping[str, Any], rows: Iterable[Record]) -> list[Record]:
    """The rows of a page of audit events that are neither known nor too old. ``known``: see audit_step."""
    floor = known["floor"]
    return [
        row
        for row in rows
        if row.get("id") is not None
        and str(row["id"]) not in known["ids"]
        and (floor is None or (audit_time(row) or floor + 1) > floor)
    ]


def audit_time(row: Mapping[str, Any]) -> float | None:
    """When an audit event happened, or else when it was recorded, in epoch seconds; None if both are unknown."""
    at = parse_time(row.get("event_ts"))
    return at if at is not None else parse_time(row.get("ingested_at"))


def audit_step(
    known: Mapping[str, Any],
    instance_id: str,
    rows: Iterable[Record],
    outcomes: Iterable[str],
    *,
    server_time: float = math.inf,
) -> Step:
    """The step for the rows (E20) of an instance that may be new. ``outcomes``: only these outcomes cause events.

    ``server_time``: the floor stays below it, even if a row has a later time. Otherwise it would hide what follows.

    ``known``: floor (epoch seconds or None; older events are ignored), ids (id -> epoch seconds) above the floor, and
    end, the number of rows in the list if it begins with the oldest row, else 0.
    """
    new = {str(row["id"]): row for row in new_audit_events(known, rows)}
    ids = {**known["ids"], **{i: NO_TIME if (at := audit_time(row)) is None else at for i, row in new.items()}}
    newest = max((at for at in ids.values() if at != NO_TIME), default=None)
    floor = known["floor"]
    if newest is not None:
        floor = max(min(newest, server_time) - AUDIT_LATENESS, floor if floor is not None else float("-inf"))
    kept = {event_id: at for event_id, at in ids.items() if floor is None or at > floor}
    wanted = {normalise(word) for word in outcomes}
    events = [_audit_event(instance_id, row) for row in new.values() if normalise(row.get("outcome")) in wanted]
    events.sort(key=lambda row: row["at"] or "")
    return Step({**known, "floor": floor, "ids": kept}, events)


def _audit_event(instance_id: str, row: Mapping[str, Any]) -> Record:
    about = {name: bounded_text(row.get(name)) for name in _AUDIT_FIELDS}
    about["id"] = str(row["id"])
    return event(AUDIT_EVENT, in_utc(row.get("event_ts")), [instance_id, row["id"]], audit=about,
                 instance={"id": instance_id})  # fmt: skip
