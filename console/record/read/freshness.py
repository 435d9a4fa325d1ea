# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fresh the database is: when each tenant's API and the run logs were last read, what failed, and who follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from console.record.connection import dicts, one
from console.record.file_locks import has_follower
from console.record.read.frames import query, reading
from console.record.retention import retired_at

RUNNING, STOPPED, DIED, HANGS = "running", "stopped", "died", "hangs"
HANGS_SECONDS = 30.0
"""Seconds that a follower's report may be late."""

STALE_SECONDS = 24 * 3600.0
STALE_OPEN_SECONDS = 10 * 60.0
FORGOTTEN_SECONDS = 14 * 24 * 3600.0
"""After so many seconds without run logs none are expected any more."""


@dataclass(frozen=True)
class TenantFreshness:
    """One tenant: when its API was last read, None for never, and whether targets of it are open.

    retired_at: when it was recorded that it is no longer read, None if not or if it was read since. No target of a
    retired tenant counts as open.
    """

    tenant: str
    at: float | None
    open_work: bool
    retired_at: float | None = None


@dataclass(frozen=True)
class Freshness:
    """When the console last read its sources. looks: the API, by tenant. runs_at: newest load of run logs, or None.

    errors: what the last sync could not read, one sentence each. running: a playbook run is in progress. copied_at:
    when this database was copied for review, None unless it is such a copy.
    """

    looks: tuple[TenantFreshness, ...]
    runs_at: float | None
    errors: tuple[str, ...]
    running: bool
    copied_at: float | None

    @property
    def read(self) -> list[tuple[float, TenantFreshness]]:
        """The tenants whose API is read, longest ago first, each with the time."""
        found = [(look.at, look) for look in self.looks if look.at is not None and look.retired_at is None]
        return sorted(found, key=lambda one: one[0])

    @property
    def retired(self) -> list[str]:
        """The tenants whose API is no longer read."""
        return [look.tenant for look in self.looks if look.retired_at is not None]

    @property
    def never(self) -> bool:
        return self.runs_at is None and all(look.at is None for look in self.looks)

    @property
    def open_work(self) -> bool:
        """Whether something is still in progress."""
        return self.running or any(look.open_work for look in self.looks)

    def as_of(self, now: float, tenant: str | None) -> float:
        """Up to when the rollouts of a tenant are known, or without a tenant the runs; ``now`` if never read."""
        at = next((look.at for look in self.looks if look.tenant == tenant), None) if tenant else self.runs_at
        return min(now, at) if at is not None else now

    def stale(self, now: float) -> list[TenantFreshness]:
        """The tenants that were not read for too long, longest ago first: a day, or 10 minutes with open work."""
        found = []
        for at, look in self.read:
            # A running playbook does not say which tenant it works on; the one read last is the likely one.
            busy = look.open_work or (self.running and at == self.read[-1][0])
            if now - at > (STALE_OPEN_SECONDS if busy else STALE_SECONDS):
                found.append(look)
        return found

    def runs_stale(self, now: float) -> bool:
        """Whether run logs were read in the last two weeks, and not for too long: a day, or 10 minutes during a run."""
        limit = STALE_OPEN_SECONDS if self.running else STALE_SECONDS
        return self.runs_at is not None and limit < now - self.runs_at < FORGOTTEN_SECONDS

    def behind(self, now: float) -> TenantFreshness | None:
        """The tenant by which the record's age is judged: read longest ago of those with open work, and of those
        without that are stale; where there are none of these, of all that were read."""
        known = [look for _at, look in self.read]
        stale = self.stale(now)
        return next((look for look in known if look.open_work or look in stale), known[0] if known else None)


UNREAD = "(last_error <> '' AND bad_lines = 0)"
"""Which cursors are of a source that the last sync could not read. A source with lines that are not readable was read:
no later sync reads those lines again."""

_LOOKS = f"""
SELECT k.tenant, c.last_ok_at AS at, {retired_at("k.tenant", "c.last_ok_at")} AS retired_at, EXISTS (
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
    """When API and run logs were last read, and what failed."""
    looks = [
        TenantFreshness(r["tenant"], r["at"], bool(r["open_work"]) and r["retired_at"] is None, r["retired_at"])
        for r in dicts(conn, _LOOKS)
    ]
    sql = f"SELECT last_error FROM ingest_cursors WHERE {UNREAD} ORDER BY source, scope LIMIT 20"  # noqa: S608 - the text above
    errors = [str(row[0]) for row in conn.execute(sql)]
    [(runs_at, running, copied_at)] = conn.execute(_OTHERS)
    return Freshness(tuple(looks), runs_at, tuple(errors), bool(running), copied_at)


@dataclass(frozen=True)
class Follower:
    """The follower of a database. ``state``: RUNNING, STOPPED (it ended by itself), DIED (it was killed) or HANGS.

    ``since``: when it started, ended, or last reported (epoch seconds, UTC). ``trouble``: what it cannot read, as "The
    API", and since when; None if nothing.
    """

    state: str
    host: str
    pid: int
    since: float
    trouble: str | None
    trouble_at: float | None

    @property
    def unread(self) -> str:
        """What it cannot read, within a sentence: "the API"; '' if nothing."""
        return re.sub("^The ", "the ", self.trouble or "")


_FOLLOWER = """
SELECT f.*, (SELECT max(last_ok_at) FROM ingest_cursors WHERE source IN ('api', 'spool')) AS read_at
FROM follower f WHERE NOT EXISTS (SELECT 1 FROM upkeep WHERE kind = 'copy')
"""


def follower(path: Path, now: float) -> Follower | None:
    """The newest follower of a database (``sync --follow``) as it is at ``now``.

    None for a copy, where none was ever started, and where a later sync has read what one that was stopped reads no
    more. One that died or hangs is told until another one runs.
    """
    with reading(path) as conn:
        row = one(conn, _FOLLOWER)
    if row is None:
        return None
    state, since = _state_of(row, has_follower(path), now)
    # Syncs that go on for a day after it was killed have replaced it.
    if state in (STOPPED, DIED) and (row["read_at"] or 0.0) > since + (STALE_SECONDS if state == DIED else 0.0):
        return None
    return Follower(state, row["host"], row["pid"], since, row["trouble"], row["trouble_at"])


def _state_of(row: dict[str, Any], there: bool | None, now: float) -> tuple[str, float]:
    """State and since when; ``there``: whether a process holds the follower's lock, None if that is not known."""
    if row["ended_at"] is not None and not there:
        return STOPPED, row["ended_at"]
    if there is False:
        return DIED, row["beat_at"]
    if now > row["due_at"] + HANGS_SECONDS:
        return HANGS, row["beat_at"]
    return RUNNING, row["started_at"]
