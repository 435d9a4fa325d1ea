# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer's clock, time zone and theme."""

from __future__ import annotations

import time

import streamlit as st

from console.text import times
from console.text.time_zone import known, local


def clock() -> float:
    """The current time, in whole epoch seconds."""
    return float(int(time.time()))


def ago(at: float) -> str:
    """How long ago, in words."""
    return times.ago(time.time() - at)


def zone() -> str:
    """The viewer's time zone as the browser names it; '' for UTC and for a name that is not in the tz database."""
    return known(st.context.timezone)


def local_time(*moments: float | None) -> str | None:
    """Times in the viewer's zone, for the help of an element that shows them in UTC; None if the zone is UTC."""
    return local(zone(), *moments) or None


def theme() -> str:
    """'light' or 'dark', as the browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"
