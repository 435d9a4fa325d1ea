# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a run in lookups, and the names of the hosts for the patterns that order a plan."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.manager import PATTERN_WITH_SUBSCRIPT, InventoryManager, split_host_pattern
from ansible.parsing.utils.addresses import parse_address

from ansible_collections.fleetops.agents.plugins.module_utils._rules.order import waves_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import is_blank, list_of_text

from .._inventory.hosts import is_group_of_plugin

_ID = "fleetops_instance_id"
_WITHOUT = "the rest"
# A text with a colon in brackets is a slice that Ansible does not know, such as agents[:3], not a set of characters.
_WILDCARD = re.compile(r"[*?]|\[[^:]+\]")


def inventory_of(loader: Any, groups: Mapping[str, list[str]], limit: str | None = None) -> InventoryManager:
    """The groups and hosts of the variable ``groups`` as an inventory without host variables, limited to ``limit``."""
    inventory = InventoryManager(loader=loader, sources=[], parse=False)
    for group, hosts in groups.items():
        inventory.add_group(group)
        for host in hosts:
            inventory.add_host(host, group)
    inventory.reconcile_inventory()
    inventory.subset(limit or None)
    return inventory


def parts_of_limit(limit: str) -> list[str]:
    """The single patterns of ``--limit``. ``@path`` stands for the lines of a file, such as a retry file.

    If there are none, as with an empty file, Ansible takes all hosts.
    """
    parts: list[str] = []
    for part in split_host_pattern(limit):
        if part.startswith("@"):
            parts += [line.strip() for line in Path(part[1:]).read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            parts.append(part)
    return parts


def problem_of_pattern(pattern: str, groups: Mapping[str, list[str]]) -> str:
    """Why Ansible would not do what a hosts pattern says, as a phrase; empty if it would. See problem_of_parts."""
    parts = split_host_pattern(pattern)
    if any(sum(part.count(bracket) for part in parts) != pattern.count(bracket) for bracket in "[]"):
        # Ansible ignores such a bracket: "~[" would be a regular expression that matches all hosts.
        return "a bracket has no counterpart"
    return problem_of_parts(parts, groups)


def problem_of_parts(parts: Iterable[str], groups: Mapping[str, list[str]]) -> str:
    """Which exclusion (``!name``) or intersection (``&name``) has an unknown name, as a phrase; empty if none has.

    Ansible would include the hosts of such an exclusion. Wildcards and regular expressions may match nothing, and
    a group may be empty. The inventory plugin has no empty groups, so its groups may not exist. ``parts``: single
    patterns. ``groups``: those of the inventory, with their hosts.
    """
    known: set[str] | None = None
    for part in parts:
        name = _without_slice(part[1:])
        if part[0] not in "!&" or _has_wildcards(name) or is_group_of_plugin(name):
            continue
        known = known or {*groups, *groups.get("all", []), *C.LOCALHOST}
        if name not in known:
            near = nearest_name(name, known)
            return (
                f"{part!r} names neither a host nor a group"
                + (f" (the nearest name is {near})" if near else "")
                + (f"; write '{part}*' if it need not exist" if part == f"!{name}" and name else "")
            )
    return ""


def hosts_of_part(inventory: InventoryManager, part: str) -> list[Any]:
    """The hosts that a single pattern matches by itself. A line of a limit's file with a comma matches none."""
    # The comma keeps Ansible from splitting the pattern at a colon, which it does only if there is no comma.
    return [] if "," in part else inventory.get_hosts(f"{part},")


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name that is most like ``name``, also without its domain; empty if none is."""
    spelled: dict[str, str] = {}
    for one in sorted(known):
        spelled.setdefault(one, one)
        spelled.setdefault(one.partition(".")[0], one)
    near = difflib.get_close_matches(name, spelled, n=1, cutoff=0.8)
    return spelled[near[0]] if near else ""


def _without_slice(part: str) -> str:
    """A single pattern without a slice such as ``[0:3]``."""
    matched = None if part.startswith("~") else PATTERN_WITH_SUBSCRIPT.match(part)
    return matched[1] if matched else part


def _has_wildcards(name: str) -> bool:
    return name.startswith("~") or bool(_WILDCARD.search(name))


def order_of_patterns(
    loader: Any, variables: Mapping[str, Any], *, canary_hosts: Any, waves: Any, share_by: Any
) -> dict[str, Any]:
    """The result of the lookup plan_order: names of hosts of the play, or under ``problem`` a sentence.

    ``variables``: the variables of the play, which a lookup gets. The other arguments are options of the lookup. The
    canary hosts are None without a pattern, and [] if none of them is in this run.
    """
    patterns = _Patterns(loader, variables)
    found: dict[str, Any] = {"canary_hosts": None, "waves": [], "share_groups": {}, "problem": ""}
    found["instances"] = patterns.instances()
    try:
        if other := [name for name in found["instances"] if not _is_kept(name)]:
            raise ValueError(
                f"the name of the host {other[0]} ends in a port, which Ansible would remove from it. Rename the host "
                "in the inventory"
            )
        if not is_blank(canary_hosts):
            found["canary_hosts"] = patterns.hosts("canary_hosts", canary_hosts)
        found["waves"] = [
            {
                "name": wave.name,
                "hosts": list(wave.hosts),
                "limit": wave.limit,
                "soak": wave.soak,
                "gate": dict(wave.gate),
            }
            for wave in waves_of(
                [] if is_blank(waves) else list_of_text("waves", waves),
                lambda pattern: patterns.hosts("waves", pattern),
            )
        ]
        if not is_blank(share_by):
            found["share_groups"] = patterns.groups_by(share_by.strip())
    except ValueError as problem:
        found["problem"] = f"There is no plan: {problem}."
    return found


def _is_kept(name: str) -> bool:
    """Whether ansible.builtin.add_host, which puts the planned hosts into a group, uses this name as it is."""
    try:
        return parse_address(name)[0] == name
    except AnsibleError:
        return True


class _Patterns:
    """The hosts of a play, and the hosts that patterns match."""

    def __init__(self, loader: Any, variables: Mapping[str, Any]) -> None:
        self._groups = variables.get("groups", {})
        self._hostvars = variables.get("hostvars", {})
        # Without the hosts that have failed, even in an earlier play: Ansible runs no more tasks for them.
        self._in_play = set(variables.get("ansible_play_hosts", []))
        self._inventory = inventory_of(loader, self._groups)

    def instances(self) -> dict[str, Any]:
        """The hosts of the play, names to ids, in the order of the inventory."""
        names = [host.name for host in self._inventory.get_hosts("all") if host.name in self._in_play]
        return {name: self._hostvars[name][_ID] for name in names if _ID in self._hostvars[name]}

    def hosts(self, name: str, pattern: str) -> list[str]:
        """The hosts of the play that a pattern matches. Raises ValueError if it matches no host of the inventory.

        ``name``: the option with the pattern, for the message.
        """
        parts = split_host_pattern(pattern)
        if problem := problem_of_pattern(pattern, self._groups):
            raise ValueError(f"{name} is {pattern!r}, and {problem}")
        try:
            # Without any name in the pattern, Ansible would take all hosts.
            matched = [host.name for host in self._inventory.get_hosts(pattern)] if parts else []
        except AnsibleError as refused:
            raise ValueError(f"{name} is {pattern!r}, which cannot be used: {refused}") from None
        if not matched:
            raise ValueError(f"{name} is {pattern!r}, which matches no host of the inventory")
        # Ansible ignores one of several patterns in a text if it matches nothing.
        for part in parts:
            if part[0] not in "!&" and not hosts_of_part(self._inventory, part):
                raise ValueError(f"{name} is {pattern!r}, and {part!r} matches no host of the inventory")
        return [host for host in matched if host in self._in_play]

    def groups_by(self, share_by: str) -> dict[str, str]:
        """The group of each host of the play: an inventory group, or the value of a variable. Raises ValueError."""
        named = [part.strip() for part in share_by.split(",") if part.strip()]
        if named and all(name in self._groups for name in named):
            first = {host: name for name in reversed(named) for host in self._groups[name]}
            return {host: first.get(host, _WITHOUT) for host in self._in_play}
        values = {host: self._hostvars[host].get(share_by) for host in self._in_play}
        if all(is_blank(value) for value in values.values()):
            raise ValueError(f"share_by is {share_by!r}, which is neither a variable of the hosts nor names of groups")
        return {host: _WITHOUT if is_blank(value) else str(value) for host, value in values.items()}
