# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened on an instance in a period, of all kinds in one list."""

from __future__ import annotations

from typing import Any

import streamlit as st
from markupsafe import Markup

from console.record.read import history
from console.web.shared import cached, lists, markup, period, viewer
from console.web.shared.export_menu import share

DAYS, MOST = 7.0, 200


def show(known: dict[str, Any]) -> None:
    """The section, for the period in the address, by default the last 7 days."""
    head = lists.row()
    with head:
        st.header("What happened", width="content")
    since, until = period.chosen("happened")
    now = viewer.clock() // 60 * 60
    first = now - DAYS * 86400.0 if since is None else since
    last = now + 86400.0 if until is None else until
    key = known["tenant"], known["instance_id"], known["host"] or "", first, last
    found = cached.ask(history.history, *key, MOST)
    more = f", the newest {MOST}" if len(found) == MOST else ""
    end = "now" if until is None else viewer.moment(last, "%Y-%m-%d %H:%M")
    with head:
        st.caption(f"{len(found):,} from {viewer.moment(first, '%Y-%m-%d %H:%M')} to {end}{more}", width="content")
        share("instance-history", len(found), lambda path, most: history.history(path, *key, most))
    if not len(found):
        st.text("Nothing is recorded in this time.")
        return
    markup.draw(markup.table(COLUMNS, found, "What happened, newest first"))


def _what(row: dict[str, Any]) -> Markup | str:
    what = row["what"].rsplit("/", 1)[-1] if row["kind"] == "playbook" else row["what"]
    return markup.operation(what, row["operation"]) if row["operation"] else what


COLUMNS = (
    markup.Column("at", lambda row: viewer.clock_time(row["at"], markup.SECONDS), "time"),
    markup.text("kind", "kind", "rest"),
    markup.Column("what", _what),
    markup.status("status", "status"),
    markup.text("detail", "detail", "rest"),
)
