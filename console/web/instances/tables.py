# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the pages Instances, Instance and Policy."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from console.record.read.declared import Comparison
from console.record.read.freezes import FrozenTime
from console.text import times
from console.web.shared import columns, links, lists, markup, pages, viewer
from console.web.shared.status import status_cells, status_column


def _words(values: Iterable[Any], none: str = "not read") -> pd.Series:
    return status_cells([value if isinstance(value, str) and value else none for value in values])


COLUMNS = (
    markup.Column("health"),
    markup.Column("host", "host"),
    markup.Column("open problem", "rest"),
    markup.Column("last rollout", "rest"),
    markup.Column("runtime", "short"),
    markup.Column("updates waiting", "rest"),
    markup.Column("update policy", "rest"),
    markup.Column("last deploy", "time fo-rest"),
    markup.Column("memories", "number fo-rest"),
    markup.Column("bundle", "short fo-rest"),
)


def instances(found: pd.DataFrame, compared: Comparison | None) -> None:
    """Instances, each with a link to its page."""
    markup.draw(markup.table(COLUMNS, (_cells(row, compared) for row in lists.records(found)), "Instances"))


def _cells(row: dict[str, Any], compared: Comparison | None) -> tuple[Markup | str, ...]:
    current, available = row["runtime_current"] or "", row["runtime_available"] or ""
    behind = current and available and current != available
    kept = row["memories"]
    checked, deployed = row["checked_at"], row["deployed_at"]
    old = markup.small("before the last deploy") if checked < deployed else markup.NOTHING
    return (
        markup.joined((markup.badge(row["health"]) if row["health"] else markup.small("not read"), old), " "),
        markup.link(row["host"], pages.INSTANCE, id=row["instance_id"]),
        row["problem"] or "",
        markup.badge(row["last_status"]) if row["last_status"] else markup.small("none"),
        f"{current} → {available}" if behind else current,
        ", ".join(waiting(row["components_json"])) if row["outdated"] > 0 else "",
        _policy(row["overrides"], compared.wanted(row["host"], row["instance_id"]) if compared else ""),
        viewer.when(deployed),
        "" if math.isnan(kept) else f"{int(kept):,}{' or more' if row['memories_full'] else ''}",
        _cut((row["current_bundle"] or "").removeprefix("sha256:")),
    )


def _policy(overrides: str | None, wanted: str) -> Markup:
    """What an instance sets for itself, and what is declared instead."""
    own = overrides or markup.small("not read" if overrides is None else "inherits")
    return markup.joined(
        (own, *((markup.badge("differs"), markup.small(f"declared: {wanted}")) if wanted else ())), " "
    )


def _cut(digest: str) -> str:
    """Enough of a digest to tell it from others."""
    return f"{digest[:12]}…" if len(digest) > 12 else digest


def waiting(components_json: str | None) -> list[str]:
    """The kinds of updates that wait, with their number: 'runtime', '2 skills', '1 server'."""
    listed = json.loads(components_json) if components_json else []
    kinds = Counter(str(one.get("name") or "").partition("/")[0] for one in listed if one.get("outdated"))
    words = {"runtime": "runtime", "skills": "skill", "mcp_servers": "server"}
    return [
        word if kind == "runtime" else f"{kinds[kind]} {word}{'s' if kinds[kind] > 1 else ''}"
        for kind, word in words.items()
        if kinds[kind]
    ]


def actions(found: pd.DataFrame) -> None:
    """Actions of one instance, newest first."""
    frame = found.assign(
        state=status_cells(found["status"]),
        at=[
            viewer.clock_time(at, "%Y-%m-%d %H:%M:%S") or (raw or "")
            for at, raw in zip(found["created_at"], found["created_raw"], strict=True)
        ],
        took=columns.durations(found["took_s"]),
    )
    shown = {
        "at": columns.time_column("asked for"),
        "action": columns.text("action", 190),
        "state": status_column(width=130),
        "took": columns.text("took", 100),
        "message": columns.text("message", 420),
        **({"actor": columns.text("by", 140)} if found["actor"].notna().any() else {}),
        "action_id": columns.text("id", 280),
    }
    columns.show(frame, shown, "Actions of the instance, newest first", "actions")


def deploys(found: pd.DataFrame, p50: float | None, p95: float | None, whose: str) -> None:
    """Rollout targets of one instance, newest first, compared with the usual duration; a click opens the rollout.

    whose: whose p50 and p95 they are, "its" or "the fleet's".
    """
    frame = found.assign(
        open=[links.short(i) for i in found["rollout_id"]],
        state=status_cells(found["status"]),
        started=columns.moments(found["started_at"].fillna(found["created_at"])),
        took=columns.durations(found["took_s"]),
        beside=[_beside(took, p50, p95) for took in found["took_s"]],
    )
    shown = {
        "open": links.open_column("rollout", "deploys_open"),
        "state": status_column(width=130),
        "started": columns.time_column("started"),
        "took": columns.text("took", 110),
        "beside": columns.text(f"beside {whose} usual", 190),
        "scope": columns.text("scope", 85),
        "error": columns.text("error", 420),
        "bundle_hash": columns.text("bundle", 110),
    }
    columns.show(frame, shown, "Rollout targets of the instance, newest first", "deploys")
    links.follow("deploys_open", pages.ROLLOUT, found["rollout_id"].tolist())


