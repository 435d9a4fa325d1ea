# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading available updates, the age of their report, and refusals, with any field missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.redeploy import manifest_is_stale, may_pass
from ansible_collections.fleetops.agents.plugins.module_utils._rules.updates import (
    components_of,
    outdated,
    reported_after,
    runtime_waits,
    skills_moved,
    versions,
    waiting,
    without_runtime,
)

WORDS = st.none() | st.text(max_size=4)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "slug": st.sampled_from(["a", "b", "", None, 3]),
        "current_version": WORDS,
        "available_version": WORDS,
        "has_update": st.none() | st.booleans() | st.just("yes"),
    },
)
ANYTHING = st.none() | st.integers() | st.text(max_size=3) | ROW
UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "total_available": st.none() | st.integers(-1, 5) | st.sampled_from(["2", "many"]),
        "versions_reported_at": st.sampled_from([None, "", "2026-07-01T10:00:00", 1_780_000_000]),
        "runtime": ANYTHING,
        "skills": ANYTHING | st.lists(ANYTHING, max_size=3),
        "mcp_servers": ANYTHING | st.lists(ANYTHING, max_size=3),
    },
)


@given(UPDATES, UPDATES)
def test_no_answer_raises_an_exception(before: dict[str, Any], now: dict[str, Any]) -> None:
    left = without_runtime(before)
    assert all(c.kind != "runtime" for c in outdated(left)), "the deployed runtime is no longer outdated"
    assert [c for c in outdated(before) if c.kind != "runtime"] == outdated(left), "and everything else still is"
    assert set(versions(before)) == set(versions(before, updated=True)) == {c.name for c in components_of(before)}
    number = waiting(before)
    assert number is None or number >= 0
    assert waiting(left) is None or number is None or waiting(left) <= number  # type: ignore[operator]
    assert runtime_waits(before) or any(c.kind == "runtime" for c in components_of(before))
    assert set(skills_moved(before, now)) <= {c.slug for c in components_of(before) if c.kind == "skills"}
    assert skills_moved(before, before) == []
    assert not reported_after(before, None)


@pytest.mark.parametrize(
    ("updates", "number"),
    [
        ({"total_available": 2}, 2),
        ({"total_available": 0, "runtime": {"has_update": True}}, 0),
        ({"runtime": {"has_update": True}, "skills": [{"slug": "x"}]}, 1),
        ({"runtime": {"current_version": "1", "available_version": "2"}}, 1),
        ({"runtime": {"has_update": False}, "skills": [{"slug": "x", "has_update": False}]}, 0),
        ({"runtime": {"has_update": False}, "skills": [{"slug": "x"}]}, None),
        ({"runtime": None, "skills": []}, None),
        ({}, None),
    ],
)
def test_the_servers_number_of_updates_wins_over_its_rows(updates: dict[str, Any], number: int | None) -> None:
    assert waiting(updates) == number


@pytest.mark.parametrize(
    "message",
    [
        None,
        "full",
        "max_parallel_rollouts (2) reached: 2 in progress",
        "Instance is busy: a deployment or restart is under way",
        "Another fleet rollout is still in flight",
        "Rollout limit exceeded",
        "Too many redeploys",
        "Instance is restarting",
        "already running",
        "Please try later",
    ],
)
def test_a_409_about_a_full_or_busy_server_is_temporary(message: str | None) -> None:
    assert may_pass("conflict", 409, message)


@pytest.mark.parametrize(
    "message",
    [
        "Instance is not running",
        "Instance has no bundle",
        "Updates are disabled by policy",
        "Outside of the maintenance window",
        "The agent must be of version 2 or later",
        "Already at the published version",
        "Successfully rejected",
    ],
)
def test_any_other_409_is_final(message: str) -> None:
    assert not may_pass("conflict", 409, message)
    assert may_pass("conflict", 423, message) and may_pass("rate_limited", 429, message)
    assert not any(may_pass(kind, None, "busy") for kind in ("server", "forbidden", "invalid", "not_found"))


def test_a_report_without_a_time_counts_as_outdated_for_an_hour_after_a_redeploy() -> None:
    done = {"id": "1", "status": "succeeded", "created_at": 900.0, "completed_at": 1000.0}
    assert manifest_is_stale({}, [done], 1000.0 + 3600) == done
    assert manifest_is_stale({}, [done], 1000.0 + 3601) is None
    assert manifest_is_stale({"versions_reported_at": 999}, [done], 10_000.0) == done
    assert manifest_is_stale({"versions_reported_at": 1001}, [done], 1002.0) is None
