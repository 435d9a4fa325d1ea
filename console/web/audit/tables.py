# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the audit page: the pivot whose cells choose events, the events, and coverage by instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.text.statuses import style_of
from console.web.shared import columns, links, markup, pages, period, viewer

NONE = "(none)"
"""Shown for an empty value, such as the server of a tool event."""

Chosen = Callable[[str, str | None], None]


def word(value: str) -> str:
    """A value of a dimension or an outcome, as shown."""
    return value or NONE


def pivot(table: pd.DataFrame, title: str, key: str, chosen: Chosen) -> None:
    """The pivot; a click on a cell calls ``chosen`` with the row's value and, in an outcome's column, that outcome."""
    outcomes = [str(name) for name in table.columns if str(name).startswith("o:")]

    def clicked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            row, column = cells[0]
            outcome = str(column)[2:] if str(column) in outcomes else None
            chosen(str(table["value"].iloc[row]), outcome)

    over_time = st.column_config.BarChartColumn("over time", y_min=0, width=260, color="primary")
    shown = [
        columns.text([word(value) for value in table["value"]], title, 300),
        columns.count(table["events"], "events", 100),
        *(columns.count(table[one], style_of(one[2:]).label if one[2:] else "no outcome", 110) for one in outcomes),
        columns.percentage(table["not_success"], "not a success", 130),
        columns.Column("over_time", table["over_time"], over_time),
    ]
    columns.show(f"Audit events by {title}", shown, key, 10, on_select=clicked, selection_mode="single-cell")


def _time(row: dict[str, Any]) -> Markup | str:
    time = viewer.clock_time(row["event_ts"], markup.SECONDS)
    return markup.link(time, pages.OPERATIONS, operations_when=period.around(row["event_ts"])) if time else ""


EVENTS = (
    markup.Column("at", _time, "time"),
    markup.status("outcome", "outcome"),
    markup.text("source", "source", "short fo-rest"),
    markup.text("event", "event_type", "rest"),
    markup.text("tool", "tool_name"),
    markup.text("server", "server_slug", "rest"),
    markup.text("role", "role", "short fo-rest"),
    markup.Column(
        "host",
        lambda row: markup.instance(row["host"] or links.short(row["instance_id"]), row["instance_id"]),
        "host",
    ),
    markup.Column("conversation", lambda row: markup.small(row["conversation_id"] or ""), "rest"),
    markup.Column("request", lambda row: markup.small(row["request_id"] or ""), "rest"),
)


def events(found: pd.DataFrame) -> None:
    """Raw audit events, newest first. The time leads to the operations of that time, the host to the instance."""
    markup.draw(markup.table(EVENTS, found, "Audit events, newest first"))


def coverage(found: pd.DataFrame) -> None:
    """By instance: the API's totals, how many events are stored, and where events are missing."""
    gaps = zip(columns.in_words(found["gap_from"]), columns.in_words(found["gap_to"]), strict=True)
    shown = [
        columns.text(found["host"], "instance", 260),
        columns.percentage((found["ours"] / found["total"].where(found["total"] > 0)).clip(upper=1.0), "coverage"),
        columns.count(found["ours"], "held"),
        columns.count(found["total"], "events"),
        *(columns.count(found[outcome], outcome) for outcome in ("success", "error", "denied")),
        columns.text([f"{a} to {b or 'now'}" if a else "" for a, b in gaps], columns.in_zone("missing between"), 320),
        columns.moments(found["taken_at"], "API figures of"),
    ]
    columns.show("Audit coverage by instance", shown, "coverage", 12)
