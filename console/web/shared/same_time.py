# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on the same hosts at the time of a run or rollout: rollouts, actions and audit events."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import same_time
from console.text.statuses import style_of
from console.web.audit.tables import events
from console.web.shared import cached, columns, links, lists, pages, rollout_and_run_tables, viewer


def show(run: dict[str, Any], now: float) -> None:
    """The section "What else happened" of a run; it is read only when it is switched on."""
    st.space("xsmall")
    if not st.toggle("What else happened on these hosts", key="beside", bind="query-params"):
        return
    if run["started_at"] is None:
        st.text("The start time of this run is unknown.")
        return
    last = run["ended_at"] or (now if run["status"] == "running" else run["heartbeat_at"] or run["started_at"])
    first, last = same_time.margins(run["started_at"], last)
    around = f"On this run's hosts, {viewer.period(first, last)}"
    st.caption(around)

    found = cached.ask(same_time.beside_run, run["run_id"], first, last)
    st.markdown("**Other rollouts**")
    if len(found.others):
        _rollouts(found.others)
    else:
        st.text("No other stored rollout worked on these hosts at that time.")
    acted_and_audited(found)


def acted_and_audited(found: same_time.SameTime) -> None:
    """The actions and the audit events of the hosts at that time."""
    st.markdown("**Actions**")
    if len(found.actions):
        rollout_and_run_tables.actions_around(found.actions)
    else:
        st.text("No stored action on these hosts is in this time.")

    st.markdown("**Audit**")
    counts = found.outcomes
    if len(counts):
        lists.line(
            *(f"{n:,} {style_of(word).word}" for word, n in zip(counts["outcome"], counts["events"], strict=True))
        )
        if len(found.events):
            events(found.events)
        links.to(pages.AUDIT, "Audit summary")
    else:
        st.text("No stored audit event of these hosts is in this time.")


def _rollouts(found: pd.DataFrame) -> None:
    """Rollouts on the run's hosts that it did not name; a click opens one."""
    shown = [
        columns.statuses(found["status"], width=130),
        columns.moments(found["created_at"], "started"),
        columns.moments(found["completed_at"], "ended"),
        columns.count(found["hosts"], "of its hosts"),
        columns.text(found["scope"], "scope", 85),
    ]
    opens = columns.Opens("operation", pages.OPERATION, found["rollout_id"])
    columns.show("Other rollouts on these hosts at that time", shown, "beside", opens=opens)
