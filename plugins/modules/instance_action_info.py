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
  - Reads the actions that the server recorded for an instance, newest first, for example restarts, redeploys and
    diagnostics.
  - The API returns at most the newest 100 actions. Older ones cannot be read.
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
      - How many of the newest actions to read, from 1 to 100.
      - With O(action) or O(action_id), how many to search.
    type: int
    default: 100
  action:
    description: Return only actions of these kinds, for example V(power-cycle). V(power_cycle) means the same.
    type: list
    elements: str
  action_id:
    description: Return only the action with this id.
    type: raw
"""

EXAMPLES = r"""
---
- name: Read the actions of the instance
  fleetops.agents.instance_action_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Read the restarts
  fleetops.agents.instance_action_info:
    instance_id: "{{ fleetops_instance_id }}"
    action: [power-cycle, reboot]
  register: answer

- name: Read one action by its id
  fleetops.agents.instance_action_info:
    instance_id: "{{ fleetops_instance_id }}"
    action_id: "{{ restart.action_id }}"
  register: answer
"""

RETURN = r"""
---
actions:
  description: The actions as returned by the server, newest first.
  returned: success
  type: list
  elements: dict
  sample:
    - action_id: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
      action: power-cycle
      status: completed
      duration_ms: 2100
total:
  description: The number of actions reported by the server, which may also be limited to 100. V(null) if not reported.
  returned: success
  type: int
  sample: 12
truncated:
  description:
    - Whether there may be more actions than were read. This is always V(true) if 100 were read, whatever RV(total) is.
    - The list has no paging, and a server may return fewer actions than requested. Only RV(total) shows that, so
      V(false) is not reliable if RV(total) is V(null).
  returned: success
  type: bool
  sample: false
"""

from ..module_utils._client.client import ACTIONS_CAP
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import id_option
from ..module_utils._rules.answers import Record, normalise, records_in, whole
from ..module_utils._rules.ids import same_id
from ..module_utils._rules.restart import is_action


def run(context: Context) -> None:
    limit, kinds, wanted_id = (context.params[name] for name in ("limit", "action", "action_id"))
    if not 1 <= limit <= ACTIONS_CAP:
        context.fail(f"limit is {limit}: it must be from 1 to {ACTIONS_CAP}.")
    # One more row than requested shows whether there are more, whatever the server counts in total.
    answer = context.client.list_instance_actions(context.params["instance_id"], limit=min(limit + 1, ACTIONS_CAP))
    listed, total = answer["actions"], whole(answer.get("total"))
    rows = records_in(listed[:limit])
    # There is no paging, and the server may list fewer rows than requested. Only its total shows that.
    unread = total is not None and total > len(listed)
    context.result.update(
        actions=[row for row in rows if _wanted(row, kinds, wanted_id)],
        total=total,
        truncated=len(listed) > limit or len(listed) >= ACTIONS_CAP or unread,
    )


def _wanted(row: Record, kinds: list[str] | None, wanted_id: str | None) -> bool:
    if kinds and not is_action(row, *map(normalise, kinds)):
        return False
    return wanted_id is None or any(same_id(wanted_id, row.get(key)) for key in ("action_id", "id"))


OPERATION = Operation(
    run=run,
    options={
        "limit": {"type": "int", "default": 100},
        "action": {"type": "list", "elements": "str"},
        "action_id": id_option(),
    },
    on_instance=True,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
