# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts and their targets, by rollout or by the playbook run that started or followed them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import pandas as pd

from console.outcomes.facts import Target
from console.record.connection import dicts, first_row, first_value
from console.record.read.frames import LIST_PAGE, PAGE, OnePage, as_frame, as_page, like, query
from console.record.read.sql import (
    GOES_ON,
    HOST,
    ROLLOUT_STATUS,
    RUN_SECONDS,
    SENT,
    among,
    matches_search,
    only_host_of,
    run_of,
)

SHORT_ID = 8
"""How many characters of its id follow the host name of an instance if another one has this name too."""

_HAS_TARGET = f"""EXISTS (
    SELECT 1 FROM rollout_targets t WHERE t.tenant = o.tenant AND t.rollout_id = o.rollout_id
    AND {matches_search("t.hostname", "t.instance_id")})"""  # noqa: S608 - no user input
_ROLLOUT_FILTER = f"""
FROM rollouts o
WHERE {among(ROLLOUT_STATUS, "statuses")}
  AND (:scope = '' OR scope = :scope)
  AND {matches_search("rollout_id", also=_HAS_TARGET)}
"""

_ROLLOUT_COLUMNS = f"""
SELECT o.rollout_id, o.tenant, o.scope, {ROLLOUT_STATUS} AS status, {GOES_ON} AS is_open, o.created_at, o.completed_at,
       o.total, o.succeeded, o.failed, o.uncertain, o.queued, o.in_progress, o.cancelled,
       {only_host_of("o")} AS host, {run_of("o.rollout_id")} AS run_id
"""


@query
def rollouts(
    conn: Connection,
    statuses: Sequence[str] = (),
    scope: str = "",
    search: str = "",
    page: int = 1,
    size: int = LIST_PAGE,
) -> OnePage:
    """One page of rollouts, newest first, and how many match. search: part of an id or of a target's host name.

    status: 'lost' for an open rollout whose end will never be read, which is_open does not count as open. host is set
    for rollouts of one target; run_id is the playbook run that started the rollout, if known.
    """
    params = {"statuses": statuses, "scope": scope, "like": like(search)}
    order = "ORDER BY o.created_at DESC, o.rollout_id"
    return as_page(conn, _ROLLOUT_COLUMNS, _ROLLOUT_FILTER, order, params, page, size)


def _of_run(conn: Connection, run_id: str, columns: str, table: str) -> pd.DataFrame:
    """The rows of a table for the rollouts of a run, including rollouts that no result of the run names yet."""
    sql = f"""
    WITH {SENT}, own AS (
      SELECT k.tenant, l.ref AS rollout_id FROM run_links l CROSS JOIN tenants k
      WHERE l.run_id = :run AND l.kind = 'rollout'
      UNION SELECT tenant, rollout_id FROM sent)
    {columns} FROM own CROSS JOIN {table} USING (tenant, rollout_id) ORDER BY created_at
    """  # noqa: S608 - no user input
    return as_frame(conn, sql, {"run": run_id})


@query
def rollouts_of_run(conn: Connection, run_id: str) -> pd.DataFrame:
    """The rollouts that a playbook run started or followed, oldest first, in the columns of :func:`rollouts`."""
    return _of_run(conn, run_id, _ROLLOUT_COLUMNS, "rollouts o")


@query
def rollout(conn: Connection, rollout_id: str) -> dict[str, Any] | None:
    """Everything stored about one rollout, with status and is_open as in :func:`rollouts`; None if it is not known. If
    its API was read at two addresses, this is the newer read."""
    sql = f"""
    SELECT o.*, {ROLLOUT_STATUS} AS status, {GOES_ON} AS is_open
    FROM tenants JOIN rollouts o ON o.tenant = tenants.tenant AND o.rollout_id = :id ORDER BY o.updated_at DESC LIMIT 1
    """  # noqa: S608 - no user input
    return first_row(conn, sql, {"id": rollout_id})


_TARGET_COLUMNS = f"""
SELECT t.target_id, t.rollout_id, t.instance_id, {HOST} AS host, t.status,
       t.is_open, t.created_at, t.started_at, t.completed_at, t.countdown_s
"""


