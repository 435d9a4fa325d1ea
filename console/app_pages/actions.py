# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Console actions: who tried what from the console, why, and what came of it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console import charts, queries, share, ui


def body() -> None:
    with ui.database():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            outcomes = ui.status_filter("acted", queries.OUTCOMES, "Outcome")
            search = ui.search_box("acted", "Who, what, why or id contains")
        wanted = tuple(outcomes), search
        found, total = ui.paged("acted", lambda n: ui.ask(queries.console_actions, *wanted, n), queries.LIST_PAGE)
        if not total:
            if outcomes or search:
                st.text("No action matches these filters.")
            else:
                st.text("Nothing was ever tried from this console.")
            return
        with ui.row():
            st.caption(f"{total:,} action{'s' if total != 1 else ''}", width="content")
            share.share("acted", total, lambda path, most: queries.console_actions(path, *wanted, size=most)[0])
        table(found)
        ui.pager("acted", total, queries.LIST_PAGE)
        st.caption(
            "Refused: nothing was sent. No outcome: the console was cut off after the attempt was recorded. "
            "Rows are never changed or removed."
        )


def table(found: pd.DataFrame) -> None:
    frame = found.assign(
        when=[charts.moment(at) for at in found["at"]],
        what=[
            f"{action}{' (force)' if force else ''}"
            for action, force in zip(found["action"], found["force"], strict=True)
        ],
        came=ui.status_cells(found["outcome"]),
    )
    columns: dict[str, Any] = {
        "when": st.column_config.TextColumn("at (UTC)", width=150),
        "user": st.column_config.TextColumn("who", width=160),
        "what": st.column_config.TextColumn("action", width=110),
        "name": st.column_config.TextColumn("on", width=100),
        "targets": st.column_config.NumberColumn("targets", format="localized", width=65),
        "came": ui.status_column("outcome", width=100),
        "reason": st.column_config.TextColumn("reason", width=210),
        "detail": st.column_config.TextColumn("what came of it", width=420),
        "http_status": st.column_config.NumberColumn("HTTP", format="%d", width=60),
        "request_id": st.column_config.TextColumn("request id", width=110),
    }
    st.dataframe(
        frame,
        column_config=columns,
        column_order=list(columns),
        hide_index=True,
        height="content" if len(frame) <= 18 else 19 * 33,
        placeholder="",
        alt="Actions tried from the console",
    )


st.title("Console actions")
body()
