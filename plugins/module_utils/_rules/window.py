# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The maintenance window: whether it is open and when it opens next. Pure, in UTC (behaviour 2.7, Window)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answers import whole
from .durations import clock
from .policy import HOUR_KEYS

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True)
class Window:
    """Hours of the day in UTC. The start is inclusive, the end exclusive. A window may extend over midnight.

    Without hours, or with equal hours, the window is open all day. The reference has 0 and 0 as defaults, so reading
    equal hours as "never" would lock out every tenant. The server decides; this class only refuses early and explains.

    ``problem``: a sentence if the policy's hours are invalid. Such a window is not open and has no next opening, so
    callers must check ``problem`` first.
    """

    start: int | None
    end: int | None
    problem: str = ""

    @classmethod
    def of_policy(cls, policy: Mapping[str, Any]) -> Window:
        """The window of an update policy (E9). If both hours are null, there is no window. 24 is read as 0."""
        said = [policy.get(key) for key in HOUR_KEYS]
        if said == [None, None]:
            return cls(None, None)
        start, end = (_hour(value) for value in said)
        if start is not None and end is not None:
            return cls(start, end)
        named = " and ".join(f"{key} is {_shown(value)}" for key, value in zip(HOUR_KEYS, said, strict=True))
        return cls(
            None,
            None,
            f"The maintenance window cannot be read, so it is not known whether it is open: {named}. "
            "Both must be hours of the day from 0 to 23, or both null for no window. Set them with the module "
            "fleetops.agents.update_policy.",
        )

    @property
    def always_open(self) -> bool:
        return not self.problem and (self.start is None or self.end is None or self.start == self.end)

    def is_open(self, at: float) -> bool:
        """Whether the window is open at ``at`` (epoch seconds)."""
        if self.start is None or self.end is None or self.start == self.end:
            return not self.problem
        hour = int(at // HOUR) % 24
        if self.start < self.end:
            return self.start <= hour < self.end
        return hour >= self.start or hour < self.end

    def next_opening(self, at: float) -> float | None:
        """The next time it opens (epoch seconds), or None if it is open at ``at``."""
        if self.start is None or self.is_open(at):
            return None
        opening = at // DAY * DAY + self.start * HOUR
        return opening if opening > at else opening + DAY

    def closes_at(self, at: float) -> float | None:
        """When the open window closes (epoch seconds); None if it is closed or never closes."""
        if self.end is None or self.always_open or not self.is_open(at):
            return None
        closing = at // DAY * DAY + self.end * HOUR
        return closing if closing > at else closing + DAY

    def sentence(self, at: float) -> str:
        """The window in words, with its next opening when it is closed."""
        if self.problem:
            return self.problem
        if self.always_open:
            return "The maintenance window is open all day."
        hours = f"{self.start:02d}:00 to {self.end:02d}:00 UTC"
        opening = self.next_opening(at)
        if opening is None:
            return f"The maintenance window ({hours}) is open."
        return f"The maintenance window ({hours}) is closed; it opens next at {clock(opening)}."


def _hour(value: Any) -> int | None:
    hour = whole(value)
    return hour % 24 if hour is not None and 0 <= hour <= 24 else None


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)[:60]
