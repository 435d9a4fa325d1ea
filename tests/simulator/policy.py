# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update policies: the tenant's default, the override of one instance, and the maintenance window."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.refusal import Refused

COMPONENTS = ("runtime", "skills", "mcp_servers")
MODES = ("auto", "notify", "disabled")
AUTO_SUPPORTED = {"runtime": True, "skills": False, "mcp_servers": False}
FLEET_KEYS = (
    "maintenance_window_start_hour_utc",
    "maintenance_window_end_hour_utc",
    "max_parallel_rollouts",
    "runtime_default",
    "skills_default",
    "mcp_servers_default",
)


@dataclass
class FleetPolicy:
    """The document of E9; `touched` contains the keys that a user has set."""

    values: dict[str, Any] = field(
        default_factory=lambda: {
            "maintenance_window_start_hour_utc": 0,
            "maintenance_window_end_hour_utc": 0,
            "max_parallel_rollouts": 2,
            "runtime_default": "notify",
            "skills_default": "notify",
            "mcp_servers_default": "notify",
        }
    )
    touched: set[str] = field(default_factory=set)

    @property
    def max_parallel(self) -> int | None:
        """The limit that is enforced, or None for no limit, as for a value that is not a number."""
        return _integer(self.values["max_parallel_rollouts"])

    @property
    def window(self) -> tuple[int | None, int | None]:
        """The start and end hours that are enforced, or None, as for a value that is not a number."""
        first, last = (_integer(self.values[key]) for key in FLEET_KEYS[:2])
        return first, last

    def change(self, patch: dict[str, Any]) -> None:
        """E10: set some of the keys; unknown keys are ignored."""
        for component in COMPONENTS:
            key = f"{component}_default"
            if key in patch:
                check_mode(component, key, patch[key])
        self.force({key: patch[key] for key in FLEET_KEYS if key in patch})

    def force(self, values: dict[str, Any]) -> None:
        """Set values without validation, to simulate a broken policy, for example a limit of 0 or null."""
        for key, value in values.items():
            if key not in FLEET_KEYS:
                raise ValueError(f"the fleet policy has no {key!r}")
            # JSON has no NaN and no infinity: such a policy could not be served.
            json.dumps(value, allow_nan=False)
            self.values[key] = value
            self.touched.add(key)


def _integer(value: Any) -> int | None:
    """The integer that a number or its text denotes, otherwise None."""
    try:
        return None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def check_mode(component: str, key: str, mode: str | None) -> None:
    """Raises a 409 for an unknown mode, and for `auto` where the platform does not support it.

    In the contract the fleet's modes are plain strings, so an unknown mode is a conflict, not a malformed body.
    """
    if mode is None:
        return
    if mode not in MODES:
        raise Refused(409, f"{key} must be one of {', '.join(MODES)}, it is {mode!r}")
    if mode == "auto" and not AUTO_SUPPORTED[component]:
        raise Refused(409, f"automatic updates are not supported for {component}")


def instance_policy(fleet: FleetPolicy, overrides: dict[str, str | None]) -> dict[str, Any]:
    """The policy in E25 and E26: for each component the mode, override, source, and whether auto is supported."""
    answer: dict[str, Any] = {}
    for component in COMPONENTS:
        key = f"{component}_default"
        override = overrides.get(component)
        inherited = "tenant_default" if key in fleet.touched else "platform_default"
        answer[component] = override or fleet.values[key]
        answer[f"{component}_override"] = override
        answer[f"{component}_source"] = "instance_override" if override else inherited
        answer[f"{component}_auto_supported"] = AUTO_SUPPORTED[component]
    return answer


def window_open(start: int | None, end: int | None, moment: float, equal_hours: str) -> bool:
    """behaviour.md 2.7: UTC hours, start inclusive, end exclusive, may span midnight; None means no window."""
    if start is None or end is None:
        return True
    start, end = start % 24, end % 24
    if start == end:
        return equal_hours == "open"
    hour = int(moment // 3600) % 24
    return start <= hour < end if start < end else hour >= start or hour < end


def seconds_until_open(start: int | None, end: int | None, moment: float, equal_hours: str) -> float | None:
    """0 if the window is open, None if it never opens."""
    if window_open(start, end, moment, equal_hours):
        return 0.0
    if start is None or end is None or start % 24 == end % 24:
        return None
    day_second = moment % 86400
    return (start % 24 * 3600 - day_second) % 86400
