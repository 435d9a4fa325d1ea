# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Finding the rollout that was started, following it to its end, and the real outcome of its uncertain targets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from .._client.client import ROLLOUTS_PAGE
from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import Record, is_single_target, rollout_is_terminal, rollout_status, target_status
from .._rules.record_words import ended_as, is_status, origin, text_of, with_variable
from .._rules.redeploy import reconcile
from .._rules.rollout import (
    Evidence,
    Found,
    ends,
    ends_text,
    grace_left,
    host_names,
    is_quiet,
    new_fleet_rollouts,
    started_rollout,
    tally,
    targets_text,
    unlisted,
)
from .look_up import looking_up
from .notes_of_sent import KEPT_FOR, Notes
from .refusal import closed_window
from .wait import Waited, wait_for_effect, wait_until

# The subject and the key of the note of E2. A tenant has one fleet.
FLEET = "fleet"
# Seconds within which a rollout must appear in the list if it was accepted, and if the outcome of the call is unknown
# (behaviour 2.7).
_APPEARS_WITHIN = 30.0
_APPEARS_UNKNOWN_WITHIN = 60.0
# A rollout with an unknown status has ended after this many seconds without an open target (behaviour 2.4).
_QUIET_FOR = 5.0
RESUME_IT = "Resume or cancel it with fleetops.agents.rollout (state=running or state=cancelled)."
# Seconds within which the effect of a call must be visible in E4.
SHOWS_WITHIN = 10.0


def unfinished_fleet_rollouts(context: Context) -> list[Record]:
    """The fleet rollouts (E3) that have not ended."""
    return [row for row in context.client.open_fleet_rollouts() if not is_single_target(row)]


def look_for_started(context: Context, evidence: Evidence) -> Found:
    """The rollout of a call of E2, if the server's lists already show it."""
    rows = new_fleet_rollouts(context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE), evidence)
    return started_rollout([_detail_of(context, row) for row in rows], evidence)


def find_started(
    context: Context, notes: Notes, evidence: Evidence, ambiguous: ApiError | None, doubt: str
) -> Record | None:
    """The rollout (E4 body) of a call of E2. Fails with the candidates if it cannot be identified.

    ``ambiguous``: the error of the call if its outcome is unknown. ``doubt``: a sentence if the answer of the call may
    mean that it started nothing. In this case the result is None, with a warning, if no new rollout appears.
    """
    within = _APPEARS_UNKNOWN_WITHIN if ambiguous is not None else _APPEARS_WITHIN

    def settled(found: Found) -> bool:
        # If the answer had ids, a match by time alone is not enough, since the rollout with these ids may still appear.
        return found.match == "exact" or (
            not evidence.strings and (found.match is not None or len(found.candidates) > 1)
        )

    with looking_up(context, ambiguous, unresolved=True):
        found = wait_for_effect(context, lambda: look_for_started(context, evidence), settled, timeout=within).state
    if found.detail is not None:
        context.result["match"] = found.match
        remember(context, found.detail)
        if found.match == "weak":
            context.warn(
                "The fleet rollout was identified without its ids, as the only new one in the server's list "
                f"({context.result['rollout_id']}, {origin(found.detail['rollout'])})."
            )
        return found.detail
    said = f"{ambiguous or doubt or 'The server accepted the fleet rollout.'} "
    facts: Record = {"unresolved": True}
    if ambiguous is not None:
        facts.update(error=ambiguous.as_dict(), ambiguous=True)
    if found.candidates:
        # The call had an effect, although it is unknown which row that is. A later run may start another rollout.
        notes.end(FLEET)
        listed = "; ".join(
            f"{text_of(row, 'id', 'one without an id')} (targets: {text_of(row, 'total_targets')}, {origin(row)})"
            for row in found.candidates
        )
        why = (
            "Several new rollouts fit equally well"
            if len(found.candidates) > 1
            else "The only new rollout does not fit"
        )
        return context.fail(
            f"{said}{why}, so none was chosen: {listed}. Check which one is yours; none was stopped.",
            candidates=found.candidates,
            **facts,
        )
    nothing = f"{said}Within {within:.0f} s no new fleet rollout appeared in the server's list."
    if doubt:
        context.warn(f"{nothing} None counts as started.")
        return None
    return context.fail(
        f"{nothing} If it appears later, running this task again adopts it; no other one is started for "
        f"{KEPT_FOR / 60:.0f} minutes, unless {with_variable('retry_if_absent')} is set.",
        **facts,
    )


def _detail_of(context: Context, row: Record) -> Record:
    """A listed rollout as E4 has it. Without targets if it is listed but cannot be read yet."""
    try:
        return context.client.get_rollout(str(row["id"]))
    except ApiError as error:
        if error.kind != "not_found":
            raise
        return {"rollout": row, "targets": []}


def read_until(context: Context, rollout_id: str, done: Callable[[Record], bool], *, timeout: float) -> Waited[Record]:
    """Read E4 until ``done(detail)`` is true, or until ``timeout`` seconds have passed."""
    return wait_until(context, lambda: context.client.get_rollout(rollout_id), done, timeout=timeout)


def read_until_shown(context: Context, rollout_id: str, done: Callable[[Record], bool]) -> Waited[Record]:
    """The same for the effect of a call that was just sent."""
    return wait_for_effect(context, lambda: context.client.get_rollout(rollout_id), done, timeout=SHOWS_WITHIN)


