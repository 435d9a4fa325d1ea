# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fresh the database is: when each tenant's API and the run logs were last read, what failed, and the follower."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from console.record.connection import dicts, first_column, first_row
from console.record.file_locks import has_follower
from console.record.read.frames import query, reading
from console.record.retention import retired_at

RUNNING, STOPPED, DIED, HANGS = "running", "stopped", "died", "hangs"
HANGS_SECONDS = 30.0
"""How late (in seconds) a follower's report may be."""

STALE_SECONDS = 24 * 3600.0
STALE_OPEN_SECONDS = 10 * 60.0
FORGOTTEN_SECONDS = 14 * 24 * 3600.0
"""How long (in seconds) after the last read of run logs further reads are expected."""


@dataclass(frozen=True)
class TenantFreshness:
    """One tenant. at: when its API was last read; None for never. open_work: whether it has open targets.

    retired_at: when it was recorded that the API is no longer read; None if it is not retired or was read since.
    Targets of a retired tenant do not count as open. ahead: by how many seconds its server's clock was ahead of the
    clock of the machine that read it; negative if it was behind.
    """

    tenant: str
    at: float | None
    open_work: bool
    retired_at: float | None = None
    ahead: float = 0.0


@dataclass(frozen=True)
class Freshness:
    """When the console last read its sources. runs_at: when run logs were last read, or None.

    errors: what the last sync could not read, one sentence each. running: whether a playbook run is in progress.
    copied_at: when this database was copied for review; None if it is not a copy.
    """

    tenants: tuple[TenantFreshness, ...]
    runs_at: float | None
    errors: tuple[str, ...]
    running: bool
    copied_at: float | None

    @property
    def read(self) -> list[tuple[float, TenantFreshness]]:
        """The tenants whose API has been read and is not retired, each with the time, longest ago first."""
        found = [(tenant.at, tenant) for tenant in self.tenants if tenant.at is not None and tenant.retired_at is None]
        return sorted(found, key=lambda pair: pair[0])

    @property
    def retired(self) -> list[str]:
        return [tenant.tenant for tenant in self.tenants if tenant.retired_at is not None]

    @property
    def never(self) -> bool:
        return self.runs_at is None and all(tenant.at is None for tenant in self.tenants)

    @property
    def open_work(self) -> bool:
        """Whether something is still in progress."""
        return self.running or any(tenant.open_work for tenant in self.tenants)

    def read_at(self, now: float, tenant: str | None) -> float:
        """When the rollouts of a tenant, or without a tenant the runs, were last read; ``now`` if never."""
        at = next((known.at for known in self.tenants if known.tenant == tenant), None) if tenant else self.runs_at
        return min(now, at) if at is not None else now

    def as_of(self, now: float, tenant: str | None) -> float:
        """The same by the clock that the times of these rollouts or runs are from."""
        return self.read_at(now, tenant) + self.ahead(tenant)

    def ahead(self, tenant: str | None) -> float:
        return next((known.ahead for known in self.tenants if known.tenant == tenant), 0.0)

    def stale(self, now: float) -> list[TenantFreshness]:
        """The tenants that have not been read for a day, or for 10 minutes with open work; longest ago first."""
        found = []
        for at, tenant in self.read:
            # A playbook run does not say which tenant it works on. Probably it is the one that was read last.
            busy = tenant.open_work or (self.running and at == self.read[-1][0])
            if now - at > (STALE_OPEN_SECONDS if busy else STALE_SECONDS):
                found.append(tenant)
        return found

    def runs_stale(self, now: float) -> bool:
        """Whether run logs were read in the last two weeks, but not in the last day (during a run, 10 minutes)."""
        limit = STALE_OPEN_SECONDS if self.running else STALE_SECONDS
        return self.runs_at is not None and limit < now - self.runs_at < FORGOTTEN_SECONDS

    def behind(self, now: float) -> TenantFreshness | None:
        """The tenant that determines the age of the data: of those that are stale or have open work, or else of all,
        the one that was read longest ago."""
        known = [tenant for _at, tenant in self.read]
        stale = self.stale(now)
        return next((tenant for tenant in known if tenant.open_work or tenant in stale), known[0] if known else None)


