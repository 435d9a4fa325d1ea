# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of an operation's page: failures, gates, plan and result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import streamlit as st
from markupsafe import Markup

from console.figures.timeline.axes import Mark
from console.record.read.operation import Operation
from console.text import times
from console.text.counts import counted
from console.text.statuses import style_of
from console.web.shared import lists, markup, pages, viewer

FAILURES_SHOWN, HOSTS_SHOWN = 5, 8
GATES_SHOWN = 12


def hosts(names: tuple[str, ...]) -> Markup:
    """The first instances as links, and the number of the others."""
    shown = markup.joined((markup.link(name, pages.INSTANCE, id=name) for name in names[:HOSTS_SHOWN]), ", ")
    more = len(names) - HOSTS_SHOWN
    return Markup("{} and {} more").format(shown, f"{more:,}") if more > 0 else shown


def failures(found: Operation) -> None:
    """Each failure once: its message, its instances, and in how many earlier operations it occurred."""
    if not len(found.failures):
        return
    st.header("What failed")
    listed = lists.records(found.failures)
    markup.draw(*(_failure(one) for one in listed[:FAILURES_SHOWN]))
    hidden = listed[FAILURES_SHOWN:]
    if hidden:
        with st.expander(counted(len(hidden), "more failure")):
            markup.draw(*(_failure(one) for one in hidden))


def _failure(failure: dict[str, Any]) -> Markup:
    count = len(failure["hosts"])
    before = int(failure["before"] or 0)
    since = (
        f"in {counted(before, 'earlier operation')}, first {viewer.when(failure['first_seen'])}"
        if before
        else "in no earlier operation"
    )
    what = f"{count:,} instances: " if count > 1 else ""
    return markup.card(
        failure["status"],
        markup.paragraph(markup.badge(failure["status"]), markup.strong(failure["message"] or "no message")),
        markup.paragraph(
            Markup("{}{}").format(what, hosts(failure["hosts"])),
            *(markup.small(part) for part in (viewer.when(failure["first_at"]), since) if part),
            between=" · ",
        ),
    )


def gates(found: Operation) -> None:
    """The newest gates with their figures, in order: a gate that stopped the run is in the last row."""
    if not len(found.gates):
        return
    st.header("Gates")
    listed = lists.records(found.gates)
    hidden = max(len(listed) - GATES_SHOWN, 0)
    if hidden:
        st.caption(f"The last {GATES_SHOWN} of {len(listed):,}; the others are in the raw plan and report.")
    columns = (markup.Column("before batch"), markup.Column("at", "time"), markup.Column("verdict"),
               markup.Column("figures"))  # fmt: skip
    cells = (
        (_number(gate["batch"]), viewer.clock_time(gate["at"]), markup.badge(gate["verdict"]), gate["figures"] or "")
        for gate in listed[hidden:]
    )
    markup.draw(markup.table(columns, cells, "Gates of this run"))


def gate_marks(found: Operation) -> Iterator[Mark]:
    """The gates as marks of the timeline."""
    for gate in lists.records(found.gates):
        if gate["at"] == gate["at"]:  # not NaN
            sign = style_of(gate["verdict"]).tone.sign
            yield Mark(gate["at"], f"{sign} {times.moment(gate['at'], '%H:%M')}")


def plan_and_result(found: Operation) -> None:
    """What was planned, and what was done. Rows without a value are left out."""
    plan, row = found.plan, found.row
    st.header("Plan and result")
    planned, expected, limit = plan["planned"], plan.get("seconds"), plan.get("limit")
    batches = counted(plan["batches"], "batch", "batches") if plan["batches"] else ""
    of_batches = f" in {batches}" if batches else ""
    hash_ = f", hash {str(plan['hash'])[:8]}" if plan["hash"] else ""
    of_begun = f" for {plan['batches_begun']:,} of {batches}" if batches else ""
    started = len(found.rollouts)
    markup.draw(
        markup.pairs(
            [
                ("Plan", f"{counted(planned, 'instance')}{of_batches}{hash_}" if planned is not None else ""),
                ("Expected", times.duration(float(expected)) if expected else ""),
                ("Took", f"{times.duration(row['seconds'])}{of_begun}"),
                ("Limit", f"{_number(limit)} at once (policy)" if limit else ""),
                ("Window", str(plan.get("window") or "")),
                ("Unchanged", f"{len(plan['left_alone']):,}" if plan["left_alone"] else ""),
                ("Not found", f"{len(plan['gone']):,}" if plan["gone"] else ""),
                ("Override", str(plan["override_reason"] or "")),
                ("Rollouts", f"{started:,} that this run started" if started else ""),
                (
                    "Followed",
                    markup.joined((markup.link(one[:8], pages.OPERATION, id=one) for one in found.followed), ", "),
                ),
                (
                    "Version mismatch",
                    "; ".join(f"{host}: {said}" for host, said in list(found.disagreements.items())[:5]),
                ),
            ]
        )
    )


def _number(value: Any) -> str:
    """A number of a run log with thousands separators; anything else that is there as it is."""
    return f"{value:,}" if isinstance(value, int | float) else str(value or "")
