# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Joins the data of one API that was read at two addresses, so that nothing is shown and counted twice."""

from __future__ import annotations

from console.record.connection import first_column, first_value
from console.record.schema.audit import DIMENSIONS
from console.record.write import audit
from console.record.write.tables import Tables

# Rollouts have ids that no other API uses.
_COMMON = """
SELECT EXISTS (SELECT 1 FROM rollouts WHERE tenant = :new AND rollout_id IN (
  SELECT rollout_id FROM rollouts WHERE tenant = :old))
"""
_WITH_TENANT = """
SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'tenant'
WHERE m.type = 'table' AND m.name NOT IN ('tenants', 'console_audit', 'audit_fleet_daily')
"""
_BOTH = """
SELECT instance_id FROM audit_held WHERE tenant = :old INTERSECT SELECT instance_id FROM audit_held WHERE tenant = :new
"""
# Days whose raw events were pruned: one of the two counts contains the other.
_PRUNED_DAYS = f"""
INSERT INTO audit_daily
SELECT :old, d.instance_id, day, source, outcome, role, tool_name, server_slug, n
FROM audit_daily d JOIN audit_floors f USING (tenant, instance_id)
WHERE d.tenant = :new AND d.instance_id IN ({_BOTH}) AND day <> ''
  AND day < strftime('%Y-%m-%d', CAST(f.floor AS INTEGER), 'unixepoch')
ON CONFLICT (tenant, instance_id, day, source, outcome, role, tool_name, server_slug)
DO UPDATE SET n = max(n, excluded.n)
"""  # noqa: S608 - the text above
_FLOORS = """
UPDATE audit_floors SET floor = max(floor, coalesce((
  SELECT o.floor FROM audit_floors o WHERE o.tenant = :old AND o.instance_id = audit_floors.instance_id), floor))
WHERE tenant = :new
"""
_HELD = """
UPDATE audit_held SET events = (SELECT coalesce(sum(n), 0) FROM audit_daily d
  WHERE d.tenant = audit_held.tenant AND d.instance_id = audit_held.instance_id)
WHERE tenant = :new
"""
_CURSORS = (
    "UPDATE OR IGNORE ingest_cursors SET scope = :new || substr(scope, length(:old) + 1) WHERE {of_old}",
    "DELETE FROM ingest_cursors WHERE {of_old}",
)
_OF_OLD = "(scope = :old OR substr(scope, 1, length(:old) + 1) = :old || '|')"


def have_common_rollouts(tables: Tables, old: str, new: str) -> bool:
    """Whether a rollout was read at both addresses."""
    return bool(first_value(tables.conn, _COMMON, {"old": old, "new": new}))


def join(tables: Tables, old: str, new: str) -> None:
    """Make all data of the tenant ``old`` that of ``new``. Where both have the same, that of ``new`` is kept."""
    names, execute = {"old": old, "new": new}, tables.conn.execute
    with tables.transaction():
        both = first_column(tables.conn, _BOTH, names)
        for instance_id in both:
            key = {"tenant": new, "instance_id": instance_id}
            events = tables.rows(
                "SELECT * FROM audit_events WHERE tenant = :tenant AND instance_id = :instance_id", key
            )
            audit.add(tables, [{**event, "tenant": old} for event in events])
        execute(_PRUNED_DAYS, names)
        execute(f"DELETE FROM audit_daily WHERE tenant = :new AND instance_id IN ({_BOTH})", names)  # noqa: S608
        execute(_FLOORS, names)
        for table in first_column(tables.conn, _WITH_TENANT):
            execute(f"UPDATE OR IGNORE {table} SET tenant = :new WHERE tenant = :old", names)  # noqa: S608
            execute(f"DELETE FROM {table} WHERE tenant = :old", names)  # noqa: S608 - own tables
        execute(_HELD, names)
        execute("DELETE FROM audit_fleet_daily WHERE tenant IN (:old, :new)", names)
        for name in DIMENSIONS:
            sql = f"""
            INSERT INTO audit_fleet_daily SELECT '{name}', day, {name}, outcome, tenant, sum(n) FROM audit_daily
            WHERE tenant = :new GROUP BY day, {name}, outcome
            """  # noqa: S608 - own columns
            execute(sql, names)
        for statement in _CURSORS:
            execute(statement.format(of_old=_OF_OLD), names)
        execute("DELETE FROM tenants WHERE tenant = :old", names)
