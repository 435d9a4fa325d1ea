# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The field for a period of time; its text is in the address."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from console.text import times
from console.text.period import EXAMPLES, PeriodError, parse
from console.web.shared import viewer

AROUND = 60.0
"""Seconds before and after a time that :func:`around` gives."""


def around(at: float) -> str:
    """The minutes around a time, as :func:`chosen` reads them, for every reader of a link."""
    first, last = (times.moment(edge, "%Y-%m-%d %H:%M") for edge in (at - AROUND, at + AROUND))
    return f"{first} to {last} UTC"


def _name_zone(key: str) -> None:
    """Add the zone to a text that means something else in UTC: whoever opens the link may have another one."""
    text, now = st.session_state[key] or "", viewer.clock()
    with suppress(PeriodError):
        if parse(text, now, viewer.shown_zone()) != parse(text, now):
            st.session_state[key] = f"{text.strip()} {viewer.shown_zone()}"


def chosen(of: str) -> tuple[float | None, float | None]:
    """The period that the viewer wrote, in epoch seconds, None for an open end. A text that is none shows why."""
    text = st.text_input(
        f"When ({viewer.zone_word()})",
        key=f"{of}_when",
        bind="query-params",
        on_change=_name_zone,
        args=(f"{of}_when",),
        placeholder="yesterday",
        help=EXAMPLES,
        width=190,
    )
    try:
        # In whole minutes, so that "last 2 h" asks the database anew once a minute only.
        return parse(text or "", viewer.clock() // 60 * 60, viewer.shown_zone())
    except PeriodError as error:
        st.text(str(error))
        return None, None
