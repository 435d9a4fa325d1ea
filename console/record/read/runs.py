# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs: recap, batches, results by task and host as a list and as a grid, and the AWX or ansible-runner jobs
that ran them."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.record.connection import first_column, first_row
from console.record.read.frames import LIST_PAGE, PAGE, OnePage, as_frame, as_page, like, query
from console.record.read.sql import RESULT_STATUS, ROLLOUT_STATUS, WAS_RESCUED, among, matches_search
from console.text.json_values import entries, names

# The change (a ticket) for which a run was made: SQL for the change of a row r of runs, and for the runs whose change
# matches :like. It is in the plan or report, except for the playbook fleet_rollout, which has it in its artifacts.
_OF_ARTIFACTS = """CASE WHEN r.playbook LIKE '%fleet_rollout%' AND json_valid(r.stats_json)
  THEN nullif(json_extract(r.stats_json, '$.fleetops_report.change'), '') END"""
CHANGE_OF_RUN = f"""coalesce((
  SELECT json_extract(e.document_json, '$.change') FROM run_evidence e
  WHERE e.run_id = r.run_id AND e.kind IN ('plan', 'report') AND json_extract(e.document_json, '$.change') <> ''
  ORDER BY e.counter LIMIT 1), {_OF_ARTIFACTS})"""  # noqa: S608 - no user input
RUNS_OF_CHANGE = f"""(
  SELECT e.run_id FROM run_evidence e WHERE e.kind IN ('plan', 'report')
  AND json_extract(e.document_json, '$.change') LIKE :like ESCAPE '\\'
  UNION SELECT r.run_id FROM runs r WHERE {_OF_ARTIFACTS} LIKE :like ESCAPE '\\')"""  # noqa: S608 - no user input

# Each host of a run with its counts. Before the run has ended, a host without results is only in run_in_flight.
HOSTS_OF_RUN = """
SELECT h.host, h.ok, h.changed, h.failed, h.unreachable, h.skipped, h.rescued, h.ignored,
       f.host IS NOT NULL AS in_flight, h.final
FROM run_hosts h LEFT JOIN run_in_flight f ON f.run_id = h.run_id AND f.host = h.host WHERE h.run_id = :id
UNION ALL
SELECT f.host, 0, 0, 0, 0, 0, 0, 0, 1, 0 FROM run_in_flight f
WHERE f.run_id = :id AND NOT EXISTS (SELECT 1 FROM run_hosts h WHERE h.run_id = f.run_id AND h.host = f.host)
"""


@query
def runs(
    conn: Connection, statuses: Sequence[str] = (), search: str = "", page: int = 1, size: int = LIST_PAGE
) -> OnePage:
    """One page of playbook runs, newest first, and how many match.

    search: part of the playbook, the user, the controller, the id or the change. change: the ticket for which the run
    was made, if known.
    """
    where = f"""
        FROM runs r WHERE {among("status", "statuses")}
          AND {matches_search("playbook", "user", "controller", "run_id", also=f"run_id IN {RUNS_OF_CHANGE}")}
    """
    params = {"statuses": statuses, "like": like(search)}
    columns = f"""SELECT run_id, playbook, status, check_mode, started_at, ended_at, heartbeat_at, user, controller,
        limit_pattern, hosts, ok, changed, failed, unreachable, skipped, rescued, ignored,
        {CHANGE_OF_RUN} AS change"""
    return as_page(conn, columns, where, "ORDER BY started_at DESC", params, page, size)


@query
def statuses(conn: Connection, of: str) -> list[str]:
    """The statuses that occur. of: 'runs' or 'rollouts'."""
    status, table = {"runs": ("status", "runs"), "rollouts": (ROLLOUT_STATUS, "rollouts o")}[of]
    return first_column(conn, f"SELECT DISTINCT {status} FROM {table} ORDER BY 1")  # noqa: S608 - one of the above


