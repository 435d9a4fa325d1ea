# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restarting an instance: checks before, sending once (E13, E14), and waiting for evidence of the restart."""

from __future__ import annotations

from .._client.client import FleetClient
from .._client.errors import ApiError
from .._module.operation import Context
from .._module.options import Spec
from .._rules.answers import Record, boot_time, is_healthy, is_live, number, parse_time
from .._rules.ids import id_key
from .._rules.record_words import is_status, named, with_variable
from .._rules.redeploy import open_target
from .._rules.refusals import refusal_in
from .._rules.restart import Watch, action_key, completed_ago, has_failed, is_completed, restarted_ago
from .claimed import claimed
from .look_up import looking_up
from .notes_of_sent import FOUND, LOST, Note, Notes
from .refusal import fail_if_refused
from .restart_watch import (
    DOWN,
    Course,
    Restart,
    actions_of,
    fail_if_failed,
    look,
    look_for_row,
    reconcile,
    without_repeats,
)
from .wait import wait_until

RESTART_OPTIONS: Spec = {
    "only_if_unhealthy": {"type": "bool", "default": False},
    "min_uptime": {"type": "int", "default": 0},
    "during_rollout": {"type": "bool", "default": False},
    "require_healthy": {"type": "bool", "default": True},
    "healthy_reads": {"type": "int", "default": 3},
}


POWER_CYCLE = Restart("power_cycle", "power-cycle", 10.0, 30.0, FleetClient.power_cycle)
REBOOT = Restart("reboot", "reboot", 120.0, 60.0, FleetClient.reboot)


def run_restart(context: Context, restart: Restart) -> None:
    """Run a module that restarts an instance."""
    started = context.clock()
    try:
        _restart(context, restart)
    finally:
        context.result["waited_seconds"] = round(context.clock() - started, 1)


def _restart(context: Context, restart: Restart) -> None:
    """Check, send and wait for evidence, while no other task of this machine restarts the instance."""
    instance_id = context.params["instance_id"]
    context.result["instance_id"] = instance_id
    with claimed(context, f"restart {id_key(instance_id)}", f"restarting {context.instance}") as waited_from:
        # E11 is read first, because it works while the agent is down.
        rows = actions_of(context)
        notes = Notes(context, "restart", instance_id)
        note = None if context.check_mode else notes.read(restart.action)
        if note is None or note.stage == FOUND:
            if note is not None and waited_from is not None and note.noted_at >= waited_from:
                context.result["skipped_reason"] = "Another task of this machine restarted it while this one waited."
                return
            _restart_alone(context, restart, rows, notes)
        elif not _sent_before(context, restart, notes, note):
            _restart_alone(context, restart, actions_of(context), notes)


def _sent_before(context: Context, restart: Restart, notes: Notes, note: Note) -> bool:
    """Look for a restart that an earlier run on this machine sent with an unknown outcome, and follow it.

    Returns whether it was carried out. Fails, and keeps the note, if that is still unknown.
    """
    facts = note.facts
    course = Course(
        known=frozenset(facts.get("known") or ()),
        watch=Watch(boot_before=number(facts.get("boot_before"))),
        sent_at=context.clock() - note.age,
    )
    context.result["reconciled"] = reconcile(context, restart, course)
    said = f"A {restart.words} of {context.instance} that was sent from this machine at {note.sent_in_words}"
    if context.result["reconciled"] == "executed":
        notes.end(restart.action)
        if course.row is not None and has_failed(course.row):
            context.warn(f"{said} failed on the server.")
            return False
        context.warn(f"{said} was carried out, so none was sent now.")
        if context.params["wait"]:
            _prove(context, restart, course)
        return True
    if context.result["reconciled"] == "unknown" and not context.params.get("retry_if_absent"):
        context.fail(
            f"{said} is unresolved: it is not known whether it was carried out, after "
            f"{context.params['wait_timeout']} s of checks ({course.watch.in_words()}). Nothing was sent now. Check "
            f"the instance and run this task again. From {note.ends_in_words} on it is forgotten.",
            unresolved=True,
            ambiguous=True,
        )
    notes.end(restart.action)
    return False


