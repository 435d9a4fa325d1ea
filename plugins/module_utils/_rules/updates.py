# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The available updates of an instance (E25), by component. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answers import number, parse_time, records_in, runtime_component, text_or_none

RUNTIME = "runtime"
# In the order in which E24 applies them. The runtime comes last.
_LISTS = ("skills", "mcp_servers")
_VERSIONS = ("current_version", "available_version")


@dataclass(frozen=True)
class Component:
    """One row of E25. ``outdated``: None if the server does not say enough."""

    kind: str
    slug: str | None
    current: str | None
    available: str | None
    outdated: bool | None

    @property
    def name(self) -> str:
        """The kind and the slug, for example ``skills/calendar``. Only the kind if there is no slug."""
        return f"{self.kind}/{self.slug}" if self.slug else self.kind


def components_of(updates: Mapping[str, Any]) -> list[Component]:
    """Skills, MCP servers and, at the end, the runtime. Items that are not mappings are left out."""
    rows = [(kind, row) for kind in _LISTS for row in records_in(updates.get(kind))]
    rows.append((RUNTIME, runtime_component(updates)))
    return [component_of(kind, row) for kind, row in rows if row]


def component_of(kind: str, row: Mapping[str, Any]) -> Component:
    """One row of E25. If the server does not say whether it has an update, two different versions count as one."""
    current, available = (None if row.get(key) is None else str(row[key]) for key in _VERSIONS)
    said = row.get("has_update")
    outdated: bool | None = None
    if isinstance(said, bool):
        outdated = said
    elif current and available:
        outdated = current != available
    return Component(kind, text_or_none(row.get("slug")), current, available, outdated)


def versions(updates: Mapping[str, Any], *, updated: bool = False) -> dict[str, str | None]:
    """The version of each component by name. With ``updated``, the version after all updates are applied."""
    return {c.name: c.available if updated and c.outdated else c.current for c in components_of(updates)}


def waiting(updates: Mapping[str, Any]) -> int | None:
    """The number of waiting updates: ``total_available``, or else counted. None if the server does not say enough."""
    total = number(updates.get("total_available"))
    if total is not None:
        return max(0, int(total))
    found = [component.outdated for component in components_of(updates)]
    return sum(map(bool, found)) if found and (any(found) or None not in found) else None


def outdated(updates: Mapping[str, Any]) -> list[Component]:
    """The components with a waiting update."""
    return [component for component in components_of(updates) if component.outdated]


def runtime_waits(updates: Mapping[str, Any]) -> bool:
    """Whether applying all updates may redeploy the runtime: true unless the server says that it is current."""
    return not any(c.kind == RUNTIME and c.outdated is False for c in components_of(updates))


def without_runtime(updates: Mapping[str, Any]) -> dict[str, Any]:
    """``updates`` as they will be after the runtime has been updated."""
    runtime = runtime_component(updates)
    left = dict(updates)
    if any(c.kind == RUNTIME and c.outdated for c in components_of(updates)):
        left[RUNTIME] = {**runtime, "has_update": False, "current_version": runtime.get("available_version")}
        total = number(updates.get("total_available"))
        if total is not None:
            left["total_available"] = max(0, int(total) - 1)
    return left


def skills_moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The slugs of the skills that had a waiting update and now have another version."""
    seen = versions(now)
    return sorted(
        c.slug for c in outdated(before) if c.kind == "skills" and c.slug and seen.get(c.name, c.current) != c.current
    )


def reported_after(updates: Mapping[str, Any], moment: float | None) -> bool:
    """Whether the versions were reported more than a second after ``moment`` (epoch seconds, rounded to seconds)."""
    reported = parse_time(updates.get("versions_reported_at"))
    return reported is not None and moment is not None and reported > moment + 1
