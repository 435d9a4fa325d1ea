# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API says of one instance becomes rows: health (E16), updates (E25), actions (E11), memories (E17). Pure.

Of memories only their number is taken; no content gets any further than this file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import MEMORY_CAP
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    amount,
    is_healthy,
    known_count,
    normalise,
    parse_time,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.breakers import breakers_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.diagnosis import status_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.memory import may_be_cut
from ansible_collections.fleetops.agents.plugins.module_utils._rules.restart import rows_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.updates import components_of, waiting
from console.collect.api.records import text
from console.record.rows import InstanceRows, Row, to_json

_TROUBLE_MOST = 400


def health_rows(tenant: str, instance_id: str, record: Mapping[str, Any], at: float) -> InstanceRows:
    """A deep health record, read at ``at``."""
    key = {"tenant": tenant, "instance_id": instance_id}
    checked = parse_time(record.get("checked_at"))
    status = "healthy" if is_healthy(record) else normalise(record.get("status")) or "unknown"
    cached, uptime, trouble = record.get("cached"), amount(record.get("uptime_seconds")), trouble_of(record)
    check: Row = {
        **key,
        "checked_at": checked if checked is not None else at,
        "checked_raw": text(record.get("checked_at")),
        "status": text(status) or "unknown",
        "status_raw": text(record.get("status")),
        "cached": int(cached) if isinstance(cached, bool) else None,
        "uptime_s": uptime,
        "trouble": trouble,
        "subsystems_json": to_json(record["subsystems"]) if record.get("subsystems") else None,
    }
    state: Row = {
        **key,
        "health": check["status"],
        "checked_at": checked,
        "uptime_s": uptime,
        "trouble": trouble,
    }
    return InstanceRows(state=state, health=check)


def trouble_of(record: Mapping[str, Any]) -> str | None:
    """Sick subsystems and open circuit breakers in words: ``database: unhealthy; breakers open: openai``."""
    parts = record.get("subsystems")
    said = []
    for name, part in parts.items() if isinstance(parts, Mapping) else ():
        word = status_of(part)
        if word is not None and not is_healthy({"status": word}):
            said.append(f"{name}: {word}")
    breakers = breakers_of(parts).open
    if breakers:
        said.append(f"breakers open: {', '.join(breakers)}")
    whole_text = text("; ".join(said))
    if whole_text is not None and len(whole_text) > _TROUBLE_MOST:
        return whole_text[: _TROUBLE_MOST - 4] + " ..."
    return whole_text


def update_rows(tenant: str, instance_id: str, record: Mapping[str, Any], at: float) -> InstanceRows:
    """The available updates, read at ``at``."""
    key = {"tenant": tenant, "instance_id": instance_id}
    components = components_of(record)
    runtime = next((c for c in components if c.kind == "runtime"), None)
    listed = [
        {"name": c.name, "current": c.current, "available": c.available, "outdated": c.outdated} for c in components
    ]
    policy = record.get("update_policy")
    current = text(runtime.current) if runtime else None
    state: Row = {
        **key,
        "runtime_current": current,
        "runtime_available": text(runtime.available) if runtime else None,
        "outdated": waiting(record),
        "components_json": to_json(listed) if listed else None,
        "policy_json": to_json(policy) if isinstance(policy, Mapping) and policy else None,
    }
    versions: Row = {
        **key,
        "taken_at": at,
        "runtime": current,
        "versions_json": to_json({c.name: c.current for c in components}),
    }
    return InstanceRows(state=state, versions=versions if components else None)


def memory_rows(tenant: str, instance_id: str, record: Mapping[str, Any]) -> InstanceRows:
    """How many memories there are; the list is read with the API's largest limit."""
    listed = record.get("memories")
    length = len(listed) if isinstance(listed, list) else 0
    count = max(known_count(record.get("count")) or 0, length)
    state: Row = {
        "tenant": tenant,
        "instance_id": instance_id,
        "memories": count,
        "memories_full": int(may_be_cut(length, record, MEMORY_CAP) and count <= length),
    }
    return InstanceRows(state=state)


def action_rows(tenant: str, instance_id: str, answer: Mapping[str, Any]) -> list[Row]:
    """The rows of an answer of E11, newest first, each id once."""
    rows = (_action_row(tenant, instance_id, record) for record in rows_of(answer))
    return list({row["action_id"]: row for row in reversed(list(rows))}.values())[::-1]


def _action_row(tenant: str, instance_id: str, record: Mapping[str, Any]) -> Row:
    word = _first(record, ("action", "action_type", "type"))
    created, completed = record.get("created_at"), record.get("completed_at")
    identity = _first(record, ("action_id", "id"))
    if identity is None:
        # Not over the whole record: its status will change.
        told = to_json([word, text(created)])
        identity = "sha1:" + hashlib.sha1(told.encode(), usedforsecurity=False).hexdigest()[:20]
    return {
        "tenant": tenant,
        "instance_id": instance_id,
        "action_id": identity,
        "action": word,
        "status": text(normalise(record.get("status"))) or "unknown",
        "status_raw": text(record.get("status")),
        "message": text(record.get("message")),
        "actor": _first(record, ("actor", "initiated_by", "requested_by", "user", "source")),
        "created_at": parse_time(created),
        "created_raw": text(created),
        "completed_at": parse_time(completed),
        "completed_raw": text(completed),
        "duration_ms": amount(record.get("duration_ms")),
        "detail_json": to_json(record["detail"]) if record.get("detail") else None,
    }


def _first(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((found for name in names if (found := text(record.get(name))) is not None), None)
