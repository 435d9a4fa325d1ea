# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of rollouts that several pages show."""

from __future__ import annotations

import pandas as pd

from console.record.read import freshness
from console.text.counts import counted
from console.web.shared import columns, pages, viewer


def show(found: pd.DataFrame, fresh: freshness.Freshness, key: str) -> None:
    """Rollouts; a click on one opens it. The duration of an open one is up to the last sync of its tenant."""
    seen = pd.Series(
        [fresh.as_of(viewer.clock(), tenant) for tenant in found["tenant"]], index=found.index, dtype=float
    )
    end = found["completed_at"].where(found["is_open"] == 0, found["completed_at"].fillna(seen))
    what = [host or counted(int(total), "target") for host, total in zip(found["host"], found["total"], strict=True)]
    shown = [
        columns.statuses(found["status"], width=130),
        columns.moments(found["created_at"], "started"),
        columns.text(what, "targets", 230),
        columns.count(found["succeeded"], "succeeded"),
        columns.count(found["failed"], "failed"),
        columns.count(found["uncertain"], "uncertain"),
        columns.count((found["queued"] + found["in_progress"]).rename("waiting"), "open"),
        columns.durations(end - found["created_at"], "took"),
        columns.text(found["scope"], "scope", 85),
        columns.text(["playbook" if run else "" for run in found["run_id"]], "started by", 90),
    ]
    columns.show(
        "Rollouts, newest first", shown, key, opens=columns.Opens("rollout", pages.ROLLOUT, found["rollout_id"])
    )
