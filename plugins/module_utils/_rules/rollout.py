# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Decisions about rollouts of many instances, from the server's records (behaviour 2.5 to 2.7). Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import (
    ROLLOUT_OPEN,
    ROLLOUT_TERMINAL,
    SINGLE_SCOPES,
    Counters,
    Record,
    count,
    counters,
    counters_of_targets,
    is_single_target,
    known_count,
    normalise,
    number,
    parse_time,
    records_in,
    rollout_is_terminal,
    rollout_status,
    target_is_terminal,
    target_status,
)
from .ids import id_key, same_id, task_keys
from .record_words import counted, is_status, named, reason_of, text_of
from .redeploy import is_older
from .refusals import refusal_in, says_no

# The rollout that E2 started

# How well a rollout matches the answer of E2. A match of ids or of instances is sufficient proof.
_BY_ID, _BY_INSTANCES, _BY_COUNT, _BY_TIME, _OF_ANOTHER_SIZE = 3, 2, 1, 0, -1


@dataclass(frozen=True)
class Evidence:
    """The data by which the rollout of a call of E2 is identified.

    ``known_ids``: the ids of the rollouts in E3 before the call. ``newest``: the newest created_at of them (epoch
    seconds, UTC). ``enqueued``, ``total`` and ``strings`` (the ids in its tasks) are those of the answer, if there was
    one.
    """

    known_ids: frozenset[str]
    newest: float | None = None
    enqueued: int | None = None
    total: int | None = None
    strings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Found:
    """The rollout that was found, and all candidates.

    ``detail``: its E4 body, None if no rollout or more than one matches. ``match``: ``exact`` by ids or instances, or
    ``weak`` as the only new rollout. ``candidates``: rows of E3.
    """

    detail: Record | None = None
    match: str | None = None
    candidates: list[Record] = field(default_factory=list)


def is_fleet_rollout(rollout: Mapping[str, Any], enqueued: int | None) -> bool:
    """Whether a rollout may have been created by E2.

    A rollout with an unknown scope and a single target belongs to E22, unless exactly one instance was ``enqueued``.
    """
    scope = normalise(rollout.get("scope"))
    return not is_single_target(rollout) or (enqueued == 1 and scope not in SINGLE_SCOPES)


def tasks_started(answer: Mapping[str, Any]) -> list[Any]:
    """The entries of ``tasks`` in the answer of E2 that have an id, without those whose status is a refusal."""
    tasks = answer["tasks"] if isinstance(answer.get("tasks"), list) else [answer.get("tasks")]
    return [
        task for task in tasks if task_keys(task) and not (isinstance(task, Mapping) and says_no(task.get("status")))
    ]


def doubt_about(answer: Mapping[str, Any]) -> str:
    """A sentence if the answer of E2 says that nothing was enqueued, and also lists tasks; otherwise empty."""
    started = tasks_started(answer)
    if known_count(answer.get("enqueued")) != 0 or not started:
        return ""
    return f"The server said that it enqueued no instance, but listed {counted(len(started), 'task')}."


def new_fleet_rollouts(rollouts: Iterable[Mapping[str, Any]], evidence: Evidence) -> list[Record]:
    """The rows of E3 that the call may have created: new fleet rollouts.

    A rollout that is older than the newest one before the call is left out, unless the answer had ids to decide by.
    """
    return [
        dict(row)
        for row in rollouts
        if row.get("id")
        and str(row["id"]) not in evidence.known_ids
        and is_fleet_rollout(row, evidence.enqueued)
        and (evidence.strings or not is_older(row, evidence.newest))
    ]


