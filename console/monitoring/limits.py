# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the database that monitoring checks, with their limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from console.text import times

MINUTE, HOUR, DAY, MIB = 60.0, 3600.0, 86400.0, 1024.0 * 1024.0


class Level(IntEnum):
    """The severity; the values are the exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True)
class Limits:
    """The values from which a figure is a warning or critical; None for never."""

    warning: float | None
    critical: float | None

    def level(self, value: float) -> Level:
        """The level of a value."""
        if self.critical is not None and value >= self.critical:
            return Level.CRITICAL
        return Level.WARNING if self.warning is not None and value >= self.warning else Level.OK


@dataclass(frozen=True)
class Figure:
    """A figure: its name (also that of the option), unit (seconds, bytes or count), description and default limits."""

    name: str
    unit: str
    what: str
    limits: Limits


FIGURES = (
    Figure("sync-age", "seconds", "time since the API was last read", Limits(DAY, 3 * DAY)),
    Figure("run-log-age", "seconds", "time since run logs were last loaded", Limits(DAY, 3 * DAY)),
    Figure("open-age", "seconds", "age of the oldest open target", Limits(12 * HOUR, DAY)),
    Figure("stuck", "count", "stuck targets and rollouts", Limits(1, 10)),
    Figure("uncertain", "count", "uncertain targets without a newer deploy of the instance", Limits(1, 10)),
    Figure("failed", "count", "failed targets without a newer deploy of the instance", Limits(1, 10)),
    Figure("lost", "count", "runs that ended without a recap", Limits(1, 10)),
    Figure("sync-errors", "count", "sources that the last sync could not read", Limits(1, None)),
    Figure("backlog", "bytes", "size of the run logs that are not loaded yet", Limits(MIB, 100 * MIB)),
    Figure("follower", "seconds", "time since the follower died or hung", Limits(MINUTE, HOUR)),
    Figure("backup-age", "seconds", "time since the last backup", Limits(7 * DAY, 30 * DAY)),
)


def value_text(value: float, unit: str) -> str:
    """A value as text for people; ``unit``: as in Figure."""
    if unit == "seconds":
        return times.rounded(value)
    return times.size(value) if unit == "bytes" else f"{value:,.0f}"
