# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions tried from the console: who, what, why, and the outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection

import pandas as pd

from console.record.read.frames import LIST_PAGE, as_page, like, query
from console.record.read.sql import among, looked_for

NO_OUTCOME = "no outcome"
OUTCOMES = ("done", "refused", "failed", "unknown", NO_OUTCOME)

_ACTIONS = f"""
FROM console_audit a LEFT JOIN console_audit o ON o.attempt_id = a.attempt_id AND o.phase = 'outcome'
WHERE a.phase = 'attempt'
  AND {among(f"coalesce(o.outcome, '{NO_OUTCOME}')", "outcomes")}
  AND {looked_for("a.user", "a.action", "a.name", "a.reason", "a.rollout_id", "a.instance_id")}
"""


@query
def console_actions(
    conn: Connection, outcomes: Sequence[str] = (), search: str = "", page: int = 1, size: int = LIST_PAGE
) -> tuple[pd.DataFrame, int]:
    """One page of what was tried, newest first, and how many match.

    at, user, role, action, force, name, rollout_id, target_id, instance_id, reason, outcome (of OUTCOMES), detail,
    targets (as found just before sending, or else as confirmed), http_status, request_id, ended_at, attempt_id.
    """
    params = {"outcomes": json.dumps(list(outcomes)), "like": like(search)}
    columns = f"""
    SELECT a.at, a.user, a.role, a.action, a.force, a.name, a.rollout_id, a.target_id, a.instance_id, a.reason,
           coalesce(o.outcome, '{NO_OUTCOME}') AS outcome, o.detail, coalesce(o.targets, a.targets) AS targets,
           o.http_status, o.request_id, o.at AS ended_at, a.attempt_id
    """
    order = "ORDER BY a.at DESC, a.attempt_id"
    return as_page(conn, columns, _ACTIONS, order, params, page, size, ("targets", "http_status"))
