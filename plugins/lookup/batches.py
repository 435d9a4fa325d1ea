# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: the batch sizes of a rolling play, for its serial, bound by the tenant's update policy (E9)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: batches
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.1.0
short_description: Batch sizes for a play's serial
description:
  - Returns the list for the C(serial) keyword of a play. First the canary, then batches as large as
    C(max_parallel_rollouts) of the tenant's update policy. Ansible repeats the last size until no host is left.
  - Every size is an integer from 1 to the limit of the policy. If the policy cannot be read or its limit is below 1,
    the lookup fails and nothing is started, since Ansible reads C(serial=0) as "all hosts at once".
  - Ansible computes C(serial) once, before the first batch. For a policy that changes during the play use the lookup
    P(fleetops.agents.update_policy#lookup) in the task's C(throttle) as well.
  - It blocks the play while it reads, so its timeouts are shorter than those of the modules.
  - With C(--syntax-check), C(--list-tasks) and C(--list-tags) the server is not called, and the result is a single
    batch size of 1.
options:
  canary:
    description:
      - The number of instances in the first batch. With V(0) there is no canary batch.
      - It is reduced to the limit of the policy if it is larger.
      - A whole number of 0 or more, also as text. A blank text counts as not set.
    type: raw
    default: 1
    env:
      - name: FLEETOPS_BATCH_CANARY
    vars:
      - name: fleetops_batch_canary
  batch_max:
    description:
      - The maximum size of a batch, even if the policy allows more.
      - A whole number of 1 or more, also as text. A blank text counts as not set.
    type: raw
    env:
      - name: FLEETOPS_BATCH_MAX
    vars:
      - name: fleetops_batch_max
  growth:
    description:
      - How the batches grow after the canary. With V(fixed) all others have the full size.
      - With V(doubling) each is twice as large as the one before, up to the full size. Without a canary the first is 1.
      - With V(percent) each is O(percent) percent of O(of) instances, from 1 up to the full size.
    type: str
    default: fixed
    choices: [fixed, doubling, percent]
    env:
      - name: FLEETOPS_BATCH_GROWTH
    vars:
      - name: fleetops_batch_growth
  percent:
    description:
      - The size of a batch as a percentage of O(of) with O(growth=percent), from 1 to 100.
      - A whole number, also as text.
    type: raw
    default: 25
    version_added: 0.2.0
  of:
    description:
      - The number of instances that O(percent) refers to. Required with O(growth=percent).
      - A whole number of 0 or more, also as text.
    type: raw
    version_added: 0.2.0
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
  - C(serial) is evaluated before there is a host, so only extra variables and the environment are used, not the
    variables of the inventory.
  - Use C(query), which always returns a list.
  - Ansible's C(forks) (by default 5) also limits a batch.
extends_documentation_fragment:
  - fleetops.agents.connection.plugins
seealso:
  - plugin: fleetops.agents.update_policy
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Redeploy one canary, then as many instances at once as the policy allows
  hosts: fleetops_instances
  gather_facts: false
  order: sorted
  serial: "{{ query('fleetops.agents.batches', canary=1) }}"
  tasks:
    - name: Redeploy the runtime if it is outdated
      fleetops.agents.instance_runtime:
        instance_id: "{{ fleetops_instance_id }}"
      throttle: "{{ lookup('fleetops.agents.update_policy', 'max_parallel_rollouts') }}"

- name: Use batches of 1, 2, 4, 8, and then 8 at a time, if the policy allows 8 or more
  hosts: fleetops_instances
  gather_facts: false
  serial: "{{ query('fleetops.agents.batches', growth='doubling', batch_max=8) }}"
  tasks:
    - name: Show the batch
      ansible.builtin.debug:
        var: ansible_play_batch
"""

RETURN = r"""
_raw:
  description: The batch sizes, each an integer of 1 or more.
  type: list
  elements: int
  sample: [1, 2]
"""

from typing import Any

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._rules.batches import batch_sizes
from ..module_utils._rules.plain_values import is_blank
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._lookups.policy import PolicyError, parallel_limit, update_policy


class LookupModule(StrictOptions, LookupBase):
    """Checks the options. The policy is read in plugin_utils/_lookups/policy.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[int]:
        if _only_reads_the_playbook():
            return [1]
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("The lookup fleetops.agents.batches takes options only, for example canary=1.")
        # Invalid options are reported before the server is called.
        canary = self.get_option("canary")
        canary = 1 if is_blank(canary) else _whole_number("canary", canary, least=0)
        batch_max = self.get_option("batch_max")
        batch_max = None if is_blank(batch_max) else _whole_number("batch_max", batch_max, least=1)
        growth, of = self.get_option("growth"), self.get_option("of")
        percent = _whole_number("percent", self.get_option("percent"), least=1)
        if percent > 100:
            raise AnsibleLookupError(f"percent must be 100 or less, it is {percent}.")
        if growth == "percent" and of is None:
            raise AnsibleLookupError("growth=percent needs of: the number of instances, for example groups.x | length.")
        of = None if of is None else _whole_number("of", of, least=0)
        try:
            limit = parallel_limit(update_policy(self.get_option))
        except PolicyError as refusal:
            raise AnsibleLookupError(str(refusal)) from refusal
        return batch_sizes(limit, canary=canary, batch_max=batch_max, growth=growth, percent=percent, of=of)


def _only_reads_the_playbook() -> bool:
    """Whether Ansible only reads the playbook and runs no task."""
    return any(context.CLIARGS.get(flag) for flag in ("syntax", "listtasks", "listtags"))


def _whole_number(name: str, value: Any, *, least: int) -> int:
    """``value`` as an integer of ``least`` or more; AnsibleLookupError says what it must be."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = int(value)
    elif isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        try:
            number = int(value)
        except ValueError:
            number = None
    if number is None or number < least:
        raise AnsibleLookupError(f"{name} must be a whole number of {least} or more, it is {value!r}.")
    return number
