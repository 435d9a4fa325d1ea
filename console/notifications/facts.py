# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts that notifications report: one for each operation or cause, never one for each instance. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SUBJECTS = ("operations", "stuck", "stale", "unhealthy", "drift", "policy", "window")
"""operations: an operation ended or began. stuck: a rollout makes no progress. stale: an API was not read for too long.
unhealthy: instances are unhealthy for the same cause. drift: instances run a runtime other than the published one.
policy: the update policy was changed. window: a rollout began outside the maintenance window."""
OPERATIONS, STUCK, STALE, UNHEALTHY, DRIFT, POLICY, WINDOW = SUBJECTS

CONDITIONS = frozenset({STUCK, STALE, UNHEALTHY, DRIFT})
"""Subjects that last for a while. They are sent once, and again if they end and then recur."""


@dataclass(frozen=True)
class Fact:
    """One fact. It is identified by subject, key and state, and sent once to each destination.

    state: the verdict of an operation, else ''. at: when it happened or began (epoch seconds), None if not known.
    title, sentence: texts for people. details: further lines, with the causes ordered by the number of instances. page,
    id: the name of the console's page that shows it, as in the address, and the id for that page. is_held: it is not
    sent now.

    Only for operations: counts (the number of instances by outcome), hosts (their names by outcome), name (as in
    outcomes.facts.Facts). Only for changes of the policy: outside_window.
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
        return self.subject, self.key, self.state
