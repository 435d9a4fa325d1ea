#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts, pauses, resumes and cancels rollouts to the whole fleet (E2, E5, E6, E7; E3, E4, E9, E16, E23, E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout
short_description: Start, pause, resume or cancel a fleet rollout
version_added: 0.2.0
description:
  - Deploys the published runtime to all running instances of the tenant, waits until the rollout has finished and
    reports the result of each target. Or pauses, resumes or cancels a rollout.
  - The API cannot deploy to selected instances, deploy a specific version or roll back to an older one. For selected
    instances use M(fleetops.agents.instance_runtime).
  - If a fleet rollout is already in progress, the task adopts it and starts no second one. After a crash, run the same
    task again.
  - The start is sent once. The server does not return the id of the new rollout, so it is identified by evidence. If
    two rollouts match equally well, the task fails and lists both.
  - A call that was sent but whose effect was not found is recorded on this machine for one hour
    (C($XDG_STATE_HOME/fleetops/sent)). Later runs look for it again, and send nothing until it is found, unless
    O(retry_if_absent) is set.
  - Requires the API key of a tenant admin.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.connection
  - fleetops.agents.wait
attributes:
  check_mode:
    support: full
    details:
      - Which instances the server skips is only known from its response. With O(only_if_outdated), the prediction is
        exact.
      - A closed maintenance window is predicted as a refusal. A server may also skip or postpone all instances instead.
  diff_mode:
    support: full
    details: Shows the fleet rollout that is started, or the rollout's status and its targets by status.
  idempotent:
    support: partial
    details:
      - O(state=started) always sends the call, and the server skips instances that are current. With
        O(only_if_outdated), nothing is sent if all listed instances are current.
      - The other states send nothing if the rollout already has that state.
options:
  state:
    description:
      - V(started) starts a rollout to all running instances.
      - V(paused) revokes the targets that have not started. Targets in progress continue.
      - V(running) resumes a paused rollout.
      - V(cancelled) revokes the targets that have not started permanently. A rollout that has finished is not changed,
        and the module warns.
    type: str
    choices: [started, paused, running, cancelled]
    default: started
  rollout_id:
    description:
      - The rollout to pause, resume or cancel. The default is the one fleet rollout that has not finished.
      - An empty text is refused, and does not select that rollout.
      - Cannot be used with O(state=started).
    type: raw
  override_window:
    description:
      - Whether to start the rollout even outside the maintenance window. The API key needs the tenant-wide admin flag.
      - Only with O(state=started).
    type: bool
    default: false
  override_reason:
    description: The reason for overriding the maintenance window, which the server records. Required with
      O(override_window=true).
    type: str
  on_active:
    description:
      - What to do with O(state=started) if a fleet rollout is already in progress.
      - V(adopt) follows that rollout instead of starting one. V(fail) fails.
    type: str
    choices: [adopt, fail]
    default: adopt
  only_if_outdated:
    description:
      - A list of instance ids. Start the rollout only if at least one of these instances does not have the published
        runtime.
      - The rollout still includes all running instances.
      - Only with O(state=started).
    type: list
    elements: raw
  force:
    description:
      - Whether to also terminate the targets in progress (SIGTERM), which leaves them V(uncertain).
      - Only with O(state=cancelled).
    type: bool
    default: false
  max_failed:
    description:
      - How many targets may fail without failing the task, once the rollout has finished.
      - An V(uncertain) target counts as failed unless the evidence shows that it succeeded.
      - A cancelled rollout is always a failure.
    type: int
    default: 0
  on_too_many:
    description:
      - What to do when more targets than O(max_failed) have failed while the rollout is still in progress.
      - V(none) lets the rollout continue. V(pause) and V(cancel) stop the targets that have not started. In each case
        the task fails.
    type: str
    choices: [none, pause, cancel]
    default: none
  uncertain_grace:
    description: Seconds to wait for late results of V(uncertain) targets before the evidence is checked.
    type: int
    default: 60
  retry_if_absent:
    description:
      - Whether to start a rollout with O(state=started) even if an earlier run on this machine sent one that has not
        appeared.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait until a started or adopted rollout has finished.
      - After this time the task fails with RV(timed_out=true). The rollout continues, and the next run adopts it.
      - For the other states, seconds to wait until the rollout has that status, at most 60.
    type: int
    default: 3600
