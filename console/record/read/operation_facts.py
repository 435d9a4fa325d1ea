# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record knows of one operation, as the facts that console.outcomes judges."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from console.outcomes.facts import ACT, ROLLOUT, RUN, Batch, Facts, Flight, Result, Target
from console.outcomes.outcome import READS, WORK, has_report, of_rollout
from console.record.read.frames import dicts, one

POLICY = "the update policy"
"""What a run is about that sets the tenant's policy: it has no instance."""

# Roles whose tasks run once for the whole run: their results stand at one host, and say nothing of it.
_FOR_ALL = ("fleet_preflight", "fleet_report")
_OURS = WORK | READS
_PLANNED_GROUP = "fleetops_planned"
_REPORT_PLACE = "fleetops_report."


def name_of(playbook: str | None) -> str:
    """A playbook's name without folder, collection and suffix; '' for none."""
    path = PurePosixPath(playbook or "")
    name = path.name.removesuffix(path.suffix) if path.suffix in (".yml", ".yaml") else path.name
    return name.removeprefix("fleetops.agents.")


def rollout_name(scope: str | None) -> str:
    """The name of a rollout that no run of the record started, by its scope: "fleet rollout"."""
    return f"{scope or ''} rollout".strip()


def report_of(stats_json: str | None) -> tuple[dict[str, Any], frozenset[str]]:
    """The report in a run's custom stats, empty without one, and its lists that are not whole."""
    try:
        stats = json.loads(stats_json or "{}")
    except ValueError:
        return {}, frozenset()
    report = stats.get("fleetops_report") if isinstance(stats, dict) else None
    if not isinstance(report, dict):
        return {}, frozenset()
    left_out = stats.get("left_out")
    places = left_out if isinstance(left_out, dict) else {}
    cut = {place.removeprefix(_REPORT_PLACE) for place in places if place.startswith(_REPORT_PLACE)}
    return report, frozenset(cut & {*report} - {"why", "disagreements", "reasons", "counts"})


def facts_of_run(conn: sqlite3.Connection, run: Mapping[str, Any], *, whole: bool) -> Facts:
    """The facts of a playbook run; ``run`` is its row of the table ``runs``.

    whole: also what each instance came to, where the report says it already in numbers.
    """
    run_id = run["run_id"]
    report, cut = report_of(run["stats_json"])
    name = name_of(run["playbook"])
    check = run["check_mode"]
    facts = Facts(
        kind=RUN,
        name=name,
        status=run["status"],
        check=None if check is None else bool(check),
        report=report,
        report_cut=cut,
        adopted=bool(report.get("adopted")),
    )
    more: dict[str, Any] = {}
    tasks = _tasks(conn, run_id)
    expand = whole or not has_report(facts)
    if of_rollout(facts) and not whole and (rollout := _only_rollout(conn, run_id, facts)):
        return replace(facts, rollout=rollout)
    more["batches"], hosts = _plays(conn, run_id, tasks, with_hosts=expand)
    if expand:
        more["results"] = _results(conn, run_id, tasks)
        more["in_flight"] = _in_flight(conn, run_id)
        more["targets"] = targets_of_run(conn, run_id)
        more["planned"] = _planned(conn, run_id, tasks, hosts, more["batches"])
        more["hosts"] = hosts or ((POLICY,) if any(r.host == POLICY for r in more["results"]) else ())
    if run["status"] == "failed" and not has_report(facts):
        more["first_failure"] = _first_failure(conn, run_id)
    return replace(facts, **more)


def facts_of_rollout(conn: sqlite3.Connection, rollout: Mapping[str, Any], *, whole: bool) -> Facts:
    """The facts of a rollout that no run of the record started; ``rollout`` is its row of the table ``rollouts``."""
    targets: list[Target] = []
    if whole:
        key = {"tenant": rollout["tenant"], "id": rollout["rollout_id"]}
        targets = _targets(conn, _OF_ROLLOUT, key)
    return Facts(
        kind=ROLLOUT, name=rollout_name(rollout["scope"]), status=rollout["status"], rollout=rollout, targets=targets
    )


