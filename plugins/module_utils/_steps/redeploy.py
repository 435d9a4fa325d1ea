# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sending a redeploy once, finding its target, following that to its end, and checking the health of the instance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .._client.errors import KEY_REFUSED, ApiError
from .._module.operation import Context, OperationFailed
from .._module.options import Spec
from .._rules.answers import Record, is_healthy, is_live, parse_time, target_is_terminal, target_status
from .._rules.record_words import ended_as, health_in_words, is_status, named, reason_of, text_of, with_variable
from .._rules.redeploy import Before, manifest_is_stale, not_proved, started_target
from .._rules.refusals import refusal_in
from .admission_locks import Admission
from .look_up import looking_up
from .notes_of_sent import ANSWERED, KEPT_FOR, LOST, Notes
from .refusal import closed_window, fail_if_refused, fail_refused
from .rollout_follow import evidence_of
from .target_follow import own_target, remember, until_ended
from .unresolved import REDEPLOY, notes_of
from .wait import wait_for_effect, wait_until

# How long an accepted redeploy may take to appear in the instance's history (behaviour 2.7).
APPEARS_WITHIN = 30.0
# For how many seconds the version manifest may still show the state before an update (behaviour 2.1, E25).
_MANIFEST_WITHIN = 60.0

Result = TypeVar("Result")

# The options of a module that sends a redeploy and checks the health after it. Times are in seconds.
SENT_OPTIONS: Spec = {
    "healthy_reads": {"type": "int", "default": 3},
    "healthy_timeout": {"type": "int", "default": 300},
    "uncertain_grace": {"type": "int", "default": 60},
    "expected_seconds": {"type": "float"},
    "retry_if_absent": {"type": "bool", "default": False},
}


@dataclass
class Sent:
    """A call that starts a redeploy.

    ``before``: the history before the call. ``key``: the key of its note in ``notes``. ``task_id``: the server's id of
    the redeploy, or None. ``ambiguous``: the error if the outcome is unknown. ``answer``: empty if there was none.
    """

    before: Before
    notes: Notes
    key: str = REDEPLOY
    task_id: Any = None
    ambiguous: ApiError | None = None
    answer: Record = field(default_factory=dict)

    def found(self) -> None:
        """Remove the note, because the effect of the call is known. A later run may then send the call again."""
        self.notes.end(self.key)


def send_once(
    context: Context,
    history: list[Record],
    call: Callable[[str], Record],
    *,
    task_key: str = "task_id",
    key: str = REDEPLOY,
    **facts: Any,
) -> Sent:
    """Send ``call(instance_id)`` once. If the outcome is unknown, this does not fail: the caller looks for the effect.

    ``history``: E23 before the call. ``task_key``: the key of the answer with the id of the redeploy, which becomes a
    return value. ``facts``: further data for the note. Fails, or raises ApiError, if the call was not carried out.
    """
    sent = Sent(Before.of(history), notes_of(context), key)
    sent.notes.sending(key, known_ids=sorted(sent.before.known_ids), newest=sent.before.newest, **facts)
    try:
        sent.answer = call(context.params["instance_id"])
    except ApiError as error:
        if error.ambiguous:
            sent.notes.set_stage(key, LOST)
            sent.ambiguous = error
            return sent
        sent.found()
        fail_if_refused(context, error)
        raise
    sent.task_id = sent.answer.get(task_key) or None
    sent.notes.set_stage(key, ANSWERED, task_id=sent.task_id)
    context.result[task_key] = sent.task_id
    return sent


def send_redeploy(context: Context, history: list[Record]) -> Sent:
    """Send E22 once. Fails if the answer is a refusal, unless the history shows that it was carried out."""
    sent = send_once(context, history, context.client.redeploy_runtime)
    said = refusal_in(sent.answer)
    if said is None:
        return sent
    with looking_up(context, refused=said, unresolved=True):
        # An id contradicts the refusal, so the redeploy may have started and be listed later.
        found = look_for(context, sent) if sent.task_id is None else _listed(context, sent)
    if found is None:
        sent.found()
        fail_refused(context, f"The redeploy of {context.instance}", said)
    context.warn(f"The server's answer was: {said}. Nevertheless {named('target', found[0])} was started.")
    return sent


def look_for(context: Context, sent: Sent) -> tuple[Record, str] | None:
    """The target of the call and how certain that is (see started_target), if the history already shows it."""
    instance_id = context.params["instance_id"]
    rows = context.client.list_instance_rollouts(instance_id)
    return started_target(rows, sent.before.known_ids, sent.task_id, sent.before.newest, instance_id)


