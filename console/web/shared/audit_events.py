# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of raw audit events."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from console.web.shared import links, markup, pages, period, viewer


def _time(row: dict[str, Any]) -> Markup | str:
    time = viewer.clock_time(row["event_ts"], markup.SECONDS)
    return markup.link(time, pages.OPERATIONS, operations_when=period.around(row["event_ts"])) if time else ""


EVENTS = (
    markup.Column("at", _time, "time"),
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


def show(found: pd.DataFrame) -> None:
    """Raw audit events, newest first. The time leads to the operations of that time, the host to the instance."""
    markup.draw(markup.table(EVENTS, found, "Audit events, newest first"))
