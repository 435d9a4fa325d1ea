# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Applying all updates of an instance once (E24), and finding the effect (E23, E25)."""

from __future__ import annotations

from typing import NoReturn

from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import Record, is_live, parse_time
from .._rules.record_words import UNKNOWN, text_of, with_variable
from .._rules.refusals import refusal_in
from .._rules.updates import RUNTIME, outdated, reported_after, runtime_waits, skills_moved, versions, waiting
from .look_up import looking_up
from .redeploy import APPEARS_WITHIN, Sent, find, look_for, send_once, send_once_more, take, until_manifest
from .refusal import fail_refused
from .unresolved import REDEPLOY, SKILLS
from .wait import wait_for_effect


def send_apply(context: Context, history: list[Record], updates: Record) -> Sent:
    """Send E24 once. ``updates``: E25 before the call.

    If the answer is a refusal, the task fails, unless an effect of the call can be found.
    """
    with_runtime = runtime_waits(updates)
    sent = send_once(
        context,
        history,
        context.client.apply_all_updates,
        task_key="runtime_task_id",
        key=REDEPLOY if with_runtime else SKILLS,
        versions=versions(updates),
    )
    skills = sent.answer.get("skills_applied")
    context.result["skills_applied"] = [str(slug) for slug in skills] if isinstance(skills, list) else []
    if sent.ambiguous is None and not with_runtime:
        # The answer says which skills were applied, so there is nothing to look up.
        sent.found()
    said = refusal_in(sent.answer)
    if said is not None and sent.task_id is None and not context.result["skills_applied"]:
        with looking_up(context, refused=said, unresolved=True):
            seen = context.client.get_available_updates(context.params["instance_id"])
            absent = still_waits(updates, seen) and look_for(context, sent) is None
        if absent:
            _refused(context, sent, seen, said)
    return sent


def still_waits(updates: Record, seen: Record) -> bool:
    """Whether a runtime or a skill that the call should have updated is still waiting.

    ``updates`` and ``seen``: E25 before and after the call.
    """

    def names(of: Record) -> set[str]:
        return {c.name for c in outdated(of) if c.kind in (RUNTIME, "skills")}

    before, now = names(updates), names(seen)
    # If the server only counts the updates without naming them, the count decides.
    return bool(before & now) or (not outdated(updates) and not outdated(seen) and waiting(seen) != 0)


def _refused(context: Context, sent: Sent, seen: Record, said: str | None) -> NoReturn:
    """Fail because nothing was applied, although updates are waiting."""
    sent.found()
    context.changed, context.diff = False, None
    context.result["after"] = versions(seen)
    fail_refused(
        context,
        f"Nothing was applied to {context.instance}, and updates still wait. The call",
        said or str(sent.answer.get("message") or "it gave no reason").removesuffix("."),
    )


def find_applied(context: Context, sent: Sent, updates: Record, *, may_retry: bool = True) -> Record | None:
    """The target that the call has created; None if there was no redeploy. ``updates``: E25 before the call.

    If the answer says that nothing was applied, nothing has changed, and the task fails if updates are still waiting.
    If the outcome is unknown and no effect is found, the task fails as ambiguous, or sends the call once more with
    ``retry_if_absent``.
    """
    if sent.task_id:
        return find(context, sent, once_more=False)
    nothing = sent.ambiguous is None and not context.result["skills_applied"]
    if sent.ambiguous is None and not runtime_waits(updates):
        if nothing:
            context.changed, context.diff = False, None
            with looking_up(context):
                seen = context.client.get_available_updates(context.params["instance_id"])
            if still_waits(updates, seen):
                _refused(context, sent, seen, None)
        return None
    target, seen = _trace(context, sent)
    if sent.ambiguous is not None:
        context.result["skills_applied"] = skills_moved(updates, seen)
    if target is None and nothing:
        context.changed, context.diff = False, None
        if still_waits(updates, seen):
            _refused(context, sent, seen, None)
    if target is not None or sent.ambiguous is None or waiting(seen) == 0:
        sent.found()
        return target
    return _absent(context, sent, updates, seen, may_retry)


def _trace(context: Context, sent: Sent) -> tuple[Record | None, Record]:
    """The new target of the call, or None, and E25 at that time. Waits for up to 30 s."""
    client, instance_id = context.client, context.params["instance_id"]
    with looking_up(context, sent.ambiguous, unresolved=True):
        waited = wait_for_effect(
            context,
            lambda: (look_for(context, sent), client.get_available_updates(instance_id)),
            lambda seen: seen[0] is not None or waiting(seen[1]) == 0,
            timeout=APPEARS_WITHIN,
        )
    found, seen = waited.state
    if found is None:
        return None, seen
    return take(context, sent, found), seen


def _absent(context: Context, sent: Sent, updates: Record, seen: Record, may_retry: bool) -> Record | None:
    """Handle a call with an unknown outcome for which no redeploy has appeared."""
    instance_id = context.params["instance_id"]
    moved = versions(seen) != versions(updates)
    context.result["after"] = versions(seen)
    if moved and not runtime_waits(seen):
        sent.found()
        return None
    if may_retry and not moved and context.params["retry_if_absent"]:

        def again() -> Record | None:
            second = send_apply(context, context.client.list_instance_rollouts(instance_id), updates)
            return find_applied(context, second, updates, may_retry=False)

        return send_once_more(context, sent, again)
    found = "only a part of it was carried out, no redeploy" if moved else "its effect did not appear"
    step = f"Run this task again to look for it, or set {with_variable('retry_if_absent')} to send it again."
    return context.fail(
        f"{sent.ambiguous} Within {APPEARS_WITHIN:.0f} s {found} in the history and the versions of "
        f"{context.instance}. {step}",
        ambiguous=True,
        unresolved=True,
        error=sent.ambiguous.as_dict() if sent.ambiguous else None,
    )


def updates_in_words(updates: Record) -> str:
    """The waiting updates, as a phrase."""
    names = [f"{c.name} ({c.current or UNKNOWN} to {c.available or UNKNOWN})" for c in outdated(updates)]
    return ", ".join(names) or f"{waiting(updates)} without a name"


def checked_at(context: Context) -> float | None:
    """A time after the call, by the clock of the version report (from a health record; else the Date of an answer)."""
    try:
        health = context.result.get("health") or context.client.get_deep_health(
            context.params["instance_id"], force=True
        )
    except ApiError:
        health = {}
    return (parse_time(health.get("checked_at")) if is_live(health) else None) or context.client.server_time


def check_nothing_waits(context: Context, updates: Record, applied_at: float | None) -> None:
    """Read the versions until they are newer than the update, and fail if updates are still waiting then.

    ``updates``: E25 before the call. ``applied_at``: when the updates were applied (epoch seconds), None if unknown.
    """
    applied = "target_id" in context.result or bool(context.result["skills_applied"])
    done = f"{'All updates were' if applied else 'Nothing was'} applied to {context.instance}"
    seen = until_manifest(context, lambda seen: waiting(seen) == 0 or reported_after(seen, applied_at))
    if waiting(seen) == 0:
        context.result["after"] = versions(seen)
        return
    if not reported_after(seen, applied_at):
        context.result["after"] = versions(updates, updated=True)
        context.warn(
            f"{done}, but the server's version report is not newer yet "
            f"({text_of(seen, 'versions_reported_at', 'it has no time')}) and still lists {updates_in_words(seen)}."
        )
        return
    context.result.update(after=versions(seen), still_available=[c.name for c in outdated(seen)])
    context.fail(
        f"{done}, but the server still lists {updates_in_words(seen)}. Check these components before you run this "
        "task again."
    )
