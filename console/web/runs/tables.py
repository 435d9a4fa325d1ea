# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a run's page: batches, the grid of tasks and hosts, tasks, and single results."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.text.statuses import style_of
from console.web.shared import columns
from console.web.shared.status import status_cells, status_column

STATUSES = ("ok", "changed", "skipped", "ignored", "unreachable", "failed")
# A host can also have this status, a result cannot.
IN_FLIGHT = "in_flight"


def _status(title: str, width: int = 120, pinned: bool = False) -> Any:
    """A column for the statuses of a host in a run. With all statuses of the console a wide grid would be slow to
    send."""
    styles = [style_of(word) for word in (*STATUSES, IN_FLIGHT)]
    return st.column_config.MultiselectColumn(
        title,
        options=[style.label for style in styles],
        color=[style.tone.badge for style in styles],
        width=width,
        pinned=pinned,
    )


def batches(found: pd.DataFrame) -> None:
    """The batches of a run, in order."""
    frame = found.assign(
        started=columns.moments(found["started_at"]),
        took=columns.durations(found["until"] - found["started_at"]),
        label=found["name"],
    )
    shown = {
        "batch": columns.count("batch"),
        "label": columns.text("play", 220),
        "hosts": columns.count("hosts"),
        "failed": columns.count("failed hosts"),
        "started": columns.time_column("started"),
        "took": columns.text("took", 100),
        "host_names": columns.text("in this batch", 520),
    }
    columns.show(frame, shown, "Batches of the run", "batches")


def grid(found: pd.DataFrame, tasks: pd.DataFrame) -> None:
    """One row for each host, one column for each task. ``found`` names the columns by the position of the task in
    ``tasks``."""
    places = [str(name) for name in found.columns if str(name).isdecimal()]
    cells = {
        place: pd.Series(
            [[style_of(word).label] if isinstance(word, str) else [] for word in found[place]], dtype=object
        )
        for place in places
    }
    shown = {
        "host": st.column_config.TextColumn("host", width=230, pinned=True),
        "outcome": _status("outcome", 115, pinned=True),
        **{place: _status(tasks["task"].iloc[int(place)] or "no name") for place in places},
    }
    frame = found.assign(**cells, outcome=status_cells(found["outcome"]))
    columns.show(frame, shown, "Status of each host at each task, hosts in trouble first", "grid", 25)


def named(found: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """The grid for an export: each column has the number and name of its task, since names can repeat."""
    names = {place: f"{int(place) + 1} {tasks['task'].iloc[int(place)] or 'no name'}" for place in found.columns[2:]}
    return found.rename(columns=names)


def tasks(found: pd.DataFrame) -> None:
    """The tasks of a run in their order, with their hosts counted by status."""
    frame = found.assign(longest=columns.durations(found["longest_s"]))
    shown = {
        "play": columns.count("play", 60),
        "task": columns.text("task", 300),
        **{word: columns.count(style_of(word).label, 110) for word in reversed(STATUSES)},
        "longest": columns.text("longest", 90),
        "longest_host": columns.text("on", 220),
        "role": columns.text("role", 130),
        "action": columns.text("module", 230),
    }
    columns.show(frame, shown, "Tasks of the run", "tasks", 25)


def recap(found: pd.DataFrame) -> None:
    """Ansible's recap, hosts in trouble first."""
    words = [
        "failed"
        if failed
        else "unreachable"
        if unreachable
        else IN_FLIGHT
        if in_flight
        else "changed"
        if changed
        else "ok"
        for failed, unreachable, in_flight, changed in zip(
            found["failed"], found["unreachable"], found["in_flight"], found["changed"], strict=True
        )
    ]
    shown = {"host": columns.text("host", 260), "state": _status("outcome")}
    shown |= {n: columns.count(n) for n in ("ok", "changed", "failed", "unreachable", "skipped", "rescued", "ignored")}
    columns.show(found.assign(state=status_cells(words)), shown, "Recap by host", "recap", 9)


def results(found: pd.DataFrame) -> None:
    """Single results, each of one task on one host."""
    frame = found.assign(
        state=status_cells(found["status"]),
        ended=columns.moments(found["ended_at"]),
        took=columns.durations(found["duration_s"]),
    )
    shown = {
        "state": status_column(width=140),
        "host": columns.text("host", 220),
        "task": columns.text("task", 280),
        "msg": columns.text("message", 420),
        "batch": columns.count("batch"),
        "took": columns.text("took", 85),
        "ended": columns.time_column("ended"),
        "role": columns.text("role", 120),
        "item": columns.text("item", 100),
        "action": columns.text("module", 200),
    }
    columns.show(frame, shown, "Results of the run, failures first", "results")
