# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs attention, for the overview."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any, NamedTuple

import pandas as pd

from console.record.connection import dicts
from console.record.read.frames import framed, query
from console.record.read.freshness import Freshness, freshness
from console.record.read.instances import HEALTH_OTHER, HEALTH_WORDS
from console.record.read.operation_facts import name_of
from console.record.read.sql import GOES_ON, RETIRED, operation_of
from console.record.read.stuck import StuckRules, stuck_targets, waiting_for_window
from console.record.read.unrecovered import Failing, failing_in_runs, failing_targets
from console.text import times
from console.text.counts import counted

STUCK_SECONDS = 600.0
RECENT_SECONDS = 14 * 86400.0
HOSTS_NAMED = 6


# instance_id is from any instance of the group; it is used only if the group has one instance.
_UNHEALTHY = f"""
SELECT s.health, coalesce(s.trouble, '') AS trouble, count(*) AS n, s.instance_id, min(s.checked_at) AS at,
       min(coalesce(i.hostname, s.instance_id)) AS first_host,
       json_group_array(json_array(coalesce(i.hostname, s.instance_id), s.instance_id)) AS hosts
FROM instance_state s LEFT JOIN instances i ON i.tenant = s.tenant AND i.instance_id = s.instance_id
WHERE s.health IS NOT NULL AND s.health NOT IN ('healthy', 'starting', 'gone', '') AND s.tenant NOT IN {RETIRED}
GROUP BY s.health, coalesce(s.trouble, '') ORDER BY s.health = 'unhealthy' DESC, n DESC LIMIT 500
"""  # noqa: S608 - no user input

_DOUBTFUL_RUNS = """
SELECT run_id, playbook, started_at, heartbeat_at, dropped_events, status = 'running' AND heartbeat_at < :quiet AS quiet
FROM runs r WHERE started_at >= :since AND (quiet OR dropped_events > 0)
ORDER BY started_at DESC LIMIT 500
"""


_PAUSED = f"""
SELECT o.rollout_id, o.created_at, o.queued, o.total, {operation_of("o.rollout_id")} AS ref
FROM rollouts o WHERE {GOES_ON} AND o.status = 'paused' ORDER BY o.created_at DESC LIMIT 500
"""  # noqa: S608 - no user input


class Entry(NamedTuple):
    """One cause, in the columns of :func:`attention`."""

    status: str
    title: str
    detail: str = ""
    at: float | None = None
    page: str = ""
    id: str = ""
    instances: int = 0
    hosts: tuple[str, ...] = ()
    operations: int = 0
    ids: tuple[str | None, ...] = ()


@query
def attention(conn: Connection, now: float) -> pd.DataFrame:
    """What needs attention, one entry per cause: targets that are stuck; instances that are uncertain, failed or
    unhealthy; rollouts that are paused or waiting for the window; unsuccessful runs; stale or missing data.

    Columns: status (a key of text.statuses.LOOKS), title (how many instances, or what), detail (the cause as reported,
    or ''), at (since when), page (where to act: 'rollout', 'run', 'instance', 'instances' or ''), id (for the page; for
    'instances' one of instances.HEALTH_WORDS or HEALTH_OTHER), instances (how many), hosts (a tuple of their first
    names), operations (how many operations caused it), ids (those of the instances ``hosts``, None if not known).

    A run that left instances failed has no entry of its own, only the entries of those instances. These stay until the
    instance has recovered (see unrecovered.py). Whether an instance is unhealthy depends on its newest health check.
    """
    fresh = freshness(conn)
    runs_at = fresh.runs_at or now
    rows: list[Entry] = []
    targets = failing_targets(conn, now - RECENT_SECONDS)
    in_runs, bad_runs = failing_in_runs(conn, now - RECENT_SECONDS, targets)
    rows += _stuck(conn, fresh, now)
    rows += by_cause([*targets, *in_runs])
    rows += _unhealthy(conn)
    rows += [
        Entry("paused", "A rollout is paused on the server",
              f"{r['queued']:,} of its {r['total']:,} targets are waiting. Resume or cancel it; until then, other"
              " rollouts are refused.", r["created_at"], "rollout", r["ref"], operations=1)
        for r in dicts(conn, _PAUSED)
    ]  # fmt: skip
    for r in waiting_for_window(conn, fresh, now):
        title = _counted(r["host"], r["targets"], "waiting for the window")
        rows.append(Entry("queued", title, r["why"], r["at"], "rollout", r["rollout_id"], r["targets"], (r["host"],)))
    for r, judged in bad_runs:
        name = name_of(r["playbook"]) or "a playbook"
        rows.append(Entry(judged.word, name, judged.why, r["started_at"], "run", r["run_id"], operations=1))
    doubtful = {"since": now - RECENT_SECONDS, "quiet": runs_at - STUCK_SECONDS}
    for r in dicts(conn, _DOUBTFUL_RUNS, doubtful):
        title = f"{counted(r['dropped_events'], 'event')} of this run could not be read"
        if r["quiet"]:
            title = f"running, but without events for {times.rounded(runs_at - r['heartbeat_at'])}"
        title = f"{name_of(r['playbook']) or 'a playbook'}: {title}"
        rows.append(Entry("unknown", title, "", r["started_at"], "run", r["run_id"], operations=1))
    return framed(rows + _stale(fresh, now) + _gaps(conn), Entry._fields, integers=("instances", "operations"))


