#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends a run with the exit code of its verdict. Makes no call."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout_end
short_description: End a run with the exit code of its verdict
version_added: 0.2.0
description:
  - With O(verdict=fail), the task fails and C(ansible-playbook) ends with exit code 2.
  - With O(verdict=inconclusive), the task ends as unreachable and C(ansible-playbook) ends with exit code 4, so that a
    caller can distinguish a failure from an unknown state. Ansible offers no other way to a third exit code.
  - With V(pass) and V(deferred), nothing happens.
  - Run it as the last task, for one host, after the report. Ansible runs no more tasks on an unreachable host.
  - Run it on C(localhost) if possible, so that no instance counts as failed because the run failed.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
options:
  verdict:
    description: The verdict of M(fleetops.agents.rollout_gate) that ended the run.
    type: str
    choices: [pass, deferred, inconclusive, fail]
    required: true
  reasons:
    description: The reasons for the verdict, which become the message.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
---
- name: End the run with the verdict of the gate
  fleetops.agents.rollout_end:
    verdict: "{{ gate.verdict }}"
    reasons: "{{ gate.reasons }}"
  when: inventory_hostname == ansible_play_hosts_all | first

- name: End with exit code 2
  fleetops.agents.rollout_end:
    verdict: fail
    reasons: ["The plan was not approved."]

- name: End with exit code 4
  fleetops.agents.rollout_end:
    verdict: inconclusive
    reasons: ["There was too little traffic to compare."]
"""

RETURN = r"""
---
verdict:
  description: The verdict.
  returned: always
  type: str
  sample: inconclusive
"""

from ..module_utils._module.operation import Context, Operation, run_as_module


def run(context: Context) -> None:
    verdict = context.params["verdict"]
    reasons = " ".join(context.params["reasons"]) or "No reason was given."
    context.result["verdict"] = verdict
    if verdict == "fail":
        context.fail(reasons)
    if verdict == "inconclusive":
        context.result.update(unreachable=True, msg=f"It could not be determined whether to continue. {reasons}")


OPERATION = Operation(
    run=run,
    offline=True,
    options={
        "verdict": {"type": "str", "choices": ["pass", "deferred", "inconclusive", "fail"], "required": True},
        "reasons": {"type": "list", "elements": "str", "default": []},
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
