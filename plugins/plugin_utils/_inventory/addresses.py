# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers from which the plugin fleet has read inventory files in this process, and the server of each host.

The tasks of the collection's playbooks take the address from the environment, so a run could read the inventory of one
server and change another. The lookup play_hosts warns about that, and run_state finds hosts of several servers
(test_nothing_to_do).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import SettingsError, base_url
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import is_blank

_addresses: dict[str, str] = {}
_of_hosts: dict[str, tuple[str, str]] = {}


def note_server(path: str, hosts: Iterable[str], *, api_url: str, api_key: str) -> None:
    """Record the server from which the file ``path`` with its hosts was read."""
    _addresses[path] = base_url(api_url)
    _of_hosts.update(dict.fromkeys(hosts, (_addresses[path], api_key)))


def servers_by_files(hosts: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The address and the key of each host that an inventory file has, as in that file.

    Its key may be one that can only read, and its address another one of the same server, so they are not compared with
    the environment.
    """
    return {host: _of_hosts[host] for host in hosts if host in _of_hosts}


def server_by_variables(variables: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, Any]:
    """The address and the key of the host with these variables, or else of the environment.

    The key is not converted to text: with ansible-core 2.18, a value from a vault would be decrypted for each host.
    """
    address = str(_value("fleetops_api_url", variables, environ))
    with contextlib.suppress(SettingsError):
        address = base_url(address)
    return address, _value("fleetops_api_key", variables, environ)


def _value(name: str, variables: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """The value of a variable, or of the environment if it is blank or a template that cannot be evaluated here."""
    with contextlib.suppress(AnsibleError):
        if name in variables and not is_blank(value := variables[name]):
            return value
    return environ.get(name.upper(), "")


def warning_of_addresses(api_url: str) -> str:
    """A warning about the inventory files that were read from another server than ``api_url``; empty if there is none.

    ``api_url``: the value of FLEETOPS_API_URL. If it is empty or invalid, there is no warning, since the tasks fail.
    """
    try:
        own = base_url(api_url)
    except SettingsError:
        return ""
    other = [f"{path} is read from {url}" for path, url in sorted(_addresses.items()) if url != own]
    if not other:
        return ""
    return f"{', '.join(other)}, but the tasks of this playbook call {own} (FLEETOPS_API_URL)."
