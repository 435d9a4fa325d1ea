# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The maintenance window compared with an independent implementation for every pair of hours, and update modes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.policy import FleetPolicy, check_mode, instance_policy, seconds_until_open, window_open
from tests.simulator.refusal import Refused

HOURS = st.integers(min_value=0, max_value=24)
MOMENTS = st.floats(min_value=1_700_000_000, max_value=1_800_000_000)


def open_hours(start: int, end: int, equal: str) -> set[int]:
    """The open hours, found by counting from start to end."""
    start, end = start % 24, end % 24
    if start == end:
        return set(range(24)) if equal == "open" else set()
    walked = set()
    while start != end:
        walked.add(start)
        start = (start + 1) % 24
    return walked


@pytest.mark.parametrize("equal", ["open", "closed"])
def test_the_window_is_right_for_every_pair_of_hours(equal: str) -> None:
    for start in range(25):
        for end in range(25):
            expected = open_hours(start, end, equal)
            # The first and the last second of every hour.
            for hour in range(24):
                for second in (0.0, 3599.999):
                    moment = 86400 * 20_000 + hour * 3600 + second
                    assert window_open(start, end, moment, equal) == (hour in expected), (start, end, hour)


@given(start=HOURS, end=HOURS, moment=MOMENTS)
def test_the_wait_ends_exactly_when_the_window_opens(start: int, end: int, moment: float) -> None:
    wait = seconds_until_open(start, end, moment, "closed")
    if start % 24 == end % 24:
        assert wait is None
    elif wait == 0.0:
        assert window_open(start, end, moment, "closed")
    else:
        assert wait is not None and 0 < wait < 86400
        assert window_open(start, end, moment + wait + 0.001, "closed")
        assert not window_open(start, end, moment + wait - 0.001, "closed")


def test_without_a_start_or_end_hour_there_is_no_window() -> None:
    assert window_open(None, 5, 0.0, "closed")
    assert window_open(5, None, 0.0, "closed")


def test_a_mode_comes_from_the_override_then_the_tenant_then_the_platform() -> None:
    fleet = FleetPolicy()
    assert instance_policy(fleet, {})["runtime_source"] == "platform_default"
    fleet.change({"runtime_default": "auto"})
    inherited = instance_policy(fleet, {"runtime": None})
    assert (inherited["runtime"], inherited["runtime_override"], inherited["runtime_source"]) == (
        "auto",
        None,
        "tenant_default",
    )
    own = instance_policy(fleet, {"runtime": "disabled"})
    assert (own["runtime"], own["runtime_override"], own["runtime_source"]) == (
        "disabled",
        "disabled",
        "instance_override",
    )


def test_auto_is_refused_where_the_platform_does_not_support_it() -> None:
    check_mode("runtime", "runtime", "auto")
    for component in ("skills", "mcp_servers"):
        with pytest.raises(Refused, match="not supported"):
            check_mode(component, component, "auto")
    with pytest.raises(Refused, match="must be one of"):
        check_mode("runtime", "runtime", "sometimes")


def test_a_refused_key_changes_none_of_the_others() -> None:
    fleet = FleetPolicy()
    with pytest.raises(Refused):
        fleet.change({"max_parallel_rollouts": 7, "skills_default": "auto"})
    assert fleet.max_parallel == 2
