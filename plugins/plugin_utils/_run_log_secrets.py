# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which values must not stand in a run log: what a run knows of secrets without asking anybody."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._api.redact import is_secret_key

# A value found by its variable's name may be an ordinary word ("default"): those shorter are left.
_SHORTEST_BY_NAME = 8
_DEEPEST = 8
# Ansible's own large variables: the same hosts again, or facts.
_SKIPPED = frozenset(("ansible_facts", "hostvars", "groups", "vars", "group_names", "play_hosts"))


def environment_secrets(environ: Mapping[str, str]) -> set[str]:
    """The API key, and long values of variables whose names say that they are secret.

    A path to a file that exists is where a secret lies, not the secret.
    """
    found = {
        value
        for name, value in environ.items()
        if len(value) >= _SHORTEST_BY_NAME and names_secret(name) and not os.access(value, os.F_OK)
    }
    found.add(environ.get("FLEETOPS_API_KEY", ""))
    return found - {""}


def play_secrets(play: Any, hosts: Iterable[Any]) -> set[str]:
    """Secrets among the variables of ``play`` and ``hosts`` (a batch), and the vault passwords.

    Variables are looked up as Ansible sees them for the play and for its first host, and read in memory for the
    others. A vaulted value is a secret whatever its name, any other by its name.
    """
    found: set[str] = set()
    manager = play.get_variable_manager()
    vault = getattr(play.get_loader(), "_vault", None)
    for _vault_id, secret in getattr(vault, "secrets", None) or ():
        password = getattr(secret, "bytes", None)
        if password:
            found.add(password.decode("utf-8", "replace").strip())
    hosts = list(hosts)
    if manager is None:
        return found - {""}
    first = hosts[0] if hosts else None
    _collect(manager.get_vars(play=play, host=first, include_hostvars=False), found)
    seen = set()
    for host in hosts:
        _collect(host.vars, found)
        for group in host.groups:
            if group.name not in seen:
                seen.add(group.name)
                _collect(group.vars, found)
    return found - {""}


def connection_secrets(play_context: Any) -> set[str]:
    """The passwords given for connections and for becoming another user."""
    return {str(p) for name in ("password", "become_pass") if (p := getattr(play_context, name, None))}


@lru_cache(maxsize=4096)
def names_secret(name: str) -> bool:
    """Whether a variable's name says that its value is secret (``api_key``, ``vault_x``, ``ansible_become_pass``)."""
    lowered = name.lower()
    return is_secret_key(name) or lowered.startswith("vault_") or lowered.endswith("_pass")


def _collect(value: Any, found: set[str], name: str = "", depth: int = 0) -> None:
    if getattr(value, "_ciphertext", None) is not None:
        try:
            _add(str(value), found)
        except Exception:  # noqa: BLE001 - no password for this vault id: the value cannot come up in clear either
            return
    elif isinstance(value, str):
        # A template is not the value; its parts are variables too and looked at by themselves.
        if len(value) >= _SHORTEST_BY_NAME and "{{" not in value and name and names_secret(name):
            _add(str(value), found)
    elif depth < _DEEPEST:
        if isinstance(value, Mapping):
            for key in value:
                if key not in _SKIPPED:
                    _collect(value[key], found, key if isinstance(key, str) else "", depth + 1)
        elif isinstance(value, (list, tuple)):
            for item in value:
                _collect(item, found, name, depth + 1)


def _add(secret: str, found: set[str]) -> None:
    found.add(secret.strip())
    if "\n" in secret:
        # Results carry text a second time as a list of lines (stdout_lines).
        found.update(line for line in map(str.strip, secret.splitlines()) if len(line) >= _SHORTEST_BY_NAME)
