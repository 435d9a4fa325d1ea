# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which results are in another mode than their run: the keyword ``check_mode`` overrides --check."""

from __future__ import annotations

from typing import Any


class CheckModes:
    """``given``: the run was started with --check."""

    def __init__(self, given: bool) -> None:
        self._given = given
        # By host: its newest loop, as the uuid of the task, and whether all items so far ran in check mode.
        self._loops: dict[str, tuple[str, bool]] = {}

    def of_result(self, event: str, result: Any) -> dict[str, bool]:
        """The data ``fleetops_check_mode`` of a result or a loop item: its mode if it is not that of the run."""
        host, uuid, mode = result._host.name, result._task._uuid, result._task.check_mode
        is_item = event.startswith("runner_item_")
        loop, of_items = self._loops.get(host, ("", False))
        if loop != uuid:
            of_items = is_item or self._given
        if not isinstance(mode, bool):
            # Ansible resolves a template for each item, but not for the result of the loop.
            mode = of_items
        if is_item:
            self._loops[host] = uuid, mode and of_items
        return {} if mode == self._given else {"fleetops_check_mode": mode}
