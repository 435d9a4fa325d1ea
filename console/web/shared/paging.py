# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of which one page is shown, the one that the address names; and the menu Share: the link to a page with its
filters, and all rows of a list as a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from console.record.read.frames import LIST_PAGE, OnePage
from console.settings.environment import load_settings
from console.text import file_formats
from console.text.counts import counted
from console.web.shared import cached, lists

Fetch = Callable[[Path, int], pd.DataFrame]


def address() -> str:
    """The page's address with all its parameters, as the browser shows it."""
    asked = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    return (st.context.url or "") + ("?" + urlencode(asked) if asked else "")


def share(of: str, total: int = 0, fetch: Fetch | None = None) -> None:
    """The menu Share: copy the link, and download all rows that match the filters.

    fetch: returns at most so many rows from the database at a path; it runs only when a file is downloaded.
    of: what is listed; the files and widgets are named after it.
    """
    with st.popover("Share", icon=":material/ios_share:", type="tertiary", key=f"{of}_share"):
        st.caption("Link to this view with its filters and page")
        st.code(address(), language=None, wrap_lines=True)
        if fetch is None or not total:
            return
        narrower = f". A file holds the first {file_formats.MOST:,}; narrow the filters to get the others."
        st.caption(
            f"{counted(total, 'row')} with these filters, times in UTC{narrower if total > file_formats.MOST else ''}"
        )
        path = load_settings().database
        with lists.row():
            for form in file_formats.FORMATS:
                st.download_button(
                    form.name,
                    _deferred(form, fetch, path),
                    file_name=f"{_name(of)}.{form.suffix}",
                    mime=form.mime,
                    on_click="ignore",
                    icon=":material/download:",
                    key=f"{of}_as_{form.suffix}",
                )


@dataclass(frozen=True)
class Listed:
    """A list that can be exported. of: what is listed, for the address and for the name of a file. total: its rows.
    every: at most so many of all rows, from the database at a path."""

    of: str
    total: int
    every: Fetch

    def share(self) -> None:
        """The menu Share."""
        share(self.of, self.total, self.every)

    def head(self, caption: str, row: DeltaGenerator | None = None) -> DeltaGenerator:
        """A caption and the menu Share in a row, by default in a new one; returns the row, for more."""
        row = lists.row() if row is None else row
        with row:
            st.caption(caption, width="content")
            self.share()
        return row

    def header(self, title: str, caption: str = "") -> None:
        """The heading of a section with, if the list is not empty, a caption and the menu Share."""
        with lists.row():
            st.header(title, width="content")
            if self.total:
                if caption:
                    st.caption(caption, width="content")
                self.share()


def _deferred(form: file_formats.Format, fetch: Fetch, path: Path) -> Callable[[], bytes]:
    # The path is passed because Streamlit calls the function in another thread, where the settings cannot be read.
    return lambda: form.write(fetch(path, file_formats.MOST))


def _name(of: str) -> str:
    moment = pd.Timestamp.now("UTC").strftime("%Y%m%dT%H%MZ")
    return f"fleetops-{re.sub(r'[^a-z0-9-]+', '-', of.lower())}-{moment}"


@dataclass(frozen=True)
class Paged(Listed):
    """A list of which one page is shown: its rows, and how many a page has at most."""

    rows: pd.DataFrame
    size: int

    def pager(self) -> None:
        """The control that changes the page, if there is more than one."""
        count = -(-self.total // self.size)
        if count > 1:
            st.pagination(count, key=f"{self.of}_page", bind="query-params")


def asked(of: str, query: Callable[..., OnePage], *args: Any, size: int = LIST_PAGE) -> Paged:
    """A list that a function of ``console.record.read`` returns page by page. of: as of :class:`Paged`."""
    rows, total = _page(of, lambda page: cached.ask(query, *args, page=page, size=size), size)
    return Paged(of, total, lambda path, most: query(path, *args, page=1, size=most)[0], rows, size)


def of_frame(of: str, frame: pd.DataFrame) -> Paged:
    """A list whose rows are all read."""
    rows, total = _page(of, lambda page: (frame[(page - 1) * LIST_PAGE : page * LIST_PAGE], len(frame)), LIST_PAGE)
    return Paged(of, total, lambda _path, most: frame.head(most), rows, LIST_PAGE)


def _page(of: str, fetch: Callable[[int], OnePage], size: int) -> OnePage:
    wanted = str(st.session_state.get(f"{of}_page") or st.query_params.get(f"{of}_page", "1"))
    # Nine digits are more pages than any list has, and fit into SQLite's integers.
    page = int(wanted[:9]) if wanted.isdecimal() else 1
    found, total = fetch(max(1, page))
    if page > 1 and not len(found) and total:
        # With the present filters there are fewer pages than the one in the address.
        found, total = fetch(-(-total // size))
    return found, total