def follow(context: Context, rollout_id: str, enough: Callable[[Record], bool] | None = None) -> Record:
    """The rollout (E4 body) when it has ended, or as soon as ``enough(detail)`` is true.

    Fails with ``timed_out`` after wait_timeout, and leaves the rollout running.
    """
    quiet_since: float | None = None

    def ended(detail: Record) -> bool:
        nonlocal quiet_since
        remember(context, detail)
        rollout, targets = detail["rollout"], detail["targets"]
        if rollout_is_terminal(rollout, targets) or (enough is not None and enough(detail)):
            return True
        if not is_quiet(rollout, targets):
            quiet_since = None
            return False
        quiet_since = context.clock() if quiet_since is None else quiet_since
        return context.clock() - quiet_since >= _QUIET_FOR

    waited = read_until(context, rollout_id, ended, timeout=context.params["wait_timeout"])
    detail = waited.state
    if not waited.done:
        left = tally(detail["rollout"], detail["targets"])
        held_back = closed_window(context) if left.queued else ""
        is_paused = rollout_status(detail["rollout"].get("status")) == "paused"
        step = RESUME_IT if is_paused else "It was left running; run this task again to follow it."
        context.fail(
            f"Fleet rollout {rollout_id} did not end within {context.params['wait_timeout']} s; it "
            f"{is_status(detail['rollout'])}, with {left.queued} targets queued and {left.in_progress} in progress. "
            f"{step} {held_back}".strip(),
            timed_out=True,
        )
    return detail


def settle_uncertain(
    context: Context, detail: Record, among: Collection[str] | None = None
) -> tuple[Record, dict[str, str]]:
    """Wait for late results of uncertain targets. Returns the rollout, and the verdicts of those that remain uncertain.

    ``among``: only the targets with these ids. The verdicts, by target id, are those of reconcile() and are also in the
    return value ``reconciled``.
    """
    rollout_id = str(detail["rollout"].get("id"))

    def lost(seen: Record) -> list[Record]:
        rows = [row for row in seen["targets"] if target_status(row.get("status")) == "uncertain"]
        return [row for row in rows if among is None or row.get("id") in among]

    if not lost(detail):
        return detail, {}
    grace = grace_left(lost(detail), context.client.server_time, context.params["uncertain_grace"])
    detail = read_until(context, rollout_id, lambda seen: not lost(seen), timeout=grace).state
    verdicts: dict[str, str] = {}
    told = {row.get("target_id"): row for row in context.result.get("reconciled", ())}
    for target in lost(detail):
        target_id, instance_id = target.get("id"), target.get("instance_id")
        verdict, evidence = evidence_of(context, target)
        verdicts[str(target_id)] = verdict
        told[target_id] = {
            "target_id": target_id,
            "instance_id": instance_id,
            "verdict": verdict,
            "evidence": evidence,
        }
        context.result["reconciled"] = list(told.values())
    return detail, verdicts


def fail_if_too_many(context: Context, detail: Record, verdicts: Mapping[str, str]) -> None:
    """Fail if more targets of a rollout (E4 body) than ``max_failed`` did not succeed, or if it was cancelled.

    ``verdicts``: see settle_uncertain. The return value ``ended_badly`` is set if a retry of the targets may help.
    """
    rollout, targets = detail["rollout"], detail["targets"]
    proved = {target_id for target_id, verdict in verdicts.items() if verdict == "succeeded"}
    found = ends(targets, proved, rollout=rollout)
    too_many = len(found.bad) + found.unlisted > context.params["max_failed"]
    name = f"Rollout {rollout.get('id')}" if is_single_target(rollout) else f"Fleet rollout {rollout.get('id')}"

    def told() -> str:
        return ends_text(found, names_of(context, str(rollout.get("id"))))

    if rollout_status(rollout.get("status")) == "cancelled" or found.cancelled:
        context.fail(f"{name} was cancelled: {told()}.", too_many=too_many)
    if too_many:
        context.fail(f"{name} {ended_as(rollout)}: {told()}.", too_many=True, ended_badly=True)


def evidence_of(context: Context, target: Record) -> tuple[str, str]:
    """The verdict of reconcile() for one uncertain target, and the evidence."""
    client, instance_id = context.client, context.params.get("instance_id") or str(target.get("instance_id"))
    try:
        health: Record | None = client.get_deep_health(instance_id, force=True)
    except ApiError as error:
        if error.kind == "auth":
            raise
        health = None
    try:
        history = client.list_instance_rollouts(instance_id)
        updates = client.get_available_updates(instance_id)
    except ApiError as error:
        if error.kind == "auth":
            raise
        return "still_unknown", f"the instance could not be read: {error}"
    return reconcile(target, history, updates, health)


def names_of(context: Context, rollout_id: str) -> dict[str, str]:
    """The host names of a rollout's instances (E1) for a message, by id; empty if they cannot be read."""
    try:
        return host_names(context.client.get_rollout_timeline(rollout_id).get("timeline"))
    except ApiError:
        return {}


def remember(context: Context, detail: Record) -> None:
    """Set the return values to the last known state of the rollout and its targets."""
    context.result.update(rollout_id=detail["rollout"].get("id"), targets=detail["targets"])
    remember_rollout(context, detail)
    warn_if_cut(context, detail)


def remember_rollout(context: Context, detail: Record) -> None:
    """Set the return values ``rollout`` and ``text`` to the last known state of the rollout (E4 body)."""
    context.result.update(rollout=detail["rollout"], text=targets_text(detail["rollout"], detail["targets"]))


def warn_if_cut(context: Context, detail: Record) -> None:
    """Warn if the server lists fewer targets of a rollout (E4 body) than it has."""
    rollout, listed = detail["rollout"], len(detail["targets"])
    if missing := unlisted(rollout, detail["targets"]):
        what = f"{listed} of the {listed + missing} targets of rollout {rollout['id']}"
        context.warn_once(f"{rollout['id']} is cut", f"The server lists {what}.")
