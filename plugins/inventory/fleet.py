# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory plugin: the fleet's instances as hosts, found through the history of rollouts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.1.0
short_description: The instances of a fleet as hosts
description:
  - Makes a host of each instance that took part in the newest rollouts, with its id, status, result and bundle as host
    variables and groups. The name of the file should end in C(.fleet.yml) or C(.fleet.yaml). Any other YAML file whose
    O(plugin) is V(fleetops.agents.fleet) is read too, unless the whole file is encrypted.
  - The API has no list of instances. B(An instance that never took part in a rollout is invisible to the API) and must
    be listed in O(instances). The same applies to an instance that took part in none of the rollouts that are read
    (O(rollouts) and O(instance_rollouts)).
  - An instance that was taken out of service stays in the inventory until the rollouts that name it are no longer read.
    With O(enrich) it is in the group C(fleetops_gone).
  - Values from the server are never evaluated as templates.
  - If the inventory cannot be read, Ansible stops with an error, as with C(any_unparsed_is_failed=true) in the section
    C([inventory]) of C(ansible.cfg). With C(any_unparsed_is_failed=false) there, it continues without these hosts.
options:
  plugin:
    description: Must be V(fleetops.agents.fleet).
    type: str
    required: true
    choices: [fleetops.agents.fleet]
  rollouts:
    description:
      - How many of the newest fleet rollouts to read. Rollouts of single instances do not count.
      - With V(0) and O(instance_rollouts=0) nothing is read, and the hosts are those in O(instances).
    type: int
    default: 5
    env:
      - name: FLEETOPS_INVENTORY_ROLLOUTS
  instance_rollouts:
    description:
      - How many of the newest rollouts of single instances to read in addition. They contain the latest status of
        instances that were redeployed individually, as a rolling redeploy does.
      - If there is no fleet rollout in the history, the instances are found through them.
    type: int
    default: 50
    env:
      - name: FLEETOPS_INVENTORY_INSTANCE_ROLLOUTS
  instances:
    description:
      - Instances by name, as C(name) to C(id), or C(name) to a dictionary of C(instance_id) and further host variables.
      - The name takes precedence over the one from the API for the same id. UUIDs are compared without regard to case,
        and the server's spelling is used.
      - An id must be text. Write it in quotes, since YAML reads some ids as a number, a date or a boolean, which are
        refused.
      - In the environment variable, write it as JSON.
    type: raw
    default: {}
    env:
      - name: FLEETOPS_INVENTORY_INSTANCES
  enrich:
    description:
      - Which further data to read, with one call for each instance and item.
      - V(updates) reads the current and the available version, V(health) the stored health.
    type: list
    elements: str
    choices: [updates, health]
    default: []
    env:
      - name: FLEETOPS_INVENTORY_ENRICH
  workers:
    description: The number of concurrent calls.
    type: int
    default: 8
    env:
      - name: FLEETOPS_INVENTORY_WORKERS
  on_partial:
    description:
      - What to do when something is missing or contradictory, for example a rollout that cannot be read, a timeline
        with fewer rows than the rollout has targets, or a target that names no instance.
      - V(fail) is an error that names what is missing. V(warn) shows one warning and uses the hosts that were found.
      - An incomplete result is never cached.
    type: str
    choices: [fail, warn]
    default: fail
    env:
      - name: FLEETOPS_INVENTORY_ON_PARTIAL
  hostname:
    description:
      - How hosts are named.
      - With V(name), it is the name in O(instances), or else the host name from the API. If several instances have the
        same name, the first 8 characters of the id are appended. Without a valid name, it is C(instance-) and these 8
        characters.
      - With V(id), it is the id of the instance.
      - It is an error if an inventory that was read before this one has a host of the same name with another
        C(fleetops_instance_id).
    type: str
    choices: [name, id]
    default: name
    env:
      - name: FLEETOPS_INVENTORY_HOSTNAME
  strict:
    description:
      - Whether an entry of O(compose), O(groups) or O(keyed_groups) that fails for a host is an error.
      - If a host has no value for an entry, it is added to no group and its composed variable is null. This is not an
        error. No value means null, an empty text, or a variable that only other hosts have.
    type: bool
    default: true
    env:
      - name: FLEETOPS_INVENTORY_STRICT
