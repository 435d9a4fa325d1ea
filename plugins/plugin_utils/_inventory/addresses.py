# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers from which the plugin fleet has read inventory files in this process.

The tasks of the collection's playbooks take the address from the environment, so a run could read the inventory of one
server and change another. The lookup play_hosts warns about that (test_nothing_to_do).
"""

from __future__ import annotations

from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import SettingsError, base_url

_addresses: dict[str, str] = {}


def note_address(path: str, api_url: str) -> None:
    """Record the address from which the file ``path`` was read."""
    _addresses[path] = base_url(api_url)


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
