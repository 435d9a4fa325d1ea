# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the pages: which columns of a frame are shown, in which words and shapes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from console import charts, ui

# Pixels a row at the theme's font size.
ROW = 33
MOST_ROWS = 18


def _height(rows: int, most: int = MOST_ROWS) -> Any:
    """As high as the rows of a short table; a long one scrolls."""
    return "content" if rows <= most else (most + 1) * ROW


def _show(frame: pd.DataFrame, columns: dict[str, Any], alt: str, key: str | None = None) -> None:
    st.dataframe(
        frame,
        column_config=columns,
        column_order=list(columns),
        hide_index=True,
        height=_height(len(frame)),
        placeholder="",
        alt=alt,
        key=key,
    )


def _moments(values: Iterable[float]) -> list[str]:
    return [charts.moment(value) for value in values]


def _durations(values: Iterable[float]) -> list[str]:
    return [charts.duration(value) for value in values]


def playbook_name(path: str | None) -> str:
    """The playbook's file name."""
    return PurePath(path).name if path else "unknown playbook"


def _text(title: str, width: Any = None) -> Any:
    return st.column_config.TextColumn(title, width=width)


def _count(title: str) -> Any:
    return st.column_config.NumberColumn(title, format="localized", width="small")


def rollouts(found: pd.DataFrame, now: float, key: str) -> None:
    """Rollouts; a click on one opens it."""
    end = found["completed_at"].where(found["is_open"] == 0, found["completed_at"].fillna(now))
    frame = found.assign(
        open=[ui.short(i) for i in found["rollout_id"]],
        state=ui.status_cells(found["status"]),
        created=_moments(found["created_at"]),
        took=_durations(end - found["created_at"]),
        what=[host or f"{total:,} targets" for host, total in zip(found["host"], found["total"], strict=True)],
        by=["playbook" if run else "" for run in found["run_id"]],
        waiting=found["queued"] + found["in_progress"],
    )
    columns = {
        "open": ui.open_column("rollout", f"{key}_open"),
        "state": ui.status_column(width=130),
        "created": _text("started (UTC)", 160),
        "what": _text("targets", 230),
        "succeeded": _count("succeeded"),
        "failed": _count("failed"),
        "uncertain": _count("uncertain"),
        "waiting": _count("open"),
        "took": _text("took", 100),
        "scope": _text("scope", 85),
        "by": _text("started by", 90),
    }
    _show(frame, columns, "Rollouts, newest first", key)
    ui.follow(f"{key}_open", ui.ROLLOUT, found["rollout_id"].tolist())


def runs(found: pd.DataFrame, key: str) -> None:
    """Playbook runs; a click on one opens it."""
    end = found["ended_at"].fillna(found["heartbeat_at"])
    frame = found.assign(
        open=[ui.short(i) for i in found["run_id"]],
        state=ui.status_cells(found["status"]),
        name=[
            playbook_name(p) + (" (check)" if c else "")
            for p, c in zip(found["playbook"], found["check_mode"], strict=True)
        ],
        started=_moments(found["started_at"]),
        took=_durations(end - found["started_at"]),
        who=[f"{u or ''}@{c or ''}".strip("@") for u, c in zip(found["user"], found["controller"], strict=True)],
    )
    columns = {
        "open": ui.open_column("run", f"{key}_open"),
        "state": ui.status_column(width=120),
        "name": _text("playbook", 210),
        "started": _text("started (UTC)", 160),
        "took": _text("took", 100),
        "hosts": _count("hosts"),
        "ok": _count("ok"),
        "changed": _count("changed"),
        "failed": _count("failed"),
        "unreachable": _count("unreachable"),
        "who": _text("user@controller", 160),
    }
    _show(frame, columns, "Playbook runs, newest first", key)
    ui.follow(f"{key}_open", ui.RUN, found["run_id"].tolist())


def batches(found: pd.DataFrame) -> None:
    """The batches of a run, in order."""
    frame = found.assign(
        started=_moments(found["started_at"]),
        took=_durations(found["until"] - found["started_at"]),
        label=found["name"],
    )
    columns = {
        "batch": _count("batch"),
        "label": _text("play", 220),
        "hosts": _count("hosts"),
        "failed": _count("failed hosts"),
        "started": _text("started (UTC)", 160),
        "took": _text("took", 100),
        "host_names": _text("in this batch", 520),
    }
    _show(frame, columns, "Batches of the run", "batches")


def recap(found: pd.DataFrame) -> None:
    """Ansible's recap, hosts in trouble first."""
    words = [
        "failed" if f else "unreachable" if u else "changed" if c else "ok"
        for f, u, c in zip(found["failed"], found["unreachable"], found["changed"], strict=True)
    ]
    columns = {"host": _text("host", 260), "state": ui.status_column("outcome", 120)}
    columns |= {n: _count(n) for n in ("ok", "changed", "failed", "unreachable", "skipped", "rescued", "ignored")}
    frame = found.assign(state=ui.status_cells(pd.Series(words, dtype=object)))
    st.dataframe(
        frame,
        column_config=columns,
        column_order=list(columns),
        hide_index=True,
        height=_height(len(frame), 9),
        alt="Recap by host",
        key="recap",
    )


def results(found: pd.DataFrame) -> None:
    """Task x host results."""
    frame = found.assign(
        state=ui.status_cells(found["status"]),
        ended=_moments(found["ended_at"]),
        took=_durations(found["duration_s"]),
    )
    columns = {
        "state": ui.status_column(width=140),
        "host": _text("host", 220),
        "task": _text("task", 280),
        "msg": _text("message", 420),
        "batch": _count("batch"),
        "took": _text("took", 85),
        "ended": _text("ended (UTC)", 160),
        "role": _text("role", 120),
        "item": _text("item", 100),
        "action": _text("module", 200),
    }
    _show(frame, columns, "Results of the run, failures first", "results")


