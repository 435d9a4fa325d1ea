# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the pages Instances, Instance and Policy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from console.record.read.declared import Comparison
from console.record.read.freezes import FrozenTime
from console.text import times
from console.text.json_values import entries, parsed
from console.web.shared import columns, lists, markup, pages, viewer

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
    listed = entries(components_json)
    kinds = Counter(str(one.get("name") or "").partition("/")[0] for one in listed if one.get("outdated"))
    words = {"runtime": "runtime", "skills": "skill", "mcp_servers": "server"}
    return [
        word if kind == "runtime" else f"{kinds[kind]} {word}{'s' if kinds[kind] > 1 else ''}"
        for kind, word in words.items()
        if kinds[kind]
    ]


def actions(found: pd.DataFrame) -> None:
    """Actions of one instance, newest first."""
    at = [
        written or raw or ""
        for written, raw in zip(columns.in_words(found["created_at"]), found["created_raw"], strict=True)
    ]
    shown = [
        columns.text(at, columns.in_zone("asked for"), 160),
        columns.text(found["action"], "action", 190),
        columns.statuses(found["status"], width=130),
        columns.durations(found["took_s"], "took"),
        columns.text(found["message"], "message", 420),
        *([columns.text(found["actor"], "by", 140)] if found["actor"].notna().any() else []),
        columns.text(found["action_id"], "id", 280),
    ]
    columns.show("Actions of the instance, newest first", shown, "actions")


def deploys(found: pd.DataFrame, p50: float | None, p95: float | None, whose: str) -> None:
    """Rollout targets of one instance, newest first, compared with the usual duration; a click opens the rollout.

    whose: whose p50 and p95 they are, "its" or "the fleet's".
    """
    shown = [
        columns.statuses(found["status"], width=130),
        columns.moments(found["started_at"].fillna(found["created_at"]), "started"),
        columns.durations(found["took_s"], "took", 110),
        columns.text([_beside(took, p50, p95) for took in found["took_s"]], f"beside {whose} usual", 190),
        columns.text(found["scope"], "scope", 85),
        columns.text(found["error"], "error", 420),
        columns.text(found["bundle_hash"], "bundle", 110),
    ]
    opens = columns.Opens("rollout", pages.ROLLOUT, found["rollout_id"])
    columns.show("Rollout targets of the instance, newest first", shown, "deploys", opens=opens)


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
    frame = frame.assign(word=words, later=[word != "outdated" for word in words])
    frame = frame.sort_values(["later", "name"], kind="stable")
    shown = [
        columns.text(frame["name"], "component", 260),
        columns.statuses(frame["word"], "version", 130),
        columns.text(frame["current"], "running", 150),
        columns.text(frame["available"], "available", 150),
    ]
    columns.show("Components and their versions", shown, "components")


def versions(found: pd.DataFrame) -> None:
    """When each runtime version was first seen on one instance, and what else changed at that time."""
    contents = [parsed(text) for text in found["versions_json"]]
    changed = [
        "first read" if old is None
        else ", ".join(f"{name} {old.get(name) or '?'} → {new.get(name) or 'gone'}" for name in sorted({*old, *new})
                       if old.get(name) != new.get(name))
        for old, new in zip([*contents[1:], None], contents, strict=True)
    ]  # fmt: skip
    shown = [
        columns.moments(found["taken_at"], "first seen"),
        columns.text(found["runtime"], "runtime", 130),
        columns.text(changed, "change", 520),
    ]
    columns.show("Versions seen, newest first", shown, "versions")


FREEZES = (markup.Column("frozen"), markup.Column("reason"), markup.Column("told to", "rest"))


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
    shown = [
        columns.moments(found["seen_at"], "seen"),
        columns.text(found["key"], "setting", 290),
        columns.text(found["before"], "before", 150),
        columns.text(found["after"], "after", 150),
        columns.moments(found["not_before_at"], "not before"),
    ]
    columns.show("Changes of the policy, newest first", shown, "policy_changes")


def outside(found: pd.DataFrame) -> None:
    """Rollouts started while the window was closed; a click opens the operation."""
    window = [h + (" (assumed)" if a else "") for h, a in zip(found["hours"], found["assumed"], strict=True)]
    shown = [
        columns.statuses(found["status"], width=130),
        columns.moments(found["created_at"], "started"),
        columns.text(window, "window then", 250),
        columns.text(found["reason"], "reason given", 420),
        columns.text(["playbook" if run else "" for run in found["run_id"]], "started by", 90),
    ]
    ids = found["run_id"].where(found["run_id"].notna(), found["rollout_id"])
    opens = columns.Opens("operation", pages.OPERATION, ids, found["rollout_id"])
    columns.show("Rollouts started outside the maintenance window", shown, "outside", opens=opens)


def override_runs(found: pd.DataFrame) -> None:
    """Playbook runs that gave a reason for overriding the window; a click opens the operation."""
    shown = [
        columns.statuses(found["status"], width=120),
        columns.text([columns.playbook_name(path) for path in found["playbook"]], "playbook", 210),
        columns.moments(found["started_at"], "started"),
        columns.text(found["reason"], "reason given", 420),
        columns.text(found["user"], "user", 110),
    ]
    opens = columns.Opens("operation", pages.OPERATION, found["run_id"])
    columns.show("Playbook runs that overrode the window", shown, "override_runs", opens=opens)
