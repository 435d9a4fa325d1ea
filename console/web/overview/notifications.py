# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was told to whom: the newest rows of the ledger of notifications. It names destinations and never an address."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from console.notifications.facts import OPERATIONS
from console.record.read import notifications
from console.record.rows import FAILED, GAVE_UP, SENDING, Notification
from console.settings.invocation import COMMAND
from console.web.shared import cached, lists, markup, viewer
from console.web.shared.export_menu import Listed

SHOWN = 10


def section() -> None:
    """The newest notifications as a table."""
    found, total = cached.ask(notifications.newest, SHOWN)
    count = f"the newest {len(found):,} of {total:,}" if total > len(found) else f"{total:,}"
    Listed("notifications", total, notifications.newest_frame).header("Notifications", count)
    if total:
        markup.draw(markup.table(COLUMNS, found, "Notifications, newest first"))
    else:
        st.text("None was sent. Without a file of rules (FLEETOPS_NOTIFY_RULES) nothing is sent to anybody.")
        if not cached.is_copy():
            lists.shell(f"{COMMAND} notify --rules FILE --dry-run")


def _title(row: Notification) -> Markup | str:
    return markup.operation(row.title, row.key) if row.subject == OPERATIONS else row.title


def _attempts(row: Notification) -> str:
    repeated = f"repeated, {row.attempts:,}" if row.attempts > 1 else f"{row.attempts:,}"
    return repeated + (f", {row.interrupted:,} interrupted" if row.interrupted else "")


COLUMNS = (
    markup.Column("when", lambda row: viewer.when(row.ended_at or row.begun_at or row.since), "time"),
    markup.Column("what", _title),
    markup.Column("to", lambda row: row.destination),
    # Whether an attempt that has no end has arrived, nobody knows.
    markup.Column("outcome", lambda row: markup.badge("no outcome" if row.outcome == SENDING else row.outcome)),
    markup.Column("attempts", _attempts, "rest"),
    markup.Column("last error", lambda row: row.error or "" if row.outcome in (FAILED, GAVE_UP) else "", "rest"),
)
