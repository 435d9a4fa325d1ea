# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The maintenance window: when it is open, opens and closes, for all hours and for values that are none."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window

HOUR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just([]) | st.just({})


def brute_force_open(start: int, end: int, hour: int) -> bool:
    if start == end:
        return True
    open_hours, current = set(), start
    while current != end:
        open_hours.add(current)
        current = (current + 1) % 24
    return hour in open_hours


def test_the_window_is_right_for_all_pairs_of_hours() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    for start in range(24):
        for end in range(24):
            window = Window(start, end)
            for hour in range(24):
                at = midnight + hour * 3600 + 1800
                assert window.is_open(at) == brute_force_open(start, end, hour)
                opening = window.next_opening(at)
                assert (opening is None) == window.is_open(at)
                if opening is not None:
                    assert 0 < opening - at <= 86400
                    assert window.is_open(opening)
                    assert not window.is_open(opening - 1)
                closing = window.closes_at(at)
                assert (closing is None) == (not window.is_open(at) or start == end)
                if closing is not None:
                    assert 0 < closing - at <= 86400
                    assert window.is_open(closing - 1)
                    assert not window.is_open(closing)


@given(hours=st.tuples(HOUR, HOUR))
def test_unusual_window_hours_never_raise_an_exception(hours: tuple[object, object]) -> None:
    window = Window.of_policy(
        {"maintenance_window_start_hour_utc": hours[0], "maintenance_window_end_hour_utc": hours[1]}
    )
    assert window.sentence(1_700_000_000.0)
