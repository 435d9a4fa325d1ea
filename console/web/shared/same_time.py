# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on the same hosts at the time of a run or rollout: rollouts, actions and audit events."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import same_time
from console.text import times
from console.text.statuses import style_of
from console.web.shared import cached, columns, links, lists, pages, rollout_and_run_tables, viewer
from console.web.shared.status import status_cells, status_column

# Seconds of margin, because the clocks of the API and of the control node differ.
BEFORE, AFTER = 60.0, 300.0


def show(run: dict[str, Any], now: float) -> None:
    """The section "What else happened" of a run; it is read only when it is switched on."""
    st.space("xsmall")
    if not st.toggle("What else happened on these hosts", key="beside", bind="query-params"):
        return
    if run["started_at"] is None:
        st.text("The start time of this run is unknown.")
        return
    run_id = run["run_id"]
    last = run["ended_at"] or (now if run["status"] == "running" else run["heartbeat_at"] or run["started_at"])
    first, last = run["started_at"] - BEFORE, last + AFTER
    around = f"On this run's hosts, {times.moment(first)} to {times.moment(last)} UTC"
    st.caption(around, help=viewer.local_time(first, last))

    st.markdown("**Other rollouts**")
    others = cached.ask(same_time.rollouts_beside_run, run_id, first, last)
    if len(others):
        _rollouts(others)
    else:
        st.text("No other stored rollout worked on these hosts at that time.")

    acted_and_audited(
        cached.ask(same_time.actions_beside_run, run_id, first, last),
        *cached.ask(same_time.audit_beside_run, run_id, first, last),
    )


def acted_and_audited(actions: pd.DataFrame, counts: pd.DataFrame, events: pd.DataFrame) -> None:
    """Actions and audit events; the frames are those of console.record.read.same_time."""
    st.markdown("**Actions**")
    if len(actions):
        rollout_and_run_tables.actions_around(actions)
    else:
        st.text("No stored action on these hosts is in this time.")

    st.markdown("**Audit**")
    if len(counts):
        lists.line(
            *(f"{n:,} {style_of(word).word}" for word, n in zip(counts["outcome"], counts["events"], strict=True))
        )
        if len(events):
            rollout_and_run_tables.audit_around(events)
        st.page_link(pages.AUDIT, label="Audit summary", icon=":material/arrow_forward:")
    else:
        st.text("No stored audit event of these hosts is in this time.")


def _rollouts(found: pd.DataFrame) -> None:
    """Rollouts on the run's hosts that it did not name; a click opens one."""
    frame = found.assign(
        open=[links.short(i) for i in found["rollout_id"]],
        state=status_cells(found["status"]),
        started=columns.moments(found["created_at"]),
        ended=columns.moments(found["completed_at"]),
    )
    shown = {
        "open": links.open_column("rollout", "beside_open"),
        "state": status_column(width=130),
        "started": columns.utc("started"),
        "ended": columns.utc("ended"),
        "hosts": columns.count("of its hosts"),
        "scope": columns.text("scope", 85),
    }
    columns.show(frame, shown, "Other rollouts on these hosts at that time", "beside")
    links.follow("beside_open", pages.ROLLOUT, found["rollout_id"].tolist())
