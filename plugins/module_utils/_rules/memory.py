# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an instance's memories say (E17 to E19): which are the same, and what a list of them proves. Pure functions.

The reference leaves the shape of a memory open, so nothing here relies on a key being there.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from .answers import Record, count

# How many memories E17 lists where it is not told.
DEFAULT_LIMIT = 100
# What a memory belongs to; the only filters of E17.
SCOPE = ("conversation_id", "customer_id")
# What the server gives a memory when it stores it (assumption of behaviour 2.6: a stored row gets new ones).
SERVER_FIELDS = frozenset(
    {"id", "memory_id", "instance_id", "created_at", "updated_at", "stored_at", "last_accessed_at"}
)


@dataclass(frozen=True)
class Listing:
    """One answer of E17.

    ``memories``: its records. ``listed``: its items, those that are no records too. ``truncated``: there may be more,
    since the list is as long as it may be, or the server counts more than it lists. ``available``: False if the
    server says that the memory cannot be read now, so that an empty list proves nothing. ``status``: as it came.
    """

    memories: list[Record]
    listed: int
    truncated: bool
    available: bool
    status: Any

    @property
    def ids(self) -> list[str]:
        return [str(row["id"]) for row in self.memories if row.get("id") is not None]


def listing_of(answer: Mapping[str, Any], limit: int) -> Listing:
    """The list in an answer of E17 that was asked for ``limit`` items. Raises ValueError if there is no list in it."""
    items = answer.get("memories")
    if items is None:
        items = []
    if not isinstance(items, list):
        raise ValueError("the answer holds no list of memories")
    status = answer.get("status")
    return Listing(
        memories=[dict(item) for item in items if isinstance(item, Mapping)],
        listed=len(items),
        truncated=may_be_cut(len(items), answer, limit),
        available=not (isinstance(status, Mapping) and status.get("available") is False),
        status=status,
    )


def may_be_cut(listed: int, answer: Mapping[str, Any], limit: int) -> bool:
    """Whether there may be more memories than the ``listed`` ones of an answer of E17 that was asked for ``limit``.

    True where the list is as long as asked, or shorter than ``count``. E17 has no paging: where a server lists fewer
    than it was asked for and does not say so, that cannot be found out.
    """
    return listed >= limit or count(answer.get("count")) > listed


def body_of(memory: Mapping[str, Any]) -> Record:
    """What to send to store a memory: as JSON will carry it, without what the server gives by itself.

    So a row of an earlier list can be stored again. Raises ValueError for a value that JSON cannot carry.
    """
    carried = json.loads(json.dumps(dict(memory), allow_nan=False, default=_as_text))
    return {key: value for key, value in carried.items() if key not in SERVER_FIELDS}


def _as_text(value: Any) -> str:
    # YAML reads an unquoted date as one.
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"{value!r} cannot be sent as JSON")


def key_of(body: Mapping[str, Any]) -> str:
    """A hash of what a memory says and belongs to, the same for all that are the same memory."""
    said = json.dumps(normalised(body), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


def scope_of(memory: Mapping[str, Any]) -> dict[str, str]:
    """The conversation and the customer that a memory names, as text."""
    return {key: text for key in SCOPE if (text := _scope_text(memory.get(key))) is not None}


def says_something(body: Mapping[str, Any]) -> bool:
    """Whether there is anything to remember beside what it belongs to."""
    return any(
        normalised(value) not in (None, "", [], {}) for key, value in body.items() if key not in (*SCOPE, "kind")
    )


def normalised(value: Any) -> Any:
    """A value as it is compared: texts in Unicode form NFC with each run of white space as one blank."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split())
    if isinstance(value, Mapping):
        return {str(key): normalised(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [normalised(inner) for inner in value]
    return value


def same(wanted: Any, held: Any) -> bool:
    """Whether ``held`` says what ``wanted`` does; a mapping may hold further keys, which the server added."""
    return _covers(normalised(wanted), normalised(held))


def _covers(wanted: Any, held: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(_covers(value, held.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(held, list)
            and len(wanted) == len(held)
            and all(_covers(*pair) for pair in zip(wanted, held, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(held, bool):
        return wanted is held
    return bool(wanted == held)


def find(memories: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> Record | None:
    """The memory that says what ``body`` says, of the same conversation and customer, or None.

    A row that leaves a conversation or customer out that was asked for is taken for one of it.
    """
    content = {key: value for key, value in body.items() if key not in SCOPE}
    scope = scope_of(body)
    return next((dict(row) for row in memories if _belongs(row, scope) and same(content, row)), None)


def _belongs(row: Mapping[str, Any], scope: Mapping[str, str]) -> bool:
    return all((key in scope and key not in row) or _scope_text(row.get(key)) == scope.get(key) for key in SCOPE)


def strangers(memories: Sequence[Mapping[str, Any]], selection: Mapping[str, str]) -> list[Record]:
    """The memories of a list that say that they are not of the selection which was asked for.

    Where there are any, the server reads the selection otherwise than meant, and would clear otherwise than meant.
    """
    return [
        dict(row)
        for row in memories
        if any(key in row and _scope_text(row[key]) != wanted for key, wanted in selection.items())
    ]


def slices(memories: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The conversations and the customers that occur in a list, sorted: the parts that may be listed whole."""
    return {key: sorted({text for row in memories if (text := _scope_text(row.get(key)))}) for key in SCOPE}


def remains(before: Listing, after: Listing) -> tuple[int, int]:
    """How many of the memories of ``before`` are still in ``after``, and how many were stored since.

    What has no id cannot be told from what was there, and counts as still there.
    """
    known = set(before.ids)
    since = sum(identity not in known for identity in after.ids)
    return after.listed - since, since


def _scope_text(value: Any) -> str | None:
    return None if value is None or str(value) == "" else str(value)
