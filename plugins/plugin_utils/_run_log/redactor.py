# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scrubber that leaves names alone: of hosts, groups and paths, even where a secret is part of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import MASK, Redactor

# What a name consists of: around a secret in a text, the longest run of these is most often a whole name.
_HOST_WORD = re.compile(r"[\w.\-]+")


class NameRedactor(Redactor):
    """Masks secrets, except where they are a part of a name that stands in the text.

    ``secrets``: value -> where it is from, in words. ``always``: values that are masked in names too (the API key).
    ``names``: hosts, groups and paths. A password that equals a group's name is masked nowhere, since the name is
    written everywhere; ``spared()`` tells which secrets are concerned.
    """

    def __init__(
        self, secrets: Mapping[str, str] | None = None, names: Iterable[str] = (), always: Iterable[str] = ()
    ) -> None:
        self._secrets = dict(secrets or {})
        self._always = frozenset(always)
        self._names = frozenset(names)
        # By secret: each place in a name where it stands, as (name, offset).
        self._places: dict[str, list[tuple[str, int]]] = {}
        super().__init__([*self._secrets, *self._always])
        for secret in self._secrets:
            if any(key and key in secret for key in self._always):
                continue
            places = [(name, at) for name in self._names for at in _offsets(name, secret)]
            if places:
                self._places[secret] = places

    def spared(self) -> list[str]:
        """Where the secrets are from that are part of names and not masked there."""
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
        # A host may be called "ci-token"; what is told of it is no secret.
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
