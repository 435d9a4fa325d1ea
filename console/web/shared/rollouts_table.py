# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of rollouts that several pages show."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from console.record.read.freshness import freshness
from console.text import times
from console.text.counts import counted
from console.web.shared import cached, markup, pages, paging, viewer


def of_run(found: pd.DataFrame, label: str) -> None:
    """The rollouts of a run, of which the reader can open the list."""
    with st.expander(label):
        listed = paging.of_frame("run_rollouts", found)
        show(listed.rows)
        listed.pager()


def show(found: pd.DataFrame) -> None:
    """Rollouts, each with a link to its page. The duration of an open one is up to the last sync of its tenant."""
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
