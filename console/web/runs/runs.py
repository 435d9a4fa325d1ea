# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs: the list, newest first."""

from __future__ import annotations

import streamlit as st

from console.record.read import frames, runs
from console.web.browser import auto_refresh
from console.web.shared import cached, export_menu, links, lists, messages, pages, rollout_and_run_tables
from console.web.shared.status import status_filter

STATUSES = ["running", "failed", "lost", "unknown", "canceled", "successful"]


def body() -> None:
    with messages.database():
        messages.data_as_of()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            statuses = status_filter("runs", STATUSES)
            search = lists.search_box("runs", "Playbook, user, controller or change contains")
        found, total = lists.paged(
            "runs", lambda n: cached.ask(runs.runs, tuple(statuses), search, n), frames.LIST_PAGE
        )
        if not total:
            if statuses or search:
                st.text("No run matches these filters.")
            else:
                messages.empty(
                    "No playbook runs yet",
                    "Enable the callback fleetops.agents.run_log, run a playbook, then load its run log:",
                    ["ANSIBLE_CALLBACKS_ENABLED=fleetops.agents.run_log ansible-playbook ...", frames.SYNC],
                )
            return
        with lists.row():
            st.caption(f"{total:,} run{'s' if total != 1 else ''}", width="content")
            export_menu.share("runs", total, lambda path, most: runs.runs(path, tuple(statuses), search, size=most)[0])
            links.go_to(
                "run",
                pages.RUN,
                found["run_id"].tolist(),
                [rollout_and_run_tables.run_name(row) for row in lists.records(found)],
            )
        rollout_and_run_tables.runs(found, key="runs")
        lists.pager("runs", total, frames.LIST_PAGE)


st.title("Playbook runs")
auto_refresh.refreshing(body, cached.something_open)
