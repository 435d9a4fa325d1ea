# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs: the list, newest first."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import runs
from console.text.counts import counted
from console.web import pages
from console.web.browser import auto_refresh
from console.web.shared import cached, lists, markup, messages, paging

STATUSES = ["running", "failed", "lost", "unknown", "canceled", "successful"]


def body() -> None:
    head = messages.head("Playbook runs")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = lists.status_filter("runs", STATUSES)
        search = lists.search_box("runs", "Playbook, user, controller or change contains")
    found = paging.from_query("runs", runs.runs, tuple(statuses), search)
    if not found.total:
        if statuses or search:
            st.text("No runs match these filters.")
        else:
            messages.empty(
                "No playbook runs yet",
                "Enable the callback fleetops.agents.run_log, run a playbook, then load its run log:",
                ["ANSIBLE_CALLBACKS_ENABLED=fleetops.agents.run_log ansible-playbook ...", "sync"],
            )
        return
    found.head(counted(found.total, "run"), head)
    table(found.rows)
    found.pager()


def table(found: pd.DataFrame) -> None:
    ended = found["ended_at"].fillna(found["heartbeat_at"])
    shown = [
        markup.linked("playbook", playbook, pages.RUN, "run_id"),
        markup.status("status", "status"),
        markup.when("started", "started_at"),
        markup.duration("took", "took"),
        *(markup.count(name, name, "number fo-rest") for name in ("hosts", "ok", "changed")),
        markup.count("failed", "failed"),
        markup.count("unreachable", "unreachable", "number fo-rest"),
        markup.Column(
            "user@controller", lambda row: f"{row['user'] or ''}@{row['controller'] or ''}".strip("@"), "rest"
        ),
    ]
    if found["change"].notna().any():
        shown.append(markup.text("change", "change", "rest"))
    shown.append(markup.short_id("run_id"))
    took = found.assign(took=ended - found["started_at"])
    markup.draw(markup.table(shown, took, "Playbook runs, newest first"))


def playbook(row: dict[str, Any]) -> str:
    return lists.playbook_name(row["playbook"]) + (" (check)" if row["check_mode"] else "")


auto_refresh.refreshing(body, cached.something_open)
