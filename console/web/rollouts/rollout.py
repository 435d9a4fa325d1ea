# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rollout: its result, its timeline, the section "Why", and its targets."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.figures import phases
from console.record.read import durations, frames, freshness, rollouts
from console.record.read.operation import Operation
from console.text import times
from console.text.counts import counted
from console.text.listing import records
from console.web import pages
from console.web.actions import buttons
from console.web.browser import auto_refresh, navigation
from console.web.operations import operation_parts
from console.web.shared import cached, columns, links, lists, markup, messages, paging, plot, same_time, viewer
from console.web.timeline import section, selection

STATUSES = ["failed", "uncertain", "in_progress", "queued", "cancelled", "succeeded"]
LIVE_SECONDS = 120.0
FAILURES, TIME, AROUND = "Failures", "Where time went", "What else happened"
ID = links.resolved("rollout")
# The number in the key of the current table, and whether its checkboxes were set by the page instead of the user.
_NUMBER, _PRESET = "targets_table", "targets_table_preset"
_BUTTONS = "targets_open"


def body() -> None:
    rollout = cached.ask(rollouts.rollout, ID) if ID else None
    if rollout is None:
        messages.not_found("Rollout", "rollout", ID, pages.ROLLOUTS, "view_timeline")
        return
    fresh, clock = cached.ask(freshness.freshness), viewer.clock()
    read_at, seen = (at(clock, rollout["tenant"]) for at in (fresh.read_at, fresh.as_of))
    ended_at = None if rollout["is_open"] else rollout["completed_at"]
    now = ended_at or seen
    found = cached.operation(ID, ended_at or read_at)
    if found is None:
        return
    badge = header(rollout, now)
    drift(rollout)
    why(rollout, found, now)
    key, before = (rollout["tenant"], ID), rollout["created_at"]
    window = section.show(key, cached.targets_of(found, ended_at or read_at), now, before=before, selectable=True)
    # The page is refreshed continuously, but there is no new data unless somebody syncs.
    if rollout["is_open"] and clock - read_at < LIVE_SECONDS and not auto_refresh.is_held():
        badge.badge("live", icon=":material/autorenew:", color="blue")
    targets(rollout, window, now)


def header(rollout: dict[str, Any], now: float) -> DeltaGenerator:
    """Draw the header; returns the container for a badge beside the status."""
    title = f"Rollout, {lists.literal(rollout['scope'] or 'unknown scope')}, {viewer.day_moment(rollout['created_at'])}"
    with messages.head(title, rollout["status"], tenant=rollout["tenant"]):
        live = st.container(width="content")
        paging.share("rollout")
    buttons.for_rollout(rollout)
    created, done = rollout["created_at"], rollout["completed_at"]
    lists.line(
        viewer.period(created, done, goes_on=bool(rollout["is_open"])),
        f"started from {rollout['initiated_from_ip']}" if rollout["initiated_from_ip"] else "",
        f"id {ID}",
    )
    runs = records(cached.ask(rollouts.runs_of_rollout, ID))
    for run in runs:
        same_time.run_line(run, "Operation of a playbook run that mentions it")
    before = cached.ask(rollouts.previous_rollout, rollout["tenant"], ID)
    with lists.row():
        if not runs:
            links.to(pages.OPERATION, "Operation: verdict, outcome of each instance", icon="view_timeline", id=ID)
        if before:
            links.to(pages.COMPARE, "Compare with the previous rollout", icon="compare_arrows", a=before, b=ID)
    goes_on = bool(rollout["is_open"]) and done is None
    took = times.duration((now if goes_on else done) - created) if created and (done or goes_on) else "unknown"
    waiting = rollout["queued"] + rollout["in_progress"]
    figures = {
        "Targets": rollout["total"],
        "Succeeded": rollout["succeeded"],
        "Failed": rollout["failed"],
        "Uncertain": rollout["uncertain"],
        **({"Open": waiting} if waiting or not rollout["cancelled"] else {"Cancelled": rollout["cancelled"]}),
        "Running for" if goes_on else "Took": took,
    }
    markup.draw(markup.strip(figures))
    if not rollout["targets_read"]:
        st.warning("The last sync could not read all targets of this rollout. Counters and rows may differ.")
    return live


