# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Batch sizes for any policy, and the short cache of the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.lookup.batches import _whole_number, batch_sizes
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups import policy as _policy
from tests.simulator.running import Simulator, running_simulator


@given(
    st.integers(1, 500), st.integers(0, 500), st.none() | st.integers(1, 500), st.sampled_from(["fixed", "doubling"])
)
def test_batch_sizes_are_integers_from_1_to_the_limit(
    limit: int, canary: int, batch_max: int | None, growth: str
) -> None:
    sizes = batch_sizes(limit, canary=canary, batch_max=batch_max, growth=growth)
    full = min(limit, batch_max or limit)
    assert sizes
    assert all(isinstance(size, int) and 1 <= size <= full for size in sizes)
    assert sizes[-1] == full
    assert sizes == sorted(sizes)
    assert canary == 0 or sizes[0] == min(canary, full)
    if growth == "doubling":
        assert all(after <= 2 * before for before, after in pairwise(sizes))


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with running_simulator(instances=2) as running:
        yield running


@pytest.fixture
def read(sim: Simulator) -> Iterator[Callable[..., dict[str, Any]]]:
    """Reads the policy as a lookup does, from a simulator with a limit of 3 and without faults."""

    def call(clock: Callable[[], float] = lambda: 0.0, **changed: Any) -> dict[str, Any]:
        options = {
            "api_url": sim.url,
            "api_key": sim.admin_key,
            "validate_certs": True,
            "request_timeout": 5,
            "retries": 0,
            **changed,
        }
        return _policy.update_policy(options.get, clock=clock)

    _policy._policies.clear()
    sim.knobs(policy={"max_parallel_rollouts": 3})
    sim.clear_journal()
    yield call
    sim.clear_faults()


def test_within_two_seconds_a_policy_is_read_only_once(sim: Simulator, read: Callable[..., dict[str, Any]]) -> None:
    now = [100.0]
    assert read(lambda: now[0])["max_parallel_rollouts"] == 3
    sim.knobs(policy={"max_parallel_rollouts": 2})
    now[0] += 1.9
    kept = read(lambda: now[0])
    assert kept["max_parallel_rollouts"] == 3
    assert len(sim.journal()) == 1
    now[0] += 0.2
    assert read(lambda: now[0])["max_parallel_rollouts"] == 2
    assert len(sim.journal()) == 2


def test_a_cached_policy_is_not_shared_between_keys(read: Callable[..., dict[str, Any]]) -> None:
    read()
    with pytest.raises(_policy.PolicyError, match="HTTP 401"):
        read(api_key="of-another-tenant")


def test_changes_of_a_caller_to_a_policy_do_not_reach_other_callers(read: Callable[..., dict[str, Any]]) -> None:
    read()["max_parallel_rollouts"] = 99
    assert read()["max_parallel_rollouts"] == 3


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"html_body": True}, {"truncated_body": True}, {"empty_204": True}, {"reset_before": True}],
)
def test_an_unreadable_policy_is_refused_and_not_cached(
    sim: Simulator, read: Callable[..., dict[str, Any]], fault: dict[str, Any]
) -> None:
    sim.fault(operation="get_fleet_update_policy", **fault)
    with pytest.raises(_policy.PolicyError, match=r"cannot be read\. GET /v1/instances"):
        read()
    sim.clear_faults()
    assert read()["max_parallel_rollouts"] == 3


def test_invalid_settings_are_reported_without_a_call(sim: Simulator, read: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(_policy.PolicyError, match="FLEETOPS_API_URL"):
        read(api_url="")
    assert sim.journal() == []


@pytest.mark.parametrize("value", [0, -1, None, "all", "0", 2.5, "", [4], True, float("nan")])
def test_a_limit_that_is_not_a_positive_number_is_refused(value: Any) -> None:
    with pytest.raises(_policy.PolicyError, match=r"^The update policy's max_parallel_rollouts is .*is started"):
        _policy.parallel_limit({"max_parallel_rollouts": value})
    with pytest.raises(_policy.PolicyError):
        _policy.parallel_limit({})


@pytest.mark.parametrize("value", [-1, "-1", "one", "", True, False, 1.5, None, [1], "²"])
def test_an_invalid_count_is_refused(value: Any) -> None:
    with pytest.raises(AnsibleLookupError, match=r"^canary must be a whole number of 0 or more, it is "):
        _whole_number("canary", value, least=0)


@pytest.mark.parametrize(("value", "number"), [(0, 0), (3, 3), ("3", 3), (" 2 ", 2), ("+4", 4)])
def test_numbers_given_as_text_are_accepted(value: Any, number: int) -> None:
    assert _whole_number("canary", value, least=0) == number
