# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: the names of the hosts that match the patterns that order a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_order
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: The hosts that match the patterns that order a plan
description:
  - Resolves the patterns of C(fleetops_canary_hosts), C(fleetops_waves) and C(fleetops_share_by) to the names of hosts
    of the play, as needed by M(fleetops.agents.rollout_plan). The server is not called.
  - If a pattern matches no host of the inventory, C(problem) in the result says so. A wave whose pattern matches hosts
    of the inventory, but none of the play, is not a problem.
options:
  canary_hosts:
    description: A hosts pattern.
    type: str
    default: ""
  waves:
    description:
      - A list of hosts patterns, or of mappings with C(hosts) (a pattern), and optionally C(name), C(limit), C(soak)
        and C(gate), see C(waves) of M(fleetops.agents.rollout_plan). Also as JSON text, or as patterns separated
        by commas.
    type: raw
  share_by:
    description:
      - The name of a host variable, each value of which is a group, or the names of inventory groups separated by
        commas. All other hosts form one more group.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Plan the redeploy of internal instances first, then of those in Europe, then of the rest
  fleetops.agents.rollout_plan:
    instances: "{{ lookup('fleetops.agents.run_state', 'instances') }}"
    waves: "{{ lookup('fleetops.agents.plan_order', waves=['internal', {'hosts': 'eu', 'limit': 2}]).waves }}"
  run_once: true
"""

RETURN = r"""
_raw:
  description:
    - C(instances) maps the names of the play's hosts that have not failed to their ids, in the order of the inventory.
      C(canary_hosts) is a list of names, null without a pattern, and empty if none of these hosts is in this run.
      C(waves) has names as C(hosts). C(share_groups) maps each name to its group. C(problem) is a sentence, or empty.
  type: list
  elements: dict
  sample:
    - instances: {agent-002: 9b1c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, agent-001: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10}
      canary_hosts: [agent-001]
      waves: []
      share_groups: {}
      problem: ""
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._lookups.patterns import order_of_patterns


class LookupModule(StrictOptions, LookupBase):
    """Reads the options. The patterns are resolved in plugin_utils/_lookups/patterns.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("The lookup fleetops.agents.plan_order takes options only, for example waves.")
        asked = {name: self.get_option(name) for name in ("canary_hosts", "waves", "share_by")}
        return [order_of_patterns(self._loader, variables or {}, **asked)]
