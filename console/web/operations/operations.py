# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations: everything that somebody did to the fleet, newest first, with its outcome."""

from __future__ import annotations

import streamlit as st

from console.outcomes.words import STATUSES
from console.record.read import operations as queries
from console.text.counts import counted
from console.web import pages
from console.web.browser import auto_refresh
from console.web.operations import rows
from console.web.shared import cached, links, lists, markup, messages, paging, viewer

PLAYBOOK, SERVER, CONSOLE = "Playbook runs", "Rollouts by others", "Console actions"
KINDS = {PLAYBOOK: "run", SERVER: "rollout", CONSOLE: "act"}
REAL, CHECKS = "Real", "Check mode"


def body() -> None:
    head = messages.head("Operations")
    wanted = filters()
    now = viewer.clock() // 5 * 5
    found = paging.from_query("operations", queries.operations, now, wanted)
    if not found.total:
        if wanted == queries.OperationFilter():
            messages.empty("No operations yet", "Playbook runs and rollouts appear here after a sync:")
        else:
            st.text("No operations match these filters.")
        return
    found.head(f"{counted(found.total, 'operation')}, newest first", head)
    markup.draw(markup.table(rows.COLUMNS, found.rows, "Operations, newest first"))
    found.pager()
    with lists.row():
        links.to(pages.COMPARE, "Compare two operations", icon="compare_arrows")
        links.to(pages.ROLLOUTS, "Rollouts on the server", icon="view_timeline")
        links.to(pages.RUNS, "Playbook runs as Ansible reports them", icon="play_circle")
        links.to(pages.ACTIONS, "Console actions", icon="admin_panel_settings")


def filters() -> queries.OperationFilter:
    """The filters in one row. They are in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        since, until = lists.period("operations")
        statuses = lists.status_filter("operations", STATUSES, "Verdict", narrow=True)
        kinds = lists.multiselect("Started by", KINDS, "operations_kind", 190)
        mode = lists.selectbox("Mode", (REAL, CHECKS), "operations_mode", 130)
        who = lists.search_box("operations", "Who", "who", 120)
        search = lists.search_box("operations", "Playbook, host or id contains")
    return queries.OperationFilter(
        since,
        until,
        kinds=tuple(KINDS[kind] for kind in kinds),
        who=who.strip(),
        text=search.strip(),
        check={REAL: False, CHECKS: True}.get(mode or ""),
        statuses=tuple(statuses),
    )


auto_refresh.refreshing(body, cached.something_open)
