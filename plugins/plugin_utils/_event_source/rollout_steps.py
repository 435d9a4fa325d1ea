# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts: the new known state and the events, from the old state and new records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    count,
    number,
    parse_time,
    records_in,
    rollout_is_terminal,
    rollout_status,
    target_status,
)

from .events import FINISHED, PAUSED, RESUMED, STARTED, Step, bounded_text, event, in_utc

# How many finished rollouts are kept in the watermark.
FINISHED_KEPT = 100
# How many polls read a finished rollout again if its timeline has fewer targets than the rollout counts.
SHORT_READS = 20
_COUNTED = ("queued", "in_progress", "succeeded", "failed", "uncertain", "cancelled")
# A deployment makes an agent unhealthy. That is not reported within these seconds after its start or end.
DEPLOYING, SETTLING = 900.0, 60.0


def list_mark(row: Mapping[str, Any]) -> list[Any]:
    """The fields of a row (E3) that show a change. If one of them differs, the rollout must be read again."""
    return [row.get("status"), row.get("completed_at"), *(row.get(f"{word}_targets") for word in _COUNTED[:-1])]


def must_be_read(known: Mapping[str, Any] | None, row: Mapping[str, Any]) -> bool:
    if known is None or known["phase"] != "finished" or known["mark"] != list_mark(row):
        return True
    return 0 < known.get("short", 0) <= SHORT_READS


def is_known_or_past(row: Mapping[str, Any], rollouts: Mapping[str, Record], floor: float | None) -> bool:
    """Whether a listed rollout is among ``rollouts``, or was created at ``floor`` (epoch seconds) or before."""
    created = parse_time(row.get("created_at"))
    return str(row["id"]) in rollouts or (floor is not None and created is not None and created <= floor)


def unread_rollout(row: Mapping[str, Any], phase: str) -> Record:
    """The known state of a rollout whose timeline was not read, only its row. Its first timeline causes no events."""
    created, mark = parse_time(row.get("created_at")), list_mark(row)
    return {"created": created, "phase": phase, "mark": mark, "result": None, "targets": {}, "turn": 0, "unread": True}


def phase_of(timeline: Mapping[str, Any]) -> str:
    """``open``, ``paused`` or ``finished``. The targets take precedence over the status of the rollout."""
    if rollout_status(timeline.get("status")) == "paused":
        return "paused"
    return "finished" if rollout_is_terminal(timeline, records_in(timeline.get("timeline"))) else "open"


def rollout_step(known: Mapping[str, Any] | None, row: Mapping[str, Any], timeline: Mapping[str, Any]) -> Step:
    """The step for the timeline (E1) of one rollout. ``row``: its row in the list (E3), which was read before.

    ``known``: None for a new rollout, or created (epoch seconds), phase, mark, result, unread, turn (the number of
    events about the rollout itself), and targets: id -> [status, completed_at, started_at, number of failures]. If a
    target that had failed is no longer, completed_at of that failure follows. If a rollout has finished, its succeeded
    targets are left out, since their events have been sent. ``short``: how often its timeline had too few targets since
    it has finished. ``ended``: its last completed_at.
    """
    ended = timeline.get("completed_at") or None
    if known is not None and known["phase"] != "finished" and ended is not None and ended == known.get("ended"):
        # This is an older answer, from before the rollout was opened again by a retry or a resume.
        return Step(dict(known), [])
    rows = records_in(timeline.get("timeline"))
    statuses = [target_status(target.get("status")) for target in rows]
    phase = phase_of(timeline)
    rollout_id = str(timeline.get("rollout_id") or row.get("id"))
    counts = {status: statuses.count(status) for status in _COUNTED}
    about: Record = {
        "id": rollout_id,
        "scope": bounded_text(timeline.get("scope")),
        "status": rollout_status(timeline.get("status")),
        "created_at": in_utc(timeline.get("created_at")),
        "completed_at": in_utc(timeline.get("completed_at")),
        "targets": {"total": len(rows), **counts},
    }
    result = [about["status"], timeline.get("completed_at"), counts]
    before = known or {"phase": None, "targets": {}, "result": None, "turn": 0}
    new: Record = {
        "created": parse_time(row.get("created_at")),
        "phase": phase,
        "mark": list_mark(row),
        "result": result,
        "targets": {},
        "ended": ended or before.get("ended"),
    }
    if phase == "finished" and len(rows) < count(timeline.get("total_targets")):
        new["short"] = before.get("short", 0) + 1
    of_targets: list[Record] = []
    for target, status in zip(rows, statuses, strict=True):
        if not (target_id := bounded_text(target.get("target_id"))):
            continue
        old = before["targets"].get(target_id)
        state, is_news = _target_step(old, status, target, was_finished=before["phase"] == "finished")
        if is_news:
            rollout = {"id": rollout_id, "scope": about["scope"]}
            of_targets.append(_target_event(target, status, target_id, state[3], rollout))
        if state[0] != "succeeded" or phase != "finished":
            new["targets"][target_id] = state
    of_targets.sort(key=lambda row: row["at"] or "")
    changes: list[tuple[str, str | None]] = []
    if known is None:
        changes.append((STARTED, about["created_at"]))
    if phase == "paused" and before["phase"] != "paused":
        changes.append((PAUSED, None))
    if phase == "open" and before["phase"] in ("paused", "finished"):
        changes.append((RESUMED, None))
    if phase == "finished" and (before["phase"] != "finished" or before["result"] != result):
        changes.append((FINISHED, about["completed_at"]))
    new["turn"] = before["turn"] + len(changes)
    own = [event(kind, at, [rollout_id, before["turn"] + n], rollout=about) for n, (kind, at) in enumerate(changes)]
    if known is None:
        # It starts before its targets end, and it ends after them.
        return Step(new, [*own[:1], *of_targets, *own[1:]])
    return Step(new, [] if known.get("unread") else [*of_targets, *own])