def started_rollout(details: Sequence[Mapping[str, Any]], evidence: Evidence) -> Found:
    """The candidate (E4 body) that the call has created. If two match equally well, neither is chosen.

    Without a match of ids or instances, a rollout is chosen only if it is the single candidate, is not older than the
    rollouts before the call, and its number of targets does not contradict the answer.
    """
    keys = task_keys(evidence.strings)
    scored = [(_fits(detail, evidence, keys), detail) for detail in details]
    best = max((score for score, _detail in scored), default=_BY_TIME)
    leading = [dict(detail) for score, detail in scored if score == best]
    candidates = [dict(detail["rollout"]) for detail in details]
    if best >= _BY_INSTANCES and len(leading) == 1:
        return Found(leading[0], "exact", candidates)
    recent = [(score, detail) for score, detail in scored if not is_older(detail["rollout"], evidence.newest)]
    candidates = [dict(detail["rollout"]) for _score, detail in recent]
    if len(recent) == 1 and recent[0][0] > _OF_ANOTHER_SIZE:
        return Found(dict(recent[0][1]), "weak", candidates)
    return Found(candidates=candidates)


def _fits(detail: Mapping[str, Any], evidence: Evidence, keys: frozenset[str]) -> int:
    rollout, targets = detail["rollout"], detail.get("targets") or []
    names = task_keys(rollout.get("id")) | task_keys([t.get(key) for t in targets for key in ("id", "celery_task_id")])
    if names & keys:
        return _BY_ID
    instances = task_keys([t.get("instance_id") for t in targets])
    if instances and instances <= keys:
        return _BY_INSTANCES
    counts = {n for n in (evidence.enqueued, evidence.total) if n is not None}
    size = number(rollout.get("total_targets"))
    if size is None or not counts:
        return _BY_TIME
    return _BY_COUNT if size in counts else _OF_ANOTHER_SIZE


# Pausing, resuming, cancelling


def transition(
    state: str, rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]], force: bool = False
) -> str:
    """What must be done to bring a rollout to ``state`` (paused, running, cancelled).

    ``call``: make the call. ``already``: the rollout is in that state. ``too_late``: it has ended or is being
    cancelled. ``force``: also terminate targets in progress.
    """
    word = rollout_status(rollout.get("status"))
    finished = rollout_is_terminal(rollout, targets)
    if state == "cancelled":
        if word == "cancelling" and not finished:
            return "call" if force and tally(rollout, targets).in_progress else "already"
        if word == "cancelled":
            return "already"
        return "too_late" if finished else "call"
    if finished or word in ("cancelling", "cancelled"):
        return "too_late"
    if state == "paused":
        return "already" if word == "paused" else "call"
    # A rollout with an unknown status is running if one of its targets is queued or in progress.
    runs = word in ROLLOUT_OPEN - {"paused"} or (word != "paused" and tally(rollout, targets).open > 0)
    return "already" if runs else "call"


def refusal_of_rollout(answer: Any) -> str | None:
    """The server's words if its answer to E5 to E8 is a refusal. The status may be that of the rollout or target."""
    word = answer.get("status") if isinstance(answer, Mapping) else None
    own = {rollout_status(word), target_status(word)} & (ROLLOUT_OPEN | ROLLOUT_TERMINAL | {"queued", "uncertain"})
    return refusal_in(answer, status=not own)


def after_transition(state: str, before: Counters, force: bool = False) -> Record:
    """The status and the counters after E5 (cancelled), E6 (paused) or E7 (running), according to the reference."""
    after = before.as_dict()
    if state == "running":
        after["queued"], after["cancelled"] = before.queued + before.cancelled, 0
        return {"status": "in_progress", **after}
    after["queued"], after["cancelled"] = 0, before.cancelled + before.queued
    if state == "paused":
        return {"status": "paused", **after}
    if force:
        after["in_progress"], after["uncertain"] = 0, before.uncertain + before.in_progress
    return {"status": "cancelling" if after["in_progress"] else "cancelled", **after}


