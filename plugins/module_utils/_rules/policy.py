# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Update policies of the tenant (E9, E10) and of instances (E25, E26): differences and the result of changes. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .answers import Record, normalise, number, whole

COMPONENTS = ("runtime", "skills", "mcp_servers")
HOUR_KEYS = ("maintenance_window_start_hour_utc", "maintenance_window_end_hour_utc")
MODES = ("auto", "notify", "disabled")
# With this mode an instance uses the mode of the tenant.
INHERIT = "inherit"
TENANT_KEYS = ("max_parallel_rollouts", *HOUR_KEYS, *(f"{component}_default" for component in COMPONENTS))


def is_value(said: Any, wanted: str | int | None) -> bool:
    """Whether the server's value is the wanted one, however it spells a word or a number."""
    if wanted is None:
        return said is None
    if isinstance(wanted, str):
        return isinstance(said, str) and normalise(said) == normalise(wanted)
    return number(said) == wanted


def differing(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> Record:
    """The entries of ``wanted`` that ``values`` do not have yet."""
    return {key: value for key, value in wanted.items() if not is_value(values.get(key), value)}


def changed_unasked(before: Mapping[str, Any], after: Mapping[str, Any], sent: Mapping[str, Any]) -> Record:
    """The values that changed although they were not sent: key -> ``before`` and ``after``."""
    pairs = {key: (_known(before.get(key)), _known(after.get(key))) for key in sorted(before.keys() | after.keys())}
    return {
        key: {"before": one, "after": other} for key, (one, other) in pairs.items() if key not in sent and one != other
    }


def problem_of_tenant(values: Mapping[str, Any]) -> str:
    """Why these values of the tenant's policy (E10) cannot be set, as a sentence; empty if they can."""
    for key in HOUR_KEYS:
        if key in values and not 0 <= values[key] <= 23:
            return f"{key} is {values[key]}: it must be an hour of the day, from 0 to 23."
    if values.get("max_parallel_rollouts", 1) < 1:
        return (
            f"max_parallel_rollouts is {values['max_parallel_rollouts']}: it must be 1 or more. "
            "To stop rollouts, close the maintenance window or disable the components."
        )
    return ""


def tenant_values(policy: Mapping[str, Any]) -> Record:
    """The keys of E9 that can be set, with their values; None if the server does not return one."""
    return {key: _known(policy.get(key)) for key in TENANT_KEYS}


def _known(value: Any) -> Any:
    """A value in which NaN and infinite numbers are None. They are invalid, and NaN is not equal to itself."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _known(entry) for key, entry in value.items()}
    return [_known(entry) for entry in value] if isinstance(value, list) else value


def overrides(policy: Mapping[str, Any]) -> Record:
    """The overrides in an instance's policy (E25, E26) by component; None for a component that inherits.

    If the key ``<component>_override`` is missing, the mode counts as an override if its source is the instance.
    """
    return {component: _override(policy, component) for component in COMPONENTS}


def _override(policy: Mapping[str, Any], component: str) -> str | None:
    key = f"{component}_override"
    of_instance = "instance" in normalise(policy.get(f"{component}_source"))
    said = policy.get(key, policy.get(component) if of_instance else None)
    return said if isinstance(said, str) and normalise(said) not in ("", INHERIT) else None


def unknown_overrides(policy: Mapping[str, Any], components: Iterable[str]) -> list[str]:
    """The components for which an instance's policy does not say whether they are overridden."""
    return [c for c in components if f"{c}_override" not in policy and not normalise(policy.get(f"{c}_source"))]


def override_of(mode: str) -> str | None:
    """The override for a mode; None for ``inherit``."""
    return None if mode == INHERIT else mode


def auto_refused(policy: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """The components for which ``auto`` is requested, although the server says that it is not supported."""
    return [name for name, mode in changes.items() if mode == "auto" and policy.get(f"{name}_auto_supported") is False]


def with_overrides(
    policy: Mapping[str, Any], changes: Mapping[str, Any], tenant: Mapping[str, Any] | None = None
) -> Record:
    """The instance's policy after its overrides were changed. ``tenant`` (E9) has the inherited modes, None if unknown.

    The source of an inherited mode is None, because only the server knows whether it is the tenant or the platform.
    """
    told = dict(policy)
    for name, mode in changes.items():
        told[f"{name}_override"] = mode
        told[name] = mode or (tenant or {}).get(f"{name}_default")
        told[f"{name}_source"] = "instance_override" if mode else None
    return told


def opened_by_one_hour(policy: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether a change of one hour of the window has made both hours equal, which opens the window all day."""
    start, end = (whole(policy.get(key)) for key in HOUR_KEYS)
    return start is not None and start == end and len(changes.keys() & set(HOUR_KEYS)) == 1
