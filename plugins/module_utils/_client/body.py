# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The body of an answer: read up to a maximum size, parsed, and described if it is not JSON. No import of requests."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from typing import Any

from .._rules.answers import Record, plain_text
from .errors import words_of_html
from .redact import Redactor

# The maximum size of an answer in bytes, after it was decompressed. The largest page of a list is far smaller.
MAX_BYTES = 64 * 1024 * 1024
# How many compressed bytes are decompressed at once. The result can be a thousand times as large.
_STEP = 16 * 1024
# How much of a body is searched for secrets before its first words are shown.
_MAX_SHOWN = 64 * 1024
_LONGEST_TYPE = 100
# How many levels of nested lists and mappings a body may have.
_MAX_LEVELS = 100
# The keys under which servers and proxies say what is wrong. A success may have a message too.
_KEYS_OF_ERRORS = ("detail", "error", "errors", "title")


def read_body(response: Any, most: int = MAX_BYTES) -> bytes | None:
    """The decompressed body of an answer that was requested with ``stream=True``; None if it is larger than ``most``.

    The connection of an answer that is too large is closed. Raises what the library raises.
    """
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(_STEP):
        parts.append(part)
        size += len(part)
        if size > most:
            response.close()
            return None
    return b"".join(parts)


def too_large(most: int = MAX_BYTES) -> str:
    """The phrase for a body that ``read_body`` did not read to its end."""
    return f"the answer has more than {most // 1024 // 1024} MiB"


def parsed(content: bytes) -> tuple[Any, bool]:
    """The body, and whether it was JSON. An empty body counts as null.

    NaN and infinity are not JSON and become null, since they cannot be compared or sent back. A body that is nested too
    deeply counts as invalid: recursive functions, here and in Ansible, would fail on it.
    """
    if not content.strip():
        return None, True
    try:
        body = json.loads(content, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None, False
    return (None, False) if _is_too_deep(body) else (body, True)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _is_too_deep(body: Any) -> bool:
    level = [body]
    for _dummy in range(_MAX_LEVELS):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def described(content: bytes, content_type: str, redactor: Redactor) -> str:
    """The type of a body that is not JSON, with its first words, without HTML tags and secrets."""
    kind = redactor.text(content_type.split(";")[0])[:_LONGEST_TYPE] or "of no stated type"
    shown = redactor.text(content[:_MAX_SHOWN].decode("utf-8", "replace"))
    words = words_of_html(shown[:2000])[:120]
    return f"{kind} ({words})" if words else kind


def rows_of(items: Any) -> list[Record]:
    """The mappings in a list, whose ``id`` is text or None. Anything else cannot be a record and is left out.

    A row whose id occurs again is listed once, as it is the last time: a target that is there twice must not be retried
    twice.
    """
    rows: dict[str | int, Record] = {}
    for place, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Mapping):
            row = {**item, **({"id": plain_text(item["id"])} if "id" in item else {})}
            rows[row.get("id") or place] = row
    return list(rows.values())


def says_nothing(body: Mapping[str, Any], keys: Set[str]) -> bool:
    """Whether an answer has no usable value under any of the expected ``keys``, as an error with a success status.

    A status that is not text belongs to an error, as in ``{"status": 503}``. An answer whose expected keys are all null
    is an error if it also has a key for the reason of one.
    """
    found = [body[key] for key in keys & body.keys() if key != "status" or isinstance(body[key], str | None)]
    if any(value is not None for value in found):
        return False
    return not found or any(body.get(key) for key in _KEYS_OF_ERRORS)


def shape_of(body: Any) -> str:
    """The kind of a parsed body, as a phrase."""
    if body is None:
        return "empty"
    return {list: "a list", dict: "an object", str: "text", bool: "true or false"}.get(type(body), "a number")
