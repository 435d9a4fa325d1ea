# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a client of the API with the settings of the console, for reading (sync) and for acting."""

from __future__ import annotations

from dataclasses import asdict

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient, connect
from ansible_collections.fleetops.agents.plugins.module_utils._rules import plain_values
from console.settings.environment import ApiConnection, of_variable

# The environment variables of the settings, by their names in the client.
_VARIABLES = {"api_url": "FLEETOPS_API_URL", "api_key": "FLEETOPS_API_KEY"}


def open_client(connection: ApiConnection, *, read_only: bool) -> FleetClient:
    """Open a client, which the caller must close. Nothing is sent yet. Raises SettingsError."""
    try:
        return connect(**asdict(connection), read_only=read_only)
    except plain_values.SettingsError as error:
        raise of_variable(error, _VARIABLES) from error
