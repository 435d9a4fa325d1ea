# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sending a redeploy once, finding what it made, following it to its end and proving that the instance is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import Spec
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    is_healthy,
    is_live,
    parse_time,
    target_is_terminal,
    target_status,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import (
    ended_as,
    is_status,
    named,
    text_of,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.redeploy import (
    Before,
    newest_first,
    reconcile,
    started_target,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.refusals import refusal_in
from ansible_collections.fleetops.agents.plugins.module_utils._steps.admission_locks import Admission
from ansible_collections.fleetops.agents.plugins.module_utils._steps.notes_of_sent import (
    ANSWERED,
    KEPT_FOR,
    LOST,
    Notes,
)
from ansible_collections.fleetops.agents.plugins.module_utils._steps.refusal import (
    closed_window,
    fail_if_refused,
    fail_refused,
)
from ansible_collections.fleetops.agents.plugins.module_utils._steps.target_follow import (
    own_target,
    remember,
    until_ended,
)
from ansible_collections.fleetops.agents.plugins.module_utils._steps.unresolved import REDEPLOY, notes_of
from ansible_collections.fleetops.agents.plugins.module_utils._steps.wait import wait_until

# How long an accepted redeploy may take to appear in the instance's history (behaviour 2.7).
APPEARS_WITHIN = 30.0
# How long the version manifest may lag behind what was done (behaviour 2.1, E25).
_MANIFEST_WITHIN = 60.0

# The options of a module that sends a redeploy and proves it. Times are in seconds.
SENT_OPTIONS: Spec = {
    "healthy_reads": {"type": "int", "default": 3},
    "healthy_timeout": {"type": "int", "default": 300},
    "uncertain_grace": {"type": "int", "default": 60},
    "expected_seconds": {"type": "float"},
    "retry_if_absent": {"type": "bool", "default": False},
}


@dataclass
class Sent:
    """A call that starts a redeploy: what stood in the history before, and what the server answered.

    ``key`` is that of its note, which ends with the evidence of what the call did.
    """

    before: Before
    notes: Notes
    key: str = REDEPLOY
    task_id: Any = None
    ambiguous: ApiError | None = None
    answer: Record = field(default_factory=dict)

    def found(self) -> None:
        """What the call did is known: nothing keeps a later run from sending again."""
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
    """Send ``call(instance_id)`` once. An unknown outcome is no failure yet: it is noted, to be looked up.

    ``task_key`` is where the answer, and then the result, has the id of the redeploy. ``facts`` go into the note.
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
    """Send E22 once. An answer that says no is a refusal, unless the history shows that it was carried out."""
    sent = send_once(context, history, context.client.redeploy_runtime)
    said = refusal_in(sent.answer)
    if said is not None and look_for(context, sent) is None:
        sent.found()
        fail_refused(context, f"The redeploy of instance {context.params['instance_id']}", said)
    return sent


def look_for(context: Context, sent: Sent) -> tuple[Record, str] | None:
    """The target that the call made and how sure that is, as far as the history shows it now."""
    instance_id = context.params["instance_id"]
    rows = context.client.list_instance_rollouts(instance_id)
    return started_target(rows, sent.before.known_ids, sent.task_id, sent.before.newest, instance_id)


def take(context: Context, sent: Sent, found: tuple[Record, str]) -> Record:
    """Go on with a target that was found, and say how it was told from others."""
    target, match = found
    sent.found()
    context.result["match"] = match
    if match == "weak":
        context.warn(
            f"The redeploy of instance {context.params['instance_id']} was told without its id, as the only new one in "
            f"the instance's history ({named('target', target)}, created at "
            f"{text_of(target, 'created_at', 'an unknown time')})."
        )
    remember(context, target)
    return target


def find(context: Context, sent: Sent, *, once_more: bool) -> Record:
    """The target that the redeploy made. With ``once_more`` one whose outcome is unknown and that left no trace is
    sent a second time."""
    instance_id = context.params["instance_id"]
    waited = wait_until(
        lambda: look_for(context, sent),
        # A match by time alone may be another one's as long as the right row may still appear.
        lambda found: found is not None and (found[1] == "exact" or sent.task_id is None),
        timeout=APPEARS_WITHIN,
        interval=min(1.0, context.params["wait_interval"]),
        longest_interval=2.0,
        clock=context.clock,
        sleep=context.sleep,
    )
    if waited.state is not None:
        return take(context, sent, waited.state)
    if sent.ambiguous is None:
        said = f" The server said: {sent.answer['message']}." if sent.answer.get("message") else ""
        return context.fail(
            f"The redeploy of instance {instance_id} was accepted, but within {APPEARS_WITHIN:.0f} s nothing of it "
            f"appeared in the instance's history.{said} It may still run. Run this task again to look for it; it is "
            f"not sent a second time before {KEPT_FOR / 60:.0f} minutes have gone by, unless retry_if_absent is set.",
            unresolved=True,
        )
    if once_more:
        context.warn(f"{sent.ambiguous} No trace of it was found, so it is sent once more (retry_if_absent).")
        again = send_redeploy(context, context.client.list_instance_rollouts(instance_id))
        return find(context, again, once_more=False)
    return context.fail(
        f"{sent.ambiguous} Within {APPEARS_WITHIN:.0f} s nothing of it appeared in the history of instance "
        f"{instance_id}. Run this task again to look for it, or set retry_if_absent to send it again.",
        ambiguous=True,
        unresolved=True,
        error=sent.ambiguous.as_dict(),
    )


def follow(context: Context, target: Record, admission: Admission | None = None) -> Record:
    """Wait for the target's end, judge it, and prove that the instance is well. Answers the target at its end.

    ``admission`` is what counts the redeploy as in flight; its place is given back before the proof.
    """
    name = f"The redeploy of instance {context.params['instance_id']}"
    in_progress = not target_is_terminal(target)
    target = until_ended(context, target, admission)
    if admission is not None and target_is_terminal(target):
        admission.give_back()
    if not target_is_terminal(target):
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
    reason = f": {str(target['error_message']).removesuffix('.')}" if target.get("error_message") else ""
    if word in ("failed", "cancelled"):
        context.fail(f"{name} {'was cancelled' if word == 'cancelled' else 'failed'}{reason}.")
    if word != "succeeded" and target_status(target.get("last_result_status")) != "succeeded":
        context.fail(f"{name} {ended_as(target)}{reason}. Look at the instance before you repeat it.")
    ended_at = parse_time(target.get("completed_at"))
    if in_progress and context.params["healthy_reads"]:
        # An agent that has just been restarted is not healthy at once: a live check would only be in its way.
        now = context.client.server_time
        since_end = 0.0 if now is None or ended_at is None else max(0.0, now - ended_at)
        context.sleep(max(0.0, min(context.params["wait_interval"] - since_end, context.params["healthy_timeout"])))
    prove_health(context, ended_at)
    return target


def _reconciled(context: Context, target: Record) -> tuple[str, Record]:
    """What an uncertain target did: a late result, or else what the evidence says."""
    client, instance_id = context.client, context.params["instance_id"]

    target = wait_until(
        lambda: own_target(context, target),
        lambda seen: target_status(seen.get("status")) != "uncertain",
        timeout=context.params["uncertain_grace"],
        interval=context.params["wait_interval"],
        clock=context.clock,
        sleep=context.sleep,
    ).state
    remember(context, target)
    word = target_status(target.get("status"))
    if word != "uncertain":
        return word, target
    try:
        health: Record | None = client.get_deep_health(instance_id, force=True)
    except ApiError:
        health = None
    history = newest_first(client.list_instance_rollouts(instance_id))
    verdict, evidence = reconcile(target, history, client.get_available_updates(instance_id), health)
    context.result.update(reconciled=verdict, evidence=evidence)
    if verdict == "succeeded":
        return verdict, target
    said = f" ({target['error_message']})" if target.get("error_message") else ""
    return context.fail(
        f"Whether the redeploy of instance {instance_id} worked is uncertain to the server{said}. "
        f"By the evidence: {verdict} ({evidence}). It was not sent again."
    )


def prove_health(context: Context, since: float | None, *, done: str = "redeployed") -> None:
    """Live health reads in a row, ``healthy_reads`` of them, all newer than ``since`` (epoch seconds of the server).

    A pause of wait_interval follows one that is not healthy, half of it one that is.
    """
    client, instance_id, needed = context.client, context.params["instance_id"], context.params["healthy_reads"]
    interval = context.params["wait_interval"]
    last: str = "no answer"

    def is_well() -> bool:
        nonlocal last
        try:
            health = client.get_deep_health(instance_id, force=True)
        except ApiError as error:
            # An agent that restarts does not answer: not yet, rather than failed.
            if error.kind in ("auth", "forbidden"):
                raise
            last = str(error)
            return False
        context.result["health"] = health
        checked = parse_time(health.get("checked_at"))
        fresh = is_live(health) and (since is None or checked is None or checked >= since)
        last = f"its health is {text_of(health, 'status')}" + ("" if fresh else " by an old record")
        return fresh and is_healthy(health)

    def is_well_each_time() -> bool:
        for read in range(needed):
            if read:
                context.sleep(interval / 2)
            if not is_well():
                return False
        return True

    waited = wait_until(
        is_well_each_time,
        bool,
        timeout=context.params["healthy_timeout"],
        interval=interval,
        longest_interval=interval,
        clock=context.clock,
        sleep=context.sleep,
    )
    if not waited.done:
        context.fail(
            f"Instance {instance_id} was {done} but was not healthy {needed} times in a row within "
            f"{context.params['healthy_timeout']} s: {last}.",
            timed_out=True,
        )


def until_manifest(context: Context, enough: Callable[[Record], bool]) -> Record:
    """The version manifest (E25) once it is ``enough``, or as it is after 60 s."""
    return wait_until(
        lambda: context.client.get_available_updates(context.params["instance_id"]),
        enough,
        timeout=_MANIFEST_WITHIN,
        interval=context.params["wait_interval"],
        clock=context.clock,
        sleep=context.sleep,
    ).state