notes:
  - The host variables are C(fleetops_instance_id), C(fleetops_hostname), C(fleetops_status),
    C(fleetops_last_result), C(fleetops_bundle_hash), C(fleetops_last_rollout_id) and C(fleetops_last_completed_at);
    with O(enrich) also C(fleetops_gone), C(fleetops_update_available), C(fleetops_runtime_version),
    C(fleetops_available_version) and C(fleetops_health). Unknown values are null.
  - All hosts are in the group C(fleetops_instances). Further groups are C(fleetops_status_<status>),
    C(fleetops_last_result_<result>), C(fleetops_bundle_<first 12 of the hash>), and with O(enrich)
    C(fleetops_update_available), C(fleetops_health_<status>) and C(fleetops_gone).
  - These groups are fast. O(compose), O(groups) and O(keyed_groups) evaluate templates for each host, which takes about
    40 seconds for 2,000 hosts with five entries, even with a filled cache.
  - O(api_url), O(api_key) and O(ca_path) may be templates in the inventory file, with extra variables and lookups.
    Other options are not templated.
  - Caching needs a persistent cache plugin, for example O(cache_plugin=ansible.builtin.jsonfile).
    The cache never contains the API key. C(ansible-playbook --flush-cache) ignores it and reads from the API.
extends_documentation_fragment:
  - fleetops.agents.connection.plugins
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
"""

EXAMPLES = r"""
# A minimal file. The address and the key come from FLEETOPS_API_URL and FLEETOPS_API_KEY.
plugin: fleetops.agents.fleet

---
# With a cache, versions, and instances that no rollout has included yet.
plugin: fleetops.agents.fleet
api_url: https://fleet.example.com
enrich: [updates]
instances:
  billing-new: "3f0c1f6e-1f0e-4a56-9a51-0c8d5b1c7f11"
  billing-lab:
    instance_id: "8a7d2f0c-77c1-4c5e-8f3e-0d4f3f3b2a10"
    owner: lab
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/fleetops-inventory
cache_timeout: 600
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible import constants, template
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable

# Since ansible-core 2.19 (data tagging), only trusted text is a template. In 2.18 it must be marked as unsafe.
inert: Callable[[Any], Any] | None = None
if not hasattr(template, "trust_as_template"):
    from ansible.utils.unsafe_proxy import wrap_var

    inert = wrap_var

from ..module_utils._client.client import SettingsError
from ..module_utils._client.pool import in_one_phrase
from ..module_utils._client.transport import base_url
from ..module_utils._module.options import open_client
from ..module_utils._rules.printable import printable, printable_values
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._inventory.addresses import note_server
from ..plugin_utils._inventory.discovery import Instance
from ..plugin_utils._inventory.groups import ConstructedOfKnown
from ..plugin_utils._inventory.hosts import (
    Given,
    Host,
    given_instances,
    groups_of,
    hosts_of,
    other_instances,
    with_given,
)
from ..plugin_utils._inventory.reading import Fleet, enrich, read_fleet
from ..plugin_utils._inventory.unread import reading

_FILE_ENDINGS = (".fleet.yml", ".fleet.yaml")
_TEMPLATES = ("api_url", "api_key", "ca_path")
_ENRICHMENTS = ("updates", "health")
# Increase this number when the format of the cached record changes. Records with another number are ignored.
_CACHE_VERSION = 1


