# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Console actions: who tried which action from the console, the reason, and the result."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.record.read import ledgers
from console.text.counts import counted
from console.web.shared import columns, lists, messages, paging


def body() -> None:
    with messages.database():
        head = messages.head("Console actions")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            outcomes = lists.status_filter("acted", ledgers.OUTCOMES, "Outcome")
            search = lists.search_box("acted", "Who, what, why or id contains")
        found = paging.from_query("acted", ledgers.console_actions, tuple(outcomes), search)
        if not found.total:
            if outcomes or search:
                st.text("No actions match these filters.")
            else:
                st.text("No actions have been tried from this console.")
            return
        found.head(counted(found.total, "action"), head)
        table(found.rows)
        found.pager()
        st.caption(
            "Refused: nothing was sent. No outcome: the console stopped after it recorded the attempt. "
            "Rows are never changed or deleted."
        )


def table(found: pd.DataFrame) -> None:
    what = [
        f"{action}{' (force)' if force else ''}" for action, force in zip(found["action"], found["force"], strict=True)
    ]
    shown = [
        columns.moments(found["at"], "time", 150),
        columns.text(found["user"], "who", 160),
        columns.text(what, "action", 110),
        columns.text(found["name"], "on", 100),
        columns.count(found["targets"], "targets", 65),
        columns.statuses(found["outcome"], "outcome", 100),
        columns.text(found["reason"], "reason", 210),
        columns.text(found["detail"], "result", 420),
        columns.number(found["http_status"], "HTTP", "%d", 60),
        columns.text(found["request_id"], "request id", 110),
    ]
    columns.show("Actions tried from the console", shown)


body()
