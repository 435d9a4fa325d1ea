# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Converts the API's records to rows. Pure. Times are parsed, and the text that the API sent is kept with them.

The rows are described in console/record/schema. The records are those of the endpoints E1, E3, E4, E9, E20 and E21 and,
for single instances, health (E16), updates (E25), actions (E11) and memories (E17). A field that is absent, null or of
another type becomes NULL or 0; nothing is guessed. Only the number of memories is stored, never their content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import MEMORY_CAP
from ansible_collections.fleetops.agents.plugins.module_utils._rules import answers
from ansible_collections.fleetops.agents.plugins.module_utils._rules.breakers import breakers_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.diagnosis import status_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from ansible_collections.fleetops.agents.plugins.module_utils._rules.memory import listing_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.restart import rows_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.updates import components_of, waiting
from console.record.rows import InstanceRows, Row, as_text, to_json
from console.text.json_values import mapping
from console.text.message_fingerprint import FP_VERSION, fingerprint

_COUNTED = ("total", "queued", "in_progress", "succeeded", "failed", "uncertain")


def rollout_row(tenant: str, record: Mapping[str, Any], targets: Sequence[answers.Record] | None = None) -> Row:
    """A row of rollouts from E3 or E4. If ``targets`` are given, they also decide whether the rollout is open, and the
    counters that are missing in the record are counted from them; otherwise these are 0."""
    tally = answers.counters(record)
    if targets:
        counted = answers.counters_of_targets(targets).as_dict()
        known = _counters_of(record)
        tally = replace(tally, **{name: counted[name] for name in _COUNTED if name not in known})
    return {
        "tenant": tenant,
        "rollout_id": str(record["id"]),
        **_texts(record, "scope", "initiated_from_ip"),
        "status": answers.rollout_status(record.get("status")) or "unknown",
        "status_raw": as_text(record.get("status")),
        "is_open": int(not answers.rollout_is_terminal(record, targets)),
        **_times(record, "created_at", "completed_at"),
        **tally.as_dict(),
        "metadata_json": _json(record.get("metadata_json")),
    }


