# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a task's result that is stored in the run log: which keys, without secrets, and of limited size."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor

CENSORED = "the output has been hidden due to the fact that 'no_log: true' was specified for this result"

# Stored for every result, if they are scalars.
_STATUS = ("changed", "failed", "unreachable", "skipped", "attempts", "retries", "rc")
_IDS = (
    "rollout_id",
    "target_id",
    "action_id",
    "task_id",
    "instance_id",
    "waited_seconds",
    "duration_ms",
    "duration_seconds",
    "version_before",
    "version_after",
    "bundle_hash",
    "adopted",
    "reconciled",
    "timed_out",
    "ambiguous",
    "enqueued",
    "total",
)
_CORE = frozenset(_STATUS + _IDS)
# Also stored if the effect was looked up on the server, or if somebody else had begun the operation. Such a result may
# be unchanged.
_OUTCOME = ("reconciled", "evidence", "before", "after")
_LONGEST_ID = 256

# Never stored, at any depth: the arguments of a module, and facts.
_DROPPED = frozenset(("invocation", "module_args", "ansible_facts"))
_INTERNAL = frozenset(("_ansible_no_log", "_ansible_verbose_always", "_ansible_verbose_override"))
_FULL_EVENTS = frozenset(("runner_on_failed", "runner_on_unreachable", "runner_item_on_failed"))

# ansible-core 2.21 removes "failed" from the items of a loop. The other keys then show a failure.
_NOT_JUST_OK = ("changed", "failed", "unreachable", "failed_when_result", "exception")

# What is stored of a result that is too long, besides the status and ids. The most useful keys come first.
_TELLING = ("msg", "error", "reason", "exception", "stderr", "stdout", "module_stderr", "module_stdout")
# A text is masked this many characters beyond the point where it is cut, so that no secret is cut in two and missed.
_MARGIN = 16384
_DEEPEST = 40


def kept_result(result: Mapping[str, Any], event: str, limit: int, redactor: Redactor) -> dict[str, Any]:
    """The part of ``result`` that may be stored for ``event``, without secrets, in at most ``limit`` bytes of JSON.

    Failed, unreachable and changed results are stored completely, except for arguments and facts. For all others, the
    status, known ids and outcomes are stored. Results with ``no_log`` stay censored. A result that is too long has
    ``truncated: true``, and the status and ids, ``msg``, ``error`` and further keys as far as they fit.
    """
    if is_censored(result):
        return _censored(result)
    core = _core(result, redactor)
    if not is_kept_whole(result, event):
        return _with_outcome(result, core, limit, redactor)
    if not any(isinstance(value, str) and len(value) > limit for value in result.values()):
        whole = redactor.scrub(_without_arguments(result, redactor))
        if len(dump(whole, redactor)) <= limit:
            return whole
    return _cut_down(result, core, limit, redactor)


def is_kept_whole(result: Mapping[str, Any], event: str) -> bool:
    """Whether more of ``result`` is stored than its status and ids."""
    return (event in _FULL_EVENTS or bool(result.get("changed"))) and not is_censored(result)


def storable_result(
    result: Mapping[str, Any] | None, event: str, limit: int, redactor: Redactor
) -> dict[str, Any] | None:
    """As ``kept_result``, but only the status and ids if JSON cannot represent the result. None if there is none."""
    if result is None:
        return None
    try:
        return kept_result(result, event, limit, redactor)
    except (TypeError, ValueError, RecursionError):
        # The result contains NaN, or a value that contains itself.
        return {**core_result(result, redactor), "truncated": True}


