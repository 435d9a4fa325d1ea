# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""When something may be started: within the maintenance window and outside of the freezes. Pure, in UTC."""

from __future__ import annotations

from dataclasses import dataclass

from .freezes import NO_FREEZES, Freezes
from .window import DAY, Window

# How far ahead the next opening is searched for, in seconds.
_AHEAD = 400 * DAY


@dataclass(frozen=True)
class Openings:
    """The times in the window but in no freeze; none if either is invalid, for which ``problem`` is a sentence."""

    window: Window
    freezes: Freezes = NO_FREEZES

    @property
    def problem(self) -> str:
        return self.window.problem or self.freezes.problem

    def is_open(self, at: float) -> bool:
        """Whether something may be started at ``at`` (epoch seconds)."""
        return not self.problem and self.window.is_open(at) and self.freezes.during(at) is None

    def next_opening(self, at: float) -> float | None:
        """The next time it opens (epoch seconds); None if it is open at ``at``, or does not open within 400 days."""
        if self.problem or self.is_open(at):
            return None
        moment = at
        while moment < at + _AHEAD:
            opening = self.window.next_opening(moment)
            moment = moment if opening is None else opening
            frozen = self.freezes.during(moment)
            if frozen is None:
                return moment
            moment = frozen.end
        return None

    def closes_at(self, at: float) -> float | None:
        """When it closes next; None if it is closed at ``at``, or never closes."""
        if not self.is_open(at):
            return None
        freeze = self.freezes.next_after(at)
        closings = [self.window.closes_at(at), freeze.start if freeze is not None else None]
        return min((closing for closing in closings if closing is not None), default=None)