def _target_step(
    old: list[Any] | None, status: str, target: Mapping[str, Any], *, was_finished: bool
) -> tuple[list[Any], bool]:
    """What is known of a target now, and whether its result is an event."""
    failures, before = (old[3], old[4:]) if old else (0, [])
    state = [status, target.get("completed_at") or None, target.get("started_at") or None]
    if status in ("failed", "uncertain"):
        # An older answer may show the failure before a retry once more.
        if old is not None and (old[:2] == state[:2] or before == [state[1]]):
            return old, False
        # A result that is corrected later belongs to the same attempt, which the time of its start shows.
        is_same_attempt = old is not None and old[0] in ("failed", "uncertain") and old[2] == state[2]
        return [*state, failures if is_same_attempt else failures + 1], True
    if old is not None and old[0] in ("failed", "uncertain") and old[1]:
        before = [old[1]]
    state += [failures, *before]
    if status == "succeeded":
        return state, old[0] != "succeeded" if old is not None else not was_finished
    return state, False


def _target_event(
    target: Mapping[str, Any], status: str, target_id: str, failures: int, rollout: Mapping[str, Any]
) -> Record:
    return event(
        f"fleetops.target.{status}",
        in_utc(target.get("completed_at")),
        [target_id, status, target.get("completed_at"), failures],
        rollout=dict(rollout),
        target={
            "id": target_id,
            "status": status,
            "error_message": bounded_text(target.get("error_message")),
            "started_at": in_utc(target.get("started_at")),
            "completed_at": in_utc(target.get("completed_at")),
            "duration_seconds": number(target.get("duration_seconds")),
            "failures": failures,
        },
        instance={"id": bounded_text(target.get("instance_id"))},
    )


def prune(rollouts: Mapping[str, Record], floor: float | None) -> tuple[dict[str, Record], float | None]:
    """The rollouts to keep, and the floor: unknown rollouts that were created until then (epoch seconds) are past.

    All unfinished rollouts are kept, and the newest 100 finished ones.
    """
    closed = [item for item in rollouts.items() if item[1]["phase"] == "finished" and item[1]["created"] is not None]
    closed.sort(key=lambda item: -item[1]["created"])
    dropped = closed[FINISHED_KEPT:]
    if not dropped:
        return dict(rollouts), floor
    gone = {rollout_id for rollout_id, _known in dropped}
    return {i: known for i, known in rollouts.items() if i not in gone}, max(floor or 0.0, dropped[0][1]["created"])


def unhealthy_until(target: Mapping[str, Any]) -> float | None:
    """Until when (epoch seconds) this target explains that its instance is unhealthy; None if it does not."""
    started, completed = parse_time(target.get("started_at")), parse_time(target.get("completed_at"))
    if started is None:
        return None
    if target_status(target.get("status")) == "in_progress":
        return started + DEPLOYING
    return None if completed is None else completed + SETTLING
