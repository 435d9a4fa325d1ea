# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Update policies of the tenant (E9, E10) and of one instance (E25, E26): what differs, and what will be. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .answers import Record, normalise, number, whole

COMPONENTS = ("runtime", "skills", "mcp_servers")
HOUR_KEYS = ("maintenance_window_start_hour_utc", "maintenance_window_end_hour_utc")
TENANT_KEYS = ("max_parallel_rollouts", *HOUR_KEYS, *(f"{component}_default" for component in COMPONENTS))


def is_value(said: Any, wanted: str | int | None) -> bool:
    """Whether what the server says is the wanted value, however it spells a word or a number."""
    if wanted is None:
        return said is None
    if isinstance(wanted, str):
        return isinstance(said, str) and normalise(said) == normalise(wanted)
    return number(said) == wanted


def differing(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> Record:
    """The part of ``wanted`` that does not hold yet."""
    return {key: value for key, value in wanted.items() if not is_value(values.get(key), value)}


def moved(before: Mapping[str, Any], after: Mapping[str, Any], sent: Mapping[str, Any]) -> Record:
    """What changed without having been sent: key -> ``before`` and ``after``."""
    pairs = {key: (_known(before.get(key)), _known(after.get(key))) for key in sorted(before.keys() | after.keys())}
    return {
        key: {"before": one, "after": other} for key, (one, other) in pairs.items() if key not in sent and one != other
    }


def tenant_values(policy: Mapping[str, Any]) -> Record:
    """The keys of E9 that can be set, None where the server does not give one."""
    return {key: _known(policy.get(key)) for key in TENANT_KEYS}


def _known(value: Any) -> Any:
    """A value without NaN and the infinities, which no policy means and which would differ from themselves."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _known(entry) for key, entry in value.items()}
    return [_known(entry) for entry in value] if isinstance(value, list) else value


def overrides(policy: Mapping[str, Any]) -> Record:
    """The overrides of an instance's policy (E25, E26) by component; None inherits.

    Without the key ``<component>_override`` the mode is one if its source names the instance.
    """
    return {component: _override(policy, component) for component in COMPONENTS}


def _override(policy: Mapping[str, Any], component: str) -> str | None:
    key = f"{component}_override"
    of_instance = "instance" in normalise(policy.get(f"{component}_source"))
    said = policy.get(key, policy.get(component) if of_instance else None)
    return said if isinstance(said, str) and normalise(said) not in ("", "inherit") else None


def untold(policy: Mapping[str, Any], components: Iterable[str]) -> list[str]:
    """The components of which an instance's policy does not say whether they are overridden."""
    return [c for c in components if f"{c}_override" not in policy and not normalise(policy.get(f"{c}_source"))]


def override_of(mode: str) -> str | None:
    """The override that a mode stands for: inheriting is having none."""
    return None if mode == "inherit" else mode


def auto_refused(policy: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """The components for which ``auto`` is asked although the server says that it does not support it."""
    return [name for name, mode in changes.items() if mode == "auto" and policy.get(f"{name}_auto_supported") is False]


def with_overrides(
    policy: Mapping[str, Any], changes: Mapping[str, Any], tenant: Mapping[str, Any] | None = None
) -> Record:
    """The instance's policy with other overrides; ``tenant`` (E9) says what is inherited, without it that is None.

    Whether an inherited mode comes from the tenant or the platform is the server's to say: its source is None.
    """
    told = dict(policy)
    for name, mode in changes.items():
        told[f"{name}_override"] = mode
        told[name] = mode or (tenant or {}).get(f"{name}_default")
        told[f"{name}_source"] = "instance_override" if mode else None
    return told


def opened_by_one_hour(policy: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether a change of one hour of the window made it equal to the other, which opens the window all day."""
    start, end = (whole(policy.get(key)) for key in HOUR_KEYS)
    return start is not None and start == end and len(changes.keys() & set(HOUR_KEYS)) == 1
