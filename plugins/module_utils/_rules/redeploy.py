# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Deciding about the redeploy of one instance from what the server shows (behaviour 2.7). Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers import (
    Record,
    boot_time,
    is_healthy,
    normalise,
    parse_time,
    runtime_component,
    target_is_terminal,
    target_status,
)
from .ids import same_id, task_keys
from .record_words import text_of

# The words of a scope that is no single instance's.
FLEET_SCOPES = frozenset({"fleet", "tenant", "all"})
# How far a version manifest without a time may be behind, in seconds.
_UNTIMED_LAG = 3600.0

# What a server says that is full or busy now, and not of a state that no waiting changes (behaviour 2.6).
_PASSES = re.compile(
    r"\b(?:full|busy|limit(?:s|ed)?|max_?parallel\w*|capacity|concurren\w*|parallel|too many|slots?|queued?|ongoing"
    r"|another (?:\w+ )?(?:rollout|redeploy|deploy\w*|update|restart|reboot|operation|action|task|job)"
    r"|(?:in|under)[\s_-]?(?:progress|flight|way)|already (?:running|started)|(?:deploy|restart|reboot|updat)ing"
    r"|(?:again|try) later|lock(?:ed)? by)\b",
    re.IGNORECASE,
)


def may_pass(kind: str, status: int | None, detail: str | None) -> bool:
    """Whether a refusal (an ApiError's ``kind``, ``status``, ``detail``) may pass by waiting: full or busy.

    A 409 says so by its text, and one without a text is taken for it; 423, 425 and 429 say so by themselves.
    """
    if kind == "rate_limited":
        return True
    if kind != "conflict":
        return False
    return status != 409 or not detail or bool(_PASSES.search(detail))


def newest_first(targets: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Rollout targets (E23) by created_at, newest first; rows without a time keep the server's order, at the end."""
    return sorted((dict(t) for t in targets), key=lambda t: -(parse_time(t.get("created_at")) or 0.0))


def open_target(targets: Sequence[Mapping[str, Any]]) -> Record | None:
    """The newest target that is queued or in progress, or None."""
    return next((t for t in newest_first(targets) if not target_is_terminal(t)), None)


def manifest_is_stale(
    updates: Mapping[str, Any], targets: Sequence[Mapping[str, Any]], now: float | None = None
) -> Record | None:
    """The deployed target that the version manifest (E25) does not know of yet, or None.

    The manifest is refreshed by the server's health loop, so shortly after a redeploy it still names the old version.
    One without a time is taken for older than a redeploy of the last hour only: ``now`` is the server's clock.
    """
    reported = parse_time(updates.get("versions_reported_at"))
    for target in newest_first(targets):
        word = target_status(target.get("status"))
        completed = parse_time(target.get("completed_at"))
        if word in ("succeeded", "uncertain") and completed is not None:
            if reported is None:
                return target if now is None or now - completed <= _UNTIMED_LAG else None
            return target if reported <= completed else None
        if word == "failed":
            return None
    return None


@dataclass(frozen=True)
class Before:
    """A list as it stood before a call: the ids of its rows, and the newest created_at of them (epoch seconds)."""

    known_ids: frozenset[str] = frozenset()
    newest: float | None = None

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Before:
        """The snapshot of a list."""
        listed = list(rows)
        times = [at for row in listed if (at := parse_time(row.get("created_at"))) is not None]
        return cls(frozenset(str(row["id"]) for row in listed if row.get("id")), max(times, default=None))


def started_target(
    targets: Sequence[Mapping[str, Any]],
    known_ids: Collection[str],
    task_id: Any,
    newest: float | None = None,
    instance_id: str | None = None,
) -> tuple[Record, str] | None:
    """The target that a redeploy call made, with how sure that is: ``exact`` by task id, ``weak`` by time alone.

    ``known_ids`` and ``newest`` are those of Before: the server's rows are compared with its rows, never with another
    clock. Without an id only a single new row is accepted, which is no older than those before, is of no fleet rollout
    and of this instance: of two, either may be somebody else's.
    """
    new = [t for t in newest_first(targets) if str(t.get("id")) not in known_ids]
    keys = task_keys(task_id)
    for target in new:
        if keys & task_keys(target.get("celery_task_id")):
            return target, "exact"
    fitting = [
        t
        for t in new
        if not is_older(t, newest)
        and normalise(t.get("rollout_scope")) not in FLEET_SCOPES
        and (instance_id is None or not t.get("instance_id") or same_id(t["instance_id"], instance_id))
    ]
    return (fitting[0], "weak") if len(fitting) == 1 else None


def is_older(row: Mapping[str, Any], newest: float | None) -> bool:
    """Whether a row was made before the newest one of a snapshot."""
    created = parse_time(row.get("created_at"))
    return created is not None and newest is not None and created < newest


def reconcile(
    target: Mapping[str, Any],
    targets: Sequence[Mapping[str, Any]],
    updates: Mapping[str, Any],
    health: Mapping[str, Any] | None,
) -> tuple[str, str]:
    """What an ``uncertain`` target really did: succeeded, superseded, not_applied or still_unknown, and the evidence.

    ``health`` is a live record (E16 with force) or None if there was no answer.
    """
    newest = next(iter(newest_first(targets)), None)
    if newest is not None and newest.get("id") not in (None, target.get("id")):
        return "superseded", f"a later target exists ({text_of(newest, 'id')})"
    started = parse_time(target.get("started_at"))
    booted = boot_time(health) if health else None
    restarted = None if booted is None or started is None else booted > started
    reported = parse_time(updates.get("versions_reported_at"))
    runtime = runtime_component(updates)
    current: bool | None = None
    if reported is not None and started is not None and reported > started and runtime.get("current_version"):
        current = runtime.get("current_version") == runtime.get("available_version")
    evidence = f"restarted since: {_said(restarted)}, version is current: {_said(current)}"
    if restarted and current:
        return "succeeded", evidence
    if restarted is False and current is False and health and is_healthy(health):
        return "not_applied", evidence
    return "still_unknown", evidence


def _said(fact: bool | None) -> str:
    return "unknown" if fact is None else ("yes" if fact else "no")
