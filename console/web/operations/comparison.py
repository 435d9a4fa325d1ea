# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two operations side by side: the number of instances for each kind of change, and a table of all instances."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.outcomes.words import CHANGES, RUNNING, UPDATED, change_of, title
from console.record.read.operation import Operation
from console.text import times
from console.text.counts import counted
from console.web.operations import rows
from console.web.shared import lists, markup, paging

# For each sort order, its column and whether it is ascending; '' for the order of ``compared``.
SORTS = {
    "Problems first": ("", True),
    "Slower now": ("seconds_more", False),
    "Faster now": ("seconds_more", True),
    "Host": ("host", True),
}


def show(before: Operation, now: Operation) -> None:
    """The comparison: both verdicts, the number of each kind of change, the instances."""
    markup.draw(markup.pairs((("Before", _summary(before)), ("Now", _summary(now)))))
    checks = before.row["check"] is True, now.row["check"] is True
    found = compared(before.instances, now.instances, (before.row["tenant"], now.row["tenant"]), checks)
    numbers = found["kind"].value_counts()
    markup.draw(markup.strip({kind.capitalize(): numbers[kind] for kind in CHANGES if kind in numbers}))
    means = (
        found[(found["before"] == UPDATED) & (found["now"] == UPDATED)][["seconds_more", "waited_more"]].mean().dropna()
    )
    verbs = {"seconds_more": "took", "waited_more": "waited"}
    if len(means) and not any(checks):
        changes = [f"{verbs[str(column)]} {difference(mean)}" for column, mean in means.items()]
        st.text(f"On average, the instances that were done both times {' and '.join(changes)}.")
    _instances(found, before, now)


def difference(more: float) -> str:
    """A difference in seconds as text: '12 s longer', '3 min 02 s less', 'as long as before'."""
    if times.duration(abs(more)) == times.duration(0.0):
        return "as long as before"
    return f"{times.duration(abs(more))} {'longer' if more > 0 else 'less'}"


def _summary(found: Operation) -> Markup:
    row = found.row
    badge = markup.badge(row["status"])
    return markup.joined((markup.operation(title(row), row["key"]), badge, row["sentence"]), " ")


def _instances(found: pd.DataFrame, before: Operation, now: Operation) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        meanings = "  \n".join(f"{kind}: {meaning}" for kind, meaning in CHANGES.items())
        kinds = lists.pills("Change", CHANGES, "compare_kind", meanings=meanings)
        search = lists.search_box("compare", "Host or message contains")
        column, ascending = SORTS[lists.choice("Sort", SORTS, "compare_sort")]
    if kinds:
        found = found[found["kind"].isin(kinds)]
    found = lists.containing(found, search)
    if column:
        found = found.sort_values(column, ascending=ascending, kind="stable", na_position="last")
    listed = paging.from_frame("compare", found)
    listed.head(f"{counted(listed.total, 'instance')}, matched by id or host name")
    if not listed.total:
        st.text("No instances match these filters.")
        return
    columns = (
        markup.text("change", "kind"),
        markup.host(),
        markup.Column("before", lambda row: _category(row["before"], before)),
        markup.Column("now", lambda row: _category(row["now"], now)),
        markup.duration("took before", "seconds_before"),
        markup.duration("took now", "seconds_now"),
        markup.duration("waited before", "waited_before"),
        markup.duration("waited now", "waited_now"),
        markup.text("message", "message", "rest"),
    )
    markup.draw(markup.table(columns, listed.rows, "Instances of two operations"))
    listed.pager()


def _category(category: object, found: Operation) -> Markup | str:
    word = rows.outcome_word(category, found.row) if isinstance(category, str) else ""
    return markup.badge(str(category), word) if word else "not included"


def compared(
    before: pd.DataFrame,
    now: pd.DataFrame,
    tenants: tuple[str | None, str | None] = (None, None),
    checks: tuple[bool, bool] = (False, False),
) -> pd.DataFrame:
    """Instances of two operations, worst first: host, instance_id, kind, before, now (categories), seconds_before,
    seconds_now, waited_before, waited_now, seconds_more and waited_more (seconds now minus before), message (of the
    later operation if it has one). They are matched by id, or by host if one of the operations does not know the id, or
    if the instance was recreated with another id in the same tenant.

    before, now: frames with the columns ``record.read.operation.INSTANCE_COLUMNS``. tenants: of each, None if unknown.
    checks: whether each was in check mode, so that what it would have updated is not updated.
    """
    shared = set(before["instance_id"].dropna()) & set(now["instance_id"].dropna())
    is_one_tenant = None not in tenants and tenants[0] == tenants[1]
    then, later = (
        side.assign(
            key=_keys(side, other, shared, is_one_tenant),
            # A redeploy that is still running is neither slower nor faster than a complete one.
            seconds=side["seconds"].where(side["category"] != RUNNING),
            message=side["message"].where(side["message"] != "", None),
        )
        for side, other in ((before, now), (now, before))
    )
    if None not in tenants and tenants[0] != tenants[1]:
        then["key"], later["key"] = "before " + then["key"], "now " + later["key"]
    columns = ["key", "host", "instance_id", "category", "seconds", "waited", "message"]
    found = then[columns].merge(later[columns], on="key", how="outer", suffixes=("_before", "_now"))
    for name in ("host", "instance_id", "message"):
        either = found[f"{name}_now"].fillna(found[f"{name}_before"])
        found[name] = either.astype(object).where(either.notna(), None)
    old_id, new_id = found["instance_id_before"], found["instance_id_now"]
    recreated = old_id.notna() & new_id.notna() & (old_id != new_id)
    found.loc[recreated, "message"] = ("Recreated with another id. " + found["message"].fillna("")).str.strip()
    found = found.rename(columns={"category_before": "before", "category_now": "now"})
    outcomes = (
        [f"would be {word}" if check and word == UPDATED else word if isinstance(word, str) else None for word in side]
        for side, check in zip((found["before"], found["now"]), checks, strict=True)
    )
    found["kind"] = [change_of(*pair) for pair in zip(*outcomes, strict=True)]
    found["seconds_more"] = found["seconds_now"] - found["seconds_before"]
    found["waited_more"] = found["waited_now"] - found["waited_before"]
    shown = ["host", "instance_id", "kind", "before", "now", "seconds_before", "seconds_now", "seconds_more",
             "waited_before", "waited_now", "waited_more", "message"]  # fmt: skip
    place = found["kind"].map({kind: place for place, kind in enumerate(CHANGES)})
    return found.assign(place=place).sort_values(["place", "host"], ignore_index=True)[shown]


def _keys(side: pd.DataFrame, other: pd.DataFrame, shared: set[str], is_one_tenant: bool) -> pd.Series[str]:
    """The keys that match the instances of one operation with those of another. shared: the ids that both have."""
    ids, hosts, theirs = side["instance_id"], side["host"], other["instance_id"]
    unmatched = ~theirs.isin(shared) if is_one_tenant else theirs.isna()
    by_host = ids.isna() | (~ids.isin(shared) & hosts.isin(other["host"][unmatched]))
    return hosts.where(by_host, ids)
