# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Circuit breakers in a deep health record, whose ``subsystems`` have no fixed schema (E15, E16). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .answers import normalise

_OPEN = frozenset({"open", "opened", "half_open", "halfopen", "tripped"})
_CLOSED = frozenset({"closed", "close", "ok", "healthy", "reset"})
_STATE_KEYS = ("state", "status", "circuit_state", "circuit_breaker_state", "breaker_state")
_NAME_KEYS = ("name", "provider", "id", "slug")
_FLAG_KEYS = frozenset({"open", "is_open", "tripped", "half_open"})


@dataclass(frozen=True)
class Breakers:
    """``open``: the names of breakers that are not closed, sorted. ``visible``: whether the record has any breakers."""

    open: tuple[str, ...]
    visible: bool


def breakers_of(subsystems: Any) -> Breakers:
    """The breakers below each key that contains "breaker", at any depth. A half-open breaker counts as open.

    Accepted shapes are ``{"openai": "open"}``, ``{"openai": {"state": "open"}}``,
    ``[{"name": "openai", "state": "open"}]``, ``{"openai": {"open": true}}`` and ``{"open_breakers": ["openai"]}``.
    """
    found = list(_search(subsystems, "llm"))
    return Breakers(tuple(sorted({name for name, is_open in found if is_open})), bool(found))


def _search(node: Any, owner: str) -> Iterator[tuple[str, bool]]:
    """Pairs of a breaker's name and whether it is open, below any key with "breaker" in its name.

    ``owner``: the nearest name above, used for a breaker without a name of its own.
    """
    for key, value in _items(node, owner):
        if "breaker" in normalise(key):
            yield from _named_by_key(normalise(key), value, owner)
        else:
            yield from _search(value, key)


def _named_by_key(key: str, value: Any, owner: str) -> Iterator[tuple[str, bool]]:
    says_open = not _FLAG_KEYS.isdisjoint(key.split("_"))
    if isinstance(value, bool):
        if says_open:
            yield owner, value
    elif isinstance(value, list) and says_open:
        yield from _listed_open(value, owner)
    else:
        yield from _breakers(value, owner)


def _breakers(node: Any, owner: str) -> Iterator[tuple[str, bool]]:
    """As _search, for a value that is known to contain breakers."""
    is_open = _is_open(node)
    if is_open is not None:
        yield _name(node, owner), is_open
        return
    for key, value in _items(node, owner):
        if normalise(key) in _FLAG_KEYS and isinstance(value, list):
            yield from _listed_open(value, owner)
        else:
            yield from _breakers(value, owner if "breaker" in normalise(key) else key)


def _listed_open(names: list[Any], owner: str) -> Iterator[tuple[str, bool]]:
    """As _search, for a list of open breakers. An empty list means that the breaker of ``owner`` is closed."""
    yield from ((_name(item, str(item)), True) for item in names)
    if not names:
        yield owner, False


def _is_open(node: Any) -> bool | None:
    """Whether a breaker is open; None for a value that is not a breaker."""
    if isinstance(node, str):
        word = normalise(node)
        return True if word in _OPEN else False if word in _CLOSED else None
    if not isinstance(node, Mapping):
        return None
    states = [_is_open(node[key]) for key in _STATE_KEYS if isinstance(node.get(key), str)]
    states += [value for key, value in node.items() if normalise(key) in _FLAG_KEYS and isinstance(value, bool)]
    known = [state for state in states if state is not None]
    # {"state": "ok", "openai": "open"} is a group with a summary. The breakers in it count, not the summary.
    is_group = any(_is_open(value) is not None for key, value in node.items() if key not in _STATE_KEYS)
    return any(known) if known and not is_group else None


def _items(node: Any, owner: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, list):
        yield from ((_name(item, owner), item) for item in node)


def _name(node: Any, otherwise: str) -> str:
    if not isinstance(node, Mapping):
        return otherwise
    return next((node[key] for key in _NAME_KEYS if isinstance(node.get(key), str) and node[key]), otherwise)
