# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The differences between two deep health records (E15, E16). Pure functions on plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .answers import Record, normalise


def status_of(subsystem: Any) -> str | None:
    """The status of one subsystem, which may be a word, a boolean or a mapping; None if it has none."""
    if isinstance(subsystem, Mapping):
        word = next((subsystem[key] for key in ("status", "state", "healthy", "ok") if key in subsystem), None)
    else:
        word = subsystem
    if isinstance(word, bool):
        return "healthy" if word else "unhealthy"
    return word if isinstance(word, str) and word else None


def changed_subsystems(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Record]:
    """The subsystems whose status differs between two records, sorted by name: ``name``, ``before`` and ``after``.

    If one record lacks a subsystem, its status there is None.
    """
    old, new = _subsystems(before), _subsystems(after)
    pairs = ((name, status_of(old.get(name)), status_of(new.get(name))) for name in sorted({*old, *new}))
    return [{"name": name, "before": was, "after": now} for name, was, now in pairs if normalise(was) != normalise(now)]


def _subsystems(health: Mapping[str, Any]) -> dict[str, Any]:
    parts = health.get("subsystems")
    return {str(name): part for name, part in parts.items()} if isinstance(parts, Mapping) else {}