def _beside(took: float, p50: float | None, p95: float | None) -> str:
    if math.isnan(took) or p95 is None:
        return ""
    if took > p95:
        return f"p95 + {times.duration(took - p95)}"
    if p50 is None:
        return "within p95"
    return "p50 to p95" if took > p50 else "within p50"


def components(rows: list[dict[str, Any]]) -> None:
    """Versions of one instance's components, those with an update first."""
    frame = pd.DataFrame(rows, columns=["name", "current", "available", "outdated"]).astype(object)
    words = ["outdated" if o is True else "current" if o is False else "unknown" for o in frame["outdated"]]
    frame = frame.assign(state=status_cells(words), order=[w != "outdated" for w in words])
    frame = frame.sort_values(["order", "name"], kind="stable")
    shown = {
        "name": columns.text("component", 260),
        "state": status_column("version", 130),
        "current": columns.text("running", 150),
        "available": columns.text("available", 150),
    }
    columns.show(frame, shown, "Components and their versions", "components")


def versions(found: pd.DataFrame) -> None:
    """When each runtime version was first seen on one instance, and what else changed at that time."""
    contents = [json.loads(text) for text in found["versions_json"]]
    before = [*contents[1:], None]
    frame = found.assign(
        seen=columns.moments(found["taken_at"]),
        changed=[
            "first read"
            if old is None
            else ", ".join(f"{name} {old.get(name) or '?'} → {now or 'gone'}" for name, now in _moved(old, new))
            for old, new in zip(before, contents, strict=True)
        ],
    )
    shown = {
        "seen": columns.time_column("first seen"),
        "runtime": columns.text("runtime", 130),
        "changed": columns.text("change", 520),
    }
    columns.show(frame, shown, "Versions seen, newest first", "versions")


def _moved(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def events(found: pd.DataFrame) -> None:
    """Audit events with another outcome than success, newest first."""
    frame = found.assign(state=status_cells(found["outcome"]), at=columns.moments(found["event_ts"]))
    shown = {
        "at": columns.time_column("time"),
        "state": status_column("outcome", 110),
        "event_type": columns.text("event", 170),
        "source": columns.text("source", 110),
        "tool_name": columns.text("tool", 180),
        "server_slug": columns.text("server", 140),
        "role": columns.text("role", 100),
        "conversation_id": columns.text("conversation", 250),
        "request_id": columns.text("request", 250),
    }
    columns.show(frame, shown, "Audit events without success, newest first", "events")


FREEZES = (
    markup.Column("frozen"),
    markup.Column("reason"),
    markup.Column("told to", "rest"),
)


def freezes(found: Sequence[FrozenTime]) -> None:
    """When changes are frozen, soonest first, and the plan that says so."""
    cells = (
        (
            viewer.period(one.start, one.end, "%a %Y-%m-%d %H:%M"),
            one.reason,
            markup.joined(
                (markup.link(one.name, pages.OPERATION, id=one.run_id), markup.small(viewer.when(one.told_at))), " "
            ),
        )
        for one in found
    )
    markup.draw(markup.table(FREEZES, cells, "When changes are frozen, soonest first"))


def policy_changes(found: pd.DataFrame) -> None:
    """What changed in the policy and when it was seen."""
    frame = found.assign(seen=columns.moments(found["seen_at"]), since=columns.moments(found["not_before_at"]))
    shown = {
        "seen": columns.time_column("seen"),
        "key": columns.text("setting", 290),
        "before": columns.text("before", 150),
        "after": columns.text("after", 150),
        "since": columns.time_column("not before"),
    }
    columns.show(frame, shown, "Changes of the policy, newest first", "policy_changes")


def outside(found: pd.DataFrame) -> None:
    """Rollouts started while the window was closed; a click opens the operation."""
    frame = found.assign(
        open=[links.short(i) for i in found["rollout_id"]],
        state=status_cells(found["status"]),
        started=columns.moments(found["created_at"]),
        window=[h + (" (assumed)" if a else "") for h, a in zip(found["hours"], found["assumed"], strict=True)],
        by=["playbook" if run else "" for run in found["run_id"]],
    )
    shown = {
        "open": links.open_column("operation", "outside_open"),
        "state": status_column(width=130),
        "started": columns.time_column("started"),
        "window": columns.text("window then", 250),
        "reason": columns.text("reason given", 420),
        "by": columns.text("started by", 90),
    }
    columns.show(frame, shown, "Rollouts started outside the maintenance window", "outside")
    ids = [run or rollout for run, rollout in zip(found["run_id"], found["rollout_id"], strict=True)]
    links.follow("outside_open", pages.OPERATION, ids)


def override_runs(found: pd.DataFrame) -> None:
    """Playbook runs that gave a reason for overriding the window; a click opens the operation."""
    frame = found.assign(
        open=[links.short(i) for i in found["run_id"]],
        state=status_cells(found["status"]),
        name=[columns.playbook_name(path) for path in found["playbook"]],
        started=columns.moments(found["started_at"]),
    )
    shown = {
        "open": links.open_column("operation", "override_runs_open"),
        "state": status_column(width=120),
        "name": columns.text("playbook", 210),
        "started": columns.time_column("started"),
        "reason": columns.text("reason given", 420),
        "user": columns.text("user", 110),
    }
    columns.show(frame, shown, "Playbook runs that overrode the window", "override_runs")
    links.follow("override_runs_open", pages.OPERATION, found["run_id"].tolist())