def same_state(row: Row, stored: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a listed rollout (``record``, and its ``row``) has not changed since it was stored. Only the counters
    that the record contains are compared."""
    return all(row[name] == stored[name] for name in ("status_raw", "completed_raw", *_counters_of(record)))


def has_all_counters(record: Mapping[str, Any]) -> bool:
    """Whether a listed rollout has all counters, so that they show whether the status of a target has changed."""
    return len(_counters_of(record)) == len(_COUNTED)


def _counters_of(record: Mapping[str, Any]) -> list[str]:
    """Which of its counters a listed rollout has."""
    return [name for name in _COUNTED if answers.known_count(record.get(f"{name}_targets")) is not None]


def target_rows(
    tenant: str, rollout_id: str, targets: Sequence[Mapping[str, Any]], timeline: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Rows of rollout_targets: E4's ``targets`` merged with E1's ``timeline`` by target id, in the timeline's order.

    E1 is read after E4 and takes precedence, except for the spelling of ids. Only E4 has bundle_hash, celery_task_id
    and detail_json; only E1 has the host name and the duration. A record without an id is left out.
    """
    merged: dict[str, dict[str, Any]] = {}
    for entry in timeline:
        if as_text(entry.get("target_id")):
            merged[id_key(entry["target_id"])] = {**entry, "id": entry["target_id"]}
    for target in targets:
        if as_text(target.get("id")):
            ids = {name: target[name] for name in ("id", "instance_id") if as_text(target.get(name))}
            entry = merged.get(id_key(target["id"]), {})
            known = {k: v for k, v in entry.items() if k not in target or v is not None}
            merged[id_key(target["id"])] = {**target, **known, **ids}
    return [_target_row(tenant, rollout_id, str(row["id"]), at, row) for at, row in enumerate(merged.values())]


def _target_row(tenant: str, rollout_id: str, target_id: str, position: int, record: Mapping[str, Any]) -> Row:
    hostname, error = as_text(record.get("instance_hostname")), as_text(record.get("error_message"))
    return {
        "tenant": tenant,
        "rollout_id": rollout_id,
        "target_id": target_id,
        "position": position,
        "hostname": hostname,
        "status": answers.target_status(record.get("status")) or "unknown",
        "status_raw": as_text(record.get("status")),
        "is_open": int(not answers.target_is_terminal(record)),
        **_times(record, "created_at", "started_at", "completed_at"),
        "duration_s": answers.amount(record.get("duration_seconds")),
        "countdown_s": answers.amount(record.get("scheduled_countdown_seconds")),
        **_texts(record, "instance_id", "last_result_status", "bundle_hash", "celery_task_id"),
        "error_message": error,
        "msg_fp": fingerprint(error, hostname) if error else None,
        "fp_version": FP_VERSION if error else None,
        "detail_json": _json(record.get("detail_json")),
    }


def policy_row(tenant: str, record: Mapping[str, Any], at: float) -> Row:
    """A row of policies from E9."""
    return {
        "tenant": tenant,
        "taken_at": at,
        "max_parallel_rollouts": answers.whole(record.get("max_parallel_rollouts")),
        "window_start_hour": answers.whole(record.get("maintenance_window_start_hour_utc")),
        "window_end_hour": answers.whole(record.get("maintenance_window_end_hour_utc")),
        **_texts(record, "runtime_default", "skills_default", "mcp_servers_default"),
        "raw_json": to_json(record),
    }


def audit_row(tenant: str, instance_id: str, record: Mapping[str, Any]) -> Row:
    """A row of audit_events from E20; the record has an ``id``."""
    return {
        "tenant": tenant,
        "instance_id": instance_id,
        "id": str(record["id"]),
        "event_ts": answers.parse_time(record.get("event_ts")),
        "event_ts_raw": as_text(record.get("event_ts")),
        **_times(record, "ingested_at"),
        **_texts(record, "event_id", "source", "event_type", "outcome", "role", "tool_name", "server_slug"),
        **_texts(record, "conversation_id", "request_id"),
        "metadata_json": _json(record.get("metadata_json")),
    }


def summary_row(tenant: str, instance_id: str, record: Mapping[str, Any], at: float) -> Row:
    """A row of audit_summaries from E21."""
    return {
        "tenant": tenant,
        "instance_id": instance_id,
        "taken_at": at,
        **{word: answers.count(record.get(f"{word}_events")) for word in ("total", "success", "error", "denied")},
        "by_source_json": _json(record.get("by_source")),
    }


def _texts(record: Mapping[str, Any], *names: str) -> Row:
    return {name: as_text(record.get(name)) for name in names}


def _times(record: Mapping[str, Any], *names: str) -> Row:
    row: Row = {}
    for name in names:
        row[name] = answers.parse_time(record.get(name))
        row[name.replace("_at", "_raw")] = as_text(record.get(name))
    return row


def _json(value: Any) -> str | None:
    return to_json(value) if value else None


_MAX_TROUBLE = 400


def health_rows(tenant: str, instance_id: str, record: Mapping[str, Any], at: float) -> InstanceRows:
    """The rows of a deep health record, read at ``at``."""
    key = {"tenant": tenant, "instance_id": instance_id}
    checked = answers.parse_time(record.get("checked_at"))
    status = "healthy" if answers.is_healthy(record) else answers.normalise(record.get("status")) or "unknown"
    cached, uptime, trouble = record.get("cached"), answers.amount(record.get("uptime_seconds")), trouble_of(record)
    check: Row = {
        **key,
        "checked_at": checked if checked is not None else at,
        "checked_raw": as_text(record.get("checked_at")),
        "status": as_text(status) or "unknown",
        "status_raw": as_text(record.get("status")),
        "cached": int(cached) if isinstance(cached, bool) else None,
        "uptime_s": uptime,
        "trouble": trouble,
        "subsystems_json": _json(record.get("subsystems")),
    }
    state: Row = {**key, "health": check["status"], "checked_at": checked, "uptime_s": uptime, "trouble": trouble}
    return InstanceRows(state=state, health=check)


def trouble_of(record: Mapping[str, Any]) -> str | None:
    """Unhealthy subsystems and open circuit breakers, such as ``database: unhealthy; breakers open: openai``."""
    parts = record.get("subsystems")
    found = []
    for name, part in mapping(parts).items():
        word = status_of(part)
        if word is not None and not answers.is_healthy({"status": word}):
            found.append(f"{name}: {word}")
    breakers = breakers_of(parts).open
    if breakers:
        found.append(f"breakers open: {', '.join(breakers)}")
    trouble = as_text("; ".join(found))
    if trouble is not None and len(trouble) > _MAX_TROUBLE:
        return trouble[: _MAX_TROUBLE - 4] + " ..."
    return trouble


def update_rows(tenant: str, instance_id: str, record: Mapping[str, Any], at: float) -> InstanceRows:
    key = {"tenant": tenant, "instance_id": instance_id}
    components = components_of(record)
    runtime = next((c for c in components if c.kind == "runtime"), None)
    listed = [
        {"name": c.name, "current": c.current, "available": c.available, "outdated": c.outdated} for c in components
    ]
    policy = record.get("update_policy")
    current = as_text(runtime.current) if runtime else None
    state: Row = {
        **key,
        "runtime_current": current,
        "runtime_available": as_text(runtime.available) if runtime else None,
        "outdated": waiting(record),
        "components_json": _json(listed),
        "policy_json": _json(policy if isinstance(policy, Mapping) else None),
    }
    versions: Row = {
        **key,
        "taken_at": at,
        "runtime": current,
        "versions_json": to_json({c.name: c.current for c in components}),
    }
    return InstanceRows(state=state, versions=versions if components else None)


def memory_rows(tenant: str, instance_id: str, record: Mapping[str, Any]) -> InstanceRows:
    """The number of memories, if they can be read. ``record``: the list, read with the API's largest limit."""
    found = listing_of(record, MEMORY_CAP)
    counted = max(answers.known_count(record.get("count")) or 0, found.listed)
    state: Row = {
        "tenant": tenant,
        "instance_id": instance_id,
        "memories": counted,
        "memories_full": int(found.truncated and counted <= found.listed),
    }
    return InstanceRows(state=state if found.available else None)


def action_rows(tenant: str, instance_id: str, answer: Mapping[str, Any]) -> list[Row]:
    """The rows of a response of E11, newest first, each id once."""
    rows = (_action_row(tenant, instance_id, record) for record in rows_of(answer))
    return list({row["action_id"]: row for row in reversed(list(rows))}.values())[::-1]


def _action_row(tenant: str, instance_id: str, record: Mapping[str, Any]) -> Row:
    word = _first(record, ("action", "action_type", "type"))
    identity = _first(record, ("action_id", "id"))
    if identity is None:
        # The hash must not include the status, which will change.
        key = to_json([word, as_text(record.get("created_at"))])
        identity = "sha1:" + hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()[:20]
    return {
        "tenant": tenant,
        "instance_id": instance_id,
        "action_id": identity,
        "action": word,
        "status": as_text(answers.normalise(record.get("status"))) or "unknown",
        "status_raw": as_text(record.get("status")),
        "message": as_text(record.get("message")),
        "actor": _first(record, ("actor", "initiated_by", "requested_by", "user", "source")),
        **_times(record, "created_at", "completed_at"),
        "duration_ms": answers.amount(record.get("duration_ms")),
        "detail_json": _json(record.get("detail")),
    }


def _first(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((found for name in names if (found := as_text(record.get(name))) is not None), None)
