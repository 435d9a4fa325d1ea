# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides what an action would do and whether it may be sent, from the intent, the state and the visitor. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, target_status
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import same_id
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import is_status, named
from ansible_collections.fleetops.agents.plugins.module_utils._rules.redeploy import open_target
from ansible_collections.fleetops.agents.plugins.module_utils._rules.restart import action_key, started_action
from ansible_collections.fleetops.agents.plugins.module_utils._rules.rollout import tally, transition, was_reopened
from console.settings.identity import Identity
from console.text.counts import counted

STEERING = {"pause": "paused", "resume": "running", "cancel": "cancelled"}
ACTIONS = (*STEERING, "retry", "power-cycle")
FORCED = ("cancel", "retry")
MAX_REASON = 500


@dataclass(frozen=True)
class Intent:
    """One action on one rollout, target or instance.

    name: shown to people, who must type it to force the action. tenant: the address of the API from which it was read.
    force: also cancel targets in progress; also retry a target whose outcome is uncertain.
    """

    action: str
    tenant: str
    name: str
    rollout_id: str = ""
    target_id: str = ""
    instance_id: str = ""
    force: bool = False


@dataclass(frozen=True)
class Seen:
    """What the API shows: a rollout with its targets (E4), or an instance's targets (E23) and actions (E11)."""

    rollout: Record = field(default_factory=dict)
    targets: list[Record] = field(default_factory=list)
    actions: list[Record] = field(default_factory=list)

    def target(self, target_id: str) -> Record | None:
        return next((row for row in self.targets if same_id(row.get("id"), target_id)), None)


@dataclass(frozen=True)
class Decision:
    """Whether the state allows the action, what it would do or why it is refused, and how many targets it affects."""

    allowed: bool
    sentence: str
    touches: int = 0


def judge(intent: Intent, seen: Seen) -> Decision:
    """What the action would do in the state that the API shows."""
    if intent.action in STEERING:
        return _judge_steering(intent, seen)
    if intent.action == "retry":
        return _judge_retry(intent, seen)
    return _judge_power_cycle(seen)


def _judge_steering(intent: Intent, seen: Seen) -> Decision:
    state = STEERING[intent.action]
    step = transition(state, seen.rollout, seen.targets, intent.force)
    word = str(seen.rollout.get("status"))
    if step == "already":
        return Decision(False, f"The rollout is already {word}: there is nothing to {intent.action}.")
    if step == "too_late":
        return Decision(False, f"The rollout is {word}: it is too late to {intent.action} it.")
    before = tally(seen.rollout, seen.targets)
    if intent.action == "resume":
        return Decision(True, f"Queues {counted(before.cancelled, 'target')} again.", before.cancelled)
    rest = f"; {before.in_progress:,} in progress will still be completed" if before.in_progress else ""
    if intent.action == "pause":
        held = f"Holds back {counted(before.queued, 'target')} until the rollout is resumed{rest}."
        return Decision(True, held, before.queued)
    if intent.force:
        lost = f" and terminates {before.in_progress:,} in progress, whose outcome will be uncertain"
        return Decision(True, f"Revokes {counted(before.queued, 'target')}{lost}.", before.queued + before.in_progress)
    return Decision(True, f"Revokes {counted(before.queued, 'target')} permanently{rest}.", before.queued)


def _judge_retry(intent: Intent, seen: Seen) -> Decision:
    row = seen.target(intent.target_id)
    if row is None:
        return Decision(False, f"The rollout has no target {intent.target_id or 'with that name'}.")
    word = target_status(row.get("status"))
    if word == "failed":
        return Decision(True, "Queues 1 failed target again.", 1)
    if word == "uncertain" and intent.force:
        return Decision(True, "Queues 1 uncertain target again; it may be deployed a second time.", 1)
    if word == "uncertain":
        return Decision(False, "The target is uncertain: it may have been applied. Force the retry to send it anyway.")
    return Decision(False, f"The target {is_status(row)}: only failed and uncertain ones can be retried.")


def _judge_power_cycle(seen: Seen) -> Decision:
    busy = open_target(seen.targets)
    if busy is not None:
        where = named("rollout", busy, "rollout_id")
        why = f"The instance is being redeployed: its target in {where} {is_status(busy)}. Wait until it has ended."
        return Decision(False, why)
    return Decision(True, "Restarts the agent of 1 instance, which will not respond for a few seconds.", 1)


def why_refused(intent: Intent, who: Identity, *, enabled: bool, reason: str, typed: str) -> str:
    """Why the visitor may not send this, whatever the state is; '' if they may."""
    if not enabled:
        return "Acting is switched off in this console."
    if not who.may_act:
        return who.why_not
    if intent.action not in ACTIONS:
        return f"The console has no action {intent.action!r}."
    if not reason:
        return "Give a reason: it is stored with the action."
    if len(reason) > MAX_REASON:
        return f"The reason has {len(reason):,} characters; at most {MAX_REASON} are allowed."
    if intent.force and intent.action not in FORCED:
        return f"{intent.action} cannot be forced."
    # As the page shows it.
    if intent.force and typed.strip() != (shown := printable_line(intent.name)):
        return f"To force this, type the name: {shown}."
    return ""


def why_not_confirmed(decision: Decision, confirmed: int) -> str:
    """Why the action is not covered by what was confirmed; '' if it is, also if it now affects fewer targets."""
    if decision.touches <= confirmed:
        return ""
    sentence = f"You confirmed {counted(confirmed, 'target')}, but the action would now affect {decision.touches:,}"
    return f"{sentence}: check the state and confirm again."


def was_carried_out(intent: Intent, before: Seen, after: Seen) -> bool:
    """Whether the state after a call shows that the action was carried out."""
    if intent.action in STEERING:
        return transition(STEERING[intent.action], after.rollout, after.targets, intent.force) == "already"
    if intent.action == "retry":
        was, now = before.target(intent.target_id), after.target(intent.target_id)
        return was is not None and now is not None and was_reopened(was, now)
    known = [key for key in map(action_key, before.actions) if key]
    return started_action(after.actions, "power_cycle", known, None) is not None


def as_stored(rollout: Mapping[str, Any]) -> Seen:
    """A stored rollout in the form of the API. It is enough to offer actions; before one is sent, the API is read."""
    counts = {
        f"{name}_targets": rollout[name] for name in ("queued", "in_progress", "succeeded", "failed", "uncertain")
    }
    return Seen({"id": rollout["rollout_id"], "status": rollout["status"], "total_targets": rollout["total"], **counts})
