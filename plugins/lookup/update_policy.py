# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: keys of the tenant's update policy (E9), at most 2 seconds old."""

from __future__ import annotations

DOCUMENTATION = r"""
name: update_policy
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.1.0
short_description: The tenant's update policy
description:
  - Reads the update policy of the tenant with one call
    (C(GET /v1/instances/fleet/updates/policy)).
  - A response is reused for 2 seconds within one process, because Ansible templates a C(throttle) twice for each host.
  - If the policy cannot be read or its C(max_parallel_rollouts) is below 1, the lookup fails and never returns a
    number, since Ansible reads C(serial=0) and C(throttle=0) as "all hosts at once".
  - It blocks the play while it reads, so its timeouts are shorter than those of the modules.
options:
  _terms:
    description:
      - The keys to read, for example V(max_parallel_rollouts) or V(maintenance_window_start_hour_utc).
      - Without a key, the result is the whole policy as one dictionary. This also fails if C(max_parallel_rollouts) is
        below 1. The module M(fleetops.agents.update_policy_info) returns any policy.
      - The hours of the maintenance window, and the whole policy, are an error if the hours are invalid. This means
        that only one of them is null or that one is not an hour of the day. It is then unknown whether the window is
        open.
    type: list
    elements: str
  request_timeout:
    description: Seconds within which the complete response must arrive.
    type: float
    default: 5
    env:
      - name: FLEETOPS_REQUEST_TIMEOUT
    vars:
      - name: fleetops_request_timeout
  retries:
    description: How many times to retry the call when it fails.
    type: int
    default: 1
    env:
      - name: FLEETOPS_RETRIES
    vars:
      - name: fleetops_retries
notes:
  - If there is no host yet, as for C(serial), only extra variables and the environment are used, not the variables of
    the inventory.
extends_documentation_fragment:
  - fleetops.agents.connection.plugins
seealso:
  - plugin: fleetops.agents.batches
    plugin_type: lookup
  - module: fleetops.agents.update_policy_info
"""

EXAMPLES = r"""
- name: Respect the limit of the policy, even if it changes during the task
  fleetops.agents.instance_runtime:
    instance_id: "{{ fleetops_instance_id }}"
  # An error in throttle would end the whole run. If the policy cannot be read, the instances are redeployed one by one.
  throttle: "{{ lookup('fleetops.agents.update_policy', 'max_parallel_rollouts', errors='warn') | default(1, true) }}"

- name: Show when the maintenance window opens
  ansible.builtin.debug:
    msg: "Opens at {{ lookup('fleetops.agents.update_policy', 'maintenance_window_start_hour_utc') }}:00 UTC"

- name: Show the whole policy
  ansible.builtin.debug:
    var: lookup('fleetops.agents.update_policy')
"""

RETURN = r"""
_raw:
  description:
    - One value for each key, in the order of the keys. V(max_parallel_rollouts) is an integer of 1 or more.
    - Without a key, one dictionary with all keys.
  type: list
  elements: raw
  sample: [2]
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._rules.policy import HOUR_KEYS
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._lookups.policy import PolicyError, parallel_limit, readable_window, update_policy


class LookupModule(StrictOptions, LookupBase):
    """Selects the keys. The policy is read in plugin_utils/_lookups/policy.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            policy = update_policy(self.get_option)
            return [_value(policy, str(term)) for term in terms] if terms else [_whole(policy)]
        except PolicyError as refusal:
            raise AnsibleLookupError(str(refusal)) from refusal


def _value(policy: dict[str, Any], key: str) -> Any:
    if key == "max_parallel_rollouts":
        return parallel_limit(policy)
    if key in HOUR_KEYS:
        readable_window(policy)
    if key not in policy:
        raise PolicyError(f"The update policy has no key {key!r}; it has {', '.join(sorted(map(str, policy)))}.")
    return policy[key]


def _whole(policy: dict[str, Any]) -> dict[str, Any]:
    readable_window(policy)
    return {**policy, "max_parallel_rollouts": parallel_limit(policy)}
