# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations (playbook runs, rollouts and console actions), newest first, with the number of instances by outcome; and
totals over all operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from console.outcomes.facts import ACT, KINDS, ROLLOUT, RUN, Facts
from console.outcomes.outcome import counts, has_report, of_rollout
from console.outcomes.verdict import status_of, verdict, verdict_word
from console.outcomes.words import CANCELLED, CATEGORIES, CHECK, COMPLETE, LOST, RUNNING, WITH_FAILURES
from console.record.connection import dicts, first_value
from console.record.opening import open_to_read
from console.record.read.frames import LIST_PAGE, OnePage, framed, like, query
from console.record.read.freshness import freshness
from console.record.read.operation_facts import facts_of_run, name_of, report_of_run, rollout_name
from console.record.read.runs import RUNS_OF_CHANGE
from console.record.read.sql import GOES_ON, ROLLOUT_STATUS, SENT, STARTED, matches_search, only_host_of
from console.record.rows import PREDICTED

COLUMNS = (
    "kind",  # run, rollout or act
    "key",  # run_id, rollout_id or attempt_id
    "tenant",  # of a rollout or an act; None for a run
    "started_at",
    "ended_at",  # NaN while it is running
    "title",  # the playbook's name, "fleet rollout", "redeploy of HOST", or the act and its object
    "name",  # the argument of console.outcomes.words.word: the name of the playbook, rollout or act
    "check",  # True: check mode; None: not known
    "to_version",  # None if not known, for example for a rollout that no run started
    "who",  # the user, "AWX job 812, jon", or the client address of a rollout, such as "198.51.100.20"
    "controller",  # of a run
    *CATEGORIES,  # the number of instances, one column per category
    "instances",  # the sum of these columns
    "derived",  # True for a run without a report, so that the numbers come from its results or the server's targets
    "verdict",  # from console.outcomes.words.VERDICTS
    "status",  # from console.outcomes.words.STATUSES
    "why",  # the reason for the verdict, in short
    "sentence",  # the verdict as a sentence
    "seconds",  # duration; while it is running, until its source was last read
    "rollouts",  # how many rollouts a run started
)


@dataclass(frozen=True)
class OperationFilter:
    """Which operations the list shows.

    since, until: operations that ran in this period (epoch seconds), including those that began before it. verdicts:
    from words.VERDICTS. kinds: from facts.KINDS. who: part of a user name or client address. text: part of the title,
    playbook, id, change or a host name. check: only those in check mode (True), only others (False), or both (None).
    statuses: from words.STATUSES.
    """

    since: float | None = None
    until: float | None = None
    verdicts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    who: str = ""
    text: str = ""
    check: bool | None = None
    statuses: tuple[str, ...] = ()


@query
def operations(
    conn: Connection, now: float, wanted: OperationFilter | None = None, page: int = 1, size: int = LIST_PAGE
) -> OnePage:
    """One page of operations, newest first, in COLUMNS, and how many match.

    Rollouts that a playbook run started are part of the run's row. A rollout that a run only adopted has its own row.
    """
    keys = matching(conn, wanted or OperationFilter())
    rows = rows_of(conn, keys[(page - 1) * size : page * size], now)
    integers = (*CATEGORIES, "instances", "rollouts")
    return framed((tuple(row.values()) for row in rows), COLUMNS, integers=integers), len(keys)


@query
def rows_of(conn: Connection, keys: Sequence[Key], now: float) -> list[dict[str, Any]]:
    """The operations with these keys as rows of COLUMNS, in the same order."""
    fresh, stored = freshness(conn), ((key, *stored_of(conn, key)) for key in keys)
    return [judged_row(key, row, facts, counts(facts), fresh.as_of(now, key.tenant)) for key, row, facts in stored]


@query
def status_counts(conn: Connection, since: float) -> dict[str, int]:
    """The number of operations that ran since a time, by words.STATUSES; those without operations are left out."""
    return dict(Counter(_status(conn, key) for key in matching(conn, OperationFilter(since=since), judged=True)))


@dataclass(frozen=True)
class Key:
    """An entry in a list of operations. at: when it began (epoch seconds). kind, key, tenant, name: as in COLUMNS.
    verdict, status: '' if not requested; status is also '' if only stored_of shows it. ended_at: None if not known.
    last_at: when it ended or, if not known, its last known activity. is_paused: it is a rollout that may be resumed."""

    at: float
    kind: str
    key: str
    tenant: str | None
    verdict: str = ""
    status: str = ""
    name: str = ""
    ended_at: float | None = None
    last_at: float = 0.0
    is_paused: bool = False


_LAUNCHED = """EXISTS (
    SELECT 1 FROM run_jobs j WHERE j.run_id = r.run_id AND j.launched_by LIKE :who ESCAPE '\\')"""
