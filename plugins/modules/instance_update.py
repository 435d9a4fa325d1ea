#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applies all updates of one instance, the runtime last, and proves it (E24; E3, E9, E16, E23, E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_update
short_description: Apply all updates of an instance
version_added: 0.2.0
description:
  - Applies all available updates of one running instance. The server reloads skills immediately and redeploys the
    runtime last. The module waits until this has finished and verifies that the agent is healthy. It fails if the
    server still lists an update afterwards.
  - If a redeploy is already in progress, the module waits for it and then applies the remaining updates. After a crash,
    run the same task again.
  - The call is sent once. If it is unknown whether the server accepted it, the task searches for its effect in the
    history and the versions of the instance. A call that was sent but whose effect was not found is recorded on this
    machine for one hour (C($XDG_STATE_HOME/fleetops/sent)). Later runs look for it again, and send nothing until it is
    found, unless O(retry_if_absent) is set.
  - Updates of skills alone do not wait for admission (O(admission)), unless they are part of a O(stream).
  - The task reports a change only if the server's response, or the effect that was found, shows that an update was
    applied.
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
    details: Shows the version of each component that is updated, before and after.
  idempotent:
    support: full
options:
  state:
    description: V(latest) applies all updates that the server reports.
    type: str
    choices: [latest]
    default: latest
seealso:
  - module: fleetops.agents.instance_update_info
  - module: fleetops.agents.instance_runtime
  - module: fleetops.agents.instance_health_info
"""

EXAMPLES = r"""
---
- name: Apply all updates and verify that the agent is healthy
  fleetops.agents.instance_update:
    instance_id: "{{ fleetops_instance_id }}"

- name: Start the updates without waiting
  fleetops.agents.instance_update:
    instance_id: "{{ fleetops_instance_id }}"
    wait: false

- name: Wait longer for a slow instance
  fleetops.agents.instance_update:
    instance_id: "{{ fleetops_instance_id }}"
    wait_timeout: 1800
    healthy_reads: 5
  register: updated

- name: Show which skills were updated
  ansible.builtin.debug:
    msg: "{{ updated.skills_applied | join(', ') }}"
"""

RETURN = r"""
---
instance_id:
  description: The id of the instance.
  returned: always
  type: str
  sample: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
before:
  description: The version of each component before the update, by C(component/slug), as reported by the server.
  returned: when the server reported the versions
  type: dict
  sample: {runtime/agent-runtime: 4.18.2, skills/calendar: 1.4.0}
after:
  description:
    - The version of each component after the update, as last reported by the server.
    - In check mode, without O(wait), or if the server's report is not up to date yet, the versions that were to be
      applied.
  returned: when the server reported the versions
  type: dict
  sample: {runtime/agent-runtime: 4.19.0, skills/calendar: 1.5.0}
skills_applied:
  description: The skills that were updated. They stay updated if the redeploy of the runtime fails.
  returned: always
  type: list
  elements: str
  sample: [calendar]
runtime_task_id:
  description: The server's task id of the redeploy of the runtime. V(null) if it returned none.
  returned: when the server responded to the call
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
  returned: when the call started a redeploy
  type: str
  sample: exact
adopted:
  description: Whether the task first followed a redeploy that was already in progress.
  returned: always
  type: bool
  sample: false
bundle_hash:
  description: The bundle that was deployed. V(null) if the server did not name it.
  returned: when a redeploy ended
  type: str
  sample: 8d1f0a
redeployed:
  description: Whether a redeploy that was followed has succeeded, also if the instance was not healthy after it.
  returned: when true
  type: bool
  sample: true
health:
  description: The last live health record read after the update.
  returned: when health checks were requested
  type: dict
  sample: {status: healthy, uptime_seconds: 12, cached: false}
still_available:
  description: The components for which the server still lists an update after all were applied.
  returned: when there are any
  type: list
  elements: str
  sample: [mcp_servers/crm]
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
  description: Whether it is unknown if the server accepted the call.
  returned: when true
  type: bool
  sample: true
