# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the fleet: health, versions, updates, redeploys, window, operations of the last day, age of the data."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from console.record.connection import dicts, first_value
from console.record.read import instances
from console.record.read.frames import query
from console.record.read.freshness import TenantFreshness, freshness
from console.record.read.operations import status_counts
from console.record.read.policy import WindowNow, in_flight, state_of, tenant_policy

DAY = 86400.0
UPDATE_KINDS = ("runtime", "skills", "servers")


@dataclass(frozen=True)
class Fleet:
    """The state of one tenant's fleet. Times are epoch seconds.

    tenant: the address of its API. instances: how many are known, without those that are gone from the API.
    health: healthy, degraded, unhealthy, other or not read -> how many. health_at: the oldest of these checks.
    versions: (runtime version or None if not read, how many), most first. published: the published version, from the
    newest read of an instance's updates (E25); None if not known. published_others: (version, how many, a host) for
    instances whose last read gave another published version. on_published: how many run the published version.
    updates: kind (UPDATE_KINDS, and other) -> how many instances have pending updates. updates_read: for how many
    instances this is known. in_flight: redeploys in progress on the server. limit: the policy's max_parallel_rollouts,
    0 if it is not a valid number; limit and window are None without a policy. operations: words.STATUSES -> how many
    ran in the last 24 h, for all tenants, because a run does not name its tenant. api_at, runs_at: when the API and the
    run logs were last read; None for never.
    """

    tenant: str
    instances: int
    health: dict[str, int]
    health_at: float | None
    versions: tuple[tuple[str | None, int], ...]
    published: str | None
    published_others: tuple[tuple[str, int, str], ...]
    on_published: int
    updates: dict[str, int]
    updates_read: int
    in_flight: int
    limit: int | None
    window: WindowNow | None
    operations: dict[str, int]
    api_at: float | None
    runs_at: float | None


@query
def fleets(conn: Connection, now: float) -> list[Fleet]:
    """The state of the fleet of each tenant that is not retired, sorted by address."""
    operations, fresh = status_counts(conn, now - DAY), freshness(conn)
    tenants = [tenant for tenant in fresh.tenants if tenant.retired_at is None]
    return [_fleet(conn, tenant, fresh.runs_at, operations, now) for tenant in tenants]


_HEALTH = f"""
SELECT {instances.HEALTH_WORD} AS word, count(*) AS n, min(s.checked_at) AS oldest_at, count(s.outdated) AS updates
FROM instances i LEFT JOIN instance_state s USING (tenant, instance_id) WHERE i.tenant = :tenant
AND s.health IS NOT '{instances.HEALTH_GONE}' GROUP BY word
"""  # noqa: S608 - no user input

_VERSIONS = f"""
SELECT s.runtime_current AS version, count(*) AS n
FROM instances i LEFT JOIN instance_state s USING (tenant, instance_id)
WHERE i.tenant = :tenant AND s.health IS NOT '{instances.HEALTH_GONE}'
GROUP BY version ORDER BY version IS NULL, n DESC, version DESC
"""  # noqa: S608 - no user input

_WAITING = f"""
SELECT {instances.UPDATE_KIND} AS kind, count(DISTINCT s.instance_id) AS n
FROM instance_state s, json_each(s.components_json) c
WHERE s.tenant = :tenant AND s.outdated > 0 AND json_valid(s.components_json) AND json_extract(c.value, '$.outdated')
GROUP BY kind
"""  # noqa: S608 - no user input


def _fleet(
    conn: Connection, tenant: TenantFreshness, runs_at: float | None, operations: dict[str, int], now: float
) -> Fleet:
    key = {"tenant": tenant.tenant}
    words = dicts(conn, _HEALTH, key)
    health = dict.fromkeys((*instances.HEALTH_WORDS, instances.HEALTH_OTHER, instances.HEALTH_UNREAD), 0)
    health |= {row["word"]: row["n"] for row in words}
    versions = tuple((row["version"], row["n"]) for row in dicts(conn, _VERSIONS, key))
    offered = dicts(conn, f"SELECT * FROM ({instances.PUBLISHED}) WHERE tenant = :tenant ORDER BY place", key)  # noqa: S608 - no user input
    available = [(row["version"], row["n"], row["host"]) for row in offered]
    published = available[0][0] if available else None
    waiting = {row["kind"]: row["n"] for row in dicts(conn, _WAITING, key)}
    updates = {kind: waiting.get(kind, 0) for kind in UPDATE_KINDS}
    if waiting.get("other"):
        updates["other"] = waiting["other"]
    has_policy = first_value(conn, "SELECT 1 FROM policies WHERE tenant = :tenant LIMIT 1", key) is not None
    window, slots = tenant_policy(conn, tenant.tenant)
    known = [row["oldest_at"] for row in words if row["oldest_at"] is not None]
    return Fleet(
        tenant=tenant.tenant,
        instances=sum(health.values()),
        health=health,
        health_at=min(known, default=None),
        versions=versions,
        published=published,
        published_others=tuple(available[1:]),
        on_published=sum(n for version, n in versions if published is not None and version == published),
        updates=updates,
        updates_read=sum(row["updates"] for row in words),
        in_flight=in_flight(conn, tenant.tenant),
        limit=slots if has_policy else None,
        window=state_of(window, now) if has_policy else None,
        operations=operations,
        api_at=tenant.at,
        runs_at=runs_at,
    )