_NAMED = f"""r.run_id IN {RUNS_OF_CHANGE.replace(":like", ":text")} OR r.run_id IN (
    SELECT h.run_id FROM run_hosts h WHERE h.host IN (SELECT value FROM json_each(:hosts)))"""  # noqa: S608
_RUNS = f"""
SELECT coalesce(r.started_at, r.heartbeat_at, 0.0) AS at, r.run_id AS key, NULL AS tenant, r.playbook AS name, r.status,
       r.ended_at, coalesce(r.ended_at, r.heartbeat_at, r.started_at, 0.0) AS last_at, r.check_mode{{judged}}
FROM runs r
WHERE (:since IS NULL OR r.status = 'running' OR coalesce(r.ended_at, r.heartbeat_at, r.started_at) >= :since)
  AND (:until IS NULL OR r.started_at < :until)
  AND (:ended OR r.status NOT IN ('successful', 'failed'))
  AND (:check IS NULL OR coalesce(r.check_mode, 0) = :check)
  AND {matches_search("r.user", param="who", also=_LAUNCHED)}
  AND {matches_search("r.playbook", "r.run_id", param="text", also=_NAMED)}
"""  # noqa: S608 - no user input
# Without a report, the numbers of failures follow from the results, and from the rollout of a fleet rollout.
_JUDGED = """, r.run_id, r.stats_json, r.meta_json, r.failed + r.unreachable + r.rescued + r.ignored > 0
       OR EXISTS (SELECT 1 FROM run_in_flight f WHERE f.run_id = r.run_id) AS may_have_failures"""

# In data from before the link "adopted" existed, only the reports of fleet rollouts show what was adopted.
_ADOPTED = """
SELECT coalesce(json_extract(stats_json, '$.fleetops_report.rollout_id'), '') FROM runs
WHERE playbook LIKE '%fleet_rollout%' AND json_valid(stats_json)
  AND json_extract(stats_json, '$.fleetops_report.adopted') = 1
"""
_HAS_TARGET = """(o.tenant, o.rollout_id) IN (
      SELECT t.tenant, t.rollout_id FROM instances i
      CROSS JOIN rollout_targets t INDEXED BY rollout_targets_instance
        ON t.tenant = i.tenant AND t.instance_id = i.instance_id
      WHERE coalesce(i.hostname, i.instance_id) IN (SELECT value FROM json_each(:hosts)))"""
# Rollouts that are not part of a run's row. last_at of a paused rollout, which has no end, is when it was first seen
# paused. The index run_links_ref answers the last condition for rollouts that no run names.
_OF_OTHERS = f"""
WITH {SENT}
SELECT coalesce(o.created_at, 0.0) AS at, o.rollout_id AS key, o.tenant, o.scope AS name, {ROLLOUT_STATUS} AS status,
       o.completed_at AS ended_at, coalesce(o.completed_at, o.updated_at) AS last_at,
       o.status = 'partial' OR o.failed + o.uncertain + o.in_progress > 0 AS may_have_failures FROM rollouts o
WHERE (:since IS NULL OR {GOES_ON} OR coalesce(o.completed_at, o.created_at) >= :since)
  AND (:until IS NULL OR o.created_at < :until)
  AND (:ended OR {ROLLOUT_STATUS} NOT IN ('completed', 'partial', 'failed'))
  AND {matches_search("o.initiated_from_ip", param="who")}
  AND {matches_search("o.rollout_id", "(o.scope || ' rollout')", param="text", also=_HAS_TARGET)}
  AND o.rollout_id NOT IN (SELECT rollout_id FROM sent)
  AND NOT EXISTS (
    SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = o.rollout_id
      AND l.ref NOT IN ({_ADOPTED}) AND {STARTED})
"""  # noqa: S608 - no user input

# The attempted actions of the console ``a`` with their outcomes ``o``.
ATTEMPTS = """
FROM console_audit a LEFT JOIN console_audit o ON o.attempt_id = a.attempt_id AND o.phase = 'outcome'
WHERE a.phase = 'attempt'
"""
NO_OUTCOME = "no outcome"
OUTCOME_OF_ATTEMPT = f"coalesce(o.outcome, '{NO_OUTCOME}')"
ACTS = f"""
SELECT a.attempt_id, a.at AS started_at, a.user AS who, a.tenant, a.action, a.name, a.rollout_id, a.instance_id,
       {OUTCOME_OF_ATTEMPT} AS outcome, o.detail, o.at AS ended_at
{ATTEMPTS}"""
_ACTS_WANTED = f"""
SELECT started_at AS at, attempt_id AS key, tenant, coalesce(action, '') AS name, outcome AS status, ended_at,
       coalesce(ended_at, started_at) AS last_at FROM ({ACTS}
  AND (:since IS NULL OR a.at >= :since) AND (:until IS NULL OR a.at < :until)
  AND {matches_search("a.user", param="who")}
  AND {matches_search("a.action", "a.name", "a.rollout_id", "a.instance_id", param="text")})
"""  # noqa: S608 - no user input
# The names of known instances that contain a text, the shortest first, so that an exact match comes first.
_HOSTS = f"""
SELECT json_group_array(name) FROM (
  SELECT DISTINCT coalesce(hostname, instance_id) AS name FROM instances
  WHERE {matches_search("hostname", "instance_id", param="text")} ORDER BY length(name), name LIMIT 50)
"""  # noqa: S608 - no user input


