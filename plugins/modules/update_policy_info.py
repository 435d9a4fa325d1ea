#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the tenant update policy (E9)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: update_policy_info
short_description: Read the tenant's update policy and its maintenance window
version_added: 0.1.0
description:
  - Reads how many rollouts may run at once, the hours of the maintenance window, and the default mode of each
    component.
  - Also returns whether the window is open now, by the server's clock, and when it opens next.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
seealso:
  - plugin: fleetops.agents.update_policy
    plugin_type: lookup
  - plugin: fleetops.agents.batches
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Read the update policy
  fleetops.agents.update_policy_info:
  register: answer

- name: Show how many instances may be redeployed at once
  ansible.builtin.debug:
    msg: "{{ answer.policy.max_parallel_rollouts }} at once"

- name: Stop outside the maintenance window
  ansible.builtin.assert:
    that: answer.window_open
    fail_msg: "Closed until {{ answer.window_next_opening }}"
"""

RETURN = r"""
---
policy:
  description: The policy as returned by the server.
  returned: success
  type: dict
  sample:
    maintenance_window_start_hour_utc: 1
    maintenance_window_end_hour_utc: 5
    max_parallel_rollouts: 2
    runtime_default: notify
    skills_default: notify
    mcp_servers_default: notify
window_open:
  description:
    - Whether the maintenance window is open now. It is always open if no hours are set or both are equal.
    - V(false) if the hours are invalid, see RV(window_problem).
  returned: success
  type: bool
  sample: true
window_next_opening:
  description: When the window opens next (UTC); V(null) while it is open.
  returned: success
  type: str
  sample: "2026-11-24T01:00:00+00:00"
window_closes_at:
  description: When the open window closes (UTC); V(null) if it is closed or never closes.
  returned: success
  type: str
  sample: "2026-11-24T05:00:00+00:00"
window_problem:
  description:
    - A sentence that explains why it is unknown whether the window is open. V(null) if it is known.
    - This is the case if only one of the two hours is set, or if one is not an hour of the day. Nothing is started with
      such a policy.
  returned: success
  type: str
  sample: null
text:
  description:
    - RV(policy) as sentences, about the number of redeploys at once, the maintenance window, and what is done with new
      versions.
    - If the server leaves a value out, the sentence says so.
  returned: success
  type: list
  elements: str
  sample:
    - At most 4 redeploys at once.
    - The maintenance window is open all day.
    - "New versions: runtime notify, skills auto, MCP servers notify."
"""

import time

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import iso_time
from ..module_utils._rules.policy_words import policy_lines
from ..module_utils._rules.window import Window


def run(context: Context) -> None:
    policy = context.client.get_fleet_update_policy()
    # Without a Date header, the local clock is used.
    now = context.client.server_time or time.time()
    window = Window.of_policy(policy)
    context.result.update(
        policy=policy,
        window_open=window.is_open(now),
        window_next_opening=iso_time(window.next_opening(now)),
        window_closes_at=iso_time(window.closes_at(now)),
        window_problem=window.problem or None,
        text=policy_lines(policy, now),
    )
    if window.problem:
        context.warn(window.problem)


OPERATION = Operation(run=run)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
