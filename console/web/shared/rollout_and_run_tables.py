# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of rollouts and runs that several pages show."""

from __future__ import annotations

from typing import Any

import pandas as pd

from console.record.read import freshness
from console.text.counts import counted
from console.text.statuses import style_of
from console.web.shared import columns, pages, viewer


def rollouts(found: pd.DataFrame, fresh: freshness.Freshness, key: str) -> None:
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


def rollout_name(row: dict[str, Any]) -> str:
    """A rollout as an entry of a select box."""
    what = row["host"] or counted(int(row["total"]), "target")
    return f"{what}, {style_of(row['status']).word}, {viewer.when(row['created_at'])}"


def run_name(row: dict[str, Any]) -> str:
    """A playbook run as an entry of a select box."""
    return f"{columns.playbook_name(row['playbook'])}, {style_of(row['status']).word}, {viewer.when(row['started_at'])}"


def runs(found: pd.DataFrame, key: str) -> None:
    """Playbook runs; a click on one opens it."""
    names = [
        columns.playbook_name(path) + (" (check)" if check else "")
        for path, check in zip(found["playbook"], found["check_mode"], strict=True)
    ]
    who = [f"{u or ''}@{c or ''}".strip("@") for u, c in zip(found["user"], found["controller"], strict=True)]
    shown = [
        columns.statuses(found["status"], width=120),
        columns.text(names, "playbook", 210),
        columns.moments(found["started_at"], "started"),
        columns.durations(found["ended_at"].fillna(found["heartbeat_at"]) - found["started_at"], "took"),
        *(columns.count(found[name], name) for name in ("hosts", "ok", "changed", "failed", "unreachable")),
        columns.text(who, "user@controller", 160),
    ]
    if "change" in found and found["change"].notna().any():
        shown.append(columns.text(found["change"], "change", 120))
    columns.show("Playbook runs, newest first", shown, key, opens=columns.Opens("run", pages.RUN, found["run_id"]))


def bundles(found: pd.DataFrame) -> None:
    """The bundles of a rollout's succeeded targets."""
    shown = [
        columns.text(found["bundle"], "bundle", 260),
        columns.count(found["targets"], "targets"),
        columns.text(found["first_host"], "for example", 260),
        columns.moments(found["first_at"], "first"),
        columns.moments(found["last_at"], "last"),
    ]
    columns.show("Bundles that succeeded targets got", shown, "bundles")


def phases(spent: pd.DataFrame) -> None:
    """Where the time of a rollout's targets went."""
    shown = [
        columns.text(spent["phase"], "phase", 110),
        columns.percentage(spent["share"], "share", 150),
        columns.durations(spent["total_s"], "all targets together", 150),
        columns.durations(spent["p50_s"], "half take up to", 120),
        columns.durations(spent["p95_s"], "95 % take up to", 120),
        columns.durations(spent["longest_s"], "longest", 110),
        columns.text(spent["longest_host"], "of", 260),
        columns.count(spent["targets"], "targets"),
    ]
    columns.show("Where the time of the targets went", shown, "phases")


def actions_around(found: pd.DataFrame) -> None:
    """Actions on a rollout's hosts, newest first."""
    shown = [
        columns.moments(found["created_at"], "at"),
        columns.text(found["host"], "host", 240),
        columns.text(found["action"], "action", 160),
        columns.statuses(found["status"], width=120),
        columns.text(found["actor"], "by", 140),
        columns.text(found["message"], "message", 420),
    ]
    columns.show("Actions on these hosts at that time", shown, "actions_around")
