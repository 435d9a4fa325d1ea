# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What decided about a run: its plan, the gates before its batches, and its report."""

from __future__ import annotations

STATEMENTS = (
    # One row a plan, gate or report. counter: of its row in host_results; this row stays when that one is pruned.
    # batch: of a gate, the batch that it was asked about (1, 2, ...). verdict: of a gate or a report: pass, deferred,
    # inconclusive or fail; empty if it failed before it had one, and for a plan.
    # document_json: as the run log wrote it, at most 64 KiB; its lists may be cut ("truncated", "left_out").
    """
    CREATE TABLE run_evidence (
      run_id TEXT NOT NULL,
      counter INTEGER NOT NULL,
      kind TEXT NOT NULL,
      at REAL,
      batch INTEGER,
      verdict TEXT,
      document_json TEXT NOT NULL,
      PRIMARY KEY (run_id, counter)
    ) WITHOUT ROWID
    """,
)
