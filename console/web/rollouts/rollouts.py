# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts: the list, newest first."""

from __future__ import annotations

import streamlit as st

from console.record.read import rollouts
from console.text.counts import counted
from console.web.browser import auto_refresh
from console.web.shared import cached, lists, messages, paging, tables

STATUSES = ["in_progress", "pending", "paused", "partial", "failed", "lost", "cancelled", "completed"]


def body() -> None:
    head = messages.head("Rollouts")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = lists.status_filter("rollouts", STATUSES)
        scope = st.segmented_control("Scope", ["fleet", "instance"], key="rollouts_scope", bind="query-params") or ""
        search = lists.search_box("rollouts", "Host or id contains")
    found = paging.from_query("rollouts", rollouts.rollouts, tuple(statuses), scope, search)
    if not found.total:
        if statuses or scope or search:
            st.text("No rollouts match these filters.")
        else:
            messages.empty("No rollouts yet", "Rollouts appear here after a sync with the API:")
        return
    found.head(counted(found.total, "rollout"), head)
    tables.rollouts(found.rows)
    found.pager()


auto_refresh.refreshing(body, cached.something_open)
