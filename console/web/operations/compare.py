# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare: two operations, the earlier one (a) and the later one (b). The URL contains the ids of both."""

from __future__ import annotations

import itertools
from typing import Any

import streamlit as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.outcomes.words import title
from console.record.read import operations
from console.text.listing import records
from console.web import pages
from console.web.browser import auto_refresh
from console.web.operations import comparison
from console.web.shared import cached, links, lists, messages, viewer

CHOICES = 100
Row = dict[str, Any]


def body() -> None:
    messages.head("Compare two operations")
    now = viewer.clock() // 60 * 60
    newest, _dummy = cached.ask(operations.operations, now, None, 1, CHOICES)
    choices = {record["key"]: record for record in records(newest[newest["kind"] != "act"])}
    if not asked("a") and not asked("b") and len(choices) > 1:
        # Put into the URL immediately, so that a copied link always compares these two.
        st.query_params.update(zip("ab", newest_pair(list(choices.values())), strict=True))
    left, right = st.columns(2)
    with left:
        a = side("a", "Before", choices, now)
    with right:
        b = side("b", "Now", choices, now)
    if a is None or b is None:
        missing(a, b, bool(choices))
        return
    if a["key"] == b["key"]:
        st.text("Both are the same operation. Choose a different one to compare it with.")
        return
    before, after = (cached.operation(row["key"], now) for row in (a, b))
    if before is not None and after is not None:
        with lists.row():
            st.button("Swap", icon=":material/swap_horiz:", type="tertiary", on_click=swap)
        comparison.show(before, after)


def newest_pair(listed: list[Row]) -> tuple[str, str]:
    """The newest operation that has an earlier one with the same title and mode, after that one; or the two newest.
    listed: newest first."""
    for later, earlier in itertools.combinations(listed, 2):
        if later["title"] == earlier["title"] and later["check"] is earlier["check"]:
            return str(earlier["key"]), str(later["key"])
    return str(listed[1]["key"]), str(listed[0]["key"])


def asked(name: str) -> str:
    """The id of one side in the address; '' if there is none."""
    return str(st.query_params.get(name, "")).strip()


def side(name: str, title: str, choices: dict[str, Row], now: float) -> Row | None:
    """Draw the choice of one side; returns its row. An operation in the URL is offered even if it is an old one."""
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
            format_func=lambda operation: label(offered[operation]),
            key=key,
            on_change=chosen,
            placeholder="Choose an operation",
        )
    return found


def label(row: Row) -> str:
    started = viewer.moment(row["started_at"]) or "unknown time"
    mode = " (check)" if row["check"] is True else ""
    return printable(f"{started} · {title(row)}{mode} · {row['status']} · {links.short(row['key'])}")


def missing(a: Row | None, b: Row | None, any_known: bool) -> None:
    unknown = [name for name, found in (("a", a), ("b", b)) if found is None and asked(name)]
    for name in unknown:
        lists.line(f"The database has no operation {asked(name)}.")
    if any_known:
        st.text("Choose two operations above.")
    elif not unknown:
        messages.empty("Nothing to compare yet", "This page needs two operations. A sync reads them:")
    links.to(pages.OPERATIONS, "All operations", icon="view_timeline")


def swap() -> None:
    st.query_params.update(a=asked("b"), b=asked("a"))


auto_refresh.refreshing(body, lambda: any(cached.is_open(asked(name)) for name in ("a", "b") if asked(name)))
