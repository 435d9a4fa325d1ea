# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a series of live health records proves about a restart (behaviour 2.7). Pure functions on plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .answers import Record, boot_time, is_healthy, is_live, normalise, number, parse_time, records_in
from .ids import task_keys
from .record_words import health_in_words
from .redeploy import newest_first
from .refusals import says_no

# Seconds by which a boot time may vary, since checked_at and uptime_seconds are rounded separately.
BOOT_SLACK = 1.5
# Seconds by which the time of a row may differ from the Date of an answer, which has whole seconds.
CLOCK_SLACK = 5.0
# Seconds after the end of an action within which the agent may start.
_STARTS_WITHIN = 60.0

_COMPLETED = frozenset({"completed", "complete", "succeeded", "success", "done", "finished", "ok"})


@dataclass(frozen=True)
class Watch:
    """What the health records after a restart call have shown so far. ``see`` returns the next state.

    ``boot_before``: the boot time before the call (epoch seconds by the server's clock), None if unknown.
    ``newer_than``: a live record counts only if it was checked after this time (server's clock); None: all count.
    ``moved``: the evidence of a new boot time, or None. ``down``: whether the agent failed to answer at least once.
    ``back``: whether it answered after that. ``answering``: whether the newest record counts. ``healthy``: the
    number of consecutive healthy records since the restart. ``last``: the newest record in words.
    """

    boot_before: float | None = None
    newer_than: float | None = None
    moved: str | None = None
    down: bool = False
    back: bool = False
    answering: bool = False
    healthy: int = 0
    last: str = "it was not checked"

    def see(self, health: Mapping[str, Any] | None, since_call: float, said: str = "no answer") -> Watch:
        """The state after one more record (E16 with force). ``health``: None if there was no answer.

        ``since_call``: seconds from the restart call to the request for this record, by the local clock. ``said``: why
        there was no answer, as a phrase.
        """
        if health is None:
            return replace(self, down=True, answering=False, healthy=0, last=said)
        old = health_in_words(health, is_new=False)
        if not is_live(health):
            return replace(self, down=True, answering=False, healthy=0, last=old)
        checked = parse_time(health.get("checked_at"))
        if self.newer_than is not None and (checked is None or checked <= self.newer_than):
            return replace(self, healthy=0, last=old)
        boot, uptime = boot_time(health), number(health.get("uptime_seconds"))
        moved = self.moved or _moved(self.boot_before, boot, uptime, since_call)
        # Healthy records from before the restart do not count.
        good_before = self.healthy if moved == self.moved else 0
        return replace(
            self,
            moved=moved,
            back=self.back or self.down,
            answering=True,
            healthy=good_before + 1 if is_healthy(health) else 0,
            last=health_in_words(health, is_new=True),
        )

    def evidence(self, *, completed: bool, settled: bool) -> str | None:
        """The evidence of the restart: ``boot_time``, ``uptime``, ``gap_only``, or None while there is none.

        ``completed``: E11 shows the action as completed. ``settled``: whether a restart would usually be over by now.
        Before that, the old boot time may mean that the restart is still to come, and a gap in the answers may have
        another cause.
        """
        if self.moved:
            return self.moved
        if self.back and settled and (completed or self.boot_before is None):
            return "gap_only"
        return None

    @property
    def untouched(self) -> bool:
        """Whether the agent has always answered, with the boot time that it had before the call."""
        return self.boot_before is not None and self.answering and not self.down and not self.moved

    def in_words(self) -> str:
        """What was observed, for the message of a failure."""
        if self.moved:
            start = "it restarted"
        elif self.back:
            start = "it did not answer for a while, but its start time did not change"
        elif self.down:
            start = "it does not answer with a live record"
        else:
            start = "its start time did not change and it always answered"
        return f"{start}; {self.last}"


def _moved(before: float | None, boot: float | None, uptime: float | None, since_call: float) -> str | None:
    if before is not None:
        return "boot_time" if boot is not None and boot > before + BOOT_SLACK else None
    # The uptime is measured after the request. If it is less than since_call, the agent started after the call.
    return "uptime" if uptime is not None and 0 <= uptime < since_call else None


