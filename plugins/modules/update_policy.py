#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets the tenant update policy (E10; E9)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: update_policy
short_description: Set the tenant's update policy
version_added: 0.2.0
description:
  - Sets how many rollouts may run at once, the maintenance window, and the default per component.
  - Only what is given and differs is sent. Afterwards the policy is read back, and what the server did not take is a
    failure, not a success.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the keys that change.
  idempotent:
    support: full
options:
  max_parallel_rollouts:
    description: How many instances may be redeployed at once, 1 or more.
    type: int
  maintenance_window_start_hour_utc:
    description: The hour of the day (UTC, 0 to 23) at which the maintenance window opens.
    type: int
  maintenance_window_end_hour_utc:
    description: The hour (UTC, 0 to 23) at which it closes. The same hour as the start means open all day.
    type: int
  runtime_default:
    description: What happens with a new runtime, unless an instance has its own policy.
    type: str
    choices: [auto, notify, disabled]
  skills_default:
    description: What happens with new skills.
    type: str
    choices: [auto, notify, disabled]
  mcp_servers_default:
    description: What happens with new MCP servers.
    type: str
    choices: [auto, notify, disabled]
seealso:
  - module: fleetops.agents.update_policy_info
  - module: fleetops.agents.instance_update_policy
"""

EXAMPLES = r"""
---
- name: Allow four redeploys at once
  fleetops.agents.update_policy:
    max_parallel_rollouts: 4

- name: Keep rollouts to the night
  fleetops.agents.update_policy:
    maintenance_window_start_hour_utc: 1
    maintenance_window_end_hour_utc: 5

- name: Let runtimes be updated by themselves, and only tell of skills
  fleetops.agents.update_policy:
    runtime_default: auto
    skills_default: notify
"""

RETURN = r"""
---
policy:
  description: The policy afterwards, as the server gives it; in check mode as it would be.
  returned: success
  type: dict
  sample:
    maintenance_window_start_hour_utc: 1
    maintenance_window_end_hour_utc: 5
    max_parallel_rollouts: 4
    runtime_default: notify
    skills_default: notify
    mcp_servers_default: notify
policy_before:
  description: The policy before.
  returned: success
  type: dict
  sample: {max_parallel_rollouts: 2}
changed_keys:
  description: The keys that were changed.
  returned: success
  type: list
  elements: str
  sample: [max_parallel_rollouts]
not_taken:
  description: The keys that the server did not take, each with what was wanted and what it is.
  returned: failure because of that
  type: dict
  sample: {max_parallel_rollouts: {wanted: 40, is: 10}}
"""

from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context, Operation, run_as_module
from ansible_collections.fleetops.agents.plugins.module_utils._patch import patch

_MODES = ["auto", "notify", "disabled"]
_KEYS = (
    "max_parallel_rollouts",
    "maintenance_window_start_hour_utc",
    "maintenance_window_end_hour_utc",
    "runtime_default",
    "skills_default",
    "mcp_servers_default",
)


def run(context: Context) -> None:
    wanted = {key: context.params[key] for key in _KEYS if context.params[key] is not None}
    if wanted.get("max_parallel_rollouts", 1) < 1:
        context.fail(
            f"max_parallel_rollouts is {wanted['max_parallel_rollouts']}: it must be 1 or more. "
            "To stop rollouts, close the maintenance window or disable the components."
        )
    for key in ("maintenance_window_start_hour_utc", "maintenance_window_end_hour_utc"):
        if not 0 <= wanted.get(key, 0) <= 23:
            context.fail(f"{key} is {wanted[key]}: it must be an hour of the day, from 0 to 23.")
    client = context.client
    context.result["policy"] = patch(
        context,
        "the tenant's update policy",
        wanted,
        read=client.get_fleet_update_policy,
        send=client.set_fleet_update_policy,
    )


OPERATION = Operation(
    run=run,
    options={
        "max_parallel_rollouts": {"type": "int"},
        "maintenance_window_start_hour_utc": {"type": "int"},
        "maintenance_window_end_hour_utc": {"type": "int"},
        "runtime_default": {"type": "str", "choices": _MODES},
        "skills_default": {"type": "str", "choices": _MODES},
        "mcp_servers_default": {"type": "str", "choices": _MODES},
    },
    rules={"required_one_of": [_KEYS]},
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
