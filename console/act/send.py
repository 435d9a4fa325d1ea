# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends one action: records the attempt, reads the state, judges it, sends once, reads again, records the outcome.

The pages decide nothing: every request from a browser is checked here, and refused here if it may not be sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import ACTIONS_CAP, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import is_status, text_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.refusals import refusal_in
from ansible_collections.fleetops.agents.plugins.module_utils._rules.restart import rows_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.rollout import refusal_of_rollout
from console.act.decision import STEERING, Intent, Seen, judge, was_carried_out, why_not_confirmed, why_refused
from console.record.opening import DatabaseProblem
from console.record.rows import Row
from console.record.write.ledgers import open_ledger
from console.settings.api_client import open_client
from console.settings.environment import ApiConnection, SettingsError
from console.settings.identity import Identity

# How often the state is read after a call with an unknown outcome, and the pause before each read (seconds).
READS = 4
PAUSE = 1.5


@dataclass(frozen=True)
class Attempt:
    """The request of a visitor. ``attempt_id`` identifies the confirmation; if it is pressed twice, one call is sent.

    ``confirmed``: the number of targets in the confirmation. ``typed``: the name as the visitor typed it.
    """

    attempt_id: str
    who: Identity
    intent: Intent
    reason: str
    confirmed: int
    typed: str = ""


@dataclass(frozen=True)
class ActionOutcome:
    """The outcome of an attempt. ``word``: done, refused (nothing was sent), failed (not carried out) or unknown."""

    word: str
    sentence: str
    touches: int | None = None
    http_status: int | None = None
    request_id: str | None = None


# The columns of the table console_audit for the fields of an ActionOutcome.
_OUTCOME = ("outcome", "detail", "targets", "http_status", "request_id")


def read_state(connection: ApiConnection, intent: Intent) -> Seen:
    """The current state of the rollout or instance, from the API. Raises ApiError and SettingsError."""
    with _client(connection, intent, read_only=True) as client:
        return _read_state(client, intent)


def act(
    attempt: Attempt,
    *,
    enabled: bool,
    database: Path,
    connection: ApiConnection,
    sleep: Callable[[float], None] = time.sleep,
) -> ActionOutcome:
    """Carry out one attempt, or refuse it. The attempt is recorded before anything is sent, then its outcome.

    Raises DatabaseProblem if the attempt cannot be recorded (then nothing was sent), or if its outcome cannot be
    recorded (then the attempt is recorded without one).
    """
    with ExitStack() as opened:
        try:
            ledger = opened.enter_context(open_ledger(database))
            is_new = ledger.begin(_attempt_row(attempt))
        except DatabaseProblem as error:
            raise DatabaseProblem(f"Nothing was sent, because the attempt cannot be recorded. {error}") from error
        if not is_new:
            return _recorded_outcome(ledger.outcome(attempt.attempt_id))
        outcome = _carry_out(attempt, enabled, connection, sleep)
        row = dict(zip(_OUTCOME, astuple(outcome), strict=True))
        try:
            ledger.end({"attempt_id": attempt.attempt_id, "at": time.time(), **row})
        except DatabaseProblem as error:
            raise DatabaseProblem(
                f"The outcome ({outcome.word}: {outcome.sentence}) cannot be recorded. {error}"
            ) from error
    return outcome


def _recorded_outcome(row: Row | None) -> ActionOutcome:
    """The outcome of an attempt that was recorded before."""
    if row is None:
        return ActionOutcome("unknown", "This was confirmed before, and its outcome is not recorded (yet).")
    return ActionOutcome(*(row[name] for name in _OUTCOME))


def _attempt_row(attempt: Attempt) -> Row:
    who, intent = attempt.who, attempt.intent
    visitor = {"issuer": who.issuer, "subject": who.subject, "user": who.name, "role": who.role}
    texts = {**visitor, **vars(intent), "reason": attempt.reason}
    row = {"attempt_id": attempt.attempt_id, "at": time.time(), **{name: text or None for name, text in texts.items()}}
    return {**row, "force": int(intent.force), "targets": attempt.confirmed}


def _carry_out(
    attempt: Attempt, enabled: bool, connection: ApiConnection, sleep: Callable[[float], None]
) -> ActionOutcome:
    intent = attempt.intent
    refusal = why_refused(intent, attempt.who, enabled=enabled, reason=attempt.reason, typed=attempt.typed)
    if refusal:
        return ActionOutcome("refused", refusal)
    try:
        with _client(connection, intent, read_only=False) as client:
            return _judge_and_send(client, attempt, sleep)
    except SettingsError as error:
        return ActionOutcome("refused", str(error))


