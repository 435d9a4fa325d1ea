# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about one operation in the database, from which console.outcomes determines the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from sqlite3 import Connection
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key, spellings
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import with_host
from console.outcomes.evidence import together
from console.outcomes.facts import RUN, Batch, Facts, Flight, Result
from console.outcomes.outcome import OURS, has_report, of_rollout
from console.record.connection import dicts, first_column, first_value
from console.record.read import rollouts
from console.record.read.rollouts import names_apart, target_facts
from console.record.read.sql import IS_FAILURE, MATERIALIZED, SENT, WAS_BAD, WAS_RESCUED, WAS_SENT, identified
from console.record.rows import PREDICTED, Row
from console.text.json_values import entries, listed, mapping, names, parsed

POLICY = "the update policy"
"""Used instead of a host for a run that sets the tenant's policy: no instance is involved."""

# Roles whose tasks run once for the entire run: their results are attributed to one host, but are not about it.
_FOR_ALL = ("fleet_preflight", "fleet_report")
_PLANNED_GROUP = "fleetops_planned"
_REPORT_PLACE = "fleetops_report."
_NO_CATEGORIES = {"why", "disagreements", "reasons", "counts"}


def name_of(playbook: str | None) -> str:
    """A playbook's name without folder, collection and suffix; '' for None."""
    path = PurePosixPath(playbook or "")
    name = path.name.removesuffix(path.suffix) if path.suffix in (".yml", ".yaml") else path.name
    return name.removeprefix("fleetops.agents.")


def rollout_name(scope: str | None) -> str:
    """The name of a rollout that no known run started, such as "fleet rollout"."""
    return f"{scope or ''} rollout".strip()


