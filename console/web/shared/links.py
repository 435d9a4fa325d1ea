# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids in addresses, and the ways to open what a list names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from console.web.browser import navigation


def short(identifier: str) -> str:
    """The first signs of an id, safe in a heading."""
    return re.sub(r"[^\w-]", "", identifier)[:8] or "?"


def wanted_id() -> str:
    """The id in the page's address, '' without one."""
    return str(st.query_params.get("id", "")).strip()


def open_column(title: str, key: str) -> Any:
    """A table column of buttons that open the row's page; its cells hold the buttons' labels."""
    return st.column_config.ButtonColumn(title, type="tertiary", key=key, alignment="left")


def follow(key: str, page: str, ids: Sequence[str]) -> None:
    """Go where a click in :func:`open_column` leads."""
    click = st.session_state.get(key)
    if click is not None and 0 <= click.row < len(ids):
        navigation.go(page, ids[click.row], key)


def go_to(what: str, page: str, ids: Sequence[str], names: Sequence[str]) -> None:
    """A box that opens the page of one of the listed, by typing a part of its name: the buttons in a table answer a
    pointer only. what: the word for one of them, which names the box."""
    one = f"a{'n' if what[0] in 'aeiou' else ''} {what}"
    place = st.selectbox(
        f"Open {one} of this list",
        range(len(ids)),
        format_func=lambda row: names[row],
        index=None,
        placeholder=f"Open {one}",
        label_visibility="collapsed",
        key=f"go_to_{what}",
        width=230,
    )
    if place is not None:
        navigation.go(page, ids[place], f"go_to_{what}")
