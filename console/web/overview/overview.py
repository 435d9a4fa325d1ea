# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overview: first what needs attention, then the newest rollouts and runs, and the button that syncs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from console.record.read import attention as attention_queries
from console.record.read import frames, freshness, instances
from console.record.read import rollouts as rollout_queries
from console.record.read import runs as run_queries
from console.text import times
from console.web.browser import auto_refresh
from console.web.overview import sync_button
from console.web.shared import cached, export_menu, lists, messages, pages, rollout_and_run_tables, viewer
from console.web.shared.status import status_badge

NEWEST = 8
SHOWN, OF_EACH = 6, 2
# For each kind of entry: its page, the label of its link, and the URL parameter for its id.
LINKS = {
    "rollout": (pages.ROLLOUT, "Open rollout", "id"),
    "run": (pages.RUN, "Open run", "id"),
    "instance": (pages.INSTANCE, "Open instance", "id"),
    "instances": (pages.INSTANCES, "Open instances", "instances_health"),
}


def body() -> None:
    with messages.database():
        fresh = messages.data_as_of()
        rollouts, rollouts_total = cached.ask(rollout_queries.rollouts, size=NEWEST)
        runs, runs_total = cached.ask(run_queries.runs, size=NEWEST)
        if fresh.never and not rollouts_total and not runs_total:
            messages.empty(
                "Nothing was ever synced",
                "Load run logs and the API's rollouts with the button above or with the first command; "
                "the second command fills the console from a simulated fleet.",
                [frames.SYNC, "make demo"],
            )
            return
        attention(fresh)
        st.subheader("Newest rollouts")
        if rollouts_total:
            rollout_and_run_tables.rollouts(rollouts, fresh, key="newest_rollouts")
            st.page_link(pages.ROLLOUTS, label=f"All rollouts ({rollouts_total:,})", icon=":material/arrow_forward:")
        else:
            st.text("No rollout was read from the API yet.")
        st.subheader("Newest playbook runs")
        if runs_total:
            rollout_and_run_tables.runs(runs, key="newest_runs")
            st.page_link(pages.RUNS, label=f"All runs ({runs_total:,})", icon=":material/arrow_forward:")
        else:
            st.text("No run log was loaded yet.")


def attention(fresh: freshness.Freshness) -> None:
    now = viewer.clock() // 60 * 60
    items = lists.records(cached.ask(attention_queries.attention, now))
    with lists.row():
        st.subheader("Needs attention", width="content")
        if items:
            st.caption(f"{len(items)} item{'s' if len(items) > 1 else ''}", width="content")
        export_menu.share(
            "attention",
            len(items),
            lambda path, most: attention_queries.attention(path, now).head(most).rename(columns={"at": "since_at"}),
        )
    if not items:
        with lists.row():
            st.badge("all quiet", icon=":material/check_circle:", color="green")
            st.text("Nothing is failed, stuck, unhealthy, lost or stale.")
        return
    first, hidden = foremost(items)
    for item in first:
        entry(item)
    if hidden:
        with st.expander(f"{len(hidden)} more"):
            for item in hidden:
                entry(item)


def foremost(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split the entries into those shown and those in the expander. The first entries of each kind are always shown, so
    that many failures do not hide lost runs or stale tenants."""
    seen: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    hidden: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        seen[item["page"]] += 1
        (first if place < SHOWN or seen[item["page"]] <= OF_EACH else hidden).append(item)
    return first, hidden


def entry(item: dict[str, Any]) -> None:
    """One entry: what, since when, why, and a link to its page."""
    with st.container(border=True, gap="xsmall"):
        with lists.row():
            status_badge(item["status"])
            st.text(item["title"])
            since = times.moment(item["at"], "%Y-%m-%d %H:%M")
            if since:
                st.caption(f"{since} UTC", width="content")
            if item["page"]:
                target, label, key = LINKS[item["page"]]
                st.page_link(target, label=label, icon=":material/arrow_forward:", query_params={key: _named(item)})
        if item["detail"]:
            st.text(item["detail"])


def _named(item: dict[str, Any]) -> str:
    """The entry's id in the address of its page. The list of instances has one common word for rare health values."""
    known = item["page"] != "instances" or item["id"] in instances.HEALTH_WORDS
    return str(item["id"]) if known else instances.HEALTH_OTHER


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Overview", width="content")
    pressed = sync_button.button()
place = sync_button.show()
auto_refresh.refreshing(body, cached.something_open)
sync_button.what_to_set()
if pressed:
    sync_button.sync(place)
