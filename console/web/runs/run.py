# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One playbook run: recap, failures, the rollouts it started, batches, results."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import frames, run_grid, runs
from console.record.read import rollouts as rollout_queries
from console.text import times
from console.text.counts import counted
from console.web.browser import auto_refresh
from console.web.runs import tables
from console.web.shared import (
    cached,
    export_menu,
    links,
    lists,
    messages,
    pages,
    paging,
    rollouts_table,
    same_time,
    viewer,
)
from console.web.shared.status import status_badge, status_filter
from console.web.timeline import section

STATUSES = ["failed", "unreachable", "ignored", "changed", "ok", "skipped"]
GRID, TASKS, RECAP, RESULTS = "Hosts by tasks", "Tasks", "Recap", "Results"
# The heading of the tasks without a result, by the status of the run; a successful run has none.
UNFINISHED = {"running": "In progress", "lost": "Last known tasks"}
UNFINISHED |= dict.fromkeys(("canceled", "failed", "unknown"), "Without a result when it ended")
UNFINISHED_MOST = 20
ID = links.resolved("run")


def body() -> None:
    with messages.database():
        run = cached.ask(runs.run, ID) if ID else None
        if run is None:
            messages.not_known("Playbook run", "run", ID, pages.RUNS, "play_circle")
            return
        header(run)
        jobs(ID)
        failures(run)
        batches = cached.ask(runs.batches, ID)
        rollouts(run)
        if len(batches):
            st.header("Batches")
            tables.batches(batches)
        details(batches)
        same_time.of_run(run, viewer.clock() // 60 * 60)


def header(run: dict[str, Any]) -> None:
    with lists.row():
        name = lists.playbook_name(run["playbook"]).removesuffix(".yml")
        st.title(f"{lists.literal(name)}, {viewer.when(run['started_at'])}", width="content")
        status_badge(run["status"])
        if run["check_mode"]:
            st.badge("check mode", icon=":material/visibility:", color="gray")
    messages.data_as_of()
    links.to(pages.OPERATION, "The operation: verdict, outcome of each instance, gates", icon="view_timeline", id=ID)
    ended = run["ended_at"] or run["heartbeat_at"]
    lists.line(
        run["playbook"] or "playbook unknown",
        f"limit {run['limit_pattern']}" if run["limit_pattern"] else "",
        f"change {run['change']}" if run["change"] else "",
        f"{run['user'] or 'someone'} on {run['controller'] or 'an unknown host'}",
        viewer.period(run["started_at"], run["ended_at"]),
        ID,
    )
    if run["status"] == "lost":
        messages.problem("Lost", f"The process ended without a recap; its last event was at {viewer.moment(ended)}.")
    if run["dropped_events"]:
        st.warning(
            f"{counted(run['dropped_events'], 'event')} of this run could not be read; the numbers may be too low."
        )
    took = ended - run["started_at"] if ended and run["started_at"] else None
    figures = [("Hosts", run["hosts"]), ("Ok", run["ok"]), ("Changed", run["changed"]), ("Failed", run["failed"])]
    if run["unreachable"]:
        figures.append(("Unreachable", run["unreachable"]))
    unfinished = in_flight(run)
    if unfinished is not None and run["status"] != "running":
        figures.append(("Hosts without a result", len(unfinished)))
    lists.metrics(
        [
            *((name, f"{value:,}") for name, value in figures),
            ("Took" if run["ended_at"] else "So far", times.duration(took)),
        ]
    )


def jobs(run_id: str) -> None:
    """One row for each job of the run; nothing for a run that only the callback plugin has recorded."""
    for one in lists.records(cached.ask(runs.jobs_of_run, run_id)):
        with lists.row():
            if one["url"]:
                lists.line(
                    f"AWX job {one['job_id']}",
                    one["template"] or one["name"] or "",
                    f"project {one['project']}" if one["project"] else "",
                    f"launched by {one['launched_by']}" if one["launched_by"] else "",
                    one["launch_type"] or "",
                    one["explanation"] or "",
                )
                st.link_button("Open in AWX", one["url"], icon=":material/open_in_new:", type="tertiary")
            else:
                lists.line(f"ansible-runner {one['name']}", one["explanation"] or "")
            if one["relaunch_run"]:
                relaunch("Relaunched from", one["relaunch_run"])
            for later in lists.records(cached.ask(runs.relaunches_of_run, run_id)):
                relaunch(f"Relaunched as job {later['job_id']}", later["run_id"])


def relaunch(label: str, run_id: str) -> None:
    links.to(pages.OPERATION, lists.literal(label), icon="replay", id=run_id)


def in_flight(run: dict[str, Any]) -> pd.DataFrame | None:
    """The tasks without a result, if any: those in progress, or those that were when the run ended."""
    unfinished = cached.ask(runs.in_flight, ID)
    return unfinished if len(unfinished) and run["status"] in UNFINISHED else None


def failures(run: dict[str, Any]) -> None:
    """The first failures with their full messages, and the tasks without a result."""
    bad = cached.ask(runs.failures, ID)
    if len(bad):
        st.header("What failed")
    for failure in lists.records(bad.head(5)):
        with st.container(border=True):
            with lists.row():
                status_badge(failure["status"])
                lists.line(failure["host"], failure["task"], f"item {failure['item']}" if failure["item"] else "")
            st.code(failure["msg"] or "no message", language=None, wrap_lines=True)
    if len(bad) > 5:
        st.caption(f"More under {RESULTS} below, failures first.")
    unfinished = in_flight(run)
    if unfinished is None:
        return
    st.header(UNFINISHED[run["status"]])
    if run["status"] != "running":
        st.caption("The result of these tasks is unknown: what they started may have continued.")
    for row in lists.records(unfinished.head(UNFINISHED_MOST)):
        lists.line(row["host"], row["task"], f"since {viewer.moment(row['started_at'])}")
    if len(unfinished) > UNFINISHED_MOST:
        st.caption(f"And {len(unfinished) - UNFINISHED_MOST:,} more, see {RECAP} below.")


def rollouts(run: dict[str, Any]) -> None:
    """Rollouts that this run started: their targets in one timeline, and the list."""
    linked = cached.ask(rollout_queries.rollouts_of_run, ID)
    if not len(linked):
        return
    section.show_of_run(ID, linked)
    rollouts_table.of_run(linked, f"The {counted(len(linked), 'rollout')} that this run started")


def details(batches: pd.DataFrame) -> None:
    """One of four tables of the results; only that one is read."""
    st.space("xsmall")
    # An address with filters of the results opens that table.
    filtered = any(name.startswith("results_") for name in st.query_params)
    with lists.row():
        st.header("Details", width="content")
        chosen = lists.choice(
            "Details", (GRID, TASKS, RECAP, RESULTS), "details", RESULTS if filtered else GRID, labelled=False
        )
    if chosen == TASKS:
        task_table()
    elif chosen == RECAP:
        recap()
    elif chosen == RESULTS:
        results(batches)
    else:
        grid()


def grid() -> None:
    search = lists.search_box("grid", "Host contains")
    tasks_of_run = cached.ask(run_grid.run_tasks, ID)
    found = paging.asked("grid", run_grid.run_grid, ID, search)
    with lists.row():
        more = len(tasks_of_run) - run_grid.TASKS_MOST
        st.caption(
            f"{counted(found.total, 'host')}, problems first"
            + (f"; {more:,} more tasks are under {TASKS}" if more > 0 else ""),
            width="content",
        )
        export_menu.share("grid", found.total, lambda path, most: tables.named(found.every(path, most), tasks_of_run))
    if found.total:
        tables.grid(found.rows, tasks_of_run)
        found.pager()


def task_table() -> None:
    found = cached.ask(run_grid.run_tasks, ID)
    paging.of_frame("tasks", found).head(f"{counted(len(found), 'task')}, all batches together")
    if len(found):
        tables.tasks(found)


def recap() -> None:
    found = paging.of_frame("recap", cached.ask(runs.recap, ID))
    found.head(f"{counted(found.total, 'host')}, problems first")
    tables.recap(found.rows)
    found.pager()


def results(batches: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = status_filter("results", STATUSES)
        names = {int(b["counter"]): f"{b['batch']} of play {b['play']}" for b in lists.records(batches)}
        play = None
        if len(names) > 1:
            play = st.selectbox(
                "Batch",
                [None, *names],
                format_func=lambda c: names.get(c, "all"),
                key="batch",
                bind="query-params",
                width=180,
            )
        search = lists.search_box("results", "Host, task or message contains")
    found = paging.asked("results", runs.results, ID, tuple(statuses), search, play, size=frames.PAGE)
    found.head(f"{counted(found.total, 'result')}, failures first")
    if found.total:
        tables.results(found.rows)
        found.pager()


auto_refresh.refreshing(body, lambda: cached.something_open(run_id=ID))
