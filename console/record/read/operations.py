# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations, newest first: what somebody did to the fleet, one row each, with its outcome in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from console.outcomes.words import CATEGORIES
from console.record.read.frames import LIST_PAGE

COLUMNS = (
    "kind",  # run, rollout or act
    "key",  # run_id, rollout_id or attempt_id
    "tenant",  # of a rollout or an act, None of a run
    "started_at",
    "ended_at",  # NaN while it runs
    "title",  # the playbook's name, "fleet rollout", "redeploy of HOST", or the act with its object
    "name",  # what console.outcomes.words.word takes: the playbook, rollout, or the act
    "check",  # True: a prediction; None: nobody knows
    "to_version",  # None where it is not known, as of a rollout by others
    "who",  # the user, "AWX job 812, jon", or the address of a rollout: "198.51.100.20"
    "controller",  # of a run
    *CATEGORIES,  # how many instances, a column each
    "instances",  # the sum of these
    "derived",  # the numbers are not from a report
    "verdict",  # of console.outcomes.words.VERDICTS
    "why",  # why it ended, short
    "sentence",  # the verdict as one sentence
    "seconds",  # how long it took; until now while it runs
    "rollouts",  # how many rollouts of the server a run started
)


@dataclass(frozen=True)
class OperationFilter:
    """Which operations the list shows. since, until: of the start (epoch seconds). verdicts: of words.VERDICTS. kinds:
    of facts.KINDS. who: part of a user's name or address. text: part of the title, the playbook, the id or a host.
    check: only predictions (True), only real ones (False), or both (None)."""

    since: float | None = None
    until: float | None = None
    verdicts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    who: str = ""
    text: str = ""
    check: bool | None = None


def operations(
    path: Path, now: float, wanted: OperationFilter | None = None, page: int = 1, size: int = LIST_PAGE
) -> tuple[pd.DataFrame, int]:
    """One page of operations, newest first, in COLUMNS, and how many match.

    A playbook run has the rollouts that it started folded in. A rollout that a run adopted belongs to who started it
    and is a row of its own.
    """
    raise NotImplementedError


def running(path: Path, now: float, most: int = 20) -> pd.DataFrame:
    """The operations that run now, in COLUMNS, newest first."""
    raise NotImplementedError