@query
def targets_of(conn: Connection, tenant: str, rollout_id: str) -> pd.DataFrame:
    """All targets of a rollout, in the API's order."""
    found = as_frame(
        conn,
        _TARGET_COLUMNS
        + """
        , substr(t.error_message, 1, 2000) AS error, t.position
        FROM rollout_targets t WHERE t.tenant = :tenant AND t.rollout_id = :id
        """,
        {"tenant": tenant, "id": rollout_id},
    )
    # Not sorted by SQLite, which would sort complete rows and take four times as long for 20,000 targets.
    return found.sort_values("position", kind="stable", ignore_index=True).drop(columns="position")


@query
def targets_of_run(conn: Connection, run_id: str) -> pd.DataFrame:
    """The targets of all rollouts that a playbook run started or followed, in the columns of :func:`targets_of`."""
    return _of_run(conn, run_id, f"{_TARGET_COLUMNS}, substr(t.error_message, 1, 400) AS error", "rollout_targets t")


_TARGET_FILTER = f"""
FROM rollout_targets t
WHERE t.tenant = :tenant AND t.rollout_id = :id
  AND {among("t.status", "statuses")} AND {matches_search("t.hostname", "t.instance_id", "t.error_message")}
  AND (:first IS NULL OR (t.started_at <= :last
       AND coalesce(t.completed_at, CASE WHEN t.is_open THEN :now END) >= :first))
  AND (:only IS NULL OR t.target_id IN (SELECT value FROM json_each(:only)))
"""  # noqa: S608 - no user input

TARGET_SORTS = {
    "Problems first": """ORDER BY CASE t.status WHEN 'failed' THEN 0 WHEN 'uncertain' THEN 1 WHEN 'in_progress' THEN 2
        WHEN 'queued' THEN 3 WHEN 'cancelled' THEN 4 WHEN 'succeeded' THEN 6 ELSE 5 END,
        t.started_at IS NULL, t.started_at, t.position""",
    "Start": "ORDER BY t.started_at IS NULL, t.started_at, t.position",
    "Slowest first": """ORDER BY coalesce(t.completed_at, CASE WHEN t.is_open THEN :now END) - t.started_at DESC,
        t.position""",
    "Host": f"ORDER BY {HOST}, t.position",
}


@dataclass(frozen=True)
class TargetFilter:
    """Which targets the table shows. window: only targets whose run phase overlaps this period (epoch seconds).

    only: ids of targets; None for all.
    """

    statuses: tuple[str, ...] = ()
    search: str = ""
    window: tuple[float, float] | None = None
    sort: str = "Problems first"
    only: tuple[str, ...] | None = None


@query
def target_page(
    conn: Connection, tenant: str, rollout_id: str, wanted: TargetFilter, now: float, page: int = 1, size: int = PAGE
) -> OnePage:
    """One page of a rollout's targets for the table, and how many match.

    In addition to the columns of :func:`targets_of`: took_s (until ``now`` while it is running), waited_s, unread (a
    value that the API sent as a time and that is not one), bundle_hash, last_result_status.
    """
    first, last = wanted.window or (None, None)
    key = {"tenant": tenant, "id": rollout_id, "now": now}
    params = {**vars(wanted), **key, "like": like(wanted.search), "first": first, "last": last}
    columns = f"""
    {_TARGET_COLUMNS}, substr(t.error_message, 1, 400) AS error, {RUN_SECONDS} AS took_s,
    max(0, t.started_at - t.created_at) AS waited_s, t.last_result_status, t.bundle_hash,
    CASE WHEN t.started_at IS NULL AND t.started_raw <> '' THEN t.started_raw
         WHEN t.completed_at IS NULL AND t.completed_raw <> '' THEN t.completed_raw END AS unread
    """
    sort = TARGET_SORTS.get(wanted.sort, TARGET_SORTS["Problems first"])
    return as_page(conn, columns, _TARGET_FILTER, sort, params, page, size)


@query
def runs_of_rollout(conn: Connection, rollout_id: str) -> pd.DataFrame:
    """The playbook runs that name a rollout: run_id, playbook, status, started_at."""
    sql = """
    SELECT runs.run_id, runs.playbook, runs.status, runs.started_at FROM run_links l
    JOIN runs ON runs.run_id = l.run_id WHERE l.kind = 'rollout' AND l.ref = :id
    ORDER BY runs.started_at LIMIT 20
    """
    return as_frame(conn, sql, {"id": rollout_id})


