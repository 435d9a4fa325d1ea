# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: what a caller gave to a playbook or a role, with defaults for what was left blank."""

from __future__ import annotations

DOCUMENTATION = r"""
name: given
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: The variables that were given, and defaults for those that were left blank
description:
  - Reads variables by their names. One that is undefined, null or an empty text was not given and gets its default. So
    a question of a survey that nobody answered is the same as no question.
  - An extra variable that is blank hides no value of the inventory. A task gets that value, then the default.
  - A value gets the type of its default - a truth value, a whole number, a number, a list of texts or a text. One that
    does not fit is an error that names the variable. With the default null every value is taken as it is.
  - A text must arrive as text. With ansible-core 2.19 and newer, AWX's answer C(0012345) to a question for text arrives
    as the number 5349. It is refused, because the text that was written is lost by then. Such an answer is written in
    quotes, C("0012345"), which are taken off.
options:
  _terms:
    description:
      - Mappings of names to defaults, or names of roles of this collection, whose C(defaults/main.yml) is such a
        mapping.
    type: list
    elements: raw
    required: true
  playbook:
    description: Names and values that a playbook sets. They go before the inventory and before the defaults.
    type: dict
    default: {}
  times:
    description: Names of texts that are times. A date that YAML has read as one is taken, too; it is not ambiguous.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Restart an agent
  fleetops.agents.instance_power_cycle:
    instance_id: "{{ fleetops_instance_id }}"
    min_uptime: "{{ asked.restart_min_uptime }}"
    only_if_unhealthy: "{{ asked.restart_only_if_unhealthy }}"
  vars:
    asked: "{{ lookup('fleetops.agents.given', {'restart_min_uptime': 600, 'restart_only_if_unhealthy': true}) }}"

- name: Show what the role would take
  ansible.builtin.debug:
    msg: "{{ lookup('fleetops.agents.given', 'instance_recover') }}"
"""

RETURN = r"""
_raw:
  description: One mapping of all names to their values.
  returned: always
  type: list
  elements: dict
  sample:
    - {restart_min_uptime: 600, restart_only_if_unhealthy: true}
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.given import GivenError, is_blank, typed

_ROLES = Path(__file__).resolve().parents[2] / "roles"


class LookupModule(LookupBase):
    """Room of the lookup; what a value must be is in plugin_utils/_given.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        variables = variables or {}
        of_playbook = kwargs.get("playbook") or {}
        self._times = set(kwargs.get("times") or [])
        self._inventory: dict[str, Any] | None = None
        found = {}
        for term in terms:
            for name, default in (term if isinstance(term, Mapping) else self._role(term)).items():
                found[str(name)] = self._value(str(name), default, of_playbook, variables)
        return [found]

    def _role(self, name: Any) -> dict[str, Any]:
        path = _ROLES / str(name) / "defaults" / "main.yml"
        if not path.is_file():
            raise AnsibleLookupError(f"The lookup fleetops.agents.given knows no role {name!r} of this collection.")
        return self._loader.load_from_file(str(path)) or {}

    def _value(self, name: str, default: Any, of_playbook: Mapping[str, Any], variables: dict[str, Any]) -> Any:
        default = self._templar.template(default)
        value = self._templar.template(variables.get(name))
        if is_blank(value):
            value = of_playbook.get(name)
        if is_blank(value) and name in variables:
            value = self._templar.template(self._of_inventory(variables).get(name))
        if is_blank(value):
            return default
        if name in self._times and isinstance(value, date):
            return value.isoformat()
        try:
            return typed(name, value, default)
        except GivenError as bad:
            raise AnsibleLookupError(str(bad)) from None

    def _of_inventory(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The host's variables without the extra ones, which hide them; none where there is no host, as in serial."""
        if self._inventory is None:
            self._inventory = {}
            hostvars, host = variables.get("hostvars"), variables.get("inventory_hostname")
            manager = getattr(hostvars, "_variable_manager", None)
            if manager is not None and host:
                # Not copy.copy: the manager's own way to be copied leaves out its loader.
                bare = object.__new__(type(manager))
                vars(bare).update(vars(manager), _extra_vars={})
                found = hostvars._inventory.get_host(host)
                self._inventory = bare.get_vars(host=found, include_hostvars=False) if found is not None else {}
        return self._inventory
