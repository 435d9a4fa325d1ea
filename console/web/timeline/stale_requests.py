# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that were on their way when the page changed something by itself.

A page that refreshes itself asks every few seconds, whatever else goes on. A request that the browser wrote before it
knew of a change still tells the value of before, in the address and for each widget; Streamlit would take it for the
reader's will and undo the change.
"""

from __future__ import annotations

import time
from typing import TypeVar

import streamlit as st

# A request is answered in well under a second, and in a few on a busy machine.
SECONDS = 3.0

T = TypeVar("T")


def changed(name: str, before: T, after: T) -> None:
    """Remember that the page itself changed ``name`` from one value to another."""
    now = time.monotonic()
    former, _after = st.session_state.get(_key(name), ([], None))
    recent = [(value, at) for value, at in former if now - at < SECONDS]
    st.session_state[_key(name)] = ([*recent, (before, now)], after)


def meant(name: str, told: T) -> T:
    """What a request means that tells ``told``: what is after the newest change if that was shortly before."""
    former, after = st.session_state.get(_key(name), ([], None))
    now = time.monotonic()
    return after if any(told == value and now - at < SECONDS for value, at in former) else told


def _key(name: str) -> str:
    return f"{name}_changed"
