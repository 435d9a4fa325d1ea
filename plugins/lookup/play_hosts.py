# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: the hosts of a play that must fail, and not be skipped, if no host matches."""

from __future__ import annotations

DOCUMENTATION = r"""
name: play_hosts
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: The hosts pattern of a play that fails if no host matches
description:
  - Ansible skips a play whose pattern matches no host and ends with exit code 0. A mistyped name, an inventory that
    could not be read, or an empty fleet then look like a successful run. With this lookup in C(hosts), the run fails
    instead.
  - It returns the pattern, unless no host matches it within C(--limit), or the pattern or the limit names no host at
    all. It does not return the pattern either if one of the names in it or in the limit (also in its file,
    C(--limit @FILE)) matches nothing, or if an inventory file of the plugin P(fleetops.agents.fleet#inventory) could
    not be read.
  - In these cases it returns C(localhost), where the first task of the play should fail with the message that
    O(refusal) returns. C(ansible-playbook) then ends with exit code 2.
  - The same applies if a name after C(!) or C(&) in the pattern or the limit is neither a host nor a group. Ansible
    only warns about C(agents:!agnet-007) and takes the host that should be left out. Wildcards and regular expressions
    may match nothing, and a group may be empty. A group of the inventory plugin, such as C(fleetops_gone), need not
    exist, because the plugin has no group without a host.
  - A C(fleetops_hosts) that includes C(localhost), such as C(all) if the inventory contains that host, is refused too,
    because C(localhost) is not an instance.
  - If C(--limit) excludes C(localhost), no task can run. In this case the lookup itself fails, before anything is done.
    C(ansible-playbook) ends with exit code 4, and with 1 on ansible-core 2.18.
  - If C(--tags) or C(--skip-tags) leave out every task of a playbook of this collection, no task can run either, and
    the lookup fails in the same way. The same applies to C(--start-at-task) and C(--step), because each task needs the
    results of the ones before it.
  - An extra variable of a playbook of this collection whose name begins with C(fleetops_), and which no playbook and no
    role has, is refused, because a mistyped name would have no effect. The same applies to such a name in upper case,
    with hyphens or with a misspelled prefix.
  - The variable C(ansible_limit) is refused unless Ansible has set it from C(--limit), because it has no effect. The
    run would act on other hosts. This also applies to a playbook that imports those of this collection.
  - Words of C(-e) that are not C(NAME=VALUE) are refused, also in a playbook that imports those of this collection.
    Ansible reads C(-e "fleetops_hosts= agents") as an empty variable and a word, so the run would act on all instances.
  - C(fleetops_api_url) and C(fleetops_api_key) are refused for the playbooks of this collection, unless they are equal
    to E(FLEETOPS_API_URL) and E(FLEETOPS_API_KEY), which the tasks of these playbooks use. An inventory file that was
    read from another address is warned about.
  - The run is also refused if the inventory sets C(fleetops_hosts), where it has no effect, unless these are the hosts
    of the play anyway.
  - A variable whose name is similar to that of a variable of a playbook or a role, but that none of them has, causes a
    warning. This applies to variables of the inventory, of a playbook that imports those of this collection, and of its
    command line. In the inventory, the first host and all groups are checked.
  - Tags, C(--start-at-task), C(--step) and extra variables are not checked if the playbook is imported into another
    one, which may have other tasks and variables.
  - With C(--syntax-check), C(--list-hosts), C(--list-tasks) and C(--list-tags) the pattern is always returned.
options:
  _terms:
    description:
      - The pattern, or several of them. The default is the variable C(fleetops_hosts), or C(fleetops_instances) if that
        is not set.
      - For V(localhost), the inventory is not checked. The playbooks of this collection that use it act on the whole
        tenant, so they are refused if C(fleetops_hosts) selects some instances.
    type: list
    elements: str
  refusal:
    description: Return the message that explains why the run is refused instead, or an empty text.
    type: bool
    default: false
  or_asked:
    description: If C(--limit) excludes the pattern, return the hosts that C(fleetops_hosts) selects.
    type: bool
    default: false
  ended:
    description: Fail if a run was not successful, but did not end with the exit code for that, because a condition
      (C(when)) of C(import_playbook) is false for C(localhost). C(ansible-playbook) then ends with exit code 4, and
      with 1 on ansible-core 2.18.
    type: bool
    default: false
    version_added: 0.2.0
notes:
  - C(hosts) is evaluated before there is a host, so only extra variables are used, not the variables of the inventory.
"""

