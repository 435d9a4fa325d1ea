# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables drawn by Streamlit. Each column has its cells, its title and its format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.text import times
from console.text.statuses import STYLES, style_of
from console.web.shared import viewer

# Height of a row in pixels at the theme's font size.
ROW = 33
VISIBLE_ROWS = 18
_ALL = tuple(STYLES)


class Column(NamedTuple):
    """A column: its name in the frame that is sent, its cells, and how they are drawn (see ``st.column_config``)."""

    name: str
    cells: Iterable[Any]
    config: Any


def show(alt: str, shown: Sequence[Column], key: str | None = None, visible: int = VISIBLE_ROWS, **more: Any) -> None:
    """Draw a table of these columns. With more than ``visible`` rows it scrolls.

    alt: describes it for screen readers. more: arguments of ``st.dataframe``.
    """
    frame = pd.DataFrame(
        {
            # Matched by position, because the index of a sorted or filtered frame is not consecutive.
            name: cells.reset_index(drop=True) if isinstance(cells, pd.Series) else list(cells)
            for name, cells, _config in shown
        }
    )
    st.dataframe(
        frame,
        column_config={column.name: column.config for column in shown},
        hide_index=True,
        height="content" if len(frame) <= visible else (visible + 1) * ROW,
        placeholder="",
        alt=alt,
        key=key,
        **more,
    )


def _column(cells: Iterable[Any], title: str, config: Any) -> Column:
    return Column(str(getattr(cells, "name", None) or title), cells, config)


def text(cells: Iterable[Any], title: str, width: Any = None, pinned: bool | None = None) -> Column:
    """A column of text, without characters that would change its direction."""
    shown = [printable(cell) if isinstance(cell, str) else cell for cell in cells]
    name = str(getattr(cells, "name", None) or title)
    return Column(name, shown, st.column_config.TextColumn(title, width=width, pinned=pinned))


def moments(values: Iterable[float | None], title: str, width: Any = 160) -> Column:
    """A column of times (epoch seconds) as text in the shown zone, which the header names."""
    return text(time_texts(values), with_zone(title), width)


def periods(first: Iterable[float | None], last: Iterable[float | None], title: str) -> Column:
    """A column of periods as text in the shown zone, which the header names. A missing end is shown as 'now'."""
    pairs = zip(time_texts(first), time_texts(last), strict=True)
    return text([f"{begin} to {end or 'now'}" if begin else "" for begin, end in pairs], with_zone(title), 300)


def time_texts(values: Iterable[float | None]) -> list[str]:
    zone = viewer.shown_zone()
    return [times.moment(value, zone=zone) for value in values]


def with_zone(title: str) -> str:
    return f"{title} ({viewer.zone_word()})"


def durations(seconds: Iterable[float], title: str, width: Any = 100) -> Column:
    """A column of seconds as text."""
    return text([times.duration(value) for value in seconds], title, width)


def statuses(
    words: Iterable[str], title: str = "status", width: Any = None, among: Iterable[str] = _ALL, pinned: bool = False
) -> Column:
    """A column of statuses as coloured badges with sign and word. among: those that can occur, because sending all of
    them makes a wide table slow."""
    styles, title = [style_of(word) for word in among], printable(title)
    cells = [[style_of(word).label] if isinstance(word, str) else [] for word in words]
    config = st.column_config.MultiselectColumn(
        title,
        options=[style.label for style in styles],
        color=[style.tone.badge for style in styles],
        width=width,
        pinned=pinned,
    )
    return Column(title, pd.Series(cells, dtype=object), config)


def count(cells: Iterable[Any], title: str, width: Any = "small") -> Column:
    return number(cells, title, "localized", width)


def number(cells: Iterable[Any], title: str, pattern: str, width: Any) -> Column:
    """A column of numbers. pattern: a format of printf, or one of the formats that Streamlit names."""
    return _column(cells, title, st.column_config.NumberColumn(title, format=pattern, width=width))


def percentage(cells: Iterable[Any], title: str, width: int = 140) -> Column:
    """A column of fractions from 0 to 1, as progress bars in percent."""
    config = st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1, width=width)
    return _column(cells, title, config)
