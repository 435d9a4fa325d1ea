# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that several pages show: raw audit events, and rollouts."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.record.read.freshness import freshness
from console.text import times
from console.text.counts import counted
from console.web import pages
from console.web.shared import cached, links, lists, markup, paging, viewer


def _time(row: dict[str, Any]) -> Markup | str:
    time = viewer.clock_time(row["event_ts"])
    return markup.link(time, pages.OPERATIONS, operations_when=lists.around(row["event_ts"])) if time else ""


EVENTS = (
    markup.Column("time", _time, "time"),
    markup.status("outcome", "outcome"),
    markup.text("source", "source", "short fo-rest"),
    markup.text("event", "event_type", "rest"),
    markup.text("tool", "tool_name"),
    markup.text("server", "server_slug", "rest"),
    markup.text("role", "role", "short fo-rest"),
    markup.Column(
        "host",
        lambda row: markup.instance(row["host"] or links.short(row["instance_id"]), row["instance_id"]),
        "host",
    ),
    markup.Column("conversation", lambda row: markup.small(row["conversation_id"] or ""), "rest"),
    markup.Column("request", lambda row: markup.small(row["request_id"] or ""), "rest"),
)


def audit_events(found: pd.DataFrame) -> None:
    """Raw audit events, newest first. The time links to the operations of that time, the host to the instance."""
    markup.draw(markup.table(EVENTS, found, "Audit events, newest first"))


def rollouts_of_run(found: pd.DataFrame, label: str) -> None:
    with st.expander(label):
        listed = paging.from_frame("run_rollouts", found)
        rollouts(listed.rows)
        listed.pager()


def rollouts(found: pd.DataFrame) -> None:
    """Rollouts, each with a link to its page. The duration of an open one ends at the last sync of its tenant."""
    fresh, now = cached.ask(freshness), viewer.clock()

    def took(row: dict[str, Any]) -> str:
        goes_on = row["is_open"] and math.isnan(row["completed_at"])
        ended = fresh.as_of(now, row["tenant"]) if goes_on else row["completed_at"]
        return times.duration(ended - row["created_at"])

    def targets(row: dict[str, Any]) -> str:
        return row["host"] or counted(row["total"], "target")

    shown = (
        markup.linked("targets", targets, pages.ROLLOUT, "rollout_id"),
        markup.status("status", "status"),
        markup.when("started", "created_at"),
        *(markup.count(name, name, "number fo-rest") for name in ("succeeded", "failed", "uncertain")),
        markup.Column("open", lambda row: f"{row['queued'] + row['in_progress']:,}", "number fo-rest"),
        markup.Column("took", took, "number fo-rest"),
        markup.text("scope", "scope", "rest"),
        markup.Column("started by", lambda row: "playbook" if row["run_id"] else "", "rest"),
        markup.short_id("rollout_id"),
    )
    markup.draw(markup.table(shown, found, "Rollouts, newest first"))
