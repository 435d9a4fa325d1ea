# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a clock was ahead when a time was written. Pure."""

from __future__ import annotations

TOLERANCE = 60.0
"""Seconds by which two clocks that are right, or two moments of one sync, may differ."""


def ahead_by(at: float | None, now: float) -> float | None:
    """By how many seconds a time is later than ``now``; None if it is not, or by no more than the tolerance."""
    return at - now if at is not None and at > now + TOLERANCE else None
