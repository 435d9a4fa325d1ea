# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole ids from the beginning of one, as people copy it from a table."""

from __future__ import annotations

from sqlite3 import Connection

from console.record.read.frames import query

PREFIX_LEAST = 4
_IDS = {
    "run": "SELECT run_id FROM runs WHERE run_id >= :prefix AND run_id < :end LIMIT :most",
    "rollout": "SELECT DISTINCT r.rollout_id FROM tenants t CROSS JOIN rollouts r ON r.tenant = t.tenant"
    " WHERE r.rollout_id >= :prefix AND r.rollout_id < :end LIMIT :most",
    "instance": "SELECT DISTINCT i.instance_id FROM tenants t CROSS JOIN instances i ON i.tenant = t.tenant"
    " WHERE (i.instance_id >= :prefix AND i.instance_id < :end) OR (i.hostname >= :prefix AND i.hostname < :end)"
    " LIMIT :most",
}


@query
def whole_id(conn: Connection, prefix: str, *kinds: str) -> str | None:
    """The one id of those kinds (run, rollout, instance) that begins so, or the one instance whose host name does; None
    if there is none or more than one, or the prefix is shorter than PREFIX_LEAST."""
    if len(prefix) < PREFIX_LEAST:
        return None
    wanted = {"prefix": prefix, "end": prefix + chr(0x10FFFF), "most": 2}
    found = {row[0] for kind in kinds for row in conn.execute(_IDS[kind], wanted)}
    return found.pop() if len(found) == 1 else None
