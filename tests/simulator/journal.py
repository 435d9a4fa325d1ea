# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests under /v1: one row for each request, without its key."""

from __future__ import annotations

from typing import Any


class Journal:
    """The rows in the order in which the requests arrived."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._last = 0

    def open(self, **row: Any) -> dict[str, Any]:
        """Add a row; the caller fills in status, executed and fault when they are known."""
        self._last += 1
        entry = {"seq": self._last, **row, "status": None, "executed": False, "fault": None}
        self.rows.append(entry)
        return entry

    def select(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Rows whose fields, as text, equal the filters; `since` selects greater seqs, `path` is a substring."""
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