def _listed(context: Context, sent: Sent) -> tuple[Record, str] | None:
    """As look_for, but waits for up to 30 s until the history shows the target."""
    return wait_for_effect(
        context,
        lambda: look_for(context, sent),
        # If there is a task id, a match by time alone is not enough, since the row with that id may still appear.
        lambda found: found is not None and (found[1] == "exact" or sent.task_id is None),
        timeout=APPEARS_WITHIN,
    ).state


def take(context: Context, sent: Sent, found: tuple[Record, str]) -> Record:
    """Use a target that was found: remove the note and set the return values. Warns of a match by time alone."""
    target, match = found
    sent.found()
    context.result["match"] = match
    if match == "weak":
        context.warn(
            f"The redeploy of {context.instance} was identified without its id, as the only new "
            f"one in the instance's history ({named('target', target)}, created at "
            f"{text_of(target, 'created_at', 'an unknown time')})."
        )
    remember(context, target)
    return target


def find(context: Context, sent: Sent, *, once_more: bool) -> Record:
    """The target of the redeploy. Fails if it does not appear within 30 s.

    With ``once_more``, a call with an unknown outcome of which nothing has appeared is sent a second time.
    """
    instance_id = context.params["instance_id"]
    with looking_up(context, sent.ambiguous, unresolved=True):
        found = _listed(context, sent)
    if found is not None:
        return take(context, sent, found)
    if sent.ambiguous is None:
        said = f" The server said: {sent.answer['message']}." if sent.answer.get("message") else ""
        return context.fail(
            f"The redeploy of {context.instance} was accepted, but within {APPEARS_WITHIN:.0f} s it did not "
            f"appear in the instance's history.{said} It may still run. Run this task again to look for it; it is "
            f"not sent again for {KEPT_FOR / 60:.0f} minutes, unless {with_variable('retry_if_absent')} is set.",
            unresolved=True,
        )
    if once_more:

        def again() -> Record:
            second = send_redeploy(context, context.client.list_instance_rollouts(instance_id))
            return find(context, second, once_more=False)

        return send_once_more(context, sent, again)
    return context.fail(
        f"{sent.ambiguous} Within {APPEARS_WITHIN:.0f} s it did not appear in the history of "
        f"{context.instance}. Run this task again to look for it, or set {with_variable('retry_if_absent')} to send it "
        "again.",
        ambiguous=True,
        unresolved=True,
        error=sent.ambiguous.as_dict(),
    )


def send_once_more(context: Context, sent: Sent, again: Callable[[], Result]) -> Result:
    """Send a call with an unknown outcome a second time, with ``again()``, which also looks for its effect.

    If that fails, the outcome of the first call is still unknown, so it keeps a note.
    """
    context.warn(f"{sent.ambiguous} No trace of it was found, so it is sent once more (retry_if_absent).")
    first = sent.notes.read(sent.key)
    try:
        with looking_up(context, sent.ambiguous, doing="Sending it once more", unresolved=True):
            return again()
    except OperationFailed:
        if first is not None and sent.notes.read(sent.key) is None:
            sent.notes.sending(sent.key, **first.facts)
            sent.notes.set_stage(sent.key, LOST)
        raise


def follow(context: Context, target: Record, admission: Admission) -> Record:
    """Wait for the end of the target, check its outcome and then the health of the instance. Returns the ended target.

    ``admission``: counts the redeploy as in flight. Its seat is given back before the health checks. Fails if the
    redeploy fails or does not end in time, or if the instance does not become healthy.
    """
    name = f"The redeploy of {context.instance}"
    in_progress = not target_is_terminal(target)
    seen = until_ended(context, target, admission)
    if seen is None:
        verdict, evidence = evidence_of(context, target)
        context.result.update(reconciled=verdict, evidence=evidence)
        if verdict != "succeeded":
            context.fail(
                f"{name} is no longer listed by the server ({named('rollout', target, 'rollout_id')}), so it is not "
                f"known whether it has ended. The instance does not show that it was applied ({evidence}). Check the "
                "instance before you repeat it."
            )
        seen = {**target, "status": verdict}
    target = seen
    if target_is_terminal(target):
        admission.give_back()
    else:
        held_back = closed_window(context) if target_status(target.get("status")) == "queued" else ""
        context.fail(
            f"{name} did not end within {context.params['wait_timeout']} s; it {is_status(target)}. "
            f"It was left running; run this task again to follow it. {held_back}".strip(),
            timed_out=True,
        )
    word = target_status(target.get("status"))
    if word == "uncertain":
        word, target = _reconciled(context, target)
    context.result["bundle_hash"] = target.get("bundle_hash")
    reason = f": {said}" if (said := reason_of(target)) else ""
    if word in ("failed", "cancelled"):
        context.fail(f"{name} {'was cancelled' if word == 'cancelled' else 'failed'}{reason}.")
    if word != "succeeded" and target_status(target.get("last_result_status")) != "succeeded":
        context.fail(f"{name} {ended_as(target)}{reason}. Check the instance before you repeat it.")
    context.result["redeployed"] = True
    ended_at = parse_time(target.get("completed_at"))
    if in_progress and context.params["healthy_reads"]:
        # The agent has just been restarted and needs some time. A live check at once would only load it.
        since_end = (None if ended_at is None else context.client.seconds_since(ended_at)) or 0.0
        context.sleep(max(0.0, min(context.params["wait_interval"] - since_end, context.params["healthy_timeout"])))
    prove_health(context, ended_at)
    return target


