# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked under /v1: one row a request, never a key."""

from __future__ import annotations

from typing import Any


class Journal:
    """Rows in the order in which requests arrived."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._last = 0

    def open(self, **row: Any) -> dict[str, Any]:
        """A row whose end (status, executed, fault) is filled in when it is known."""
        self._last += 1
        entry = {"seq": self._last, **row, "status": None, "executed": False, "fault": None}
        self.rows.append(entry)
        return entry

    def select(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Rows whose fields equal the filters as text; `since` keeps rows with a greater seq, `path` is a substring."""
        since = int(filters.pop("since", 0))
        part = filters.pop("path", "")
        return [
            row
            for row in self.rows
            if row["seq"] > since
            and part in row["path"]
            and all(str(row.get(key)).lower() == value.lower() for key, value in filters.items())
        ]

    def clear(self) -> None:
        self.rows.clear()
