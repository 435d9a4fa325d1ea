# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the fleet: health, versions, updates, redeploys in flight, window, the last day, age of the data."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from console.record.connection import dicts
from console.record.read.frames import query
from console.record.read.freshness import TenantFreshness, freshness
from console.record.read.instances import HEALTH_GONE, HEALTH_OTHER, HEALTH_UNREAD, HEALTH_WORD, HEALTH_WORDS
from console.record.read.operations import verdict_counts
from console.record.read.policy import WindowNow, in_flight, state_of, tenant_policy

DAY = 86400.0
UPDATE_KINDS = ("runtime", "skills", "servers")


@dataclass(frozen=True)
class Fleet:
    """The state of one tenant's fleet. Times are epoch seconds.

    tenant: its address. instances: how many are known, without those that the API no longer knows. health: word ->
    how many, of healthy, degraded, unhealthy, other and not read. health_at: when the oldest of these was checked.
    versions: (runtime version, how many), most first; None is "not read". published: the version that is published,
    by the newest read of an instance's updates (E25), None where none says; published_others: (version, how many,
    one of them) of the instances that were told another one when they were read. on_published: how many run it.
    updates: of UPDATE_KINDS -> how many instances have at least one waiting; updates_read: of how many that is
    known. in_flight: redeploys in progress at the server; limit: the policy's max_parallel_rollouts, 0 where that
    is not a valid number; limit and window are None without a policy. operations: verdict -> how many began in the
    last 24 h, of all tenants, since a run names none. api_at, runs_at: when the API and the run logs were last
    read, None for never.
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
    """The state of each tenant's fleet that is still read, in the order of their addresses; of an empty record []."""
    told, fresh = verdict_counts(conn, now - DAY), freshness(conn)
    tenants = [look for look in fresh.looks if look.retired_at is None]
    return [_fleet(conn, look, fresh.runs_at, told, now) for look in tenants]


_HEALTH = f"""
SELECT {HEALTH_WORD} AS word, count(*) AS n, min(s.checked_at) AS oldest_at, count(s.outdated) AS updates
FROM instances i LEFT JOIN instance_state s USING (tenant, instance_id) WHERE i.tenant = :tenant
AND s.health IS NOT '{HEALTH_GONE}' GROUP BY word
"""  # noqa: S608 - no user input

_VERSIONS = f"""
SELECT s.runtime_current AS version, count(*) AS n
FROM instances i LEFT JOIN instance_state s USING (tenant, instance_id)
WHERE i.tenant = :tenant AND s.health IS NOT '{HEALTH_GONE}'
GROUP BY version ORDER BY version IS NULL, n DESC, version DESC
"""  # noqa: S608 - no user input

# What each instance was told when its versions were last read (E25). SQLite takes the bare columns from max()'s row.
_PUBLISHED = """
SELECT s.runtime_available AS version, count(*) AS n, max(coalesce(c.last_ok_at, 0)) AS newest_at,
       coalesce(i.hostname, i.instance_id) AS host
FROM instance_state s JOIN instances i USING (tenant, instance_id)
LEFT JOIN ingest_cursors c ON c.source = 'updates' AND c.scope = s.tenant || '|' || s.instance_id
WHERE s.tenant = :tenant AND s.runtime_available IS NOT NULL
GROUP BY version ORDER BY newest_at DESC, n DESC, version DESC
"""

_WAITING = """
SELECT CASE substr(json_extract(c.value, '$.name'), 1, instr(json_extract(c.value, '$.name'), '/') - 1)
         WHEN 'runtime' THEN 'runtime' WHEN 'skills' THEN 'skills' WHEN 'mcp_servers' THEN 'servers' ELSE 'other' END
         AS kind, count(DISTINCT s.instance_id) AS n
FROM instance_state s, json_each(s.components_json) c
WHERE s.tenant = :tenant AND s.outdated > 0 AND json_valid(s.components_json) AND json_extract(c.value, '$.outdated')
GROUP BY kind
"""


def _fleet(conn: Connection, look: TenantFreshness, runs_at: float | None, told: dict[str, int], now: float) -> Fleet:
    key = {"tenant": look.tenant}
    words = dicts(conn, _HEALTH, key)
    health = dict.fromkeys((*HEALTH_WORDS, HEALTH_OTHER, HEALTH_UNREAD), 0) | {row["word"]: row["n"] for row in words}
    versions = tuple((row["version"], row["n"]) for row in dicts(conn, _VERSIONS, key))
    told_versions = [(row["version"], row["n"], row["host"]) for row in dicts(conn, _PUBLISHED, key)]
    published = told_versions[0][0] if told_versions else None
    waiting = {row["kind"]: row["n"] for row in dicts(conn, _WAITING, key)}
    updates = {kind: waiting.get(kind, 0) for kind in UPDATE_KINDS}
    if waiting.get("other"):
        updates["other"] = waiting["other"]
    has_policy = conn.execute("SELECT 1 FROM policies WHERE tenant = :tenant LIMIT 1", key).fetchone() is not None
    window, slots = tenant_policy(conn, look.tenant)
    known = [row["oldest_at"] for row in words if row["oldest_at"] is not None]
    return Fleet(
        tenant=look.tenant,
        instances=sum(health.values()),
        health=health,
        health_at=min(known, default=None),
        versions=versions,
        published=published,
        published_others=tuple(told_versions[1:]),
        on_published=sum(n for version, n in versions if published is not None and version == published),
        updates=updates,
        updates_read=sum(row["updates"] for row in words),
        in_flight=in_flight(conn, look.tenant),
        limit=slots if has_policy else None,
        window=state_of(window, now) if has_policy else None,
        operations=told,
        api_at=look.at,
        runs_at=runs_at,
    )
