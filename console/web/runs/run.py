# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One playbook run: recap, failures, the rollouts it started, batches, results."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.record.read import frames, runs
from console.record.read import rollouts as rollout_queries
from console.text import times
from console.text.counts import counted
from console.text.listing import records
from console.text.statuses import style_of
from console.web import pages
from console.web.browser import auto_refresh
from console.web.shared import cached, columns, links, lists, markup, messages, paging, same_time, tables, viewer
from console.web.timeline import section

STATUSES = ["failed", "unreachable", "ignored", "changed", "ok", "skipped"]
OF_A_RESULT = ("ok", "changed", "skipped", "ignored", "unreachable", "failed")
# A status that only hosts can have, not results.
IN_FLIGHT = "in_flight"
OF_A_HOST = (*OF_A_RESULT, IN_FLIGHT)
GRID, TASKS, RECAP, RESULTS = "Hosts by tasks", "Tasks", "Recap", "Results"
# The heading of the tasks without a result, by the status of the run; a successful run has none.
UNFINISHED = {"running": "In progress", "lost": "Last known tasks"}
UNFINISHED |= dict.fromkeys(("canceled", "failed", "unknown"), "Tasks without a result")
MAX_UNFINISHED = 20
ID = links.resolved("run")


def body() -> None:
    run = cached.ask(runs.run, ID) if ID else None
    if run is None:
        messages.not_found("Playbook run", "run", ID, pages.RUNS, "play_circle")
        return
    header(run)
    jobs(ID)
    failures(run)
    batches = cached.ask(runs.batches, ID)
    rollouts()
    batch_table(batches)
    details(batches)
    same_time.of_run(run, viewer.clock() // 60 * 60)


def header(run: dict[str, Any]) -> None:
    name = lists.literal(lists.playbook_name(run["playbook"]).removesuffix(".yml"))
    statuses = (run["status"], *(["check"] if run["check_mode"] else []))
    with messages.head(f"{name}, {viewer.day_moment(run['started_at'])}", *statuses):
        paging.share("run")
    links.to(pages.OPERATION, "Operation: verdict, outcome of each instance, gates", icon="view_timeline", id=ID)
    goes_on, ended = run["status"] == "running", run["ended_at"] or run["heartbeat_at"]
    lists.line(
        run["playbook"] or "unknown playbook",
        f"limit {run['limit_pattern']}" if run["limit_pattern"] else "",
        f"change {run['change']}" if run["change"] else "",
        f"{run['user'] or 'someone'} on {run['controller'] or 'an unknown host'}",
        viewer.period(run["started_at"], None if goes_on else ended, goes_on=goes_on),
        f"id {ID}",
    )
    if run["status"] == "lost":
        messages.problem("Lost", f"The process ended without a recap; its last event was at {viewer.moment(ended)}.")
    if run["dropped_events"]:
        st.warning(
            f"{counted(run['dropped_events'], 'event')} of this run could not be read; the numbers may be too low."
        )
    took = ended - run["started_at"] if ended and run["started_at"] else None
    words = ("ok", "changed", "failed", *(["unreachable"] if run["unreachable"] else []))
    # As in the recap, ok includes changed, and failed excludes rescued failures. The list of results differs.
    figures = {"Hosts": run["hosts"], **{f"Recap {word}": run[word] for word in words}}
    unfinished = in_flight(run)
    if unfinished is not None and run["status"] != "running":
        figures["Hosts without a result"] = len(unfinished)
    markup.draw(markup.strip({**figures, "Running for" if goes_on else "Took": times.duration(took)}))


def jobs(run_id: str) -> None:
    """One row for each job of the run; nothing for a run that only the callback plugin recorded."""
    for job in records(cached.ask(runs.jobs_of_run, run_id)):
        with lists.row():
            if job["url"]:
                lists.line(
                    f"AWX job {job['job_id']}",
                    job["template"] or job["name"] or "",
                    f"project {job['project']}" if job["project"] else "",
                    f"launched by {job['launched_by']}" if job["launched_by"] else "",
                    job["launch_type"] or "",
                    job["explanation"] or "",
                )
                st.link_button("Open in AWX", job["url"], icon=":material/open_in_new:", type="tertiary")
            else:
                lists.line(f"ansible-runner {job['name']}", job["explanation"] or "")
            if job["relaunch_run"]:
                relaunch("Relaunched from", job["relaunch_run"])
            for later in records(cached.ask(runs.relaunches_of_run, run_id)):
                relaunch(f"Relaunched as job {later['job_id']}", later["run_id"])


def relaunch(label: str, run_id: str) -> None:
    links.to(pages.OPERATION, lists.literal(label), icon="replay", id=run_id)


def in_flight(run: dict[str, Any]) -> pd.DataFrame | None:
    """The tasks without a result, if any: those in progress now, or when the run ended."""
    unfinished = cached.ask(runs.in_flight, ID)
    return unfinished if len(unfinished) and run["status"] in UNFINISHED else None


def failures(run: dict[str, Any]) -> None:
    """The first failures with their full messages, and the tasks without a result."""
    bad = cached.ask(runs.failed_results, ID)
    # The task that reports a failed run fails with the same message as the task before it.
    bad = bad[~(bad.duplicated(["host", "msg"]) & bad["msg"].notna())]
    if len(bad):
        st.header("What failed")
    markup.draw(*map(failure_card, records(bad.head(5))))
    if len(bad) > 5:
        st.caption(f"The others are under {RESULTS} below, failures first.")
    unfinished = in_flight(run)
    if unfinished is None:
        return
    st.header(UNFINISHED[run["status"]])
    if run["status"] != "running":
        st.caption("The results of these tasks are unknown. Whatever they started may have continued.")
    for row in records(unfinished.head(MAX_UNFINISHED)):
        lists.line(row["host"], row["task"], f"since {viewer.moment(row['started_at'])}")
    if len(unfinished) > MAX_UNFINISHED:
        st.caption(f"{len(unfinished) - MAX_UNFINISHED:,} more; see {RECAP} below.")


def failure_card(failure: dict[str, Any]) -> Markup:
    place = [failure["host"], failure["task"], f"item {failure['item']}" if failure["item"] else ""]
    return markup.card(
        failure["status"],
        markup.paragraph(markup.badge(failure["status"]), markup.small(" · ".join(filter(None, place)))),
        markup.preformatted(failure["msg"] or "no message"),
    )


def rollouts() -> None:
    """Rollouts that this run started or followed: their targets in one timeline, and the list."""
    linked = cached.ask(rollout_queries.rollouts_of_run, ID)
    if not len(linked):
        return
    section.show_of_run(ID, linked)
    tables.rollouts_of_run(linked, f"The {counted(len(linked), 'rollout')} that this run started or followed")


def batch_table(batches: pd.DataFrame) -> None:
    if not len(batches):
        return
    st.header("Batches")
    shown = [
        columns.count(batches["batch"], "batch"),
        columns.text(batches["name"], "play", 220),
        columns.count(batches["hosts"], "hosts"),
        columns.count(batches["failed"], "failed hosts"),
        columns.moments(batches["started_at"], "started"),
        columns.durations(batches["until"] - batches["started_at"], "took"),
        columns.text(batches["host_names"], "in this batch", 520),
    ]
    columns.show("Batches of the run", shown, "batches")


def details(batches: pd.DataFrame) -> None:
    """One of four tables. Only the data of the chosen one is read."""
    st.space("xsmall")
    # An address with filters for the results opens their table.
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
        hosts_by_tasks()


def hosts_by_tasks() -> None:
    search = lists.search_box("grid", "Host contains")
    tasks_of_run = cached.ask(runs.run_tasks, ID)
    found = paging.from_query("grid", runs.run_grid, ID, search)
    with lists.row():
        more = len(tasks_of_run) - runs.MAX_TASKS
        st.caption(
            f"{counted(found.total, 'host')}, problems first"
            + (f"; {more:,} more tasks are under {TASKS}" if more > 0 else ""),
            width="content",
        )
        found.share()
    if found.total:
        grid(found.rows)
        found.pager()


def grid(found: pd.DataFrame) -> None:
    """One row for each host, one column for each task: a page of ``runs.run_grid``."""
    shown = [
        columns.text(found["host"], "host", 230, pinned=True),
        columns.statuses(found["outcome"], "outcome", 115, OF_A_HOST, pinned=True),
        # Several tasks can have the same name, so the column's name contains a number, which its title leaves out.
        *(columns.statuses(found[n], n.partition(" ")[2], 120, OF_A_HOST)._replace(name=n) for n in found.columns[2:]),
    ]
    columns.show("Status of each host in each task, problems first", shown, "grid", 25)


def task_table() -> None:
    """The tasks in the order of the run, with the number of hosts by status."""
    found = cached.ask(runs.run_tasks, ID)
    paging.from_frame("tasks", found).head(f"{counted(len(found), 'task')}, all batches combined")
    if not len(found):
        return
    shown = [
        columns.count(found["play"], "play", 60),
        columns.text(found["task"], "task", 300),
        *(columns.count(found[word], style_of(word).label, 110) for word in reversed(OF_A_RESULT)),
        columns.durations(found["longest_s"], "longest", 90),
        columns.text(found["longest_host"], "on", 220),
        columns.text(found["role"], "role", 130),
        columns.text(found["action"], "module", 230),
    ]
    columns.show("Tasks of the run", shown, "tasks", 25)


def recap() -> None:
    listed = paging.from_frame("recap", cached.ask(runs.recap, ID))
    listed.head(f"{counted(listed.total, 'host')}, problems first")
    found = listed.rows
    worst_first = ("failed", "unreachable", IN_FLIGHT, "changed")
    words = [next((word for word in worst_first if row[word]), "ok") for row in records(found)]
    numbers = ("ok", "changed", "failed", "unreachable", "skipped", "rescued", "ignored")
    shown = [
        columns.text(found["host"], "host", 260),
        columns.statuses(words, "outcome", 120, OF_A_HOST),
        *(columns.count(found[name], name) for name in numbers),
    ]
    columns.show("Recap by host", shown, "recap", 9)
    listed.pager()


def results(batches: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = lists.status_filter("results", STATUSES)
        names = {int(b["counter"]): f"{b['batch']} of play {b['play']}" for b in records(batches)}
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
    listed = paging.from_query("results", runs.results, ID, tuple(statuses), search, play, size=frames.PAGE)
    listed.head(f"{counted(listed.total, 'result')}, failures first")
    if not listed.total:
        return
    found = listed.rows
    shown = [
        columns.statuses(found["status"], width=140),
        columns.text(found["host"], "host", 220),
        columns.text(found["task"], "task", 280),
        columns.text(found["msg"], "message", 420),
        columns.count(found["batch"], "batch"),
        columns.durations(found["duration_s"], "took", 85),
        columns.moments(found["ended_at"], "ended"),
        columns.text(found["role"], "role", 120),
        columns.text(found["item"], "item", 100),
        columns.text(found["action"], "module", 200),
    ]
    columns.show("Results of the run, failures first", shown, "results")
    listed.pager()


auto_refresh.refreshing(body, lambda: cached.is_open(ID))
