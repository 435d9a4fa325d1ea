# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs: the list, newest first."""

from __future__ import annotations

import streamlit as st

from console.record.read import frames, runs
from console.text.counts import counted
from console.web.browser import auto_refresh
from console.web.shared import cached, links, lists, messages, pages, paging, rollout_and_run_tables
from console.web.shared.status import status_filter

STATUSES = ["running", "failed", "lost", "unknown", "canceled", "successful"]


def body() -> None:
    with messages.database():
        messages.data_as_of()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            statuses = status_filter("runs", STATUSES)
            search = lists.search_box("runs", "Playbook, user, controller or change contains")
        found = paging.asked("runs", runs.runs, tuple(statuses), search)
        if not found.total:
            if statuses or search:
                st.text("No run matches these filters.")
            else:
                messages.empty(
                    "No playbook runs yet",
                    "Enable the callback fleetops.agents.run_log, run a playbook, then load its run log:",
                    ["ANSIBLE_CALLBACKS_ENABLED=fleetops.agents.run_log ansible-playbook ...", frames.SYNC],
                )
            return
        with found.head(counted(found.total, "run")):
            names = [rollout_and_run_tables.run_name(row) for row in lists.records(found.rows)]
            links.go_to("run", pages.RUN, found.rows["run_id"].tolist(), names)
        rollout_and_run_tables.runs(found.rows, key="runs")
        found.pager()


st.title("Playbook runs")
auto_refresh.refreshing(body, cached.something_open)
