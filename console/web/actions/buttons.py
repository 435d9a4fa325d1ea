# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of an operator: the buttons, the confirmation, and the result.

Nothing is decided here: console.act.send refuses an action that is not allowed, regardless of what the buttons show.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import target_status
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from console.act.decision import FORCED, MAX_REASON, STEERING, Decision, Intent, Seen, as_stored, judge
from console.act.send import ActionOutcome, Attempt, act, read_state
from console.collect.api.session import ApiOptions
from console.collect.sync import sync_once
from console.record.opening import DatabaseProblem
from console.record.read import rollouts as rollout_queries
from console.settings.environment import ApiConnection, SettingsError, load_settings
from console.text.counts import counted
from console.web import pages, sign_in
from console.web.browser import navigation
from console.web.shared import cached, links, lists, messages, viewer

ICONS = {
    "pause": ":material/pause:",
    "resume": ":material/play_arrow:",
    "cancel": ":material/stop:",
    "retry": ":material/replay:",
    "power-cycle": ":material/power_settings_new:",
}
# How many targets the select box for a retry can offer.
MAX_CHOICES = 500
# How many of the newest rollouts are read after an action, the open ones with their targets.
SYNCED_ROLLOUTS = 100

_OPEN = "acting_confirmation"


@dataclass
class _Confirmation:
    """An open confirmation, kept in the session: the intent, the state that the API showed, and the outcome.

    is_sent: the action is being sent, or its outcome is known. was_shown: the visitor has seen the outcome.
    """

    intent: Intent
    attempt_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    seen: Seen | None = None
    seen_at: float = 0.0
    outcome: ActionOutcome | None = None
    is_sent: bool = False
    was_shown: bool = False


def for_rollout(rollout: dict[str, Any]) -> None:
    """The buttons of a rollout; nothing if actions are switched off. rollout: as returned by ``rollouts.rollout``."""
    stored = as_stored(rollout)
    intents = [
        Intent(action, rollout["tenant"], links.short(rollout["rollout_id"]), rollout["rollout_id"])
        for action in (*STEERING, "retry")
    ]
    bad = rollout["failed"] + rollout["uncertain"]
    sentence = "Asks which failed or uncertain target to retry." if bad else "There are no failed or uncertain targets."
    retry = Decision(bool(bad), sentence)
    _row([(intent, retry if intent.action == "retry" else judge(intent, stored)) for intent in intents])


def for_instance(known: dict[str, Any]) -> None:
    """The buttons of an instance; nothing if actions are switched off. known: as returned by ``instances.instance``."""
    intent = Intent("power-cycle", known["tenant"], known["host"], instance_id=known["instance_id"])
    _row([(intent, judge(intent, Seen()))])


def _row(offers: Sequence[tuple[Intent, Decision]]) -> None:
    # A copy cannot record what was done.
    if not sign_in.acting().enabled or cached.is_copy():
        return
    who = sign_in.visitor()
    connection, no_api = sign_in.connection("act")
    with lists.row():
        for intent, decision in offers:
            pressed = st.button(
                intent.action.capitalize(),
                icon=ICONS[intent.action],
                disabled=not (who.may_act and connection and decision.allowed),
                help=_plain(decision.sentence),
                key=f"act_{intent.action}",
                # In a callback, because an automatic refresh can interrupt this run before it reaches the button.
                on_click=_open,
                args=(intent,),
            )
            if pressed:
                # The confirmation is drawn by the page, not by the fragment that contains the button.
                st.rerun()
        first = offers[0][0]
        links.to(pages.ACTIONS, "Record of actions", icon="history", acted_q=first.rollout_id or first.instance_id)
    if not who.may_act:
        st.caption(who.why_not)
    elif no_api:
        st.text(no_api)


def is_confirming(identifier: str) -> bool:
    """Whether the confirmation of an action on this rollout or instance is open. Leaving the page closes it."""
    opened: _Confirmation | None = st.session_state.get(_OPEN)
    if opened is None or navigation.was_used():
        return False
    return identifier in (opened.intent.rollout_id, opened.intent.instance_id)


def confirmation(identifier: str) -> None:
    """Show the open confirmation if it is for this rollout or instance. Called outside the page's fragment."""
    if not is_confirming(identifier):
        st.session_state.pop(_OPEN, None)
        return
    opened: _Confirmation = st.session_state[_OPEN]
    title = f"{opened.intent.action.capitalize()} {_plain(opened.intent.name)}"
    st.dialog(title, width="medium", on_dismiss=_dismissed)(_confirm)(opened)


def _open(intent: Intent) -> None:
    st.session_state[_OPEN] = _Confirmation(intent)


def _dismissed() -> None:
    """Close the dialog, except while the action is being sent: its outcome must be seen."""
    opened: _Confirmation | None = st.session_state.get(_OPEN)
    if opened is None or opened.was_shown or not opened.is_sent:
        _close()


def _close() -> None:
    st.session_state.pop(_OPEN, None)