def core_result(result: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Only the status and ids, for results that cannot be stored in any other way."""
    return _censored(result) if is_censored(result) else _core(result, redactor)


def dump(value: Any, redactor: Redactor) -> str:
    """Compact ASCII JSON of ``value``. Types that JSON does not know are converted as by Ansible, or else to text."""
    return _encoder(redactor).encode(value)


@lru_cache(maxsize=4)
def _encoder(redactor: Redactor) -> json.JSONEncoder:
    return json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=plain_value(redactor))


def plain_value(redactor: Redactor) -> Callable[[Any], Any]:
    """The ``default`` for json.dumps: vaulted values stay encrypted, dates become ISO 8601, others become text."""

    def plain(value: Any) -> Any:
        ciphertext = getattr(value, "_ciphertext", None)
        if ciphertext is not None:
            text = ciphertext.decode("utf-8", "replace") if isinstance(ciphertext, bytes) else str(ciphertext)
            return {"__ansible_vault": text}
        if isinstance(value, (datetime.date, datetime.datetime)):
            return value.isoformat()
        if isinstance(value, Mapping):
            return redactor.scrub({str(key): item for key, item in value.items()})
        if isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes, bytearray)):
            return redactor.scrub(list(value))
        try:
            return redactor.scrub(value if isinstance(value, (bytes, bytearray)) else str(value))
        except Exception:  # noqa: BLE001 - undefined template values raise whatever they like on str()
            return f"<{type(value).__name__}>"

    return plain


def is_censored(result: Mapping[str, Any]) -> bool:
    """Whether Ansible hides the result because of no_log."""
    return bool(result.get("_ansible_no_log")) or "censored" in result


def _censored(result: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"censored": CENSORED}
    kept.update({key: bool(result[key]) for key in ("changed", "failed", "unreachable", "skipped") if key in result})
    kept.update({key: result[key] for key in ("attempts", "retries") if isinstance(result.get(key), int)})
    return kept


def _core(result: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in result.items():
        if key in _CORE:
            if isinstance(value, str):
                kept[key] = redactor.text(value)[:_LONGEST_ID]
            elif value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
                kept[key] = value
    return kept


def _with_outcome(result: Mapping[str, Any], core: dict[str, Any], limit: int, redactor: Redactor) -> dict[str, Any]:
    """``core`` and how the outcome was found. If that does not fit, ``core`` is marked with ``truncated``."""
    if not result.get("adopted") and not result.get("reconciled"):
        return core
    whole = {**core, **redactor.scrub({key: _stripped(result[key]) for key in _OUTCOME if key in result})}
    return whole if len(dump(whole, redactor)) <= limit else {**core, "truncated": True}


def _without_arguments(result: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    kept = {
        str(k): _stripped(v) for k, v in result.items() if k not in _DROPPED and k not in _INTERNAL and k != "results"
    }
    items = result.get("results")
    if items is not None:
        kept["results"] = [_item(item, redactor) for item in items] if isinstance(items, list) else _stripped(items)
    return kept


def _item(item: Any, redactor: Redactor) -> Any:
    """One item of a loop, by the same rules as a separate result."""
    if not isinstance(item, Mapping):
        return _stripped(item)
    if is_censored(item):
        return _censored(item)
    if any(item.get(sign) for sign in _NOT_JUST_OK):
        return _without_arguments(item, redactor)
    return _core(item, redactor)


def _stripped(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {str(k): _stripped(v, depth + 1) for k, v in value.items() if k not in _DROPPED}
    if isinstance(value, (list, tuple)):
        return [_stripped(v, depth + 1) for v in value]
    return value


def _cut_down(result: Mapping[str, Any], core: dict[str, Any], limit: int, redactor: Redactor) -> dict[str, Any]:
    kept: dict[str, Any] = {**core, "truncated": True}
    room = limit - len(dump(kept, redactor))
    for key in _TELLING:
        value = result.get(key)
        if value is None or value == "":
            continue
        # Half of the remaining room, so that a long message leaves room for the error. The 8 bytes are punctuation.
        share = room // 2 - len(key) - 8
        if share < 16:
            break
        if isinstance(value, str):
            kept[key] = _cut_text(redactor.text(value[: share + _MARGIN]), share, redactor)
        else:
            plain = redactor.scrub(_stripped(value))
            text = dump(plain, redactor)
            kept[key] = plain if len(text) <= share else _cut_text(text, share, redactor)
        room -= len(dump({key: kept[key]}, redactor))
    return kept


def _cut_text(text: str, room: int, redactor: Redactor) -> str:
    """The beginning of ``text`` that takes at most ``room`` bytes as JSON."""
    text = text[:room]
    while text and (size := len(dump(text, redactor))) > room:
        text = text[: min(len(text) - 1, len(text) * room // size)]
    return text
