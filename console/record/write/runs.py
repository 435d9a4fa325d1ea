# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes playbook runs: the rows of their events, and their recaps. The store begins the transaction."""

from __future__ import annotations

from collections.abc import Sequence

from console.record.connection import first_column
from console.record.rows import Row, RunRows, to_json
from console.record.write.rollouts import TABLES
from console.record.write.tables import Tables

_ENDED = ("successful", "failed", "canceled")


def of_logs(tables: Tables) -> list[Row]:
    """The runs that were read from run logs: run_id, status and source_ref (the name of the log)."""
    return tables.rows("SELECT run_id, status, source_ref FROM runs WHERE source = 'callback'")


def put(tables: Tables, rows: RunRows) -> None:
    """Store the rows of some of a run's events, and the current recap."""
    run_id, is_part = rows.run["run_id"], _is_part_of_stored(tables, rows.run)
    if not is_part:
        tables.upsert("runs", [rows.run])
    new = _new_results(tables, rows)
    parts = {"plays": rows.plays, "tasks": rows.tasks, "host_results": rows.results, "run_evidence": rows.evidence}
    for table, part in parts.items():
        tables.upsert(table, part)
    _put_links(tables, rows.links)
    if is_part:
        return
    tables.replace("run_in_flight", {"run_id": run_id}, rows.in_flight)
    if rows.hosts:
        tables.replace("run_hosts", {"run_id": run_id}, rows.hosts)
    elif new:
        _count_hosts(tables, run_id, new)
    _sum_recap(tables, run_id)


def _is_part_of_stored(tables: Tables, run: Row) -> bool:
    """Whether these events are part of a run whose end is stored, such as those of a run log that was truncated later
    or is being copied. The run has ended nevertheless."""
    stored = tables.one("SELECT status, last_counter FROM runs WHERE run_id = ?", (run["run_id"],))
    return (
        stored is not None
        and stored["status"] in _ENDED
        and run["status"] not in _ENDED
        and run["last_counter"] <= stored["last_counter"]
    )


def _put_links(tables: Tables, links: Sequence[Row]) -> None:
    rows = []
    for kind in {link["kind"] for link in links}:
        refs = [link["ref"] for link in links if link["kind"] == kind]
        found = "rollout" if kind == "adopted" else kind
        known: dict[str, str] = {}
        for tenant in tables.rows("SELECT tenant FROM tenants") if found in ("rollout", "instance") else ():
            known |= tables.spelled(*TABLES[found], tenant, refs)
        known |= tables.spelled("run_links", "ref", {"kind": found}, (ref for ref in refs if ref not in known))
        rows += [{**link, "ref": known.get(link["ref"], link["ref"])} for link in links if link["kind"] == kind]
    tables.conn.executemany(
        "INSERT INTO run_links (run_id, kind, ref, counter, host) VALUES (:run_id, :kind, :ref, :counter, :host)"
        " ON CONFLICT DO NOTHING",
        rows,
    )


def _new_results(tables: Tables, rows: RunRows) -> list[int]:
    """The counters of the results of tasks that are not stored yet."""
    counters = to_json([row["counter"] for row in rows.results if row["kind"] == "result"])
    sql = "SELECT value FROM json_each(?) EXCEPT SELECT counter FROM host_results WHERE run_id = ?"
    sql += " AND counter IN (SELECT value FROM json_each(?))"
    return first_column(tables.conn, sql, (counters, rows.run["run_id"], counters))


def _count_hosts(tables: Tables, run_id: str, counters: Sequence[int]) -> None:
    """Add the results with these counters to the current recap, counted as Ansible does: an ignored failure is also ok.
    Ansible's own recap stays as it is."""
    columns = ("ok", "changed", "failed", "unreachable", "skipped", "ignored")
    sums = ", ".join(f"{column} = run_hosts.{column} + excluded.{column}" for column in columns)
    tables.conn.execute(
        f"""
        INSERT INTO run_hosts (run_id, host, ok, changed, failed, unreachable, skipped, ignored)
        SELECT run_id, host, sum(status IN ('ok', 'ignored')), sum(changed AND status IN ('ok', 'ignored')),
               sum(status = 'failed'), sum(status = 'unreachable'), sum(status = 'skipped'), sum(status = 'ignored')
        FROM host_results WHERE run_id = ? AND counter IN (SELECT value FROM json_each(?)) GROUP BY host
        ON CONFLICT (run_id, host) DO UPDATE SET {sums} WHERE NOT run_hosts.final
        """,  # noqa: S608 - no user input
        (run_id, to_json(counters)),
    )


def _sum_recap(tables: Tables, run_id: str) -> None:
    tables.conn.execute(
        """
        UPDATE runs SET (hosts, ok, changed, failed, unreachable, skipped, rescued, ignored) = (
          SELECT count(*) + (SELECT count(*) FROM (SELECT host FROM run_in_flight WHERE run_id = :run
                             EXCEPT SELECT host FROM run_hosts WHERE run_id = :run)),
                 coalesce(sum(ok), 0), coalesce(sum(changed), 0), coalesce(sum(failed), 0),
                 coalesce(sum(unreachable), 0), coalesce(sum(skipped), 0), coalesce(sum(rescued), 0),
                 coalesce(sum(ignored), 0)
          FROM run_hosts WHERE run_id = :run)
        WHERE run_id = :run
        """,
        {"run": run_id},
    )
