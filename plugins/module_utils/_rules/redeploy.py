# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Decisions about the redeploy of one instance, from the server's records (behaviour 2.7). Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers import (
    FLEET_SCOPES,
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

# By how many seconds a version manifest without a time may be outdated.
_UNTIMED_LAG = 3600.0

# What a server says if it is full or busy, so that waiting helps (behaviour 2.6).
_PASSES = re.compile(
    r"\b(?:full|busy|limit(?:s|ed)?|max_?parallel\w*|capacity|concurren\w*|parallel|too many|slots?|queued?|ongoing"
    r"|another (?:\w+ )?(?:rollout|redeploy|deploy\w*|update|restart|reboot|operation|action|task|job)"
    r"|(?:in|under)[\s_-]?(?:progress|flight|way)|already (?:running|started)|(?:deploy|restart|reboot|updat)ing"
    r"|(?:again|try) later|lock(?:ed)? by)\b",
    re.IGNORECASE,
)


def may_pass(kind: str, status: int | None, detail: str | None) -> bool:
    """Whether waiting may help after a refusal, because the server is full or busy.

    ``kind``, ``status`` and ``detail`` are those of the ApiError. Status 423, 425 and 429 always mean this. Status 409
    means it if the text says so, or if there is no text.
    """
    if kind == "rate_limited":
        return True
    if kind != "conflict":
        return False
    return status != 409 or not detail or bool(_PASSES.search(detail))


def newest_first(targets: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Rollout targets (E23) by created_at, newest first. Rows without a time come last, in the order of the server."""
    return sorted((dict(t) for t in targets), key=lambda t: -(parse_time(t.get("created_at")) or 0.0))


def open_target(targets: Sequence[Mapping[str, Any]]) -> Record | None:
    """The newest target that is queued or in progress, or None."""
    return next((t for t in newest_first(targets) if not target_is_terminal(t)), None)


def manifest_is_stale(
    updates: Mapping[str, Any], targets: Sequence[Mapping[str, Any]], now: float | None = None
) -> Record | None:
    """The deployed target that is newer than the version manifest (E25), or None.

    The server's health loop refreshes the manifest, so shortly after a redeploy it still has the old version. A
    manifest without a time counts as older only than redeploys of the last hour. ``now``: epoch seconds by the server's
    clock.
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
    """A list before a call: the ids of its rows, and the newest created_at of them (epoch seconds)."""

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
    """The target that a redeploy call has created, and how certain that is: ``exact`` by task id, or ``weak`` by time.

    ``known_ids`` and ``newest``: see Before. Times of the server's rows are compared only with times of its other rows,
    never with another clock. Without a task id the target must be the only new row that belongs to this instance, does
    not belong to a fleet rollout, and is not older than the rows before the call. If there are two such rows, either
    may be somebody else's, so the result is None.
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
    """Whether a row was created before ``newest`` (epoch seconds), the time of the newest row before the call."""
    created = parse_time(row.get("created_at"))
    return created is not None and newest is not None and created < newest


def reconcile(
    target: Mapping[str, Any],
    targets: Sequence[Mapping[str, Any]],
    updates: Mapping[str, Any],
    health: Mapping[str, Any] | None,
) -> tuple[str, str]:
    """The outcome of an ``uncertain`` target (succeeded, superseded, not_applied or still_unknown), and the evidence.

    ``targets``: the history of the instance (E23). ``updates``: E25. ``health``: a live record (E16 with force), or
    None if there was no answer.
    """
    later = (row for row in newest_first(targets) if not is_older(row, parse_time(target.get("created_at"))))
    newest = next(later, None)
    if newest is not None and newest.get("id") is not None and not same_id(newest["id"], target.get("id")):
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


def not_proved(verdict: str, evidence: str) -> str:
    """What the evidence of :func:`reconcile` says about a redeploy that it does not prove, and what to do next."""
    if verdict == "not_applied":
        return (
            "It was not applied: the instance is healthy, has not restarted since then, and its version is not "
            "current. It was not sent again; run this task again to redeploy the instance."
        )
    if verdict == "superseded":
        return f"It is superseded: {evidence}. It was not sent again; run this task again to check the instance."
    return (
        f"The instance does not show it either ({evidence}). It was not sent again. Check the instance before you "
        "repeat it."
    )


def _said(fact: bool | None) -> str:
    return "unknown" if fact is None else ("yes" if fact else "no")
