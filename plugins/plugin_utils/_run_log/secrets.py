# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values that must not appear in a run log: secrets among the variables, options and environment of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import is_secret_key

# The value of a variable whose name says that it is secret may be an ordinary word ("default"). Shorter values are
# therefore not masked.
_SHORTEST_BY_NAME = 8
_DEEPEST = 8
# Large variables of Ansible, which contain the same hosts again, or facts.
_SKIPPED = frozenset(("ansible_facts", "hostvars", "groups", "vars", "group_names", "play_hosts"))

# Secrets, each with its source in words.
Secrets = dict[str, str]


def environment_secrets(environ: Mapping[str, str]) -> Secrets:
    """The API key, and long values of environment variables and extra headers whose names say that they are secret.

    The path of an existing file does not count, since it only says where a secret is stored.
    """
    found = {
        value: f"the environment variable {name}"
        for name, value in environ.items()
        if len(value) >= _SHORTEST_BY_NAME and names_secret(name) and not os.access(value, os.F_OK)
    }
    with suppress(ValueError, RecursionError):
        _collect(json.loads(environ.get("FLEETOPS_EXTRA_HEADERS", "")), found)
    if key := environ.get("FLEETOPS_API_KEY"):
        found[key] = "the environment variable FLEETOPS_API_KEY"
    return found


def is_api_key(source: str) -> bool:
    """Whether a secret with this source is the API key, which is masked everywhere."""
    return source.rpartition(" ")[2] in ("FLEETOPS_API_KEY", "fleetops_api_key")


def inventory_names(inventory: Any) -> set[str]:
    """The names of all hosts and groups of an inventory, and the addresses of its hosts."""
    names = {str(name) for name in (*inventory.hosts, *inventory.groups)}
    return names | {str(address) for host in inventory.hosts.values() if (address := getattr(host, "address", None))}


def run_paths(playbook: Any, sources: Iterable[Any], *more: str | None) -> set[str]:
    """The paths that occur in messages of a run: of the playbook, the inventory ``sources``, the working folder, the
    user's home, this collection, and ``more``."""
    base, file = getattr(playbook, "_basedir", None), getattr(playbook, "_file_name", None)
    given = [base, file, *more, *(str(source) for source in sources if "," not in str(source))]
    found = {Path(path) for path in given if path} | {Path.cwd(), Path(__file__).resolve().parents[3]}
    if file:
        found.add(Path(file).parent)
    with suppress(RuntimeError):  # a user without a home
        found.add(Path.home())
    return {str(path) for path in found | {path.absolute() for path in found} if len(str(path)) > 1}


def play_secrets(play: Any, hosts: Iterable[Any]) -> Secrets:
    """Secrets among the variables of ``play`` and ``hosts`` (a batch), and the vault passwords.

    For the play and its first host, the variables are determined by Ansible's rules. For the other hosts, those in
    memory are read. A vaulted value is always a secret, and any other value if the name of its variable says so.
    """
    found: Secrets = {}
    manager = play.get_variable_manager()
    vault = getattr(play.get_loader(), "_vault", None)
    for _vault_id, secret in getattr(vault, "secrets", None) or ():
        password = getattr(secret, "bytes", None)
        if password:
            _add(password.decode("utf-8", "replace"), "the vault password", found)
    hosts = list(hosts)
    if manager is None:
        return found
    first = hosts[0] if hosts else None
    _collect(manager.get_vars(play=play, host=first, include_hostvars=False), found)
    seen = set()
    for host in hosts:
        _collect(host.vars, found)
        for group in host.groups:
            if group.name not in seen:
                seen.add(group.name)
                _collect(group.vars, found)
    return found


def connection_secrets(play_context: Any) -> Secrets:
    """The passwords given for connections and for becoming another user."""
    given = {"password": "the connection password", "become_pass": "the become password"}
    return {str(p): what for name, what in given.items() if (p := getattr(play_context, name, None))}


@lru_cache(maxsize=4096)
def names_secret(name: str) -> bool:
    """Whether a variable's name says that its value is secret (``api_key``, ``vault_x``, ``ansible_become_pass``)."""
    lowered = name.lower()
    return is_secret_key(name) or lowered.startswith("vault_") or lowered.endswith("_pass")


def _collect(value: Any, found: Secrets, name: str = "", depth: int = 0) -> None:
    if getattr(value, "_ciphertext", None) is not None:
        try:
            _add(str(value), f"the vaulted variable {name or 'of a list'}", found)
        except Exception:  # noqa: BLE001 - no password for this vault id, so the value cannot appear decrypted
            return
    elif isinstance(value, str):
        # A template is not a secret itself. The variables in it are checked separately.
        if len(value) >= _SHORTEST_BY_NAME and "{{" not in value and name and names_secret(name):
            _add(str(value), f"the variable {name}", found)
            if name.lower() == "authorization":
                # In "Bearer x", the secret is x.
                _add(value.rpartition(" ")[2], f"the variable {name}", found)
    elif depth < _DEEPEST:
        if isinstance(value, Mapping):
            for key in value:
                if key not in _SKIPPED:
                    _collect(value[key], found, key if isinstance(key, str) else "", depth + 1)
        elif isinstance(value, (list, tuple)):
            for item in value:
                _collect(item, found, name, depth + 1)


def _add(secret: str, source: str, found: Secrets) -> None:
    whole = secret.strip()
    if whole:
        found.setdefault(whole, source)
    if "\n" in secret:
        # Results also contain texts as lists of lines (stdout_lines).
        for line in map(str.strip, secret.splitlines()):
            if len(line) >= _SHORTEST_BY_NAME:
                found.setdefault(line, source)
