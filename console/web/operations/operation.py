# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation: its verdict, the outcome of each instance, gates, plan and result, timeline, failures."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_values
from console.figures.timeline.axes import Mark
from console.outcomes import words
from console.outcomes.next_step import next_step
from console.record.read import freshness
from console.record.read import operation as queries
from console.text import times
from console.web import pages
from console.web.browser import auto_refresh
from console.web.operations import operation_parts, rows
from console.web.shared import cached, links, lists, markup, messages, paging, tables, viewer
from console.web.timeline import section

ID = links.resolved("run", "rollout")


def body() -> None:
    now = viewer.clock() // 10 * 10
    found = cached.operation(ID, now) if ID else None
    if found is None:
        messages.not_found("Operation", "operation", ID, pages.OPERATIONS, "view_timeline")
        return
    header(found)
    verdict(found)
    two = found.row["kind"] == "run" and (found.failures or found.gates)
    left, right = st.columns([11, 9], gap="medium") if two else (st.container(), st.container())
    with left:
        if found.failures:
            st.header("What failed")
            operation_parts.failures(found)
        operation_parts.gates(found)
    with right:
        operation_parts.plan_and_result(found)
        following(found)
    timeline(found, now)
    operation_parts.instances(found)
    closed(found)


def header(found: queries.Operation) -> None:
    row = found.row
    with messages.head(lists.literal(words.title(row)), *rows.statuses(row), tenant=row["tenant"] or ""):
        paging.share("operation")
    goes_on = found.facts.runs or found.facts.status == "paused"
    took = f", {times.duration(row['seconds'])}" if row["seconds"] is not None else ""
    where = f" on {row['controller']}" if row["controller"] else ""
    period = viewer.day_period(row["started_at"], row["ended_at"], goes_on=bool(goes_on))
    line = (f"{period}{took}", f"{rows.by_whom(row)}{where}", f"id {row['key']}")
    markup.draw(markup.paragraph(markup.small(" · ".join(filter(None, line)))))


def verdict(found: queries.Operation) -> None:
    """The verdict in one sentence, and a bar of outcomes, each part of which links to its instances."""
    row = found.row
    segments = rows.segments(row)
    note = "Derived from recorded data, because there is no report of what was changed." if row["derived"] else ""
    label = ", ".join(f"{part.count:,} {part.word}" for part in segments)
    markup.draw(
        markup.card(
            row["status"],
            Markup('<p class="fo-verdict">{}</p>').format(row["sentence"]),
            markup.stacked_bar(segments, label) if segments else markup.NOTHING,
            markup.legend(segments),
            markup.small(note),
        )
    )


def following(found: queries.Operation) -> None:
    """The section "Next": what to do after a run, with a command to copy."""
    row = found.row
    if row["kind"] != "run":
        return
    counted = {category: int(row[category] or 0) for category in words.CATEGORIES}
    bad = found.instances["host"][found.instances["category"].isin(words.PROBLEMS)].tolist()
    step = next_step(row["name"], row["verdict"], counted, bad, str(found.plan.get("hash") or ""))
    st.header("Next")
    st.text(step.sentence)
    if step.command:
        lists.code(step.command)
        st.caption("Add your inventory and variables, which the run log does not contain.")


def timeline(found: queries.Operation, now: float) -> None:
    """The targets of the operation's rollouts, with its gates marked."""
    row = found.row
    marks = tuple(operation_parts.gate_marks(found)) or tuple(
        Mark(batch.started_at, f"batch {batch.number}")
        for batch in found.facts.batches
        if batch.started_at is not None and len(found.facts.batches) > 1
    )
    if row["kind"] == "rollout":
        seen = cached.ask(freshness.freshness).as_of(now, row["tenant"])
        section.show((row["tenant"], ID), cached.targets_of(found, now), seen, marks=marks)
    elif len(found.rollouts):
        section.show_of_run(row["key"], found.rollouts, marks)


def closed(found: queries.Operation) -> None:
    """The end of the page: links to the rollout or the run, and closed expanders with rollouts, plan and report."""
    row = found.row
    if row["kind"] == "rollout":
        links.to(pages.ROLLOUT, "The rollout on the server", icon="view_timeline", id=row["key"])
        return
    if len(found.rollouts):
        tables.rollouts_of_run(found.rollouts, f"Rollouts on the server ({len(found.rollouts):,})")
    if row["kind"] == "run":
        links.to(pages.RUN, "Tasks, results and recap of this run", icon="play_circle", id=row["key"])
        if found.plan or found.facts.report:
            with st.expander("Raw plan and report"):
                st.json(printable_values({"plan": found.plan, "report": found.facts.report}), expanded=1)


auto_refresh.refreshing(body, lambda: cached.is_open(ID))
