# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists that are shown page by page, with the number of the page in the address; and the menu Share: the link to a page
with its filters, and all rows of a list as a file."""

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
"""From the path of the database and a maximum number of rows to the rows of a list."""


def share(name: str, total: int = 0, fetch: Fetch | None = None) -> None:
    """The menu Share: copy the link, and download all rows that match the filters.

    name: what is listed; part of the names of the files and widgets. fetch: called only when a file is downloaded.
    """
    with st.popover("Share", icon=":material/ios_share:", type="tertiary", key=f"{name}_share"):
        st.caption("Link to this view with its filters and page")
        parameters = [(key, value) for key in st.query_params for value in st.query_params.get_all(key)]
        address = (st.context.url or "") + ("?" + urlencode(parameters) if parameters else "")
        st.code(address, language=None, wrap_lines=True)
        if fetch is None or not total:
            return
        shown = f"{counted(total, 'row')} with these filters, times in UTC"
        if total > file_formats.MAX_ROWS:
            shown += f". A file contains the first {file_formats.MAX_ROWS:,}; narrow the filters to get the others."
        st.caption(shown)
        path = load_settings().database
        stem = f"fleetops-{re.sub(r'[^a-z0-9-]+', '-', name.lower())}-{pd.Timestamp.now('UTC'):%Y%m%dT%H%MZ}"
        with lists.row():
            for form in file_formats.FORMATS:
                st.download_button(
                    form.name,
                    _deferred(form, fetch, path),
                    file_name=f"{stem}.{form.suffix}",
                    mime=form.mime,
                    on_click="ignore",
                    icon=":material/download:",
                    key=f"{name}_as_{form.suffix}",
                )


@dataclass(frozen=True)
class Listed:
    """A list that can be exported. name: what is listed; part of URL parameters and file names. total: how many rows
    there are. fetch: returns all of them, up to a maximum."""

    name: str
    total: int
    fetch: Fetch

    def share(self) -> None:
        share(self.name, self.total, self.fetch)

    def head(self, caption: str, row: DeltaGenerator | None = None) -> DeltaGenerator:
        """Draw a caption and the menu Share in a row, by default a new one. Returns the row, so that more can be added
        to it."""
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
    return lambda: form.write(fetch(path, file_formats.MAX_ROWS))


@dataclass(frozen=True)
class Paged(Listed):
    """A list of which one page is shown. rows: those of the page. size: the maximum number of rows of a page."""

    rows: pd.DataFrame
    size: int

    def pager(self) -> None:
        """The control that changes the page, if there is more than one."""
        count = -(-self.total // self.size)
        if count > 1:
            st.pagination(count, key=f"{self.name}_page", bind="query-params")


def from_query(name: str, query: Callable[..., OnePage], *args: Any, size: int = LIST_PAGE) -> Paged:
    """A list that a function of ``console.record.read`` returns page by page."""
    rows, total = _page(name, lambda page: cached.ask(query, *args, page=page, size=size), size)
    return Paged(name, total, lambda path, most: query(path, *args, page=1, size=most)[0], rows, size)


def from_frame(name: str, frame: pd.DataFrame) -> Paged:
    """A list whose rows have all been read."""
    rows, total = _page(name, lambda page: (frame[(page - 1) * LIST_PAGE : page * LIST_PAGE], len(frame)), LIST_PAGE)
    return Paged(name, total, lambda _path, most: frame.head(most), rows, LIST_PAGE)


def _page(name: str, fetch: Callable[[int], OnePage], size: int) -> OnePage:
    wanted = str(st.session_state.get(f"{name}_page") or st.query_params.get(f"{name}_page", "1"))
    # Nine digits are enough for any list, and fit into SQLite's integers.
    page = int(wanted[:9]) if wanted.isdecimal() else 1
    found, total = fetch(max(1, page))
    if page > 1 and not len(found) and total:
        # With the current filters there are fewer pages than the address asks for.
        found, total = fetch(-(-total // size))
    return found, total