def drift(rollout: dict[str, Any]) -> None:
    """A warning if the succeeded targets did not all get the same bundle."""
    found = cached.ask(rollouts.bundles, rollout["tenant"], rollout["rollout_id"])
    if len(found) < 2:
        return
    with st.container(border=True, gap="xsmall"):
        with lists.row():
            st.badge("bundle drift", icon=":material/call_split:", color="orange")
            st.text(
                f"The targets that succeeded got {len(found):,} different bundles. "
                "If this was not intended, start another rollout so that all of them get the same bundle."
            )
        shown = [
            columns.text(found["bundle"], "bundle", 260),
            columns.count(found["targets"], "targets"),
            columns.text(found["first_host"], "first host", 260),
            columns.moments(found["first_at"], "first"),
            columns.moments(found["last_at"], "last"),
        ]
        columns.show("Bundles of the targets that succeeded", shown, "bundles")


def why(rollout: dict[str, Any], found: Operation, now: float) -> None:
    """The section "Why". Only the data of the chosen part is read."""
    st.space("xsmall")
    with lists.row():
        st.header("Why", width="content")
        chosen = lists.choice("Why", (FAILURES, TIME, AROUND), "why", labelled=False)
    if chosen == TIME:
        time_spent(rollout, now)
    elif chosen == AROUND:
        same_time.of_rollout(rollout, now)
    else:
        failures(rollout, found)


def failures(rollout: dict[str, Any], found: Operation) -> None:
    if not found.failures:
        with lists.row():
            st.badge("none", icon=":material/check_circle:", color="green")
            st.text("There are no failed or uncertain targets" + (" so far." if rollout["is_open"] else "."))
        return
    new = sum(failure.is_new for failure in found.failures)
    st.caption(
        f"{counted(len(found.failures), 'kind')} of failure, {new:,} new in this rollout. Messages that differ only in"
        " hosts, ids or numbers count as one."
    )
    operation_parts.failures(found)


def time_spent(rollout: dict[str, Any], now: float) -> None:
    spent = cached.ask(durations.time_spent, rollout["tenant"], rollout["rollout_id"], now)
    if not len(spent):
        st.text("No targets of this rollout have a start or end time yet.")
        return
    shown = [
        columns.text(spent["phase"], "phase", 110),
        columns.percentage(spent["share"], "share", 150),
        columns.durations(spent["total_s"], "all targets combined", 150),
        columns.durations(spent["p50_s"], "median", 120),
        columns.durations(spent["p95_s"], "95th percentile", 120),
        columns.durations(spent["longest_s"], "longest", 110),
        columns.text(spent["longest_host"], "on", 260),
        columns.count(spent["targets"], "targets"),
    ]
    columns.show("Time that the targets spent in each phase", shown, "phases")
    with lists.row():
        st.markdown("**Slowest targets**", width="content")
        by = lists.choice("Slowest by", durations.SLOWEST_BY, "slowest", labelled=False)
    slowest = cached.ask(durations.slowest_targets, rollout["tenant"], rollout["rollout_id"], now, by)
    if len(slowest):
        alt = f"The {len(slowest)} slowest targets by phase"
        plot.chart(alt, "slowest_targets", phases.phase_bars, slowest, viewer.theme(), by.lower())
        st.caption(
            "Queue is the waiting time beyond the scheduled countdown. "
            + (
                "The mark shows how long a run usually takes: the median of the instance's earlier rollouts."
                if slowest["usual_s"].notna().any()
                else "These instances have no earlier rollouts to compare with."
            )
        )


def targets(rollout: dict[str, Any], window: tuple[float, float] | None, now: float) -> None:
    st.header("Targets")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = lists.status_filter("targets", STATUSES)
        search = lists.search_box("targets", "Host or error contains")
        sort = lists.choice("Sort", rollouts.TARGET_SORTS, "sort")
    only = selection_line()
    wanted = rollouts.TargetFilter(tuple(statuses), search, window, sort, only)
    found = paging.from_query("targets", rollouts.target_page, rollout["tenant"], ID, wanted, now, size=frames.PAGE)
    place = " in the window" if window else ""
    with found.head(lists.counted_of(found.total, rollout["total"], "target") + place):
        go_to(found.rows)
    if found.total:
        targets_table(found.rows)
        found.pager()
    elif statuses or search or window or only:
        st.text("No targets match these filters.")


