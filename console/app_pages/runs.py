# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs: the list, newest first."""

from __future__ import annotations

import streamlit as st

from console import queries, share, tables, ui

STATUSES = ["running", "failed", "lost", "unknown", "canceled", "successful"]


def body() -> None:
    with ui.database():
        ui.freshness()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            statuses = ui.status_filter("runs", STATUSES)
            search = ui.search_box("runs", "Playbook, user or controller contains")
        found, total = ui.paged("runs", lambda n: ui.ask(queries.runs, tuple(statuses), search, n), queries.LIST_PAGE)
        if not total:
            if statuses or search:
                st.text("No run matches these filters.")
            else:
                ui.empty(
                    "No playbook runs yet",
                    "Enable the callback fleetops.agents.run_log, run a playbook, then load its run log:",
                    ["ANSIBLE_CALLBACKS_ENABLED=fleetops.agents.run_log ansible-playbook ...", queries.SYNC],
                )
            return
        with ui.row():
            st.caption(f"{total:,} run{'s' if total != 1 else ''}", width="content")
            share.share("runs", total, lambda path, most: queries.runs(path, tuple(statuses), search, size=most)[0])
            ui.go_to("run", ui.RUN, found["run_id"].tolist(), [tables.run_name(row) for row in ui.records(found)])
        tables.runs(found, key="runs")
        ui.pager("runs", total, queries.LIST_PAGE)


st.title("Playbook runs")
ui.refreshing(body, ui.something_open)