seealso:
  - module: fleetops.agents.rollout_info
  - module: fleetops.agents.rollout_target
  - module: fleetops.agents.instance_runtime
"""

EXAMPLES = r"""
---
- name: Deploy the published runtime to the whole fleet and wait until it has finished
  fleetops.agents.rollout:

- name: Start a rollout only if one of these instances is outdated, and tolerate one failure
  fleetops.agents.rollout:
    only_if_outdated: "{{ groups['fleetops_instances'] | map('extract', hostvars, 'fleetops_instance_id') | list }}"
    max_failed: 1

- name: Start a rollout, and pause it as soon as a third target has failed
  fleetops.agents.rollout:
    max_failed: 2
    on_too_many: pause

- name: Start a rollout regardless of the maintenance window
  fleetops.agents.rollout:
    override_window: true
    override_reason: "CVE-2026-1234, approved by the on-call lead"

- name: Pause the fleet rollout that is in progress
  fleetops.agents.rollout:
    state: paused

- name: Resume a rollout by its id
  fleetops.agents.rollout:
    state: running
    rollout_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08

- name: Cancel a rollout and its targets in progress
  fleetops.agents.rollout:
    state: cancelled
    rollout_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08
    force: true
"""

RETURN = r"""
---
rollout:
  description: The last known state of the rollout, as returned by the server.
  returned: when there is a rollout
  type: dict
  sample: {id: 497f6eca-6276-4993-bfeb-53cbbbba6f08, scope: fleet, status: completed, total_targets: 24}
text:
  description: How many targets of RV(rollout) have each status, for people.
  returned: when there is a rollout
  type: str
  sample: "24 targets: 22 succeeded, 2 failed"
rollout_id:
  description: The id of RV(rollout).
  returned: when there is a rollout
  type: str
  sample: 497f6eca-6276-4993-bfeb-53cbbbba6f08
targets:
  description: The last known state of the rollout's targets, as returned by the server.
  returned: when there is a rollout
  type: list
  elements: dict
  sample: [{instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, status: succeeded, error_message: null}]
enqueued:
  description: How many instances the server enqueued.
  returned: when a rollout was started
  type: int
  sample: 22
skipped_instances:
  description: How many instances the server skipped. It does not report which or why.
  returned: when a rollout was started
  type: int
  sample: 2
total:
  description: How many instances the server considered.
  returned: when a rollout was started
  type: int
  sample: 24
tasks:
  description: The server's data about the tasks that it created. The API does not document its structure.
  returned: when a rollout was started
  type: list
  elements: raw
  sample: [{instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, task_id: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10}]
match:
  description:
    - How the rollout was identified.
    - V(exact) by the ids or instances in RV(tasks), or V(weak) as the only new one.
  returned: when a rollout was started and found
  type: str
  sample: exact
countdown_seconds:
  description: The longest delay in seconds of the targets that have not started.
  returned: when a rollout was started and found, and a target has a delay
  type: float
  sample: 11.0
adopted:
  description: Whether the task followed a rollout that was already in progress instead of starting one.
  returned: O(state=started)
  type: bool
  sample: false
outdated:
  description: The instances of O(only_if_outdated) that do not have the published runtime.
  returned: when O(only_if_outdated) is given
  type: list
  elements: str
  sample: [4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10]
override_reason:
  description: The reason for overriding the maintenance window.
  returned: O(override_window) is V(true)
  type: str
  sample: CVE-2026-1234, approved by the on-call lead
