# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the database that monitoring checks, with their limits, and the checks, one line for each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time
from console.monitoring.backlog import Backlog
from console.record.read.freshness import DIED, HANGS, STOPPED, Follower
from console.record.read.record_health import Vitals
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
    Figure("follower", "seconds", "time since sync --follow died or hung", Limits(MINUTE, HOUR)),
    Figure("backup-age", "seconds", "time since the last backup", Limits(7 * DAY, 30 * DAY)),
)


def value_text(value: float, unit: str) -> str:
    """A value as text for people; ``unit``: as in Figure."""
    if unit == "seconds":
        return times.rounded(value)
    return times.size(value) if unit == "bytes" else f"{value:,.0f}"


@dataclass(frozen=True)
class Check:
    """One checked figure; ``value`` is None if there is nothing to measure."""

    name: str
    level: Level
    sentence: str
    value: float | None


def judge(vitals: Vitals, waiting: Backlog, now: float, limits: Mapping[str, Limits]) -> list[Check]:
    """Check every figure. ``limits``: limits that replace the defaults, by the name of the figure."""
    follower = vitals.follower
    values: dict[str, float | None] = {
        "sync-age": _age(vitals.api_at, now),
        "run-log-age": _age(vitals.runs_at, now),
        "open-age": _age(vitals.oldest_open_at, now),
        "stuck": vitals.stuck,
        "uncertain": vitals.uncertain,
        "failed": vitals.failed,
        "lost": vitals.lost,
        "sync-errors": vitals.errors,
        "follower": _age(follower.since, now) if follower and follower.state in (DIED, HANGS) else None,
        "backlog": None if waiting.problem else waiting.unread,
        "backup-age": _age(vitals.backup_at, now),
    }
    never = vitals.api_at is None and vitals.runs_at is None
    missing = {
        "sync-age": ("Nothing was ever synced", Level.CRITICAL) if never else ("No API is read", Level.OK),
        "run-log-age": ("No run log was ever loaded", Level.OK),
        "open-age": ("No target is open", Level.OK),
        "follower": (_follower_sentence(follower), Level.OK),
        "backlog": (waiting.problem.rstrip("."), Level.WARNING if waiting.is_unreadable else Level.OK),
        "backup-age": ("No backup was ever made", Level.WARNING),
    }
    own_times = {"sync-age": vitals.api_at, "run-log-age": vitals.runs_at, "backup-age": vitals.backup_at}
    for name, at in own_times.items():
        if at is not None and times.ahead_by(at, now) is not None:
            values[name] = None
            missing[name] = (
                f"Unknown, because the stored time {iso_time(at)} is in the future: this machine's clock was ahead",
                Level.WARNING,
            )
    found = []
    for figure in FIGURES:
        value, limit = values[figure.name], limits.get(figure.name, figure.limits)
        if value is None:
            sentence, level = missing[figure.name]
            # Without limits, a missing figure is not a problem either.
            if limit.warning is None and limit.critical is None:
                level = Level.OK
            found.append(Check(figure.name, level, f"{sentence}.", None))
            continue
        sentence = f"{figure.what[0].upper()}{figure.what[1:]}: {value_text(value, figure.unit)}"
        if figure.name == "sync-age" and vitals.api_tenant:
            sentence += f" at {vitals.api_tenant}"
        if figure.name == "follower" and follower is not None:
            sentence += f" on {follower.host}, process {follower.pid}; start it again"
        sentence += _limits_text(limit, figure.unit)
        found.append(Check(figure.name, limit.level(value), f"{sentence}.", value))
    return found


def worst(checks: list[Check]) -> Level:
    return max((check.level for check in checks), default=Level.OK)


def _follower_sentence(follower: Follower | None) -> str:
    """The sentence for no follower, or for one that neither died nor hangs."""
    if follower is None:
        return "sync --follow is not used"
    if follower.state == STOPPED:
        return f"The follower on {follower.host} was stopped"
    return f"A follower runs on {follower.host}" + (f", which cannot read {follower.unread}" if follower.unread else "")


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else max(0.0, now - at)


def _limits_text(limits: Limits, unit: str) -> str:
    parts = [f"{word} from {value_text(at, unit)}" for word, at in
             (("warning", limits.warning), ("critical", limits.critical)) if at is not None]  # fmt: skip
    return f" ({', '.join(parts)})" if parts else " (not judged)"
