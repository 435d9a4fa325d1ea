# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the audit page: the pivot whose cells choose events, the events, and coverage by instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from console.text.statuses import style_of
from console.web.shared import columns, links, pages
from console.web.shared.status import status_cells, status_column

NONE = "(none)"
"""Shown for an empty value, such as the server of a tool event."""

Chosen = Callable[[str, str | None], None]


def word(value: str) -> str:
    """A value of a dimension or an outcome, as shown."""
    return value or NONE


def pivot(table: pd.DataFrame, title: str, key: str, chosen: Chosen) -> None:
    """The pivot; a click on a cell calls ``chosen`` with the row's value and, in an outcome's column, that outcome."""
    outcomes = [str(name) for name in table.columns if str(name).startswith("o:")]
    shown = {
        "name": columns.text(title, 300),
        "events": columns.count("events", 100),
        **{name: columns.count(style_of(name[2:]).label if name[2:] else "no outcome", 110) for name in outcomes},
        "not_success": columns.percentage("not a success", 130),
        "over_time": st.column_config.BarChartColumn("over time", y_min=0, width=260, color="primary"),
    }

    def clicked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            row, column = cells[0]
            outcome = str(column)[2:] if str(column) in outcomes else None
            chosen(str(table["value"].iloc[row]), outcome)

    st.dataframe(
        table.assign(name=[word(value) for value in table["value"]]),
        column_config=shown,
        column_order=list(shown),
        hide_index=True,
        height=columns.height(len(table), 10),
        placeholder="",
        alt=f"Audit events by {title}",
        key=key,
        on_select=clicked,
        selection_mode="single-cell",
    )


def events(found: pd.DataFrame) -> None:
    """Raw audit events, newest first; a click opens the instance."""
    frame = found.assign(
        at=columns.moments(found["event_ts"]),
        state=status_cells(found["outcome"]),
        open=[links.short(i) for i in found["instance_id"]],
    )
    shown: dict[str, Any] = {
        "at": columns.time_column("at"),
        "state": status_column("outcome", 110),
        "source": columns.text("source", 90),
        "event_type": columns.text("event", 120),
        "tool_name": columns.text("tool", 200),
        "server_slug": columns.text("server", 130),
        "role": columns.text("role", 90),
        "host": columns.text("host", 240),
        "open": links.open_column("instance", "audit_events_open"),
        "conversation_id": columns.text("conversation", 160),
        "request_id": columns.text("request", 160),
    }
    columns.show(frame, shown, "Audit events, newest first", "audit_events", 15)
    links.follow("audit_events_open", pages.INSTANCE, found["instance_id"].tolist())


def coverage(found: pd.DataFrame) -> None:
    """By instance: the API's totals, how many events are stored, and where events are missing."""
    frame = found.assign(
        share=(found["ours"] / found["total"].where(found["total"] > 0)).clip(upper=1.0),
        taken=columns.moments(found["taken_at"]),
        gap=[
            f"{a} to {b or 'now'}" if a else ""
            for a, b in zip(columns.moments(found["gap_from"]), columns.moments(found["gap_to"]), strict=True)
        ],
    )
    shown = {
        "host": columns.text("instance", 260),
        "share": columns.percentage("coverage"),
        "ours": columns.count("held"),
        "total": columns.count("events"),
        "success": columns.count("success"),
        "error": columns.count("error"),
        "denied": columns.count("denied"),
        "gap": columns.time_column("missing between", 320),
        "taken": columns.time_column("API figures of"),
    }
    columns.show(frame, shown, "Audit coverage by instance", "coverage", 12)
