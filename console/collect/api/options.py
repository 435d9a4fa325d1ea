# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sync reads from the API, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError


@dataclass(frozen=True)
class ApiOptions:
    """What is read of one tenant.

    rollouts: how many of the newest are listed. audit_events: how many events back the audit of each instance is read;
    known ones are not read again. details: what else is read of each instance, words of ``instances.KINDS``, one call
    each. instances: ids or host names whose audit and details are read, all known ones if empty.
    """

    rollouts: int = 1000
    audit: bool = True
    audit_events: int = 500
    details: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass
class ApiReport:
    """What one sync with the API did. ``problems``: sentences about what could not be read.

    ``ended_by``: the error after which nothing more could be read, None without one.
    """

    rollouts: int = 0
    targets: int = 0
    instances: int = 0
    audit_events: int = 0
    details: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ended_by: ApiError | None = None
