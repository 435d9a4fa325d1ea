# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The memories of an instance (E17 to E19): which ones are equal, and what a list of them proves. Pure functions.

The reference does not define the shape of a memory, so any key may be missing.
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

# How many memories E17 lists without a limit.
DEFAULT_LIMIT = 100
# What a memory belongs to; the only filters of E17.
SCOPE = ("conversation_id", "customer_id")
# The fields that the server adds when it stores a memory (assumption, behaviour 2.6).
SERVER_FIELDS = frozenset(
    {"id", "memory_id", "instance_id", "created_at", "updated_at", "stored_at", "last_accessed_at"}
)


@dataclass(frozen=True)
class Listing:
    """One answer of E17.

    ``memories``: its records. ``listed``: the number of its items, including any that are not records. ``truncated``:
    there may be more, because the list has the maximum length, or the server counts more than it lists. ``available``:
    False if the server says that the memory cannot be read now, so that an empty list proves nothing. ``status``: as
    the server returned it.
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
    """The list in an answer of E17, which has one. ``limit``: how many were requested."""
    items, status = answer["memories"], answer.get("status")
    return Listing(
        memories=[dict(item) for item in items if isinstance(item, Mapping)],
        listed=len(items),
        truncated=may_be_cut(len(items), answer, limit),
        available=not (isinstance(status, Mapping) and status.get("available") is False),
        status=status,
    )


def may_be_cut(listed: int, answer: Mapping[str, Any], limit: int) -> bool:
    """Whether there may be more memories than the ``listed`` ones in an answer of E17 with this ``limit``.

    True if the list has ``limit`` items, or fewer than the ``count`` of the answer. E17 has no paging, so a list that a
    server cuts off below ``limit`` without saying so cannot be detected.
    """
    return listed >= limit or count(answer.get("count")) > listed


def body_of(memory: Mapping[str, Any]) -> Record:
    """The body to send to store a memory: plain JSON, without the fields that the server adds itself.

    A memory from an earlier list can therefore be stored again. Raises ValueError for a value that JSON cannot
    represent.
    """
    carried = json.loads(json.dumps(dict(memory), allow_nan=False, default=_as_text))
    return {key: value for key, value in carried.items() if key not in SERVER_FIELDS}


def _as_text(value: Any) -> str:
    # YAML converts a date without quotes.
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"{value!r} cannot be sent as JSON")


def key_of(body: Mapping[str, Any]) -> str:
    """A hash of the content and the scope of a memory. Equal memories have the same hash."""
    said = json.dumps(normalised(body), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


def scope_of(memory: Mapping[str, Any]) -> dict[str, str]:
    """The conversation and the customer that a memory belongs to, as text. Absent ones are left out."""
    return {key: text for key in SCOPE if (text := _scope_text(memory.get(key))) is not None}


def says_something(body: Mapping[str, Any]) -> bool:
    """Whether a memory has content besides its kind and its scope."""
    return any(
        normalised(value) not in (None, "", [], {}) for key, value in body.items() if key not in (*SCOPE, "kind")
    )


def normalised(value: Any) -> Any:
    """A value in the form that is compared: texts in Unicode form NFC, with one blank for each run of white space."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split())
    if isinstance(value, Mapping):
        return {str(key): normalised(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [normalised(inner) for inner in value]
    return value


def covers(wanted: Any, held: Any) -> bool:
    """Whether ``held`` equals ``wanted``. A mapping in ``held`` may have further keys, which the server added.

    Both are normalised. It is not done here, because each value is compared with many others.
    """
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(covers(value, held.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(held, list)
            and len(wanted) == len(held)
            and all(covers(*pair) for pair in zip(wanted, held, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(held, bool):
        return wanted is held
    return bool(wanted == held)


def find(memories: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> Record | None:
    """The memory with the content of ``body`` and the same conversation and customer, or None.

    If ``body`` names a conversation or a customer, a memory without that field is assumed to belong to it.
    """
    content, scope = content_of(body), scope_of(body)
    return next((dict(row) for row in memories if _belongs(row, scope) and covers(content, normalised(row))), None)


def content_of(body: Mapping[str, Any]) -> Record:
    """What a memory says, normalised, without what it belongs to."""
    return {str(key): normalised(value) for key, value in body.items() if key not in SCOPE}


def _belongs(row: Mapping[str, Any], scope: Mapping[str, str]) -> bool:
    return all((key in scope and key not in row) or _scope_text(row.get(key)) == scope.get(key) for key in SCOPE)


def outside_selection(memories: Sequence[Mapping[str, Any]], selection: Mapping[str, str]) -> list[Record]:
    """The memories in a list that do not belong to the selection that was requested.

    If there are any, the server has understood the selection differently, and would also clear other memories.
    """
    return [
        dict(row)
        for row in memories
        if any(key in row and _scope_text(row[key]) != wanted for key, wanted in selection.items())
    ]


def slices(memories: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The conversations and the customers in a list, sorted. Each may be small enough to be listed completely."""
    return {key: sorted({text for row in memories if (text := _scope_text(row.get(key)))}) for key in SCOPE}


def remains(before: Listing, after: Listing) -> tuple[int, int]:
    """How many of the memories of ``before`` are still in ``after``, and how many were stored since.

    A memory without an id counts as one of ``before``, because it cannot be identified.
    """
    known = set(before.ids)
    since = sum(identity not in known for identity in after.ids)
    return after.listed - since, since


def _scope_text(value: Any) -> str | None:
    return None if value is None or str(value) == "" else str(value)
