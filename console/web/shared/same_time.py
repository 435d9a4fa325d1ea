# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on a run's hosts while it was at work: rollouts, actions and audit events on one page."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import same_time
from console.text import times
from console.text.statuses import style_of
from console.web.runs import tables as run_tables
from console.web.shared import cached, lists, pages, rollout_and_run_tables, viewer

# The API's clock and the control node's are not one.
BEFORE, AFTER = 60.0, 300.0


def show(run: dict[str, Any], now: float) -> None:
    """The section "What else happened" of a run; what is not asked for is not read."""
    st.space("xsmall")
    if not st.toggle("What else happened on these hosts", key="beside", bind="query-params"):
        return
    if run["started_at"] is None:
        st.text("This run gave no time of its start.")
        return
    run_id = run["run_id"]
    last = run["ended_at"] or (now if run["status"] == "running" else run["heartbeat_at"] or run["started_at"])
    first, last = run["started_at"] - BEFORE, last + AFTER
    around = f"On this run's hosts, {times.moment(first)} to {times.moment(last)} UTC"
    st.caption(around, help=viewer.local_time(first, last))

    st.markdown("**Other rollouts**")
    others = cached.ask(same_time.rollouts_beside_run, run_id, first, last)
    if len(others):
        run_tables.rollouts_beside(others)
    else:
        st.text("No other stored rollout was at work on these hosts then.")

    acted_and_audited(
        cached.ask(same_time.actions_beside_run, run_id, first, last),
        *cached.ask(same_time.audit_beside_run, run_id, first, last),
    )


def acted_and_audited(actions: pd.DataFrame, counts: pd.DataFrame, events: pd.DataFrame) -> None:
    """Actions and audit of some hosts in some time; the frames are those of queries."""
    st.markdown("**Actions**")
    if len(actions):
        rollout_and_run_tables.actions_around(actions)
    else:
        st.text("No stored action on these hosts falls into this time.")

    st.markdown("**Audit**")
    if len(counts):
        lists.line(
            *(f"{n:,} {style_of(word).word}" for word, n in zip(counts["outcome"], counts["events"], strict=True))
        )
        if len(events):
            rollout_and_run_tables.audit_around(events)
        st.page_link(pages.AUDIT, label="Audit summary", icon=":material/arrow_forward:")
    else:
        st.text("No stored audit event of these hosts falls into this time.")
