# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the console itself did: attempted actions and notifications; and the recent operations to notify about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from sqlite3 import Connection

from console.record.connection import dicts
from console.record.read.frames import LIST_PAGE, OnePage, as_page, like, query
from console.record.read.operations import ATTEMPTS, NO_OUTCOME, OUTCOME_OF_ATTEMPT, Key, OperationFilter, matching
from console.record.read.sql import among, matches_search
from console.record.rows import Notification

OUTCOMES = ("done", "refused", "failed", "unknown", NO_OUTCOME)

_ACTIONS = f"""{ATTEMPTS}
  AND {among(OUTCOME_OF_ATTEMPT, "outcomes")}
  AND {matches_search("a.user", "a.action", "a.name", "a.reason", "a.rollout_id", "a.instance_id")}
"""


@query
def console_actions(
    conn: Connection, outcomes: Sequence[str] = (), search: str = "", page: int = 1, size: int = LIST_PAGE
) -> OnePage:
    """One page of the attempted actions, newest first, and how many match.

    Columns: at, user, role, action, force, name, rollout_id, target_id, instance_id, reason, outcome (from OUTCOMES),
    detail, targets (their number just before sending, or else as confirmed by the user), http_status, request_id,
    ended_at, attempt_id.
    """
    params = {"outcomes": outcomes, "like": like(search)}
    columns = f"""
    SELECT a.at, a.user, a.role, a.action, a.force, a.name, a.rollout_id, a.target_id, a.instance_id, a.reason,
           {OUTCOME_OF_ATTEMPT} AS outcome, o.detail, coalesce(o.targets, a.targets) AS targets,
           o.http_status, o.request_id, o.at AS ended_at, a.attempt_id
    """
    order = "ORDER BY a.at DESC, a.attempt_id"
    return as_page(conn, columns, _ACTIONS, order, params, page, size, ("targets", "http_status"))


LEDGER_SECONDS = 30 * 86400.0
LONGEST_OPERATION = 7 * 86400.0
"""How long (in seconds) before the requested time an operation may have begun."""


@query
def ledger(conn: Connection, now: float, lasting: Collection[str]) -> list[Notification]:
    """The notifications of the last 30 days, and all of the subjects ``lasting`` that are not over."""
    rows = dicts(
        conn,
        "SELECT * FROM notifications WHERE since >= :since"
        " UNION SELECT * FROM notifications"
        " WHERE over_at IS NULL AND subject IN (SELECT value FROM json_each(:lasting))",
        {"since": now - LEDGER_SECONDS, "lasting": sorted(lasting)},
    )
    return [Notification(**row) for row in rows]


@query
def notifications(conn: Connection, page: int = 1, size: int = LIST_PAGE) -> OnePage:
    """One page of the notifications, newest first, in the columns of the table, and how many there are."""
    order = "ORDER BY since DESC, destination, subject, key, state"
    return as_page(conn, "SELECT *", "FROM notifications", order, {}, page, size)


@query
def newest_operations(conn: Connection, since: float) -> list[Key]:
    """The operations that ended since a time or are running, oldest first. Those that began more than 7 days before the
    time are left out."""
    keys = matching(conn, OperationFilter(since=since - LONGEST_OPERATION), judged=True)
    return sorted((key for key in keys if key.last_at >= since), key=lambda key: (key.last_at, key.kind, key.key))
