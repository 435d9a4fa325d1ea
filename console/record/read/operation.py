# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One operation: its facts, the outcome of each instance, its failures, gates and rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any

import numpy as np
import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import same_id
from console.outcomes.evidence import GATE_WORDS, gate_figures, plan_facts
from console.outcomes.facts import ROLLOUT, RUN, Facts, Target
from console.outcomes.outcome import Outcome, category_of_target, counts, newest_targets, outcomes, spans
from console.outcomes.words import CATEGORIES, PROBLEMS, PROBLEMS_FIRST, RUNNING
from console.record.connection import dicts, first_column, first_row
from console.record.read.frames import framed, query
from console.record.read.freshness import freshness
from console.record.read.operation_facts import Instance, instances_of_run
from console.record.read.operations import Key, judged_row, stored_of
from console.record.read.rollouts import names_apart, rollouts_of_run, targets_of
from console.record.read.sql import IS_FAILURE, STARTED, operation_of
from console.text.json_values import listed, mapping, names, parsed
from console.text.message_fingerprint import FP_VERSION, fingerprint, normalised

INSTANCE_COLUMNS = ("host", "instance_id", "category", "started_at", "ended_at", "seconds", "waited", "message",
                    "derived", "rollout_id")  # fmt: skip

_MAX_PRINTS = 4
_MAX_ELSEWHERE = 2000


@dataclass(frozen=True)
class Failure:
    """The instances of an operation with the same failure: messages that differ only in hosts, ids or numbers.

    status: failed or uncertain. message: of one of the instances, or ''. pattern: the message, normalised. first_at,
    last_at: when it occurred in this operation. before: how many earlier operations had it. first_seen, last_before:
    when these had it. later: how many later operations had it. Without a message, other operations are not known.
    Times are epoch seconds.
    """

    status: str
    message: str
    pattern: str
    hosts: tuple[str, ...]
    first_at: float | None
    last_at: float | None
    before: int
    first_seen: float | None
    last_before: float | None
    later: int

    @property
    def is_new(self) -> bool:
        return bool(self.message) and not self.before


@dataclass(frozen=True)
class Gate:
    """A gate of a run. batch: the batch before which it was evaluated; None if not known. at: epoch seconds. figures:
    the result of each check as text."""

    batch: int | None
    at: float | None
    verdict: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """One operation.

    row: the values of operations.COLUMNS. facts: what the outcome was determined from. instances: INSTANCE_COLUMNS,
    problems first; seconds: how long the redeploy or restart took; waited: how long it was before it began (both NaN if
    not known). failures: the one with the most instances first. rollouts: of the run, as in rollouts.rollouts_of_run.
    gates: in order. plan: what is known about the plan, such as hash, planned, left_alone, gone, batches,
    override_reason, and outcomes.evidence.plan_facts. followed: ids of the rollouts that the run adopted.
    disagreements: host -> how the server's status differs, from the report. targets: of a rollout, as in
    rollouts.targets_of; empty for other operations.
    """

    row: dict[str, Any]
    facts: Facts
    instances: pd.DataFrame
    failures: tuple[Failure, ...]
    rollouts: pd.DataFrame
    gates: tuple[Gate, ...]
    plan: dict[str, Any]
    followed: tuple[str, ...]
    disagreements: dict[str, str]
    targets: pd.DataFrame


@query
def operation(conn: Connection, key: str, now: float) -> Operation | None:
    """One operation by its run id, rollout id or attempt id; None if it is not known.

    The id of a rollout that a known run started gives the rollout itself, not the run.
    """
    known = _key(conn, key)
    if known is None:
        return None
    now = freshness(conn).as_of(now, known.tenant)
    stored, facts = stored_of(conn, known, details=True)
    is_run, timeline = known.kind == RUN, pd.DataFrame()
    if known.kind == ROLLOUT:
        timeline = targets_of(conn, str(known.tenant), key)
        instances, bad = _of_rollout(timeline, facts.status, now)
        judged, targets = outcomes(replace(facts, targets=bad)), newest_targets(bad)
        numbers = instances["category"].value_counts()
        counted = {name: int(numbers.get(name, 0)) for name in CATEGORIES} if len(instances) else counts(facts)
    else:
        judged, targets = outcomes(facts), newest_targets(facts.targets)
        ids = instances_of_run(conn, key, judged) if is_run else {}
        instances, counted = _instances(facts, judged, targets, ids, now), counts(facts, judged)
    row = judged_row(known, stored, facts, counted, now)
    return Operation(
        row=row,
        facts=facts,
        instances=instances,
        failures=_failures(conn, known, judged, targets),
        rollouts=rollouts_of_run(conn, key) if is_run else pd.DataFrame(),
        gates=_gates(conn, key) if is_run else (),
        plan=_plan(facts, len(instances)),
        followed=_followed(conn, key, facts) if is_run else (),
        disagreements={str(k): str(v) for k, v in mapping(facts.report.get("disagreements")).items()},
        targets=timeline,
    )