def _restart_alone(context: Context, restart: Restart, rows: list[Record], notes: Notes) -> None:
    health = _health_before(context)
    reason = _reason_to_skip(context, restart, health, rows)
    if reason:
        context.result["skipped_reason"] = reason
        return
    _refuse(context, health, rows)
    before = {key: health.get(key) for key in ("status", "uptime_seconds")} if health else None
    course = context.write(
        lambda: _send(context, restart, health, rows, notes, once_more=bool(context.params.get("retry_if_absent"))),
        before=before or {"status": None, "uptime_seconds": None},
        after={"restarted": True},
    )
    if course is None:
        return
    fail_if_failed(context, restart, course)
    if course.ambiguous is not None and context.result["reconciled"] == "unknown":
        context.fail(
            f"{course.ambiguous} It is not known whether {context.instance} was restarted: within "
            f"{context.params['wait_timeout']} s {course.watch.in_words()}. Check it before you repeat the task.",
            ambiguous=True,
            unresolved=True,
            timed_out=True,
            error=course.ambiguous.as_dict(),
        )
    if context.params["wait"]:
        _prove(context, restart, course)
    notes.found(restart.action)


def _health_before(context: Context) -> Record | None:
    """The live health record before the restart, or None if the agent does not answer."""
    try:
        health = context.client.get_deep_health(context.params["instance_id"], force=True)
    except ApiError as error:
        if error.kind not in DOWN - {"unreachable"}:
            raise
        health = None
    context.result.update(health_before=health, uptime_before=None)
    if health is not None:
        context.use_spelling_of(health)
        context.result["uptime_before"] = number(health.get("uptime_seconds"))
    return health


def _reason_to_skip(context: Context, restart: Restart, health: Record | None, rows: list[Record]) -> str | None:
    """Why there is nothing to do, as a sentence; None if there is something to do."""
    if context.params["only_if_unhealthy"] and health is not None and is_live(health) and is_healthy(health):
        return "The instance is healthy (only_if_unhealthy)."
    least = context.params["min_uptime"]
    ago = restarted_ago(restart.action, health, rows, _now(context, health), least) if least > 0 else None
    if ago is None:
        return None
    return f"It restarted {ago:.0f} s ago, which is less than min_uptime ({least} s)."


def _now(context: Context, health: Record | None) -> float | None:
    """The current time by the clock of the server's records (epoch seconds); the Date of an answer as a fallback."""
    checked = parse_time(health.get("checked_at")) if health is not None and is_live(health) else None
    return checked if checked is not None else context.client.server_time


def _refuse(context: Context, health: Record | None, rows: list[Record]) -> None:
    """Fail if the restart must not be sent now."""
    instance_id = context.params["instance_id"]
    if context.params.get("after_power_cycle"):
        within = context.params["after_power_cycle_within"]
        if completed_ago(rows, _now(context, health), within, "power_cycle") is None:
            context.fail(
                f"{context.instance_first} was not rebooted: its actions show no completed power-cycle within the last "
                f"{within} s (after_power_cycle). Power-cycle it first, or set {with_variable('after_power_cycle')} to "
                "false."
            )
    if not context.params["during_rollout"]:
        target = open_target(context.client.list_instance_rollouts(instance_id))
        if target is not None:
            context.fail(
                f"{context.instance_first} was not restarted: it is being redeployed by "
                f"{named('rollout', target, 'rollout_id')} ({named('target', target)} {is_status(target)}). Wait for "
                "its end, or set during_rollout=true."
            )


