# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit summary: what the agents' runtimes did, by day, source and outcome, and how much of it the database holds."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console import charts, queries, share, tables, ui

SPANS = {"7 days": 7, "30 days": 30, "90 days": 90, "All": 0}


@st.cache_data(max_entries=32, ttl=3600, show_spinner=False)
def figure(kind: str, counts: pd.DataFrame, theme: str) -> str:
    return ui.to_json((charts.audit_days if kind == "days" else charts.audit_sources)(counts, theme))


def body() -> None:
    with ui.database():
        ui.freshness()
        covered = ui.ask(queries.audit_coverage)
        if not len(covered):
            ui.empty(
                "No audit events yet",
                "They are read from the API for every instance that a rollout has named:",
                [queries.SYNC],
            )
            return
        coverage(covered)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            span = st.segmented_control(
                "Time", list(SPANS), default="30 days", required=True, key="span", bind="query-params"
            )
            hosts = dict(zip(covered["instance_id"], covered["host"], strict=True))
            instance = st.selectbox(
                "Instance",
                ["", *hosts],
                format_func=lambda i: hosts.get(i, "all instances"),
                key="instance",
                bind="query-params",
                width=320,
            )
        pivots(instance or "", SPANS[span or "30 days"])
        with ui.row():
            st.subheader("By instance", width="content")
            share.share("audit", len(covered), lambda path, most: queries.audit_coverage(path).head(most))
        tables.coverage(covered)


def coverage(covered: pd.DataFrame) -> None:
    ours, total = int(covered["ours"].sum()), int(covered["total"].fillna(0).sum())
    ui.metrics(
        [
            ("Events, by the API", f"{total:,}"),
            ("Success", f"{int(covered['success'].fillna(0).sum()):,}"),
            ("Error", f"{int(covered['error'].fillna(0).sum()):,}"),
            ("Denied", f"{int(covered['denied'].fillna(0).sum()):,}"),
        ]
    )
    share = min(1.0, ours / total) if total else 1.0
    st.progress(share, text=f"{ours:,} of {total:,} events ingested. The charts below count the ingested ones.")


def pivots(instance: str, days: int) -> None:
    today = ui.clock() // 86400 * 86400
    daily = ui.ask(queries.audit_counts, "day", instance, days, today)
    if not len(daily):
        st.text("No ingested event lies in this time.")
        return
    by_source = ui.ask(queries.audit_counts, "source", instance, days, today)
    left, right = st.columns([3, 2])
    with left:
        st.subheader("By day and outcome")
        ui.chart(figure("days", daily, ui.theme()), "Audit events a day by outcome", "audit_days")
    with right:
        st.subheader("By source")
        ui.chart(figure("sources", by_source, ui.theme()), "Audit events by source and outcome", "audit_sources")
    tools = ui.ask(queries.audit_counts, "tool_name", instance, days, today)
    if (tools["tool_name"] != "").any():
        st.subheader("By tool")
        tables.tools(tools[tools["tool_name"] != ""])


st.title("Audit summary")
body()
