# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an operation ended, in a word and in a sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from console.outcomes.facts import Facts


@dataclass(frozen=True)
class Verdict:
    """word: of words.VERDICTS. why: why it ended, short, for a list. sentence: the same with the numbers, for people:
    "Stopped after batch 2 of 7: 1 instance failed (agent-007), and at most 0 may. 6 updated, 1 failed, 17 not touched."
    """

    word: str
    why: str
    sentence: str


def verdict(facts: Facts, counted: dict[str, int] | None = None) -> Verdict:
    """The verdict of an operation. counted: of :func:`outcome.counts`, where the caller has it already."""
    raise NotImplementedError
