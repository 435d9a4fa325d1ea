# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of notifications: a row before anything is sent, and how the attempt ended after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from console.record.opening import open_to_write
from console.record.rows import GAVE_UP, SENDING, Notification, storable
from console.record.write.tables import OpenedDatabase, Tables


def open_notifications(path: Path) -> Notifications:
    """Open an existing database for its ledger; an older one is migrated. Raises DatabaseProblem, for a copy too."""
    return Notifications(Tables(*open_to_write(path, create=False)))


class Notifications(OpenedDatabase):
    """The open ledger. Each method that writes is one transaction."""

    def begin(self, rows: Sequence[Notification], now: float) -> None:
        """Note that one message with these facts is about to be sent.

        ``rows``: each fact's row. Of one that is known, and not over, the attempts are counted on.
        """
        with self._tables.transaction():
            for row in rows:
                known = self._known(row)
                if known is not None and known.over_at is None:
                    unended = int(known.outcome == SENDING)
                    row = replace(
                        row,
                        since=known.since,
                        attempts=known.attempts,
                        interrupted=known.interrupted + unended,
                    )
                self._put(replace(row, outcome=SENDING, attempts=row.attempts + 1, begun_at=now, over_at=None))

    def end(self, rows: Sequence[Notification], outcome: str, now: float, error: str = "") -> None:
        """Note how the attempt that was begun with these rows ended. ``error``: why it failed, without any secret."""
        with self._tables.transaction():
            for row in rows:
                known = self._known(row)
                if known is not None:
                    self._put(replace(known, outcome=outcome, ended_at=now, error=error or None))

    def give_up(self, rows: Sequence[Notification], now: float) -> None:
        """Note that these are not tried again."""
        with self._tables.transaction():
            for row in rows:
                self._put(replace(row, outcome=GAVE_UP, ended_at=now))

    def over(self, rows: Sequence[Notification], now: float) -> None:
        """Note that these conditions are over."""
        with self._tables.transaction():
            for row in rows:
                self._put(replace(row, over_at=now))

    def _known(self, row: Notification) -> Notification | None:
        found = self._tables.one(
            "SELECT * FROM notifications"
            " WHERE destination = :destination AND subject = :subject AND key = :key AND state = :state",
            asdict(row),
        )
        return Notification(**found) if found else None

    def _put(self, row: Notification) -> None:
        self._tables.upsert("notifications", [{**asdict(row), "title": storable(row.title)}])
