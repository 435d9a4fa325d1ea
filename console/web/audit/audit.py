# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit summary: events over time, a pivot table, the events of one of its cells, and how complete the events are."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.figures import audit
from console.figures.audit import pivot
from console.record.read import audit as audit_queries
from console.record.read import instances as instance_queries
from console.text.counts import counted
from console.text.statuses import style_of
from console.web.shared import cached, columns, lists, markup, messages, paging, plot, tables, viewer

SPANS = {"24 hours": 1, "7 days": 7, "30 days": 30, "90 days": 90, "All": 0}
DIMENSIONS = {"Source": "source", "Tool": "tool_name", "Role": "role", "Server": "server_slug"}
MAX_BUCKETS = 200
# Shown for an empty value, such as the server of a tool event.
NONE = "(none)"


@st.cache_data(max_entries=32, ttl=3600, show_spinner=False)
def pivoted(counts: pd.DataFrame) -> pd.DataFrame:
    return pivot(counts)


def body() -> None:
    with messages.database():
        messages.head("Audit summary")
        totals = cached.ask(audit_queries.audit_totals)
        if not totals["instances"]:
            sentence = "They are read from the API for every instance that was in a rollout:"
            messages.empty("No audit events yet", sentence)
            return
        show_totals(totals)
        span, by, name = filters()
        counts = cached.ask(audit_queries.audit_over_time, by, span)
        if not len(counts):
            st.text("No events are stored for this period.")
        else:
            over_time(counts, span, by, name)
            events(counts, span, by, name)
        instances()


def word(value: str) -> str:
    """A value of a dimension or an outcome as it is shown."""
    return value or NONE


def show_totals(totals: dict[str, int]) -> None:
    """The totals reported by the API, and the share of them that is stored."""
    figures = {
        "Events at the API": totals["total"],
        "Success": totals["success"],
        "Error": totals["error"],
        "Denied": totals["denied"],
        "Instances": totals["instances"],
    }
    markup.draw(markup.strip(figures))
    part = totals["held"] / totals["total"] if totals["total"] else 1.0
    ingested = f"{totals['held']:,} of {totals['total']:,} events ingested"
    st.progress(part, text=f"{ingested}. The counts below are of ingested events.")
    if totals["gaps"]:
        with lists.row():
            st.badge("gaps", icon=":material/warning:", color="orange")
            st.text(
                f"Events of {counted(totals['gaps'], 'instance')} are missing between two syncs. The table under By"
                " instance lists these instances first."
            )


