# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences between update policies, changes by somebody else, and the effect of an override."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.policy import (
    COMPONENTS,
    HOUR_KEYS,
    TENANT_KEYS,
    auto_refused,
    changed_unasked,
    differing,
    is_value,
    opened_by_one_hour,
    override_of,
    overrides,
    tenant_values,
    with_overrides,
)

MODES = st.sampled_from(["auto", "notify", "disabled"])
ANYTHING = st.none() | st.booleans() | st.integers(0, 30) | st.floats() | MODES | st.text(max_size=5) | st.just([])
TENANT = st.dictionaries(st.sampled_from([*TENANT_KEYS, "extra"]), ANYTHING)
WANTED = st.fixed_dictionaries(
    {}, optional={key: MODES if key.endswith("_default") else st.integers(0, 23) for key in TENANT_KEYS}
)
INSTANCE = st.dictionaries(
    st.sampled_from([f"{name}{part}" for name in COMPONENTS for part in ("", "_override", "_source")]), ANYTHING
)
CHANGES = st.dictionaries(st.sampled_from(COMPONENTS), MODES | st.none())


@given(policy=TENANT, wanted=WANTED)
def test_a_changed_value_no_longer_differs(policy: dict[str, Any], wanted: dict[str, Any]) -> None:
    changes = differing(tenant_values(policy), wanted)
    assert changes.items() <= wanted.items()
    after = {**policy, **changes}
    assert differing(tenant_values(after), wanted) == {}
    assert all(is_value(after.get(key), value) for key, value in wanted.items())


@given(policy=INSTANCE, changes=CHANGES)
def test_a_predicted_policy_has_the_overrides_and_no_other_change(
    policy: dict[str, Any], changes: dict[str, Any]
) -> None:
    predicted = with_overrides(policy, changes)
    assert overrides(predicted) == {**overrides(policy), **changes}
    others = {key: value for key, value in policy.items() if not key.startswith(tuple(changes))}
    assert others.items() <= predicted.items()


@given(before=TENANT, after=TENANT, sent=WANTED)
def test_drift_is_what_changed_without_being_sent(
    before: dict[str, Any], after: dict[str, Any], sent: dict[str, Any]
) -> None:
    drift = changed_unasked(tenant_values(before), tenant_values(after), sent)
    assert not drift.keys() & sent.keys()
    assert changed_unasked(tenant_values(before), tenant_values(before), sent) == {}
    for key in set(TENANT_KEYS) - set(sent) - set(drift):
        assert tenant_values(before)[key] == tenant_values(after)[key]


def test_a_value_that_is_not_a_number_is_not_drift() -> None:
    # reports/2026-11 D17
    nan, infinite = {"max_parallel_rollouts": float("nan")}, {"max_parallel_rollouts": [float("inf")]}
    for before in (nan, infinite):
        assert changed_unasked(tenant_values(before), tenant_values(json.loads(json.dumps(before))), {}) == {}
    assert changed_unasked(nan, {"max_parallel_rollouts": float("nan")}, {}) == {}
    drift = changed_unasked(nan, {"max_parallel_rollouts": 2}, {})
    assert drift == {"max_parallel_rollouts": {"before": None, "after": 2}}


@pytest.mark.parametrize(
    ("actual", "wanted", "same"),
    [
        (2, 2, True),
        (2.0, 2, True),
        ("2", 2, True),
        (None, 2, False),
        (True, 1, False),
        (False, 0, False),
        ("Auto", "auto", True),
        (" AUTO ", "auto", True),
        (None, "auto", False),
        (0, None, False),
        (None, None, True),
        ([], "auto", False),
        ({}, 0, False),
    ],
)
def test_a_value_is_equal_in_any_spelling(actual: Any, wanted: Any, same: bool) -> None:
    assert is_value(actual, wanted) is same


@pytest.mark.parametrize("none", [None, "", "  ", "inherit", "Inherit", 0, False, []])
def test_a_missing_override_is_recognised_in_any_spelling(none: Any) -> None:
    assert overrides({"runtime_override": none})["runtime"] is None is override_of("inherit")


@pytest.mark.parametrize(("supported", "refused"), [(False, ["skills"]), (True, []), (None, []), ("no", [])])
def test_auto_is_refused_only_if_the_server_says_no(supported: Any, refused: list[str]) -> None:
    policy = {"skills_auto_supported": supported}
    assert auto_refused(policy, {"skills": "auto", "runtime": "auto"}) == refused
    assert auto_refused(policy, {"skills": "notify"}) == []


@pytest.mark.parametrize(
    ("start", "end", "given_keys", "opened"),
    [(3, 3, HOUR_KEYS[:1], True), (3, 3, HOUR_KEYS, False), (3, 4, HOUR_KEYS[:1], False), (None, None, (), False)],
)
def test_a_change_of_one_hour_that_equals_the_other_opens_the_window(
    start: Any, end: Any, given_keys: tuple[str, ...], opened: bool
) -> None:
    assert opened_by_one_hour(dict(zip(HOUR_KEYS, (start, end), strict=True)), dict.fromkeys(given_keys, 3)) is opened
