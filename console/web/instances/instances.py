# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances: every instance that was in a rollout, with its newest data."""

from __future__ import annotations

import streamlit as st

from console.record.read import declared as declared_queries
from console.record.read import fleet, freshness, instances
from console.web.browser import auto_refresh
from console.web.instances import parts
from console.web.shared import cached, lists, markup, messages, paging, viewer
from console.web.shared.fleet_strip import strip

STATUSES = ["failed", "uncertain", "in_progress", "queued", "cancelled", "succeeded"]
HEALTH = [*instances.HEALTH_WORDS, instances.HEALTH_OTHER, instances.HEALTH_UNREAD, instances.HEALTH_GONE]
ONLY = {
    "Open problem": "problem",
    "Update waiting": "outdated",
    "Behind": "behind",
    "Update waiting: runtime": "runtime",
    "Update waiting: skills": "skills",
    "Update waiting: servers": "servers",
    parts.OVERRIDES: "overrides",
    parts.DIFFERS: "differs",
}


def body() -> None:
    head = messages.head("Instances")
    tally = cached.ask(instances.instance_tally)
    if not tally.get("total"):
        messages.empty(
            "No instances yet",
            "The API has no list of instances. An instance appears here once a rollout that includes it has been read.",
        )
        return
    now = viewer.clock() // 60 * 60
    tenants = [known.tenant for known in cached.ask(freshness.freshness).tenants]
    for shown in cached.ask(fleet.fleets, now):
        markup.draw(strip(shown, now, shown.tenant if len(tenants) > 1 else ""))
    compared = cached.ask(declared_queries.comparison)
    parts.declared(tally, compared)
    wanted = filters(compared, tenants)
    found = paging.from_query("instances", instances.instance_page, wanted)
    found.head(lists.counted_of(found.total, tally["total"], "instance"), head)
    if found.total:
        markup.draw(parts.table(found.rows, compared, tally))
        found.pager()
    else:
        st.text("No instances match these filters.")
    parts.comparison(compared)
    unread(tally)


def unread(tally: dict[str, int]) -> None:
    """The command that reads the data that is missing for some instances."""
    flags = [
        flag
        for flag, read in (("--health", "health_read"), ("--updates", "updates_read"), ("--memory", "with_memory"))
        if tally[read] < tally["present"]
    ]
    if flags and not cached.is_copy():
        with st.expander("Some data has not been read for every instance", icon=":material/info:"):
            st.text("Each of these options costs one API call per instance, so they are not the default:")
            lists.code(messages.command(f"sync {' '.join(flags)}"))


def filters(compared: declared_queries.Comparison | None, tenants: list[str]) -> instances.InstanceFilter:
    """The filters in one row. They are in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tenant = lists.selectbox("Tenant", tenants, "instances_tenant", 190) if len(tenants) > 1 else None
        health = lists.multiselect("Health", HEALTH, "instances_health", 170)
        only = lists.selectbox("Show only", ONLY, "instances_only", 190)
        statuses = lists.status_filter("instances", STATUSES, "Last rollout", narrow=True)
        runtime = st.text_input("Runtime", type="search", key="instances_runtime", bind="query-params", width=110) or ""
        search = lists.search_box("instances", "Host, id or problem contains")
        sort = st.selectbox(
            "Sort", list(instances.INSTANCE_SORTS), key="instances_sort", bind="query-params", width=150
        )
    return instances.InstanceFilter(
        tuple(statuses),
        tuple(health),
        ONLY.get(only or "", ""),
        search,
        sort or "Problems first",
        runtime.strip(),
        tuple(compared.instances) if compared else (),
        tenant or "",
    )


auto_refresh.refreshing(body, cached.something_open)
