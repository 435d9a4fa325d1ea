#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what was done to one instance (E11)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_action_info
short_description: Read the actions of an instance
version_added: 0.2.0
description:
  - Reads what was done to an instance, newest first. Restarts, redeploys, diagnostics and whatever else the server
    records.
  - The API shows the newest 100 at most and has no way to older ones.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
options:
  limit:
    description:
      - How many of the newest to read, from 1 to 100.
      - With O(action) or O(action_id), how many to look through.
    type: int
    default: 100
  action:
    description: Keep only actions of these kinds, for example V(power-cycle). V(power_cycle) means the same.
    type: list
    elements: str
  action_id:
    description: Keep only the action with this id.
    type: str
"""

EXAMPLES = r"""
---
- name: Read what was done to the instance
  fleetops.agents.instance_action_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Look for restarts
  fleetops.agents.instance_action_info:
    instance_id: "{{ fleetops_instance_id }}"
    action: [power-cycle, reboot]
  register: answer

- name: Look one action up
  fleetops.agents.instance_action_info:
    instance_id: "{{ fleetops_instance_id }}"
    action_id: "{{ restart.action_id }}"
  register: answer
"""

RETURN = r"""
---
actions:
  description: The actions as the server gives them, newest first.
  returned: success
  type: list
  elements: dict
  sample:
    - action_id: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
      action: power-cycle
      status: completed
      duration_ms: 2100
total:
  description: How many actions the server says it has; V(null) if it does not say.
  returned: success
  type: int
  sample: 12
truncated:
  description: Whether there are more actions than were read.
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.fleetops.agents.plugins.module_utils._api.client import ACTIONS_CAP
from ansible_collections.fleetops.agents.plugins.module_utils._api.models import normalise, number
from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context, Operation, run_as_module


def run(context: Context) -> None:
    limit = context.params["limit"]
    if not 1 <= limit <= ACTIONS_CAP:
        context.fail(f"limit is {limit}: it must be from 1 to {ACTIONS_CAP}.")
    answer = context.client.list_instance_actions(context.params["instance_id"], limit=limit)
    listed = answer.get("actions")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    total = number(answer.get("total"))
    kinds = {normalise(kind) for kind in context.params["action"] or ()}
    wanted_id = context.params["action_id"]
    kept = [
        row
        for row in rows
        if (not kinds or normalise(row.get("action")) in kinds)
        and (wanted_id is None or str(row.get("action_id")) == wanted_id)
    ]
    context.result.update(
        actions=kept,
        total=None if total is None else int(total),
        truncated=len(rows) >= limit and (total is None or total > len(rows) or limit == ACTIONS_CAP),
    )


OPERATION = Operation(
    run=run,
    options={
        "limit": {"type": "int", "default": 100},
        "action": {"type": "list", "elements": "str"},
        "action_id": {"type": "str"},
    },
    on_instance=True,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
