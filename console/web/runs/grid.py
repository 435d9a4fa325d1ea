# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid of a run's hosts and tasks, and the statuses in it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.web.shared import columns

STATUSES = ("ok", "changed", "skipped", "ignored", "unreachable", "failed")
# A host can also have this status, a result cannot.
IN_FLIGHT = "in_flight"
OF_A_HOST = (*STATUSES, IN_FLIGHT)


def show(found: pd.DataFrame, tasks: pd.DataFrame) -> None:
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
