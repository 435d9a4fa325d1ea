# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test plugin in_maintenance_window: every pair of hours, and its errors about invalid values."""

from __future__ import annotations

from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.fleetops.agents.plugins.test.in_maintenance_window import in_maintenance_window


def policy(start: Any, end: Any) -> dict[str, Any]:
    return {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}


def test_without_a_time_the_current_time_is_tested() -> None:
    hour = datetime.now(UTC).hour
    assert in_maintenance_window(policy(hour, (hour + 2) % 24))
    assert not in_maintenance_window(policy((hour + 5) % 24, (hour + 7) % 24))


def test_another_time_can_be_tested() -> None:
    hours = policy(2, 4)
    assert in_maintenance_window(hours, at="2026-11-24T02:00:00Z")
    assert in_maintenance_window(hours, at="2026-11-24T04:59:00+02:00")
    assert not in_maintenance_window(hours, at="2026-11-24T04:00:00")
    assert not in_maintenance_window(hours, at=0)


AT = datetime(2026, 11, 24, 2, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "spelled",
    [AT, AT.isoformat(), AT.replace(tzinfo=None).isoformat(), AT.timestamp(), "1795487400", " 1795487400.5 "],
)
def test_a_time_may_be_a_datetime_a_text_or_epoch_seconds_also_as_text(spelled: Any) -> None:
    assert in_maintenance_window(spelled, policy(2, 3)) and not in_maintenance_window(spelled, policy(3, 2))


def test_two_policies_or_two_times_are_an_error() -> None:
    with pytest.raises(AnsibleFilterError, match="two policies"):
        in_maintenance_window(policy(1, 2), "2026-11-24T01:00:00Z")
    with pytest.raises(AnsibleFilterError, match="two times"):
        in_maintenance_window("2026-11-24T01:00:00Z", policy(1, 2), at="2026-11-24T02:00:00Z")


def test_the_arguments_are_documented() -> None:
    path = Path(__file__).resolve().parents[3] / "plugins" / "test" / "in_maintenance_window.yml"
    documented = yaml.safe_load(path.read_text())
    names = list(signature(in_maintenance_window).parameters)
    assert set(documented["DOCUMENTATION"]["options"]) == {"_input", *names[1:]}
    assert len(yaml.safe_load(documented["EXAMPLES"])) >= 3 and set(documented["RETURN"]) == {"_value"}


@pytest.mark.parametrize("hours", [policy(None, None), policy(7, 7), policy(24, 0)])
def test_missing_or_equal_hours_mean_that_the_window_is_always_open(hours: dict[str, Any]) -> None:
    assert in_maintenance_window(0, hours)


@pytest.mark.parametrize(
    "hours", [policy(99, 3), policy("22", "23:30"), policy(3, None), policy(None, 3), policy("no", 3)]
)
def test_unreadable_hours_are_an_error(hours: dict[str, Any]) -> None:
    # reports/2026-11 A6
    with pytest.raises(AnsibleFilterError, match="cannot be read, so it is not known whether it is open"):
        in_maintenance_window(0, hours)


@pytest.mark.parametrize("value", [None, [], "policy", {}, {"max_parallel_rollouts": 2}])
def test_a_value_that_is_not_a_policy_is_an_error(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="needs an update policy"):
        in_maintenance_window("2026-11-24T01:00:00Z", value)


@pytest.mark.parametrize("value", ["soon", "", None, [], True])
def test_an_invalid_time_is_an_error(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="cannot read the time"):
        in_maintenance_window(value, policy(1, 2))
