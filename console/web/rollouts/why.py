# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section Why of a rollout: failures by message, where the time went, and what else happened at that time.

A control that is in the URL chooses one of the three; only that one is read.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.figures import phases
from console.record.read import durations, rollouts
from console.record.read.operation import Operation
from console.text.counts import counted
from console.web.operations import parts
from console.web.shared import cached, columns, lists, plot, same_time, viewer

FAILURES, TIME, AROUND = "Failures", "Where time went", "What else happened"


def drift(rollout: dict[str, Any]) -> None:
    """A warning when the succeeded targets did not all get the same bundle."""
    found = cached.ask(rollouts.bundles, rollout["tenant"], rollout["rollout_id"])
    if len(found) < 2:
        return
    with st.container(border=True, gap="xsmall"):
        with lists.row():
            st.badge("bundle drift", icon=":material/call_split:", color="orange")
            st.text(
                f"The targets that succeeded got {len(found):,} different bundles. "
                "If this was not intended, roll out again so that all get the same one."
            )
        shown = [
            columns.text(found["bundle"], "bundle", 260),
            columns.count(found["targets"], "targets"),
            columns.text(found["first_host"], "for example", 260),
            columns.moments(found["first_at"], "first"),
            columns.moments(found["last_at"], "last"),
        ]
        columns.show("Bundles that succeeded targets got", shown, "bundles")


def show(rollout: dict[str, Any], found: Operation, now: float) -> None:
    """The section "Why"."""
    st.space("xsmall")
    with lists.row():
        st.header("Why", width="content")
        chosen = lists.choice("Why", (FAILURES, TIME, AROUND), "why", labelled=False)
    if chosen == TIME:
        _time(rollout, now)
    elif chosen == AROUND:
        same_time.of_rollout(rollout, now)
    else:
        _failures(rollout, found)


def _failures(rollout: dict[str, Any], found: Operation) -> None:
    if not found.failures:
        with lists.row():
            st.badge("none", icon=":material/check_circle:", color="green")
            st.text("No target failed or is uncertain" + (" so far." if rollout["is_open"] else "."))
        return
    new = sum(failure.is_new for failure in found.failures)
    st.caption(
        f"{counted(len(found.failures), 'kind')} of failure, {new:,} new in this rollout. Messages that differ only in"
        " hosts, ids or numbers count as one."
    )
    parts.failures(found)


@st.cache_data(max_entries=48, ttl=3600, show_spinner=False)
def _figure(slowest: pd.DataFrame, theme: str, first: str) -> str:
    return plot.to_json(phases.phase_bars(slowest, theme, first))


def _time(rollout: dict[str, Any], now: float) -> None:
    spent = cached.ask(durations.time_spent, rollout["tenant"], rollout["rollout_id"], now)
    if not len(spent):
        st.text("No target of this rollout has times yet.")
        return
    shown = [
        columns.text(spent["phase"], "phase", 110),
        columns.percentage(spent["share"], "share", 150),
        columns.durations(spent["total_s"], "all targets together", 150),
        columns.durations(spent["p50_s"], "half take up to", 120),
        columns.durations(spent["p95_s"], "95 % take up to", 120),
        columns.durations(spent["longest_s"], "longest", 110),
        columns.text(spent["longest_host"], "of", 260),
        columns.count(spent["targets"], "targets"),
    ]
    columns.show("Where the time of the targets went", shown, "phases")
    with lists.row():
        st.markdown("**Slowest targets**", width="content")
        by = lists.choice("Slowest by", durations.SLOWEST_BY, "slowest", labelled=False)
    slowest = cached.ask(durations.slowest_targets, rollout["tenant"], rollout["rollout_id"], now, by)
    if len(slowest):
        figure = _figure(slowest, viewer.theme(), by.lower())
        plot.chart(figure, f"The {len(slowest)} slowest targets by phase", "slowest_targets")
        st.caption(
            "Queue is the wait beyond the scheduled countdown. "
            + (
                "The mark is how long a run usually takes: the median of the instance's earlier rollouts."
                if slowest["usual_s"].notna().any()
                else "These instances have no earlier rollouts to compare with."
            )
        )
