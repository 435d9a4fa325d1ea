# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Fields of the API's records as words for messages. Pure.

A field may be missing or null. The message then says that the value is unknown. The console also uses these functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

UNKNOWN = "unknown"
# How many characters of the server's text a message repeats.
LONGEST_WORDS = 600


def text_of(record: Mapping[str, Any], key: str, otherwise: str = UNKNOWN) -> str:
    """A field of a record as text; ``otherwise`` if it is missing, null or blank."""
    value = record.get(key)
    text = "" if value is None else str(value).strip()
    return text or otherwise


def shortened(text: str, most: int) -> str:
    """A text of at most ``most`` characters. If it is longer, it is cut and ends with ``...``."""
    return text if len(text) <= most else text[: most - 3] + "..."


def in_one_line(words: str) -> str:
    """A text of the server for a message: on one line, without a full stop, and not longer than LONGEST_WORDS."""
    return shortened(" ".join(words.split()).removesuffix("."), LONGEST_WORDS)


def reason_of(target: Mapping[str, Any]) -> str:
    """The ``error_message`` of a target for a message, without a full stop at its end; empty if there is none."""
    said = target.get("error_message")
    return in_one_line(str(said)) if said else ""


def as_sentence(problem: ValueError) -> str:
    """The phrase of an exception with a capital letter and a full stop."""
    said = str(problem)
    return f"{said[:1].upper()}{said[1:]}."


def counted(number: int, what: str) -> str:
    """``1 target``, ``2 targets``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def names_host(message: str, host: str) -> bool:
    """Whether a message contains the complete name of a host, in any case."""
    # Compiling a pattern for each host of a fleet costs more than all the rest.
    if host.casefold() not in message.casefold():
        return False
    return re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", message, re.IGNORECASE) is not None


def with_host(host: str, message: str) -> str:
    """``agent-007: no route``, or only the message if it names the host itself."""
    return message if names_host(message, host) else f"{host}: {message}"


def named(what: str, record: Mapping[str, Any], key: str = "id") -> str:
    """``rollout r-1``, or ``a rollout without an id``."""
    value = text_of(record, key, "")
    return f"{what} {value}" if value else f"{'an' if what[0] in 'aeiou' else 'a'} {what} without an id"


def health_in_words(health: Mapping[str, Any], *, is_new: bool) -> str:
    """A health record (E15, E16) as a phrase. ``is_new``: whether it is from after the action."""
    status, checked = text_of(health, "status"), text_of(health, "checked_at", "an unknown time")
    if is_new:
        return f"its health is {status}"
    return (
        f"the server only has an old health record ({status}, checked at {checked}), so its health now is unknown; the "
        "module instance_diagnostics checks it"
    )


def is_status(record: Mapping[str, Any]) -> str:
    """``is in_progress``, with the server's word, or ``has no status``."""
    word = text_of(record, "status", "")
    return f"is {word}" if word else "has no status"


def ended_as(record: Mapping[str, Any]) -> str:
    """``ended as partial``, with the server's word, or ``ended without a status``."""
    word = text_of(record, "status", "")
    return f"ended as {word}" if word else "ended without a status"


def origin(record: Mapping[str, Any]) -> str:
    """When and from where a rollout was started: ``created at 2026-01-01T00:00:00Z, from 192.0.2.1``."""
    created = text_of(record, "created_at", "an unknown time")
    return f"created at {created}, from {text_of(record, 'initiated_from_ip', 'an unknown address')}"


def with_status(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rollouts or targets as a list: ``r-1 (in_progress), r-2 (no status)``."""
    return ", ".join(
        f"{text_of(row, 'id', 'one without an id')} ({text_of(row, 'status', 'no status')})" for row in rows
    )


def with_variable(option: str) -> str:
    """An option of a module that a message says to set, with the variable of the collection's playbooks for it."""
    return f"{option} (fleetops_{option} in the collection's playbooks)"
