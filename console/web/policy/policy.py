# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy and window: whether a rollout may start now, the limits, what changed, and what began outside the window."""

from __future__ import annotations

from typing import Any

import streamlit as st
from markupsafe import Markup

from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window
from console.figures import policy as figures
from console.record.read import policy as policy_queries
from console.text import times
from console.web import pages
from console.web.browser import auto_refresh
from console.web.shared import cached, columns, lists, markup, messages, paging, plot, viewer

COMPONENTS = (("Runtime", "runtime_default"), ("Skill", "skills_default"), ("MCP server", "mcp_servers_default"))


def body() -> None:
    messages.head("Policy and window")
    policies = cached.ask(policy_queries.policies)
    if not policies:
        messages.empty("No policy yet", "Every sync of the API reads the tenant's update policy:")
        return
    policy = chosen(policies)
    now = viewer.clock() // 60 * 60
    frozen = cached.ask(policy_queries.frozen, now, policy["tenant"] if len(policies) > 1 else "")
    window(policy_queries.state_of(Window.of_policy(policy["raw"]), now), frozen, now)
    freezes(frozen)
    limits(policy)
    changes(policy)
    overrides(policy)


def chosen(policies: list[dict[str, Any]]) -> dict[str, Any]:
    by_tenant = {policy["tenant"]: policy for policy in policies}
    if len(by_tenant) == 1:
        return policies[0]
    tenant = st.selectbox("Tenant", list(by_tenant), key="tenant", bind="query-params", width=420)
    return by_tenant.get(tenant or "", policies[0])


def window(state: policy_queries.WindowNow, frozen: policy_queries.Frozen, now: float) -> None:
    st.header("Maintenance window")
    with lists.row():
        lists.status_badge(("open" if state.is_open else "closed") if state.is_known else "unknown")
        lists.line(state.sentence)
    if not state.is_known:
        st.badge("no rollout may start", icon=":material/block:", color="red")
        return
    if state.closes_at is not None:
        closes = f"It closes in {times.rounded(state.closes_at - now)}, at {viewer.moment(state.closes_at)}."
        lists.line(closes)
    if state.opens_at is not None:
        lists.line(f"It opens in {times.rounded(state.opens_at - now)}.")
    frozen_times = tuple((time.start, time.end, time.reason) for time in frozen.times)
    alt = "The maintenance window and the freezes of the next 7 days, in UTC"
    plot.chart(alt, "window", figures.calendar, state.open_hours, frozen_times, now, viewer.theme())
    st.caption(
        "According to the API reference, the window applies to fleet rollouts, not to redeploys of a single instance."
    )


def freezes(frozen: policy_queries.Frozen) -> None:
    st.header("Freezes")
    if not frozen.plans:
        st.text(
            "No plan from the last 35 days is recorded. Freezes are set for a run in the variable fleetops_freezes."
            " This page shows those in the run's plan."
        )
    elif not frozen.times and frozen.unnamed:
        st.text(
            "No freezes are known, but the newest plan of at least one playbook does not state when changes are frozen."
            " The next check run of that playbook creates a plan that does."
        )
    elif not frozen.times:
        st.text("The newest plan of each playbook contains no freezes. They are set for a run in fleetops_freezes.")
    else:
        shown = (
            markup.Column("frozen", lambda time: viewer.period(time.start, time.end, "%a %Y-%m-%d %H:%M")),
            markup.Column("reason", lambda time: time.reason),
            markup.Column("in the plan of", plan_of, "rest"),
        )
        markup.draw(markup.table(shown, frozen.times, "When changes are frozen, soonest first"))
        st.caption(
            "The next 35 days, according to the newest plan of each playbook. A run starts only what will end before"
            " the next freeze, unless its window is overridden."
        )


def plan_of(time: policy_queries.FrozenTime) -> Markup:
    """The run whose plan contains the freeze, and its time."""
    planned = markup.small(viewer.day_moment(time.planned_at))
    return markup.joined((markup.operation(time.name, time.run_id), planned), " ")


def limits(policy: dict[str, Any]) -> None:
    st.header("Limits and defaults")
    most = policy["max_parallel_rollouts"]
    modes = {f"{name} updates": policy[key] or "unknown" for name, key in COMPONENTS}
    markup.draw(markup.strip({"Parallel rollouts, maximum": "unknown" if most is None else most, **modes}))
    if most is None or most < 1:
        st.badge("no rollout may start", icon=":material/block:", color="red")
        st.text("max_parallel_rollouts is not a number greater than 0, so this collection does not start any rollouts.")
    st.caption(
        "The maximum is max_parallel_rollouts. auto installs updates, notify only reports them, disabled does neither."
    )


def changes(policy: dict[str, Any]) -> None:
    found = cached.ask(policy_queries.policy_changes, policy["tenant"])
    paging.from_frame("policy-changes", found).header("Changes seen")
    if len(found):
        shown = [
            columns.moments(found["seen_at"], "first seen"),
            columns.text(found["key"], "setting", 290),
            columns.text(found["before"], "before", 150),
            columns.text(found["after"], "after", 150),
            columns.moments(found["not_before_at"], "previous first seen"),
        ]
        columns.show("Changes of the policy, newest first", shown, "policy_changes")
        st.caption("The API returns only the current policy, so a change happened at some time between the two times.")
    else:
        lists.line(f"Unchanged since it was first seen, {viewer.moment(policy['taken_at'])}.")


def overrides(policy: dict[str, Any]) -> None:
    tenant = policy["tenant"]
    found = cached.ask(policy_queries.outside_window, tenant)
    listed = paging.from_frame("outside-window", found)
    listed.header("Outside the window")
    if len(found):
        st.caption("Rollouts that began while the window was closed, newest first")
        shown = [
            markup.Column("operation", operation_of, "host"),
            markup.status("status", "status"),
            markup.moment("started", "created_at"),
            markup.Column("window at that time", lambda row: row["hours"] + (" (assumed)" if row["assumed"] else "")),
            markup.text("reason given", "reason"),
            markup.Column("started by", lambda row: "playbook" if row["run_id"] else "", "rest"),
        ]
        markup.draw(markup.table(shown, listed.rows, "Rollouts started outside the maintenance window"))
        listed.pager()
        if found["assumed"].any():
            st.caption("Assumed: no policy was known at that time, so the first policy that was read later is used.")
    else:
        st.text("No stored fleet rollouts began while the window was closed.")
    runs = cached.ask(policy_queries.override_runs)
    if len(runs):
        overriding = paging.from_frame("override-runs", runs)
        overriding.head("Playbook runs that overrode the window with a reason, newest first")
        shown = [
            markup.linked("operation", lambda row: lists.playbook_name(row["playbook"]), pages.OPERATION, "run_id"),
            markup.status("status", "status"),
            markup.moment("started", "started_at"),
            markup.text("reason given", "reason"),
            markup.text("user", "user", "rest"),
        ]
        markup.draw(markup.table(shown, overriding.rows, "Playbook runs that overrode the window"))
        overriding.pager()


def operation_of(row: dict[str, Any]) -> Markup:
    """The operation of a rollout: the run that started it, else the rollout itself."""
    return markup.operation(lists.rollout_title(row), row["run_id"] or row["rollout_id"])


auto_refresh.refreshing(body, cached.something_open)