def tally(rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> Counters:
    """The counters of a rollout from its target rows or, if there are none, from its own record."""
    return counters_of_targets(targets) if targets else counters(rollout)


def targets_text(rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> str:
    """How many targets of a rollout have each status: ``14 targets: 3 succeeded, 1 failed, 10 not started``."""
    found = counters(rollout) if unlisted(rollout, targets) else tally(rollout, targets)
    word = rollout_status(rollout.get("status"))
    kinds = {
        "succeeded": found.succeeded,
        "failed": found.failed,
        "uncertain": found.uncertain,
        "in progress": found.in_progress,
        "queued": found.queued,
        "cancelled" if word == "cancelled" else "not started" if word in ROLLOUT_OPEN else "other": found.cancelled,
    }
    numbers = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    return f"{counted(found.total, 'target')}{': ' if numbers else ''}{numbers}"


def unlisted(rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> int:
    """The number of targets that, by a rollout's total, are missing in the list of its targets."""
    return max(0, counters(rollout).total - len(targets))


# The end of a rollout


def is_quiet(rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rollout with an unknown status has no target that is queued or in progress.

    If this is true twice, some seconds apart, the rollout has ended (behaviour 2.4).
    """
    word = rollout_status(rollout.get("status"))
    if word in ROLLOUT_OPEN | ROLLOUT_TERMINAL:
        return False
    return tally(rollout, targets).open == 0 and all(target_is_terminal(t) for t in targets)


@dataclass(frozen=True)
class Ends:
    """How the targets of a rollout ended. ``uncertain``: without evidence that they succeeded.

    ``unknown``: with an unknown status. ``cancelled``: revoked before they started. ``total``: the number of all
    targets. ``unlisted``: how many failed and uncertain ones the rollout counts, but does not list.
    """

    total: int
    failed: list[Record]
    uncertain: list[Record]
    unknown: list[Record]
    cancelled: list[Record]
    unlisted: int = 0

    @property
    def bad(self) -> list[Record]:
        """The targets that count as failed."""
        return [*self.failed, *self.uncertain, *self.unknown]


def ends(
    targets: Iterable[Mapping[str, Any]],
    proved: Collection[str] = (),
    *,
    finished: bool = True,
    rollout: Mapping[str, Any] | None = None,
) -> Ends:
    """The targets by how they ended. ``proved``: the ids of uncertain targets for which there is evidence of success.

    If the rollout is not ``finished``, targets that have not ended are left out. ``rollout``: its record, if the
    targets are all that it lists.
    """
    rows = [dict(t) for t in targets]
    by_end: dict[str, list[Record]] = {"failed": [], "uncertain": [], "unknown": [], "cancelled": []}
    for row in rows:
        word = target_status(row.get("status"))
        if not finished and not target_is_terminal(row):
            continue
        if word == "succeeded" or str(row.get("id")) in proved or normalise(row.get("status")) == "skipped":
            continue
        if word not in by_end:
            if target_status(row.get("last_result_status")) == "succeeded":
                continue
            word = "unknown"
        by_end[word].append(row)
    total = max(len(rows), counters(rollout or {}).total)
    return Ends(total, **by_end, unlisted=unlisted_among(rollout or {}, rows, "all"))


def host_names(timeline: Any) -> dict[str, str]:
    """Host names by instance id (id_key), from the rows of ``timeline`` in E1."""
    found = {id_key(str(row.get("instance_id"))): text_of(row, "instance_hostname", "") for row in records_in(timeline)}
    return {instance: host for instance, host in found.items() if host}


def instance_in_words(target: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The instance of a target: its host name in ``names`` (see host_names), otherwise its id."""
    host = names.get(id_key(str(target.get("instance_id"))))
    return host or named("instance", target, "instance_id")


def ends_text(found: Ends, names: Mapping[str, str]) -> str:
    """The targets that did not succeed, as a phrase: their numbers, and the first instances with the server's reasons.

    ``names``: see host_names.
    """
    kinds = {"failed": found.failed, "uncertain": found.uncertain, "with an unknown end": found.unknown}
    kinds["cancelled"] = found.cancelled
    counts = {kind: len(rows) for kind, rows in kinds.items()} | {"failed or uncertain but not listed": found.unlisted}
    numbers = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"of {found.total} targets, {numbers}{_reasons(found.bad, names)}"


def _reasons(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], most: int = 5) -> str:
    if not rows:
        return ""
    phrases = []
    for row in rows[:most]:
        reason = reason_of(row)
        phrases.append(f"{instance_in_words(row, names)}{f' ({reason})' if reason else ''}")
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return ": " + "; ".join(phrases) + more


def grace_left(targets: Iterable[Mapping[str, Any]], now: float | None, grace: float) -> float:
    """How many more seconds to wait for late results of the uncertain targets, counted from the end of each target.

    ``now``: epoch seconds by the server's clock. Without it, or if an end has no time, this is all of ``grace``.
    """
    lost = [parse_time(t.get("completed_at")) for t in targets if target_status(t.get("status")) == "uncertain"]
    if not lost:
        return 0.0
    return max(grace if at is None or now is None else min(grace, max(0.0, at + grace - now)) for at in lost)


# Retrying targets

RETRYABLE = {"failed": ("failed",), "uncertain": ("uncertain",), "all": ("failed", "uncertain")}


def selected(
    targets: Iterable[Mapping[str, Any]],
    *,
    target_id: str | None = None,
    instance_id: str | None = None,
    select: str | None = None,
) -> list[Record]:
    """The selected targets: by row id, by instance, or by ``select`` (failed, uncertain, or all of both)."""
    words = RETRYABLE.get(select or "", ())
    return [
        dict(t)
        for t in targets
        if (target_id is not None and same_id(t.get("id"), target_id))
        or (instance_id is not None and same_id(t.get("instance_id"), instance_id))
        or target_status(t.get("status")) in words
    ]


def unlisted_among(rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]], select: str) -> int:
    """How many of the targets of ``select`` (see selected) the rollout counts, but does not list."""
    total, listed = counters(rollout), counters_of_targets(targets)
    if targets and len(targets) >= total.total:
        # All are listed, so the rows decide.
        return 0
    beyond = {"failed": total.failed - listed.failed, "uncertain": total.uncertain - listed.uncertain}
    return max(0, sum(beyond[word] for word in RETRYABLE[select]))


def why_not_retried(target: Mapping[str, Any], verdict: str | None = None, retry_unknown: bool = False) -> str | None:
    """Why a target is not retried, as a phrase; None if it may be retried (E8 accepts failed and uncertain ones).

    For an uncertain target, ``verdict`` (see reconcile) decides. It is retried only if it certainly was not applied or,
    with ``retry_unknown``, if that is unknown.
    """
    word = target_status(target.get("status"))
    if word == "failed":
        return None
    if word == "uncertain":
        if verdict == "not_applied" or (retry_unknown and verdict in (None, "still_unknown")):
            return None
        return {
            "succeeded": "the server reports it as uncertain, but the evidence shows that it succeeded",
            "superseded": "a later redeploy of the instance exists",
        }.get(verdict or "", "whether it was applied is still unknown; set retry_unknown to send it again anyway")
    if word == "succeeded":
        return "it has succeeded"
    if word == "cancelled":
        return "it was cancelled; a paused rollout takes it up again when it is resumed"
    return f"it {is_status(target)}; only failed and uncertain targets can be retried"


def was_reopened(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a target was queued again between two reads of the same row, so E8 was carried out (behaviour 2.5)."""
    if target_status(after.get("status")) in ("queued", "in_progress"):
        return True
    if any(before.get(key) != after.get(key) for key in ("celery_task_id", "completed_at")):
        return True
    return _attempts(after) > _attempts(before)


def _attempts(target: Mapping[str, Any]) -> int:
    detail = target.get("detail_json")
    return count(detail.get("attempts")) if isinstance(detail, Mapping) else 0
