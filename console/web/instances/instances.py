# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances: every instance that a rollout has named, with its newest data."""

from __future__ import annotations

import streamlit as st

from console.record.read import frames, instances
from console.web.browser import auto_refresh
from console.web.instances import tables
from console.web.shared import cached, links, lists, messages, pages
from console.web.shared.export_menu import share
from console.web.shared.status import status_filter

STATUSES = ["failed", "uncertain", "in_progress", "queued", "cancelled", "succeeded"]
HEALTH = [*instances.HEALTH_WORDS, instances.HEALTH_OTHER, instances.HEALTH_UNREAD]
ONLY = {"Open problem": "problem", "Update waiting": "outdated"}


def body() -> None:
    with messages.database():
        messages.data_as_of()
        tally = cached.ask(instances.instance_tally)
        if not tally.get("total"):
            messages.empty(
                "No instances yet",
                "The API has no list of instances: an instance appears here after a rollout that names it was read.",
                [frames.SYNC],
            )
            return
        figures(tally)
        wanted = filters()
        found, total = lists.paged(
            "instances", lambda n: cached.ask(instances.instance_page, wanted, n), frames.LIST_PAGE
        )
        of_all = f" of {tally['total']:,}" if total != tally["total"] else ""
        with lists.row():
            st.caption(f"{total:,}{of_all} instance{'s' if total != 1 or of_all else ''}", width="content")
            share("instances", total, lambda path, most: instances.instance_page(path, wanted, 1, most)[0])
            links.go_to("instance", pages.INSTANCE, found["instance_id"].tolist(), found["host"].tolist())
        if total:
            tables.instances(found)
            lists.pager("instances", total, frames.LIST_PAGE)
        else:
            st.text("No instance matches these filters.")


def figures(tally: dict[str, int]) -> None:
    lists.metrics(
        [
            ("Instances", f"{tally['total']:,}"),
            ("Open problem", f"{tally['problems']:,}"),
            ("Healthy", f"{tally['healthy']:,} of {tally['health_read']:,}" if tally["health_read"] else "not read"),
            ("Update waiting", f"{tally['outdated']:,}" if tally["updates_read"] else "not read"),
            ("Memories", memories(tally)),
        ]
    )
    unread = [
        flag
        for flag, read in (("--health", "health_read"), ("--updates", "updates_read"), ("--memory", "with_memory"))
        if tally[read] < tally["total"]
    ]
    if unread and not cached.is_copy():
        with st.expander("Some data was not read for every instance", icon=":material/info:"):
            st.text("Each of these costs one API call per instance, so a sync reads them only on request:")
            st.code(f"{frames.SYNC} {' '.join(unread)}", language="bash")


def memories(tally: dict[str, int]) -> str:
    """The number of memories, and of instances read if these are not all."""
    if not tally["with_memory"]:
        return "not read"
    count = f"{tally['memories']:,}{'+' if tally['memories_full'] else ''}"
    return count if tally["with_memory"] == tally["total"] else f"{count} in {tally['with_memory']:,}"


def filters() -> instances.InstanceFilter:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        health = st.pills("Health", HEALTH, selection_mode="multi", key="instances_health", bind="query-params")
        only = st.segmented_control("Only with", list(ONLY), key="instances_only", bind="query-params")
        search = lists.search_box("instances", "Host, id or problem contains")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = status_filter("instances", STATUSES, "Last rollout")
        sort = st.segmented_control(
            "Sort",
            list(instances.INSTANCE_SORTS),
            default="Problems first",
            required=True,
            key="instances_sort",
            bind="query-params",
        )
    return instances.InstanceFilter(
        tuple(statuses), tuple(health), ONLY.get(only or "", ""), search, sort or "Problems first"
    )


st.title("Instances")
auto_refresh.refreshing(body, cached.something_open)
