# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: the hosts patterns of a plan's order as names of hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_order
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: The hosts of the patterns that order a plan
description:
  - Turns the patterns of C(fleetops_canary_hosts), C(fleetops_waves) and C(fleetops_share_by) into names of hosts of
    the play, as M(fleetops.agents.rollout_plan) takes them. The server is not asked.
  - A pattern that matches no host of the inventory is a problem, which the result names. A pattern of a wave that
    matches hosts of the inventory, but none of the play, is not.
options:
  canary_hosts:
    description: A hosts pattern.
    type: str
    default: ""
  waves:
    description:
      - A list of hosts patterns, or of mappings with C(hosts) (a pattern), and optionally C(name), C(limit), C(soak)
        and C(gate), see O(fleetops.agents.rollout_plan#module:waves). Also its JSON text, or patterns with commas
        between them.
    type: raw
  share_by:
    description:
      - The name of a variable of the hosts, each value of which makes a group, or names of inventory groups with commas
        between them. Hosts without it are one more group.
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
    - C(instances), the hosts of the play in the order of the inventory, names to ids. C(canary_hosts), names.
      C(waves), with names as C(hosts). C(share_groups), the group of each host. C(problem), a sentence, or an empty
      text.
  type: list
  elements: dict
  sample:
    - instances: {agent-002: 9b1c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, agent-001: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10}
      canary_hosts: [agent-001]
      waves: []
      share_groups: {}
      problem: ""
"""

import json
from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.fleetops.agents.plugins.module_utils._rules.order import waves_of
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.given import is_blank
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.patterns import inventory_of

_ID = "fleetops_instance_id"
_WITHOUT = "the rest"


class LookupModule(LookupBase):
    """Resolves the patterns. What they are good for is in plugins/module_utils/_rules/order.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        self._variables = variables or {}
        self._in_play = set(self._variables.get("ansible_play_hosts_all", []))
        self._inventory = inventory_of(self._loader, self._variables.get("groups", {}))
        found: dict[str, Any] = {"canary_hosts": [], "waves": [], "share_groups": {}, "problem": ""}
        found["instances"] = self._instances()
        try:
            canary, share_by = self.get_option("canary_hosts"), self.get_option("share_by")
            if not is_blank(canary):
                found["canary_hosts"] = self._hosts("canary_hosts", canary)
                if not found["canary_hosts"]:
                    raise ValueError(f"canary_hosts is {canary!r}, and none of these hosts is in this run")
            found["waves"] = [
                {
                    "name": wave.name,
                    "hosts": list(wave.hosts),
                    "limit": wave.limit,
                    "soak": wave.soak,
                    "gate": wave.gate,
                }
                for wave in waves_of(self._waves(), lambda pattern: self._hosts("waves", pattern))
            ]
            if not is_blank(share_by):
                found["share_groups"] = self._groups(share_by.strip())
        except ValueError as problem:
            found["problem"] = f"There is no plan: {problem}."
        return [found]

    def _instances(self) -> dict[str, Any]:
        hostvars = self._variables.get("hostvars", {})
        names = [host.name for host in self._inventory.get_hosts("all") if host.name in self._in_play]
        return {name: hostvars[name][_ID] for name in names if _ID in hostvars[name]}

    def _waves(self) -> Any:
        given = self.get_option("waves")
        if is_blank(given):
            return []
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith(("[", "{")):
            try:
                return json.loads(given)
            except ValueError:
                raise ValueError("waves is no JSON, although it begins like that") from None
        return [part.strip() for part in given.replace("\n", ",").split(",") if part.strip()]

    def _hosts(self, name: str, pattern: str) -> list[str]:
        """The hosts of the play that a pattern matches. Raises ValueError if the inventory has none."""
        matched = [host.name for host in self._inventory.get_hosts(pattern)]
        if not matched:
            raise ValueError(f"{name} is {pattern!r}, which matches no host of the inventory")
        return [host for host in matched if host in self._in_play]

    def _groups(self, share_by: str) -> dict[str, str]:
        groups = self._variables.get("groups", {})
        named = [part.strip() for part in share_by.split(",") if part.strip()]
        if all(name in groups for name in named):
            of_group = [(host, name) for name in named for host in groups[name]]
            label = dict(reversed(of_group))
            return {host: label.get(host, _WITHOUT) for host in self._in_play}
        hostvars = self._variables["hostvars"]
        values = {host: hostvars[host].get(share_by) for host in self._in_play}
        if all(is_blank(value) for value in values.values()):
            raise ValueError(f"share_by is {share_by!r}, which is neither a variable of the hosts nor names of groups")
        return {host: _WITHOUT if is_blank(value) else str(value) for host, value in values.items()}
