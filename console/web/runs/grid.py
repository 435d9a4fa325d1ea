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


def show(found: pd.DataFrame) -> None:
    """One row for each host, one column for each task: a page of ``run_grid``."""
    shown = [
        columns.Column("host", found["host"], st.column_config.TextColumn("host", width=230, pinned=True)),
        columns.statuses(found["outcome"], "outcome", 115, OF_A_HOST, pinned=True),
        # Several tasks can have one name: the column keeps its number, its title has only the name.
        *(columns.statuses(found[n], n.partition(" ")[2], 120, OF_A_HOST)._replace(name=n) for n in found.columns[2:]),
    ]
    columns.show("Status of each host at each task, hosts in trouble first", shown, "grid", 25)
