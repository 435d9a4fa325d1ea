# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of actions tried from the console: table console_audit, to which rows are only added."""

from __future__ import annotations

from pathlib import Path

from console.record.opening import open_to_write
from console.record.rows import Row
from console.record.write.tables import OpenedDatabase, Tables


def open_ledger(path: Path) -> Ledger:
    """Open an existing database for its ledger; an older one is migrated. Raises DatabaseProblem."""
    return Ledger(Tables(*open_to_write(path, create=False)))


class Ledger(OpenedDatabase):
    """The open ledger. Each method that writes is one transaction."""

    def begin(self, row: Row) -> bool:
        """Store an attempt; False, and nothing stored, if it was begun before: then it must not be sent again."""
        return self._add({**row, "phase": "attempt"})

    def end(self, row: Row) -> bool:
        """Store the outcome of an attempt; False if one is stored already."""
        return self._add({**row, "phase": "outcome"})

    def outcome(self, attempt_id: str) -> Row | None:
        """The stored outcome of an attempt, None without one."""
        return self._tables.one("SELECT * FROM console_audit WHERE attempt_id = ? AND phase = 'outcome'", (attempt_id,))

    def _add(self, row: Row) -> bool:
        with self._tables.transaction():
            if self._tables.one("SELECT 1 FROM console_audit WHERE attempt_id = :attempt_id AND phase = :phase", row):
                return False
            self._tables.upsert("console_audit", [row])
            return True
