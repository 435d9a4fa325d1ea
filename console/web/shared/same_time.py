# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else happened on the hosts of a run or rollout at the same time: rollouts or runs, actions, audit events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import rollouts, same_time
from console.text.listing import records
from console.text.statuses import style_of
from console.web import pages
from console.web.shared import cached, columns, links, lists, markup, tables, viewer


def of_run(run: dict[str, Any], now: float) -> None:
    """The section "What else happened" of a run. Its data is read only while it is switched on."""
    st.space("xsmall")
    if not st.toggle("What else happened on these hosts", key="beside", bind="query-params"):
        return
    last = run["ended_at"] or (now if run["status"] == "running" else run["heartbeat_at"] or run["started_at"])
    _section("run", run["started_at"], last, same_time.beside_run, (run["run_id"],), _rollouts)


def of_rollout(rollout: dict[str, Any], now: float) -> None:
    """The runs, actions and audit events on a rollout's hosts while it was in progress."""
    tenant, rollout_id = rollout["tenant"], rollout["rollout_id"]

    def runs(found: pd.DataFrame) -> None:
        st.markdown("**Playbook runs**")
        linked, near = records(cached.ask(rollouts.runs_of_rollout, rollout_id)), records(found)
        for run in linked:
            run_line(run, "Open the operation", "mentions this rollout")
        for run in near:
            run_line(
                run,
                "Open the operation",
                f"ran on {run['hosts']:,} of its hosts" + (" in check mode" if run["check_mode"] else ""),
            )
        if not linked and not near:
            st.text("No stored run mentions this rollout or ran on its hosts at that time.")

    last = rollout["completed_at"] or now
    _section("rollout", rollout["created_at"], last, same_time.beside_rollout, (tenant, rollout_id), runs)


def _section(
    what: str,
    began: float | None,
    ended: float,
    query: Callable[..., same_time.SameTime],
    key: tuple[str, ...],
    others: Callable[[pd.DataFrame], None],
) -> None:
    if began is None:
        st.text(f"The start time of this {what} is unknown.")
        return
    first, last = same_time.margins(began, ended)
    st.caption(f"On this {what}'s hosts, {viewer.period(first, last)}")
    found = cached.ask(query, *key, first, last)
    others(found.others)

    st.markdown("**Actions**")
    if len(found.actions):
        shown = [
            columns.moments(found.actions["created_at"], "time"),
            columns.text(found.actions["host"], "host", 240),
            columns.text(found.actions["action"], "action", 160),
            columns.statuses(found.actions["status"], width=120),
            columns.text(found.actions["actor"], "by", 140),
            columns.text(found.actions["message"], "message", 420),
        ]
        columns.show("Actions on these hosts at that time", shown, "actions_around")
    else:
        st.text("No actions on these hosts are stored for this period.")

    st.markdown("**Audit**")
    counts = found.outcomes
    if len(counts):
        lists.line(
            *(f"{n:,} {style_of(word).word}" for word, n in zip(counts["outcome"], counts["events"], strict=True))
        )
        if len(found.events):
            tables.audit_events(found.events)
        links.to(pages.AUDIT, "Audit summary")
    else:
        st.text("No audit events of these hosts are stored for this period.")


def run_line(run: dict[str, Any], label: str, how: str = "") -> None:
    """A playbook run in one line, with a link to its operation."""
    with lists.row():
        lists.status_badge(run["status"])
        links.to(pages.OPERATION, label, id=run["run_id"])
        lists.line(lists.playbook_name(run["playbook"]), how, viewer.moment(run["started_at"]))


def _rollouts(found: pd.DataFrame) -> None:
    """The rollouts on the run's hosts that the run does not mention."""
    st.markdown("**Other rollouts**")
    if not len(found):
        st.text("No other rollouts on these hosts are stored for this period.")
        return
    shown = (
        markup.linked("operation", lists.rollout_title, pages.OPERATION, "rollout_id"),
        markup.status("status", "status"),
        markup.moment("started", "created_at"),
        markup.moment("ended", "completed_at"),
        markup.count("shared hosts", "hosts"),
    )
    markup.draw(markup.table(shown, found, "Other rollouts on these hosts at that time"))
