# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns of tables: text, counts, times, percentages; and the table itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from console.text import times
from console.web.shared import viewer

# Height of a row in pixels at the theme's font size.
ROW = 33
MOST_ROWS = 18


def height(rows: int, most: int = MOST_ROWS) -> Any:
    """The height for so many rows; with more than ``most`` the table scrolls."""
    return "content" if rows <= most else (most + 1) * ROW


def show(frame: pd.DataFrame, columns: dict[str, Any], alt: str, key: str | None = None, most: int = MOST_ROWS) -> None:
    """Draw a table of those columns of the frame that ``columns`` names; ``alt`` describes it for screen readers."""
    st.dataframe(
        frame,
        column_config=columns,
        column_order=list(columns),
        hide_index=True,
        height=height(len(frame), most),
        placeholder="",
        alt=alt,
        key=key,
    )


def moments(values: Iterable[float]) -> list[str]:
    """Times as text in the shown zone."""
    zone = viewer.shown_zone()
    return [times.moment(value, zone=zone) for value in values]


def durations(values: Iterable[float]) -> list[str]:
    """Seconds as text."""
    return [times.duration(value) for value in values]


def text(title: str, width: Any = None) -> Any:
    """A column of text."""
    return st.column_config.TextColumn(title, width=width)


def time_column(title: str, width: Any = 160) -> Any:
    """A column of :func:`moments`; its header names the zone."""
    return st.column_config.TextColumn(f"{title} ({viewer.zone_word()})", width=width)


def count(title: str, width: Any = "small") -> Any:
    """A column of whole numbers."""
    return st.column_config.NumberColumn(title, format="localized", width=width)


def percentage(title: str, width: int = 140) -> Any:
    """A column of fractions from 0 to 1, as progress bars in percent."""
    return st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1, width=width)


def playbook_name(path: str | None) -> str:
    """The playbook's file name."""
    return PurePath(path).name if path else "unknown playbook"