def _key(conn: Connection, key: str) -> Key | None:
    sql = """
    SELECT 'run' AS kind, NULL AS tenant, started_at FROM runs WHERE run_id = :id
    UNION ALL SELECT * FROM (
      SELECT 'rollout', r.tenant, r.created_at FROM tenants JOIN rollouts r
        ON r.tenant = tenants.tenant AND r.rollout_id = :id ORDER BY r.updated_at DESC LIMIT 1)
    UNION ALL SELECT 'act', tenant, at FROM console_audit WHERE attempt_id = :id AND phase = 'attempt' LIMIT 1
    """
    row = first_row(conn, sql, {"id": key})
    return None if row is None else Key(row["started_at"] or 0.0, row["kind"], key, row["tenant"])


def _instances(
    facts: Facts, judged: Mapping[str, Outcome], targets: Mapping[str, Target], ids: Mapping[str, Instance], now: float
) -> pd.DataFrame:
    worked, rows = spans(facts.results), []
    for host, outcome in judged.items():
        target = targets.get(host) or Target(host, "")
        began, done = worked.get(host, (None, None))
        begun, ended = target.started_at or began, target.completed_at or done
        times = (target.created_at, target.started_at, begun, ended, outcome.since)
        names = (host, target.instance_id or ids.get(host, (None, None))[1], target.rollout_id or None)
        rows.append((*names, *times, outcome.category, cause_of(outcome, target), outcome.derived))
    columns = ("host", "instance_id", "rollout_id", "created_at", "taken_at", "started_at", "ended_at", "since",
               "category", "message", "derived")  # fmt: skip
    return _timed(framed(rows, columns), now)


def _of_rollout(targets: pd.DataFrame, rollout: str, now: float) -> tuple[pd.DataFrame, list[Target]]:
    """The instances of a rollout with the status ``rollout``, each with its newest target, and the targets that failed
    or are uncertain. Instances with the same host name are named as in the inventory.

    Computed by column, because with objects, 20,000 instances take three times as long.
    """
    if targets["host"].duplicated().any():
        pairs = list(zip(targets["host"], targets["instance_id"].fillna(""), strict=True))
        names = names_apart(pairs)
        targets = targets.assign(host=[names.get(pair, pair[0]) for pair in pairs])
        newest_last = targets["created_at"].fillna(0.0).argsort(kind="stable")
        targets = targets.iloc[newest_last].drop_duplicates("host", keep="last")
    codes, statuses = pd.factorize(targets["status"])
    known = np.array([category_of_target(status, rollout) for status in statuses] or [("", "")], dtype=object)
    category, why = (pd.Series(part, index=targets.index, dtype=object) for part in known[codes].T)
    created, started, completed = targets["created_at"], targets["started_at"], targets["completed_at"]
    error = targets["error"].where(targets["error"].notna(), "")
    frame = targets.assign(
        instance_id=targets["instance_id"].where(targets["instance_id"] != "", None),
        taken_at=started,
        ended_at=completed,
        since=completed.fillna(started).fillna(created),
        category=category,
        message=error.where(why == "", why),
        derived=pd.Series(True, index=targets.index, dtype=object),
    )
    columns = ["host", "status", "target_id", "instance_id", "created_at", "started_at", "completed_at", "error"]
    bad = targets.assign(error=error, instance_id=targets["instance_id"].fillna(""))[category.isin(PROBLEMS)]
    bad = bad[[*columns, "rollout_id"]].astype(object)
    return _timed(frame, now), [Target(*row) for row in bad.where(bad.notna(), None).itertuples(index=False)]


