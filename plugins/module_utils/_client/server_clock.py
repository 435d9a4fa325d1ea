# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The server's clock, as exactly as the Date headers of its answers show it. Pure."""

from __future__ import annotations

# A Date has whole seconds, and an answer may take a second. A Date that is further behind comes from another clock.
_FURTHEST_BEHIND = 2.0


class ServerClock:
    """Learns from Date headers. None of them is later than the server's clock, so the latest one is the most exact.

    ``ahead``: how many seconds, at least, the server's clock (epoch seconds) is ahead of the local monotonic clock;
    None if no answer had a Date.
    """

    def __init__(self) -> None:
        self.ahead: float | None = None

    def learn(self, ahead: float) -> None:
        """``ahead``: the Date of an answer, less the local time at which it arrived."""
        if self.ahead is None or not self.ahead - _FURTHEST_BEHIND <= ahead <= self.ahead:
            self.ahead = ahead

    def seconds_since(self, at: float, now: float) -> float | None:
        """Seconds from ``at``, by the server's clock, to ``now``, by the local one; at least 0. None if not known."""
        return None if self.ahead is None else max(0.0, now + self.ahead - at)