def _judge_and_send(client: FleetClient, attempt: Attempt, sleep: Callable[[float], None]) -> ActionOutcome:
    intent = attempt.intent
    try:
        before = _read_state(client, intent)
    except ApiError as error:
        sentence = f"Nothing was sent, because the state could not be read. {error}"
        return ActionOutcome("failed", sentence, None, error.status, error.request_id)
    decision = judge(intent, before)
    refusal = decision.sentence if not decision.allowed else why_not_confirmed(decision, attempt.confirmed)
    if refusal:
        return ActionOutcome("refused", refusal, decision.touches)
    try:
        refused_by_server = _send_once(client, intent)
    except ApiError as error:
        if not error.ambiguous:
            return ActionOutcome("failed", str(error), decision.touches, error.status, error.request_id)
        word, sentence = _look_up(client, intent, before, sleep)
        return ActionOutcome(word, f"{error} {sentence}", decision.touches, error.status, error.request_id)
    status = client.trace[-1].get("status")
    after = _state_after(client, intent)
    state = _state(intent, after) if after else "The new state could not be read."
    # A new action in the list may be the one that failed.
    is_seen = after is not None and intent.action != "power-cycle" and was_carried_out(intent, before, after)
    if refused_by_server and not is_seen:
        word, sentence = "failed", f"The action failed on the server: {refused_by_server}. {state}"
    else:
        word, sentence = "done", f"The server accepted the action. {state}"
    return ActionOutcome(word, sentence, decision.touches, status)


def _send_once(client: FleetClient, intent: Intent) -> str:
    """Send the call. Returns '', or the server's words if its answer is a refusal. Raises ApiError."""
    # A call is not repeated even if it was certainly not carried out: the person who confirmed it sees the state first.
    client.transport.settings = replace(client.transport.settings, retries=0)
    if intent.action == "power-cycle":
        said = refusal_in(client.power_cycle(intent.instance_id))
    elif intent.action == "pause":
        said = refusal_of_rollout(client.pause_rollout(intent.rollout_id))
    elif intent.action == "resume":
        said = refusal_of_rollout(client.resume_rollout(intent.rollout_id))
    elif intent.action == "cancel":
        said = refusal_of_rollout(client.cancel_rollout(intent.rollout_id, force=intent.force))
    else:
        said = refusal_of_rollout(client.retry_rollout_target(intent.rollout_id, intent.target_id))
    return (said or "").removesuffix(".")


def _look_up(client: FleetClient, intent: Intent, before: Seen, sleep: Callable[[float], None]) -> tuple[str, str]:
    """Look up a call with an unknown outcome. Returns the word of the outcome (see ActionOutcome) and a sentence."""
    after: Seen | None = None
    trouble = ""
    for _attempt_number in range(READS):
        sleep(PAUSE)
        try:
            after = _read_state(client, intent)
        except ApiError as error:
            trouble = str(error)
            continue
        if was_carried_out(intent, before, after):
            return "done", f"The outcome was unknown at first, but the action was carried out. {_state(intent, after)}"
    seconds = f"{READS * PAUSE:g} s"
    if after is None:
        return "unknown", f"The outcome is unknown: the state could not be read within {seconds}. {trouble}"
    sentence = f"The outcome is unknown: the API did not show it within {seconds}. {_state(intent, after)}"
    return "unknown", f"{sentence} Check it before you try again."


def _state_after(client: FleetClient, intent: Intent) -> Seen | None:
    try:
        return _read_state(client, intent)
    except ApiError:
        return None


def _state(intent: Intent, seen: Seen) -> str:
    if intent.action in STEERING:
        return f"The rollout {is_status(seen.rollout)}."
    if intent.action == "retry":
        row = seen.target(intent.target_id)
        return f"The target {is_status(row) if row else 'is no longer part of the rollout'}."
    newest = next(iter(seen.actions), None)
    if newest is None:
        return "The instance has no action."
    return f"Its newest action is {text_of(newest, 'action')}, {text_of(newest, 'status', 'without a status')}."


def _read_state(client: FleetClient, intent: Intent) -> Seen:
    if intent.action == "power-cycle":
        # E11 is read first, because it accepts the id even while the agent is down.
        actions = rows_of(client.list_instance_actions(intent.instance_id, limit=ACTIONS_CAP))
        return Seen(targets=client.list_instance_rollouts(intent.instance_id), actions=actions)
    detail = client.get_rollout(intent.rollout_id)
    return Seen(detail["rollout"], detail["targets"])


@contextmanager
def _client(connection: ApiConnection, intent: Intent, *, read_only: bool) -> Iterator[FleetClient]:
    with closing(open_client(connection, read_only=read_only)) as client:
        # A database can contain the records of other tenants, or be a copy from elsewhere.
        if client.transport.settings.api_url != intent.tenant:
            raise SettingsError(
                f"This record belongs to {intent.tenant}, but the console uses {client.transport.settings.api_url}."
            )
        yield client
