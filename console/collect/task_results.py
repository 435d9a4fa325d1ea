# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is stored of a task's result: its message, the ids in it, and its values, within size limits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import number
from console.record.rows import to_json
from console.text.json_values import listed

MAX_RESULT = 64 * 1024
"""Bytes of the JSON that is stored of one result."""

_MAX_TEXT = 8 * 1024
_MAX_KEPT_VALUE = 2 * 1024
_MAX_REF = 200
_DEEPEST_LINK = 5
# ansible-core 2.19 and newer begin some messages with this. It is removed so that all versions give the same message.
_PREFIX = "Task failed: "

_LINKS = {"rollout_id": "rollout", "target_id": "target", "instance_id": "instance", "task_id": "task"}
_LINKS |= {"action_id": "action", "runtime_task_id": "task"}
_LINK_LISTS = {f"{key}s": kind for key, kind in _LINKS.items()}
# How an operation ended, even if it changed nothing itself.
_OUTCOME = frozenset({"adopted", "reconciled", "evidence", "before", "after", "version_before", "version_after"})
_OUTCOME |= {"timed_out", "ambiguous"}
_DURATION = re.compile(r"(?:_seconds|_ms|_s)$|^(?:duration|elapsed)$")

TROUBLE = frozenset({"failed", "ignored", "unreachable"})
"""The statuses of results that are stored completely."""


def references(result: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """The ids in a result, as (kind, id). Those in lists of records are left out: a task that lists a hundred rollouts
    has not worked on them. A rollout that someone else had started, and the task followed, is returned twice, as
    ``rollout`` and as ``adopted``."""
    for key, value in result.items():
        if isinstance(value, Mapping):
            if depth < _DEEPEST_LINK:
                yield from references(value, depth + 1)
        elif key in _LINKS:
            yield from _reference(_LINKS[key], value)
            if key == "rollout_id" and result.get("adopted") is True:
                yield from _reference("adopted", value)
        elif isinstance(value, list):
            kind = _LINK_LISTS.get(str(key).removeprefix("fleetops_"))
            for item in value if kind else ():
                yield from _reference(kind or "", item)


def _reference(kind: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and 0 < len(value.strip()) <= _MAX_REF:
        yield kind, value.strip()


def kept_part(result: Mapping[str, Any], *, whole: bool) -> tuple[str | None, bool]:
    """The result as JSON of at most MAX_RESULT bytes, or None, and whether something was left out because of its size.

    whole: keep all values; otherwise only ids, durations and outcomes.
    """
    if not whole:
        result = {
            k: v
            for k, v in result.items()
            if k in _LINKS or (k in _OUTCOME and v) or (_DURATION.search(str(k)) and number(v) is not None)
        }
    if not result:
        return None, False
    text = to_json(result)
    if len(text.encode()) <= MAX_RESULT:
        # The run log sets this if it has shortened the result itself.
        return text, result.get("truncated") is True
    small: dict[str, Any] = {}
    left = MAX_RESULT - 1024
    for key, value in result.items():
        size = len(to_json(value).encode())
        cost = len(to_json(key).encode()) + min(size, _MAX_KEPT_VALUE) + 64
        if cost > left:
            continue
        left -= cost
        small[key] = value if size <= _MAX_KEPT_VALUE else f"({size:,} bytes left out)"
    return to_json(small), True


def message_of(result: Mapping[str, Any], status: str) -> str | None:
    """The message of a result, shortened; None if it has none. For a loop it is that of the first failed item, because
    Ansible's message only says that one or more items failed."""
    names: tuple[str, ...] = ("msg", "message", "skip_reason", "censored")
    candidates = [result]
    if status in TROUBLE:
        names += ("module_stderr", "stderr", "exception", "reason")
        candidates[:0] = [item for item in listed(result.get("results")) if _is_failed_item(item)][:1]
    for value in (candidate.get(name) for candidate in candidates for name in names):
        if value not in (None, "", [], {}):
            return _shortened(value, _MAX_TEXT).removeprefix(_PREFIX)
    return None


def _is_failed_item(item: Any) -> bool:
    return isinstance(item, Mapping) and "ansible_loop_var" in item and item.get("failed") is True


def item_of(result: Mapping[str, Any]) -> str | None:
    """The loop item of a result, shortened; None if it has none."""
    variable = result.get("ansible_loop_var")
    value = result.get(variable if isinstance(variable, str) else "item")
    return None if value is None else _shortened(value, _MAX_REF)


def _shortened(value: Any, most: int) -> str:
    text = value if isinstance(value, str) else to_json(value)
    return text if len(text) <= most else text[: most - 4] + " ..."
