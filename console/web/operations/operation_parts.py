# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the page of an operation: failures, gates, plan and result, instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.figures.timeline.axes import Mark
from console.outcomes.words import CATEGORIES, word
from console.record.read.operation import Failure, Operation
from console.text import times
from console.text.counts import counted
from console.text.statuses import style_of
from console.web import pages
from console.web.operations import rows
from console.web.shared import lists, markup, paging, viewer

FAILURES_SHOWN, HOSTS_SHOWN = 5, 8
GATES_SHOWN = 12
SORTS = {"outcome": None, "host": "host", "started": "started_at", "took": "seconds", "waited": "waited"}


def failures(found: Operation) -> None:
    """Each failure once: its message, its instances, and in how many other operations it occurred."""
    ids = dict(zip(found.instances["host"], found.instances["instance_id"], strict=True))
    cards = [_failure(failure, ids) for failure in found.failures]
    markup.draw(*cards[:FAILURES_SHOWN])
    hidden = cards[FAILURES_SHOWN:]
    if hidden:
        with st.expander(counted(len(hidden), "more failure")):
            markup.draw(*hidden)


def _failure(failure: Failure, ids: Mapping[str, str | None]) -> Markup:
    count, named = len(failure.hosts), failure.hosts[:HOSTS_SHOWN]
    prefix = f"{count:,} instances: " if count > 1 else ""
    return markup.card(
        failure.status,
        markup.paragraph(markup.badge(failure.status), markup.strong(failure.message or "no message")),
        markup.paragraph(
            markup.joined((prefix, markup.instances(named, count, map(ids.get, named)))),
            *map(markup.small, (viewer.day_period(failure.first_at, failure.last_at), *_elsewhere(failure))),
            between=" · ",
        ),
    )


def _elsewhere(failure: Failure) -> Iterator[str]:
    """In how many other operations a failure occurred, and when."""
    if failure.before:
        first, last = viewer.day_moment(failure.first_seen), viewer.day_moment(failure.last_before)
        when = f"first {first}, last {last}" if failure.before > 1 else first
        yield f"in {counted(failure.before, 'earlier operation')}, {when}"
    else:
        yield "in no earlier operation"
    if failure.later:
        yield f"again in {counted(failure.later, 'later operation')}"


def gates(found: Operation) -> None:
    """The newest gates with their figures, in order. A gate that stopped the run is in the last row."""
    if not found.gates:
        return
    st.header("Gates")
    shown = found.gates[-GATES_SHOWN:]
    if len(found.gates) > GATES_SHOWN:
        st.caption(f"The last {GATES_SHOWN} of {len(found.gates):,}. The others are under Raw plan and report.")
    # What every gate found is not repeated in each row.
    common = [part for part in shown[0].figures if len(shown) > 1 and all(part in gate.figures for gate in found.gates)]
    own = markup.Column("figures", lambda gate: " · ".join(part for part in gate.figures if part not in common))
    columns = [
        markup.Column("before batch", lambda gate: _number(gate.batch)),
        markup.Column("time", lambda gate: viewer.clock_time(gate.at), "time fo-rest"),
        markup.Column("verdict", lambda gate: markup.badge(gate.verdict)),
        *([own] if any(own.cell(gate) for gate in shown) else []),
    ]
    in_all = [markup.paragraph(markup.small(f"All gates: {' · '.join(common)}"))] if common else []
    markup.draw(*in_all, markup.table(columns, shown, "Gates of this run"))


def gate_marks(found: Operation) -> Iterator[Mark]:
    for gate in found.gates:
        if gate.at is not None:
            sign = style_of(gate.verdict).tone.sign
            yield Mark(gate.at, f"{sign} {times.moment(gate.at, '%H:%M')}")


def plan_and_result(found: Operation) -> None:
    """What was planned and what was done. Rows without a value are left out. How long it took is in the header."""
    plan, row = found.plan, found.row
    planned, expected, limit = plan["planned"], plan.get("seconds"), plan.get("limit")
    batches = counted(plan["batches"], "batch", "batches") if plan["batches"] else ""
    of_batches = f" in {batches}" if batches else ""
    hash_ = f", hash {str(plan['hash'])[:8]}" if plan["hash"] else ""
    of_begun = f" for {plan['batches_begun']:,} of {batches}" if batches else ""
    started = len(found.rollouts) and int((~found.rollouts["rollout_id"].isin(found.followed)).sum())
    facts = [
        ("Plan", f"{counted(planned, 'instance')}{of_batches}{hash_}" if planned is not None else ""),
        ("Expected", times.duration(float(expected)) if expected else ""),
        ("Took", f"{times.duration(row['seconds'])}{of_begun}" if of_begun or expected else ""),
        ("Limit", f"{_number(limit)} at once (policy)" if limit else ""),
        ("Window", str(plan.get("window") or "")),
        ("Unchanged", f"{len(plan['left_alone']):,}" if plan["left_alone"] else ""),
        ("Not found", f"{len(plan['gone']):,}" if plan["gone"] else ""),
        ("Override", str(plan["override_reason"] or "")),
        ("Rollouts", f"{started:,} started by this run" if started else ""),
        ("Followed", markup.joined((markup.operation(key[:8], key) for key in found.followed), ", ")),
        ("Version mismatch", "; ".join(f"{host}: {text}" for host, text in list(found.disagreements.items())[:5])),
    ]
    if any(value for _name, value in facts):
        st.header("Plan and result")
        markup.draw(markup.pairs(facts))


def _number(value: Any) -> str:
    """A number from a run log with thousands separators; any other value as text."""
    return f"{value:,}" if isinstance(value, int | float) else str(value or "")


def arranged(frame: pd.DataFrame, categories: tuple[str, ...], search: str, sort: str) -> pd.DataFrame:
    """The rows that match the filters, in an order of SORTS: '-name' for descending, '' for the given order."""
    if categories:
        frame = frame[frame["category"].isin(categories)]
    frame = lists.containing(frame, search)
    column = SORTS.get(sort.lstrip("-"))
    if column is None:
        return frame[::-1] if sort == "-outcome" else frame
    return frame.sort_values(column, ascending=not sort.startswith("-"), kind="stable", na_position="last")


def instances(found: Operation) -> None:
    """The table of instances, with its filters in the address."""
    row, frame = found.row, found.instances
    if not len(frame):
        return
    st.header("Instances")
    known = set(frame["category"])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        present = [category for category in CATEGORIES if category in known]
        chosen = lists.pills("Outcome", present, "operation_outcome", lambda category: word(category, row["name"]))
        search = lists.search_box("operation", "Host or message contains")
    sort = str(st.query_params.get("sort", ""))
    listed = paging.from_frame("operation_instances", arranged(frame, tuple(chosen), search, sort))
    listed.head(lists.counted_of(listed.total, len(frame), "instance") + ("" if sort else ", problems first"))
    if not listed.total:
        st.text("No instances match these filters.")
        return
    columns = (
        markup.Column(
            "outcome",
            lambda item: markup.badge(item["category"], rows.outcome_word(item["category"], row)),
            sort="outcome",
        ),
        markup.host(sort="host"),
        markup.moment("started", "started_at", "time fo-rest", "started"),
        markup.duration("took", "seconds", "number", "took"),
        markup.duration("waited", "waited", sort="waited"),
        markup.text("message", "message", "rest"),
    )
    others = {name: st.query_params.get_all(name) for name in st.query_params if name != "sort"}
    markup.draw(
        markup.table(
            columns, listed.rows, "Instances of this operation", sort,
            lambda order: markup.address(pages.OPERATION, **others, sort=order),
        )
    )  # fmt: skip
    listed.pager()
