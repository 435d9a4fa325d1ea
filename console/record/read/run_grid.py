# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook run as a grid: its tasks, its hosts, and the status of each host at each task."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd

from console.record.read.frames import LIST_PAGE, dicts, like, reading
from console.record.read.runs import HOSTS_OF_RUN

TASKS_MOST = 60

# rank: of several results of one host at one task the worst is shown.
_RANK = """
CASE h.status WHEN 'failed' THEN 6 WHEN 'unreachable' THEN 5 WHEN 'ignored' THEN 4
  WHEN 'ok' THEN CASE WHEN h.changed THEN 3 ELSE 2 END WHEN 'skipped' THEN 1 ELSE 0 END
"""
_WORDS = {6: "failed", 5: "unreachable", 4: "ignored", 3: "changed", 2: "ok", 1: "skipped", 0: "unknown"}

Task = tuple[int, str, str]


def _tasks(conn: sqlite3.Connection, run_id: str) -> tuple[dict[Task, dict[str, Any]], dict[int, Task]]:
    """The tasks of a run in their order, by play, name and place in a file; and the task of each counter.

    A task is one line of a file, whatever batch it runs in: so the batches of a rolling run are one grid.
    """
    found = dicts(
        conn,
        """
        SELECT t.counter, coalesce(p.play, 0) AS play, coalesce(t.name, t.action, '') AS task,
               coalesce(t.path, '') AS path, t.role, t.action,
               row_number() OVER (PARTITION BY t.play_counter ORDER BY t.counter) AS place
        FROM tasks t LEFT JOIN plays p ON p.run_id = t.run_id AND p.counter = t.play_counter
        WHERE t.run_id = :id ORDER BY t.counter
        """,
        {"id": run_id},
    )
    first: dict[Task, dict[str, Any]] = {}
    of_counter: dict[int, Task] = {}
    for row in found:
        key = (row["play"], row["task"], row["path"])
        of_counter[row["counter"]] = key
        known = first.setdefault(key, row)
        # Its position in the batch with the most tasks before it; batches that skipped some would put it too early.
        known["place"] = max(known["place"], row["place"])
    return dict(sorted(first.items(), key=lambda item: (item[1]["play"], item[1]["place"]))), of_counter


def run_tasks(path: Path, run_id: str) -> pd.DataFrame:
    """The tasks of a run in their order: play, task, path, role, action, and how many results are failed, unreachable,
    ignored, changed, ok and skipped; longest_s and its host (longest_host). All batches together."""
    with reading(path) as conn:
        tasks, of_counter = _tasks(conn, run_id)
        counted = conn.execute(
            f"""
            SELECT h.task_counter, {_RANK}, count(*), max(h.duration_s), h.host FROM host_results h
            WHERE h.run_id = :id AND h.kind = 'result' GROUP BY 1, 2
            """,  # noqa: S608 - the text above
            {"id": run_id},
        ).fetchall()
    words = [_WORDS[rank] for rank in sorted(_WORDS, reverse=True) if rank]
    rows = {key: {**row, **dict.fromkeys(words, 0), "longest_s": None, "longest_host": ""}
            for key, row in tasks.items()}  # fmt: skip
    for counter, rank, count, longest, host in counted:
        row = rows.get(of_counter.get(counter, (0, "", "")))
        if row is None:
            continue
        if rank:
            row[_WORDS[rank]] += count
        if longest is not None and longest > (row["longest_s"] or -1.0):
            row["longest_s"], row["longest_host"] = longest, host
    columns = ["play", "task", "path", "role", "action", *words, "longest_s", "longest_host"]
    frame = pd.DataFrame(list(rows.values()), columns=columns)
    frame["longest_s"] = frame["longest_s"].astype(float)
    return frame


def run_grid(
    path: Path, run_id: str, search: str = "", page: int = 1, size: int = LIST_PAGE
) -> tuple[pd.DataFrame, int]:
    """One page of a run's hosts, those in trouble first, with their status at each task; and how many hosts there are.

    Columns: host, outcome (failed, unreachable, changed or ok by the recap; in_flight where no result of its last task
    is known), and one column a task, named by its place
    in :func:`run_tasks` as text ('0', '1', ..., the first 60): the worst status of the host there, None if it did not
    come to it. search: part of a host's name.
    """
    where = f"FROM ({HOSTS_OF_RUN}) WHERE (:like = '' OR host LIKE :like ESCAPE '\\')"
    params: dict[str, Any] = {"id": run_id, "like": like(search)}
    with reading(path) as conn:
        tasks, of_counter = _tasks(conn, run_id)
        places = {key: str(place) for place, key in enumerate(list(tasks)[:TASKS_MOST])}
        total = conn.execute("SELECT count(*) " + where, params).fetchone()[0]
        hosts = dicts(
            conn,
            f"""
            SELECT host, CASE WHEN failed THEN 'failed' WHEN unreachable THEN 'unreachable'
                         WHEN in_flight THEN 'in_flight' WHEN changed THEN 'changed' ELSE 'ok' END AS outcome {where}
            ORDER BY failed + unreachable > 0 DESC, in_flight DESC, changed > 0 DESC, host LIMIT :size OFFSET :skip
            """,
            {**params, "size": size, "skip": (page - 1) * size},
        )
        cells = conn.execute(
            f"""
            SELECT h.host, h.task_counter, {_RANK} FROM host_results h
            WHERE h.run_id = :id AND h.kind = 'result' AND h.host IN (SELECT value FROM json_each(:hosts))
            """,  # noqa: S608 - the text above
            {"id": run_id, "hosts": json.dumps([row["host"] for row in hosts])},
        ).fetchall()
        flying = conn.execute(
            "SELECT host, task_counter FROM run_in_flight WHERE run_id = :id", {"id": run_id}
        ).fetchall()
    ranks: dict[tuple[str, str], int] = {}
    for host, counter, rank in cells:
        place = places.get(of_counter.get(counter, (0, "", "")))
        if place is not None:
            ranks[host, place] = max(rank, ranks.get((host, place), 0))
    rows = {row["host"]: row for row in hosts}
    for (host, place), rank in ranks.items():
        rows[host][place] = _WORDS[rank]
    for host, counter in flying:
        place = places.get(of_counter.get(counter, (0, "", "")))
        if host in rows and place is not None and rows[host].get(place) not in ("failed", "unreachable"):
            rows[host][place] = "in_flight"
    return pd.DataFrame(hosts, columns=["host", "outcome", *places.values()], dtype=object), total
