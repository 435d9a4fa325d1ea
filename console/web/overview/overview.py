# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overview: the state of the fleet, the operations in progress, what needs attention, the newest operations."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pandas as pd
import streamlit as st

from console.outcomes.words import RUNNING
from console.record.opening import DatabaseProblem
from console.record.read import attention as attention_queries
from console.record.read import fleet as fleet_queries
from console.record.read import freshness, policy
from console.record.read import operation as operation_queries
from console.record.read import operations as operation_list
from console.text import times
from console.text.counts import counted, first_of
from console.text.listing import records
from console.web import pages
from console.web.browser import auto_refresh
from console.web.operations import rows
from console.web.overview import attention, sync_button
from console.web.shared import cached, links, lists, markup, messages, viewer
from console.web.shared.fleet_strip import strip
from console.web.shared.paging import Listed

# How many of the newest operations and of the running ones are listed, and how many of its running instances are named.
NEWEST, RUNNING_SHOWN, NAMED = 12, 5, 3


def body() -> None:
    now = viewer.clock() // 10 * 10
    fresh = cached.ask(freshness.freshness)
    newest, total = cached.ask(operation_list.operations, now, None, 1, NEWEST)
    # By the minute, like the list that "Last 24 hours" opens.
    fleets = cached.ask(fleet_queries.fleets, now // 60 * 60)
    if fresh.never and not total:
        messages.empty(
            "Nothing has been synced yet",
            "Load run logs and the API's rollouts with the button above or with the first command. "
            "The second command fills the console with data from a simulated fleet.",
            ["sync", "make demo"],
        )
        return
    for fleet in fleets:
        tenant = fleet.tenant if len(fresh.tenants) > 1 else ""
        frozen = cached.ask(policy.frozen, now, tenant)
        markup.draw(strip(fleet, now, tenant, frozen, last_day=fleet is fleets[0]))
    running(now)
    needs_attention(now)
    operations(newest, total)


def running(now: float) -> None:
    """One card for each operation in progress; nothing if there is none."""
    wanted = operation_list.OperationFilter(verdicts=(RUNNING,))
    found, total = cached.ask(operation_list.operations, now, wanted, 1, RUNNING_SHOWN)
    if not total:
        return
    st.header("Running now")
    for row in records(found):
        markup.draw(rows.running_card(row, *_progress(cached.operation(row["key"], now), now)))
    if total > RUNNING_SHOWN:
        links.to(pages.OPERATIONS, f"{total - RUNNING_SHOWN:,} more running", icon="", operations_status="running")


def _progress(found: operation_queries.Operation | None, now: float) -> tuple[str, str, str]:
    """The names of the running instances, the progress, and the last gate, one line each; '' for what is unknown."""
    if found is None:
        return "", "", ""
    names = found.instances["host"][found.instances["category"] == RUNNING].tolist()
    running_now = f"Running: {first_of(names, NAMED)}" if names else ""
    parts = [found.row["why"]] if found.facts.batches else []
    expected = found.plan.get("seconds")
    started = found.row["started_at"]
    if expected and started is not None:
        left = started + float(expected) - now
        if left > 0:
            parts.append(f"about {times.rounded(left)} left, ends about {viewer.moment(now + left, '%H:%M')}")
        else:
            parts.append(f"{times.rounded(-left)} longer than planned")
    last_gate = ""
    if found.gates:
        gate = found.gates[-1]
        figures = " · ".join(gate.figures) or "no figures"
        last_gate = f"Last gate: {gate.verdict} at {viewer.moment(gate.at, '%H:%M')}, {figures}"
    return running_now, " · ".join(parts), last_gate


def needs_attention(now: float) -> None:
    minute = now // 60 * 60
    entries = records(cached.ask(attention_queries.attention, minute))
    listed = Listed("attention", len(entries), partial(attention.exported, now=minute))
    listed.header("Needs attention", counted(listed.total, "cause"))
    attention.show(entries)


def operations(newest: pd.DataFrame, total: int) -> None:
    st.header("Operations")
    if not total:
        st.text("No playbook runs or rollouts have been recorded yet.")
        return
    markup.draw(markup.table(rows.COLUMNS, newest, "Newest operations"))
    with lists.row():
        links.to(pages.OPERATIONS, f"All operations ({total:,})")
        if total > 1:
            links.to(pages.COMPARE, "Compare the last two", icon="compare_arrows")


with lists.row():
    st.title("Overview", width="content")
    # The body shows an error of the database.
    with suppress(DatabaseProblem):
        messages.data_as_of()
    pressed = sync_button.button()
place = sync_button.show()
auto_refresh.refreshing(body, cached.something_open)
sync_button.what_to_set()
if pressed:
    sync_button.sync(place)
