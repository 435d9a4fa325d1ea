# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registered results of a playbook, printed by its last task. A task that writes a file would start modules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

MARK = "RESULTS OF THE TASKS: "


def print_results(registered: Iterable[str]) -> dict[str, Any]:
    """The task that prints the results which the earlier tasks have registered."""
    found = "{{ {" + ", ".join(f"'{name}': {name}" for name in registered) + "} | to_json }}"
    return {"name": "Print the results", "ansible.builtin.debug": {"msg": MARK + found}}


def printed_results(stdout: str) -> dict[str, Any]:
    """The results by the names with which they were registered."""
    [line] = [line for line in stdout.splitlines() if line.startswith(f'    "msg": "{MARK}')]
    found: dict[str, Any] = json.loads(json.loads(f"{{{line}}}")["msg"].removeprefix(MARK))
    return found
