# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit events of an instance (E20, E21), generated as time passes: late ingestion, errors, denials, bad bundles."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.engine import Engine
from tests.simulator.fleet import Ids, Instance

SOURCES = ("mcp_gateway", "agent", "api")
KINDS = ("tool_call", "llm_request", "memory_write", "login")
TOOLS = {"crm": ("find_customer", "update_ticket"), "files": ("read_file", "search")}
HISTORY_S = 86400.0
# A simulator with a fast clock that runs overnight must not exhaust the memory.
MAX_EVENTS = 20_000


@dataclass
class AuditTrail:
    """Events ordered by event_ts, oldest first; `due` is the time of the next event."""

    rng: random.Random
    ids: Ids
    due: float
    events: list[dict[str, Any]] = field(default_factory=list)


def trail_of(engine: Engine, instance: Instance) -> AuditTrail:
    """The trail, brought up to now."""
    if instance.audit is None:
        start = max(instance.born, engine.started - HISTORY_S)
        rng = random.Random(f"{engine.seed}-audit-{instance.index}")
        instance.audit = AuditTrail(rng, Ids(f"{engine.seed}-audit-ids-{instance.index}"), start)
    trail: AuditTrail = instance.audit
    rate = engine.knobs.audit_per_hour
    if rate <= 0:
        trail.due = max(trail.due, engine.now)
        return trail
    while trail.due <= engine.now:
        trail.events.append(_event(engine, instance, trail, trail.due))
        trail.due += trail.rng.expovariate(rate / 3600.0)
    del trail.events[:-MAX_EVENTS]
    return trail


def _event(engine: Engine, instance: Instance, trail: AuditTrail, moment: float) -> dict[str, Any]:
    rng, knobs = trail.rng, engine.knobs
    version = instance.version("runtime", "agent-runtime", moment)
    error_share = knobs.audit_bad_versions.get(version, knobs.audit_error_share)
    number = rng.random()
    outcome = "success"
    if number < error_share + knobs.audit_denied_share:
        outcome = "error" if number < error_share else "denied"
    kind = rng.choice(KINDS)
    server = rng.choice(tuple(TOOLS)) if kind == "tool_call" else None
    lag = knobs.audit_ingest_lag_s
    return {
        "id": trail.ids.take(),
        "event_id": trail.ids.take(),
        "event_ts": moment,
        "ingested_at": moment + (rng.expovariate(1.0 / lag) if lag else 0.0),
        "event_type": kind,
        "outcome": outcome,
        "role": rng.choice(("user", "admin", "agent")),
        "source": rng.choice(SOURCES),
        "server_slug": server,
        "tool_name": rng.choice(TOOLS[server]) if server else None,
        "conversation_id": f"conv-{rng.randint(1, 4)}",
        "request_id": trail.ids.take(),
        "metadata_json": {"runtime_version": version},
    }


def ingested(engine: Engine, instance: Instance) -> list[dict[str, Any]]:
    """The events that the server has received and still keeps, newest first."""
    keep = engine.knobs.audit_retention_s
    oldest = engine.now - keep if keep is not None else float("-inf")
    rows = [
        row
        for row in trail_of(engine, instance).events
        if oldest <= row["event_ts"] and row["ingested_at"] <= engine.now
    ]
    rows.sort(key=lambda row: row[engine.knobs.audit_order], reverse=True)
    return rows


def summary(engine: Engine, instance: Instance) -> dict[str, Any]:
    """E21: counts of all events that are still kept."""
    counts = {"success": 0, "error": 0, "denied": 0}
    by_source: dict[str, int] = {}
    rows = ingested(engine, instance)
    for row in rows:
        counts[row["outcome"]] += 1
        by_source[row["source"]] = by_source.get(row["source"], 0) + 1
    return {
        "total_events": len(rows),
        "success_events": counts["success"],
        "error_events": counts["error"],
        "denied_events": counts["denied"],
        "by_source": dict(sorted(by_source.items())),
    }
