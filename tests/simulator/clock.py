# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual clock, and the formats of a point in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate


class VirtualClock:
    """Virtual epoch seconds (UTC) that pass `speed` times as fast as real time; speed 0 means a manual clock."""

    def __init__(self, start: float, speed: float) -> None:
        self.start = start
        self.speed = speed
        self._base = start
        self._wall = time.monotonic()

    def now(self) -> float:
        return self._base + (time.monotonic() - self._wall) * self.speed

    def advance(self, seconds: float) -> None:
        """Jump ahead by virtual seconds."""
        if seconds < 0:
            raise ValueError(f"the clock cannot go back ({seconds} s)")
        self._base += seconds

    def set_speed(self, speed: float) -> None:
        if speed < 0:
            raise ValueError(f"the clock cannot run backwards (speed {speed})")
        self._base = self.now()
        self._wall = time.monotonic()
        self.speed = speed


def iso(moment: float) -> str:
    """ISO 8601 in UTC, with an offset and microseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def http_date(moment: float) -> str:
    """The format of the Date and Retry-After headers."""
    return formatdate(moment, usegmt=True)


def parse_moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 timestamp; a timestamp without an offset is in UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
