# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two rollouts side by side, target by target.

Targets are matched by instance; where the API gave none, by host name. An instance that a rollout names more than once
counts with its last target.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from console.record.read.durations import HOST, PHASE_COLUMNS, PHASES
from console.record.read.frames import PAGE, as_frame, like, reading

KINDS = {
    "new failure": "failed or uncertain now, not before",
    "still failing": "failed or uncertain both times",
    "fixed": "failed or uncertain before, succeeded now",
    "both succeeded": "succeeded both times",
    "other": "open or cancelled in one of the two",
    "only before": "not in the later rollout",
    "only now": "not in the earlier rollout",
}
"""The kinds of change of a target, worst first, with their meaning."""

_KEY = "coalesce(t.instance_id, 'host ' || t.hostname, t.target_id)"


def _side(name: str) -> str:
    return f"""
    SELECT '{name}' AS side, {_KEY} AS key, {HOST} AS host, t.instance_id, t.status, t.error_message, {PHASE_COLUMNS},
           max(t.position) AS last_position
    FROM rollout_targets t WHERE t.tenant = :tenant_{name} AND t.rollout_id = :{name} GROUP BY {_KEY}
    """  # noqa: S608 - fragments of ours


def _of(name: str, column: str) -> str:
    return f"max({column}) FILTER (WHERE side = '{name}')"


_SECONDS = ",\n".join(
    f"""{_of("a", f"{phase}_s")} AS {phase}_a, {_of("b", f"{phase}_s")} AS {phase}_b,
         {_of("b", f"{phase}_s")} - {_of("a", f"{phase}_s")} AS {phase}_more"""
    for phase in PHASES
)

# Grouped, not joined: SQLite's planner has no statistics about the two halves and may compare every pair of targets.
_PAIRS = f"""
WITH sides AS ({_side("a")} UNION ALL {_side("b")}),
matched AS (
  SELECT key, coalesce({_of("b", "host")}, max(host)) AS host, max(instance_id) AS instance_id,
         {_of("a", "status")} AS status_a, {_of("b", "status")} AS status_b,
         {_of("a", "error_message")} AS error_a, {_of("b", "error_message")} AS error_b,
         {_SECONDS}
  FROM sides GROUP BY key
), pairs AS (
  SELECT *,
         CASE WHEN status_b IS NULL THEN 'only before'
              WHEN status_a IS NULL THEN 'only now'
              WHEN status_b IN ('failed', 'uncertain') AND status_a IN ('failed', 'uncertain') THEN 'still failing'
              WHEN status_b IN ('failed', 'uncertain') THEN 'new failure'
              WHEN status_b = 'succeeded' AND status_a IN ('failed', 'uncertain') THEN 'fixed'
              WHEN status_b = 'succeeded' AND status_a = 'succeeded' THEN 'both succeeded'
              ELSE 'other' END AS kind
  FROM matched
)
"""  # noqa: S608 - fragments of ours

_FILTER = """
FROM pairs WHERE (:kinds = '[]' OR kind IN (SELECT value FROM json_each(:kinds)))
  AND (:like = '' OR host LIKE :like ESCAPE '\\' OR instance_id LIKE :like ESCAPE '\\'
       OR error_a LIKE :like ESCAPE '\\' OR error_b LIKE :like ESCAPE '\\')
"""

_WORST = "CASE kind " + " ".join(f"WHEN '{kind}' THEN {place}" for place, kind in enumerate(KINDS)) + " END"

_SCORE = f"""
SELECT kind, count(*) AS targets, avg(queue_more) AS queue_more, avg(countdown_more) AS countdown_more,
       avg(run_more) AS run_more FROM pairs GROUP BY kind ORDER BY {_WORST}
"""  # noqa: S608 - a fragment of ours

COMPARE_SORTS = {
    "Problems first": f"ORDER BY {_WORST}, abs(run_more) DESC NULLS LAST, host",
    "Slower now": "ORDER BY run_more DESC NULLS LAST, host",
    "Faster now": "ORDER BY run_more ASC NULLS LAST, host",
    "Host": "ORDER BY host, key",
}

_NUMBERS = tuple(f"{phase}_{side}" for phase in PHASES for side in ("a", "b", "more"))

Rollout = tuple[str, str]
"""tenant and rollout_id"""


def _sides(a: Rollout, b: Rollout) -> dict[str, object]:
    # Without "now" an open phase has no length, because an unfinished run cannot be compared with a finished one.
    return {"tenant_a": a[0], "a": a[1], "tenant_b": b[0], "b": b[1], "now": None}


def compared_score(path: Path, a: Rollout, b: Rollout) -> pd.DataFrame:
    """How the targets of rollout ``b`` ended compared with ``a``: one row for each kind that occurs, worst first.

    Columns: kind (of KINDS), targets; queue_more, countdown_more, run_more: mean seconds that ``b`` took longer, over
    the targets whose time is known both times (NaN without any).
    """
    with reading(path) as conn:
        return as_frame(
            conn,
            _PAIRS + _SCORE,
            _sides(a, b),
            ("queue_more", "countdown_more", "run_more"),
        )


def compared_page(
    path: Path,
    a: Rollout,
    b: Rollout,
    kinds: Sequence[str] = (),
    search: str = "",
    sort: str = "Problems first",
    page: int = 1,
    size: int = PAGE,
) -> tuple[pd.DataFrame, int]:
    """One page of the targets of two rollouts, ``a`` before and ``b`` now, and how many match.

    Columns: host, instance_id, kind, status_a, status_b; for queue, countdown and run the seconds <phase>_a, <phase>_b
    and <phase>_more (now less before); error_a, error_b. Unknown values of a target are empty.
    """
    params = {**_sides(a, b), "kinds": json.dumps(list(kinds)), "like": like(search)}
    with reading(path) as conn:
        # Matching is the expensive part, so one query gives the rows and their number.
        frame = as_frame(
            conn,
            _PAIRS
            + f"""SELECT host, instance_id, kind, status_a, status_b, {", ".join(_NUMBERS)},
                  substr(error_a, 1, 400) AS error_a, substr(error_b, 1, 400) AS error_b,
                  count(*) OVER () AS matching"""
            + _FILTER
            + COMPARE_SORTS.get(sort, COMPARE_SORTS["Problems first"])
            + " LIMIT :size OFFSET :skip",
            {**params, "size": size, "skip": (page - 1) * size},
            _NUMBERS,
        )
        total = int(frame["matching"].iloc[0]) if len(frame) else 0
        if not total and page > 1:
            total = int(conn.execute(_PAIRS + "SELECT count(*) " + _FILTER, params).fetchone()[0])
    return frame.drop(columns="matching"), total
