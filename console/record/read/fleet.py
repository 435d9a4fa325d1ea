# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the fleet: health, versions, updates, redeploys in flight, window, the last day, age of the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from console.record.read.policy import WindowNow

DAY = 86400.0


@dataclass(frozen=True)
class Fleet:
    """The state of one tenant's fleet. Times are epoch seconds.

    tenant: its address. instances: how many are known. health: word -> how many, of healthy, degraded, unhealthy, other
    and not read. health_at: when the oldest of these was checked. versions: (runtime version, how many), most first;
    None is "not read". published: the version that is published, by the newest E25 of each instance; published_others:
    (version, how many) that instances report otherwise, empty where all agree. on_published: how many run it.
    updates: kind (runtime, skills, servers) -> how many instances have at least one waiting; updates_read: of how many
    that is known. in_flight, limit: redeploys at the server, and max_parallel_rollouts (None without a valid policy).
    window: None without a policy. operations: verdict -> how many of the last 24 h. api_at, runs_at: when the API and
    the run logs were last read, None for never.
    """

    tenant: str
    instances: int
    health: dict[str, int]
    health_at: float | None
    versions: tuple[tuple[str | None, int], ...]
    published: str | None
    published_others: tuple[tuple[str, int], ...]
    on_published: int
    updates: dict[str, int]
    updates_read: int
    in_flight: int
    limit: int | None
    window: WindowNow | None
    operations: dict[str, int]
    api_at: float | None
    runs_at: float | None


def fleets(path: Path, now: float) -> list[Fleet]:
    """The state of each tenant's fleet that is still read, in the order of their addresses; of an empty record []."""
    raise NotImplementedError
