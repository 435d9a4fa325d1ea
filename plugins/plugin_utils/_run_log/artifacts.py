# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifacts of a run (custom stats), reduced to a maximum size: scalars are kept, and lists become shorter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor

from .results import dump

# A mapping with more entries is a table (an entry for each host), not a record with fields.
_MAX_FIELDS = 64
_NO_LIMIT = 1 << 31
# Tried in this order until the artifacts fit: the maximum number of entries of a list or a table, and of characters of
# a text.
_STEPS = (
    (_NO_LIMIT, _NO_LIMIT),
    *((entries, 8192) for entries in (1000, 500, 200, 100, 50, 20, 10, 5)),
    *((2, 2048), (1, 1024), (0, 1024), (0, 256)),
)
_DEEPEST = 40


def cut_artifacts(data: Any, limit: int, redactor: Redactor, longest_text: int = _NO_LIMIT) -> Any:
    """``data`` if its JSON has at most ``limit`` bytes, else as much of it as fits. Secrets must be masked already.

    All scalars of a record are kept. If ``data`` does not fit, texts of more than ``longest_text`` characters are
    shortened first. Then lists and tables (such as reasons by host) keep only their first entries. The result has
    ``truncated: true``, and under ``left_out`` the full length of each shortened list by its path
    (``fleetops_report.updated``). Only artifacts with thousands of scalars are reduced to ``{"truncated": true}``.
    """
    if not data or _fits(data, limit, redactor):
        return data
    for entries, most in _STEPS if isinstance(data, Mapping) else ():
        left_out: dict[str, int] = {}
        cut = {**_record(data, entries, min(most, longest_text), "", left_out, 0), "truncated": True}
        if _fits(whole := {**cut, "left_out": left_out}, limit, redactor):
            return whole
        # There are so many lists that left_out itself is too long.
        if entries <= 1 and _fits(cut, limit, redactor):
            return cut
    return {"truncated": True}


def _fits(data: Any, limit: int, redactor: Redactor) -> bool:
    try:
        return len(dump(data, redactor)) <= limit
    except (TypeError, ValueError, RecursionError):
        # JSON cannot represent NaN, or a value that contains itself.
        return False


def _record(
    data: Mapping[Any, Any], entries: int, characters: int, path: str, left_out: dict[str, int], depth: int
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in data.items():
        place = f"{path}.{key}" if path else str(key)
        made[str(key)] = _cut(value, entries, characters, place, left_out, depth + 1)
    return made


def _cut(value: Any, entries: int, characters: int, path: str, left_out: dict[str, int], depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else value[: characters - 4] + " ..."
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        if len(value) > max(_MAX_FIELDS, entries):
            left_out[path] = len(value)
            value = {key: value[key] for key in list(value)[:entries]}
        return _record(value, entries, characters, path, left_out, depth)
    if isinstance(value, (list, tuple)):
        if len(value) > entries:
            left_out[path] = len(value)
        return [
            _cut(item, entries, characters, f"{path}.{n}", left_out, depth + 1)
            for n, item in enumerate(value[:entries])
        ]
    return value
