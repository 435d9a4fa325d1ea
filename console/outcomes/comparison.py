# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two operations side by side, instance by instance. Pure."""

from __future__ import annotations

from console.outcomes.words import CURRENT, PROBLEMS, UPDATED

KINDS = {
    "new failure": "failed or uncertain now, not before",
    "still failing": "failed or uncertain both times",
    "fixed": "failed or uncertain before, done or current now",
    "same": "the same outcome both times",
    "other": "another outcome than before",
    "only before": "not in the later operation",
    "only now": "not in the earlier operation",
}
"""The kinds of change of an instance, worst first, with their meaning."""


def kind_of(before: str | None, now: str | None) -> str:
    """The kind of change between two categories; None: the instance was not in that operation."""
    if before is None:
        return "only now"
    if now is None:
        return "only before"
    if now in PROBLEMS:
        return "still failing" if before in PROBLEMS else "new failure"
    if before in PROBLEMS and now in (UPDATED, CURRENT):
        return "fixed"
    return "same" if before == now else "other"
