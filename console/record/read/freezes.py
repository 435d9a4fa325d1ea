# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When changes are frozen, as the newest plans of the playbooks say (fleetops_freezes)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from console.record.read.frames import query
from console.record.read.operation_facts import name_of
from console.text.json_values import listed, mapping, names, parsed

PLANS_SECONDS = 35 * 86400.0
"""How old a plan may be: it names the freezes of the 35 days after it."""


@dataclass(frozen=True)
class FrozenTime:
    """One time in which changes are frozen, from start to end (epoch seconds). reason: '' where none was given.

    run_id, name, told_at: the run whose plan says so, its playbook, and when it planned.
    """

    start: float
    end: float
    reason: str
    run_id: str
    name: str
    told_at: float | None


@dataclass(frozen=True)
class Frozen:
    """times: those that are not over, in order. plans: how many plans were looked at, one for each playbook: its
    newest. unnamed: how many of them do not say when changes are frozen (of a version before, or they could not read
    their calendar)."""

    times: tuple[FrozenTime, ...]
    plans: int
    unnamed: int

    def at(self, now: float) -> FrozenTime | None:
        """The time that ``now`` is in, the one that ends last; None outside of all."""
        return max((one for one in self.times if one.start <= now < one.end), key=lambda one: one.end, default=None)

    def next_after(self, now: float) -> FrozenTime | None:
        """The time that begins next; None without one."""
        return next((one for one in self.times if one.start > now), None)


@query
def frozen(conn: Connection, now: float, tenant: str = "") -> Frozen:
    """When changes are frozen from ``now`` on, by the newest plan of each playbook.

    tenant: only plans that name an instance of this tenant count, as a run does not name the tenant that it works on.
    """
    sql = """
    SELECT r.run_id, r.playbook, e.at, e.document_json
    FROM runs r JOIN run_evidence e ON e.run_id = r.run_id AND e.kind = 'plan'
    WHERE r.started_at >= :since AND json_valid(e.document_json)
    ORDER BY e.at DESC, e.counter DESC
    """
    rows = conn.execute(sql, {"since": now - PLANS_SECONDS})
    hosts = _hosts_of(conn, tenant) if tenant else None
    newest: dict[str, tuple[str, float | None, Any]] = {}
    for run_id, playbook, at, document in rows:
        name = name_of(playbook)
        if name not in newest:
            plan = parsed(document)
            if hosts is None or not hosts.isdisjoint(_instances(plan)):
                newest[name] = (run_id, at, plan.get("freezes"))
    found: dict[tuple[float, float, str], FrozenTime] = {}
    for name, (run_id, at, entries) in newest.items():
        for entry in map(mapping, listed(entries)):
            match (parse_time(entry.get("from")), parse_time(entry.get("to"))):
                case (float(start), float(end)) if start < end and end > now:
                    reason = str(entry.get("reason") or "")
                    # Of several plans that say the same the newest is named.
                    found.setdefault((start, end, reason), FrozenTime(start, end, reason, run_id, name, at))
    unnamed = sum(not isinstance(entries, list) for _run_id, _at, entries in newest.values())
    return Frozen(tuple(found[key] for key in sorted(found)), len(newest), unnamed)


def _hosts_of(conn: Connection, tenant: str) -> frozenset[str]:
    found = conn.execute("SELECT hostname FROM instances WHERE tenant = ? AND hostname IS NOT NULL", (tenant,))
    return frozenset(host for (host,) in found)


def _instances(plan: Mapping[str, Any]) -> set[str]:
    """The instances that a plan names: those in its batches, and those that it leaves alone."""
    batches = map(mapping, listed(plan.get("batches")))
    return {*names(plan.get("left_alone")), *(name for batch in batches for name in names(batch.get("instances")))}
