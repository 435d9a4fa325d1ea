# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts for instances: their names, variables and groups, and the option ``instances``. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key, require_text, same_id

from .discovery import Instance

PREFIX = "fleetops_"
ALL_INSTANCES = "fleetops_instances"

# A valid name of a host: without blanks, characters of host patterns, and templates.
_PLAIN_NAME = re.compile(r"[^\W_][\w.\-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Groups that always exist, and names that Ansible uses for the controller itself.
_RESERVED = frozenset({"all", "ungrouped", "localhost", "127.0.0.1", "::1"})
_SHORT_ID = 8
_SHORT_HASH = 12
_ENRICHED = {
    "updates": ("update_available", "runtime_version", "available_version"),
    "health": ("health",),
}


class Given(NamedTuple):
    """An instance in the option ``instances``: its name, further host variables, and its id as it is written."""

    name: str
    variables: dict[str, Any]
    instance_id: str


class Host(NamedTuple):
    """A host. ``of_api``: variables from the API, never templates. ``given``: those from the inventory file."""

    name: str
    of_api: dict[str, Any]
    given: dict[str, Any]


def given_instances(value: Any) -> dict[str, Given]:
    """The option ``instances``, by instance (id_key), since the server may spell an id differently.

    ``value``: a mapping of names to ids, or of names to mappings with ``instance_id`` and further variables, or its
    JSON text. Raises ValueError with a sentence.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value, object_pairs_hook=_each_once) if value.strip() else {}
        except (ValueError, RecursionError) as bad:
            raise ValueError(f"instances is not valid JSON: {bad}") from None
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("instances must map names to instance ids, for example {web-1: 0b1e...}")
    given: dict[str, Given] = {}
    for key, entry in value.items():
        if not isinstance(key, str):
            raise ValueError(f"instances: the name {key!r} must be text. Write it in quotes")
        name = key
        if not _is_usable_name(name, frozenset()):
            raise ValueError(
                f"instances: {name!r} cannot be a host's name (letters, digits, dots, hyphens and underscores; "
                "not a name that Ansible or this inventory keeps for itself)"
            )
        variables = dict(entry) if isinstance(entry, Mapping) else {"instance_id": entry}
        written = variables.pop("instance_id", None)
        instance_id = "" if written is None else require_text(written, name, of="instances").strip()
        if not instance_id:
            raise ValueError(f"instances: {name} has no instance_id")
        same = given.get(id_key(instance_id))
        if same is not None:
            raise ValueError(f"instances: {same.name} and {name} are the same instance {instance_id}")
        for variable in variables:
            if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable) or variable.startswith(PREFIX):
                raise ValueError(
                    f"instances: {name} has a variable {str(variable)!r}; it must be a plain variable name that does "
                    f"not start with {PREFIX}"
                )
        given[id_key(instance_id)] = Given(name, variables, instance_id)
    return given


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of JSON. Python itself would keep only the last value of a name, so an instance would be missing."""
    if twice := [name for name, times in Counter(name for name, _value in pairs).items() if times > 1]:
        raise ValueError(f"{twice[0]} is there twice")
    return dict(pairs)


def with_given(instances: Sequence[Instance], given: Mapping[str, Given]) -> list[Instance]:
    """The discovered instances and those that are only in the inventory file, sorted by id."""
    known = {id_key(instance.instance_id) for instance in instances}
    added = [Instance(entry.instance_id) for key, entry in given.items() if key not in known]
    return sorted([*instances, *added], key=lambda instance: instance.instance_id)


def hosts_of(
    instances: Sequence[Instance],
    given: Mapping[str, Given],
    *,
    by_id: bool,
    enriched: Collection[str] = (),
    taken: Iterable[str] = (),
) -> tuple[list[Host], list[str]]:
    """The hosts sorted by name, and a phrase for each contradiction between the inventory file and the API.

    ``by_id``: name every host by its id. ``enriched``: which of ``updates`` and ``health`` were read. ``taken``: names
    of groups, which no host may have.
    """
    names, problems = host_names(instances, given, by_id=by_id, taken=taken)
    left_out = {name for what, fields in _ENRICHED.items() if what not in enriched for name in fields}
    if not enriched:
        left_out.add("gone")
    shown = [(PREFIX + name, position) for position, name in enumerate(Instance._fields) if name not in left_out]
    hosts = [
        Host(
            names[instance.instance_id],
            {variable: instance[position] for variable, position in shown},
            given[id_key(instance.instance_id)].variables if id_key(instance.instance_id) in given else {},
        )
        for instance in instances
    ]
    return sorted(hosts, key=lambda host: host.name), problems


def host_names(
    instances: Sequence[Instance], given: Mapping[str, Given], *, by_id: bool, taken: Iterable[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """A unique name for each id, and a phrase for each contradiction.

    This is the name in the inventory file, else the API's host name if no other instance has it, else that name and the
    first 8 characters of the id. A name that could be read as a group, a pattern or a template is not used: it is
    replaced by ``instance-`` and the first 8 characters of the id.
    """
    reserved = frozenset(taken)
    of_instance = {} if by_id else {i.instance_id: given.get(id_key(i.instance_id)) for i in instances}
    names = {iid: entry.name for iid, entry in of_instance.items() if entry is not None}
    of_file = {name: iid for iid, name in names.items()}
    problems: list[str] = []
    users: dict[str, list[str]] = defaultdict(list)
    for instance in instances:
        iid, hostname = instance.instance_id, instance.hostname
        if iid in names:
            continue
        if by_id:
            users[iid if _is_usable_name(iid, reserved) else f"instance-{_plain(iid)}"].append(iid)
        elif hostname is None or not _is_usable_name(hostname, reserved):
            users[""].append(iid)
        else:
            users[hostname].append(iid)
            if hostname in of_file:
                problems.append(
                    f"{hostname} is {of_file[hostname]} in the option instances, but {iid} in the server's answers"
                )
    used = set(names.values()) | reserved
    for base in sorted(users):
        if base and len(users[base]) == 1 and base not in used:
            names[users[base][0]] = base
            used.add(base)
    for base in sorted(users):
        for iid in sorted(iid for iid in users[base] if iid not in names):
            names[iid] = _name_with_id(base or "instance", iid, used)
            used.add(names[iid])
    return names, problems


def other_instances(hosts: Iterable[Host], known: Mapping[str, Any]) -> list[str]:
    """A phrase for each host that is another instance in ``known``: the ids of the inventories read so far, by host."""
    return [
        f"{host.name} is instance {known[host.name]} in an inventory that was read before, but "
        f"{host.of_api['fleetops_instance_id']} in this one"
        for host in hosts
        if known.get(host.name) and not same_id(known[host.name], host.of_api["fleetops_instance_id"])
    ]


def groups_of(hosts: Iterable[Host]) -> dict[str, list[str]]:
    """The names of the hosts of each group, in the order of ``hosts``."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, of_api, _given in hosts:
        groups[ALL_INSTANCES].append(name)
        for kind, of in _GROUPS:
            if value := of(of_api):
                groups[group_name(kind, value)].append(name)
        if of_api.get("fleetops_update_available"):
            groups["fleetops_update_available"].append(name)
        if of_api.get("fleetops_gone"):
            groups["fleetops_gone"].append(name)
    return dict(groups)


@lru_cache(maxsize=1024)
def group_name(kind: str, value: str) -> str:
    """``fleetops_<kind>_<value>``, with underscores for characters that Ansible does not allow in a group's name."""
    return re.sub(r"\W", "_", f"{PREFIX}{kind}_{value}")


_GROUPS: tuple[tuple[str, Callable[[dict[str, Any]], str | None]], ...] = (
    ("status", lambda of_api: of_api.get("fleetops_status")),
    ("last_result", lambda of_api: of_api.get("fleetops_last_result")),
    ("bundle", lambda of_api: _short_hash(of_api.get("fleetops_bundle_hash"))),
    ("health", lambda of_api: of_api.get("fleetops_health")),
)


_GROUP_NAME = re.compile(
    rf"{PREFIX}(?:instances|gone|update_available|(?:{'|'.join(kind for kind, _of in _GROUPS)})_\w+)"
)


def is_group_of_plugin(name: str) -> bool:
    """Whether the plugin makes a group of this name. It has no group without a host."""
    return _GROUP_NAME.fullmatch(name) is not None


def _short_hash(bundle_hash: str | None) -> str:
    """The first characters of the digest, without a prefix such as ``sha256:``, which all bundles have."""
    return (bundle_hash or "").rpartition(":")[2][:_SHORT_HASH]


def _is_usable_name(name: str, reserved: frozenset[str]) -> bool:
    return (
        _PLAIN_NAME.fullmatch(name) is not None
        and name not in _RESERVED
        and name not in reserved
        and not name.startswith(PREFIX)
    )


def _name_with_id(base: str, instance_id: str, used: set[str]) -> str:
    """The base with the first characters of the id, or with the whole id if that is not unique."""
    plain = _plain(instance_id)
    for tail in (plain[:_SHORT_ID], plain):
        if f"{base}-{tail}" not in used:
            return f"{base}-{tail}"
    number = 2
    while f"{base}-{plain}-{number}" in used:
        number += 1
    return f"{base}-{plain}-{number}"


def _plain(instance_id: str) -> str:
    return re.sub(r"[^\w.\-]", "-", instance_id)
