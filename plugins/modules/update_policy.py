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
  - Sets how many rollouts may run at once, the maintenance window, and the default mode of each component.
  - Only options that are set and differ are sent. Afterwards the policy is read back, and the task fails if the server
    did not apply a value.
  - If the response is lost, the same values are sent again and the policy is read back.
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
    description:
      - The hour of the day (UTC, 0 to 23) at which the maintenance window closes. If it is before the start, it is on
        the next day.
      - If it is the same as the start, the window is always open. The module warns if this results from setting only
        one of the two.
      - The module warns if the server then has only one of the two hours, or an invalid hour, since the window cannot
        be determined.
    type: int
  runtime_default:
    description: The update mode for the runtime, unless an instance has its own policy.
    type: str
    choices: [auto, notify, disabled]
  skills_default:
    description: The update mode for skills.
    type: str
    choices: [auto, notify, disabled]
  mcp_servers_default:
    description: The update mode for MCP servers.
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

- name: Allow rollouts only at night
  fleetops.agents.update_policy:
    maintenance_window_start_hour_utc: 1
    maintenance_window_end_hour_utc: 5

- name: Update runtimes automatically, and only report updates of skills
  fleetops.agents.update_policy:
    runtime_default: auto
    skills_default: notify
"""

RETURN = r"""
---
policy:
  description: The policy after the change, as returned by the server, or in check mode as it would be.
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
  description: The policy before the change.
  returned: success
  type: dict
  sample: {max_parallel_rollouts: 2}
changed_keys:
  description: The keys that were changed.
  returned: success
  type: list
  elements: str
  sample: [max_parallel_rollouts]
text:
  description:
    - RV(policy) as sentences, about the number of redeploys at once, the maintenance window, and what is done with new
      versions.
    - If check mode predicts a change, another sentence says first that nothing was changed.
  returned: success
  type: list
  elements: str
  sample:
    - At most 4 redeploys at once.
    - The maintenance window is open all day.
    - "New versions: runtime notify, skills auto, MCP servers notify."
drift:
  description: The keys that were changed by someone else at the same time, with their values before and after.
  returned: success
  type: dict
  sample: {skills_default: {before: notify, after: disabled}}
not_taken:
  description: The keys that do not have the requested value after the change, each with the requested and the actual
    value.
  returned: when the task failed for this reason
  type: dict
  sample: {max_parallel_rollouts: {wanted: 40, is: 10}}
ambiguous:
  description: Whether it is unknown if the server executed the call.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "rejected: quota exceeded"
"""

import time

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.policy import (
    HOUR_KEYS,
    MODES,
    TENANT_KEYS,
    opened_by_one_hour,
    problem_of_tenant,
    tenant_values,
)
from ..module_utils._rules.policy_words import policy_lines
from ..module_utils._rules.window import Window
from ..module_utils._steps.claimed import claimed
from ..module_utils._steps.patch_policy import patch

_MODES = list(MODES)


def run(context: Context) -> None:
    wanted = {key: context.params[key] for key in TENANT_KEYS if context.params[key] is not None}
    if problem := problem_of_tenant(wanted):
        context.fail(problem)
    client = context.client
    with claimed(context, "policy of the tenant", "changing the tenant's update policy"):
        policy = patch(
            context,
            "the tenant's update policy",
            client.get_fleet_update_policy(),
            wanted,
            read=client.get_fleet_update_policy,
            send=client.set_fleet_update_policy,
            values=tenant_values,
            predict=lambda before, changes: {**before, **changes},
        )
    now = client.server_time or time.time()
    context.result["text"] = policy_lines(policy, now, predicted=context.check_mode and context.changed)
    problem = Window.of_policy(policy).problem
    if problem:
        context.warn(problem)
    if context.changed and opened_by_one_hour(policy, wanted):
        context.warn(
            f"The maintenance window now starts and ends at the same hour ({policy[HOUR_KEYS[0]]}), "
            "which means open all day."
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
    rules={"required_one_of": [TENANT_KEYS]},
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