def _timed(frame: pd.DataFrame, now: float) -> pd.DataFrame:
    """INSTANCE_COLUMNS, problems first. created_at, taken_at: when the server stored and began the target. since: when
    the instance came into its category."""
    runs = frame["category"] == RUNNING
    started = frame["started_at"].where(~runs, frame["started_at"].fillna(frame["since"]))
    frame = frame.assign(
        started_at=started,
        ended_at=frame["ended_at"].where(~runs),
        seconds=(frame["ended_at"].where(~runs, now) - started).clip(lower=0.0),
        waited=(frame["taken_at"] - frame["created_at"]).clip(lower=0.0),
        rank=pd.Categorical(frame["category"], PROBLEMS_FIRST).codes,
    )
    return frame.sort_values(["rank", "host"], ignore_index=True)[[*INSTANCE_COLUMNS]]


def _failures(
    conn: Connection, key: Key, judged: Mapping[str, Outcome], targets: Mapping[str, Target]
) -> tuple[Failure, ...]:
    """Each failure once. The cause is the server's message for the target; the task that waited for it repeats it."""
    clusters: dict[tuple[str, str], list[tuple[str, str, Outcome]]] = {}
    for host, outcome in judged.items():
        if outcome.category in PROBLEMS:
            message = cause_of(outcome, targets.get(host))
            clusters.setdefault((outcome.category, normalised(message, host)), []).append((host, message, outcome))
    found = []
    for (status, pattern), alike in sorted(clusters.items(), key=lambda cluster: -len(cluster[1])):
        times = [outcome.since for _host, _message, outcome in alike if outcome.since is not None]
        hosts = tuple(sorted(host for host, _message, _outcome in alike))
        first, last = min(times, default=None), max(times, default=None)
        elsewhere = _elsewhere(conn, key, _prints(alike))
        found.append(Failure(status, alike[0][1], pattern, hosts, first, last, *elsewhere))
    return tuple(found)


def _prints(alike: Sequence[tuple[str, str, Outcome]]) -> set[str]:
    """Up to _MAX_PRINTS fingerprints of one failure on several hosts: of the cause, and of the tasks' messages."""
    # The causes all have the same fingerprint.
    host, message, _outcome = alike[0]
    found = {fingerprint(message, host)} if message else set()
    for host, message, outcome in alike:
        if outcome.message not in ("", message) and len(found) < _MAX_PRINTS:
            found.add(fingerprint(outcome.message, host))
    return found


def cause_of(outcome: Outcome, target: Target | None) -> str:
    """The cause of an instance's outcome. If it is failed or uncertain, the server's message for the target, if any."""
    if outcome.category in PROBLEMS and target is not None and target.status in ("failed", "uncertain"):
        return target.message or outcome.message
    return outcome.message


# own: the operation and the runs that name it. theirs: the operation and the rollouts that these runs name.
_ELSEWHERE = f"""
WITH own AS (
  SELECT :key AS ref UNION SELECT run_id FROM run_links WHERE kind = 'rollout' AND ref = :key
), theirs AS (
  SELECT :key AS ref UNION SELECT ref FROM run_links WHERE kind = 'rollout' AND run_id IN own
)
SELECT ref, min(at) AS first_at, max(at) AS last_at FROM (
  SELECT * FROM (
    SELECT h.run_id AS ref, h.ended_at AS at FROM host_results h INDEXED BY host_results_failed
    LEFT JOIN tasks k ON k.run_id = h.run_id AND k.counter = h.task_counter
    WHERE h.msg_fp = :print AND h.ended_at {{side}} AND h.run_id NOT IN own AND {IS_FAILURE}
    ORDER BY h.ended_at {{order}} LIMIT :most)
  UNION ALL SELECT * FROM (
    SELECT {operation_of("t.rollout_id")}, t.created_at
    FROM rollout_targets t INDEXED BY rollout_targets_message
    WHERE t.msg_fp = :print AND t.fp_version = :version AND t.created_at {{side}} AND t.rollout_id NOT IN theirs
    ORDER BY t.created_at {{order}} LIMIT :most)
) GROUP BY ref
"""  # noqa: S608 - no user input
_EARLIER = _ELSEWHERE.format(side="< :begun", order="DESC")
_LATER = _ELSEWHERE.format(side="> :begun", order="ASC")


