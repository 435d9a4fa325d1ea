# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures by message, with the instances and operations in which each occurred. Each failure is counted once."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.record.read import failures_by_message as queries
from console.text.counts import counted
from console.web import pages
from console.web.browser import auto_refresh
from console.web.shared import cached, lists, markup, messages, paging
from console.web.shared.paging import Listed

MAX_MESSAGES, HOSTS_SHOWN = 500, 200


def body() -> None:
    head = messages.head("Failures")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        since, until = lists.period("failures")
        search = lists.search_box("failures", "Message or host contains")
    found = cached.ask(queries.failures_by_message, since or 0.0, MAX_MESSAGES + 1, until, search)
    more = len(found) > MAX_MESSAGES
    found = found.head(MAX_MESSAGES)
    if not len(found):
        everything = since is None and until is None and not search
        st.text("No failures are recorded." if everything else "No failures match these filters.")
        return
    listed = paging.from_frame("failures", found)
    failed, kinds = counted(int(found["failures"].sum()), "failure"), counted(listed.total, "message")
    which = f"the {listed.total:,} most frequent messages" if more else f"{kinds}, most frequent first"
    listed.head(f"{failed} with {which}", head)
    markup.draw(markup.table(COLUMNS, listed.rows, "Failures by message"))
    listed.pager()
    if found["message"].str.contains("#", regex=False).any():
        st.caption("A # stands for a number or an id. Messages that differ only in these or in the host count as one.")
    chosen(found, since or 0.0, until)


def _message(row: dict[str, Any]) -> Markup:
    link = markup.link(row["message"] or "no message", pages.FAILURES, message=row["fingerprint"])
    return markup.joined((link, markup.small("in one operation only") if row["operations"] == 1 else ""), " ")


COLUMNS = (
    markup.Column("message", _message, "wide"),
    markup.count("failures", "failures"),
    markup.count("instances", "hosts"),
    markup.Column(
        "operations",
        lambda row: markup.operation(f"{row['operations']:,}", row["run_id"] or row["rollout_id"]),
        "number fo-rest",
    ),
    markup.when("first", "first_at", "time fo-rest"),
    markup.when("last", "last_at"),
    markup.Column(
        "last seen on",
        lambda row: markup.instance(row["newest_host"], row["newest_id"]) if row["newest_host"] else "",
        "host fo-rest",
    ),
)
OF_INSTANCES = (
    markup.host(),
    markup.when("newest", "at"),
    markup.count("failures", "failures"),
    markup.Column(
        "operation", lambda row: markup.operation("Open the operation", row["operation"]) if row["operation"] else ""
    ),
)


def chosen(found: pd.DataFrame, since: float, until: float | None) -> None:
    """The instances with the message in the address, in the period."""
    wanted = str(st.query_params.get("message", ""))
    if not wanted:
        return
    hosts = cached.ask(queries.hosts_with, wanted, HOSTS_SHOWN, since, until)
    known = found["message"][found["fingerprint"] == wanted]
    if not len(hosts):
        st.text("No failures with the message in this link are recorded in this period.")
        return
    st.header("Instances with this failure")
    if len(known):
        lists.code(known.iloc[0])
    total = int(hosts["total"].iloc[0])
    shown = f"the newest {len(hosts):,} of " if total > len(hosts) else ""
    listed = Listed("failed_instances", total, lambda path, most: queries.hosts_with(path, wanted, most, since, until))
    listed.head(f"{shown}{counted(total, 'instance')}, newest failure first")
    markup.draw(markup.table(OF_INSTANCES, hosts, "Instances with this failure"))


auto_refresh.refreshing(body, cached.something_open)
