# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The change (a ticket of change management) under which a run is made. Pure."""

from __future__ import annotations

import re


def change_problem(change: str, pattern: str) -> str:
    """Why a run may not be made under ``change``, as a sentence; empty if it may.

    ``pattern``: a regular expression that the whole text must match. If it is empty, any text is accepted, or none.
    """
    change = change.strip()
    if "\n" in change:
        return "fleetops_change has more than one line. Give only the number of the change. Nothing was done."
    if not pattern:
        return ""
    try:
        expected = re.compile(pattern)
    except re.error as error:
        return f"fleetops_change_pattern is {pattern!r}, which is not a regular expression: {error}. Nothing was done."
    if not change:
        return (
            f"No change is named, and this fleet requires one that matches {pattern}. Set fleetops_change. "
            "Nothing was done."
        )
    if not expected.fullmatch(change):
        return f"fleetops_change is {change!r}, which does not match {pattern}. Nothing was done."
    return ""