def matching(conn: Connection, wanted: OperationFilter, *, judged: bool = False) -> list[Key]:
    """The operations that match, newest first. judged: with verdicts, as always if the filter has any, or statuses."""
    judged = judged or bool(wanted.verdicts or wanted.statuses)
    of_statuses = {COMPLETE if word == WITH_FAILURES else word for word in wanted.statuses}
    params: dict[str, Any] = {
        "since": wanted.since,
        "until": wanted.until,
        "who": like(wanted.who),
        "text": like(wanted.text),
        "check": None if wanted.check is None else int(wanted.check),
        "hosts": "[]",
        "run": None,
        # Operations that have ended, and their reports, are read only if they can have one of the wanted verdicts.
        "ended": not {RUNNING, LOST, CANCELLED}.issuperset(wanted.verdicts or of_statuses or (COMPLETE,)),
    }
    if params["text"]:
        params["hosts"] = first_value(conn, _HOSTS, params)
    kinds = {RUN} if wanted.check else {*KINDS}
    kinds = kinds.intersection(wanted.kinds or KINDS)
    runs = _RUNS.format(judged=_JUDGED if judged else "")
    sources = ((RUN, runs, name_of), (ROLLOUT, _OF_OTHERS, rollout_name), (ACT, _ACTS_WANTED, str))
    found: list[Key] = []
    for kind, sql, named in sources:
        for row in dicts(conn, sql, params) if kind in kinds else ():
            word = status = ""
            if judged:
                report = report_of_run(conn, row)[0] if kind == RUN else {}
                facts = Facts(kind, named(row["name"]), row["status"], bool(row.get("check_mode")), report)
                word = status = verdict_word(facts)
                if has_report(facts):
                    status = status_of(facts, counts(facts))
                elif word == COMPLETE and (row.get("may_have_failures") or (kind == RUN and of_rollout(facts))):
                    status = ""
            if word in (wanted.verdicts or (word,)) and word in (of_statuses or (word,)):
                name, ended, is_paused = named(row["name"]), row["ended_at"], row["status"] == "paused"
                times = ended, row["last_at"]
                key = Key(row["at"], kind, row["key"], row["tenant"], word, status, name, *times, is_paused)
                if not wanted.statuses or _status(conn, key) in wanted.statuses:
                    found.append(key)
    return sorted(found, key=lambda key: (-key.at, key.kind, key.key))


def _status(conn: Connection, key: Key) -> str:
    """The status of an operation. key: with its verdict, from :func:`matching`."""
    return key.status or verdict(stored_of(conn, key)[1]).status


def stored_of(conn: Connection, key: Key, *, details: bool = False) -> tuple[dict[str, Any], Facts]:
    """One operation from the database: those columns of its row that are stored, and its facts. details: as in
    facts_of_run."""
    if key.kind == RUN:
        return _run_row(conn, key, details)
    return (_rollout_row if key.kind == ROLLOUT else _act_row)(conn, key)


def judged_row(key: Key, row: dict[str, Any], facts: Facts, counted: Mapping[str, int], now: float) -> dict[str, Any]:
    """The complete row of an operation. row, facts: from stored_of. counted: instances by category. now: when its
    source was last read."""
    judged = verdict(facts, counted)
    is_running = judged.word == RUNNING
    until = now if is_running else row["ended_at"]
    row = {
        # Defaults of the columns that only runs have.
        "to_version": None,
        "controller": None,
        "rollouts": 0,
        **row,
        "kind": key.kind,
        "key": key.key,
        "tenant": key.tenant,
        "ended_at": None if is_running else until,
        "name": facts.name,
        "check": facts.check,
        **counted,
        "instances": sum(counted.values()),
        "derived": facts.kind == RUN and not (has_report(facts) or (facts.report and of_rollout(facts))),
        "verdict": judged.word,
        "status": judged.status,
        "why": judged.why,
        "sentence": judged.sentence,
        "seconds": max(0.0, until - row["started_at"]) if until is not None and row["started_at"] is not None else None,
    }
    return {column: row[column] for column in COLUMNS}


