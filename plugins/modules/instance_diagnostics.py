#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks one instance live, stores the result, and says what differs from before (E15; E16)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_diagnostics
short_description: Run and store a deep health check of an instance
version_added: 0.2.0
description:
  - Runs the deep health check of an instance and stores the result as its health record.
  - Reports which subsystems have a different status than in the previous record.
  - To check the health without storing the result, use M(fleetops.agents.instance_health_info) with C(live=true).
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
attributes:
  check_mode:
    support: partial
    details: In check mode, no health check runs and the stored record is returned. The result of a check cannot be
      predicted, so no change is reported.
  diff_mode:
    support: full
    details: Shows the status of the instance and of each subsystem whose status differs.
  idempotent:
    support: full
    details: Reports a change only if the status of the instance differs from the previous record, although the check
      runs and its time is stored each time.
seealso:
  - module: fleetops.agents.instance_health_info
"""

EXAMPLES = r"""
---
- name: Check the health of the instance and store the result
  fleetops.agents.instance_diagnostics:
    instance_id: "{{ fleetops_instance_id }}"

- name: Check the instance until it is healthy
  fleetops.agents.instance_diagnostics:
    instance_id: "{{ fleetops_instance_id }}"
  register: diagnosis
  until: diagnosis.healthy
  retries: 5
  delay: 10

- name: Check the health of the instance and register the result
  fleetops.agents.instance_diagnostics:
    instance_id: "{{ fleetops_instance_id }}"
  register: diagnosis

- name: Show the subsystems whose status has changed
  ansible.builtin.debug:
    msg: "{{ diagnosis.flipped }}"
  when: diagnosis.changed
"""

RETURN = r"""
---
instance_id:
  description: The id of the instance.
  returned: always
  type: str
  sample: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
status_before:
  description: The status in the previous record.
  returned: when the record could be read
  type: str
  sample: healthy
status:
  description: The status that the check found. If the check did not run (in check mode, or after a failure), the status
    in the stored record.
  returned: when the record could be read
  type: str
  sample: degraded
healthy:
  description: Whether RV(status) means that the instance is healthy.
  returned: when the record could be read
  type: bool
  sample: false
subsystems:
  description: The subsystems as returned by the server. They have no fixed structure.
  returned: when the record could be read
  type: dict
  sample: {database: {status: healthy}, llm: {status: degraded}}
uptime_seconds:
  description: Uptime in seconds. The API does not document whether it is that of the process or of the server.
  returned: when the record could be read
  type: float
  sample: 86400.2
checked_at:
  description: The time of the check, as returned by the server.
  returned: when the record could be read
  type: str
  sample: "2026-11-23T01:00:00+00:00"
flipped:
  description: The subsystems whose status differs from the previous record. V(null) means that the subsystem was not
    listed.
  returned: when the record could be read
  type: list
  elements: dict
  sample: [{name: llm, before: healthy, after: degraded}]
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "rejected: quota exceeded"
"""

from ..module_utils._client.errors import ApiError
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import Record, is_healthy, normalise
from ..module_utils._rules.diagnosis import changed_subsystems
from ..module_utils._rules.refusals import refusal_in
from ..module_utils._steps.refusal import fail_if_refused, fail_refused


def run(context: Context) -> None:
    instance_id = context.params["instance_id"]
    context.result["instance_id"] = instance_id
    before = context.client.get_deep_health(instance_id)
    context.result.update(status_before=before.get("status"), flipped=[])
    _remember(context, before)
    if context.check_mode:
        return
    after = context.write(lambda: _send(context), before=None, after=None)
    if after is None:
        return
    differences = changed_subsystems(before, after)
    context.result["flipped"] = differences
    _remember(context, after)
    context.changed = normalise(before.get("status")) != normalise(after.get("status"))
    context.diff = {
        side: {
            "status": record.get("status"),
            "subsystems": {difference["name"]: difference[side] for difference in differences},
        }
        for side, record in (("before", before), ("after", after))
    }


def _send(context: Context) -> Record:
    instance_id = context.params["instance_id"]
    try:
        answer = context.client.run_diagnostics(instance_id)
    except ApiError as error:
        fail_if_refused(context, error)
        raise
    # In a health record the status is the health of the agent, and not that of the call.
    said = refusal_in(answer, status="checked_at" not in answer)
    if said is not None:
        fail_refused(context, f"Running the diagnostics of {context.instance}", said)
    return answer


def _remember(context: Context, health: Record) -> None:
    context.result.update({key: health.get(key) for key in ("status", "subsystems", "uptime_seconds", "checked_at")})
    context.result["healthy"] = is_healthy(health)


OPERATION = Operation(run=run, on_instance=True)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
