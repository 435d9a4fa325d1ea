# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Automatic refresh of a page, as long as something on it is open and the tab is visible. While something on the page
is selected or zoomed, it is not refreshed; instead, it shows when there is new data, with a button to load it.

Streamlit's timer also runs in a hidden tab, so the browser reports whether the tab is visible.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from console.record.read import frames
from console.settings.environment import load_settings
from console.web.shared import messages

REFRESH_SECONDS = 3.0

_TAB, _TIMER, _HELD, _DATABASE = "tab", "refresh_timer", "refresh_held", "refresh_database"
_JS = Path(__file__).with_name("tab_visibility.js").read_text(encoding="utf-8")


def refreshing(body: Callable[[], None], is_open: Callable[[], bool]) -> None:
    """Draw ``body`` as a fragment in which a database error becomes a message. Refresh the whole page every few seconds
    as long as ``is_open()`` returns True, the tab is visible and ``body`` does not call :func:`hold`."""

    def drawn() -> None:
        st.session_state[_TIMER] = REFRESH_SECONDS if is_open() and not _is_hidden() else None
        st.session_state[_HELD] = False
        st.session_state[_DATABASE] = _database()
        # If this fragment is drawn again before Streamlit has sent all its elements, the rest are never sent, but the
        # place of the timer's fragment is. In a container, the number of elements does not change that place.
        with st.container(), messages.database():
            body()
        if st.session_state[_TIMER] and not st.session_state[_HELD]:
            calls = itertools.count()
            # Streamlit calls it immediately, and then at every interval.
            st.fragment(lambda: st.rerun() if next(calls) else None, run_every=st.session_state[_TIMER])()

    st.fragment(drawn)()
    if is_open():
        st.components.v2.component("fleetops_tab", js=_JS)(
            key=_TAB, data={"hidden": _is_hidden()}, height=1, on_hidden_change=lambda: None
        )


def hold() -> None:
    """Stop the automatic refresh until the body is drawn without this call. Show in its place that it is stopped, and a
    button once the database has changed. Called by the body."""
    st.session_state[_HELD] = True
    database = st.session_state[_DATABASE]

    def notice() -> None:
        if _database() == database:
            st.caption("Automatic refresh is off while something is selected or zoomed", width="content")
            return
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.caption("There is new data", width="content")
            if st.button("Show it", icon=":material/refresh:", type="tertiary"):
                st.rerun()

    if st.session_state[_TIMER]:
        st.fragment(notice, run_every=st.session_state[_TIMER])()


def is_held() -> bool:
    """Whether the body has called :func:`hold` since it began."""
    return bool(st.session_state[_HELD])


def _is_hidden() -> bool:
    """Whether the browser has reported that the tab is hidden."""
    return bool((st.session_state.get(_TAB) or {}).get("hidden", False))


def _database() -> tuple[int, ...]:
    return frames.database_version(load_settings().database)
