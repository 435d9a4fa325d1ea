# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs: the list, newest first."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import frames, runs
from console.text.counts import counted
from console.text.statuses import style_of
from console.web.browser import auto_refresh
from console.web.shared import cached, columns, links, lists, messages, pages, paging, viewer
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
            names = [name(row) for row in lists.records(found.rows)]
            links.go_to("run", pages.RUN, found.rows["run_id"].tolist(), names)
        table(found.rows)
        found.pager()


def name(run: dict[str, Any]) -> str:
    """A run as an entry of the select box."""
    return f"{columns.playbook_name(run['playbook'])}, {style_of(run['status']).word}, {viewer.when(run['started_at'])}"


def table(found: pd.DataFrame) -> None:
    names = [
        columns.playbook_name(path) + (" (check)" if check else "")
        for path, check in zip(found["playbook"], found["check_mode"], strict=True)
    ]
    who = [f"{u or ''}@{c or ''}".strip("@") for u, c in zip(found["user"], found["controller"], strict=True)]
    shown = [
        columns.statuses(found["status"], width=120),
        columns.text(names, "playbook", 210),
        columns.moments(found["started_at"], "started"),
        columns.durations(found["ended_at"].fillna(found["heartbeat_at"]) - found["started_at"], "took"),
        *(columns.count(found[name], name) for name in ("hosts", "ok", "changed", "failed", "unreachable")),
        columns.text(who, "user@controller", 160),
    ]
    if found["change"].notna().any():
        shown.append(columns.text(found["change"], "change", 120))
    columns.show("Playbook runs, newest first", shown, "runs", opens=columns.Opens("run", pages.RUN, found["run_id"]))


st.title("Playbook runs")
auto_refresh.refreshing(body, cached.something_open)
