# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rollout: what came of it, its timeline, why it went so, its targets."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console import (
    acting_section,
    charts,
    columns,
    queries,
    selection,
    share,
    target_table,
    timeline_section,
    ui,
    why_section,
)

STATUSES = ["failed", "uncertain", "in_progress", "queued", "cancelled", "succeeded"]
LIVE_SECONDS = 120.0
ID = ui.wanted_id()


def body() -> None:
    with ui.database():
        rollout = ui.ask(queries.rollout, ID) if ID else None
        if rollout is None:
            st.title("Rollout")
            st.text(f"The database knows no rollout {ID}." if ID else "No rollout is chosen.")
            st.page_link(ui.ROLLOUTS, label="All rollouts", icon=":material/view_timeline:")
            return
        seen = ui.ask(queries.freshness).as_of(ui.clock(), rollout["tenant"])
        now = seen if rollout["is_open"] else rollout["completed_at"] or seen
        header(rollout, now)
        why_section.drift(rollout)
        earlier = timeline_section.Earlier(rollout["tenant"], ID, rollout["created_at"])
        window = timeline_section.show(
            queries.targets_of, rollout["tenant"], ID, now=now, earlier=earlier, selectable=True
        )
        why_section.show(rollout, now)
        targets(rollout, window, now)


def header(rollout: dict[str, Any], now: float) -> None:
    with ui.row():
        st.title(f"Rollout {ui.short(ID)}", width="content")
        ui.badge(rollout["status"])
        # Drawn anew all the time, but nothing new comes unless somebody syncs.
        if rollout["is_open"] and ui.clock() - now < LIVE_SECONDS:
            st.badge("live", icon=":material/autorenew:", color="blue")
    ui.freshness(rollout["tenant"])
    acting_section.for_rollout(rollout)
    created, done = rollout["created_at"], rollout["completed_at"]
    ui.line(
        f"scope {rollout['scope'] or 'unknown'}",
        f"{charts.moment(created)} to {charts.moment(done) or 'now'} UTC" if created else "",
        f"started from {rollout['initiated_from_ip']}" if rollout["initiated_from_ip"] else "",
        ID,
        moments=[created, done],
    )
    for run in ui.records(ui.ask(queries.runs_of_rollout, ID)):
        with ui.row():
            ui.badge(run["status"])
            st.page_link(
                ui.RUN,
                label="Started by this playbook run",
                icon=":material/arrow_forward:",
                query_params={"id": run["run_id"]},
            )
            ui.line(columns.playbook_name(run["playbook"]), f"{charts.moment(run['started_at'])} UTC")
    before = ui.ask(queries.previous_rollout, rollout["tenant"], ID)
    if before:
        st.page_link(
            ui.COMPARE,
            label="Compare with the rollout before",
            icon=":material/compare_arrows:",
            query_params={"a": before, "b": ID},
        )
    waiting = rollout["queued"] + rollout["in_progress"]
    ui.metrics(
        [
            ("Targets", f"{rollout['total']:,}"),
            ("Succeeded", f"{rollout['succeeded']:,}"),
            ("Failed", f"{rollout['failed']:,}"),
            ("Uncertain", f"{rollout['uncertain']:,}"),
            ("Open", f"{waiting:,}")
            if waiting or not rollout["cancelled"]
            else ("Cancelled", f"{rollout['cancelled']:,}"),
            ("Took" if done else "Running for", charts.duration((done or now) - created) if created else "unknown"),
        ]
    )
    if not rollout["targets_read"]:
        st.warning("The targets of this rollout could not all be read at the last sync; counters and rows may differ.")


def targets(rollout: dict[str, Any], window: tuple[float, float] | None, now: float) -> None:
    st.subheader("Targets")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = ui.status_filter("targets", STATUSES)
        search = ui.search_box("targets", "Host or error contains")
        sort = st.segmented_control(
            "Sort", list(queries.TARGET_SORTS), default="Problems first", required=True, key="sort", bind="query-params"
        )
    only = selected_ones()
    wanted = queries.TargetFilter(tuple(statuses), search, window, sort or "Problems first", only)
    tenant = rollout["tenant"]
    found, total = ui.paged("targets", lambda n: ui.ask(queries.target_page, tenant, ID, wanted, now, n), queries.PAGE)
    place = " in the window" if window else ""
    of_all = f" of {rollout['total']:,}" if total != rollout["total"] else ""
    with ui.row():
        st.caption(f"{total:,}{of_all} target{'s' if total != 1 or of_all else ''}{place}", width="content")
        share.share(
            "targets",
            total,
            lambda path, most: queries.target_page(path, tenant, ID, wanted, now, size=most)[0],
        )
        known = found[found["instance_id"].notna()]
        ui.go_to("instance", ui.INSTANCE, known["instance_id"].tolist(), known["host"].tolist())
    if total:
        target_table.show(found)
        ui.pager("targets", total, queries.PAGE)
    elif statuses or search or window or only:
        st.text("No target matches these filters.")


def selected_ones() -> tuple[str, ...] | None:
    """What is selected and what can be done with it; returns the ids if the table shall show nothing else."""
    chosen = selection.selected()
    if not chosen:
        return None
    with ui.row():
        more = selection.left_out()
        st.caption(
            f"{len(chosen):,} selected" + (f", the most there can be; {more:,} left out" if more else ""),
            width="content",
        )
        alone = st.toggle("Selected only", key="selected_only", bind="query-params")
        st.button("Clear selection", icon=":material/deselect:", type="tertiary", on_click=selection.clear)
    return chosen if alone else None


ui.refreshing(body, lambda: ui.something_open(rollout_id=ID))
acting_section.confirmation(ID)