UNREAD = "(last_error <> '' AND bad_lines = 0)"
"""SQL for whether the last sync could not read the source of a cursor. A source with unreadable lines counts as read,
because no later sync reads those lines again."""

_TENANTS = f"""
SELECT k.tenant, c.last_ok_at AS at, coalesce(json_extract(c.state_json, '$.ahead'), 0.0) AS ahead,
  {retired_at("k.tenant", "c.last_ok_at")} AS retired_at, EXISTS (
  SELECT 1 FROM rollout_targets o INDEXED BY rollout_targets_open WHERE o.tenant = k.tenant AND o.is_open = 1
) AS open_work
FROM tenants k LEFT JOIN ingest_cursors c ON c.source = 'api' AND c.scope = k.tenant ORDER BY k.tenant
"""  # noqa: S608 - no user input

_OTHERS = """
SELECT max(last_ok_at) FILTER (WHERE source NOT IN
         ('api', 'rollout', 'audit', 'health', 'updates', 'actions', 'memory')) AS runs_at,
       EXISTS (SELECT 1 FROM runs WHERE status = 'running' AND ended_at IS NULL) AS running,
       (SELECT max(at) FROM upkeep WHERE kind = 'copy') AS copied_at
FROM ingest_cursors
"""


@query
def freshness(conn: Connection) -> Freshness:
    """When each tenant's API and the run logs were last read, and what failed."""
    tenants = [
        TenantFreshness(**{**r, "open_work": bool(r["open_work"]) and r["retired_at"] is None})
        for r in dicts(conn, _TENANTS)
    ]
    sql = f"SELECT last_error FROM ingest_cursors WHERE {UNREAD} ORDER BY source, scope LIMIT 20"  # noqa: S608 - no user input
    errors = first_column(conn, sql)
    [(runs_at, running, copied_at)] = conn.execute(_OTHERS)
    return Freshness(tuple(tenants), runs_at, tuple(errors), bool(running), copied_at)


@dataclass(frozen=True)
class Follower:
    """The follower of a database. ``state``: RUNNING, STOPPED (it ended by itself), DIED (it was killed) or HANGS.

    ``since``: when it started, ended, or last reported (epoch seconds, UTC). ``trouble``: what it cannot read, such as
    "The API", or None; ``trouble_at``: since when.
    """

    state: str
    host: str
    pid: int
    since: float
    trouble: str | None
    trouble_at: float | None

    @property
    def unread(self) -> str:
        """``trouble`` as it is written within a sentence, such as "the API"; '' if there is none."""
        return re.sub("^The ", "the ", self.trouble or "")


_FOLLOWER = """
SELECT f.*, (SELECT max(last_ok_at) FROM ingest_cursors
             WHERE source = 'api' OR (source = 'spool' AND scope = '')) AS read_at
FROM follower f WHERE NOT EXISTS (SELECT 1 FROM upkeep WHERE kind = 'copy')
"""


def follower(path: Path, now: float) -> Follower | None:
    """The newest follower of a database (``sync --follow``) and its state at ``now``.

    None for a copy, if none was ever started, if a sync has run since the follower stopped, or if syncs still run more
    than a day after it died. A follower that hangs is returned until another one runs.
    """
    with reading(path) as conn:
        row = first_row(conn, _FOLLOWER)
    if row is None:
        return None
    state, since = _state_of(row, has_follower(path), now)
    # If syncs still run a day after it was killed, they have replaced it.
    if state in (STOPPED, DIED) and (row["read_at"] or 0.0) > since + (STALE_SECONDS if state == DIED else 0.0):
        return None
    return Follower(state, row["host"], row["pid"], since, row["trouble"], row["trouble_at"])


def _state_of(row: dict[str, Any], locked: bool | None, now: float) -> tuple[str, float]:
    """The state, and since when. ``locked``: whether a process holds the follower's lock; None if not known."""
    if row["ended_at"] is not None and not locked:
        return STOPPED, row["ended_at"]
    if locked is False:
        return DIED, row["beat_at"]
    if now > row["due_at"] + HANGS_SECONDS:
        return HANGS, row["beat_at"]
    return RUNNING, row["started_at"]
