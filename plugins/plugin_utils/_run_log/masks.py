# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets and names that are known so far in a run, and the redactors for them."""

from __future__ import annotations

from collections.abc import Set

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor

from .redactor import NameRedactor
from .secrets import Secrets, is_api_key


class Masks:
    """``redactor`` masks all secrets; ``key_redactor``, for whole names, masks only the API key."""

    def __init__(self) -> None:
        self._secrets: Secrets = {}
        self._names: set[str] = set()
        self._reported: set[str] = set()
        self._host_names: dict[str, str] = {}
        self.redactor = NameRedactor()
        self.key_redactor = Redactor()

    def forget_names(self) -> None:
        """Forget the names, because another playbook begins. Secrets are kept."""
        self._names = set()

    def learn(self, secrets: Secrets, names: Set[str] = frozenset()) -> list[str]:
        """Add secrets, and names that are not masked.

        Returns the sources of secrets that are a part of a name, and therefore not masked there. Each is returned once.
        """
        fresh = {value: source for value, source in secrets.items() if value not in self._secrets}
        fresh |= {value: source for value, source in secrets.items() if is_api_key(source)}
        if fresh.items() <= self._secrets.items() and names <= self._names:
            return []
        self._secrets |= fresh
        self._names |= names
        always = {value for value, source in self._secrets.items() if is_api_key(source)}
        self.redactor = NameRedactor(self._secrets, self._names, always)
        self.key_redactor = Redactor(always)
        self._host_names = {}
        unmasked = [source for source in self.redactor.unmasked() if source not in self._reported]
        self._reported.update(unmasked)
        return unmasked

    def host_name(self, name: str) -> str:
        """The name or address of a host without the API key."""
        known = self._host_names.get(name)
        if known is None:
            known = self._host_names[name] = self.key_redactor.scrub(name)
        return known
