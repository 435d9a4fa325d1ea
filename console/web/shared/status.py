# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statuses as badges and filters: always with a sign and a word, not by colour alone."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from console.text.statuses import STYLES, style_of
from console.web.shared import lists


def status_badge(status: str) -> None:
    """A status as a coloured badge with its sign; an unknown word as plain text."""
    if status in STYLES:
        style = style_of(status)
        st.badge(style.word, icon=style.tone.icon, color=style.tone.badge)  # type: ignore[arg-type]
    else:
        st.text(style_of(status).label)


def status_filter(of: str, options: Sequence[str], label: str = "Status", *, narrow: bool = False) -> list[str]:
    """Pills to choose statuses, or a narrow box; the choice is in the URL, by the words of the statuses. No choice
    means all.

    of: what is listed. It is part of the URL parameter, so that the filters of one page do not filter another one.
    """
    key = f"{of}_status"
    if narrow:
        return lists.several_of(label, options, key, 170, _word)
    return st.pills(label, options, selection_mode="multi", format_func=_word, key=key, bind="query-params")


def _word(status: str) -> str:
    return style_of(status).word