unresolved:
  description:
    - Whether a call was sent from this machine, by this task or an earlier one, but its effect has not appeared.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but applied no update.
  returned: when the server refused the request
  type: str
  sample: "blocked: maintenance window closed"
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

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import Record, parse_time
from ..module_utils._rules.record_words import text_of
from ..module_utils._rules.redeploy import open_target
from ..module_utils._rules.updates import outdated, runtime_waits, versions, waiting, without_runtime
from ..module_utils._steps.admission_locks import Admission
from ..module_utils._steps.apply_updates import (
    check_nothing_waits,
    checked_at,
    find_applied,
    send_apply,
    updates_in_words,
)
from ..module_utils._steps.redeploy import SENT_OPTIONS, follow, newest_manifest, prove_health, remember
from ..module_utils._steps.wait_for_admission import (
    ADMISSION_OPTIONS,
    converge_admitted,
    send_admitted,
    tell_started,
    until_listed,
)


def run(context: Context) -> None:
    context.result["skills_applied"] = []
    converge_admitted(context, _converge)


def _converge(context: Context, admission: Admission, _overtaken_by: Record | None) -> None:
    client = context.client
    updates = client.get_available_updates(context.params["instance_id"])
    context.use_spelling_of(updates)
    instance_id = context.params["instance_id"]
    context.result.setdefault("before", versions(updates))
    context.result["after"] = versions(updates)
    if _waiting(context, updates) == 0:
        return
    history = client.list_instance_rollouts(instance_id)
    target = open_target(history)
    if target is not None:
        context.result["adopted"] = True
        admission.leave()
        remember(context, target)
        tell_started(context, target, admission)
        if not context.params["wait"]:
            context.warn(
                f"A redeploy of {context.instance} is in progress, and wait is false, so no further update was "
                "applied. Run this task again once it has ended."
            )
            return
        if context.check_mode:
            updates = without_runtime(updates)
        else:
            follow(context, target, admission)
            history = client.list_instance_rollouts(instance_id)
            updates = client.get_available_updates(instance_id)
    if target is None or not context.check_mode:
        updates = _trusted(context, updates, history)
    context.result["after"] = versions(updates)
    if _waiting(context, updates) > 0:
        _apply(context, updates, history, admission)


def _waiting(context: Context, updates: Record) -> int:
    """The number of waiting updates. Fails if the server does not say it."""
    number = waiting(updates)
    if number is None:
        context.fail(
            f"The server does not say whether {context.instance} has updates: it gives no "
            "total_available and no versions that could be compared."
        )
    return number


def _trusted(context: Context, updates: Record, history: list[Record]) -> Record:
    """The version report as soon as it is newer than the last redeploy. Before that, it lists applied updates.

    If the report remains older than a successful redeploy, the updates in it count as applied, since applying them may
    redeploy the instance again.
    """
    updates, done = newest_manifest(context, updates, history, lambda seen: waiting(seen) == 0)
    if done is None:
        return updates
    context.warn(
        f"The server's version report of {context.instance} is older than its last successful "
        f"redeploy ({text_of(done, 'completed_at')}), so these updates count as applied and were not sent: "
        f"{updates_in_words(updates)}. Run this task again once the report is newer."
    )
    return {**without_runtime(updates), "total_available": 0}


def _apply(context: Context, updates: Record, history: list[Record], admission: Admission) -> None:
    wanted, instance_id = outdated(updates), context.params["instance_id"]

    def unchanged() -> bool:
        """Whether the same updates are still waiting. Another task may have applied them."""
        now = context.client.get_available_updates(instance_id)
        return versions(now) == versions(updates) and waiting(now) == waiting(updates)

    sent = context.write(
        lambda: send_admitted(
            context,
            history,
            admission,
            lambda: send_apply(context, history, updates),
            limited=runtime_waits(updates),
            skills_too=True,
            unchanged=unchanged,
        ),
        before={c.name: c.current for c in wanted} or {"total_available": waiting(updates)},
        after={c.name: c.available for c in wanted} or {"total_available": 0},
    )
    if sent is None:
        context.result["after"] = versions(updates, updated=True)
        return
    target = find_applied(context, sent, updates)
    if target is not None:
        tell_started(context, target, admission)
    if target is not None and not context.params["wait"]:
        until_listed(context, target, admission)
    if not context.params["wait"]:
        context.result["after"] = versions(updates, updated=True)
        return
    if target is None:
        prove_health(context, None, done="updated")
        applied_at = checked_at(context)
    else:
        target = follow(context, target, admission)
        applied_at = parse_time(target.get("completed_at")) or context.client.server_time
    check_nothing_waits(context, updates, applied_at)


OPERATION = Operation(
    run=run,
    options={
        "state": {"type": "str", "choices": ["latest"], "default": "latest"},
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