class InventoryModule(StrictOptions, BaseInventoryPlugin, ConstructedOfKnown, Cacheable):
    """Options, cache and Ansible's inventory object. The rest is in plugin_utils/_inventory/."""

    NAME = "fleetops.agents.fleet"

    def verify_file(self, path: str) -> bool:
        """For a file that is declined, Ansible would only warn, continue without hosts and end with exit code 0."""
        if not super().verify_file(path):
            return False
        return str(path).endswith(_FILE_ENDINGS) or (
            str(path).endswith((".yml", ".yaml"))
            and _names_plugin(Path(path).read_text(encoding="utf-8-sig", errors="replace"))
        )

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read everything before adding hosts, so that a failure adds no hosts."""
        with reading(path):
            try:
                self._parse(inventory, loader, path, cache)
            except Exception:
                _stop_at_this_source()
                raise

    def _parse(self, inventory: Any, loader: Any, path: str, cache: bool) -> None:
        super().parse(inventory, loader, path)
        self._resolve_templates(self._read_config_data(path))
        try:
            self._check_options()
            given = given_instances(self.get_option("instances"))
            hosts = self._hosts(given, use_cache=cache)
            self._refuse_other_instances(hosts)
        except (SettingsError, ValueError) as bad:
            raise AnsibleParserError(f"The fleet's inventory {path} cannot be used: {bad}") from bad
        except ImportError as missing:
            raise AnsibleParserError(str(missing)) from missing
        names = [host.name for host in hosts]
        note_server(path, names, api_url=self.get_option("api_url"), api_key=str(self.get_option("api_key")))
        self._add(hosts)

    def _resolve_templates(self, config: dict[str, Any]) -> None:
        """Evaluate templates in the connection options of the file, whose author is trusted like that of a playbook."""
        self.templar.available_variables = self._vars or {}
        for name in _TEMPLATES:
            if name in config and self.templar.is_template(config[name]):
                self.set_option(name, self.templar.template(config[name]))

    def _check_options(self) -> None:
        for name, least in (("rollouts", 0), ("instance_rollouts", 0), ("workers", 1)):
            if self.get_option(name) < least:
                raise ValueError(f"{name} must be {least} or more, it is {self.get_option(name)}")
        unknown = [what for what in self.get_option("enrich") if what not in _ENRICHMENTS]
        if unknown:
            raise ValueError(f"enrich may contain {' and '.join(_ENRICHMENTS)}, not {unknown[0]!r}")

    def _hosts(self, given: dict[str, Given], *, use_cache: bool) -> list[Host]:
        instances, problems = self._instances(given, use_cache=use_cache)
        hosts, contradictions = hosts_of(
            with_given(instances, given),
            given,
            by_id=self.get_option("hostname") == "id",
            enriched=self.get_option("enrich"),
            taken=list(self.inventory.groups),
        )
        problems = problems + contradictions
        if not hosts and problems:
            raise ValueError(f"no instance was found. {_sentence(problems)}.")
        if not hosts:
            raise ValueError(
                "no instance was found in the history of rollouts. Name the instances under instances: (name: id), or "
                "start a fleet rollout, which makes them known."
            )
        if problems and self.get_option("on_partial") == "fail":
            raise ValueError(
                f"it would be incomplete. {_sentence(problems)}. No host was added; on_partial: warn would keep "
                f"the {len(hosts)} found."
            )
        if problems:
            self.display.warning(
                f"The fleet's inventory is incomplete: it has only {len(hosts)} hosts. {_sentence(problems)}."
            )
        return hosts

    def _refuse_other_instances(self, hosts: list[Host]) -> None:
        """Refuse a host that is another instance in an inventory that was read before, whose id would be replaced."""
        known = {name: host.vars.get("fleetops_instance_id") for name, host in self.inventory.hosts.items()}
        if clashes := other_instances(hosts, known):
            raise ValueError(
                f"{_sentence(clashes)}. No host of this inventory was added. Use the inventories in separate runs, "
                "or give its hosts other names, with hostname: id, or one by one under instances."
            )

    def _instances(self, given: dict[str, Given], *, use_cache: bool) -> tuple[list[Instance], list[str]]:
        """From the cache, or else from the API. Only a complete result is cached."""
        if not self.get_option("cache"):
            return self._read(given)
        key = self._record_key(given)
        cached = self._cached(key) if use_cache else None
        if cached is not None:
            return cached, []
        instances, problems = self._read(given)
        if instances and not problems:
            self._cache[key] = {
                "version": _CACHE_VERSION,
                "fields": list(Instance._fields),
                "rows": [list(instance) for instance in instances],
            }
        return instances, problems

    def _read(self, given: dict[str, Given]) -> Fleet:
        wanted = self.get_option("enrich")
        fleets, singles, workers = map(self.get_option, ("rollouts", "instance_rollouts", "workers"))
        repeats: list[str] = []
        client = open_client(self.get_option, read_only=True, on_repeat=repeats.append)
        try:
            fleet = read_fleet(client, fleet=fleets, single=singles, workers=workers)
            # Make no call for each instance if the result will be refused.
            if wanted and not (fleet.problems and self.get_option("on_partial") == "fail"):
                more = enrich(
                    client,
                    with_given(fleet.instances, given),
                    updates="updates" in wanted,
                    health="health" in wanted,
                    workers=workers,
                )
                fleet = Fleet(more.instances, fleet.problems + more.problems)
        finally:
            client.close()
        for repeat in repeats:
            self.display.v(printable(repeat))
        return fleet

    def _cached(self, key: str) -> list[Instance] | None:
        try:
            record = self._cache.get(key)
            if not isinstance(record, dict) or record.get("version") != _CACHE_VERSION:
                return None
            if record.get("fields") != list(Instance._fields):
                return None
            return [Instance._make(row) for row in record["rows"]]
        except Exception as damaged:  # noqa: BLE001 - Ansible's cache plugins do not check what they read
            self.display.warning(
                "The inventory's cache cannot be read, so the fleet is read from the server: "
                f"{type(damaged).__name__}, {damaged}"
            )
            return None

    def _record_key(self, given: dict[str, Given]) -> str:
        """The cache key: the server, the credentials and the options. The API key is only part of the digest."""
        wanted = sorted(self.get_option("enrich"))
        parts = [
            base_url(self.get_option("api_url")),
            str(self.get_option("api_key")),
            sorted((str(k), str(v)) for k, v in (self.get_option("extra_headers") or {}).items()),
            self.get_option("rollouts"),
            self.get_option("instance_rollouts"),
            wanted,
            sorted(given) if wanted else [],
        ]
        return "fleetops_agents_fleet_" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _add(self, hosts: list[Host]) -> None:
        inventory = self.inventory
        groups = groups_of(hosts)
        for group in sorted(groups):
            inventory.add_group(group)
        for name, of_api, given in hosts:
            inventory.add_host(name)
            for variable, value in printable_values(of_api).items():
                inventory.set_variable(name, variable, value if inert is None else inert(value))
            for variable, value in given.items():
                inventory.set_variable(name, variable, value)
        for group in sorted(groups):
            for name in groups[group]:
                inventory.add_child(group, name)
        self._construct([host.name for host in hosts])


def _names_plugin(text: str) -> bool:
    """Whether a file names this plugin under ``plugin``. One that mentions it and is not valid YAML counts as well."""
    if InventoryModule.NAME not in text:
        return False
    try:
        top = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return True
    entries = top.value if isinstance(top, yaml.MappingNode) else []
    return any((key.value, value.value) == ("plugin", InventoryModule.NAME) for key, value in entries)


def _stop_at_this_source() -> None:
    """Make Ansible end with an error, as with any_unparsed_is_failed=true.

    By default it would continue without these hosts and end with exit code 0, for any play and for ansible-inventory.
    A value that the user has set is kept. The playbooks of this collection then stop by themselves (unread.py).
    """
    name = "INVENTORY_ANY_UNPARSED_IS_FAILED"
    if constants.config.get_config_value_and_origin(name)[1] == "default":
        setattr(constants, name, True)


def _sentence(problems: list[str]) -> str:
    """The first problems and the number of further ones, as a sentence."""
    return printable(in_one_phrase([problem.rstrip(". ") for problem in problems]))