def facts_of_act(act: Mapping[str, Any]) -> Facts:
    """The facts of something that was tried from the console: a row of ``console_audit`` with its outcome."""
    return Facts(
        kind=ACT,
        name=str(act["action"] or ""),
        status=str(act["outcome"] or "no outcome"),
        hosts=(str(act["name"] or act["instance_id"] or act["rollout_id"] or ""),),
        detail=str(act["detail"] or ""),
    )


def _only_rollout(conn: sqlite3.Connection, run_id: str, facts: Facts) -> Mapping[str, Any] | None:
    """The record of the rollout that a run started or followed, by the server or else by its report."""
    links = conn.execute(
        "SELECT ref FROM run_links WHERE run_id = ? AND kind = 'rollout' LIMIT 2", (run_id,)
    ).fetchall()
    if len(links) > 1:
        return None
    if links:
        found = one(
            conn,
            "SELECT r.* FROM tenants JOIN rollouts r ON r.tenant = tenants.tenant AND r.rollout_id = :id LIMIT 1",
            {"id": links[0][0]},
        )
        if found is not None:
            return found
    told = facts.report.get("rollout")
    return told if isinstance(told, dict) else None


Tasks = dict[int, tuple[str, str, str, int]]


def _tasks(conn: sqlite3.Connection, run_id: str) -> Tasks:
    """The tasks of a run by counter: the module's name without its collection, role, name, and the play's counter."""
    rows = conn.execute("SELECT counter, action, role, name, play_counter FROM tasks WHERE run_id = ?", (run_id,))
    return {
        counter: (_module(action), (role or "").rpartition(".")[2], name or action or "", play or 0)
        for counter, action, role, name, play in rows
    }


def _module(action: str | None) -> str:
    collection, _dot, module = (action or "").rpartition(".")
    return module if collection in ("", "fleetops.agents") else action or ""


def _plays(
    conn: sqlite3.Connection, run_id: str, tasks: Tasks, *, with_hosts: bool
) -> tuple[tuple[Batch, ...], tuple[str, ...]]:
    """The batches of the play that works on the instances, and the instances of all plays."""
    names = "hosts_json" if with_hosts else "NULL"
    rows = conn.execute(
        f"SELECT counter, play, batch, pattern, started_at, {names} FROM plays WHERE run_id = ? ORDER BY counter",  # noqa: S608
        (run_id,),
    ).fetchall()
    worked = {play for action, _role, _name, play in tasks.values() if action in _OURS}
    hosts: dict[str, None] = {}
    listed: dict[int, tuple[str, ...]] = {}
    for counter, _play, _batch, _pattern, _at, text in rows:
        listed[counter] = tuple(json.loads(text)) if text else ()
        hosts.update(dict.fromkeys(listed[counter]))
    hosts.pop("localhost", None)
    of_batches = [row for row in rows if (row[3] or "").startswith(_PLANNED_GROUP)]
    if not of_batches:
        numbers = [row[1] for row in rows if row[0] in worked]
        of_batches = [row for row in rows if numbers and row[1] == numbers[-1]]
        of_batches = of_batches if len(of_batches) > 1 else []
    batches = tuple(
        Batch(number, listed[row[0]], row[4], row[0] in worked) for number, row in enumerate(of_batches, start=1)
    )
    return batches, tuple(hosts)


def _planned(
    conn: sqlite3.Connection, run_id: str, tasks: Tasks, hosts: tuple[str, ...], batches: tuple[Batch, ...]
) -> tuple[str, ...] | None:
    """Who was to be changed, as far as the run log tells: it has how many were planned, and each batch that began."""
    grouping = [counter for counter, (action, role, *_rest) in tasks.items()
                if role in _FOR_ALL and action.endswith("add_host")]  # fmt: skip
    if not grouping:
        return None
    number = conn.execute(
        "SELECT count(*) FROM host_results WHERE run_id = ? AND kind = 'item' AND task_counter IN"
        " (SELECT value FROM json_each(?)) AND counter BETWEEN ? AND ?",
        (run_id, json.dumps(grouping), min(grouping), max(grouping) + len(hosts) + 1),
    ).fetchone()[0]
    if number == len(hosts):
        return hosts
    begun = tuple(dict.fromkeys(host for batch in batches for host in batch.hosts))
    return begun if begun and number == len(begun) else None


