# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare: two operations, the earlier one (a) and the later one (b), both named in the URL.

Two rollouts that others started are compared target by target with their phases, all others by outcome.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.record.read import compare, frames, operations, rollouts
from console.text import times
from console.text.counts import counted
from console.text.statuses import style_of
from console.web.browser import auto_refresh
from console.web.operations import comparison, rows
from console.web.shared import cached, links, lists, messages, pages, paging, rollout_and_run_tables, viewer

CHOICES = 100
Rollout = dict[str, Any]
Row = dict[str, Any]


def body() -> None:
    with messages.database():
        messages.head("Compare two operations")
        now = viewer.clock() // 60 * 60
        newest, _dummy = cached.ask(operations.operations, now, None, 1, CHOICES)
        choices = {record["key"]: record for record in lists.records(newest[newest["kind"] != "act"])}
        if not asked("a") and not asked("b") and len(choices) > 1:
            # Put into the URL at once, so that a copied link always compares these two.
            st.query_params.update(a=before_it(list(choices.values())), b=next(iter(choices)))
        left, right = st.columns(2)
        with left:
            a = side("a", "Before", choices, now)
        with right:
            b = side("b", "Now", choices, now)
        if a is None or b is None:
            missing(a, b, bool(choices))
            return
        if a["key"] == b["key"]:
            st.text("Both are the same operation. Choose another one to compare it with.")
            return
        if a["kind"] == b["kind"] == "rollout":
            first, second = (cached.ask(rollouts.rollout, one["key"]) for one in (a, b))
            if first is not None and second is not None:
                score(first, second)
                targets(first, second)
                return
        before, after = (cached.operation(one["key"], now) for one in (a, b))
        if before is not None and after is not None:
            with lists.row():
                st.button("Swap", icon=":material/swap_horiz:", type="tertiary", on_click=swap)
            comparison.show(before, after)


def before_it(listed: list[Row]) -> str:
    """Of operations, newest first: the one before the newest with the same playbook or scope, else the one before."""
    newest = listed[0]
    same = [row for row in listed[1:] if row["name"] == newest["name"] and row["check"] is newest["check"]]
    return str((same or listed[1:])[0]["key"])


def asked(name: str) -> str:
    """The id that the address gives for one side, '' without one."""
    return str(st.query_params.get(name, "")).strip()


def side(name: str, title: str, choices: dict[str, Row], now: float) -> Row | None:
    """Choose one side; returns its row. An operation in the URL is offered even if it is not among the newest."""
    wanted, key = asked(name), f"compare_{name}"
    found = choices.get(wanted)
    if found is None and wanted:
        known = cached.operation(wanted, now)
        found = known.row if known is not None else None
    offered = {**choices, **({wanted: found} if found else {})}
    if offered:
        st.session_state[key] = wanted if found else None

        def chosen() -> None:
            if st.session_state[key]:
                st.query_params[name] = st.session_state[key]

        st.selectbox(
            f"{title} ({name})",
            list(offered),
            format_func=lambda one: in_words(offered[one]),
            key=key,
            on_change=chosen,
            placeholder="Choose an operation",
        )
    return found


def in_words(row: Row) -> str:
    """An operation as one line of plain text."""
    started = viewer.moment(row["started_at"]) or "unknown time"
    mode = " (check)" if row["check"] is True else ""
    verdict = style_of(row["verdict"]).word
    return f"{started} · {rows.title(row)}{mode} · {verdict} · {links.short(row['key'])}"


def missing(a: Row | None, b: Row | None, any_known: bool) -> None:
    unknown = [name for name, found in (("a", a), ("b", b)) if found is None and asked(name)]
    for name in unknown:
        st.text(f"The database knows no operation {asked(name)}.")
    if any_known:
        st.text("Choose two operations above.")
    elif not unknown:
        messages.empty("Nothing to compare yet", "This page needs two operations. A sync reads them:", [frames.SYNC])
    links.to(pages.OPERATIONS, "All operations", icon="view_timeline")


def score(a: Rollout, b: Rollout) -> None:
    """How many targets changed in which way, and how much longer they took."""
    with lists.row():
        for name, rollout in (("Open the one before", a), ("Open the current one", b)):
            links.to(pages.ROLLOUT, name, id=rollout["rollout_id"])
        st.button("Swap", icon=":material/swap_horiz:", type="tertiary", on_click=swap)
    found = cached.ask(compare.compared_score, *keys(a, b))
    counts = dict(zip(found["kind"], found["targets"], strict=True))
    lists.metrics([(kind.capitalize(), f"{counts.get(kind, 0):,}") for kind in compare.KINDS if counts.get(kind)])
    both = found[found["kind"] == "both succeeded"]
    if len(both):
        means = [
            f"{phase} {signed(float(both[f'{phase}_more'].iloc[0]))}"
            for phase in ("queue", "countdown", "run")
            if both[f"{phase}_more"].notna().iloc[0]
        ]
        if means:
            lists.line("Targets that succeeded both times, average change: " + ", ".join(means))


def swap() -> None:
    """Before becomes now."""
    st.query_params.update(a=asked("b"), b=asked("a"))


def signed(seconds: float) -> str:
    """A difference in words: '+12 s', '-3 min 02 s', 'as before'."""
    if abs(seconds) < 0.05:
        return "as before"
    return ("+" if seconds >= 0 else "-") + times.duration(abs(seconds))


def keys(a: Rollout, b: Rollout) -> tuple[tuple[str, str], tuple[str, str]]:
    return (a["tenant"], a["rollout_id"]), (b["tenant"], b["rollout_id"])


def targets(a: Rollout, b: Rollout) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kinds = lists.kinds_of_change(compare.KINDS)
        search = lists.search_box("compare", "Host or error contains")
        sort = lists.choice("Sort", compare.COMPARE_SORTS, "compare_sort")
    found = paging.asked("compare", compare.compared_page, *keys(a, b), tuple(kinds), search, sort, size=frames.PAGE)
    found.head(f"{counted(found.total, 'target')}, matched by instance")
    if found.total:
        rollout_and_run_tables.compared(found.rows)
        found.pager()
    else:
        st.text("No target matches these filters.")


auto_refresh.refreshing(body, lambda: any(cached.operation_open(asked(name)) for name in ("a", "b") if asked(name)))
