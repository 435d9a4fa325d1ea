# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a view along: its address with every filter in it, and what it lists as a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from console.settings.environment import load_settings
from console.text import file_formats
from console.web.shared import lists

Fetch = Callable[[Path, int], pd.DataFrame]


def address() -> str:
    """The page's address with all its parameters, as the browser shows it."""
    asked = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    return (st.context.url or "") + ("?" + urlencode(asked) if asked else "")


def share(of: str, total: int = 0, fetch: Fetch | None = None) -> None:
    """A small menu: copy the link, and download what is listed with the filters that are set, all its pages.

    ``fetch``: gives, from the database at a path, at most so many of the rows; it runs only when a file is asked for.
    of: what is listed; it names the files and the widgets.
    """
    with st.popover("Share", icon=":material/ios_share:", type="tertiary", key=f"{of}_share"):
        st.caption("Link to this view, filters and page included")
        st.code(address(), language=None, wrap_lines=True)
        if fetch is None or not total:
            return
        narrower = f". A file holds the first {file_formats.MOST:,}: narrow the filters for the rest."
        st.caption(
            f"{total:,} row{'s' if total != 1 else ''} with these filters, times in UTC"
            f"{narrower if total > file_formats.MOST else ''}"
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


def _deferred(form: file_formats.Format, fetch: Fetch, path: Path) -> Callable[[], bytes]:
    # Streamlit calls it in another thread, where no setting of the page can be asked for: so the path comes along.
    return lambda: form.write(fetch(path, file_formats.MOST))


def _name(of: str) -> str:
    moment = pd.Timestamp.now("UTC").strftime("%Y%m%dT%H%MZ")
    return f"fleetops-{re.sub(r'[^a-z0-9-]+', '-', of.lower())}-{moment}"
