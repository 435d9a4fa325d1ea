# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: the values given to a playbook or a role, with defaults for blank ones."""

from __future__ import annotations

DOCUMENTATION = r"""
name: given
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: Values of variables, with defaults for those that are blank
description:
  - Reads variables by name. A variable that is undefined, null or an empty text counts as not given, and its default is
    returned. An unanswered question of a survey thus has no effect.
  - A blank extra variable does not override a value of the inventory. A task gets the value of the inventory, or else
    the default.
  - A value is converted to the type of its default, which is a boolean, an integer, a float, a list of texts or a text.
    If that is not possible, the error names the variable. If the default is null, the value is returned unchanged.
  - A text variable must be text. With ansible-core 2.19 and newer, the answer C(0012345) to a survey question of AWX is
    converted to the number 5349. This is an error, because the original text is lost. Write such an answer in quotes,
    C("0012345"). The quotes are removed.
options:
  _terms:
    description:
      - Dictionaries of names and defaults, or names of roles of this collection, whose C(defaults/main.yml) is used.
    type: list
    elements: raw
    required: true
  playbook:
    description: Names and values that a playbook sets. They take precedence over the inventory and the defaults.
    type: dict
    default: {}
  times:
    description: Names of text variables that are times. For these, a date that YAML has converted is also accepted,
      since it is unambiguous.
    type: list
    elements: str
    default: []
  of_run:
    description:
      - Like the terms, for variables that apply to all hosts of the play. It is an error if the inventory has different
        values of one of them, since only that of the first host would be used. A play on localhost is compared with the
        hosts of the group C(fleetops_instances).
      - If it is not empty, the values of the terms are also checked for all hosts of the play.
    type: list
    elements: raw
    default: []
    version_added: 0.2.0
  problem:
    description: Whether to return, instead of the values, a dictionary whose key C(problem) has a sentence about the
      first variable with an invalid value, or an empty text if all values are valid. A role can fail with it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Restart an agent
  fleetops.agents.instance_power_cycle:
    instance_id: "{{ fleetops_instance_id }}"
    min_uptime: "{{ asked.restart_min_uptime }}"
    only_if_unhealthy: "{{ asked.restart_only_if_unhealthy }}"
  vars:
    asked: "{{ lookup('fleetops.agents.given', {'restart_min_uptime': 600, 'restart_only_if_unhealthy': true}) }}"

- name: Show the values that the role would use
  ansible.builtin.debug:
    msg: "{{ lookup('fleetops.agents.given', 'instance_recover') }}"
"""

RETURN = r"""
_raw:
  description: One dictionary of all names and their values, or with O(problem) one with the key C(problem).
  returned: always
  type: list
  elements: dict
  sample:
    - {restart_min_uptime: 600, restart_only_if_unhealthy: true}
"""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.template import Templar

from ..module_utils._rules.plain_values import is_blank
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._lookups.given import GivenError, of_inventory, typed

_ROLES = Path(__file__).resolve().parents[2] / "roles"


class LookupModule(StrictOptions, LookupBase):
    """Finds the value of each variable. The conversion is in plugin_utils/_lookups/given.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        variables = variables or {}
        of_playbook, self._times = self.get_option("playbook"), set(self.get_option("times"))
        self._inventory: dict[str, Any] | None = None
        found = {}
        try:
            of_run = self._defaults(self.get_option("of_run"))
            defaults = self._defaults(terms) | of_run
            for name, default in defaults.items():
                found[name] = self._value(name, default, of_playbook, variables)
            if of_run:
                self._check_hosts(defaults, of_run, variables)
        except GivenError as bad:
            if self.get_option("problem"):
                return [{"problem": str(bad)}]
            raise AnsibleLookupError(str(bad)) from None
        return [{"problem": ""} if self.get_option("problem") else found]

    def _defaults(self, terms: list[Any]) -> dict[str, Any]:
        roles = (term if isinstance(term, Mapping) else self._role(term) for term in terms)
        return {str(name): default for role in roles for name, default in role.items()}

    def _role(self, name: Any) -> dict[str, Any]:
        path = _ROLES / str(name) / "defaults" / "main.yml"
        if not path.is_file():
            raise AnsibleLookupError(f"The lookup fleetops.agents.given knows no role {name!r} of this collection.")
        # unsafe=True returns the object in Ansible's cache and not a copy, since the values are only read.
        return self._loader.load_from_file(str(path), unsafe=True) or {}

    def _value(self, name: str, default: Any, of_playbook: Mapping[str, Any], variables: dict[str, Any]) -> Any:
        default = self._templar.template(default)
        value = self._templar.template(variables.get(name))
        if is_blank(value):
            value = of_playbook.get(name)
        if is_blank(value) and name in variables:
            value = self._templar.template(self._of_inventory(variables).get(name))
        if is_blank(value):
            return default
        return self._typed(name, value, default)

    def _typed(self, name: str, value: Any, default: Any) -> Any:
        if name in self._times and isinstance(value, date):
            return value.isoformat()
        return typed(name, value, default)

    def _check_hosts(self, defaults: dict[str, Any], of_run: Iterable[str], variables: dict[str, Any]) -> None:
        """Raise GivenError for an invalid value of a host in the inventory, or for several values of one in ``of_run``.

        A value that an extra variable or the play overrides is not checked.
        """
        extra, first = variables["hostvars"]._variable_manager.extra_vars, variables["inventory_hostname"]
        hosts, others = variables["ansible_play_hosts_all"], []
        advice = "Run the playbook once for each value, with its hosts in fleetops_hosts or --limit"
        if first == "localhost":
            # The run is for the whole fleet.
            others = variables["groups"].get("fleetops_instances", [])
            advice = "Set it for all hosts (in group_vars/all.yml)"
        names, given = [name for name in defaults if is_blank(extra.get(name))], {}
        for host in [*hosts, *others]:
            own = of_inventory(variables, host)
            # Templates may use variables of the play, such as ansible_check_mode.
            templar = Templar(self._loader, {**variables, **own, **extra})
            values = {name: templar.template(own[name]) for name in (of_run if others else names) if name in own}
            given[host] = {name: value for name, value in values.items() if not is_blank(value)}
        for name in names:
            default, value = self._templar.template(defaults[name]), self._templar.template(variables.get(name))
            if not is_blank(value) and value != given[first].get(name, default):
                # The play sets it.
                continue
            for host in (host for host in hosts if name in given[host]):
                try:
                    self._typed(name, given[host][name], default)
                except GivenError as bad:
                    raise GivenError(f"{host}: {bad}") from None
            for host, found in given.items():
                if name in of_run and found.get(name) != given[first].get(name):
                    raise GivenError(
                        f"{name} applies to the whole run, but the inventory has another value for {host} than for "
                        f"{first}. {advice}, or give one value as an extra variable (-e). Nothing was done."
                    )

    def _of_inventory(self, variables: dict[str, Any]) -> dict[str, Any]:
        if self._inventory is None:
            self._inventory = of_inventory(variables)
        return self._inventory