def coverage(found: pd.DataFrame) -> None:
    """Audit figures by instance: the API's totals and what is ingested."""
    frame = found.assign(
        share=(found["ours"] / found["total"].where(found["total"] > 0)).clip(upper=1.0),
        taken=_moments(found["taken_at"]),
    )
    columns = {
        "host": _text("instance", 260),
        "total": _count("events"),
        "success": _count("success"),
        "error": _count("error"),
        "denied": _count("denied"),
        "ours": _count("ingested"),
        "share": st.column_config.ProgressColumn("coverage", format="percent", min_value=0, max_value=1, width=140),
        "taken": _text("API figures of (UTC)", 160),
    }
    _show(frame, columns, "Audit coverage by instance", "coverage")


def tools(counts: pd.DataFrame) -> None:
    """Events by tool, most errors first."""
    wide = counts.pivot_table(index="tool_name", columns="outcome", values="events", aggfunc="sum", fill_value=0)
    wide = wide.assign(events=wide.sum(axis=1)).sort_values("events", ascending=False).reset_index()
    columns = {"tool_name": _text("tool", 260), "events": _count("events")}
    columns |= {str(n): _count(str(n) or "no outcome") for n in wide.columns if n not in ("tool_name", "events")}
    _show(wide, columns, "Audit events by tool", "tools")


def bundles(found: pd.DataFrame) -> None:
    """The bundles of a rollout's succeeded targets."""
    columns = {
        "bundle": _text("bundle", 260),
        "targets": _count("targets"),
        "first_host": _text("for example", 260),
        "first": _text("first (UTC)", 160),
        "last": _text("last (UTC)", 160),
    }
    frame = found.assign(first=_moments(found["first_at"]), last=_moments(found["last_at"]))
    _show(frame, columns, "Bundles that succeeded targets got", "bundles")


def phases(spent: pd.DataFrame) -> None:
    """Where the time of a rollout's targets went."""
    frame = spent.assign(**{name: _durations(spent[f"{name}_s"]) for name in ("total", "p50", "p95", "longest")})
    columns = {
        "phase": _text("phase", 110),
        "share": st.column_config.ProgressColumn("share", format="percent", min_value=0, max_value=1, width=150),
        "total": _text("all targets together", 150),
        "p50": _text("half take up to", 120),
        "p95": _text("95 % take up to", 120),
        "longest": _text("longest", 110),
        "longest_host": _text("of", 260),
        "targets": _count("targets"),
    }
    _show(frame, columns, "Where the time of the targets went", "phases")


def actions_around(found: pd.DataFrame) -> None:
    """Actions on a rollout's hosts, newest first."""
    columns = {
        "at": _text("at (UTC)", 160),
        "host": _text("host", 240),
        "action": _text("action", 160),
        "state": ui.status_column(width=120),
        "actor": _text("by", 140),
        "message": _text("message", 420),
    }
    frame = found.assign(at=_moments(found["created_at"]), state=ui.status_cells(found["status"]))
    _show(frame, columns, "Actions on these hosts at that time", "actions_around")


def audit_around(found: pd.DataFrame) -> None:
    """Audit events of a rollout's hosts that did not succeed, newest first."""
    columns = {
        "at": _text("at (UTC)", 160),
        "host": _text("host", 240),
        "state": ui.status_column("outcome", 110),
        "source": _text("source", 100),
        "event_type": _text("event", 140),
        "tool_name": _text("tool", 260),
        "role": _text("role", 100),
    }
    frame = found.assign(at=_moments(found["event_ts"]), state=ui.status_cells(found["outcome"]))
    _show(frame, columns, "Audit events that did not succeed at that time", "audit_around")


def compared(found: pd.DataFrame) -> None:
    """Targets of two rollouts, side by side."""
    frame = found.assign(
        open=[ui.short(i) if i else "" for i in found["instance_id"]],
        before=ui.status_cells(found["status_a"]),
        now=ui.status_cells(found["status_b"]),
        **{f"{phase}_text": _changes(found, phase) for phase in ("queue", "countdown", "run")},
        error=found["error_b"].where(found["error_b"].notna(), found["error_a"]),
    )
    columns = {
        "open": ui.open_column("instance", "compared_open"),
        "host": _text("host", 240),
        "kind": _text("then and now", 150),
        "before": ui.status_column("before", 115),
        "now": ui.status_column("now", 115),
        "run_text": _text("run", 190),
        "run_more": st.column_config.NumberColumn("run, change", format="%+.1f s", width=90),
        "queue_text": _text("queue", 190),
        "queue_more": st.column_config.NumberColumn("queue, change", format="%+.1f s", width=90),
        "countdown_text": _text("countdown", 150),
        "countdown_more": st.column_config.NumberColumn("countdown, change", format="%+.1f s", width=100),
        "error": _text("error (now, else before)", 420),
        "instance_id": _text("instance", 280),
    }
    _show(frame, columns, "Targets of two rollouts", "compared")
    ui.follow("compared_open", ui.INSTANCE, found["instance_id"].fillna("").tolist())


def _changes(found: pd.DataFrame, phase: str) -> list[str]:
    """Seconds before and now: '38 s → 41 s'."""
    pairs = zip(_durations(found[f"{phase}_a"]), _durations(found[f"{phase}_b"]), strict=True)
    return [f"{before or '–'} → {now or '–'}" if before or now else "" for before, now in pairs]