@query
def run(conn: Connection, run_id: str) -> dict[str, Any] | None:
    """Everything stored about one playbook run, and its ``change`` (or None); None if the run is not known."""
    sql = f"SELECT r.*, {CHANGE_OF_RUN} AS change FROM runs r WHERE run_id = :id"  # noqa: S608 - no user input
    return first_row(conn, sql, {"id": run_id})


@query
def recap(conn: Connection, run_id: str) -> pd.DataFrame:
    """The recap by host, hosts with failures first. in_flight: 1 if the result of the host's last task is not known."""
    sql = f"""
    SELECT * FROM ({HOSTS_OF_RUN})
    ORDER BY failed + unreachable > 0 DESC, in_flight DESC, changed > 0 DESC, host
    """  # noqa: S608 - no user input
    return as_frame(conn, sql, {"id": run_id})


@query
def batches(conn: Connection, run_id: str) -> pd.DataFrame:
    """The batches of a run: counter, play, batch, name, hosts, started_at, until, failed (hosts), host_names.

    A play without ``serial`` is one batch. until: when the next batch began, or the run ended.
    """
    sql = f"""
    WITH bad AS (
      SELECT h.play_counter, count(DISTINCT h.host) AS failed FROM host_results h
      WHERE h.run_id = :id AND h.status IN ('failed', 'unreachable') AND h.kind = 'result' AND NOT {WAS_RESCUED}
      GROUP BY h.play_counter)
    SELECT p.counter, p.play, p.batch, p.name, p.hosts, p.hosts_json, p.started_at,
           coalesce(lead(p.started_at) OVER (ORDER BY p.counter), r.ended_at, r.heartbeat_at) AS until,
           coalesce(bad.failed, 0) AS failed
    FROM plays p JOIN runs r ON r.run_id = p.run_id LEFT JOIN bad ON bad.play_counter = p.counter
    WHERE p.run_id = :id ORDER BY p.counter
    """  # noqa: S608 - no user input
    frame = as_frame(conn, sql, {"id": run_id})
    frame["host_names"] = [", ".join(names(entries(text))) for text in frame.pop("hosts_json")]
    return frame


_RESULT_FILTER = f"""
FROM host_results h
LEFT JOIN tasks t ON t.run_id = h.run_id AND t.counter = h.task_counter
LEFT JOIN plays p ON p.run_id = h.run_id AND p.counter = h.play_counter
WHERE h.run_id = :id AND (h.kind = 'result' OR h.status IN ('failed', 'unreachable'))
  AND {among(RESULT_STATUS, "statuses")} AND {matches_search("h.host", "t.name", "h.msg")}
  AND (:play IS NULL OR h.play_counter = :play)
"""


@query
def results(
    conn: Connection,
    run_id: str,
    statuses: Sequence[str] = (),
    search: str = "",
    play: int | None = None,
    page: int = 1,
    size: int = PAGE,
) -> OnePage:
    """One page of results by task and host, failures first, then in the order of the run; and how many match.

    status is 'changed' for an ok result that changed something, or in a check run would have. play: the counter of a
    batch. Loop items are included only if they failed.
    """
    params = {"id": run_id, "statuses": statuses, "like": like(search), "play": play}
    columns = f"""
    SELECT h.counter, {RESULT_STATUS} AS status, h.host,
           coalesce(t.name, t.action) AS task, t.action, t.role, p.batch, h.item, h.started_at, h.ended_at,
           h.duration_s, substr(h.msg, 1, 600) AS msg
    """
    order = """
    ORDER BY CASE h.status WHEN 'failed' THEN 0 WHEN 'unreachable' THEN 0 WHEN 'ignored' THEN 1 ELSE 2 END, h.counter
    """
    return as_page(conn, columns, _RESULT_FILTER, order, params, page, size)


