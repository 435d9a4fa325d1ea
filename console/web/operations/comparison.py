# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two operations side by side: how many instances changed in which way, and each of them."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.outcomes.comparison import KINDS, kind_of
from console.outcomes.words import UPDATED, word
from console.record.read.operation import Operation
from console.text import times
from console.text.counts import counted
from console.web.operations import rows
from console.web.shared import lists, markup, pages, paging

COLUMNS = (
    markup.Column("then and now"),
    markup.Column("host", "host"),
    markup.Column("before"),
    markup.Column("now"),
    markup.Column("took before", "number fo-rest"),
    markup.Column("took now", "number fo-rest"),
    markup.Column("message", "rest"),
)


def show(before: Operation, now: Operation) -> None:
    """The comparison: both verdicts, the counts of each change, the instances."""
    markup.draw(markup.pairs((("Before", _told(before)), ("Now", _told(now)))))
    found = compared(before.instances, now.instances)
    numbers = found["kind"].value_counts()
    lists.metrics([(kind.capitalize(), f"{numbers[kind]:,}") for kind in KINDS if kind in numbers])
    done = found[(found["before"] == UPDATED) & (found["now"] == UPDATED)]
    if len(done) and done["more"].notna().any():
        st.text(f"Instances that were done both times took {beside(float(done['more'].mean()))} on average.")
    _instances(found, before, now)


def beside(more: float) -> str:
    """So many seconds more in words: '12 s longer', '3 min 02 s shorter', 'as long as before'."""
    if times.duration(abs(more)) == times.duration(0.0):
        return "as long as before"
    return f"{times.duration(abs(more))} {'longer' if more > 0 else 'shorter'}"


def _told(one: Operation) -> Markup:
    return markup.joined(
        (
            markup.link(rows.title(one.row), pages.OPERATION, id=one.row["key"]),
            markup.badge(one.row["verdict"]),
            one.verdict.sentence,
        ),
        " ",
    )


def _instances(found: pd.DataFrame, before: Operation, now: Operation) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kinds = lists.kinds_of_change(KINDS)
        search = lists.search_box("compare", "Host or message contains")
    if kinds:
        found = found[found["kind"].isin(kinds)]
    found = lists.containing(found, search, "host", "message")
    listed = paging.of_frame("compare", found)
    listed.head(f"{counted(listed.total, 'instance')}, matched by host")
    if not listed.total:
        st.text("No instance matches these filters.")
        return
    cells = (
        (
            one["kind"],
            markup.link(one["host"], pages.INSTANCE, id=one["instance_id"] or one["host"]),
            _category(one["before"], before),
            _category(one["now"], now),
            times.duration(one["seconds_before"]),
            times.duration(one["seconds_now"]),
            one["message"] or "",
        )
        for one in lists.records(listed.rows)
    )
    markup.draw(markup.table(COLUMNS, cells, "Instances of two operations"))
    listed.pager()


def _category(category: object, of: Operation) -> Markup | str:
    return markup.badge(category, word(category, of.row["name"])) if isinstance(category, str) else "not in it"


def compared(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Instances of two operations matched by host, worst first: host, instance_id, kind, before, now (categories),
    seconds_before, seconds_now, more (seconds now minus before), message (of now, else of before).

    before, now: frames in the columns of ``record.read.operation.INSTANCE_COLUMNS``.
    """
    columns = ["host", "instance_id", "category", "seconds", "message"]
    both = before[columns].merge(now[columns], on="host", how="outer", suffixes=("_before", "_now"))
    kinds = [
        kind_of(*(word if isinstance(word, str) else None for word in pair))
        for pair in zip(both["category_before"], both["category_now"], strict=True)
    ]
    found = pd.DataFrame(
        {
            "host": both["host"],
            "instance_id": both["instance_id_now"].where(both["instance_id_now"].notna(), both["instance_id_before"]),
            "kind": kinds,
            "before": both["category_before"],
            "now": both["category_now"],
            "seconds_before": both["seconds_before"].astype(float),
            "seconds_now": both["seconds_now"].astype(float),
            "message": both["message_now"].where(both["message_now"].fillna("") != "", both["message_before"]),
        }
    )
    for column in ("instance_id", "message"):
        found[column] = found[column].astype(object).where(found[column].notna(), None)
    found["more"] = found["seconds_now"] - found["seconds_before"]
    order = found["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    return found.iloc[order.argsort(kind="stable")].reset_index(drop=True)