@query
def bundles(conn: Connection, tenant: str, rollout_id: str) -> pd.DataFrame:
    """The bundles on the succeeded targets of a rollout: bundle, targets, first_host, first_at, last_at.

    More than one row means drift: the rollout did not deploy the same runtime everywhere. Targets without a bundle hash
    are left out.
    """
    sql = f"""
    SELECT t.bundle_hash AS bundle, count(*) AS targets, min({HOST}) AS first_host,
           min(t.completed_at) AS first_at, max(t.completed_at) AS last_at
    FROM rollout_targets t
    WHERE t.tenant = :tenant AND t.rollout_id = :id AND t.status = 'succeeded' AND t.bundle_hash <> ''
    GROUP BY t.bundle_hash ORDER BY targets DESC, bundle LIMIT 100
    """  # noqa: S608 - no user input
    return as_frame(conn, sql, {"tenant": tenant, "id": rollout_id})


_PREVIOUS = """
SELECT * FROM (
  SELECT b.rollout_id FROM rollouts a CROSS JOIN rollouts b
    ON b.tenant = a.tenant AND b.created_at < a.created_at AND b.scope IS a.scope
  WHERE a.tenant = :tenant AND a.rollout_id = :id AND a.total IS NOT 1 ORDER BY b.created_at DESC LIMIT 1)
UNION ALL SELECT * FROM (
  SELECT b.rollout_id FROM rollouts a CROSS JOIN rollout_targets t USING (tenant, rollout_id)
  CROSS JOIN rollout_targets b INDEXED BY rollout_targets_instance
    ON b.tenant = t.tenant AND b.instance_id = t.instance_id AND b.created_at < a.created_at
  CROSS JOIN rollouts r ON r.tenant = b.tenant AND r.rollout_id = b.rollout_id AND r.scope IS a.scope
  WHERE a.tenant = :tenant AND a.rollout_id = :id AND a.total = 1 ORDER BY b.created_at DESC LIMIT 1)
"""


@query
def previous_rollout(conn: Connection, tenant: str, rollout_id: str) -> str | None:
    """The id of the previous rollout of the same scope and, for a rollout of one target, of the same instance."""
    found: str | None = first_value(conn, _PREVIOUS, {"tenant": tenant, "id": rollout_id})
    return found


_TARGET = """
SELECT {host} AS host, t.target_id, coalesce(t.instance_id, '') AS instance_id, t.status, t.created_at, t.started_at,
       t.completed_at, substr(coalesce(t.error_message, ''), 1, 2000) AS message, t.rollout_id
"""
# An instance is shown with its name in the inventory, unless the results of that host contain the ids of several
# instances, as in a loop.
_TARGETS_OF_RUN = f"""
WITH {SENT}
{_TARGET.format(host=f"coalesce(i.host, {HOST})")}
FROM run_links l CROSS JOIN tenants CROSS JOIN rollout_targets t
LEFT JOIN run_links i ON i.run_id = l.run_id AND i.kind = 'instance' AND i.ref = t.instance_id
  AND i.host IN (SELECT host FROM run_links WHERE run_id = :run AND kind = 'instance' AND host <> 'localhost'
                 GROUP BY host HAVING count(*) = 1)
WHERE l.run_id = :run AND l.kind = 'rollout' AND t.tenant = tenants.tenant AND t.rollout_id = l.ref
  AND (:only IS NULL OR l.host IN (SELECT value FROM json_each(:only)))
UNION ALL
{_TARGET.format(host=f"coalesce(s.host, {HOST})")}
FROM sent s CROSS JOIN rollout_targets t USING (tenant, rollout_id)
"""  # noqa: S608 - no user input


def target_facts(conn: Connection, run_id: str, only: Iterable[str] | None) -> list[Target]:
    """The targets of all rollouts that a run started or followed, including rollouts that no result names yet.

    only: hosts, or None for all. Of the rollouts that results name, only those of these hosts' results are read.
    """
    params = {"run": run_id, "only": None if only is None else sorted(only)}
    return [Target(**row) for row in dicts(conn, _TARGETS_OF_RUN, params)]


def names_apart(instances: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """For instances (host name and id) with the same host name, names as in the inventory, which end with the id."""
    ids: dict[str, set[str]] = {}
    for host, instance_id in instances:
        ids.setdefault(host, set()).update({instance_id} - {""})
    names: dict[tuple[str, str], str] = {}
    for host, found in ids.items():
        end = SHORT_ID if len({i[:SHORT_ID] for i in found}) == len(found) else None
        names |= {(host, i): f"{host}-{i[:end]}" for i in found if len(found) > 1}
    return names
