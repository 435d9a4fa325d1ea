# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server of each host."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.run_variables import problem_of_servers
from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.addresses import server_by_variables


class FromVault:
    """A value from a vault as in ansible-core 2.18, which decrypts it for each use. That takes milliseconds."""

    def __str__(self) -> str:
        raise AssertionError("decrypted")

    def __len__(self) -> int:
        raise AssertionError("decrypted")

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError("decrypted")


def test_a_key_that_all_hosts_have_from_one_vault_is_not_decrypted_for_each_host() -> None:
    variables: dict[str, Any] = {"fleetops_api_key": FromVault()}
    environ = {"FLEETOPS_API_URL": "https://fleet.example", "FLEETOPS_API_KEY": "a-key-for-nothing"}
    assert problem_of_servers({name: server_by_variables(variables, environ) for name in ("a", "b", "c")}) == ""


def test_a_blank_variable_is_replaced_by_the_environment() -> None:
    environ = {"FLEETOPS_API_URL": "https://fleet.example/", "FLEETOPS_API_KEY": "a-key-for-nothing"}
    for variables in ({}, {"fleetops_api_url": " ", "fleetops_api_key": None}):
        assert server_by_variables(variables, environ) == ("https://fleet.example", "a-key-for-nothing")
