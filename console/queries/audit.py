# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runtime audit: how much of the API's log the database holds, and its daily counts."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

from console.queries.reading import as_frame, reading


def audit_coverage(path: Path) -> pd.DataFrame:
    """By instance: host, instance_id, ours (events stored), and the API's own figures: total, success, error, denied.

    taken_at is when the API gave its figures; without them the last five are empty.
    """
    with reading(path) as conn:
        return as_frame(
            conn,
            """
            WITH ours AS (SELECT tenant, instance_id, sum(n) AS n FROM audit_daily GROUP BY tenant, instance_id),
            theirs AS (
              SELECT tenant, instance_id, max(taken_at) AS taken_at FROM audit_summaries GROUP BY tenant, instance_id),
            both AS (SELECT tenant, instance_id FROM ours UNION SELECT tenant, instance_id FROM theirs)
            SELECT coalesce(i.hostname, both.instance_id) AS host, both.instance_id, coalesce(ours.n, 0) AS ours,
                   s.total, s.success, s.error, s.denied, s.taken_at
            FROM both LEFT JOIN ours USING (tenant, instance_id) LEFT JOIN theirs USING (tenant, instance_id)
            LEFT JOIN audit_summaries s
              ON s.tenant = both.tenant AND s.instance_id = both.instance_id AND s.taken_at = theirs.taken_at
            LEFT JOIN instances i ON i.tenant = both.tenant AND i.instance_id = both.instance_id
            ORDER BY s.error + s.denied DESC NULLS LAST, host LIMIT 5000
            """,
            {},
            ("ours", "total", "success", "error", "denied", "taken_at"),
        )


def audit_counts(path: Path, by: str, instance_id: str = "", days: int = 0, now: float = 0.0) -> pd.DataFrame:
    """Stored events by 'day', 'source', 'tool_name' or 'role', and outcome: columns <by>, outcome, events.

    days: only the last n days up to ``now``; 0 for all. An event without a time counts only in all. At most the 2,000
    biggest groups.
    """
    column = {"day": "day", "source": "source", "tool_name": "tool_name", "role": "role"}[by]
    since = time.strftime("%Y-%m-%d", time.gmtime(now - (days - 1) * 86400)) if days else ""
    with reading(path) as conn:
        frame = as_frame(
            conn,
            f"""
            SELECT {column} AS key, outcome, sum(n) AS events FROM audit_daily
            WHERE (:instance = '' OR instance_id = :instance) AND (:since = '' OR day >= :since)
            GROUP BY 1, 2 ORDER BY events DESC LIMIT 2000
            """,  # noqa: S608 - one of the four words above
            {"instance": instance_id, "since": since},
        ).rename(columns={"key": by})
    if by == "day":
        frame = frame[frame["day"] != ""].sort_values("day", ignore_index=True)
    return frame