def by_cause(failing: Sequence[Failing]) -> list[Entry]:
    """Failed and uncertain instances, one entry per status and cause; uncertain first, then by number of instances."""
    groups: dict[tuple[str, str], list[Failing]] = {}
    for instance in failing:
        groups.setdefault((instance.status, instance.cause), []).append(instance)
    found = []
    for (status, _cause), alike in groups.items():
        known = {instance.identity: (instance.host, instance.instance_id) for instance in alike}
        hosts, ids = zip(*sorted(known.values(), key=lambda pair: (pair[0], pair[1] or "")), strict=True)
        counted = Counter((instance.kind, instance.key) for instance in alike)
        # The operation with the most of these instances; if several have equally many, the newest of them.
        newest = {(instance.kind, instance.key): instance.at or 0.0 for instance in alike}
        page, key = max(counted, key=lambda operation: (counted[operation], newest[operation], operation))
        if len(hosts) == 1 and alike[0].instance_id:
            page, key = "instance", alike[0].instance_id
        where = f" in {len(counted):,} operations" if len(counted) > 1 else ""
        if len(hosts) == 1:
            title = f"{hosts[0]} {'is uncertain' if status == 'uncertain' else status}"
        else:
            title = f"{len(hosts):,} instances {'are uncertain' if status == 'uncertain' else status}"
        detail = max(alike, key=lambda instance: instance.at or 0.0).message[:300]
        since = min((instance.at for instance in alike if instance.at is not None), default=None)
        found.append(
            Entry(status, title + where, detail, since, page, key, len(hosts), hosts[:HOSTS_NAMED], len(counted),
                  ids[:HOSTS_NAMED])
        )  # fmt: skip
    found.sort(key=lambda entry: (entry.status != "uncertain", -entry.instances, entry.detail))
    return found


def _unhealthy(conn: Connection) -> list[Entry]:
    found: list[Entry] = []
    for r in dicts(conn, _UNHEALTHY):
        word = r["health"] if r["health"] in HEALTH_WORDS else HEALTH_OTHER
        where = ("instance", r["instance_id"]) if r["n"] == 1 else ("instances", word)
        health = r["health"].replace("_", " ")
        title = f"{r['first_host']} is {health}" if r["n"] == 1 else f"{r['n']:,} instances are {health}"
        hosts, ids = zip(*sorted(json.loads(r["hosts"]))[:HOSTS_NAMED], strict=True)
        found.append(Entry(r["health"], title, r["trouble"], r["at"], *where, r["n"], hosts, ids=ids))
    return found


def _stale(fresh: Freshness, now: float) -> list[Entry]:
    newest = fresh.read[-1][0] if fresh.read else fresh.runs_at
    found: list[Entry] = []
    stale = fresh.stale(now)
    # At most two entries: one for the tenants with open work, and one for those without.
    for tenants in ([t for t in stale if t.open_work], [t for t in stale if not t.open_work]):
        if tenants:
            whose = f"{tenants[0].tenant}: the" if len(fresh.tenants) > 1 else "The"
            title = f"{whose} API was last read {times.rounded(now - (tenants[0].at or 0))} ago"
            others = len(tenants) - 1
            also = f"{others:,} more tenant{'s have' if others > 1 else ' has'} not been read recently either."
            found.append(Entry("unknown", title, also if others else "", tenants[0].at))
    if fresh.runs_stale(now):
        title = f"Run logs have not been read for {times.rounded(now - (fresh.runs_at or 0))}"
        detail = "As far as is known, a run is still in progress." if fresh.running else ""
        found.append(Entry("unknown", title, detail, fresh.runs_at))
    # The errors come after the stale tenants, because a page may show only the first entries of a kind.
    return found + [Entry("error", "The last sync could not read everything", error, newest) for error in fresh.errors]


def _gaps(conn: Connection) -> list[Entry]:
    found = []
    for r in dicts(conn, "SELECT source, scope, gap_from FROM ingest_cursors WHERE gap_from IS NOT NULL LIMIT 5"):
        title = "Actions of an instance are missing" if r["source"] == "actions" else "Audit events are missing"
        why = f"More were recorded between two syncs than could be read: {r['scope']}"
        found.append(Entry("unknown", title, why, r["gap_from"]))
    return found


def _stuck(conn: Connection, fresh: Freshness, now: float) -> list[Entry]:
    """The targets that are stuck, one entry per rollout and rule."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in stuck_targets(conn, fresh, now, StuckRules()):
        entry = found.setdefault((row["rollout_id"], row["rule"]), {**row, "n": 0})
        entry["n"] += row["targets"]
    states = {"in progress": "in progress for", "queued": "due but not started for"}
    entries = []
    for (rollout_id, rule), e in found.items():
        title = _counted(e["host"], e["n"], f"{states[rule]} {times.rounded(e['for_s'] or 0)}")
        why = f"It may be stuck. {e['why']}"
        entries.append(Entry("stuck", title, why, e["since_at"], "rollout", rollout_id, e["n"], (e["host"],)))
    return entries


def _counted(host: str, n: int, what: str) -> str:
    return f"{host if n == 1 else f'{n:,} instances'}: {what}"
