# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledgers of what the console itself did: of actions, to which rows are only added, and of notifications. Each
attempt is recorded before anything is sent, and its outcome afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from console.record.opening import open_to_write
from console.record.rows import SENDING, Notification, Row
from console.record.write.tables import Tables


def open_ledger(path: Path) -> Ledger:
    """Open an existing database for its ledger; an older one is migrated. Raises DatabaseProblem."""
    return Ledger(*open_to_write(path, create=False))


class Ledger(Tables):
    """The open ledger. Each method that writes is one transaction."""

    def begin(self, row: Row) -> bool:
        """Store an attempt. Returns False, and stores nothing, if it was begun before: it must not be sent again."""
        return self._add({**row, "phase": "attempt"})

    def end(self, row: Row) -> bool:
        """Store the outcome of an attempt. Returns False if one is already stored."""
        return self._add({**row, "phase": "outcome"})

    def outcome(self, attempt_id: str) -> Row | None:
        """The stored outcome of an attempt, None if there is none."""
        return self.one("SELECT * FROM console_audit WHERE attempt_id = ? AND phase = 'outcome'", (attempt_id,))

    def _add(self, row: Row) -> bool:
        with self.transaction():
            if self.one("SELECT 1 FROM console_audit WHERE attempt_id = :attempt_id AND phase = :phase", row):
                return False
            self.upsert("console_audit", [row])
            return True


def open_notifications(path: Path) -> Notifications:
    """Open an existing database for its ledger; an older one is migrated. Raises DatabaseProblem, for a copy too."""
    return Notifications(*open_to_write(path, create=False))


class Notifications(Tables):
    """The open ledger. Each method that writes is one transaction."""

    def begin(self, rows: Sequence[Notification], now: float) -> None:
        """Record that one message with these facts is about to be sent.

        ``rows``: one row for each fact. The attempts of a fact that is known, and not over, continue to be counted.
        """
        with self.transaction():
            for row in rows:
                known = self._known(row)
                if known is not None and known.over_at is None:
                    interrupted = known.interrupted + (known.outcome == SENDING)
                    row = replace(row, since=known.since, attempts=known.attempts, interrupted=interrupted)
                self._put(replace(row, outcome=SENDING, attempts=row.attempts + 1, begun_at=now, over_at=None))

    def change(self, rows: Sequence[Notification], **values: Any) -> None:
        """Set columns of stored notifications. ``error``: why an attempt failed, without secrets."""
        with self.transaction():
            for row in rows:
                self._put(replace(self._known(row) or row, **values))

    def _known(self, row: Notification) -> Notification | None:
        found = self.one(
            "SELECT * FROM notifications"
            " WHERE destination = :destination AND subject = :subject AND key = :key AND state = :state",
            asdict(row),
        )
        return Notification(**found) if found else None

    def _put(self, row: Notification) -> None:
        self.upsert("notifications", [asdict(row)])
