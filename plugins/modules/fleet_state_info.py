#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the fleet's update policies and runtimes with a declared state (E9, E25; E1, E3)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_state_info
short_description: Compare the fleet with a declared state
version_added: 0.2.0
description:
  - Compares the tenant's update policy, the overrides of the instances and optionally their runtimes with a declared
    state, and reports each difference.
  - Nothing is written. The role C(fleet_state) brings the fleet in line with the state.
  - For each component, the policy of an instance is the one declared for it, or else that of its groups. If two groups
    of an instance declare different modes for a component and the instance declares none, the task fails and names
    both.
  - The API has no list of instances. Instances that are missing from the inventory are looked for in the history of
    rollouts.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
  - fleetops.agents.workers
options:
  state:
    description:
      - The declared state. Unknown keys and values are an error, and so is a state that declares nothing.
      - C(tenant_policy), options of M(fleetops.agents.update_policy) with their values.
      - C(group_policies), the names of inventory groups, each with V(auto), V(notify), V(disabled) or V(inherit) for
        C(runtime), C(skills) and C(mcp_servers). V(inherit) means no override.
      - C(instance_policies), the same by the names of hosts.
      - C(runtime_current), whether each runtime must have the published version.
    type: raw
    required: true
  instances:
    description: The instances to compare, names to ids.
    type: dict
    required: true
  inventory:
    description: All instances of the inventory, names to ids. Without it, those of O(instances).
    type: dict
  groups:
    description: The groups of the inventory, each with the names of its hosts.
    type: dict
    default: {}
  prune:
    description: Whether overrides that the state does not name count as differences, to be removed.
    type: bool
    default: false
  history:
    description:
      - How many of the newest rollouts are searched for instances that are missing from the inventory. V(0) for none.
      - Up to five of them are rollouts of the fleet, the others of single instances.
    type: int
    default: 20
seealso:
  - module: fleetops.agents.update_policy
  - module: fleetops.agents.instance_update_policy
"""

EXAMPLES = r"""
---
- name: Compare the fleet with a state in a file
  fleetops.agents.fleet_state_info:
    state: "{{ lookup('ansible.builtin.file', '/etc/fleet/state.yml') | from_yaml }}"
    instances: "{{ fleet }}"
    groups: "{{ groups }}"
  run_once: true
  register: compared

- name: Show the differences
  ansible.builtin.debug:
    msg: "{{ compared.text }}"
  run_once: true

- name: Check that no instance overrides the tenant's policy
  fleetops.agents.fleet_state_info:
    state:
      tenant_policy: {runtime_default: notify}
    instances: "{{ fleet }}"
    prune: true
  run_once: true
"""

RETURN = r"""
---
report:
  description:
    - C(in_sync), whether the fleet is as declared.
    - C(tenant), the keys of the tenant's policy that differ, and C(instances), the components that differ by host, each
      with C(wanted) and C(is). V(inherit) means no override, V(unknown) that the server does not report it.
    - C(undeclared), the overrides that the state does not name and that remain without O(prune), by host.
    - C(behind), the hosts whose runtime is not current, if the state wants that.
    - C(unmanaged), instances that no policy of the state covers or that are missing from the inventory, and why.
    - C(unknown), C(instances) and C(groups) that the state names but that are missing from the inventory.
    - C(gone), hosts whose instance the server no longer knows.
  returned: success
  type: dict
  sample:
    in_sync: false
    tenant: {max_parallel_rollouts: {wanted: 4, is: 2}}
    instances: {agent-003: {skills: {wanted: inherit, is: disabled}}}
    undeclared: {}
    behind: {}
    unmanaged: []
    unknown: {instances: [], groups: []}
    gone: []
text:
  description: The report as text, one line for each entry.
  returned: success
  type: list
  elements: str
  sample: ["Tenant: max_parallel_rollouts is 2, should be 4."]
"""

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import WORKERS_OPTION
from ..module_utils._rules.answers import Record, is_single_target, records_in, text_or_none
from ..module_utils._rules.fleet_state import Fleet, compare, declared, state_lines, wanted_policies
from ..module_utils._steps.read_timelines import read_timelines
from ..module_utils._steps.read_updates import read_updates

# How many fleet rollouts are read for instances that are missing from the inventory.
_FLEET_ROLLOUTS = 5


def run(context: Context) -> None:
    params = context.params
    for name, least in (("history", 0), ("workers", 1)):
        if params[name] < least:
            context.fail(f"{name} is {params[name]}: it must be {least} or more.")
    instances = {str(name): str(instance_id) for name, instance_id in params["instances"].items()}
    inventory = {str(name): str(i) for name, i in (params["inventory"] or {}).items()}
    try:
        state = declared(params["state"])
        wanted = wanted_policies(state, instances, params["groups"])
    except ValueError as problem:
        context.fail(str(problem))
    # The first call is made alone, so that a refused key is used only once.
    tenant = context.client.get_fleet_update_policy()
    updates, gone = read_updates(
        context, instances, refusal="Nothing was changed: the fleet cannot be compared with the state"
    )
    fleet = Fleet(
        tenant=tenant,
        updates=updates,
        gone=gone,
        inventory={**inventory, **instances},
        groups=params["groups"],
        seen=_seen(context),
    )
    report = compare(state, wanted, fleet, prune=params["prune"])
    context.result.update(report=report, text=state_lines(report))


def _seen(context: Context) -> dict[str, str | None]:
    """The instances in recent rollouts, ids to host names. If a rollout cannot be read, there is a warning."""
    most = context.params["history"]

    def choose(rows: list[Record]) -> list[Record]:
        of_fleet = [row for row in rows if not is_single_target(row)][: min(most, _FLEET_ROLLOUTS)]
        return of_fleet + [row for row in rows if is_single_target(row)][: most - len(of_fleet)]

    timelines = read_timelines(
        context,
        choose,
        without="Instances that are missing from the inventory cannot be found",
        with_fewer="Instances that are missing from the inventory may not be found",
    )
    found: dict[str, str | None] = {}
    for timeline in timelines:
        for target in records_in(timeline.get("timeline")):
            if text_or_none(target.get("instance_id")):
                found.setdefault(str(target["instance_id"]), text_or_none(target.get("instance_hostname")))
    return found


OPERATION = Operation(
    run=run,
    options={
        "state": {"type": "raw", "required": True},
        "instances": {"type": "dict", "required": True},
        "inventory": {"type": "dict"},
        "groups": {"type": "dict", "default": {}},
        "prune": {"type": "bool", "default": False},
        "history": {"type": "int", "default": 20},
        **WORKERS_OPTION,
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
