# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be told: one fact an operation or a cause, never one an instance. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SUBJECTS = ("operations", "stuck", "stale", "unhealthy", "drift", "policy", "window")
"""operations: one has ended, or begun. stuck: a rollout makes no progress. stale: an API was not read for too long.
unhealthy: instances with one cause. drift: instances run another runtime than the published one. policy: it was
changed. window: a rollout began outside the maintenance window."""
OPERATIONS, STUCK, STALE, UNHEALTHY, DRIFT, POLICY, WINDOW = SUBJECTS

CONDITIONS = frozenset({STUCK, STALE, UNHEALTHY, DRIFT})
"""Subjects that last: sent once, and again when they come back after they were over."""


@dataclass(frozen=True)
class Fact:
    """One fact. subject, key and state say what it is: it is told once to each destination.

    state: the verdict of an operation, '' of the others. at: when it happened or began (epoch seconds), None where that
    is not known. title, sentence: for people; details: more lines, the causes by how many instances they have. counts:
    of an operation, how many instances by outcome. hosts: of an operation, host names by outcome. page, id: where the
    console shows it, the page's name as in its address. name: of an operation, as in Facts.name. outside_window: of a
    change of the policy. is_held: it is so, but is not to be told now.
    """

    subject: str
    key: str
    state: str
    at: float | None
    title: str
    sentence: str
    details: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    page: str = ""
    id: str = ""
    name: str = ""
    outside_window: bool = False
    is_held: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """What it is, without what is known of it."""
        return self.subject, self.key, self.state
