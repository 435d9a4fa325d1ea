# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts: the list, newest first."""

from __future__ import annotations

import streamlit as st

from console import queries, share, tables, ui

STATUSES = ["in_progress", "pending", "paused", "partial", "failed", "cancelled", "completed"]


def body() -> None:
    with ui.database():
        fresh = ui.freshness()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            statuses = ui.status_filter("rollouts", STATUSES)
            scope = (
                st.segmented_control("Scope", ["fleet", "instance"], key="rollouts_scope", bind="query-params") or ""
            )
            search = ui.search_box("rollouts", "Host or id contains")
        found, total = ui.paged(
            "rollouts", lambda n: ui.ask(queries.rollouts, tuple(statuses), scope, search, n), queries.LIST_PAGE
        )
        if not total:
            if statuses or scope or search:
                st.text("No rollout matches these filters.")
            else:
                ui.empty("No rollouts yet", "Rollouts appear here after a sync with the API:", [queries.SYNC])
            return
        with ui.row():
            st.caption(f"{total:,} rollout{'s' if total != 1 else ''}", width="content")
            share.share(
                "rollouts",
                total,
                lambda path, most: queries.rollouts(path, tuple(statuses), scope, search, size=most)[0],
            )
            ids = found["rollout_id"].tolist()
            ui.go_to("rollout", ui.ROLLOUT, ids, [tables.rollout_name(row) for row in ui.records(found)])
        tables.rollouts(found, fresh, key="rollouts")
        ui.pager("rollouts", total, queries.LIST_PAGE)


st.title("Rollouts")
ui.refreshing(body, ui.something_open)
