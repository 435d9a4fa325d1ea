# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two operations side by side, instance by instance. Pure."""

from __future__ import annotations

import pandas as pd

from console.outcomes.words import CURRENT, PROBLEMS, UPDATED

KINDS = {
    "new failure": "failed or uncertain now, not before",
    "still failing": "failed or uncertain both times",
    "fixed": "failed or uncertain before, done or current now",
    "same": "the same outcome both times",
    "other": "another outcome than before",
    "only before": "not in the later operation",
    "only now": "not in the earlier operation",
}
"""The kinds of change of an instance, worst first, with their meaning."""


def kind_of(before: str | None, now: str | None) -> str:
    """The kind of change between two categories; None: the instance was not in that operation."""
    if before is None:
        return "only now"
    if now is None:
        return "only before"
    if now in PROBLEMS:
        return "still failing" if before in PROBLEMS else "new failure"
    if before in PROBLEMS and now in (UPDATED, CURRENT):
        return "fixed"
    return "same" if before == now else "other"


def compared(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Instances of two operations matched by host, worst first: host, instance_id, kind, before, now (categories),
    seconds_before, seconds_now, more (seconds now minus before), message (of now, else of before).

    before, now: frames in the columns of ``record.read.operation.INSTANCE_COLUMNS``.
    """
    columns = ["host", "instance_id", "category", "seconds", "message"]
    both = before[columns].merge(now[columns], on="host", how="outer", suffixes=("_before", "_now"))
    kinds = [
        kind_of(*(word if isinstance(word, str) else None for word in pair))
        for pair in zip(both["category_before"], both["category_now"], strict=True)
    ]
    found = pd.DataFrame(
        {
            "host": both["host"],
            "instance_id": both["instance_id_now"].where(both["instance_id_now"].notna(), both["instance_id_before"]),
            "kind": kinds,
            "before": both["category_before"],
            "now": both["category_now"],
            "seconds_before": both["seconds_before"].astype(float),
            "seconds_now": both["seconds_now"].astype(float),
            "message": both["message_now"].where(both["message_now"].fillna("") != "", both["message_before"]),
        }
    )
    found["more"] = found["seconds_now"] - found["seconds_before"]
    order = found["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    return found.iloc[order.argsort(kind="stable")].reset_index(drop=True)
