# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a serving process does once, at its first visit: load what the pages need, and set it aside for good."""

from __future__ import annotations

import gc
import importlib
from functools import cache

_ROOMS = ("sync_button", "timeline_section", "why_section", "instance_charts", "instance_tables", "share")


@cache
def settle() -> None:
    """Load the rooms of all pages and keep what was loaded out of every later garbage collection.

    Streamlit collects after each run of a page. Going through the classes and functions of pandas, plotly and
    Streamlit took 60 ms of every run, two thirds of an empty page.
    """
    for room in _ROOMS:
        importlib.import_module(f"console.{room}")
    gc.collect()
    gc.freeze()
