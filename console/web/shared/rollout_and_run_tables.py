# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of rollouts, runs, actions and audit events that several pages show."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.record.read import freshness
from console.text.counts import counted
from console.text.statuses import style_of
from console.web.shared import columns, links, pages, viewer
from console.web.shared.status import status_cells, status_column


def rollouts(found: pd.DataFrame, fresh: freshness.Freshness, key: str) -> None:
    """Rollouts; a click on one opens it. The duration of an open one is up to the last sync of its tenant."""
    seen = pd.Series(
        [fresh.as_of(viewer.clock(), tenant) for tenant in found["tenant"]], index=found.index, dtype=float
    )
    end = found["completed_at"].where(found["is_open"] == 0, found["completed_at"].fillna(seen))
    frame = found.assign(
        open=[links.short(i) for i in found["rollout_id"]],
        state=status_cells(found["status"]),
        created=columns.moments(found["created_at"]),
        took=columns.durations(end - found["created_at"]),
        what=[host or counted(int(total), "target") for host, total in zip(found["host"], found["total"], strict=True)],
        by=["playbook" if run else "" for run in found["run_id"]],
        waiting=found["queued"] + found["in_progress"],
    )
    shown = {
        "open": links.open_column("rollout", f"{key}_open"),
        "state": status_column(width=130),
        "created": columns.time_column("started"),
        "what": columns.text("targets", 230),
        "succeeded": columns.count("succeeded"),
        "failed": columns.count("failed"),
        "uncertain": columns.count("uncertain"),
        "waiting": columns.count("open"),
        "took": columns.text("took", 100),
        "scope": columns.text("scope", 85),
        "by": columns.text("started by", 90),
    }
    columns.show(frame, shown, "Rollouts, newest first", key)
    links.follow(f"{key}_open", pages.ROLLOUT, found["rollout_id"].tolist())


def rollout_name(row: dict[str, Any]) -> str:
    """A rollout as an entry of a select box."""
    what = row["host"] or counted(int(row["total"]), "target")
    return f"{what}, {style_of(row['status']).word}, {viewer.when(row['created_at'])}"


def run_name(row: dict[str, Any]) -> str:
    """A playbook run as an entry of a select box."""
    return f"{columns.playbook_name(row['playbook'])}, {style_of(row['status']).word}, {viewer.when(row['started_at'])}"


def runs(found: pd.DataFrame, key: str) -> None:
    """Playbook runs; a click on one opens it."""
    end = found["ended_at"].fillna(found["heartbeat_at"])
    frame = found.assign(
        open=[links.short(i) for i in found["run_id"]],
        state=status_cells(found["status"]),
        name=[
            columns.playbook_name(p) + (" (check)" if c else "")
            for p, c in zip(found["playbook"], found["check_mode"], strict=True)
        ],
        started=columns.moments(found["started_at"]),
        took=columns.durations(end - found["started_at"]),
        who=[f"{u or ''}@{c or ''}".strip("@") for u, c in zip(found["user"], found["controller"], strict=True)],
    )
    shown = {
        "open": links.open_column("run", f"{key}_open"),
        "state": status_column(width=120),
        "name": columns.text("playbook", 210),
        "started": columns.time_column("started"),
        "took": columns.text("took", 100),
        "hosts": columns.count("hosts"),
        "ok": columns.count("ok"),
        "changed": columns.count("changed"),
        "failed": columns.count("failed"),
        "unreachable": columns.count("unreachable"),
        "who": columns.text("user@controller", 160),
    }
    if "change" in found and found["change"].notna().any():
        shown["change"] = columns.text("change", 120)
    columns.show(frame, shown, "Playbook runs, newest first", key)
    links.follow(f"{key}_open", pages.RUN, found["run_id"].tolist())