def filters() -> tuple[audit_queries.AuditSpan, str, str]:
    """The filters, which are in the URL; returns the span with its grain and instance, the dimension, and its label."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = SPANS[lists.choice("Time", SPANS, "span", "30 days")]
        per = lists.choice("Per", ("Day", "Hour"), "per") if days == 7 else "Hour" if days == 1 else "Day"
        name = lists.choice("By", DIMENSIONS, "by")
        instance = chosen_instance()
    # Rounded to the hour, so that results can be cached.
    now = viewer.clock() // 3600 * 3600
    return audit_queries.span_of(days, "hour" if per == "Hour" else "day", now, instance), DIMENSIONS[name], name


def chosen_instance() -> str:
    """The id of the instance in the address, which may also name its host; '' for all instances."""
    # Not bound to the address, because Streamlit would discard an id, which is not the text of an option.
    known = cached.ask(audit_queries.audit_instances)
    hosts = {"": "all instances", **dict(zip(known["instance_id"], map(printable, known["host"]), strict=True))}
    asked = str(st.query_params.get("instance", "")).strip()
    found = cached.ask(instance_queries.instance, asked) if asked else None
    wanted = found["instance_id"] if found else ""
    # The list has only the first instances of a large fleet.
    hosts.setdefault(wanted, printable(found["host"] or wanted) if found else "")
    st.session_state["audit_instance"] = wanted

    def choose() -> None:
        st.query_params.pop("instance", None)
        if chosen := st.session_state["audit_instance"]:
            st.query_params["instance"] = chosen

    st.selectbox(
        "Instance",
        list(hosts),
        format_func=lambda key: hosts[key],
        key="audit_instance",
        on_change=choose,
        width=300,
    )
    return wanted


def over_time(counts: pd.DataFrame, span: audit_queries.AuditSpan, by: str, name: str) -> None:
    st.header(f"By {span.grain} and outcome")
    # Only hours have the viewer's zone in their labels, so that all viewers share the figure of days.
    zone = viewer.zone() if span.grain == "hour" else ""
    alt = f"Audit events by {span.grain} and outcome"
    plot.chart(alt, "audit_over_time", audit.over_time, counts, viewer.theme(), zone)
    pivot_table(counts, by, name)


def pivot_table(counts: pd.DataFrame, by: str, name: str) -> None:
    """A row for each value. A click on a cell selects its value and, in the column of an outcome, that outcome."""
    table = pivoted(counts)
    paging.from_frame(f"audit-{name.lower()}", counts).header(f"By {name.lower()}")
    st.caption("Select a cell to list its events below.")
    key = f"pivot_{by}"
    outcomes = [str(column) for column in table.columns if str(column).startswith("o:")]

    def choose() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            row, column = cells[0]
            st.session_state[f"audit_{by}"] = str(table["value"].iloc[row])
            st.session_state["audit_outcome"] = str(column)[2:] if str(column) in outcomes else None

    bars = st.column_config.BarChartColumn("over time", y_min=0, width=260, color="primary")
    shown = [
        columns.text([word(value) for value in table["value"]], name.lower(), 300),
        columns.count(table["events"], "events", 100),
        *(columns.count(table[name], style_of(name[2:]).label if name[2:] else "no outcome", 110) for name in outcomes),
        columns.percentage(table["not_success"], "unsuccessful", 130),
        columns.Column("over_time", table["over_time"], bars),
    ]
    columns.show(f"Audit events by {name.lower()}", shown, key, 10, on_select=choose, selection_mode="single-cell")
    if table["value"].nunique() < counts["value"].nunique():
        st.caption(
            f"The {len(table):,} largest of {counts['value'].nunique():,}. The file under Share contains all of them."
        )


def events(counts: pd.DataFrame, span: audit_queries.AuditSpan, by: str, name: str) -> None:
    """The events of a cell: a value, an outcome, and a day or hour. Each is optional and in the URL."""
    with lists.row():
        st.header("Events", width="content")
        menu = st.container(width="content")
    sizes = counts.groupby("value")["events"].sum().sort_values(ascending=False)
    outcomes = sorted(counts["outcome"].unique(), key=audit.outcome_order)
    buckets = sorted((bucket for bucket in counts["bucket"].unique() if bucket), reverse=True)[:MAX_BUCKETS]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = pick(name, [str(value) for value in sizes.index[:1000]], f"audit_{by}", 260)
        outcome = pick("Outcome", outcomes, "audit_outcome", 150)
        bucket = pick("Hour (UTC)" if span.grain == "hour" else "Day (UTC)", buckets, "audit_when", 180)
    cell = audit_queries.AuditCell(span, by, value, outcome, bucket)
    found = paging.from_query("audit", audit_queries.audit_events, cell)
    with menu:
        found.share()
    if not len(found.rows):
        st.text("These events are no longer stored, only their counts." if not found.total else "This page is empty.")
        return
    st.caption(f"{counted(found.total, 'event')}, newest first. Times link to the operations of that time.")
    tables.audit_events(found.rows)
    found.pager()


def pick(label: str, options: list[str], key: str, width: int) -> str | None:
    """One of the options, or None for all. A value in the address that is not an option means all."""
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    return lists.selectbox(label, options, key, width, word)


def instances() -> None:
    """By instance: the API's totals, how many events are stored, and where events are missing."""
    found = paging.from_query("coverage", audit_queries.audit_coverage)
    found.header("By instance")
    rows = found.rows
    shown = [
        columns.text(rows["host"], "instance", 260),
        columns.percentage((rows["ours"] / rows["total"].where(rows["total"] > 0)).clip(upper=1.0), "coverage"),
        columns.count(rows["ours"], "ingested"),
        columns.count(rows["total"], "at the API"),
        *(columns.count(rows[outcome], outcome) for outcome in ("success", "error", "denied")),
        columns.periods(rows["gap_from"], rows["gap_to"], "missing between"),
        columns.moments(rows["taken_at"], "API totals as of"),
    ]
    columns.show("Audit coverage by instance", shown, "coverage", 12)
    found.pager()


body()
