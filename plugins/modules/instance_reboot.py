#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reboots the server of one instance once, and verifies it (E14; E11, E16, E23)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_reboot
short_description: Reboot the server of an instance
version_added: 0.2.0
description:
  - Reboots the whole server of an instance, which takes about 60 seconds, and waits until the reboot is verified and
    the agent is healthy. Requires the API key of an admin.
  - The call is sent once. If the response is lost, the start time and the list of actions show whether it was executed.
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
  - fleetops.agents.restart
attributes:
  check_mode:
    support: full
    details: Reads everything that the decision depends on. Whether the API key has the required role is only known from
      the call itself.
  diff_mode:
    support: full
    details: Shows the status and the uptime before, and that the instance restarted.
  idempotent:
    support: partial
    details: Always restarts, except with O(min_uptime) or O(only_if_unhealthy).
options:
  min_uptime:
    description:
      - Skip the instance if its last reboot was less than this many seconds ago, so that a second run of a play does
        nothing. With V(0) it is always restarted.
      - A start of the agent that was caused by a power-cycle or a deployment, according to the actions, does not count.
    type: int
    default: 0
  after_power_cycle:
    description:
      - Whether to reboot the instance only after a power-cycle. If the actions of the instance show no power-cycle that
        was completed within O(after_power_cycle_within), the task fails.
    type: bool
    default: false
  after_power_cycle_within:
    description: The maximum age in seconds of the power-cycle for O(after_power_cycle).
    type: int
    default: 3600
  wait_timeout:
    description:
      - Seconds after the call within which the restart must be verified and the instance must be healthy.
      - After this time the task fails with RV(timed_out=true). The call is not sent again.
    type: int
    default: 300
  wait_interval:
    description: Seconds between two health checks.
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

- name: Reboot a server that starts slowly, without checking the health of its agent
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
  description: Why the instance was skipped.
  returned: when the instance was skipped
  type: str
  sample: The instance is healthy (only_if_unhealthy).
action_id:
  description: The server's id of the action. V(null) if it gave none.
  returned: when the action was accepted
  type: str
  sample: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
duration_ms:
  description: The duration of the action as reported by the server, V(null) if not reported. The action may end before
    the restart takes effect.
  returned: when the action was accepted
  type: int
  sample: 12
health_before:
  description: The live health record before the call. V(null) if the agent did not respond.
  returned: when the health was read
  type: dict
  sample: {status: unhealthy, uptime_seconds: 86400.2, cached: false}
health_after:
  description: The last health record after the call.
  returned: when one was read
  type: dict
  sample: {status: healthy, uptime_seconds: 8.4, cached: false}
uptime_before:
  description: Uptime in seconds before the call, V(null) if unknown. The API does not document whether it is that of
    the process or of the server.
  returned: when the health was read
  type: float
  sample: 86400.2
uptime_after:
  description: Uptime in seconds in RV(health_after), V(null) if unknown.
  returned: when RV(health_after) is returned
  type: float
  sample: 8.4
restart_evidence:
  description:
    - The evidence for the restart, from live health records. V(null) if there is none.
    - V(boot_time) means that the start time (C(checked_at) minus C(uptime_seconds)) has changed.
    - V(uptime) means that the uptime is shorter than the time since the call. It is used if the previous start time is
      unknown.
    - V(gap_only) means that the agent did not respond for some time and the server reports the action as completed, but
      the start time has not changed. This is the evidence for a power-cycle if the server reports the uptime of the
      host.
  returned: when the module waited for the restart
  type: str
  sample: boot_time
reconciled:
  description:
    - Whether a call whose response was lost was executed, according to RV(restart_evidence) and the list of actions.
    - One of V(executed), V(not_executed), V(unknown).
  returned: when the response was lost
  type: str
  sample: executed
timed_out:
  description: Whether the wait timed out.
  returned: when true
  type: bool
  sample: true
ambiguous:
  description: Whether it is unknown if the server executed the call.
  returned: when true
  type: bool
  sample: true
waited_seconds:
  description: Duration of the task in seconds.
  returned: always
  type: float
  sample: 6.0
unresolved:
  description:
    - Whether it is unknown if a call that this task or an earlier one sent from this machine was executed.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "rejected: quota exceeded"
"""

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._steps.restart import REBOOT, RESTART_OPTIONS, run_restart


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
