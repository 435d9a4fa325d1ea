# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A declared state of the fleet: the policies that it declares for each instance, and how the fleet differs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers import Record
from .ids import id_key
from .plan import member_of
from .policy import (
    COMPONENTS,
    INHERIT,
    MODES,
    TENANT_KEYS,
    differing,
    is_value,
    override_of,
    overrides,
    problem_of_tenant,
    tenant_values,
    unknown_overrides,
)

_KEYS = ("tenant_policy", "group_policies", "instance_policies", "runtime_current")
_UNKNOWN = "unknown"
_NOT_IN_INVENTORY = "the inventory does not have it"
# An error shows only unknown keys that look like names, and at most this many.
_KEY = re.compile(r"[\w.-]{1,60}")
_SHOWN_KEYS = 5

# The declared modes by component. ``inherit`` means that the instance has no override.
Policy = dict[str, str]


@dataclass(frozen=True)
class Declared:
    """A valid state. ``tenant``: values by their keys in E9. ``groups`` and ``instances``: policies by group and host.

    ``runtime_current``: whether each runtime must have the published version.
    """

    tenant: Record
    groups: dict[str, Policy]
    instances: dict[str, Policy]
    runtime_current: bool


def declared(state: Any) -> Declared:
    """The state in a mapping that the user wrote. Null counts as not given. Raises ValueError with a sentence."""
    if not isinstance(state, Mapping):
        raise ValueError(f"The state must be a mapping with some of the keys {', '.join(_KEYS)}.")
    _only("The state", state, _KEYS)
    given = {key: value for key, value in state.items() if value is not None}
    current = given.get("runtime_current", False)
    if not isinstance(current, bool):
        raise ValueError(f"runtime_current is {current!r}: it must be true or false.")
    found = Declared(
        tenant=_tenant(_mapping("tenant_policy", given.get("tenant_policy", {}))),
        groups=_policies("group_policies", given.get("group_policies", {})),
        instances=_policies("instance_policies", given.get("instance_policies", {})),
        runtime_current=current,
    )
    if not (found.tenant or found.groups or found.instances or found.runtime_current):
        raise ValueError(
            "The state declares nothing, so there is nothing to compare the fleet with. Declare some of "
            f"{', '.join(_KEYS)}."
        )
    return found


def _mapping(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {value!r}: it must be a mapping.")
    return value


def _only(where: str, value: Mapping[Any, Any], keys: Sequence[str]) -> None:
    # Another file may have been given by mistake, and its content may be secret.
    unknown = list(dict.fromkeys(_as_key(key) for key in value if key not in keys))[:_SHOWN_KEYS]
    if unknown:
        raise ValueError(f"{where} has the unknown key {', '.join(unknown)}. It may have {', '.join(keys)}.")


def _as_key(key: Any) -> str:
    return str(key) if _KEY.fullmatch(str(key)) else "(not a name)"


def _tenant(policy: Mapping[str, Any]) -> Record:
    _only("tenant_policy", policy, TENANT_KEYS)
    given = {key: value for key, value in policy.items() if value is not None}
    for key, value in given.items():
        if key.endswith("_default"):
            _mode("tenant_policy", key, value, MODES)
        elif not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"tenant_policy: {key} is {value!r}: it must be a whole number.")
    if problem := problem_of_tenant(given):
        raise ValueError(f"tenant_policy: {problem}")
    return given


def _policies(where: str, value: Any) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    for name, policy in _mapping(where, value).items():
        if not isinstance(name, str):
            raise ValueError(f"{where}: the name {name!r} is not text. Write it in quotes.")
        of_one = f"{where}: {name}"
        modes = _mapping(of_one, {} if policy is None else policy)
        _only(of_one, modes, COMPONENTS)
        found[name] = {component: mode for component, mode in modes.items() if mode is not None}
        for component, mode in found[name].items():
            _mode(of_one, component, mode, (*MODES, INHERIT))
    return found


def _mode(where: str, key: str, value: Any, modes: Sequence[str]) -> None:
    if value not in modes:
        raise ValueError(f"{where}: {key} is {value!r}: it must be {', '.join(modes[:-1])} or {modes[-1]}.")


