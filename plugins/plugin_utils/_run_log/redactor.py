# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A redactor that does not mask names of hosts, groups and paths, even if a secret is a part of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import MASK, Redactor

# The characters of a name. Around a secret in a text, the longest run of these is usually a whole name.
_HOST_WORD = re.compile(r"[\w.\-]+")


class NameRedactor(Redactor):
    """Masks secrets, except where they are a part of a name in the text.

    ``secrets``: values, each with its source in words. ``always``: values that are masked even in names (the API key).
    ``names``: hosts, groups and paths. A password that equals the name of a group is therefore never masked.
    ``unmasked()`` returns the sources of such secrets.
    """

    def __init__(
        self, secrets: Mapping[str, str] | None = None, names: Iterable[str] = (), always: Iterable[str] = ()
    ) -> None:
        self._secrets = dict(secrets or {})
        self._always = frozenset(always)
        self._names = frozenset(names)
        # For each secret, the names that contain it, with its offset.
        self._places: dict[str, list[tuple[str, int]]] = {}
        super().__init__([*self._secrets, *self._always])
        for secret in self._secrets:
            if any(key and key in secret for key in self._always):
                continue
            places = [(name, at) for name in self._names for at in _offsets(name, secret)]
            if places:
                self._places[secret] = places

    def unmasked(self) -> list[str]:
        """The sources of the secrets that are a part of a name, and therefore not masked there."""
        return sorted({self._secrets[secret] for secret in self._places})

    def _masked(self, found: re.Match[str]) -> str:
        secret = found[0]
        places = self._places.get(secret)
        if places is None:
            return MASK
        text, start = found.string, found.start()
        word = _word_around(text, start, found.end())
        if word in self._names or any(text.startswith(name, start - at) for name, at in places if at <= start):
            return secret
        return MASK

    def _hides_value(self, key: Any) -> bool:
        # A host may be named "ci-token". The value under such a key is not a secret.
        return key not in self._names and super()._hides_value(key)


def _offsets(name: str, secret: str) -> list[int]:
    found, at = [], name.find(secret)
    while at >= 0:
        found.append(at)
        at = name.find(secret, at + 1)
    return found


def _word_around(text: str, start: int, end: int) -> str:
    while start and _HOST_WORD.fullmatch(text[start - 1]):
        start -= 1
    while end < len(text) and _HOST_WORD.fullmatch(text[end]):
        end += 1
    return text[start:end].rstrip(".")
