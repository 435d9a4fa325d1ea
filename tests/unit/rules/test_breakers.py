# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Circuit breakers are found in any shape, and nothing else counts as one; differences between two records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.breakers import Breakers, breakers_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.diagnosis import changed_subsystems

# A slow machine is not a failure.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.sampled_from(["openai", "anthropic", "mistral", "azure", "local"])
OPEN = ["open", "OPEN", "half-open", "half_open", "Half Open", "tripped"]
CLOSED = ["closed", "CLOSED", "ok"]
STATES = st.dictionaries(NAMES, st.sampled_from([*OPEN, *CLOSED]), min_size=1)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*OPEN, *CLOSED, "circuit_breaker", "healthy", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["llm", "circuit_breakers", "state", "status", "open", "name", "openai", "open_breakers"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)

SHAPES: dict[str, Any] = {
    "words": lambda states: {"circuit_breakers": states},
    "state of each": lambda states: {"circuitBreakers": {name: {"state": word} for name, word in states.items()}},
    "status with more": lambda states: {
        "circuit-breakers": {name: {"status": word, "failures": 3, "opened_at": None} for name, word in states.items()}
    },
    "a list": lambda states: {"breakers": [{"name": name, "state": word} for name, word in states.items()]},
    "a list by provider": lambda states: {
        "status": "degraded",
        "breakers": [{"provider": name, "circuit_state": word} for name, word in states.items()],
    },
    "below each provider": lambda states: {
        "providers": {name: {"circuit_breaker": word, "latency_ms": 4} for name, word in states.items()}
    },
    "below each provider with its state": lambda states: {
        "providers": [{"name": name, "circuit_breaker": {"state": word}} for name, word in states.items()]
    },
    "flags": lambda states: {
        "circuit_breakers": {name: {"open": word in OPEN, "failures": 1} for name, word in states.items()}
    },
    "a list of the open ones": lambda states: {
        "open_breakers": [name for name, word in states.items() if word in OPEN]
    },
    "a summary beside": lambda states: {"circuit_breakers": {"status": "ok", **states}},
}


@pytest.mark.parametrize("shape", SHAPES)
@CALM
@given(states=STATES, deeper=st.lists(st.sampled_from(["agent", "llm", "checks"]), max_size=3))
def test_open_breakers_are_found_in_each_shape(shape: str, states: dict[str, str], deeper: list[str]) -> None:
    subsystems: Any = {"llm": SHAPES[shape](states), "disk": {"status": "healthy", "state": "open"}}
    for name in deeper:
        subsystems = {name: subsystems, "database": {"status": "open"}}
    expected = tuple(sorted(name for name, word in states.items() if word in OPEN))
    assert breakers_of(subsystems) == Breakers(expected, True)


@pytest.mark.parametrize(
    ("subsystems", "expected"),
    [
        ({"llm": {"circuit_breaker": "open"}}, Breakers(("llm",), True)),
        ({"llm": {"circuit_breaker_open": True}}, Breakers(("llm",), True)),
        ({"llm": {"circuit_breaker_open": False}}, Breakers((), True)),
        ({"llm": {"breaker_state": "closed"}}, Breakers((), True)),
        ({"circuit_breakers": {"state": "open"}}, Breakers(("llm",), True)),
        ({"circuit_breakers": {"open": ["openai"], "closed": ["local"]}}, Breakers(("openai",), True)),
        ({"circuit_breakers": {}}, Breakers((), False)),
        ({"circuit_breakers": None}, Breakers((), False)),
        ({"door": {"state": "open"}, "files": {"open": True}}, Breakers((), False)),
        ({"llm": {"circuit_breakers": {"openai": "banana"}}}, Breakers((), False)),
        (None, Breakers((), False)),
        ([{"name": "llm", "circuit_breakers": {"openai": "open"}}], Breakers(("openai",), True)),
    ],
)
def test_breakers_are_read_from_single_examples(subsystems: Any, expected: Breakers) -> None:
    assert breakers_of(subsystems) == expected


@CALM
@given(subsystems=ANYTHING)
def test_any_record_is_accepted(subsystems: Any) -> None:
    found = breakers_of(subsystems)
    assert list(found.open) == sorted(set(found.open)) and all(isinstance(name, str) for name in found.open)
    assert found.visible or not found.open


SUBSYSTEMS = st.dictionaries(
    NAMES,
    st.sampled_from(["healthy", "Healthy", "degraded"])
    | st.sampled_from([{"status": "healthy"}, {"state": "down"}, True]),
)


@CALM
@given(before=SUBSYSTEMS, after=SUBSYSTEMS)
def test_a_change_in_one_direction_is_the_reverse_of_the_other_direction(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    there = changed_subsystems({"subsystems": before}, {"subsystems": after})
    back = changed_subsystems({"subsystems": after}, {"subsystems": before})
    assert [(row["name"], row["after"], row["before"]) for row in there] == [
        (row["name"], row["before"], row["after"]) for row in back
    ]
    assert changed_subsystems({"subsystems": before}, {"subsystems": before}) == []
    assert {*before} ^ {*after} <= {row["name"] for row in there}


@CALM
@given(before=ANYTHING, after=ANYTHING)
def test_any_two_records_can_be_compared(before: Any, after: Any) -> None:
    for row in changed_subsystems({"subsystems": before}, {"subsystems": after}):
        assert set(row) == {"name", "before", "after"}