def selection_line() -> tuple[str, ...] | None:
    """Draw the line about the selection; returns the selected ids if the table is to show only these, else None."""
    chosen = selection.selected()
    if not chosen:
        return None
    with lists.row():
        more = selection.left_out()
        st.caption(f"{len(chosen):,} selected" + (f", the maximum; {more:,} left out" if more else ""), width="content")
        only = st.toggle("Selected only", key="selected_only", bind="query-params")
        st.button("Clear selection", icon=":material/deselect:", type="tertiary", on_click=selection.select, args=((),))
    return chosen if only else None


def targets_table(found: pd.DataFrame) -> None:
    """One page of ``rollouts.target_page``. A checkbox selects a target, the instance's button opens its page."""
    ids = found["target_id"].tolist()
    key = _key(ids)
    longest = found["took_s"].max()
    full = float(longest) if longest and longest > 0 else 1.0
    not_read = "invalid time: " + found["unread"].fillna("").astype(str)
    took = st.column_config.ProgressColumn("took", format="%.0f s", min_value=0, max_value=full, width=150)
    button = st.column_config.ButtonColumn("instance", type="tertiary", key=_BUTTONS, alignment="left")
    shown = [
        columns.Column("open", ["Open" if value else "" for value in found["instance_id"]], button),
        columns.text(found["host"], "host", 240),
        columns.statuses(found["status"], width=120),
        columns.moments(found["started_at"], "started"),
        columns.Column("took_s", found["took_s"], took),
        columns.durations(found["waited_s"], "waited", 90),
        columns.text(found["error"].where(found["unread"].isna(), not_read), "error", 420),
        columns.text(found["last_result_status"], "last result", 100),
        columns.text(found["bundle_hash"], "bundle", 110),
        columns.text(found["instance_id"], "instance id", 280),
    ]
    columns.show(
        "Targets of the rollout",
        shown,
        key,
        on_select=lambda: _ticked(key, ids),
        selection_mode="multi-row",
    )
    click = st.session_state.get(_BUTTONS)
    if click is not None and 0 <= click.row < len(found) and found["instance_id"].iloc[click.row]:
        navigation.go(pages.INSTANCE, found["instance_id"].iloc[click.row], _BUTTONS)


def go_to(found: pd.DataFrame) -> None:
    """A select box that opens the page of an instance. Unlike the table's buttons, it can be used with the keyboard."""
    known = found[found["instance_id"].notna()]
    hosts = dict(zip(known["instance_id"], known["host"], strict=True))
    chosen = st.selectbox(
        "Open an instance from this list",
        list(hosts),
        format_func=lambda instance_id: printable(hosts[instance_id]),
        index=None,
        placeholder="Open an instance",
        label_visibility="collapsed",
        key="go_to_instance",
        width=230,
    )
    if chosen is not None:
        navigation.go(pages.INSTANCE, chosen, "go_to_instance")


def _key(ids: list[str]) -> str:
    """The table's key. It is a new one, with checkboxes that match the selection, if those of the current table do not.

    A table identifies its rows only by number. While the user ticks rows, the table and its keyboard focus are kept.
    """
    chosen = set(selection.selected())
    rows = [row for row, target_id in enumerate(ids) if target_id in chosen]
    number = int(st.session_state.get(_NUMBER, 0))
    if _rows(f"targets_{number}") != rows:
        number += 1
        st.session_state[_NUMBER], st.session_state[_PRESET] = number, True
    key = f"targets_{number}"
    if st.session_state.get(_PRESET):
        # In each draw until the user ticks a row, because the browser may get only the second of two quick draws.
        st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return key


def _ticked(key: str, ids: list[str]) -> None:
    st.session_state[_PRESET] = False
    ticked = [ids[row] for row in _rows(key) if row < len(ids)]
    selection.select(selection.after_boxes(selection.selected(), ids, ticked))


def _rows(key: str) -> list[int]:
    state = st.session_state.get(key) or {}
    return list(state.get("selection", {}).get("rows", []))


# A refresh would redraw the dialog while somebody is typing in it.
auto_refresh.refreshing(body, lambda: cached.is_open(ID) and not buttons.is_confirming(ID))
buttons.confirmation(ID)
