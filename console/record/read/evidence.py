# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decided about a playbook run: its plan, its gates and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console.record.read.frames import dicts, reading
from console.text.json_values import listed, parsed

# The change (a ticket) under which a run was made: of the row r of runs, and the runs whose change is like a text
# (:like). Plan or report name it. A rollout by the server has neither, and names it among its artifacts.
_OF_ARTIFACTS = """CASE WHEN r.playbook LIKE '%fleet_rollout%' AND json_valid(r.stats_json)
  THEN nullif(json_extract(r.stats_json, '$.fleetops_report.change'), '') END"""
CHANGE_OF_RUN = f"""coalesce((
  SELECT json_extract(e.document_json, '$.change') FROM run_evidence e
  WHERE e.run_id = r.run_id AND e.kind IN ('plan', 'report') AND json_extract(e.document_json, '$.change') <> ''
  ORDER BY e.counter LIMIT 1), {_OF_ARTIFACTS})"""  # noqa: S608 - the text above
RUNS_OF_CHANGE = f"""(
  SELECT e.run_id FROM run_evidence e WHERE e.kind IN ('plan', 'report')
  AND json_extract(e.document_json, '$.change') LIKE :like ESCAPE '\\'
  UNION SELECT r.run_id FROM runs r WHERE {_OF_ARTIFACTS} LIKE :like ESCAPE '\\')"""  # noqa: S608 - the text above


def evidence(path: Path, run_id: str) -> list[dict[str, Any]]:
    """The plan, the gates and the report of a run, in the order in which they were made.

    Each has ``counter``, ``kind`` (plan, gate or report), ``at`` (epoch seconds, UTC), ``batch`` (the number of the
    batch that a gate was asked about, else None), ``verdict`` (pass, deferred, inconclusive or fail; None for a plan,
    and if there was no verdict because the task failed: then ``document`` has ``msg``), ``reasons`` (sentences),
    ``checks`` (of a gate: records with ``name``, ``verdict``, ``reason`` and the check's own figures) and ``document``,
    all that was kept: if its lists were cut, ``left_out`` holds their full lengths by place.
    """
    with reading(path) as conn:
        found = dicts(
            conn,
            "SELECT counter, kind, at, batch, verdict, document_json FROM run_evidence WHERE run_id = :id"
            " ORDER BY counter",
            {"id": run_id},
        )
    for row in found:
        document = parsed(row.pop("document_json"))
        row["reasons"], row["checks"] = listed(document.get("reasons")), listed(document.get("checks"))
        row["document"] = document
    return found
