# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of an operation: each in exactly one category, with a filter in the address."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.outcomes.words import CATEGORIES, word
from console.record.read.operation import Operation
from console.text import times
from console.web.shared import lists, markup, pages, paging, viewer

SORTS = {"outcome": None, "host": "host", "started": "started_at", "took": "seconds", "waited": "waited"}
COLUMNS = (
    markup.Column("outcome", sort="outcome"),
    markup.Column("host", "host", "host"),
    markup.Column("started", "time fo-rest", "started"),
    markup.Column("took", "number", "took"),
    markup.Column("waited", "number fo-rest", "waited"),
    markup.Column("message", "rest"),
)


def arranged(frame: pd.DataFrame, categories: tuple[str, ...], search: str, sort: str) -> pd.DataFrame:
    """The rows that match, in that order: '' as they are (problems first), '-word' for descending."""
    if categories:
        frame = frame[frame["category"].isin(categories)]
    frame = lists.containing(frame, search, "host", "message")
    column = SORTS.get(sort.lstrip("-"))
    if column is None:
        return frame[::-1] if sort == "-outcome" else frame
    return frame.sort_values(column, ascending=not sort.startswith("-"), kind="stable", na_position="last")


def show(found: Operation) -> None:
    """The table, filtered by ``outcome`` of the address."""
    row, frame = found.row, found.instances
    if not len(frame):
        return
    st.header("Instances")
    known = set(frame["category"])
    present = [one for one in CATEGORIES if one in known]
    names = {word(one, row["name"]): one for one in present}
    if "outcome" in st.query_params and st.query_params["outcome"] in present:
        # A link names the category; the pills show it as a word.
        st.session_state["operation_outcome"] = [word(st.query_params["outcome"], row["name"])]
        del st.query_params["outcome"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.pills("Outcome", list(names), selection_mode="multi", key="operation_outcome", bind="query-params")
        search = lists.search_box("operation", "Host or message contains")
    sort = str(st.query_params.get("sort", ""))
    listed = paging.of_frame("operation", arranged(frame, tuple(names[one] for one in chosen), search, sort))
    listed.head(
        lists.counted_of(listed.total, len(frame), "instance") + ("" if sort else ", problems first"),
        "operation_instances",
    )
    if not listed.total:
        st.text("No instance matches these filters.")
        return
    rows = (
        (
            markup.badge(one["category"], word(one["category"], row["name"])),
            markup.link(one["host"], pages.INSTANCE, id=one["instance_id"] or one["host"]),
            viewer.clock_time(one["started_at"]),
            times.duration(one["seconds"]),
            times.duration(one["waited"]),
            one["message"] or "",
        )
        for one in lists.records(listed.rows)
    )
    asked = {name: st.query_params.get_all(name) for name in st.query_params if name != "sort"}
    markup.draw(
        markup.table(
            COLUMNS, rows, "Instances of this operation", sort,
            lambda order: markup.address(pages.OPERATION, **asked, sort=order),
        )
    )  # fmt: skip
    listed.pager()