def wanted_policies(state: Declared, names: Iterable[str], groups: Mapping[str, Iterable[str]]) -> dict[str, Policy]:
    """The declared policy of each host in ``names``: its own, else that of its groups.

    A component is missing if neither declares it. ``groups``: the hosts of each inventory group. Raises ValueError with
    the hosts and groups if two groups of a host declare different modes, and the host itself declares none.
    """
    in_group = {group: set(groups.get(group) or ()) for group in state.groups}
    found: dict[str, Policy] = {}
    conflicts: dict[str, list[str]] = {}
    for name in names:
        found[name] = dict(state.instances.get(name, {}))
        for component in COMPONENTS:
            if component in found[name]:
                continue
            said = {
                group: policy[component]
                for group, policy in state.groups.items()
                if component in policy and name in in_group[group]
            }
            if len(set(said.values())) > 1:
                both = " and ".join(f"{group} ({mode})" for group, mode in said.items())
                conflicts.setdefault(f"{component} by {both}", []).append(name)
            elif said:
                found[name][component] = next(iter(said.values()))
    if conflicts:
        told = "; ".join(f"{what} for {', '.join(hosts)}" for what, hosts in conflicts.items())
        raise ValueError(
            f"The groups of the state disagree, and nothing was changed: {told}. Declare the mode under "
            "instance_policies, or let the groups agree."
        )
    return found


@dataclass(frozen=True)
class Fleet:
    """The fleet as it was read.

    ``tenant``: E9. ``updates``: E25 by host. ``gone``: hosts whose instance the server does not know. ``inventory``:
    all hosts, names to ids. ``groups``: the hosts of each group. ``seen``: host names by id, from the history of
    rollouts.
    """

    tenant: Record
    updates: Mapping[str, Record]
    gone: Sequence[str]
    inventory: Mapping[str, str]
    groups: Mapping[str, Iterable[str]]
    seen: Mapping[str, str | None]


def compare(state: Declared, wanted: Mapping[str, Policy], fleet: Fleet, *, prune: bool) -> Record:
    """How the fleet differs from the state, as plain data. ``in_sync``: whether there is no difference.

    - ``tenant``: key -> ``wanted`` and ``is``. ``instances``: host -> component -> ``wanted`` and ``is``. ``inherit``
      means no override, and ``unknown`` that the server does not report it.
    - ``undeclared``: host -> component -> mode, for overrides that the state does not name. With ``prune`` they are in
      ``instances`` instead, where ``inherit`` is wanted.
    - ``behind``: host -> its versions and the reason, if the state declares ``runtime_current``.
    - ``unmanaged``: instances that no policy of the state covers, or that are not in the inventory. ``unknown``: hosts
      and groups that the state names but the inventory does not have. ``gone``: hosts whose instance the server does
      not know.
    """
    held = tenant_values(fleet.tenant)
    of_tenant = {key: {"wanted": value, "is": held.get(key)} for key, value in differing(held, state.tenant).items()}
    drifted: dict[str, Record] = {}
    undeclared: dict[str, Policy] = {}
    behind: dict[str, Record] = {}
    for name, updates in sorted(fleet.updates.items()):
        policy = updates.get("update_policy")
        policy = policy if isinstance(policy, Mapping) else {}
        now = overrides(policy)
        extra = {c: mode for c, mode in now.items() if mode is not None and c not in wanted[name]}
        differs = _drift(policy, now, {**wanted[name], **(dict.fromkeys(extra, INHERIT) if prune else {})})
        if differs:
            drifted[name] = differs
        if extra and not prune:
            undeclared[name] = extra
        member = member_of(name, fleet.inventory.get(name, ""), updates, redeploy_all=False)
        if state.runtime_current and member.planned:
            behind[name] = {"current_version": member.current, "available_version": member.available, "why": member.why}
    unknown = _unknown(state, fleet)
    declared_gone = any(state.runtime_current or wanted.get(name) for name in fleet.gone)
    return {
        "tenant": of_tenant,
        "instances": drifted,
        "undeclared": undeclared,
        "behind": behind,
        "unmanaged": _unmanaged(state, wanted, fleet, prune=prune),
        "unknown": unknown,
        "gone": sorted(fleet.gone),
        "in_sync": not (of_tenant or drifted or behind or any(unknown.values()) or declared_gone),
    }


