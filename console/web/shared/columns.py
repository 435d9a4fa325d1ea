# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the columns of the pages' tables look: texts, counts, times, and the table itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from console.text import times
from console.text.time_zone import offset
from console.web.shared import viewer

# Pixels a row at the theme's font size.
ROW = 33
MOST_ROWS = 18


def height(rows: int, most: int = MOST_ROWS) -> Any:
    """As high as the rows of a short table; a long one scrolls."""
    return "content" if rows <= most else (most + 1) * ROW


def show(frame: pd.DataFrame, columns: dict[str, Any], alt: str, key: str | None = None, most: int = MOST_ROWS) -> None:
    """The columns of a frame that ``columns`` names, in its order; ``alt`` says what the table is."""
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
    """Times as text in UTC."""
    return [times.moment(value) for value in values]


def durations(values: Iterable[float]) -> list[str]:
    """Seconds as text."""
    return [times.duration(value) for value in values]


def text(title: str, width: Any = None) -> Any:
    """A column of plain texts."""
    return st.column_config.TextColumn(title, width=width)


def utc(title: str, width: Any = 160) -> Any:
    """A column of :func:`moments`; on hover its head says what the viewer's own zone is beside UTC."""
    zone = viewer.zone()
    own = f"UTC. Yours: {zone}, now {offset(zone, viewer.clock())}." if zone else None
    return st.column_config.TextColumn(f"{title} (UTC)", width=width, help=own)


def count(title: str, width: Any = "small") -> Any:
    """A column of whole numbers."""
    return st.column_config.NumberColumn(title, format="localized", width=width)


def share(title: str, width: int = 140) -> Any:
    """A column of shares from 0 to 1, as bars."""
    return st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1, width=width)


def playbook_name(path: str | None) -> str:
    """The playbook's file name."""
    return PurePath(path).name if path else "unknown playbook"
