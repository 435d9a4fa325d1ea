# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ids: how one that a user gives is read, and when two of them are the same. Pure functions."""

from __future__ import annotations

import re
import uuid
from datetime import date
from typing import Any

_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "boolean"),
    ((int, float), "number"),
    (date, "date"),
    ((list, tuple), "list"),
    (dict, "mapping"),
)
_HEX = re.compile(r"[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}")


def read_id(value: Any, name: str, *, of: str = "") -> str:
    """The id as it was given. ``name`` is the key that holds it, ``of`` the option around that key, for the error.

    Raises ValueError for what is no text. YAML reads 0755 as 493, 2026-11-23 as a date and ``no`` as a boolean, so
    nobody can tell any more what was written.
    """
    if isinstance(value, str):
        return value
    kind = next((word for kinds, word in _KINDS if isinstance(value, kinds)), "value")
    raise ValueError(
        f"{of + ': ' if of else ''}{name} is not text but the {kind} {value}. What was written may have been another "
        f'id, since YAML reads 0755 as the number 493. Put it in quotes where it is written, {name}: "0755"; for an '
        f'extra variable in JSON, -e \'{{"{name}": "0755"}}\''
    )


def id_key(identity: str) -> str:
    """What two spellings of one id have in common: a UUID counts by its value, any other id as it is written."""
    return str(uuid.UUID(identity)) if _HEX.fullmatch(identity) else identity


def same_id(one: Any, other: Any) -> bool:
    """Whether two ids, or what a server put in their place, are the same. Nothing is the same as none."""
    return one is not None and other is not None and id_key(str(one)) == id_key(str(other))
