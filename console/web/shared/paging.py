# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of which one page is shown, the one that the address names; the file under Share has all its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from console.record.read.frames import LIST_PAGE
from console.web.shared import cached, export_menu


@dataclass(frozen=True)
class Paged(export_menu.Listed):
    """A list of which one page is shown: its rows, and how many a page has at most."""

    rows: pd.DataFrame
    size: int

    def pager(self) -> None:
        """The control that changes the page, if there is more than one."""
        count = -(-self.total // self.size)
        if count > 1:
            st.pagination(count, key=f"{self.of}_page", bind="query-params")


def asked(of: str, query: Callable[..., tuple[pd.DataFrame, int]], *args: Any, size: int = LIST_PAGE) -> Paged:
    """A list that a function of ``console.record.read`` returns page by page. of: as of :class:`Paged`."""
    rows, total = _page(of, lambda page: cached.ask(query, *args, page=page, size=size), size)
    return Paged(of, total, lambda path, most: query(path, *args, page=1, size=most)[0], rows, size)


def of_frame(of: str, frame: pd.DataFrame) -> Paged:
    """A list whose rows are all read."""
    rows, total = _page(of, lambda page: (frame[(page - 1) * LIST_PAGE : page * LIST_PAGE], len(frame)), LIST_PAGE)
    return Paged(of, total, lambda _path, most: frame.head(most), rows, LIST_PAGE)


def _page(of: str, fetch: Callable[[int], tuple[pd.DataFrame, int]], size: int) -> tuple[pd.DataFrame, int]:
    wanted = str(st.session_state.get(f"{of}_page") or st.query_params.get(f"{of}_page", "1"))
    # Nine digits are more pages than any list has, and fit into SQLite's integers.
    page = int(wanted[:9]) if wanted.isdecimal() else 1
    found, total = fetch(max(1, page))
    if page > 1 and not len(found) and total:
        # With the present filters there are fewer pages than the one in the address.
        found, total = fetch(-(-total // size))
    return found, total
