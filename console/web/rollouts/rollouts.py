# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts: the list, newest first."""

from __future__ import annotations

import streamlit as st

from console.record.read import frames, rollouts
from console.web.browser import auto_refresh
from console.web.shared import cached, export_menu, links, lists, messages, pages, rollout_and_run_tables
from console.web.shared.status import status_filter

STATUSES = ["in_progress", "pending", "paused", "partial", "failed", "cancelled", "completed"]


def body() -> None:
    with messages.database():
        fresh = messages.data_as_of()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            statuses = status_filter("rollouts", STATUSES)
            scope = (
                st.segmented_control("Scope", ["fleet", "instance"], key="rollouts_scope", bind="query-params") or ""
            )
            search = lists.search_box("rollouts", "Host or id contains")
        found, total = lists.paged(
            "rollouts", lambda n: cached.ask(rollouts.rollouts, tuple(statuses), scope, search, n), frames.LIST_PAGE
        )
        if not total:
            if statuses or scope or search:
                st.text("No rollout matches these filters.")
            else:
                messages.empty("No rollouts yet", "Rollouts appear here after a sync with the API:", [frames.SYNC])
            return
        with lists.row():
            st.caption(f"{total:,} rollout{'s' if total != 1 else ''}", width="content")
            export_menu.share(
                "rollouts",
                total,
                lambda path, most: rollouts.rollouts(path, tuple(statuses), scope, search, size=most)[0],
            )
            ids = found["rollout_id"].tolist()
            links.go_to(
                "rollout",
                pages.ROLLOUT,
                ids,
                [rollout_and_run_tables.rollout_name(row) for row in lists.records(found)],
            )
        rollout_and_run_tables.rollouts(found, fresh, key="rollouts")
        lists.pager("rollouts", total, frames.LIST_PAGE)


st.title("Rollouts")
auto_refresh.refreshing(body, cached.something_open)
