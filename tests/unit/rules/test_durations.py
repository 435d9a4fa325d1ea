# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Percentiles of durations by the nearest-rank method, times as text, and pauses between reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.durations import (
    clock,
    pause_before_look,
    percentile,
)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_with_at_most_that_share_below_it(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_any_time_can_be_written_to_the_minute() -> None:
    assert clock(0) == "1970-01-01 00:00 UTC"
    assert clock(1e12) == clock(1e15) == clock(1e300) == "after the year 9999"


def test_an_empty_list_has_no_percentile() -> None:
    assert percentile([], 95) is None


@pytest.mark.parametrize(
    ("waited", "expected", "pause"),
    [
        (0, 180, 10),  # at most the longest pause
        (0, 20, 5),
        (12, 20, 2),
        (19, 20, 1),  # at least the shortest pause
        (25, 20, 1),
        (60, 20, 4),  # overdue: a tenth of it
        (0, None, 1),
        (100, None, 2.5),
        (900, None, 10),
    ],
)
def test_reads_are_rare_before_the_usual_end_and_frequent_around_it(
    waited: float, expected: float | None, pause: float
) -> None:
    assert pause_before_look(waited, expected, 1, 10) == pause


@given(st.floats(1, 1e5), st.floats(0.1, 5))
def test_an_end_at_the_usual_time_is_seen_soon(expected: float, shortest: float) -> None:
    at, looks = 0.0, 0
    while at < expected:
        at += pause_before_look(at, expected, shortest, 1e9)
        looks += 1
    assert at - expected <= shortest
    assert looks <= 60