_RESULTS = """
SELECT h.host, h.task_counter, h.status, h.changed, h.ended_at, h.started_at, substr(h.msg, 1, 2000) AS message,
       CASE WHEN h.status IN ('failed', 'unreachable', 'ignored') THEN h.result_json END AS result_json,
       instr(h.result_json, '"rollout_id":"') + instr(h.result_json, '"task_id":"')
       + instr(h.result_json, '"action_id":"') > 0 AS was_sent, h.counter
FROM host_results h
WHERE h.run_id = :id AND h.kind = 'result'
  AND (h.status IN ('failed', 'unreachable') OR h.task_counter IN (SELECT value FROM json_each(:ours)))
  AND (h.task_counter IS NULL OR h.task_counter NOT IN (SELECT value FROM json_each(:for_all)))
ORDER BY h.counter
"""


def _results(conn: sqlite3.Connection, run_id: str, tasks: Tasks) -> list[Result]:
    ours = [counter for counter, task in tasks.items() if task[0] in _OURS]
    for_all = [
        counter for counter, (action, role, *_rest) in tasks.items() if role in _FOR_ALL or action.startswith("rollout")
    ]
    adopted = {
        row[0] for row in conn.execute("SELECT counter FROM run_links WHERE run_id = ? AND kind = 'adopted'", (run_id,))
    }
    found = []
    rows = dicts(conn, _RESULTS, {"id": run_id, "ours": json.dumps(ours), "for_all": json.dumps(for_all)})
    for row in rows:
        action = tasks.get(row["task_counter"] or 0, ("", "", "", 0))[0]
        host = row["host"]
        if host == "localhost":
            if action != "update_policy":
                # A run that found no hosts to work on, or a task for all of them: no instance's.
                continue
            host = POLICY
        values: dict[str, Any] = _parsed(row["result_json"])
        if row["counter"] in adopted:
            values["adopted"] = True
        found.append(
            Result(
                host=host,
                action=action,
                status=row["status"],
                changed=bool(row["changed"]),
                at=row["ended_at"],
                values=values,
                message=row["message"] or "",
                started_at=row["started_at"],
                was_sent=bool(row["was_sent"]),
            )
        )
    return found


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _in_flight(conn: sqlite3.Connection, run_id: str) -> dict[str, Flight]:
    rows = conn.execute(
        "SELECT f.host, t.name, t.action, f.started_at FROM run_in_flight f LEFT JOIN tasks t ON t.run_id = f.run_id"
        " AND t.counter = f.task_counter WHERE f.run_id = ?",
        (run_id,),
    )
    return {host: Flight(name or action or "", _module(action), at) for host, name, action, at in rows}


_TARGET = """
SELECT {host} AS host, t.target_id, t.instance_id, t.status, t.created_at, t.started_at, t.completed_at,
       substr(t.error_message, 1, 2000) AS message, t.rollout_id
"""
_OF_ROLLOUT = (
    _TARGET.format(host="coalesce(t.hostname, t.instance_id, t.target_id)")
    + "FROM rollout_targets t WHERE t.tenant = :tenant AND t.rollout_id = :id"
)
# The inventory may name an instance otherwise than the server does.
_OF_RUN = (
    _TARGET.format(host="coalesce(i.host, t.hostname, t.instance_id, t.target_id)")
    + """
    FROM run_links l CROSS JOIN tenants CROSS JOIN rollout_targets t
    LEFT JOIN run_links i ON i.run_id = l.run_id AND i.kind = 'instance' AND i.ref = t.instance_id
      AND i.host <> 'localhost'
    WHERE l.run_id = :id AND l.kind = 'rollout' AND t.tenant = tenants.tenant AND t.rollout_id = l.ref
    """
)


