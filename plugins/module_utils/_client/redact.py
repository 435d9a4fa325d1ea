# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Masking of secrets in traces, results, the run log and the console. Standard library only."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"

# Any value under a key that ends in one of these words is a secret.
_SECRET_KEY = re.compile(
    r"(?:^|[_\-. ])(?:api[_-]?key|apikey|access[_-]?key|private[_-]?key|secret(?:[_-]?key)?|token|bearer|passw(?:or)?d"
    r"|passphrase|authorization|credentials?|cookie)$",
    re.IGNORECASE,
)
_HEADER_VALUE = re.compile(
    r"\b(x-api-key|authorization)(\s*[:=]\s*)(?:(?:bearer|basic|token|negotiate|digest)\s+)?[^\s,;'\"]+", re.IGNORECASE
)
# Shorter values would mask ordinary words.
_SHORTEST_SECRET = 4
# The length from which the value of any header may be a token.
_SHORTEST_TOKEN = 16
_DEEPEST = 40


class Redactor:
    """Replaces secrets with ``********`` in plain data.

    ``secrets``: known values, such as the API key. They are masked wherever they occur, also inside longer strings and
    in keys of mappings. A value of fewer than 4 characters is ignored. All values under keys that name a secret are
    masked.
    """

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        known = {str(s) for s in secrets if s and len(str(s)) >= _SHORTEST_SECRET}
        # The longest first: otherwise the rest of a secret that contains another one would remain.
        ordered = sorted(known, key=lambda s: (-len(s), s))
        self._pattern = re.compile("|".join(re.escape(s) for s in ordered)) if ordered else None

    def text(self, value: str) -> str:
        """``value`` without known secrets, and without the values of X-Api-Key and Authorization headers."""
        if self._pattern is not None:
            value = self._pattern.sub(self._masked, value)
        if "-" in value or "uthorization" in value or "UTHORIZATION" in value:
            value = _HEADER_VALUE.sub(rf"\1\2{MASK}", value)
        return value

    def scrub(self, value: Any, _depth: int = 0) -> Any:
        """A copy of ``value`` (mappings, sequences, scalars) without secrets. What is nested too deeply is masked."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if _depth > _DEEPEST:
            return MASK
        if isinstance(value, Mapping):
            return {
                (self.text(k) if isinstance(k, str) else k): (
                    MASK if self._hides_value(k) and v not in (None, "", False, True) else self.scrub(v, _depth + 1)
                )
                for k, v in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.scrub(v, _depth + 1) for v in value]
        if isinstance(value, (bytes, bytearray)):
            return self.text(bytes(value).decode("utf-8", "replace"))
        return value

    def _masked(self, found: re.Match[str]) -> str:
        """The replacement for a known secret that was found in a text."""
        return MASK

    def _hides_value(self, key: Any) -> bool:
        """Whether any value under ``key`` of a mapping is masked."""
        return is_secret_key(key)


def is_secret_key(key: Any) -> bool:
    """Whether a mapping's key names a secret (``api_key``, ``token``, ``Authorization`` ...)."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def spellings(secret: str) -> set[str]:
    """The spellings in which a server may repeat a secret: plain, and escaped for URLs, HTML, Python and JSON."""
    escaped = {html.escape(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)} | escaped


def header_secrets(headers: Mapping[str, str]) -> set[str]:
    """The values of headers that are secret, and the last word of each, which in ``Bearer x`` are the credentials.

    A value is secret if the name of its header says so, or if it is long enough for a token. Masking a shorter one, as
    in ``X-Tenant: eu``, would change names and numbers that contain it.
    """
    values = {v for k, v in headers.items() if len(v) >= (_SHORTEST_SECRET if is_secret_key(k) else _SHORTEST_TOKEN)}
    return {secret for v in values for secret in (v, v.rpartition(" ")[2]) if len(secret) >= _SHORTEST_SECRET}