def bundles(found: pd.DataFrame) -> None:
    """The bundles of a rollout's succeeded targets."""
    shown = {
        "bundle": columns.text("bundle", 260),
        "targets": columns.count("targets"),
        "first_host": columns.text("for example", 260),
        "first": columns.time_column("first"),
        "last": columns.time_column("last"),
    }
    frame = found.assign(first=columns.moments(found["first_at"]), last=columns.moments(found["last_at"]))
    columns.show(frame, shown, "Bundles that succeeded targets got", "bundles")


def phases(spent: pd.DataFrame) -> None:
    """Where the time of a rollout's targets went."""
    frame = spent.assign(**{name: columns.durations(spent[f"{name}_s"]) for name in ("total", "p50", "p95", "longest")})
    shown = {
        "phase": columns.text("phase", 110),
        "share": st.column_config.ProgressColumn("share", format="percent", min_value=0, max_value=1, width=150),
        "total": columns.text("all targets together", 150),
        "p50": columns.text("half take up to", 120),
        "p95": columns.text("95 % take up to", 120),
        "longest": columns.text("longest", 110),
        "longest_host": columns.text("of", 260),
        "targets": columns.count("targets"),
    }
    columns.show(frame, shown, "Where the time of the targets went", "phases")


def actions_around(found: pd.DataFrame) -> None:
    """Actions on a rollout's hosts, newest first."""
    shown = {
        "at": columns.time_column("at"),
        "host": columns.text("host", 240),
        "action": columns.text("action", 160),
        "state": status_column(width=120),
        "actor": columns.text("by", 140),
        "message": columns.text("message", 420),
    }
    frame = found.assign(at=columns.moments(found["created_at"]), state=status_cells(found["status"]))
    columns.show(frame, shown, "Actions on these hosts at that time", "actions_around")


def audit_around(found: pd.DataFrame) -> None:
    """Audit events of a rollout's hosts that did not succeed, newest first."""
    shown = {
        "at": columns.time_column("at"),
        "host": columns.text("host", 240),
        "state": status_column("outcome", 110),
        "source": columns.text("source", 100),
        "event_type": columns.text("event", 140),
        "tool_name": columns.text("tool", 260),
        "role": columns.text("role", 100),
    }
    frame = found.assign(at=columns.moments(found["event_ts"]), state=status_cells(found["outcome"]))
    columns.show(frame, shown, "Audit events that did not succeed at that time", "audit_around")


def compared(found: pd.DataFrame) -> None:
    """Targets of two rollouts, side by side."""
    frame = found.assign(
        open=[links.short(i) if i else "" for i in found["instance_id"]],
        before=status_cells(found["status_a"]),
        now=status_cells(found["status_b"]),
        **{f"{phase}_text": _changes(found, phase) for phase in ("queue", "countdown", "run")},
        error=found["error_b"].where(found["error_b"].notna(), found["error_a"]),
    )
    shown = {
        "open": links.open_column("instance", "compared_open"),
        "host": columns.text("host", 240),
        "kind": columns.text("then and now", 150),
        "before": status_column("before", 115),
        "now": status_column("now", 115),
        "run_text": columns.text("run", 190),
        "run_more": st.column_config.NumberColumn("run, change", format="%+.1f s", width=90),
        "queue_text": columns.text("queue", 190),
        "queue_more": st.column_config.NumberColumn("queue, change", format="%+.1f s", width=90),
        "countdown_text": columns.text("countdown", 150),
        "countdown_more": st.column_config.NumberColumn("countdown, change", format="%+.1f s", width=100),
        "error": columns.text("error (now, else before)", 420),
        "instance_id": columns.text("instance", 280),
    }
    columns.show(frame, shown, "Targets of two rollouts", "compared")
    links.follow("compared_open", pages.INSTANCE, found["instance_id"].fillna("").tolist())


def _changes(found: pd.DataFrame, phase: str) -> list[str]:
    """Seconds before and now: '38 s → 41 s'."""
    pairs = zip(columns.durations(found[f"{phase}_a"]), columns.durations(found[f"{phase}_b"]), strict=True)
    return [f"{before or '–'} → {now or '–'}" if before or now else "" for before, now in pairs]
