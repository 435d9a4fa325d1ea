# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether a run can be made with its variables and its hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .answers import parse_time
from .change import change_problem
from .ids import id_key
from .pace import PACES, refusal_of_run
from .plain_values import SettingsError, number, problem_of_number

_WORDS = {
    "fleetops_plan_for": ("redeploy", "updates", "restart", "repair"),
    "fleetops_state": ("latest", "redeployed"),
    "fleetops_pace": PACES,
    "fleetops_memory_action": ("save", "verify", "restore"),
}
_FROM_ONE = ("fleetops_batch_max", "fleetops_audit_limit")
_RUNGS = ("breakers", "power_cycle", "reboot")


def problem_of_variables(asked: Mapping[str, Any], *, check_mode: bool) -> str:
    """Why a run cannot be made with its variables (names to values), as a sentence; empty if it can.

    A variable that is missing is not checked.
    """
    for name, words in _WORDS.items():
        if asked.get(name, words[0]) not in words:
            return f"{name} is {asked[name]}: it must be {_either(words)}."
    rungs = asked.get("fleetops_recover_rungs", _RUNGS)
    if not set(rungs) <= set(_RUNGS):
        return f"fleetops_recover_rungs is {', '.join(rungs)}: each must be {_either(_RUNGS)}."
    since = asked.get("fleetops_audit_since")
    if since and parse_time(since) is None:
        return f"fleetops_audit_since is {since!r}: it must be a time such as 2026-11-23T00:00:00Z."
    for name in _FROM_ONE:
        # Without a value of fleetops_batch_max, the limit of the policy applies.
        if asked.get(name) is not None:
            try:
                number(name, asked[name], least=1, whole=True)
            except SettingsError as bad:
                return f"{bad}."
    for name, value in asked.items():
        if problem := problem_of_number(name, value):
            return f"{name} {problem}."
    problem = refusal_of_run(asked) or change_problem(
        asked.get("fleetops_change", ""), asked.get("fleetops_change_pattern", "")
    )
    if problem:
        return problem
    if asked.get("fleetops_plan_required") and not check_mode and not str(asked["fleetops_plan_hash"]).strip():
        return (
            "This run needs an approved plan (fleetops_plan_required), and fleetops_plan_hash is empty. Nothing was "
            "done. Run it with --check, have the plan approved, and give its hash as fleetops_plan_hash."
        )
    return ""


def problem_of_hosts(instances: Mapping[str, Any]) -> str:
    """Why a run cannot be made with its hosts (names to ids, None without one), as a sentence; empty if it can.

    An instance with two hosts would be counted twice, and written to twice.
    """
    if names := ", ".join(name for name, instance_id in instances.items() if instance_id is None):
        return (
            f"These hosts have no fleetops_instance_id: {names}. The inventory plugin fleetops.agents.fleet sets it. "
            "Exclude these hosts with fleetops_hosts or --limit. Nothing was done."
        )
    first: dict[str, str] = {}
    for name, instance_id in instances.items():
        if (other := first.setdefault(id_key(instance_id), name)) != name:
            return (
                f"{other} and {name} are the same instance {instance_id}. Exclude one of them with fleetops_hosts or "
                "--limit. Nothing was done."
            )
    return ""


def problem_of_servers(servers: Mapping[str, tuple[str, Any]]) -> str:
    """Why a run cannot be made with hosts of these servers, as a sentence without keys; empty if it is one server.

    ``servers``: the address and the key, by the name of the host. A server does not know the instances of another
    server, nor those of another tenant, so a run would take them for instances that no longer exist.
    """
    first, server = next(iter(servers.items()), ("", ("", "")))
    for name, other in servers.items():
        # Tuples with the same objects are equal without a comparison, so a key from a vault is not decrypted.
        if other == server:
            continue
        problem = f"{first} and {name} have different keys"
        if other[0] != server[0]:
            one, another = (address or "no server (FLEETOPS_API_URL is not set)" for address in (server[0], other[0]))
            problem = f"{first} is an instance of {one}, and {name} is one of {another}"
        return (
            f"{problem}. A run acts on one server, with one key: FLEETOPS_API_URL and FLEETOPS_API_KEY in the "
            "environment. Run the playbook once for each, with its hosts in fleetops_hosts or --limit. Nothing was "
            "done."
        )
    return ""


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
