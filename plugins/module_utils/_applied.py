# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Applying all updates of an instance once (E24), and finding what became of it (E23, E25)."""

from __future__ import annotations

from ansible_collections.fleetops.agents.plugins.module_utils._api.models import Record
from ansible_collections.fleetops.agents.plugins.module_utils._api.redeploy import started_target
from ansible_collections.fleetops.agents.plugins.module_utils._api.updates import (
    runtime_waits,
    skills_moved,
    versions,
    waiting,
)
from ansible_collections.fleetops.agents.plugins.module_utils._api.wait import wait_until
from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._redeploy import (
    APPEARS_WITHIN,
    Sent,
    find,
    remember,
    send_once,
)


def send_apply(context: Context, history: list[Record]) -> Sent:
    """Send E24 once."""
    sent = send_once(context, history, context.client.apply_all_updates, task_key="runtime_task_id")
    skills = sent.answer.get("skills_applied")
    context.result["skills_applied"] = [str(slug) for slug in skills] if isinstance(skills, list) else []
    return sent


def find_applied(context: Context, sent: Sent, updates: Record, *, may_retry: bool = True) -> Record | None:
    """The target that the call made; None if it did its work without one. ``updates`` is E25 before the call.

    A call of unknown outcome that left no trace fails as ambiguous, or with ``retry_if_absent`` is sent once more.
    """
    if sent.task_id:
        return find(context, sent, once_more=False)
    if sent.ambiguous is None and not runtime_waits(updates):
        return None
    target, seen = _trace(context, sent)
    if sent.ambiguous is not None:
        context.result["skills_applied"] = skills_moved(updates, seen)
    if target is not None or sent.ambiguous is None or waiting(seen) == 0:
        return target
    return _absent(context, sent, updates, seen, may_retry)


def _trace(context: Context, sent: Sent) -> tuple[Record | None, Record]:
    """A new target that can only be the call's, and the versions as they are then."""
    client, instance_id = context.client, context.params["instance_id"]
    waited = wait_until(
        lambda: (
            started_target(client.list_instance_rollouts(instance_id), sent.known_ids, None, sent.sent_at),
            client.get_available_updates(instance_id),
        ),
        lambda seen: seen[0] is not None or waiting(seen[1]) == 0,
        timeout=APPEARS_WITHIN,
        interval=min(1.0, context.params["wait_interval"]),
        longest_interval=2.0,
        clock=context.clock,
        sleep=context.sleep,
    )
    found, seen = waited.state
    if found is None:
        return None, seen
    target, match = found
    context.result["match"] = match
    remember(context, target)
    return target, seen


def _absent(context: Context, sent: Sent, updates: Record, seen: Record, may_retry: bool) -> Record | None:
    """What to do when the call's outcome is unknown and no redeploy of it appeared."""
    instance_id = context.params["instance_id"]
    moved = versions(seen) != versions(updates)
    context.result["after"] = versions(seen)
    if moved and not runtime_waits(seen):
        return None
    if may_retry and not moved and context.params["retry_if_absent"]:
        context.warn(f"{sent.ambiguous} No trace of it was found, so it is sent once more (retry_if_absent).")
        again = send_apply(context, context.client.list_instance_rollouts(instance_id))
        return find_applied(context, again, updates, may_retry=False)
    found = "only a part of it was carried out, no redeploy" if moved else "nothing of it appeared"
    step = "Run this task again." if moved else "Run this task again, or set retry_if_absent."
    return context.fail(
        f"{sent.ambiguous} Within {APPEARS_WITHIN:.0f} s {found} in the history and the versions of instance "
        f"{instance_id}. {step}",
        ambiguous=True,
        error=sent.ambiguous.as_dict() if sent.ambiguous else None,
    )
