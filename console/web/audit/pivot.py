# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pivot of audit counts: a row for each value, a column for each outcome. Pure."""

from __future__ import annotations

import pandas as pd

from console.figures.audit import outcome_order

SPARK_MOST = 120
"""Bars in the small chart of a row; the newest ones."""


def pivot(counts: pd.DataFrame, most: int = 200) -> pd.DataFrame:
    """One row a value, the biggest first and at most ``most``: value, events, over_time (a list of counts a bucket,
    oldest first), not_success (share of events that were no success), and a column ``o:WORD`` for each outcome."""
    outcomes = sorted(counts["outcome"].unique(), key=outcome_order)
    wide = counts.pivot_table(index="value", columns="outcome", values="events", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=outcomes, fill_value=0)
    total = wide.sum(axis=1)
    good = wide["success"] if "success" in outcomes else 0
    table = wide.add_prefix("o:").assign(events=total, not_success=1 - good / total)
    table = table.sort_values("events", ascending=False).head(most)
    named = counts[(counts["bucket"] != "") & counts["value"].isin(table.index)]
    lines = named.pivot_table(index="value", columns="bucket", values="events", aggfunc="sum", fill_value=0)
    newest = lines.sort_index(axis=1).iloc[:, -SPARK_MOST:].reindex(table.index, fill_value=0)
    table["over_time"] = newest.to_numpy().tolist()
    return table.reset_index()