@query
def failed_results(conn: Connection, run_id: str) -> pd.DataFrame:
    """The first failed and unreachable results of a run that were not rescued, with up to 4,000 characters of the
    message: host, task, status, msg, item, ended_at."""
    sql = f"""
    SELECT h.host, coalesce(t.name, t.action) AS task, h.status, substr(h.msg, 1, 4000) AS msg, h.item,
           h.ended_at
    FROM host_results h LEFT JOIN tasks t ON t.run_id = h.run_id AND t.counter = h.task_counter
    WHERE h.run_id = :id AND h.status IN ('failed', 'unreachable') AND h.kind = 'result' AND NOT {WAS_RESCUED}
    ORDER BY h.counter LIMIT 20
    """  # noqa: S608 - no user input
    return as_frame(conn, sql, {"id": run_id})


@query
def in_flight(conn: Connection, run_id: str) -> pd.DataFrame:
    """The task that each host began and is not known to have finished: host, task, started_at."""
    sql = """
    SELECT f.host, coalesce(t.name, t.action) AS task, f.started_at FROM run_in_flight f
    LEFT JOIN tasks t ON t.run_id = f.run_id AND t.counter = f.task_counter
    WHERE f.run_id = :id ORDER BY f.started_at, f.host
    """
    return as_frame(conn, sql, {"id": run_id})


@query
def jobs_of_run(conn: Connection, run_id: str) -> pd.DataFrame:
    """The jobs that ran a playbook run, usually one: job_id, status, name, template, project, launch_type, launched_by,
    url (None for ansible-runner), explanation, and relaunch_run (the run of the job that was relaunched, or None).
    """
    sql = """
    SELECT j.job_id, j.status, j.name, j.template, j.project, j.launch_type, j.launched_by, j.url,
           j.explanation, before.run_id AS relaunch_run
    FROM run_jobs j LEFT JOIN run_jobs before ON before.job = j.relaunch_of
    WHERE j.run_id = :id ORDER BY j.job LIMIT 10
    """
    return as_frame(conn, sql, {"id": run_id})


@query
def relaunches_of_run(conn: Connection, run_id: str) -> pd.DataFrame:
    """The runs of the jobs that are relaunches of a run's job: run_id, job_id, status; newest first."""
    sql = """
    SELECT later.run_id, later.job_id, later.status FROM run_jobs j
    JOIN run_jobs later ON later.origin = j.origin AND later.template IS j.template
      AND later.relaunch_of = j.job
    WHERE j.run_id = :id ORDER BY later.finished_at DESC LIMIT 10
    """
    return as_frame(conn, sql, {"id": run_id})


MAX_TASKS = 60

_COUNTED = ("failed", "unreachable", "ignored", "changed", "ok", "skipped")
# If a host has several results for a task, the worst one is shown.
_WORST_FIRST = ("failed", "unreachable", "in_flight", "ignored", "changed", "ok", "skipped")


def _tasks(conn: Connection, run_id: str) -> pd.DataFrame:
    """The tasks of a run, one row each time a task started: counter, play, task, path, role, action, and the task's
    position (0, 1, ...) in the run.

    A task that runs in several batches has one position, so that the batches of a rolling run share one grid.
    """
    sql = """
    SELECT t.counter, coalesce(p.play, 0) AS play, coalesce(t.name, t.action, '') AS task,
           coalesce(t.path, '') AS path, t.role, t.action,
           row_number() OVER (PARTITION BY t.play_counter ORDER BY t.counter) AS place
    FROM tasks t LEFT JOIN plays p ON p.run_id = t.run_id AND p.counter = t.play_counter
    WHERE t.run_id = :id ORDER BY t.counter
    """
    found = as_frame(conn, sql, {"id": run_id})
    line = ["play", "task", "path"]
    # The position in the batch with the most tasks before it, because a batch may have skipped some.
    found["place"] = found.groupby(line)["place"].transform("max")
    lines = found.drop_duplicates(line).sort_values(["play", "place"], kind="stable", ignore_index=True)
    return found.merge(lines[line].assign(position=lines.index), on=line)


