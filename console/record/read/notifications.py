# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What notifications read of the record: the ledger of what was sent, and the operations that have ended lately."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from sqlite3 import Connection

import pandas as pd

from console.record.connection import dicts
from console.record.read.frames import as_frame, query
from console.record.read.operations import Key, OperationFilter, matching
from console.record.rows import Notification

LEDGER_SECONDS = 30 * 86400.0
LONGEST_OPERATION = 7 * 86400.0
"""Seconds before the times that are asked for at which an operation may have begun."""


@query
def ledger(conn: Connection, now: float, lasting: Collection[str]) -> list[Notification]:
    """What was sent in the last 30 days, and of the subjects ``lasting`` all that is not over."""
    rows = dicts(
        conn,
        "SELECT * FROM notifications WHERE since >= :since"
        " UNION SELECT * FROM notifications"
        " WHERE over_at IS NULL AND subject IN (SELECT value FROM json_each(:lasting))",
        {"since": now - LEDGER_SECONDS, "lasting": json.dumps(sorted(lasting))},
    )
    return [Notification(**row) for row in rows]


@query
def newest(conn: Connection, most: int) -> tuple[list[Notification], int]:
    """The newest rows of the ledger, and how many there are."""
    total = conn.execute("SELECT count(*) FROM notifications").fetchone()[0]
    rows = dicts(conn, _NEWEST, {"most": most})
    return [Notification(**row) for row in rows], total


@query
def newest_frame(conn: Connection, most: int) -> pd.DataFrame:
    """The same as a frame, with the columns of the table."""
    return as_frame(conn, _NEWEST, {"most": most})


_NEWEST = "SELECT * FROM notifications ORDER BY since DESC, destination, subject, key, state LIMIT :most"


@query
def newest_operations(conn: Connection, since: float) -> list[Key]:
    """The operations that ended since a time, or run, oldest first; of those that began up to 7 days before it.

    ``at`` is when each ended, or began if it runs.
    """
    keys = matching(conn, OperationFilter(since=since - LONGEST_OPERATION), judged=True)
    found = [replace(key, at=key.last_at) for key in keys if key.last_at >= since]
    return sorted(found, key=lambda one: (one.at, one.kind, one.key))
