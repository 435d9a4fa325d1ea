# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test in_maintenance_window, over every pair of hours, and what it says to nonsense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.fleetops.agents.plugins.test.in_maintenance_window import in_maintenance_window

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


def policy(start: Any, end: Any) -> dict[str, Any]:
    return {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}


def open_hours(start: int, end: int) -> set[int]:
    """An independent reading: walk from the start to the end, hour by hour; equal hours are the whole day."""
    hours, hour = set(), start
    while True:
        hours.add(hour)
        hour = (hour + 1) % 24
        if hour == end:
            return hours


@pytest.mark.parametrize("start", range(24))
def test_every_window_at_every_hour(start: int) -> None:
    for end in range(24):
        for hour in range(24):
            for minute in (0, 59):
                at = MIDNIGHT + timedelta(hours=hour, minutes=minute)
                expected = hour in open_hours(start, end)
                for spelled in (at, at.isoformat(), at.replace(tzinfo=None).isoformat(), at.timestamp()):
                    assert in_maintenance_window(spelled, policy(start, end)) is expected, (start, end, spelled)


def test_a_policy_alone_is_asked_about_now() -> None:
    hour = datetime.now(UTC).hour
    assert in_maintenance_window(policy(hour, (hour + 2) % 24))
    assert not in_maintenance_window(policy((hour + 5) % 24, (hour + 7) % 24))


def test_a_policy_is_asked_about_another_time() -> None:
    hours = policy(2, 4)
    assert in_maintenance_window(hours, at="2026-11-24T02:00:00Z")
    assert in_maintenance_window(hours, at="2026-11-24T04:59:00+02:00")
    assert not in_maintenance_window(hours, at="2026-11-24T04:00:00")
    assert not in_maintenance_window(hours, at=0)


@pytest.mark.parametrize("spelled", [1795487400, 1795487400.5, "1795487400", " 1795487400.5 "])
def test_epoch_seconds_may_be_text_as_facts_give_them(spelled: Any) -> None:
    assert datetime.fromtimestamp(1795487400, UTC).hour == 2
    assert in_maintenance_window(spelled, policy(2, 3)) and not in_maintenance_window(spelled, policy(3, 2))


def test_two_policies_or_two_times_are_a_sentence() -> None:
    with pytest.raises(AnsibleFilterError, match="two policies"):
        in_maintenance_window(policy(1, 2), "2026-11-24T01:00:00Z")
    with pytest.raises(AnsibleFilterError, match="two times"):
        in_maintenance_window("2026-11-24T01:00:00Z", policy(1, 2), at="2026-11-24T02:00:00Z")


def test_the_documentation_names_the_arguments() -> None:
    path = Path(__file__).resolve().parents[3] / "plugins" / "test" / "in_maintenance_window.yml"
    told = yaml.safe_load(path.read_text())
    names = list(signature(in_maintenance_window).parameters)
    assert set(told["DOCUMENTATION"]["options"]) == {"_input", *names[1:]}
    assert len(yaml.safe_load(told["EXAMPLES"])) >= 3 and set(told["RETURN"]) == {"_value"}


@pytest.mark.parametrize("hours", [policy(None, None), policy(7, 7), policy(24, 0)])
def test_hours_that_are_none_make_no_window(hours: dict[str, Any]) -> None:
    assert in_maintenance_window(0, hours)


@pytest.mark.parametrize(
    "hours", [policy(99, 3), policy("22", "23:30"), policy(3, None), policy(None, 3), policy("no", 3)]
)
def test_hours_that_cannot_be_read_are_an_error_and_no_answer(hours: dict[str, Any]) -> None:
    # reports/2026-11 A6
    with pytest.raises(AnsibleFilterError, match="cannot be read, so it is not known whether it is open"):
        in_maintenance_window(0, hours)


@pytest.mark.parametrize("nonsense", [None, [], "policy", {}, {"max_parallel_rollouts": 2}])
def test_what_is_no_policy_is_a_sentence(nonsense: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="needs an update policy"):
        in_maintenance_window("2026-11-24T01:00:00Z", nonsense)


@pytest.mark.parametrize("nonsense", ["soon", "", None, [], True])
def test_what_is_no_time_is_a_sentence(nonsense: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="cannot read the time"):
        in_maintenance_window(nonsense, policy(1, 2))
