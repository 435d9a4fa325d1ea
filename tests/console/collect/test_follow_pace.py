# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a follower reads, and in which order."""

from __future__ import annotations

import pytest

from console.collect.follow_pace import (
    LONGEST_PAUSE,
    Pace,
    credit,
    due_instances,
    instances_at_once,
    is_final,
    pause,
    rollouts_at_once,
)

PACE = Pace()


@pytest.mark.parametrize(
    ("is_open", "failures", "seconds"),
    [(True, 0, 3), (False, 0, 30), (True, 1, 6), (False, 1, 6), (True, 4, 48), (False, 7, LONGEST_PAUSE)],
)
def test_pauses_are_short_while_a_rollout_is_open_and_double_after_each_failure(
    is_open: bool, failures: int, seconds: float
) -> None:
    assert pause(PACE, is_open=is_open, failures=failures) == seconds
    assert pause(PACE, is_open=is_open, failures=10_000) == LONGEST_PAUSE


@pytest.mark.parametrize(
    ("pace", "problem"),
    [
        (Pace(), ""),
        (Pace(1, 1, 1), ""),
        (Pace(0.5), "--interval must be 1 s or more"),
        (Pace(10, 9), "--idle-interval must not be shorter"),
        (Pace(10, 700), "--details-interval must not be shorter"),
    ],
)
def test_inconsistent_intervals_are_refused(pace: Pace, problem: str) -> None:
    assert pace.problem().startswith(problem)
    assert bool(pace.problem()) == bool(problem)


@pytest.mark.parametrize(
    ("kind", "ever_read", "final"),
    [
        ("auth", True, True),
        ("forbidden", True, True),
        ("wrong_path", False, True),
        # A proxy under maintenance may answer with any status.
        ("wrong_path", True, False),
        ("tls", True, False),
        ("unreachable", False, False),
        ("unavailable", False, False),
        ("rate_limited", True, False),
    ],
)
def test_only_permanent_errors_end_a_follower(kind: str, ever_read: bool, final: bool) -> None:
    assert is_final(kind, ever_read=ever_read) == final


def test_unread_and_redeployed_instances_are_read_first() -> None:
    known = ["fresh", "old", "older", "redeployed", "new"]
    read_at = {"fresh": 990.0, "old": 300.0, "older": 200.0, "redeployed": 980.0}
    assert due_instances(known, read_at, {"redeployed": 985.0}, 1000.0, 600.0) == ["new", "redeployed", "older", "old"]
    assert due_instances(known, read_at, {"redeployed": 970.0}, 1000.0, 600.0) == ["new", "older", "old"]
    assert due_instances(known, {}, {}, 1000.0, 0.0) == known


@pytest.mark.parametrize("seconds", [1.0, 3.0, 10.0])
def test_a_follower_makes_fewer_than_three_calls_per_second(seconds: float) -> None:
    calls, saved, used, reads = 0.0, 0.0, 0.0, 200
    for _read in range(reads):
        saved = credit(saved, seconds, used, PACE)
        rollouts, instances = rollouts_at_once(seconds), instances_at_once(saved, 6)
        used = 2 * rollouts + 6 * instances
        # And one call for the list.
        calls += 1 + used
    # At an interval of one second the list and one rollout are always read, which may be more.
    assert calls / (reads * seconds) < (3.6 if seconds < 3 else 3)


def test_unused_calls_do_not_accumulate() -> None:
    saved = 0.0
    for _read in range(1000):
        saved = credit(saved, 30.0, 0.0, PACE)
    assert saved == credit(0.0, 30.0, 0.0, PACE)
    assert instances_at_once(saved, 0) == 0