def _send(
    context: Context, restart: Restart, health: Record | None, rows: list[Record], notes: Notes, *, once_more: bool
) -> Course:
    """Send the restart once. If the outcome is unknown, find out whether it was carried out.

    With ``once_more``, a restart that was certainly not carried out is sent a second time.
    """
    instance_id = context.params["instance_id"]
    live = health is not None and is_live(health)
    course = Course(
        known=frozenset(key for key in map(action_key, rows) if key),
        watch=Watch(
            boot_before=boot_time(health) if health is not None and live else None,
            # By the clock of the records. If it is unknown, each live record counts, since it was measured for its
            # call.
            newer_than=parse_time((health or {}).get("checked_at")),
        ),
        sent_at=context.clock(),
    )
    notes.sending(restart.action, known=sorted(course.known), boot_before=course.watch.boot_before)
    try:
        answer = restart.send(context.client, instance_id)
    except ApiError as error:
        if not error.ambiguous:
            notes.end(restart.action)
        _fail_if_not_accepted(context, restart, error)
        notes.set_stage(restart.action, LOST)
        course.ambiguous = error
    else:
        # The server has accepted the restart. From now on, the records of the instance show its effect.
        notes.end(restart.action)
        course.action_id = str(answer["action_id"]) if answer.get("action_id") else None
        context.result.update(action_id=course.action_id, duration_ms=answer.get("duration_ms"))
        said = refusal_in(answer)
        if said is not None:
            context.fail(f"The {restart.words} of {context.instance} failed on the server: {said}.", refused=said)
        return course
    with looking_up(context, course.ambiguous, unresolved=True):
        context.result["reconciled"] = reconcile(context, restart, course)
    if context.result["reconciled"] == "executed":
        notes.end(restart.action)
    if context.result["reconciled"] != "not_executed":
        return course
    notes.end(restart.action)
    if once_more:
        context.warn(f"{course.ambiguous} It was not carried out, so it is sent once more (retry_if_absent).")
        return _send(context, restart, health, rows, notes, once_more=False)
    return context.fail(
        f"{course.ambiguous} It was not carried out: within {restart.absent_after:.0f} s {context.instance} "
        "answered all the time without a restart, and its actions show none. Run this task again.",
        error=course.ambiguous.as_dict(),
    )


def _fail_if_not_accepted(context: Context, restart: Restart, error: ApiError) -> None:
    """Fail with the server's words if the call was refused. Does nothing if the outcome is unknown."""
    fail_if_refused(context, error)
    if error.ambiguous:
        return
    if error.kind != "conflict":
        raise error
    said = str(error.detail or error).removesuffix(".")
    context.fail(
        f"{context.instance_first} was not restarted, because the server refused the {restart.words}: {said}. "
        "Run this task again when that is over.",
        error=error.as_dict(),
    )


def _prove(context: Context, restart: Restart, course: Course) -> None:
    """Wait until there is evidence of the restart and the instance is healthy. Fails after wait_timeout."""
    timeout = context.params["wait_timeout"]
    needed = context.params["healthy_reads"] if context.params["require_healthy"] else 0

    def proved() -> bool:
        look(context, client, course)
        since_call = context.clock() - course.sent_at
        if course.watch.back and not course.watch.moved:
            look_for_row(context, restart, client, course)
            fail_if_failed(context, restart, course)
        evidence = course.watch.evidence(
            completed=course.row is not None and is_completed(course.row),
            settled=since_call >= min(restart.over_after, timeout),
        )
        context.result["restart_evidence"] = evidence
        return evidence is not None and course.watch.healthy >= needed

    with without_repeats(context) as client:
        waited = wait_until(
            context,
            proved,
            bool,
            timeout=max(0.0, timeout - (context.clock() - course.sent_at)),
            longest_interval=context.params["wait_interval"],
        )
    if waited.done:
        return
    if context.result["restart_evidence"] is None:
        context.fail(
            f"The {restart.words} of {context.instance} was accepted, but within {timeout} s nothing proved a "
            f"restart: {course.watch.in_words()}. It was not sent again.",
            timed_out=True,
        )
    context.fail(
        f"{context.instance_first} restarted but was not healthy {needed} times in a row within {timeout} s: "
        f"{course.watch.last}.",
        timed_out=True,
    )
