# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Batch sizes for any policy, and the policy's short life in the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.lookup.batches import batch_sizes
from ansible_collections.fleetops.agents.plugins.plugin_utils import _policy
from tests.simulator.running import Simulator, running_simulator


@given(
    st.integers(1, 500), st.integers(0, 500), st.none() | st.integers(1, 500), st.sampled_from(["fixed", "doubling"])
)
def test_sizes_are_whole_numbers_from_one_to_the_limit(
    limit: int, canary: int, batch_max: int | None, growth: str
) -> None:
    sizes = batch_sizes(limit, canary=canary, batch_max=batch_max, growth=growth)
    full = min(limit, batch_max or limit)
    assert sizes
    assert all(type(size) is int and 1 <= size <= full for size in sizes)
    assert sizes[-1] == full
    assert sizes == sorted(sizes)
    assert canary == 0 or sizes[0] == min(canary, full)
    if growth == "doubling":
        assert all(after <= 2 * before for before, after in pairwise(sizes))


@pytest.mark.parametrize(
    ("limit", "options", "sizes"),
    [
        (2, {}, [1, 2]),
        (3, {"canary": 0}, [3]),
        (8, {"batch_max": 5}, [1, 5]),
        (8, {"growth": "doubling"}, [1, 2, 4, 8]),
        (9, {"growth": "doubling", "canary": 2, "batch_max": 7}, [2, 4, 7]),
        (2, {"canary": 5}, [2, 2]),
    ],
)
def test_sizes_by_example(limit: int, options: dict[str, Any], sizes: list[int]) -> None:
    assert batch_sizes(limit, **options) == sizes


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with running_simulator(instances=2) as running:
        yield running


@pytest.fixture
def look_up(sim: Simulator) -> Iterator[Callable[..., list[Any]]]:
    """Calls a lookup plugin as Ansible does, against a simulator with a policy of 3 and without faults."""

    def call(name: str, *terms: Any, **options: Any) -> list[Any]:
        plugin = lookup_loader.get(f"fleetops.agents.{name}")
        variables = {"fleetops_api_url": sim.url, "fleetops_api_key": sim.admin_key}
        return plugin.run(list(terms), variables=variables, **options)

    _policy._policies.clear()
    sim.knobs(policy={"max_parallel_rollouts": 3})
    yield call
    sim.clear_faults()


def test_a_policy_is_read_once_within_two_seconds(
    sim: Simulator, look_up: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(_policy.update_policy, "__kwdefaults__", {"clock": lambda: now[0]})
    sim.clear_journal()
    assert look_up("update_policy", "max_parallel_rollouts") == [3]
    sim.knobs(policy={"max_parallel_rollouts": 2})
    now[0] += 1.9
    assert look_up("batches") == [1, 3]
    assert len(sim.journal()) == 1
    now[0] += 0.2
    assert look_up("batches") == [1, 2]
    assert len(sim.journal()) == 2
    # Another key is another tenant.
    with pytest.raises(AnsibleLookupError, match="HTTP 401"):
        look_up("update_policy", api_key="of-another-tenant")


def test_keys_of_the_policy(look_up: Callable[..., list[Any]]) -> None:
    assert look_up("update_policy", "max_parallel_rollouts", "runtime_default") == [3, "notify"]
    (policy,) = look_up("update_policy")
    assert policy["max_parallel_rollouts"] == 3
    assert "maintenance_window_end_hour_utc" in policy
    with pytest.raises(AnsibleLookupError, match=r"has no key 'parallel'; it has .*max_parallel_rollouts"):
        look_up("update_policy", "parallel")


@pytest.mark.parametrize("value", [0, -1, None, "all", 2.5, "", [4], True])
@pytest.mark.parametrize(
    ("name", "terms"), [("batches", []), ("update_policy", ["max_parallel_rollouts"]), ("update_policy", [])]
)
def test_a_policy_that_is_no_positive_number_is_refused(
    sim: Simulator, look_up: Callable[..., list[Any]], value: Any, name: str, terms: list[str]
) -> None:
    sim.knobs(policy={"max_parallel_rollouts": value})
    with pytest.raises(AnsibleLookupError, match=r"max_parallel_rollouts is .*; nothing may "):
        look_up(name, *terms)


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"html_body": True}, {"truncated_body": True}, {"empty_204": True}, {"reset_before": True}],
)
def test_an_unreadable_policy_is_refused_and_not_remembered(
    sim: Simulator, look_up: Callable[..., list[Any]], fault: dict[str, Any]
) -> None:
    sim.fault(operation="get_fleet_update_policy", **fault)
    with pytest.raises(AnsibleLookupError, match=r"cannot be read, so nothing may be rolled out\. GET /v1/instances"):
        look_up("batches", retries=0)
    sim.clear_faults()
    assert look_up("batches") == [1, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"canary": -1}, "canary must be a whole number of 0 or more, it is -1"),
        ({"canary": "one"}, "canary must be a whole number of 0 or more, it is 'one'"),
        ({"canary": True}, "canary must be"),
        ({"canary": 1.5}, "canary must be"),
        ({"batch_max": 0}, "batch_max must be a whole number of 1 or more, it is 0"),
        ({"growth": "exponential"}, "growth"),
        ({"api_url": ""}, "api_url"),
    ],
)
def test_wrong_options_are_told_before_the_server_is_asked(
    sim: Simulator, look_up: Callable[..., list[Any]], options: dict[str, Any], said: str
) -> None:
    sim.clear_journal()
    with pytest.raises(AnsibleError, match=said):
        look_up("batches", **options)
    assert sim.journal() == []


def test_texts_of_numbers_count_as_numbers(look_up: Callable[..., list[Any]]) -> None:
    assert look_up("batches", canary="2", batch_max=" 2 ") == [2, 2]


def test_batches_takes_no_terms(look_up: Callable[..., list[Any]]) -> None:
    with pytest.raises(AnsibleLookupError, match="options only"):
        look_up("batches", 1)
