# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of each instance of an operation. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from console.outcomes.facts import Facts


@dataclass(frozen=True)
class Outcome:
    """What became of one instance.

    category: of words.CATEGORIES. message: why, '' where nothing needs saying. since: when it came to be so (epoch
    seconds), None where that is not known. derived: it is not from the run's report.
    """

    category: str
    message: str = ""
    since: float | None = None
    derived: bool = False


def outcomes(facts: Facts) -> dict[str, Outcome]:
    """The outcome of each instance that the operation meant, by host name, exactly one each.

    From the run's report if it has one; else from the plan, the results of our own modules, what is in flight and the
    server's targets; of a rollout from its targets. Ansible's status of a host alone says nothing.
    """
    raise NotImplementedError


def counts(facts: Facts) -> dict[str, int]:
    """How many instances are in each category, all of words.CATEGORIES, without expanding a report or a rollout."""
    raise NotImplementedError
