# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sync reads from the API, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from console.collect.report import Report


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
class ApiReport(Report):
    """What one sync with the API did. ``ended_by``: the error after which nothing more could be read."""

    rollouts: int = 0
    targets: int = 0
    instances: int = 0
    audit_events: int = 0
    details: int = 0
    ended_by: ApiError | None = None