EXAMPLES = r"""
- name: Run on the fleet
  hosts: "{{ lookup('fleetops.agents.play_hosts') }}"
  gather_facts: false
  connection: local
  tasks:
    - name: Fail if there is no host
      ansible.builtin.fail:
        msg: "{{ lookup('fleetops.agents.play_hosts', refusal=true) }}"
      when: lookup('fleetops.agents.play_hosts', refusal=true) | length > 0
      run_once: true

- name: Set the tenant's policy, and fail if --limit excludes localhost
  hosts: "{{ lookup('fleetops.agents.play_hosts', 'localhost') }}"
  gather_facts: false
  tasks:
    - name: Allow four redeploys at once
      fleetops.agents.update_policy:
        max_parallel_rollouts: 4
"""

RETURN = r"""
_raw:
  description: The pattern, or the message.
  returned: always
  type: list
  elements: str
  sample: [fleetops_instances]
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.plugins.loader import filter_loader, test_loader
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

from ..module_utils._rules.plain_values import is_blank
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._inventory.addresses import warning_of_addresses
from ..plugin_utils._inventory.unread import unread_inventories
from ..plugin_utils._lookups.command_line import (
    SET_BY_PLAYBOOKS,
    is_all_of_collection,
    refusal_by_connection,
    refusal_by_limit,
    refusal_by_tasks,
    refusal_by_variables,
)
from ..plugin_utils._lookups.given import GivenError, of_inventory, text
from ..plugin_utils._lookups.mistyped import names_in_inventory, warning_of
from ..plugin_utils._lookups.patterns import (
    hosts_of_part,
    inventory_of,
    parts_of_limit,
    problem_of_parts,
    problem_of_pattern,
)
from ..plugin_utils._run_log.refused import tell_refused

_ROOT = Path(__file__).resolve().parents[2]
_FLEET = "fleetops_instances"
_LOCALHOST = "localhost"
_CONNECTION = ("fleetops_api_url", "fleetops_api_key")
_WHOLE = (_FLEET, "all")
_NOT_ENDED = (
    "The run was not successful: see its report. The task that fails for that did not run, because a condition (when) "
    "of import_playbook is false for localhost. It must be the same for all hosts. Select hosts with fleetops_hosts or "
    "--limit."
)


class LookupModule(StrictOptions, LookupBase):
    """Returns the pattern or the message, or fails."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        self._variables = variables or {}
        pattern = ",".join(map(str, terms)) if terms else self._asked()
        if self.get_option("or_asked") and not self._matches(pattern):
            pattern = self._asked()
        self._is_given = bool(terms)
        why = "" if _only_reads_the_playbook() else self._refusal(pattern)
        by_tasks = "" if _only_reads_the_playbook() else refusal_by_tasks(context.CLIARGS, _ROOT)
        if by_tasks:
            tell_refused(by_tasks)
            raise AnsibleLookupError(by_tasks)
        if self.get_option("ended") and self._is_not_ended():
            tell_refused(_NOT_ENDED)
            raise AnsibleLookupError(_NOT_ENDED)
        if self.get_option("refusal"):
            return [why or self._refusal_by_inventory("" if terms else pattern)]
        if not why:
            # There is no host yet: these are extra variables and those of the play, and of import_playbook.
            _warn_of("The run", set(map(str, self._variables)) - SET_BY_PLAYBOOKS)
            _warn_of_another_server()
            _load_what_tasks_use()
            return [pattern]
        if not (self._is_given and pattern == _LOCALHOST) and self._matches(_LOCALHOST):
            return [_LOCALHOST]
        tell_refused(why)
        raise AnsibleLookupError(why)

    def _is_not_ended(self) -> bool:
        """Whether a run was not successful, and its end did nothing. The roles keep this as a fact of localhost."""
        hostvars = self._variables.get("hostvars")
        return hostvars is not None and hostvars[_LOCALHOST].get("fleetops_run_ended") is False

    def _asked(self) -> str:
        given = self._templar.template(self._variables.get("fleetops_hosts"))
        if is_blank(given) and self.get_option("refusal"):
            # A blank extra variable does not override a value of the inventory.
            given = self._templar.template(of_inventory(self._variables).get("fleetops_hosts"))
        if is_blank(given):
            return _FLEET
        try:
            return ",".join(text("fleetops_hosts", one) for one in (given if isinstance(given, list) else [given]))
        except GivenError as bad:
            raise AnsibleLookupError(str(bad)) from None

    def _refusal(self, pattern: str) -> str:
        extra = load_extra_vars(self._loader)
        by_variables = refusal_by_variables(context.CLIARGS, _ROOT, extra) or refusal_by_limit(
            context.CLIARGS, extra, self._variables
        )
        if by_variables:
            return f"{by_variables} Nothing was done."
        if by_connection := refusal_by_connection(context.CLIARGS, _ROOT, self._connection(), os.environ):
            return f"{by_connection} Nothing was done."
        limit = self._variables.get("ansible_limit")
        if limit and not parts_of_limit(limit):
            return f"--limit {limit} names no host, and Ansible would then take all of them. Nothing was done."
        if not split_host_pattern(pattern):
            return f"fleetops_hosts is {pattern!r}, which names no host. Nothing was done."
        if not self._is_given and self._includes_localhost(pattern):
            return (
                f"fleetops_hosts is {pattern}, which includes localhost, and that is not an instance. Exclude it, for "
                "example with all:!localhost. Nothing was done."
            )
        within = f" within --limit {limit}" if limit else ""
        if pattern == _LOCALHOST:
            is_ours = is_all_of_collection(context.CLIARGS, _ROOT) and not self.get_option("or_asked")
            if is_ours and (asked := self._asked()) not in _WHOLE:
                return (
                    f"fleetops_hosts is {asked}, but this playbook acts on the whole tenant, also on its other "
                    "instances. Start it without that variable. Nothing was done."
                )
            if self._matches(pattern):
                return ""
            return f"This playbook runs on localhost, which is not{within}. Start it without --limit. Nothing was done."
        unread = unread_inventories()
        known = len(self._variables.get("groups", {}).get("all", []))
        problem, found = self._problem(pattern), False
        try:
            found = not problem and self._matches(pattern)
        except AnsibleError as refused:
            problem = f"fleetops_hosts is {pattern}, which cannot be used{within}: {refused}"
        if problem and known and not unread:
            return f"{problem}. Nothing was done."
        missing = self._unmatched(pattern) if found else []
        if found and not unread and not missing:
            return ""
        told = [f"Nothing to act on: no host matches {pattern}{within}."] if not found else []
        told += [f"No host matches {', '.join(missing)}, which is part of what was requested."] if missing else []
        told += [f"{reason.strip().rstrip('.')}." for reason in unread.values()]
        if found and unread:
            told.append("The hosts of the other inventories are only part of what was requested.")
        if known:
            told.append(f"The inventory has {known} host{'s' if known > 1 else ''}.")
        elif not unread:
            told.append("The inventory has no host: see Ansible's warnings about it, and the path after -i.")
        return " ".join([*told, "Nothing was done."])

    def _connection(self) -> dict[str, Any]:
        """The variables for the connection, without one whose template cannot be evaluated here."""
        found = {}
        for name in _CONNECTION:
            with contextlib.suppress(AnsibleError):
                found[name] = self._templar.template(self._variables.get(name))
        return found

    def _refusal_by_inventory(self, asked: str) -> str:
        """Why the run is refused because of a variable of its first host. Mistyped variables are only warned about.

        ``asked``: the pattern in fleetops_hosts, as the host has it; empty if the play has another.
        """
        hostvars, first = self._variables.get("hostvars"), self._variables.get("inventory_hostname")
        inventory = getattr(hostvars, "_inventory", None)
        if inventory is None or not first or first == _LOCALHOST:
            return ""
        taken = set(self._variables.get("ansible_play_hosts_all", []))
        if asked not in ("", *_WHOLE) and taken != {host.name for host in self._inventory().get_hosts(asked)}:
            return (
                f"fleetops_hosts is {asked} in the inventory, where it has no effect, because Ansible chooses the hosts"
                f" before it reads their variables: the run would act on {len(taken)} hosts. Give it as an extra "
                "variable (-e), or remove it from the inventory. Nothing was done."
            )
        _warn_of("The inventory", names_in_inventory(inventory, self._loader, first))
        return ""

    def _problem(self, pattern: str) -> str:
        """Why Ansible would not do what the hosts pattern or --limit says, as a sentence without the full stop.

        Empty if nothing is wrong with them, which does not mean that a host matches.
        """
        groups, limit = self._variables.get("groups", {}), self._variables.get("ansible_limit")
        if problem := problem_of_pattern(pattern, groups):
            return f"In fleetops_hosts {pattern}, {problem}"
        if limit and (problem := problem_of_pattern(limit, groups) or problem_of_parts(parts_of_limit(limit), groups)):
            return f"In --limit {limit}, {problem}"
        return ""

    def _unmatched(self, pattern: str) -> list[str]:
        """The parts of the hosts pattern and of --limit that match no host by themselves."""
        parts = split_host_pattern(pattern)
        limit = self._variables.get("ansible_limit")
        if limit:
            parts += parts_of_limit(limit)
        groups = self._variables.get("groups", {})
        known = {group for group, hosts in groups.items() if hosts} | set(groups.get("all", [])) | {_LOCALHOST}
        named = [part for part in dict.fromkeys(parts) if part[0] not in "!&" and part not in known]
        inventory = inventory_of(self._loader, groups) if named else None
        return [part for part in named if inventory is not None and not hosts_of_part(inventory, part)]

    def _includes_localhost(self, pattern: str) -> bool:
        known = self._variables.get("groups", {}).get("all", [])
        if _LOCALHOST not in known and _LOCALHOST not in split_host_pattern(pattern):
            return False
        with contextlib.suppress(AnsibleError):
            return any(host.name == _LOCALHOST for host in self._inventory().get_hosts(pattern))
        return False

    def _matches(self, pattern: str) -> bool:
        """Whether a host matches ``pattern`` within --limit, by Ansible's rules for patterns."""
        limit = self._variables.get("ansible_limit")
        if not limit and (pattern == _LOCALHOST or self._variables.get("groups", {}).get(pattern)):
            return True
        return bool(self._inventory().get_hosts(pattern))

    def _inventory(self) -> InventoryManager:
        """The inventory within --limit."""
        return inventory_of(self._loader, self._variables.get("groups", {}), self._variables.get("ansible_limit"))


def _warn_of(what: str, names: Iterable[str]) -> None:
    """Warn about mistyped variables. Ansible shows the same warning only once in a run."""
    if not _only_reads_the_playbook() and (warning := warning_of(what, names, _ROOT)):
        Display().warning(warning)


def _warn_of_another_server() -> None:
    """Warn if the inventory is of another server than that of the tasks."""
    is_ours = is_all_of_collection(context.CLIARGS, _ROOT) and not _only_reads_the_playbook()
    if is_ours and (warning := warning_of_addresses(os.environ.get("FLEETOPS_API_URL", ""))):
        Display().warning(warning)


def _load_what_tasks_use() -> None:
    """Load Ansible's filters and tests in the process that forks, so that not every task of every host loads them."""
    for loader in (filter_loader, test_loader):
        list(loader.all())


def _only_reads_the_playbook() -> bool:
    """Whether Ansible only reads the playbook and runs no task."""
    return any(context.CLIARGS.get(flag) for flag in ("syntax", "listhosts", "listtasks", "listtags"))
