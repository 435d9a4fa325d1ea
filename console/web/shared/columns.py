# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of Streamlit, column by column: each with its cells, its title and its form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from console.text import times
from console.text.statuses import STYLES, style_of
from console.web.browser import navigation
from console.web.shared import links, viewer

# Height of a row in pixels at the theme's font size.
ROW = 33
MOST_ROWS = 18


class Column(NamedTuple):
    """A column: its name in the frame that is sent, its cells, and how they are drawn (of ``st.column_config``)."""

    name: str
    cells: Iterable[Any]
    config: Any


class Opens(NamedTuple):
    """The first column: a button in each row that opens ``page`` for the row's id. what: what it opens, its title.
    shown: other ids for the buttons to show."""

    what: str
    page: str
    ids: pd.Series
    shown: pd.Series | None = None


def show(
    alt: str, columns: Sequence[Column], key: str | None = None, most: int = MOST_ROWS, opens: Opens | None = None
) -> None:
    """Draw a table; with more than ``most`` rows it scrolls. alt: describes it for screen readers. With ``opens`` the
    key is needed too."""
    buttons = [] if opens is None else [open_buttons(opens, f"{key}_open")]
    frame, config = framed([*buttons, *columns])
    st.dataframe(
        frame, column_config=config, hide_index=True, height=height(len(frame), most), placeholder="", alt=alt, key=key
    )
    if opens is not None:
        follow(opens, f"{key}_open")


def framed(columns: Sequence[Column]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The columns as a frame and the ``column_config`` of ``st.dataframe``."""
    cells = {
        one.name: one.cells.reset_index(drop=True) if isinstance(one.cells, pd.Series) else list(one.cells)
        for one in columns
    }
    return pd.DataFrame(cells), {one.name: one.config for one in columns}


def height(rows: int, most: int = MOST_ROWS) -> Any:
    """The height for so many rows; with more than ``most`` the table scrolls."""
    return "content" if rows <= most else (most + 1) * ROW


def open_buttons(opens: Opens, key: str) -> Column:
    """The column of :class:`Opens`; :func:`follow` then opens the page."""
    shown = opens.ids if opens.shown is None else opens.shown
    labels = [links.short(one) if isinstance(one, str) and one else "" for one in shown]
    return Column("open", labels, st.column_config.ButtonColumn(opens.what, type="tertiary", key=key, alignment="left"))


def follow(opens: Opens, key: str) -> None:
    """Open the page of the row whose button was clicked."""
    click = st.session_state.get(key)
    if click is not None and 0 <= click.row < len(opens.ids) and opens.ids.iloc[click.row]:
        navigation.go(opens.page, opens.ids.iloc[click.row], key)


def _column(cells: Iterable[Any], title: str, config: Any) -> Column:
    return Column(str(getattr(cells, "name", None) or title), cells, config)


def text(cells: Iterable[Any], title: str, width: Any = None) -> Column:
    """Text."""
    return _column(cells, title, st.column_config.TextColumn(title, width=width))


def moments(values: Iterable[float | None], title: str, width: Any = 160) -> Column:
    """Times (epoch seconds) as text in the shown zone; the header names the zone."""
    return text(in_words(values), in_zone(title), width)


def in_words(values: Iterable[float | None]) -> list[str]:
    """Times as text in the shown zone."""
    zone = viewer.shown_zone()
    return [times.moment(value, zone=zone) for value in values]


def in_zone(title: str) -> str:
    """The title of a column of times."""
    return f"{title} ({viewer.zone_word()})"


def durations(seconds: Iterable[float], title: str, width: Any = 100) -> Column:
    """Seconds as text."""
    return text([times.duration(value) for value in seconds], title, width)


def statuses(words: Iterable[str], title: str = "status", width: Any = None) -> Column:
    """Statuses: coloured badges with sign and word."""
    styles = {style.label: style.tone.badge for style in STYLES.values()}
    config = st.column_config.MultiselectColumn(title, options=list(styles), color=list(styles.values()), width=width)
    return Column(title, status_cells(words), config)


def status_cells(words: Iterable[str]) -> pd.Series:
    """Status words as cells of a column of badges."""
    return pd.Series([[style_of(word).label] for word in words], dtype=object)


def count(cells: Iterable[Any], title: str, width: Any = "small") -> Column:
    """Whole numbers."""
    return number(cells, title, "localized", width)


def number(cells: Iterable[Any], title: str, pattern: str, width: Any) -> Column:
    """Numbers in the form of ``pattern``: as of printf, or a word of Streamlit's."""
    return _column(cells, title, st.column_config.NumberColumn(title, format=pattern, width=width))


def percentage(cells: Iterable[Any], title: str, width: int = 140) -> Column:
    """Fractions from 0 to 1, as progress bars in percent."""
    config = st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1, width=width)
    return _column(cells, title, config)


def playbook_name(path: str | None) -> str:
    """The playbook's file name."""
    return PurePath(path).name if path else "unknown playbook"
