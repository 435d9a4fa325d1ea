# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statuses as badges, as cells of a table and as a filter: always a sign and a word beside the colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from console.text.statuses import STYLES, style_of


def status_badge(status: str) -> None:
    """A status as a coloured badge with its sign; a word nobody knows as plain text."""
    if status in STYLES:
        style = style_of(status)
        st.badge(style.word, icon=style.tone.icon, color=style.tone.badge)  # type: ignore[arg-type]
    else:
        st.text(style_of(status).label)


def status_cells(words: Iterable[str]) -> pd.Series:
    """Status words as cells for :func:`status_column`."""
    return pd.Series([[style_of(word).label] for word in words], dtype=object)


def status_column(title: str = "status", width: Any = None) -> Any:
    """A table column of statuses: coloured badges with sign and word."""
    styles = {style.label: style.tone.badge for style in STYLES.values()}
    return st.column_config.MultiselectColumn(title, options=list(styles), color=list(styles.values()), width=width)


def status_filter(of: str, options: Sequence[str], label: str = "Status") -> list[str]:
    """Pills to choose statuses; the choice is in the URL, in the words on the pills. None chosen means all.

    ``of``: what is listed. It names the filters in the URL, so that those of one page never filter the next one.
    """
    words = {style_of(status).word: status for status in options}
    chosen = st.pills(label, list(words), selection_mode="multi", key=f"{of}_status", bind="query-params")
    return [words[word] for word in chosen]