def rows_of(answer: Mapping[str, Any]) -> list[Record]:
    """The rows of E11 sorted by created_at, newest first. Items that are not mappings are left out."""
    return newest_first(records_in(answer.get("actions")))


def action_key(row: Mapping[str, Any]) -> str | None:
    """The value that identifies a row of E11, whose shape the reference does not define; None if there is no value."""
    return next((str(row[name]) for name in ("action_id", "id", "created_at") if row.get(name)), None)


def is_action(row: Mapping[str, Any], *kinds: str) -> bool:
    """Whether a row of E11 is an action of one of ``kinds`` (power_cycle, reboot, ...), in any spelling."""
    word = normalise(row.get("action") or row.get("action_type") or row.get("type")).replace("_", "")
    return word in {kind.replace("_", "") for kind in kinds}


def is_completed(row: Mapping[str, Any]) -> bool:
    """Whether an action is completed, by its status. An accepted action is not."""
    return normalise(row.get("status")) in _COMPLETED


def has_failed(row: Mapping[str, Any]) -> bool:
    """Whether the server says that an action has failed. A timeout does not count as a failure."""
    return says_no(row.get("status"))


def started_action(
    rows: Sequence[Mapping[str, Any]], kind: str, known: Collection[str], action_id: str | None
) -> Record | None:
    """The row (E11) of a call: the one with its id or, if the id is unknown, the newest new row of its kind.

    ``known``: the keys (action_key) of the rows before the call.
    """
    if action_id:
        keys = task_keys(action_id)
        return next((dict(row) for row in rows if keys & task_keys([row.get("action_id"), row.get("id")])), None)
    new = (row for row in rows if is_action(row, kind) and (action_key(row) or "") not in {*known, ""})
    return next((dict(row) for row in new), None)


def completed_ago(rows: Sequence[Mapping[str, Any]], now: float | None, within: float, *kinds: str) -> float | None:
    """Seconds since the newest completed action of one of ``kinds``, if that is at most ``within``; otherwise None.

    ``now``: epoch seconds by the server's clock, None if unknown.
    """
    return _newest_age([row for row in rows if is_action(row, *kinds) and is_completed(row)], now, within)


def restarted_ago(
    kind: str, health: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]], now: float | None, within: float
) -> float | None:
    """Seconds since the last restart of this ``kind`` (power_cycle, reboot), if less than ``within``; otherwise None.

    The time is taken from the boot time, which a cached record has too, and from E11. Both are needed, because
    uptime_seconds may be that of the host, and a restart may still be in progress. For the kind ``reboot``, a boot time
    does not count if a power-cycle or a deployment explains it.
    """
    kinds = ("reboot",) if kind == "reboot" else ("power_cycle", "reboot")
    listed = _newest_age([row for row in rows if is_action(row, *kinds) and not has_failed(row)], now, within)
    boot = boot_time(health) if health else None
    if boot is not None and kind == "reboot" and any(_explains(row, boot) for row in rows):
        boot = None
    uptime = None if boot is None else (now - boot if now is not None else number((health or {}).get("uptime_seconds")))
    ages = [max(0.0, age) for age in (listed, uptime) if age is not None]
    return min((age for age in ages if age < within), default=None)


def _newest_age(rows: Sequence[Mapping[str, Any]], now: float | None, within: float) -> float | None:
    """Seconds since the newest of the actions ended (or was created, if its end is unknown), if at most ``within``."""
    ends = [parse_time(row.get("completed_at")) or parse_time(row.get("created_at")) for row in rows]
    ages = [max(0.0, now - end) for end in ends if end is not None] if now is not None else []
    return min((age for age in ages if age <= within), default=None)


def _explains(row: Mapping[str, Any], boot: float) -> bool:
    """Whether an action other than a reboot explains that the agent started at ``boot`` (epoch seconds)."""
    created = parse_time(row.get("created_at"))
    if created is None or not is_action(row, "power_cycle", "redeploy", "apply_all"):
        return False
    completed = parse_time(row.get("completed_at"))
    return created - CLOCK_SLACK <= boot and (completed is None or boot <= completed + _STARTS_WITHIN)
