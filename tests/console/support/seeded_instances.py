# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds to the databases of seeded.py what a sync with --details stores: health, versions, actions and policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console.collect.api.records import action_rows, health_rows, memory_rows, policy_row, update_rows
from console.record.rows import Cursor, InstanceRows
from console.record.write.store import Store, open_store
from tests.console.support.seeded import HOSTILE, TENANT, fleet_rollout, host_name, ident, iso

INSTANCE = ident(1, 0xB0)
"""An instance whose deployment has failed, and that is now degraded."""

NAME = host_name(1)


def put(store: Store, kind: str, number: int, rows: InstanceRows, at: float) -> None:
    store.put_instance(rows, Cursor(kind, f"{TENANT}|{ident(number, 0xB0)}", last_ok_at=at))


def health(number: int, at: float, status: str = "healthy", **subsystems: Any) -> InstanceRows:
    record = {"status": status, "checked_at": iso(at), "uptime_seconds": 93_600.5, "cached": True}
    return health_rows(TENANT, ident(number, 0xB0), {**record, "subsystems": {"agent": "healthy", **subsystems}}, at)


def updates(number: int, at: float, running: str = "2.4.0", available: str = "2.4.0") -> InstanceRows:
    def component(kind: str, slug: str, now: str, newest: str) -> dict[str, Any]:
        return {"component_type": kind, "slug": slug, "current_version": now, "available_version": newest,
                "has_update": now != newest}  # fmt: skip

    record = {
        "runtime": component("runtime", "runtime", running, available),
        "skills": [component("skills", "calendar", "1.1.0", "1.1.0"), component("skills", HOSTILE, "0.9", "0.9")],
        "mcp_servers": [component("mcp_servers", "github", "3.0.1", "3.0.1")],
        "total_available": int(running != available),
    }
    return update_rows(TENANT, ident(number, 0xB0), record, at)


def actions(number: int, now: float, count: int) -> InstanceRows:
    words = ("run_diagnostics", "power_cycle", "clear_circuit_breakers", "reboot")
    rows = []
    for index in range(count):
        at = now - 600 - index * 4000
        rows.append(
            {
                "action_id": ident(index, 0xC0 + number),
                "action": words[index % 4],
                "created_at": iso(at),
                "status": ("completed", "completed", "failed", "timeout")[index % 4],
                "duration_ms": 2100 + index,
                "completed_at": iso(at + 2),
                "message": HOSTILE if index == 2 else None,
            }
        )
    return InstanceRows(actions=action_rows(TENANT, ident(number, 0xB0), {"actions": rows}))


def policy(now: float, **changed: Any) -> dict[str, Any]:
    """A policy whose window began three hours ago and ends in two hours, so it stays open if the hour changes."""
    hour = int(now // 3600) % 24
    return {
        "maintenance_window_start_hour_utc": (hour - 3) % 24,
        "maintenance_window_end_hour_utc": (hour + 2) % 24,
        "max_parallel_rollouts": 2,
        "runtime_default": "notify",
        "skills_default": "notify",
        "mcp_servers_default": "disabled",
        **changed,
    }


def seed_details(path: Path, now: float, most: int = 20) -> None:
    """Details of the first ``most`` instances, and health of three days for the first two, with a gap of one day."""
    with open_store(path) as store:
        for number in range(most):
            ill = number == 1
            if number < 2:
                for step in range(140):
                    at = now - 3 * 86400 + step * 1800
                    if not now - 2 * 86400 < at < now - 86400:
                        sick = ill and step % 60 > 40
                        put(store, "health", number, health(number, at, "degraded" if sick else "healthy"), now)
            last = health(number, now - 300, "degraded", database="unhealthy", note=HOSTILE) if ill else None
            put(store, "health", number, last or health(number, now - 300), now)
            put(store, "updates", number, updates(number, now - 86400 * 2, "2.3.0"), now)
            put(store, "updates", number, updates(number, now, "2.4.0", "2.5.0" if number % 5 == 1 else "2.4.0"), now)
            counted = {"memories": [{}] * (200 if number == 2 else number), "count": 200 if number == 2 else number}
            put(store, "memory", number, memory_rows(TENANT, ident(number, 0xB0), counted), now)
        put(store, "actions", 1, actions(1, now, 30), now)
        put(store, "actions", 0, InstanceRows(), now)
        store.put_policy(policy_row(TENANT, policy(now, max_parallel_rollouts=5), now - 86400))
        store.put_policy(policy_row(TENANT, policy(now), now - 3600))


def seed_many(path: Path, now: float, count: int = 20_000) -> None:
    """A finished rollout of 20,000 instances, every tenth with details."""
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([fleet_rollout(ident(9, 0x4D04ED99), count, 50, now - 30000)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
        for number in range(0, count, 10):
            put(
                store, "health", number, health(number, now - 300, "unhealthy" if number % 200 == 0 else "healthy"), now
            )
            put(store, "updates", number, updates(number, now, "2.3.0", "2.4.0" if number % 30 == 0 else "2.3.0"), now)
