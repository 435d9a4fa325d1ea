# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the result of a module with its RETURN documentation."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

MODULES = "ansible_collections.fleetops.agents.plugins.modules."
# Those that Ansible documents, and those of all modules of the collection (doc_fragments/connection.py).
_COMMON = {"changed", "failed", "msg", "diff", "warnings", "skipped", "unreachable", "error", "api_trace"}
_TYPES: dict[str, Any] = {
    "bool": bool,
    "dict": dict,
    "float": (int, float),
    "int": int,
    "list": list,
    "raw": object,
    "str": str,
}


def undocumented(module: str, result: Mapping[str, Any]) -> list[str]:
    """What the result says otherwise than RETURN. Options that are refused before the module begins return nothing."""
    documented = _documented(module)
    found = [f"{key} is not documented" for key in result if key not in documented and key not in _COMMON]
    for key, entry in documented.items():
        if key in result:
            found += _mistyped(key, result[key], entry)
        elif entry["returned"] == "always" and set(result) - _COMMON:
            found.append(f"{key} is not returned")
        elif entry["returned"] == "success" and not result.get("failed"):
            found.append(f"{key} is not returned with success")
    return found


@functools.cache
def _documented(module: str) -> dict[str, Any]:
    return yaml.safe_load(importlib.import_module(MODULES + module).RETURN) or {}


def _mistyped(key: str, value: Any, entry: Mapping[str, Any]) -> Iterator[str]:
    if value is None:
        if "V(null)" not in str(entry["description"]):
            yield f"{key} is null"
        return
    kind = entry["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind in ("int", "float")):
        yield f"{key} is {value!r}, and not of the type {kind}"
    elif kind == "list":
        for item in value:
            yield from _mistyped(f"{key}[]", item, {**entry, "type": entry["elements"]})
    elif kind == "dict" and "contains" in entry:
        for name, inner in entry["contains"].items():
            yield from (
                _mistyped(f"{key}.{name}", value[name], inner) if name in value else [f"{key}.{name} is not there"]
            )
        yield from (f"{key}.{name} is not documented" for name in value if name not in entry["contains"])
