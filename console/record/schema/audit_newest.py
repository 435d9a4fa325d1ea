# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The newest of the audit, so that a page over very many instances reads no row of each day of each of them."""

from __future__ import annotations

_FIGURES = """
DO UPDATE SET total = excluded.total, success = excluded.success, error = excluded.error, denied = excluded.denied,
  taken_at = excluded.taken_at
WHERE taken_at IS NULL OR excluded.taken_at >= taken_at
"""

_FILL = f"""
INSERT INTO audit_held (tenant, instance_id, events, total, success, error, denied, taken_at)
SELECT tenant, instance_id, 0, total, success, error, denied, max(taken_at) FROM audit_summaries
WHERE true GROUP BY tenant, instance_id
ON CONFLICT (tenant, instance_id) {_FIGURES}
"""  # noqa: S608 - the text above

# By triggers, so that every writer does it. Pruning keeps the newest row of an instance.
_FOLLOW = tuple(
    f"""
    CREATE TRIGGER audit_summaries_{name} AFTER {change} ON audit_summaries
    BEGIN
      INSERT INTO audit_held (tenant, instance_id, events, total, success, error, denied, taken_at)
      VALUES (NEW.tenant, NEW.instance_id, 0, NEW.total, NEW.success, NEW.error, NEW.denied, NEW.taken_at)
      ON CONFLICT (tenant, instance_id) {_FIGURES};
    END
    """  # noqa: S608 - the text above
    for name, change in (("added", "INSERT"), ("changed", "UPDATE"))
)

STATEMENTS = (
    # The newest row of audit_summaries, NULL where the API was not asked. With them alone, events is 0.
    "ALTER TABLE audit_held ADD COLUMN total INTEGER",
    "ALTER TABLE audit_held ADD COLUMN success INTEGER",
    "ALTER TABLE audit_held ADD COLUMN error INTEGER",
    "ALTER TABLE audit_held ADD COLUMN denied INTEGER",
    "ALTER TABLE audit_held ADD COLUMN taken_at REAL",
    _FILL,
    *_FOLLOW,
    # All that a cell of the pivot asks for, so that an hour of the fleet is searched in the index alone.
    """
    CREATE INDEX audit_events_newest ON audit_events (event_ts, outcome, source, tool_name, role, server_slug)
    WHERE event_ts IS NOT NULL
    """,
)
