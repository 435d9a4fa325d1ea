# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Console actions: who tried what from the console, why, and the result."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.record.read import console_actions, frames
from console.web.shared import cached, columns, export_menu, lists, messages
from console.web.shared.status import status_filter


def body() -> None:
    with messages.database():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            outcomes = status_filter("acted", console_actions.OUTCOMES, "Outcome")
            search = lists.search_box("acted", "Who, what, why or id contains")
        wanted = tuple(outcomes), search
        found, total = lists.paged(
            "acted", lambda n: cached.ask(console_actions.console_actions, *wanted, n), frames.LIST_PAGE
        )
        if not total:
            if outcomes or search:
                st.text("No action matches these filters.")
            else:
                st.text("No action was ever tried from this console.")
            return
        with lists.row():
            st.caption(f"{total:,} action{'s' if total != 1 else ''}", width="content")
            export_menu.share(
                "acted", total, lambda path, most: console_actions.console_actions(path, *wanted, size=most)[0]
            )
        table(found)
        lists.pager("acted", total, frames.LIST_PAGE)
        st.caption(
            "Refused: nothing was sent. No outcome: the console stopped after it had recorded the attempt. "
            "Rows are never changed or deleted."
        )


def table(found: pd.DataFrame) -> None:
    what = [
        f"{action}{' (force)' if force else ''}" for action, force in zip(found["action"], found["force"], strict=True)
    ]
    shown = [
        columns.moments(found["at"], "at", 150),
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


st.title("Console actions")
body()
