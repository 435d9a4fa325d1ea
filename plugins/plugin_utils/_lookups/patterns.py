# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a run as lookups see it: groups and hosts without their variables, for hosts patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.inventory.manager import InventoryManager


def inventory_of(loader: Any, groups: Mapping[str, list[str]], limit: str | None = None) -> InventoryManager:
    """The inventory of the variable ``groups``, restricted to ``limit``."""
    inventory = InventoryManager(loader=loader, sources=[], parse=False)
    for group, hosts in groups.items():
        inventory.add_group(group)
        for host in hosts:
            inventory.add_host(host, group)
    inventory.reconcile_inventory()
    inventory.subset(limit or None)
    return inventory
