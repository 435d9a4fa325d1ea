#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the runtime of one instance to the published version, and proves it (E22; E3, E9, E16, E23, E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_runtime
short_description: Redeploy the runtime of an instance
version_added: 0.1.0
description:
  - Deploys the published runtime to one running instance, waits until the redeploy has finished, and verifies that the
    agent is healthy.
  - While the redeploy runs, the list of rollouts is read, at most once a second for all tasks of this machine. The
    place within C(max_parallel_rollouts) is free again as soon as it has ended, before the agent's health is verified.
  - The API cannot deploy a specific version or roll back to an older one.
  - If a redeploy of the instance is already in progress, the task adopts it and starts no second one. After a crash,
    run the same task again.
  - The redeploy is sent once. If it is unknown whether the server accepted it, the task searches for it in the history
    of the instance. A call that was sent but whose effect was not found is recorded on this machine for one hour
    (C($XDG_STATE_HOME/fleetops/sent)). Later runs look for it again, and send nothing until it is found, unless
    O(retry_if_absent) is set.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
  - fleetops.agents.wait
  - fleetops.agents.redeploy
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the runtime's version before and after.
  idempotent:
    support: partial
    details: With O(state=latest), an instance with the published version is not changed. With O(state=redeployed), it
      is always redeployed.
options:
  state:
    description:
      - V(latest) redeploys only if the server reports a newer runtime.
      - V(redeployed) always redeploys.
    type: str
    choices: [latest, redeployed]
    default: latest
seealso:
  - module: fleetops.agents.instance_rollout_info
  - module: fleetops.agents.instance_health_info
"""

EXAMPLES = r"""
---
- name: Update the runtime to the published version and verify that the agent is healthy
  fleetops.agents.instance_runtime:
    instance_id: "{{ fleetops_instance_id }}"

- name: Redeploy even if the version is current
  fleetops.agents.instance_runtime:
    instance_id: "{{ fleetops_instance_id }}"
    state: redeployed

- name: Start the redeploy without waiting
  fleetops.agents.instance_runtime:
    instance_id: "{{ fleetops_instance_id }}"
    wait: false

- name: Wait longer for a slow instance
  fleetops.agents.instance_runtime:
    instance_id: "{{ fleetops_instance_id }}"
    wait_timeout: 1800
    healthy_reads: 5
"""

RETURN = r"""
---
instance_id:
  description: The id of the instance.
  returned: always
  type: str
  sample: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
task_id:
  description: The server's id of the redeploy. V(null) if it gave none.
  returned: when a redeploy was sent
  type: str
  sample: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
target:
  description: The last known state of the redeploy's rollout target, as returned by the server.
  returned: when a redeploy was found
  type: dict
  sample: {id: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, status: succeeded, bundle_hash: 8d1f0a, error_message: null}
target_id:
  description: The id of RV(target).
  returned: when a redeploy was found
  type: str
  sample: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
rollout_id:
  description: The rollout that RV(target) belongs to.
  returned: when a redeploy was found
  type: str
  sample: 9b1c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
match:
  description:
    - How the target was identified, V(exact) by the task id, or V(weak) because it is the only new one of this
      instance.
  returned: when a redeploy was sent
  type: str
  sample: exact
adopted:
  description: Whether the task followed a redeploy that was already in progress instead of starting one.
  returned: always
  type: bool
  sample: false
version_before:
  description: The version of the runtime before, as reported by the server. V(null) if not reported.
  returned: when the versions could be read
  type: str
  sample: 4.18.2
version_after:
  description: The version of the runtime after the redeploy. In check mode or without O(wait), the version that would
    be or is being deployed. V(null) if not reported or not readable.
  returned: success
  type: str
  sample: 4.19.0
is_current:
  description:
    - Whether the server's version report said that no newer runtime is available. After a redeploy it is read again,
      and may be older than the redeploy.
  returned: when the redeploy ended and the report could be read, or O(state=latest) and there is nothing to redeploy
  type: bool
  sample: true
bundle_hash:
  description: The bundle that was deployed. V(null) if the server did not name it.
  returned: when the redeploy ended
  type: str
  sample: 8d1f0a
redeployed:
  description: Whether a redeploy that was followed has succeeded, also if the instance was not healthy after it.
  returned: when true
  type: bool
  sample: true
health:
  description: The last live health record read after the redeploy.
  returned: when health checks were requested
  type: dict
  sample: {status: healthy, uptime_seconds: 12, cached: false}
reconciled:
  description:
    - The actual result of the redeploy, determined from the last start time, the reported version and the history.
    - One of V(succeeded), V(superseded), V(not_applied), V(still_unknown).
  returned: when the server reported V(uncertain), or no longer listed the redeploy
  type: str
  sample: succeeded
evidence:
  description: The evidence for RV(reconciled).
  returned: when the server reported V(uncertain), or no longer listed the redeploy
  type: str
  sample: "restarted since: yes, version is current: yes"
timed_out:
  description: Whether a wait timed out.
  returned: when true
  type: bool
  sample: true
ambiguous:
  description: Whether it is unknown if the server accepted the redeploy.
  returned: when true
  type: bool
  sample: true
unresolved:
  description:
    - Whether a redeploy that was sent from this machine, by this task or an earlier one, has not appeared.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "skipped: instance is stopped"
in_flight_excess:
  description: By how many the redeploys in flight exceeded the limit of the policy after this one was sent.
  returned: when there are any
  type: int
  sample: 1
