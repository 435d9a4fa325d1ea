# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Console actions: who tried what from the console, why, and the result."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.record.read import console_actions, frames
from console.web.shared import cached, columns, export_menu, lists, messages
from console.web.shared.status import status_cells, status_column, status_filter


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
    frame = found.assign(
        when=columns.moments(found["at"]),
        what=[
            f"{action}{' (force)' if force else ''}"
            for action, force in zip(found["action"], found["force"], strict=True)
        ],
        came=status_cells(found["outcome"]),
    )
    shown = {
        "when": columns.time_column("at", 150),
        "user": columns.text("who", 160),
        "what": columns.text("action", 110),
        "name": columns.text("on", 100),
        "targets": columns.count("targets", 65),
        "came": status_column("outcome", width=100),
        "reason": columns.text("reason", 210),
        "detail": columns.text("result", 420),
        "http_status": st.column_config.NumberColumn("HTTP", format="%d", width=60),
        "request_id": columns.text("request id", 110),
    }
    columns.show(frame, shown, "Actions tried from the console")


st.title("Console actions")
body()