# to_version: the runtime that the run deploys (in check mode: would deploy), from its first successful redeploy. The
# results of the first batches are enough, because a run deploys one version.
_RUN_ROW = f"""
SELECT r.*, CASE WHEN coalesce(j.origin, 'runner') = 'runner' THEN r.user
              ELSE 'AWX job ' || j.job_id || coalesce(', ' || coalesce(j.launched_by, r.user), '') END AS who,
       (SELECT count(*) FROM run_links l WHERE l.run_id = r.run_id AND l.kind = 'rollout' AND {STARTED}) AS rollouts,
       (SELECT CAST(json_extract(result_json, '$.version_after') AS TEXT) FROM (
          SELECT changed, status, result_json FROM host_results WHERE run_id = :id AND counter > (
            SELECT min(counter) FROM tasks WHERE run_id = :id AND action LIKE '%instance_runtime') LIMIT 2000)
        WHERE changed AND (changed <> {PREDICTED} OR r.check_mode) AND status = 'ok' AND json_valid(result_json)
          AND json_extract(result_json, '$.version_after') IS NOT NULL LIMIT 1) AS to_version
FROM runs r LEFT JOIN run_jobs j ON j.job = (SELECT min(job) FROM run_jobs WHERE run_id = :id) WHERE r.run_id = :id
"""  # noqa: S608 - no user input


def _run_row(conn: Connection, key: Key, details: bool) -> tuple[dict[str, Any], Facts]:
    [run] = dicts(conn, _RUN_ROW, {"id": key.key})
    facts = facts_of_run(conn, run, details=details)
    ended_at, started = run["ended_at"] or run["heartbeat_at"], 0 if facts.adopted else run["rollouts"]
    return {**run, "ended_at": ended_at, "title": facts.name or "a playbook", "rollouts": started}, facts


def _rollout_row(conn: Connection, key: Key) -> tuple[dict[str, Any], Facts]:
    [rollout] = dicts(
        conn,
        "SELECT o.*, o.created_at AS started_at, o.completed_at AS ended_at, o.initiated_from_ip AS who,"  # noqa: S608
        f" {ROLLOUT_STATUS} AS status, {only_host_of('o')} AS host"
        " FROM rollouts o WHERE o.tenant = :tenant AND o.rollout_id = :id",
        {"tenant": key.tenant, "id": key.key},
    )
    facts = Facts(ROLLOUT, rollout_name(rollout["scope"]), rollout["status"], rollout=rollout)
    is_single = rollout["host"] and rollout["scope"] != "fleet"
    return {**rollout, "title": f"redeploy of {rollout['host']}" if is_single else facts.name}, facts


def _act_row(conn: Connection, key: Key) -> tuple[dict[str, Any], Facts]:
    [act] = dicts(conn, ACTS + " AND a.attempt_id = :id", {"id": key.key})
    name, host = act["action"] or "", act["name"] or act["instance_id"] or act["rollout_id"] or ""
    facts = Facts(ACT, name, act["outcome"], hosts=(host,), detail=act["detail"] or "")
    return {**act, "title": f"{name} {host}".strip()}, facts


@dataclass
class OperationTotals:
    """The operations of one kind and name (as in outcomes.facts.Facts).

    verdicts: how many have ended, by verdict. running: how many are running; a paused rollout does not, nor has it
    ended. seconds: the durations of those that have ended, without check mode and acts. last_at: when the newest one
    ended (epoch seconds, UTC), or None.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    running: int = 0
    seconds: list[float] = field(default_factory=list)
    last_at: float | None = None


def operation_totals(path: Path) -> dict[tuple[str, str], OperationTotals]:
    """The totals of all operations ever, by kind and name. Raises DatabaseProblem.

    Runs with their reports, rollouts and acts are never pruned, so the numbers only grow, with one exception: a run
    that counted as lost but turns out to have ended moves to its actual verdict.
    """
    found: dict[tuple[str, str], OperationTotals] = {}
    # Without the time limit for pages, because no user waits for it.
    with open_to_read(path) as conn:
        for key in matching(conn, OperationFilter(), judged=True):
            totals = found.setdefault((key.kind, key.name), OperationTotals())
            if key.verdict == RUNNING or key.is_paused:
                totals.running += key.verdict == RUNNING
                continue
            totals.verdicts[key.verdict] += 1
            if key.ended_at is not None:
                totals.last_at = max(totals.last_at or 0.0, key.ended_at)
                if key.at and key.kind != ACT and key.verdict not in (CHECK, LOST):
                    totals.seconds.append(max(0.0, key.ended_at - key.at))
    return found
