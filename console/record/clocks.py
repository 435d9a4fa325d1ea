# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a recorded time lies in the future because a clock was ahead. Pure."""

from __future__ import annotations

TOLERANCE = 60.0
"""Seconds by which two correct clocks, or two moments of one sync, may differ."""


def ahead_by(at: float | None, now: float) -> float | None:
    """How many seconds a time is later than ``now``; None if it is not later by more than TOLERANCE."""
    return at - now if at is not None and at > now + TOLERANCE else None
