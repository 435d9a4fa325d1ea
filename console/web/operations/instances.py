# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of an operation: each in exactly one category, with a filter in the address."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.outcomes.words import CATEGORIES, word
from console.record.read.operation import Operation
from console.web.shared import lists, markup, pages, paging, viewer

SORTS = {"outcome": None, "host": "host", "started": "started_at", "took": "seconds", "waited": "waited"}


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
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.pills(
            "Outcome",
            [one for one in CATEGORIES if one in known],
            selection_mode="multi",
            format_func=lambda one: word(one, row["name"]),
            key="operation_outcome",
            bind="query-params",
        )
        search = lists.search_box("operation", "Host or message contains")
    sort = str(st.query_params.get("sort", ""))
    listed = paging.of_frame("operation_instances", arranged(frame, tuple(chosen), search, sort))
    listed.head(lists.counted_of(listed.total, len(frame), "instance") + ("" if sort else ", problems first"))
    if not listed.total:
        st.text("No instance matches these filters.")
        return
    columns = (
        markup.Column(
            "outcome", lambda one: markup.badge(one["category"], word(one["category"], row["name"])), sort="outcome"
        ),
        markup.host(sort="host"),
        markup.Column("started", lambda one: viewer.clock_time(one["started_at"]), "time fo-rest", "started"),
        markup.duration("took", "seconds", "number", "took"),
        markup.duration("waited", "waited", sort="waited"),
        markup.text("message", "message", "rest"),
    )
    asked = {name: st.query_params.get_all(name) for name in st.query_params if name != "sort"}
    markup.draw(
        markup.table(
            columns, listed.rows, "Instances of this operation", sort,
            lambda order: markup.address(pages.OPERATION, **asked, sort=order),
        )
    )  # fmt: skip
    listed.pager()
