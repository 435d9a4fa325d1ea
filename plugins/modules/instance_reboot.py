#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reboots the server of one instance once, and proves it (E14; E11, E16, E23)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_reboot
short_description: Reboot the server of an instance
version_added: 0.2.0
description:
  - Reboots the whole server of an instance, which takes about 60 seconds, and waits until the reboot is proved and the
    agent is well. Needs a key of an admin.
  - The call is sent once, never twice. If its answer is lost, what it did is told from the start time and the list of
    actions.
  - A call whose result is unknown, for example because the run was killed, is recorded on this machine for one hour
    (C($XDG_STATE_HOME/fleetops/sent)). Later runs first check whether it was executed.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
  - fleetops.agents.wait
attributes:
  check_mode:
    support: full
    details: Reads everything that it decides upon. Whether the key's role is high enough shows at the call only.
  diff_mode:
    support: full
    details: Shows the status and the uptime before, and that the instance restarted.
  idempotent:
    support: partial
    details: Always acts, except with O(min_uptime) or O(only_if_unhealthy).
options:
  only_if_unhealthy:
    description:
      - Whether to leave an instance alone whose live health check is good.
      - One that does not answer counts as not healthy.
    type: bool
    default: false
  min_uptime:
    description:
      - Leave the instance alone if its last reboot was less than this many seconds ago, so that a second run of a play
        does nothing. V(0) always acts.
      - A start of the agent that its actions explain by a power-cycle or a deployment is no reboot.
    type: int
    default: 0
  during_rollout:
    description: Whether to reboot an instance although a redeploy of it is under way. Otherwise that is a failure.
    type: bool
    default: false
  require_healthy:
    description: Whether the instance must be healthy after the restart.
    type: bool
    default: true
  healthy_reads:
    description: How many consecutive live health checks, O(wait_interval) apart, must be healthy after the restart.
    type: int
    default: 3
  after_power_cycle:
    description:
      - Whether to reboot only what a power-cycle was tried on before. If the instance's actions show none that was
        completed within O(after_power_cycle_within), the task fails.
    type: bool
    default: false
  after_power_cycle_within:
    description: How many seconds ago the power-cycle of O(after_power_cycle) may have ended.
    type: int
    default: 3600
  wait:
    description: Whether to wait until the restart is proved, instead of returning once it is accepted.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds from the call within which the restart must be proved and the instance be healthy.
      - After this time the task fails with RV(timed_out=true). The call is not sent again.
    type: int
    default: 300
  wait_interval:
    description: Seconds between two looks at the health.
    type: float
    default: 5
seealso:
  - module: fleetops.agents.instance_power_cycle
  - module: fleetops.agents.instance_health_info
"""

EXAMPLES = r"""
---
- name: Reboot the server if a power-cycle within the last hour did not help
  fleetops.agents.instance_reboot:
    instance_id: "{{ fleetops_instance_id }}"
    only_if_unhealthy: true
    after_power_cycle: true

- name: Reboot the server unless it was rebooted within the last ten minutes
  fleetops.agents.instance_reboot:
    instance_id: "{{ fleetops_instance_id }}"
    min_uptime: 600

- name: Reboot a server that is slow to come back, whatever its agent says then
  fleetops.agents.instance_reboot:
    instance_id: "{{ fleetops_instance_id }}"
    wait_timeout: 900
    require_healthy: false
"""

RETURN = r"""
---
instance_id:
  description: The id of the instance.
  returned: always
  type: str
  sample: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
skipped_reason:
  description: Why nothing was to be done.
  returned: when nothing was to be done
  type: str
  sample: The instance is healthy (only_if_unhealthy).
action_id:
  description: The server's id of the action.
  returned: when the action was accepted
  type: str
  sample: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
duration_ms:
  description: How long the action took by the server's word, as far as it is known. It may be told before the effect.
  returned: when the action was accepted
  type: int
  sample: 12
health_before:
  description: The health record that was read live before, V(null) if the agent did not answer.
  returned: when the instance is known
  type: dict
  sample: {status: unhealthy, uptime_seconds: 86400.2, cached: false}
health_after:
  description: The last health record after the call.
  returned: when one was read
  type: dict
  sample: {status: healthy, uptime_seconds: 8.4, cached: false}
uptime_before:
  description: Seconds that the agent had been up before. Whether of the process or of the server is not documented.
  returned: when the instance is known
  type: float
  sample: 86400.2
uptime_after:
  description: Seconds that the agent had been up at RV(health_after).
  returned: when RV(health_after) is
  type: float
  sample: 8.4
restart_evidence:
  description:
    - What proves the restart, from live records only. V(null) if nothing does.
    - V(boot_time) is a start time (C(checked_at) less C(uptime_seconds)) that moved.
    - V(uptime) is an uptime that is shorter than the time since the call, where the start time before is unknown.
    - V(gap_only) is a time without answers, and an action that the server calls completed, while the start time did
      not move. Where the server tells the uptime of the host, a power-cycle proves itself like this.
  returned: when this is the case waited for
  type: str
  sample: boot_time
reconciled:
  description:
    - What a call whose answer was lost did, by RV(restart_evidence) and the list of actions.
    - One of V(executed), V(not_executed), V(unknown).
  returned: when the answer was lost
  type: str
  sample: executed
timed_out:
  description: Whether the wait timed out.
  returned: when this is the case
  type: bool
  sample: true
ambiguous:
  description: Whether it is unknown if the server executed the call.
  returned: when this is the case
  type: bool
  sample: true
waited_seconds:
  description: Duration of the task in seconds.
  returned: always
  type: float
  sample: 6.0
unresolved:
  description:
    - Whether a call that was sent from this machine, by this task or an earlier one, may have been carried out and
      that cannot be told.
  returned: when this is the case
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when this is the case
  type: str
  sample: "rejected: quota exceeded"
"""

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import (
    Context,
    Operation,
    run_as_module,
)
from ansible_collections.fleetops.agents.plugins.module_utils._steps.restart import (
    REBOOT,
    RESTART_OPTIONS,
    run_restart,
)


def run(context: Context) -> None:
    run_restart(context, REBOOT)


OPERATION = Operation(
    run=run,
    options={
        **RESTART_OPTIONS,
        "after_power_cycle": {"type": "bool", "default": False},
        "after_power_cycle_within": {"type": "int", "default": 3600},
        "wait_interval": {"type": "float", "default": 5},
    },
    on_instance=True,
    wait_timeout=300,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
