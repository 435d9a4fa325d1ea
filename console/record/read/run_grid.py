# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook run as a grid: its tasks, its hosts, and the status of each host at each task."""

from __future__ import annotations

import json
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.record.read.frames import LIST_PAGE, as_frame, as_page, like, query
from console.record.read.runs import HOSTS_OF_RUN
from console.record.read.sql import RESULT_STATUS, looked_for

TASKS_MOST = 60

_COUNTED = ("failed", "unreachable", "ignored", "changed", "ok", "skipped")
# Of several results of one host at one task the worst is shown.
_WORST_FIRST = ("failed", "unreachable", "in_flight", "ignored", "changed", "ok", "skipped")


def _tasks(conn: Connection, run_id: str) -> pd.DataFrame:
    """The tasks of a run, a row for each start of one: counter, play, task, path, role, action, and its position (0, 1,
    ...) among the tasks of the run.

    A task is one line of a file, whatever batch it runs in: so the batches of a rolling run are one grid.
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
    # Its position in the batch with the most tasks before it; batches that skipped some would put it too early.
    found["place"] = found.groupby(line)["place"].transform("max")
    lines = found.drop_duplicates(line).sort_values(["play", "place"], kind="stable", ignore_index=True)
    return found.merge(lines[line].assign(position=lines.index), on=line)


@query
def run_tasks(conn: Connection, run_id: str) -> pd.DataFrame:
    """The tasks of a run in their order: play, task, path, role, action, and how many results are failed, unreachable,
    ignored, changed, ok and skipped; longest_s and its host (longest_host). All batches together."""
    tasks = _tasks(conn, run_id)
    sql = f"""
    SELECT h.task_counter AS counter, {RESULT_STATUS} AS status, count(*) AS n, max(h.duration_s) AS longest_s,
           h.host AS longest_host
    FROM host_results h WHERE h.run_id = :id AND h.kind = 'result' GROUP BY 1, 2
    """  # noqa: S608 - the text above
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
def run_grid(
    conn: Connection, run_id: str, search: str = "", page: int = 1, size: int = LIST_PAGE
) -> tuple[pd.DataFrame, int]:
    """One page of a run's hosts, those in trouble first, with their status at each task; and how many hosts there are.

    Columns: host, outcome (failed, unreachable, changed or ok by the recap; in_flight where no result of its last task
    is known), and one column for each of the first 60 tasks, named by its place and its name ('1 Gather facts'): the
    worst status of the host there, None if it did not come to it. search: part of a host's name.
    """
    outcome = """
    SELECT host, CASE WHEN failed THEN 'failed' WHEN unreachable THEN 'unreachable' WHEN in_flight THEN 'in_flight'
                      WHEN changed THEN 'changed' ELSE 'ok' END AS outcome
    """
    where = f"FROM ({HOSTS_OF_RUN}) WHERE {looked_for('host')}"
    order = "ORDER BY failed + unreachable > 0 DESC, in_flight DESC, changed > 0 DESC, host"
    params: dict[str, Any] = {"id": run_id, "like": like(search)}
    tasks = _tasks(conn, run_id)
    hosts, total = as_page(conn, outcome, where, order, params, page, size)
    sql = f"""
    SELECT h.host, h.task_counter AS counter, {RESULT_STATUS} AS status FROM host_results h
    WHERE h.run_id = :id AND h.kind = 'result' AND h.host IN (SELECT value FROM json_each(:hosts))
    UNION ALL SELECT host, task_counter, 'in_flight' FROM run_in_flight
    WHERE run_id = :id AND host IN (SELECT value FROM json_each(:hosts))
    """  # noqa: S608 - the text above
    cells = as_frame(conn, sql, {"id": run_id, "hosts": json.dumps(hosts["host"].tolist())})
    shown = tasks[tasks["position"] < TASKS_MOST]
    cells = cells.merge(shown[["counter", "position"]], on="counter")
    cells["rank"] = cells["status"].map({status: rank for rank, status in enumerate(_WORST_FIRST)})
    worst = cells.sort_values("rank", kind="stable").drop_duplicates(["host", "position"])
    names = shown.drop_duplicates("position").set_index("position")["task"].sort_index()
    grid = worst.pivot(index="host", columns="position", values="status").reindex(columns=names.index)
    grid.columns = [f"{number} {name or 'no name'}" for number, name in enumerate(names, 1)]
    found = hosts.join(grid.astype(object), on="host")
    return found.where(found.notna(), None), total