not_admitted:
  description:
    - Why nothing was sent, as the verdict and the reasons of M(fleetops.agents.rollout_gate).
  returned: when the rules of O(stream) end the run
  type: dict
  sample: {verdict: fail, reasons: ["1 instance failed (agent-004); at most 0 may fail."]}
skipped_reason:
  description: The same as a sentence.
  returned: when the rules of O(stream) end the run
  type: str
  sample: "Nothing was sent: 1 instance failed (agent-004); at most 0 may fail."
waited_seconds:
  description: Duration of the task in seconds.
  returned: always
  type: float
  sample: 41.7
"""

from ..module_utils._client.errors import ApiError
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import Record, runtime_component
from ..module_utils._rules.record_words import text_of
from ..module_utils._rules.redeploy import open_target
from ..module_utils._rules.updates import RUNTIME, component_of
from ..module_utils._steps.admission_locks import Admission
from ..module_utils._steps.redeploy import SENT_OPTIONS, find, follow, newest_manifest, remember, send_redeploy
from ..module_utils._steps.wait_for_admission import (
    ADMISSION_OPTIONS,
    claim_first,
    converge_admitted,
    send_admitted,
    tell_started,
    until_listed,
)


def run(context: Context) -> None:
    converge_admitted(context, _converge)


def _converge(context: Context, admission: Admission, overtaken_by: Record | None) -> None:
    updates = context.client.get_available_updates(context.params["instance_id"])
    context.use_spelling_of(updates)
    instance_id = context.params["instance_id"]
    runtime = runtime_component(updates)
    if not runtime:
        context.fail(f"The server names no runtime for {context.instance}, so its version is unknown.")
    before, available = runtime.get("current_version"), runtime.get("available_version")
    context.result.update(version_before=before, version_after=before)
    if context.params["state"] == "latest" and not _outdated(context, runtime):
        context.result["is_current"] = True
        return

    read_at = context.clock() if claim_first(context, admission) else None
    history = context.client.list_instance_rollouts(instance_id)
    target = open_target(history)
    if target is None and context.params["state"] == "redeployed":
        # Somebody else, or an earlier run, redeployed the instance while this task waited. That may have ended already.
        target = overtaken_by
    if target is None and context.params["state"] == "latest":
        updates = _fresh_manifest(context, updates, history)
        runtime = runtime_component(updates)
        if not _outdated(context, runtime):
            context.result.update(version_before=before, version_after=runtime.get("current_version"), is_current=True)
            return
        available = runtime.get("available_version")
    if target is not None:
        context.result["adopted"] = True
        admission.leave()
        remember(context, target)
        tell_started(context, target, admission)
        if context.check_mode:
            context.result["version_after"] = available
            return
        context.result["version_after"] = None
    else:
        sent = context.write(
            lambda: send_admitted(
                context, history, admission, lambda: send_redeploy(context, history), read_at=read_at
            ),
            before={"runtime": before},
            after={"runtime": available},
        )
        if sent is None:
            context.result["version_after"] = available
            return
        # Unknown until the redeploy has succeeded.
        context.result["version_after"] = None
        target = find(context, sent, once_more=context.params["retry_if_absent"])
        tell_started(context, target, admission)
        if not context.params["wait"]:
            until_listed(context, target, admission)
    if context.params["wait"]:
        follow(context, target, admission)
        _read_version_after(context)
    else:
        context.result["version_after"] = available


def _read_version_after(context: Context) -> None:
    """Set the return values about the version after a redeploy that succeeded. If it cannot be read, this warns."""
    try:
        runtime = runtime_component(context.client.get_available_updates(context.params["instance_id"]))
    except ApiError as error:
        context.warn(f"{context.instance_first} was redeployed, but its version could not be read after that: {error}")
        return
    context.result["version_after"] = runtime.get("current_version")
    context.result["is_current"] = runtime.get("has_update") is False


def _outdated(context: Context, runtime: Record) -> bool:
    """Whether the server has a newer runtime (see component_of). Fails if it does not say that."""
    outdated = component_of(RUNTIME, runtime).outdated
    if outdated is not None:
        return outdated
    return context.fail(
        f"The server does not say whether {context.instance} has the published runtime: "
        f"has_update is {text_of(runtime, 'has_update')}, current_version is {text_of(runtime, 'current_version')}, "
        f"available_version is {text_of(runtime, 'available_version')}."
    )


def _fresh_manifest(context: Context, updates: Record, history: list[Record]) -> Record:
    """The version manifest as soon as it is newer than the last redeploy. Before that, it shows the old version."""
    updates, done = newest_manifest(context, updates, history)
    if done is None:
        return updates
    if not context.check_mode:
        context.warn(
            f"The server's version report of {context.instance} is older than its last "
            f"successful redeploy ({text_of(done, 'completed_at')}), so the redeploy counts as done and is not "
            "repeated."
        )
    # The last redeploy succeeded after the report was made, so the runtime counts as current.
    runtime = {**runtime_component(updates), "has_update": False}
    return {**updates, "runtime": {**runtime, "current_version": runtime.get("available_version")}}


OPERATION = Operation(
    run=run,
    options={
        "state": {"type": "str", "choices": ["latest", "redeployed"], "default": "latest"},
        **ADMISSION_OPTIONS,
        **SENT_OPTIONS,
    },
    on_instance=True,
    wait_timeout=900,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
