# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Converts JSON values that may be missing or of an unexpected type to the expected type. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def parsed(text: str | None) -> dict[str, Any]:
    """The object in a JSON text; empty for anything else."""
    value = _value(text)
    return value if isinstance(value, dict) else {}


def entries(text: str | None) -> list[Any]:
    """The list in a JSON text; empty for anything else."""
    return listed(_value(text))


def _value(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def names(value: Any) -> tuple[str, ...]:
    """The entries of a list as text; none if it is not a list."""
    return tuple(map(str, listed(value)))