def _confirm(pending: _Confirmation) -> None:
    if pending.is_sent and pending.outcome is None:
        # The dialog was closed meanwhile. Streamlit then runs the page in a new thread, and the old one still sends.
        with st.spinner("Sending"):
            while pending.is_sent and pending.outcome is None:
                time.sleep(0.1)
    if pending.outcome is not None:
        pending.was_shown = True
        _show(pending.outcome)
        return
    connection, no_api = sign_in.connection("act")
    if connection is None:
        lists.line(no_api)
        return
    seen = pending.seen or _read(connection, pending)
    if seen is None:
        return
    intent = _chosen(pending.intent, seen)
    if intent is None:
        st.text("According to the API, this rollout has no failed or uncertain targets.")
        return
    intent = replace(intent, force=_forced(intent, seen))
    decision = judge(intent, seen)
    lists.line(decision.sentence)
    st.caption(
        f"Read from the API at {viewer.moment(pending.seen_at, '%H:%M:%S')}, and read again before anything is sent."
    )
    reason = st.text_input("Reason", max_chars=MAX_REASON, key="act_reason", placeholder="stored with the action")
    typed = ""
    if intent.force:
        typed = st.text_input(f"To force this, type {_plain(intent.name)}", key="act_typed")
    touched = "1 instance" if intent.action == "power-cycle" else counted(decision.touches, "target")
    if st.button(
        f"{intent.action.capitalize()}{' (force)' if intent.force else ''}: {touched}",
        icon=ICONS[intent.action],
        type="primary",
        disabled=not decision.allowed,
        key="act_send",
    ):
        _send(connection, pending, intent, reason, typed, decision.touches)


def _read(connection: ApiConnection, pending: _Confirmation) -> Seen | None:
    try:
        with st.spinner("Reading the state from the API"):
            pending.seen = read_state(connection, pending.intent)
    except (ApiError, SettingsError) as error:
        messages.problem("The state cannot be read", f"Nothing was sent. {error}")
        return None
    pending.seen_at = time.time()
    return pending.seen


def _chosen(intent: Intent, seen: Seen) -> Intent | None:
    """The intent, for a retry with the target that the visitor chooses; None if no target can be retried."""
    if intent.action != "retry":
        return intent
    bad = [str(row.get("id")) for row in seen.targets if target_status(row.get("status")) in ("failed", "uncertain")]
    if not bad:
        return None
    stored = cached.ask(rollout_queries.targets_of, intent.tenant, intent.rollout_id)
    hosts = dict(zip(stored["target_id"], stored["host"], strict=True))
    if len(bad) > MAX_CHOICES:
        st.caption(f"The first {MAX_CHOICES} of {len(bad):,} targets")
    labels = {key: f"{hosts.get(key, key)} ({target_status((seen.target(key) or {}).get('status'))})" for key in bad}
    target = st.selectbox(
        "Target", bad[:MAX_CHOICES], format_func=lambda key: printable_line(labels[key]), key="act_target"
    )
    return replace(intent, target_id=target, name=hosts.get(target, target))


def _forced(intent: Intent, seen: Seen) -> bool:
    if intent.action not in FORCED:
        return False
    if intent.action == "cancel":
        return st.checkbox("Also terminate targets in progress (force)", key="act_force")
    row = seen.target(intent.target_id) or {}
    if target_status(row.get("status")) != "uncertain":
        return False
    return st.checkbox("Retry even though the outcome of this target is unknown (force)", key="act_force")


def _send(
    connection: ApiConnection, pending: _Confirmation, intent: Intent, reason: str, typed: str, confirmed: int
) -> None:
    # One line, because the reason is shown in a table.
    attempt = Attempt(pending.attempt_id, sign_in.visitor(), intent, " ".join(reason.split()), confirmed, typed)
    enabled, database = sign_in.acting().enabled, load_settings().database
    try:
        with st.spinner("Sending"):
            pending.is_sent = True
            pending.outcome = act(attempt, enabled=enabled, database=database, connection=connection)
    except DatabaseProblem as error:
        messages.problem("The database cannot be written", str(error))
        return
    finally:
        pending.is_sent = pending.outcome is not None
    st.rerun(scope="fragment")


def _show(outcome: ActionOutcome) -> None:
    lists.status_badge(outcome.word)
    lists.line(outcome.sentence)
    with lists.row():
        closed = st.button("Close", key="act_close")
        # A refused action has changed nothing.
        sync = outcome.word != "refused" and st.button(
            "Sync and close",
            icon=":material/sync:",
            type="primary",
            key="act_sync",
            help="Reads the newest rollouts again.",
        )
    if sync and not _sync():
        return
    if sync or closed:
        _close()
        st.rerun()


def _sync() -> bool:
    """Read the newest rollouts, so that the page shows the result. Returns False if anything could not be read."""
    connection, _no_api = sign_in.connection("act")
    try:
        with st.spinner("Reading the rollouts"):
            report = sync_once(
                load_settings(),
                connection=connection,
                run_logs=False,
                api_options=ApiOptions(rollouts=SYNCED_ROLLOUTS, audit=False),
            )
    except (DatabaseProblem, SettingsError) as error:
        lists.line(str(error))
        return False
    for sentence in report.problems:
        lists.line(sentence)
    return not report.problems


def _plain(text: str) -> str:
    """Machine text for a label, as a code span, so that none of it is read as markup."""
    return "`" + printable_line(text).replace("`", "'") + "`"