def _reconciled(context: Context, target: Record) -> tuple[str, Record]:
    """The status and the target after a late result of an uncertain target, or ``succeeded`` if the evidence says so.

    Fails if the target remains uncertain and the evidence does not show a success.
    """
    target = wait_until(
        context,
        lambda: own_target(context, target) or target,
        lambda seen: target_status(seen.get("status")) != "uncertain",
        timeout=context.params["uncertain_grace"],
    ).state
    remember(context, target)
    word = target_status(target.get("status"))
    if word != "uncertain":
        return word, target
    verdict, evidence = evidence_of(context, target)
    context.result.update(reconciled=verdict, evidence=evidence)
    if verdict == "succeeded":
        return verdict, target
    reason = f" ({said})" if (said := reason_of(target)) else ""
    return context.fail(
        f"The server does not know whether the redeploy of {context.instance} was applied{reason}. "
        f"{not_proved(verdict, evidence)}"
    )


def prove_health(context: Context, since: float | None, *, done: str = "redeployed") -> None:
    """Fail unless ``healthy_reads`` consecutive live health records are healthy within ``healthy_timeout`` seconds.

    A record must not be older than ``since`` (epoch seconds by the server's clock; None for any). The pause is
    ``wait_interval`` after a record that is not healthy, and half of it after a healthy one. ``done``: what was done to
    the instance, for the message.
    """
    client, instance_id, needed = context.client, context.params["instance_id"], context.params["healthy_reads"]
    interval = context.params["wait_interval"]
    last: str = "no answer"

    def is_well() -> bool:
        nonlocal last
        try:
            health = client.get_deep_health(instance_id, force=True)
        except ApiError as error:
            # An agent that restarts does not answer. That is not a failure.
            if error.kind in KEY_REFUSED:
                raise
            last = str(error).removesuffix(".")
            return False
        context.result["health"] = health
        checked = parse_time(health.get("checked_at"))
        fresh = is_live(health) and (since is None or checked is None or checked >= since)
        last = health_in_words(health, is_new=fresh)
        return fresh and is_healthy(health)

    def is_well_each_time() -> bool:
        for read in range(needed):
            if read:
                context.sleep(interval / 2)
            if not is_well():
                return False
        return True

    waited = wait_until(
        context,
        is_well_each_time,
        bool,
        timeout=context.params["healthy_timeout"],
        longest_interval=interval,
    )
    if not waited.done:
        context.fail(
            f"{context.instance_first} was {done} but was not healthy {needed} times in a row within "
            f"{context.params['healthy_timeout']} s: {last}.",
            timed_out=True,
        )


def until_manifest(context: Context, enough: Callable[[Record], bool]) -> Record:
    """The version manifest (E25) as soon as ``enough(manifest)`` is true, or as it is after 60 s."""
    return wait_until(
        context,
        lambda: context.client.get_available_updates(context.params["instance_id"]),
        enough,
        timeout=_MANIFEST_WITHIN,
    ).state


def newest_manifest(
    context: Context,
    updates: Record,
    history: list[Record],
    enough: Callable[[Record], bool] = lambda _seen: False,
) -> tuple[Record, Record | None]:
    """The version manifest (E25) as soon as it is newer than the last redeploy in ``history`` or ``enough(manifest)``.

    If it remains older than a redeploy that succeeded, that redeploy, else None. Nothing is waited for in check mode.
    ``updates``: the manifest that was read last.
    """

    def stale(seen: Record) -> Record | None:
        return None if enough(seen) else manifest_is_stale(seen, history, context.client.server_time)

    older = stale(updates)
    if older is not None and not context.check_mode:
        updates = until_manifest(context, lambda seen: stale(seen) is None)
        older = older if stale(updates) is not None else None
    return updates, older if older is not None and target_status(older.get("status")) == "succeeded" else None