def targets_of_run(conn: sqlite3.Connection, run_id: str) -> list[Target]:
    """The targets of all rollouts that a run started or followed, those too that no result of it has named yet."""
    found = _targets(conn, _OF_RUN, {"id": run_id})
    for sent in sent_by_tasks(conn, run_id):
        found += _targets(
            conn,
            _TARGET.format(host=":host")
            + "FROM rollout_targets t WHERE t.tenant = :tenant AND t.rollout_id = :rollout",
            {"host": sent.host, "tenant": sent.tenant, "rollout": sent.rollout_id},
        )
    return found


@dataclass(frozen=True)
class Sent:
    """A rollout of one instance that a task of a run must have started, by its time: its result is not there yet."""

    run_id: str
    host: str
    tenant: str
    rollout_id: str


# The clocks of the control node and of the server differ; the last event of a run that was killed is some time ago.
_SENT_BEFORE, _SENT_AFTER = 60.0, 300.0
_FLIGHTS = """
SELECT f.run_id, f.host, f.started_at, CASE r.status WHEN 'running' THEN 1e12 ELSE coalesce(r.heartbeat_at, 0) END
FROM run_in_flight f JOIN runs r ON r.run_id = f.run_id
JOIN tasks t ON t.run_id = f.run_id AND t.counter = f.task_counter
WHERE t.action IN ('fleetops.agents.instance_runtime', 'fleetops.agents.instance_update')
  AND f.started_at IS NOT NULL AND (:run IS NULL OR f.run_id = :run)
"""
_SENT = """
SELECT t.rollout_id FROM rollout_targets t INDEXED BY rollout_targets_instance
JOIN rollouts r ON r.tenant = t.tenant AND r.rollout_id = t.rollout_id
WHERE t.tenant = ? AND t.instance_id = ? AND t.created_at BETWEEN ? AND ? AND r.total = 1
  AND NOT EXISTS (SELECT 1 FROM run_links l WHERE l.kind = 'rollout' AND l.ref = t.rollout_id)
ORDER BY t.created_at LIMIT 1
"""


def sent_by_tasks(conn: sqlite3.Connection, run_id: str | None = None) -> list[Sent]:
    """The rollouts of redeploys that are under way in a run, or were when its process ended. run_id: None for all."""
    flights = conn.execute(_FLIGHTS, {"run": run_id}).fetchall()
    if not flights:
        return []
    hosts = {host for _run, host, *_times in flights}
    known: dict[str, list[tuple[str, str]]] = {}
    for tenant, instance_id, name in conn.execute("SELECT tenant, instance_id, hostname FROM instances"):
        if name in hosts:
            known.setdefault(name, []).append((tenant, instance_id))
    found = []
    for run, host, at, until in flights:
        for tenant, instance_id in known.get(host, ()):
            row = conn.execute(_SENT, (tenant, instance_id, at - _SENT_BEFORE, until + _SENT_AFTER)).fetchone()
            if row is not None:
                found.append(Sent(run, host, tenant, row[0]))
    return found


def _targets(conn: sqlite3.Connection, sql: str, params: dict[str, Any]) -> list[Target]:
    return [
        Target(
            host=row["host"],
            status=row["status"],
            target_id=row["target_id"],
            instance_id=row["instance_id"] or "",
            created_at=row["created_at"],
            started_at=row["started_at"],
            completed_at=row["completed_at"],
            message=row["message"] or "",
            rollout_id=row["rollout_id"],
        )
        for row in dicts(conn, sql, params)
    ]


def _first_failure(conn: sqlite3.Connection, run_id: str) -> str:
    row = conn.execute(
        "SELECT host, substr(msg, 1, 600) FROM host_results INDEXED BY host_results_trouble"
        " WHERE run_id = ? AND status IN ('failed', 'unreachable') ORDER BY counter LIMIT 1",
        (run_id,),
    ).fetchone()
    if row is None or not row[1]:
        return ""
    host, message = row
    return message if host == "localhost" or message.startswith(host) else f"{host}: {message}"
