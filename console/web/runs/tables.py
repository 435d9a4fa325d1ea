# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a run's page: batches, the grid of tasks and hosts, tasks, and single results."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.text.statuses import style_of
from console.web.shared import columns, lists

STATUSES = ("ok", "changed", "skipped", "ignored", "unreachable", "failed")
# A host can also have this status, a result cannot.
IN_FLIGHT = "in_flight"
OF_A_HOST = (*STATUSES, IN_FLIGHT)


def batches(found: pd.DataFrame) -> None:
    """The batches of a run, in order."""
    shown = [
        columns.count(found["batch"], "batch"),
        columns.text(found["name"], "play", 220),
        columns.count(found["hosts"], "hosts"),
        columns.count(found["failed"], "failed hosts"),
        columns.moments(found["started_at"], "started"),
        columns.durations(found["until"] - found["started_at"], "took"),
        columns.text(found["host_names"], "in this batch", 520),
    ]
    columns.show("Batches of the run", shown, "batches")


def grid(found: pd.DataFrame, tasks: pd.DataFrame) -> None:
    """One row for each host, one column for each task. ``found`` names the columns by the position of the task in
    ``tasks``."""
    titles = {n: tasks["task"].iloc[int(n)] or "no name" for n in map(str, found.columns) if n.isdecimal()}
    shown = [
        columns.Column("host", found["host"], st.column_config.TextColumn("host", width=230, pinned=True)),
        columns.statuses(found["outcome"], "outcome", 115, OF_A_HOST, pinned=True),
        # Named by place, since several tasks can have one name.
        *(columns.statuses(found[n], title, 120, OF_A_HOST)._replace(name=n) for n, title in titles.items()),
    ]
    columns.show("Status of each host at each task, hosts in trouble first", shown, "grid", 25)


def named(found: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """The grid for an export: each column has the number and name of its task, since names can repeat."""
    names = {place: f"{int(place) + 1} {tasks['task'].iloc[int(place)] or 'no name'}" for place in found.columns[2:]}
    return found.rename(columns=names)


def tasks(found: pd.DataFrame) -> None:
    """The tasks of a run in their order, with their hosts counted by status."""
    shown = [
        columns.count(found["play"], "play", 60),
        columns.text(found["task"], "task", 300),
        *(columns.count(found[word], style_of(word).label, 110) for word in reversed(STATUSES)),
        columns.durations(found["longest_s"], "longest", 90),
        columns.text(found["longest_host"], "on", 220),
        columns.text(found["role"], "role", 130),
        columns.text(found["action"], "module", 230),
    ]
    columns.show("Tasks of the run", shown, "tasks", 25)


def recap(found: pd.DataFrame) -> None:
    """Ansible's recap, hosts in trouble first."""
    worst_first = ("failed", "unreachable", IN_FLIGHT, "changed")
    words = [next((word for word in worst_first if row[word]), "ok") for row in lists.records(found)]
    counted = ("ok", "changed", "failed", "unreachable", "skipped", "rescued", "ignored")
    shown = [
        columns.text(found["host"], "host", 260),
        columns.statuses(words, "outcome", 120, OF_A_HOST),
        *(columns.count(found[name], name) for name in counted),
    ]
    columns.show("Recap by host", shown, "recap", 9)


def results(found: pd.DataFrame) -> None:
    """Single results, each of one task on one host."""
    shown = [
        columns.statuses(found["status"], width=140),
        columns.text(found["host"], "host", 220),
        columns.text(found["task"], "task", 280),
        columns.text(found["msg"], "message", 420),
        columns.count(found["batch"], "batch"),
        columns.durations(found["duration_s"], "took", 85),
        columns.moments(found["ended_at"], "ended"),
        columns.text(found["role"], "role", 120),
        columns.text(found["item"], "item", 100),
        columns.text(found["action"], "module", 200),
    ]
    columns.show("Results of the run, failures first", shown, "results")