reconciled:
  description:
    - The actual result of each target that the server reports as V(uncertain), determined from the last start time, the
      reported version and the history.
    - C(verdict) is one of V(succeeded), V(superseded), V(not_applied), V(still_unknown).
    - C(evidence) is the evidence for it.
  returned: when the task waited for a rollout that has such targets
  type: list
  elements: dict
  sample:
    - target_id: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      verdict: succeeded
      evidence: "restarted since: yes, version is current: yes"
candidates:
  description: The rollouts that match equally well.
  returned: when the started rollout could not be identified
  type: list
  elements: dict
  sample: [{id: 497f6eca-6276-4993-bfeb-53cbbbba6f08, initiated_from_ip: 203.0.113.77, total_targets: 24}]
verdict:
  description:
    - V(inconclusive) if nothing was started because the policy's maintenance window cannot be read.
    - In this case the playbook C(fleet_rollout) ends with exit code 4.
  returned: when the task failed for this reason
  type: str
  sample: inconclusive
too_many:
  description: Whether more targets than O(max_failed) failed.
  returned: when the task failed because of its targets
  type: bool
  sample: true
ended_badly:
  description: Whether too many targets of a rollout failed that has ended and was not cancelled. They may be retried.
  returned: when true
  type: bool
  sample: true
stopped:
  description: Whether the rollout was paused or cancelled because too many targets failed (O(on_too_many)).
  returned: when true
  type: bool
  sample: true
timed_out:
  description: Whether a wait timed out.
  returned: when true
  type: bool
  sample: true
ambiguous:
  description: Whether it is unknown if the server executed the call.
  returned: when true
  type: bool
  sample: true
unresolved:
  description:
    - Whether a rollout that was sent from this machine, by this task or an earlier one, cannot be found.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "blocked: maintenance window closed"
waited_seconds:
  description: Duration of the task in seconds.
  returned: always
  type: float
  sample: 312.4
"""

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import id_option
from ..module_utils._steps.rollout_start import start
from ..module_utils._steps.rollout_steer import steer


def run(context: Context) -> None:
    started = context.clock()
    _check_options(context)
    try:
        if context.params["state"] == "started":
            start(context)
        else:
            steer(context)
    finally:
        context.result["waited_seconds"] = round(context.clock() - started, 1)


def _check_options(context: Context) -> None:
    params = context.params
    state = params["state"]
    if state == "started" and params["rollout_id"]:
        context.fail(
            "rollout_id is for the states paused, running and cancelled: a rollout that is started has no id yet."
        )
    if state != "started" and (params["override_window"] or params["only_if_outdated"] is not None):
        context.fail(f"override_window and only_if_outdated are for state started, not for {state}.")
    if params["override_window"]:
        if not (params["override_reason"] or "").strip():
            context.fail("override_reason is empty: say why the maintenance window is overridden.")
        context.result["override_reason"] = params["override_reason"]
    if params["force"] and state != "cancelled":
        context.fail(f"force is for state cancelled, not for {state}.")
    if params["only_if_outdated"] == []:
        context.fail("only_if_outdated is empty: name at least one instance, or leave it out.")
    if params["max_failed"] < 0:
        context.fail(f"max_failed is {params['max_failed']}: it must be 0 or more.")


OPERATION = Operation(
    run=run,
    options={
        "state": {"type": "str", "choices": ["started", "paused", "running", "cancelled"], "default": "started"},
        "rollout_id": id_option(),
        "override_window": {"type": "bool", "default": False},
        "override_reason": {"type": "str"},
        "on_active": {"type": "str", "choices": ["adopt", "fail"], "default": "adopt"},
        "only_if_outdated": {"type": "list", "elements": "raw"},
        "force": {"type": "bool", "default": False},
        "max_failed": {"type": "int", "default": 0},
        "on_too_many": {"type": "str", "choices": ["none", "pause", "cancel"], "default": "none"},
        "uncertain_grace": {"type": "int", "default": 60},
        "retry_if_absent": {"type": "bool", "default": False},
    },
    wait_timeout=3600,
    rules={"required_if": [("override_window", True, ["override_reason"])]},
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
