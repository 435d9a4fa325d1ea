# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ids and other texts that users give: whether YAML kept them as text, and when two ids are equal. Pure functions."""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "boolean"),
    ((int, float), "number"),
    (date, "date"),
    ((list, tuple), "list"),
    (dict, "mapping"),
)

_HEX = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def require_text(value: Any, name: str, *, of: str = "") -> str:
    """``value``, which must be text. ``name``: its key. ``of``: the option that contains that key, if any.

    Raises ValueError with a phrase for any other type. YAML reads 0755 as 493, 2026-11-23 as a date and ``no`` as a
    boolean, so the original text can no longer be known.
    """
    if isinstance(value, str):
        return value
    kind = next((word for kinds, word in _KINDS if isinstance(value, kinds)), "value")
    found = f"{of + ': ' if of else ''}{name} must be text, but it is the {kind} {value}"
    if isinstance(value, (list, tuple, dict)):
        raise ValueError(found)
    raise ValueError(
        f"{found}, which may differ from what was written: YAML reads 0755 as the number 493. Write it in quotes, "
        f'{name}: "0755"; as an extra variable in JSON, -e \'{{"{name}": "0755"}}\'. If it is the result of a template '
        "and correct, add the filter string"
    )


def id_key(value: Any) -> str:
    """The key by which ids are compared: a UUID in its standard form, any other id without surrounding blanks."""
    return "" if value is None else _key_of(str(value))


# A task that follows a redeploy compares the same hundred ids every second.
@functools.lru_cache(maxsize=1024)
def _key_of(text: str) -> str:
    text = text.strip()
    plain = text.lower().removeprefix("urn:uuid:").strip("{}").replace("-", "")
    return str(uuid.UUID(plain)) if _HEX.fullmatch(plain) else text


def same_id(one: Any, other: Any) -> bool:
    """Whether two ids are equal. An empty id is not equal to any other."""
    key = id_key(one)
    return bool(key) and key == id_key(other)


def are_different_uuids(one: Any, other: Any) -> bool:
    """Whether both are UUIDs that differ. An id of another form may be another name of the same thing."""
    keys = id_key(one), id_key(other)
    return keys[0] != keys[1] and all(map(_UUID.fullmatch, keys))


def spellings(value: Any) -> set[str]:
    """An id as it is, and if it is a UUID, also in its usual spellings, to search for it where only texts are equal."""
    key = id_key(value)
    if not _UUID.fullmatch(key):
        return {str(value)}
    plain = {key, key.replace("-", "")}
    return {str(value), *plain, *(text.upper() for text in plain)}


def task_keys(value: Any) -> frozenset[str]:
    """The keys by which the task ids in a value are compared, whatever their case or type.

    ``value``: a text, a number, or a list of them, or a mapping, of which only the values count.
    """
    if isinstance(value, Mapping):
        return frozenset().union(*(task_keys(part) for part in value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return frozenset().union(*(task_keys(part) for part in value))
    if value is None or isinstance(value, bool):
        return frozenset()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # A UUID may also be given as a number of 128 bits.
    if isinstance(value, int) and 2**64 < value < 2**128:
        value = uuid.UUID(int=value)
    key = id_key(value).casefold()
    return frozenset({key} if key else ())