def _elsewhere(conn: Connection, key: Key, prints: set[str]) -> tuple[int, float | None, float | None, int]:
    """How many earlier operations failed with one of the messages, when the first and the last of them did, and how
    many later ones. Only the nearest _MAX_ELSEWHERE results and targets are read."""
    params = {"version": FP_VERSION, "begun": key.at, "key": key.key, "most": _MAX_ELSEWHERE}
    earlier, later = (
        [row for text in prints for row in dicts(conn, sql, {**params, "print": text})] for sql in (_EARLIER, _LATER)
    )
    first = min((row["first_at"] for row in earlier), default=None)
    last = max((row["last_at"] for row in earlier), default=None)
    return len({row["ref"] for row in earlier}), first, last, len({row["ref"] for row in later})


def _gates(conn: Connection, run_id: str) -> tuple[Gate, ...]:
    rows = conn.execute(
        "SELECT batch, at, verdict, document_json FROM run_evidence WHERE run_id = ? AND kind = 'gate'"
        " ORDER BY counter",
        (run_id,),
    )
    found = []
    for batch, at, verdict, text in rows:
        document = parsed(text)
        figures = gate_figures(listed(document.get("checks"))) or (str(document.get("msg") or ""),)
        found.append(Gate(batch, at, GATE_WORDS.get(verdict, verdict or "inconclusive"), figures))
    return tuple(found)


def _plan(facts: Facts, instances: int) -> dict[str, Any]:
    report, recorded = facts.report, facts.plan
    return {
        "hash": report.get("plan_hash") or recorded.get("plan_hash") or None,
        "instances": len(facts.hosts) or instances,
        "planned": None if facts.planned is None else len(facts.planned),
        "batches": facts.batches_planned,
        "batches_begun": sum(batch.touched for batch in facts.batches),
        "left_alone": names(recorded.get("left_alone", report.get("current"))),
        "gone": names(recorded.get("gone", report.get("gone"))),
        "override_reason": report.get("override_reason") or None,
        **plan_facts(recorded),
    }


def _followed(conn: Connection, run_id: str, facts: Facts) -> tuple[str, ...]:
    sql = f"SELECT ref FROM run_links l WHERE run_id = ? AND kind = 'rollout' AND NOT ({STARTED})"  # noqa: S608
    found = first_column(conn, sql, (run_id,))
    reported = facts.report.get("rollout_id")
    if facts.adopted and reported and not any(same_id(reported, ref) for ref in found):
        found.append(str(reported))
    return tuple(found)


MIN_PREFIX = 4
_IDS = {
    "run": "SELECT run_id FROM runs WHERE run_id >= :prefix AND run_id < :end LIMIT :most",
    "rollout": "SELECT DISTINCT r.rollout_id FROM tenants t CROSS JOIN rollouts r ON r.tenant = t.tenant"
    " WHERE r.rollout_id >= :prefix AND r.rollout_id < :end LIMIT :most",
    "instance": "SELECT DISTINCT i.instance_id FROM tenants t CROSS JOIN instances i ON i.tenant = t.tenant"
    " WHERE (i.instance_id >= :prefix AND i.instance_id < :end) OR (i.hostname >= :prefix AND i.hostname < :end)"
    " LIMIT :most",
}


@query
def whole_id(conn: Connection, prefix: str, *kinds: str) -> str | None:
    """The complete id of the run, rollout or instance (``kinds``) whose id, or host name, begins with ``prefix``; None
    if there is not exactly one, or the prefix is shorter than MIN_PREFIX."""
    if len(prefix) < MIN_PREFIX:
        return None
    wanted = {"prefix": prefix, "end": prefix + chr(0x10FFFF), "most": 2}
    found = {text for kind in kinds for text in first_column(conn, _IDS[kind], wanted)}
    return found.pop() if len(found) == 1 else None