@query
def run_tasks(conn: Connection, run_id: str) -> pd.DataFrame:
    """The tasks of a run in order, for all batches together: play, task, path, role, action; the number of results that
    are failed, unreachable, ignored, changed, ok and skipped; longest_s and its host (longest_host)."""
    tasks = _tasks(conn, run_id)
    sql = f"""
    SELECT h.task_counter AS counter, {RESULT_STATUS} AS status, count(*) AS n, max(h.duration_s) AS longest_s,
           h.host AS longest_host
    FROM host_results h WHERE h.run_id = :id AND h.kind = 'result' AND h.task_counter IS NOT NULL GROUP BY 1, 2
    """  # noqa: S608 - no user input
    counted = as_frame(conn, sql, {"id": run_id})
    results = counted.merge(tasks[["counter", "position"]], on="counter")
    numbers = results.pivot_table(index="position", columns="status", values="n", aggfunc="sum")
    longest = results.dropna(subset="longest_s").sort_values("longest_s", ascending=False, kind="stable")
    longest = longest.drop_duplicates("position").set_index("position")[["longest_s", "longest_host"]]
    found = tasks.drop_duplicates("position").sort_values("position").set_index("position")
    found = found.join(numbers.reindex(columns=_COUNTED).astype(float)).join(longest)
    found = found.fillna({**dict.fromkeys(_COUNTED, 0), "longest_host": ""}).astype(dict.fromkeys(_COUNTED, "int64"))
    return found.drop(columns=["counter", "place"]).reset_index(drop=True)


@query
def run_grid(conn: Connection, run_id: str, search: str = "", page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of a run's hosts, those with failures first, with their status for each task; and how many hosts match.

    Columns: host, outcome (failed, unreachable, changed or ok according to the recap; in_flight if the result of its
    last task is not known), and one column for each of the first MAX_TASKS tasks, named by number and name, such as
    '1 Gather facts': the worst status of the host in this task, None if it did not reach it. search: part of a host
    name.
    """
    outcome = """
    SELECT host, CASE WHEN failed THEN 'failed' WHEN unreachable THEN 'unreachable' WHEN in_flight THEN 'in_flight'
                      WHEN changed THEN 'changed' ELSE 'ok' END AS outcome
    """
    where = f"FROM ({HOSTS_OF_RUN}) WHERE {matches_search('host')}"
    order = "ORDER BY failed + unreachable > 0 DESC, in_flight DESC, changed > 0 DESC, host"
    params: dict[str, Any] = {"id": run_id, "like": like(search)}
    tasks = _tasks(conn, run_id)
    hosts, total = as_page(conn, outcome, where, order, params, page, size)
    sql = f"""
    SELECT h.host, h.task_counter AS counter, {RESULT_STATUS} AS status FROM host_results h
    WHERE h.run_id = :id AND h.kind = 'result' AND h.host IN (SELECT value FROM json_each(:hosts))
      AND h.task_counter IS NOT NULL
    UNION ALL SELECT host, task_counter, 'in_flight' FROM run_in_flight
    WHERE run_id = :id AND host IN (SELECT value FROM json_each(:hosts)) AND task_counter IS NOT NULL
    """  # noqa: S608 - no user input
    cells = as_frame(conn, sql, {"id": run_id, "hosts": hosts["host"].tolist()})
    shown = tasks[tasks["position"] < MAX_TASKS]
    cells = cells.merge(shown[["counter", "position"]], on="counter")
    cells["rank"] = cells["status"].map({status: rank for rank, status in enumerate(_WORST_FIRST)})
    worst = cells.sort_values("rank", kind="stable").drop_duplicates(["host", "position"])
    names = shown.drop_duplicates("position").set_index("position")["task"].sort_index()
    grid = worst.pivot(index="host", columns="position", values="status").reindex(columns=names.index)
    grid.columns = [f"{number} {name or 'no name'}" for number, name in enumerate(names, 1)]
    found = hosts.join(grid.astype(object), on="host")
    return found.where(found.notna(), None), total
