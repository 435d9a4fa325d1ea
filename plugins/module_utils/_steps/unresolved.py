# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Calls of an earlier run on this machine whose effect was not found: what a later run does before it sends again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .._module.operation import Context
from .._rules.answers import Record, parse_time
from .._rules.record_words import named, with_variable
from .._rules.redeploy import started_target
from .._rules.updates import versions
from .notes_of_sent import FOUND, SENDING, SETTLES_WITHIN, Note, Notes
from .wait import wait_for_effect

Found = TypeVar("Found")

# The keys of the notes about an instance's updates: for a call that creates a redeploy, and for one of skills alone.
REDEPLOY, SKILLS = "redeploy", "skills"
# For how many seconds a later run looks for the effect of an earlier call.
_LOOKS_FOR = 30.0


def notes_of(context: Context) -> Notes:
    """The notes of the instance's redeploys and updates."""
    return Notes(context, "update", context.params["instance_id"])


def resolve(
    context: Context,
    notes: Notes,
    key: str,
    what: str,
    look: Callable[[Note], Found | None],
    *,
    looks_for: float = _LOOKS_FOR,
) -> Found | None:
    """The effect of a call that an earlier run sent, as ``look(note)`` finds it; None if the call may be sent now.

    ``what``: the call and its subject, as the beginning of a sentence. ``looks_for``: seconds to look for the effect.
    Fails, and keeps the note, while the outcome is unknown. If the process was killed while it was sending, and no
    effect has appeared for 120 s, the call counts as never sent. If an earlier task knew the effect (FOUND) and it is
    not listed now, it counts as undone since.
    """
    note = notes.read(key)
    if note is None:
        return None
    settles, retry = note.stage in (SENDING, FOUND), bool(context.params.get("retry_if_absent"))
    timeout = max(0.0, SETTLES_WITHIN - note.age) if settles else looks_for
    found = wait_for_effect(
        context,
        lambda: look(note),
        lambda seen: seen is not None,
        timeout=min(timeout, looks_for) if retry else timeout,
    ).state
    if found is not None:
        notes.end(key)
        return found
    sent = f"{what} was sent from this machine at {note.sent_in_words}"
    if note.stage == FOUND:
        notes.end(key)
        context.warn(f"{sent} and was carried out, but its effect is gone, so it is sent again.")
        return None
    if note.stage == SENDING:
        notes.end(key)
        context.warn(
            f"{what} was about to be sent from this machine at {note.sent_in_words} when its run ended. No effect "
            "has appeared since, so it counts as never sent."
        )
        return None
    if retry:
        notes.end(key)
        context.warn(f"{sent}, and no effect was found, so it is sent once more (retry_if_absent).")
        return None
    return context.fail(
        f"{sent}; {note.outcome_in_words}, and no effect has appeared since. It is unresolved, so nothing was sent "
        f"now. Run this task again to look once more, or set {with_variable('retry_if_absent')} to send it again. "
        f"After {note.ends_in_words} this machine no longer remembers it.",
        unresolved=True,
    )


def resolve_update(context: Context, *, skills_too: bool) -> Record | None:
    """The target (E23) of a redeploy that an earlier run sent without finding its target; None if there is none.

    ``skills_too``: also look for the effect of an earlier update of skills alone, which creates no target.
    """
    instance_id = context.params["instance_id"]
    notes = notes_of(context)

    def target(note: Note) -> Record | None:
        facts = note.facts
        newest = parse_time(facts.get("newest"))
        rows = context.client.list_instance_rollouts(instance_id)
        found = started_target(rows, facts.get("known_ids") or (), facts.get("task_id"), newest, instance_id)
        if found is not None and found[1] == "weak":
            context.warn(
                f"The redeploy of {context.instance} that was sent from this machine at {note.sent_in_words} was "
                f"identified without its id, as the only new one ({named('target', found[0])})."
            )
        return found[0] if found is not None else None

    def moved(note: Note) -> bool | None:
        now = versions(context.client.get_available_updates(instance_id))
        return True if now != note.facts.get("versions") else None

    if skills_too:
        resolve(context, notes, SKILLS, f"An update of the skills of {context.instance}", moved)
    return resolve(context, notes, REDEPLOY, f"A redeploy of {context.instance}", target)
