# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on a run's hosts while it was at work: rollouts, actions and audit events on one page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.record.read import same_time
from console.text import times
from console.text.statuses import look
from console.web.runs import tables as run_tables
from console.web.shared import cached, lists, pages, rollout_and_run_tables, viewer


def show(run: dict[str, Any], now: float) -> None:
    """The section "What else happened" of a run; what is not asked for is not read."""
    st.space("xsmall")
    if not st.toggle("What else happened on these hosts", key="beside", bind="query-params"):
        return
    if run["started_at"] is None:
        st.text("This run gave no time of its start.")
        return
    last = run["ended_at"] or (now if run["status"] == "running" else run["heartbeat_at"] or run["started_at"])
    first, last = same_time.margins(run["started_at"], last)
    around = f"On this run's hosts, {times.moment(first)} to {times.moment(last)} UTC"
    st.caption(around, help=viewer.local_time(first, last))

    found = cached.ask(same_time.beside_run, run["run_id"], first, last)
    st.markdown("**Other rollouts**")
    if len(found.others):
        run_tables.rollouts_beside(found.others)
    else:
        st.text("No other stored rollout was at work on these hosts then.")
    acted_and_audited(found)


def acted_and_audited(found: same_time.SameTime) -> None:
    """The actions and the audit of the hosts."""
    st.markdown("**Actions**")
    if len(found.actions):
        rollout_and_run_tables.actions_around(found.actions)
    else:
        st.text("No stored action on these hosts falls into this time.")

    st.markdown("**Audit**")
    counts = found.outcomes
    if len(counts):
        lists.line(*(f"{n:,} {look(word).word}" for word, n in zip(counts["outcome"], counts["events"], strict=True)))
        if len(found.events):
            rollout_and_run_tables.audit_around(found.events)
        st.page_link(pages.AUDIT, label="Audit summary", icon=":material/arrow_forward:")
    else:
        st.text("No stored audit event of these hosts falls into this time.")