def _drift(policy: Mapping[str, Any], now: Record, wanted: Policy) -> Record:
    silent = unknown_overrides(policy, wanted)
    return {
        component: {"wanted": mode, "is": _UNKNOWN if component in silent else now[component] or INHERIT}
        for component, mode in wanted.items()
        if component in silent or not is_value(now[component], override_of(mode))
    }


def _unmanaged(state: Declared, wanted: Mapping[str, Policy], fleet: Fleet, *, prune: bool) -> list[Record]:
    known = {id_key(instance_id) for instance_id in fleet.inventory.values()}
    found = [
        {"name": hostname, "instance_id": instance_id, "why": _NOT_IN_INVENTORY}
        for instance_id, hostname in sorted(fleet.seen.items())
        if id_key(instance_id) not in known
    ]
    if (state.groups or state.instances) and not prune:
        found += [
            {"name": name, "instance_id": fleet.inventory.get(name), "why": "no policy of the state covers it"}
            for name in sorted(wanted)
            if not wanted[name] and name not in fleet.gone
        ]
    return found


def _unknown(state: Declared, fleet: Fleet) -> dict[str, list[str]]:
    return {
        "instances": sorted(set(state.instances) - set(fleet.inventory)),
        "groups": sorted(group for group in state.groups if not fleet.groups.get(group)),
    }


def state_lines(report: Mapping[str, Any]) -> list[str]:
    """The lines of the report. An equal difference of several instances is one line."""
    lines = [
        f"Tenant: {key} is {_shown(pair['is'])}, should be {pair['wanted']}." for key, pair in report["tenant"].items()
    ]
    drifted: dict[str, list[str]] = {}
    for name, policy in report["instances"].items():
        for component, pair in policy.items():
            drifted.setdefault(f"{component} is {pair['is']}, should be {pair['wanted']}", []).append(name)
    lines += [f"Differs ({len(names)}): {what}: {', '.join(names)}" for what, names in drifted.items()]
    lines += _behind_words(report["behind"])
    kept: dict[str, list[str]] = {}
    for name, policy in report["undeclared"].items():
        for component, mode in policy.items():
            kept.setdefault(f"{component} {mode}", []).append(name)
    lines += [
        f"Not declared, left as it is without prune ({len(names)}): {what}: {', '.join(names)}"
        for what, names in kept.items()
    ]
    why: dict[str, list[str]] = {}
    for row in report["unmanaged"]:
        shown = row["name"] or row["instance_id"]
        if row["name"] and row["why"] == _NOT_IN_INVENTORY:
            shown = f"{row['name']} ({row['instance_id']})"
        why.setdefault(row["why"], []).append(shown)
    lines += [f"Unmanaged, {reason} ({len(names)}): {', '.join(names)}" for reason, names in why.items()]
    for kind, names in report["unknown"].items():
        if names:
            lines.append(f"Unknown {kind}, named in the state only ({len(names)}): {', '.join(names)}")
    if report["gone"]:
        lines.append(f"Not found on the server ({len(report['gone'])}): {', '.join(report['gone'])}")
    return ["The fleet is as the state declares it.", *lines] if report["in_sync"] else lines


def _behind_words(behind: Mapping[str, Record]) -> list[str]:
    if not behind:
        return []
    versions: dict[str, list[str]] = {}
    for name, row in behind.items():
        what = row["why"]
        if what == "outdated":
            what = (
                f"runtime {row['current_version'] or 'unknown'}, published is {row['available_version'] or 'unknown'}"
            )
        versions.setdefault(what, []).append(name)
    lines = [f"Not current ({len(names)}): {what}: {', '.join(names)}" for what, names in versions.items()]
    return [
        *lines,
        "To redeploy them: ansible-playbook fleetops.agents.rolling_redeploy -i INVENTORY "
        f"-e fleetops_hosts={','.join(behind)}",
    ]


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