def report_of_run(conn: Connection, run: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """The report of a run from its custom stats and its evidence (several reports are combined), and which of its
    lists are truncated. run: run_id, stats_json and meta_json.

    The numbers of a report that counts predicted changes, although the run is not a check run, are left out.
    """
    run_id, stats = run["run_id"], parsed(run["stats_json"])
    report, places = dict(mapping(stats.get("fleetops_report"))), mapping(stats.get("left_out"))
    cut = _lists(report, [place.removeprefix(_REPORT_PLACE) for place in places if place.startswith(_REPORT_PLACE)])
    # A playbook that imports several playbooks can produce several reports.
    kept = [report for report in documents(conn, run_id, "report") if isinstance(report.get("counts"), dict)]
    if len(kept) > 1 and not any(map(_cut_lists, kept)):
        report = {**report, **together(kept)}
    elif not report and kept:
        # The run was killed after it made its report and before it published it at its end.
        report, cut = kept[-1], _cut_lists(kept[-1])
    if "predicted" in _check_modes(run):
        report = {name: value for name, value in report.items() if name != "counts"}
    return report, cut


def _check_modes(run: Mapping[str, Any]) -> list[Any]:
    return listed(parsed(run["meta_json"]).get("check_modes"))


def facts_of_run(conn: Connection, run: Mapping[str, Any], *, details: bool) -> Facts:
    """The facts of a playbook run; ``run`` is its row of the table ``runs``.

    details: also read the outcome of each instance if the report already contains the counts.
    """
    run_id = run["run_id"]
    report, cut = report_of_run(conn, run)
    plan: dict[str, Any] = next(reversed(documents(conn, run_id, "plan")), {})
    check, batches = run["check_mode"], mapping(plan.get("counts")).get("batches")
    facts = Facts(
        kind=RUN,
        name=name_of(run["playbook"]),
        status=run["status"],
        check=None if check is None else bool(check),
        despite_check="given" in _check_modes(run),
        report=report,
        report_cut=cut,
        adopted=bool(report.get("adopted")),
        plan=plan,
        batches_planned=batches if isinstance(batches, int) else None,
    )
    expand = details or not has_report(facts)
    if of_rollout(facts) and not details and (record := _only_rollout(conn, run_id, facts)):
        return replace(facts, rollout=record)
    tasks = _tasks(conn, run_id)
    batches, hosts = _plays(conn, run_id, tasks, with_hosts=expand)
    facts = replace(facts, batches=batches)
    if run["status"] == "failed" and report.get("verdict") in (None, "pass"):
        facts = replace(facts, first_failure=_first_failure(conn, run_id))
    if not expand:
        return facts
    results, bad = _results(conn, run_id, tasks, check=bool(check))
    pruned = not results and not has_report(facts) and _is_pruned(conn, run_id)
    # If only numbers are wanted, targets are read only for hosts that failed: for the others the results are enough.
    reads_all_targets = details or pruned or of_rollout(facts)
    targets = target_facts(conn, run_id, None if reads_all_targets else bad)
    if of_rollout(facts):
        apart = names_apart((target.host, target.instance_id) for target in targets)
        targets = [
            target._replace(host=apart.get((target.host, target.instance_id), target.host)) for target in targets
        ]
    planned, gone = _of_plan(plan, hosts)
    # The plan is stored without their names. If its lists are truncated, they are not known.
    others = {*(planned or ()), *names(plan.get("left_alone")), *gone}
    left_out = [host for host in hosts if host not in others]
    if planned is None:
        planned = _planned(conn, run_id, tasks, hosts, batches)
    if pruned:
        # Whether the run changed any other hosts is no longer known.
        hosts = tuple(dict.fromkeys(target.host for target in targets))
    elif not hosts and any(result.host == POLICY for result in results):
        hosts = (POLICY,)
    return replace(
        facts,
        results=results,
        in_flight=_in_flight(conn, run_id),
        pruned=pruned,
        targets=targets,
        planned=planned,
        gone=gone,
        left_out=left_out if len(left_out) == mapping(plan.get("counts")).get("left_out") else (),
        hosts=hosts,
    )


Instance = tuple[str | None, str | None]
"""Tenant and id, both None if the instance is not known."""


def instances_of_run(conn: Connection, run_id: str, hosts: Iterable[str]) -> dict[str, Instance]:
    """The instances of hosts of a run, see :func:`identified`."""
    sql = f"""
    WITH hosts AS {MATERIALIZED} (SELECT :run AS run_id, value AS host FROM json_each(:hosts)), {identified("hosts")}
    SELECT host, tenant, instance_id FROM identified
    """  # noqa: S608 - no user input
    rows = conn.execute(sql, {"run": run_id, "hosts": list(hosts)})
    return {host: (tenant, instance_id) for host, tenant, instance_id in rows}


def documents(conn: Connection, run_id: str, kind: str) -> list[dict[str, Any]]:
    """The plans or reports that are stored for a run in addition to its custom stats, in order."""
    sql = "SELECT document_json FROM run_evidence WHERE run_id = ? AND kind = ? ORDER BY counter"
    return [parsed(text) for text in first_column(conn, sql, (run_id, kind))]


def _cut_lists(report: Mapping[str, Any]) -> frozenset[str]:
    return _lists(report, mapping(report.get("left_out")))


def _lists(report: Mapping[str, Any], places: Iterable[str]) -> frozenset[str]:
    """Which of the places are lists of instances in a report."""
    return frozenset({*places} & {*report} - _NO_CATEGORIES)


def _of_plan(plan: Mapping[str, Any], hosts: tuple[str, ...]) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The instances that are planned and those that are gone, according to a plan. planned is None without a plan, or
    if truncated lists hide it."""
    gone = names(plan.get("gone"))
    batches = plan.get("batches")
    if not isinstance(batches, list):
        return None, gone
    planned = tuple(name for batch in batches if isinstance(batch, dict) for name in names(batch.get("instances")))
    numbers = mapping(plan.get("counts"))
    if len(planned) == numbers.get("planned", len(planned)):
        return planned, gone
    left = names(plan.get("left_alone"))
    if len(left) == numbers.get("left_alone") and len(gone) == numbers.get("gone"):
        others = {*left, *gone}
        return tuple(host for host in hosts if host not in others), gone
    return None, gone


def _only_rollout(conn: Connection, run_id: str, facts: Facts) -> Mapping[str, Any] | None:
    """The one rollout that a run started or followed, as the server or else the run's report describes it."""
    named = "SELECT ref FROM run_links WHERE run_id = :run AND kind = 'rollout' LIMIT 2"
    sent = f"WITH {SENT} SELECT rollout_id FROM sent"  # noqa: S608 - no user input
    key = {"run": run_id}
    links = first_column(conn, named, key) or first_column(conn, sent, key)
    if len(links) > 1:
        return None
    if links:
        found = rollouts.rollout(conn, links[0])
        if found is not None:
            return found
    reported = facts.report.get("rollout")
    return reported if isinstance(reported, dict) else None


class _Task(NamedTuple):
    """action: the module's name, without the collection if it is fleetops.agents. play: the counter of its play."""

    action: str
    role: str
    play: int


Tasks = dict[int, _Task]


def _tasks(conn: Connection, run_id: str) -> Tasks:
    rows = conn.execute("SELECT counter, action, role, play_counter FROM tasks WHERE run_id = ?", (run_id,))
    return {
        counter: _Task(_module(action), (role or "").rpartition(".")[2], play or 0)
        for counter, action, role, play in rows
    }


def _module(action: str | None) -> str:
    collection, _dot, module = (action or "").rpartition(".")
    return module if collection in ("", "fleetops.agents") else action or ""


def _plays(
    conn: Connection, run_id: str, tasks: Tasks, *, with_hosts: bool
) -> tuple[tuple[Batch, ...], tuple[str, ...]]:
    """The batches of the play that works on the instances, and the instances of all plays."""
    column = "hosts_json" if with_hosts else "NULL"
    rows = dicts(
        conn,
        f"SELECT counter, play, pattern, started_at, {column} AS hosts FROM plays WHERE run_id = :id ORDER BY counter",  # noqa: S608 - no user input
        {"id": run_id},
    )
    worked = {task.play for task in tasks.values() if task.action in OURS}
    listed: dict[int, tuple[str, ...]] = {row["counter"]: names(entries(row["hosts"])) for row in rows}
    hosts = dict.fromkeys(host for names_of_play in listed.values() for host in names_of_play)
    hosts.pop("localhost", None)
    of_batches = [row for row in rows if (row["pattern"] or "").startswith(_PLANNED_GROUP)]
    if not of_batches:
        numbers = [row["play"] for row in rows if row["counter"] in worked]
        of_batches = [row for row in rows if numbers and row["play"] == numbers[-1]]
        of_batches = of_batches if len(of_batches) > 1 else []
    batches = tuple(
        Batch(number, listed[row["counter"]], row["started_at"], row["counter"] in worked)
        for number, row in enumerate(of_batches, start=1)
    )
    return batches, tuple(hosts)


def _planned(
    conn: Connection, run_id: str, tasks: Tasks, hosts: tuple[str, ...], batches: tuple[Batch, ...]
) -> tuple[str, ...] | None:
    """The hosts that were to be changed, if the run log shows them: it contains the number of planned hosts and the
    hosts of each batch that began."""
    grouping = [counter for counter, task in tasks.items()
                if task.role in _FOR_ALL and task.action.endswith("add_host")]  # fmt: skip
    if not grouping:
        return None
    sql = """
    SELECT count(*) FROM host_results WHERE run_id = ? AND kind = 'item'
    AND task_counter IN (SELECT value FROM json_each(?)) AND counter BETWEEN ? AND ?
    """
    number = first_value(conn, sql, (run_id, grouping, min(grouping), max(grouping) + len(hosts) + 1))
    if number == len(hosts):
        return hosts
    begun = tuple(dict.fromkeys(host for batch in batches for host in batch.hosts))
    return begun if begun and number == len(begun) else None


_RESULTS = f"""
SELECT h.host, CASE WHEN {IS_FAILURE} THEN 'failed' WHEN {WAS_BAD} THEN 'ignored' ELSE h.status END AS status,
       h.changed, h.ended_at AS at, h.started_at, coalesce(substr(h.msg, 1, 2000), '') AS message,
       {WAS_SENT} AS was_sent, h.counter, h.task_counter, h.kind,
       CASE WHEN json_valid(h.result_json) THEN json_extract(h.result_json, '$.instance_id') END AS named,
       CASE WHEN json_valid(h.result_json) THEN json_extract(h.result_json, '$.version_after') END AS version,
       CASE WHEN {WAS_BAD} THEN h.result_json END AS result_json
FROM host_results h LEFT JOIN tasks k ON k.run_id = h.run_id AND k.counter = h.task_counter
WHERE h.run_id = :id AND (h.kind IN ('result', 'item') OR h.kind = 'retry' AND h.changed)
  AND (h.task_counter IN (SELECT value FROM json_each(:ours))
       OR h.kind = 'result' AND {IS_FAILURE})
  AND (h.task_counter IS NULL OR h.task_counter NOT IN (SELECT value FROM json_each(:for_all)))
ORDER BY h.counter
"""  # noqa: S608 - no user input


def _results(conn: Connection, run_id: str, tasks: Tasks, *, check: bool) -> tuple[list[Result], set[str]]:
    """The results about instances, and the hosts of tasks that failed. check: it is a check run."""
    ours = [counter for counter, task in tasks.items() if task.action in OURS]
    for_all = [counter for counter, task in tasks.items() if task.role in _FOR_ALL or task.action.startswith("rollout")]
    adopted = "SELECT counter FROM run_links WHERE run_id = ? AND kind = 'adopted'"
    adopting = set(first_column(conn, adopted, (run_id,)))
    found = []
    rows = dicts(conn, _RESULTS, {"id": run_id, "ours": ours, "for_all": for_all})
    bad = {row["host"] for row in rows if row["status"] in ("failed", "ignored")}
    for row in _about_instances(conn, rows):
        counter, task, values = row.pop("counter"), tasks.get(row.pop("task_counter") or 0), row.pop("result_json")
        action = task.action if task else ""
        if row["host"] == "localhost":
            if action != "update_policy":
                # Not a result of an instance: the run found no hosts, or the task was for all of them.
                continue
            row["host"] = POLICY
        predicted = row["changed"] == PREDICTED and not check
        row |= {"changed": bool(row["changed"]) and not predicted, "was_sent": bool(row["was_sent"])}
        is_adopted = {"adopted": True} if counter in adopting else {}
        found.append(Result(**row, action=action, values=parsed(values) | is_adopted, predicted=predicted))
    return found, bad


def _about_instances(conn: Connection, rows: list[Row]) -> list[Row]:
    """Results, and items of loops, whose hosts are the instances that they are about.

    A task of one host, such as localhost, may loop over several instances: then each item counts as a result. All other
    items are left out, because the result of their loop says the same. Attempts that were followed by another one
    always stay.
    """
    ids: dict[str, set[str]] = {}
    own: dict[str, set[str]] = {}
    for row in rows:
        if named := id_key(row["named"]):
            row["named"] = named
            ids.setdefault(row["host"], set()).add(named)
            if row["kind"] == "result":
                own.setdefault(row["host"], set()).add(named)
    several = {host for host, found in ids.items() if host == "localhost" or len(found) > 1}
    names = _names_of(conn, {i for host in several for i in ids[host]})
    names |= {min(found): host for host, found in {**ids, **own}.items() if host != "localhost" and len(found) == 1}
    others = [bool(row["named"]) and row["host"] in several and names.get(row["named"]) != row["host"] for row in rows]
    loops = {
        (row["task_counter"], row["host"])
        for row, other in zip(rows, others, strict=True)
        if other and row["kind"] == "item"
    }
    kept = []
    for row, other in zip(rows, others, strict=True):
        kind = row.pop("kind")
        if kind == "retry" or (kind == "item") == ((row["task_counter"], row["host"]) in loops):
            named = row.pop("named")
            kept.append({**row, "host": names.get(named, named)} if other else row)
    return kept


def _names_of(conn: Connection, ids: set[str]) -> dict[str, str]:
    """The host names of known instances, by id (id_key)."""
    sql = """
    SELECT i.instance_id, i.hostname FROM tenants CROSS JOIN instances i
    WHERE i.tenant = tenants.tenant AND i.instance_id IN (SELECT value FROM json_each(:ids)) AND i.hostname IS NOT NULL
    """
    found = conn.execute(sql, {"ids": [text for i in ids for text in spellings(i)]}) if ids else ()
    return {id_key(instance_id): host for instance_id, host in found}


def _is_pruned(conn: Connection, run_id: str) -> bool:
    """Whether a run had results that have all been removed."""
    sql = """
    SELECT EXISTS (SELECT 1 FROM run_hosts WHERE run_id = :id AND ok + failed + unreachable + skipped > 0)
           AND NOT EXISTS (SELECT 1 FROM host_results WHERE run_id = :id)
    """
    return bool(first_value(conn, sql, {"id": run_id}))


def _in_flight(conn: Connection, run_id: str) -> dict[str, Flight]:
    rows = conn.execute(
        "SELECT f.host, t.name, t.action, f.started_at FROM run_in_flight f LEFT JOIN tasks t ON t.run_id = f.run_id"
        " AND t.counter = f.task_counter WHERE f.run_id = ?",
        (run_id,),
    )
    return {host: Flight(name or action or "", _module(action), at) for host, name, action, at in rows}


def _first_failure(conn: Connection, run_id: str) -> str:
    """The message of the first failed result; without one, why AWX or ansible-runner ended the job."""
    row = conn.execute(
        "SELECT h.host, substr(h.msg, 1, 600) FROM host_results h INDEXED BY host_results_trouble"  # noqa: S608
        f" WHERE h.run_id = ? AND h.status IN ('failed', 'unreachable') AND NOT {WAS_RESCUED}"
        " ORDER BY h.counter LIMIT 1",
        (run_id,),
    ).fetchone()
    if row is None or not row[1]:
        sql = "SELECT explanation FROM run_jobs WHERE run_id = ? AND explanation IS NOT NULL ORDER BY job"
        return first_value(conn, sql, (run_id,)) or ""
    host, message = row
    return message if host == "localhost" else with_host(host, message)
