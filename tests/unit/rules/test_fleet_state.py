# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A declared state: invalid states, which policy wins, and the reported differences."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.fleet_state import (
    Fleet,
    compare,
    declared,
    state_lines,
    wanted_policies,
)

GROUPS = {"eu": ["a", "b"], "canaries": ["a", "c"], "all": ["a", "b", "c"]}
IDS = {"a": "id-a", "b": "id-b", "c": "id-c"}
TENANT = {"max_parallel_rollouts": 2, "skills_default": "notify", "maintenance_window_start_hour_utc": 0}
CURRENT = {"current_version": "2.0", "available_version": "2.0", "has_update": False}
BEHIND = {"current_version": "1.9", "available_version": "2.0", "has_update": True}


def updates(versions: dict[str, Any] | None = None, /, **modes: str | None) -> dict[str, Any]:
    """The answer of E25 for an instance with these overrides."""
    held = {"runtime": None, "skills": None, "mcp_servers": None, **modes}
    return {"runtime": versions or CURRENT, "update_policy": {f"{name}_override": mode for name, mode in held.items()}}


def report(state: dict[str, Any], *, prune: bool = False, **read: Any) -> dict[str, Any]:
    """The report about hosts a, b and c, which inherit everything unless ``updates`` gives overrides."""
    gone = read.pop("gone", [])
    answers = {name: updates() for name in IDS if name not in gone} | read.pop("updates", {})
    given = {"tenant": TENANT, "inventory": IDS, "groups": GROUPS, "seen": {}} | read
    checked = declared(state)
    wanted = wanted_policies(checked, IDS, given["groups"])
    return compare(checked, wanted, Fleet(updates=answers, gone=gone, **given), prune=prune)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "must be a mapping with some of the keys tenant_policy"),
        ("runtime_current: true", "must be a mapping"),
        ({}, "declares nothing"),
        ({"tenant_policy": {}, "group_policies": None, "runtime_current": False}, "declares nothing"),
        ({"tenant_polcy": {}}, "The state has the unknown key tenant_polcy. It may have tenant_policy"),
        # For example a file that was given by mistake.
        (
            {"root:$y$secret:2": None, "me:$y$secret:3": None},
            "The state has the unknown key (not a name). It may have tenant_policy",
        ),
        ({"tenant_policy": {"max_parallel": 2}}, "tenant_policy has the unknown key max_parallel"),
        ({"tenant_policy": {"max_parallel_rollouts": 0}}, "max_parallel_rollouts is 0: it must be 1 or more"),
        ({"tenant_policy": {"max_parallel_rollouts": True}}, "is True: it must be a whole number"),
        ({"tenant_policy": {"max_parallel_rollouts": "2"}}, "is '2': it must be a whole number"),
        ({"tenant_policy": {"maintenance_window_end_hour_utc": 24}}, "an hour of the day, from 0 to 23"),
        ({"tenant_policy": {"runtime_default": "inherit"}}, "it must be auto, notify or disabled"),
        ({"tenant_policy": [1]}, "tenant_policy is [1]: it must be a mapping"),
        ({"group_policies": {"eu": {"runtime": "off"}}}, "group_policies: eu: runtime is 'off'"),
        ({"group_policies": {"eu": {"runtime": False}}}, "it must be auto, notify, disabled or inherit"),
        ({"group_policies": {"eu": "auto"}}, "group_policies: eu is 'auto': it must be a mapping"),
        ({"instance_policies": {7: {"runtime": "auto"}}}, "the name 7 is not text. Write it in quotes"),
        ({"instance_policies": {"a": {"runtim": "auto"}}}, "instance_policies: a has the unknown key runtim"),
        ({"runtime_current": "yes"}, "runtime_current is 'yes': it must be true or false"),
    ],
)
def test_an_invalid_state_is_refused_with_the_place_and_the_allowed_values(state: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        declared(state)
    assert message in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("groups", "instances", "wanted"),
    [
        ({}, {}, {"a": {}, "b": {}, "c": {}}),
        ({"eu": {"runtime": "auto"}}, {}, {"a": {"runtime": "auto"}, "b": {"runtime": "auto"}, "c": {}}),
        # The mode of an instance wins for each component.
        (
            {"eu": {"runtime": "auto", "skills": "notify"}},
            {"a": {"runtime": "inherit"}},
            {"a": {"runtime": "inherit", "skills": "notify"}, "b": {"runtime": "auto", "skills": "notify"}, "c": {}},
        ),
        # Groups are combined, and may have equal values.
        (
            {"eu": {"runtime": "auto"}, "canaries": {"runtime": "auto", "skills": "disabled"}},
            {},
            {"a": {"runtime": "auto", "skills": "disabled"}, "b": {"runtime": "auto"},
             "c": {"runtime": "auto", "skills": "disabled"}},
        ),
        # The instance decides if groups disagree.
        (
            {"eu": {"runtime": "auto"}, "canaries": {"runtime": "notify"}},
            {"a": {"runtime": "disabled"}},
            {"a": {"runtime": "disabled"}, "b": {"runtime": "auto"}, "c": {"runtime": "notify"}},
        ),
    ],
)  # fmt: skip
def test_the_policy_of_an_instance_wins_over_those_of_its_groups(groups: Any, instances: Any, wanted: Any) -> None:
    state = declared({"group_policies": groups, "instance_policies": instances, "runtime_current": True})
    assert wanted_policies(state, IDS, GROUPS) == wanted


def test_groups_that_disagree_are_refused_by_name() -> None:
    state = declared({"group_policies": {"eu": {"runtime": "auto"}, "canaries": {"runtime": "notify"}}})
    with pytest.raises(ValueError, match=r"runtime by eu \(auto\) and canaries \(notify\) for a\. Declare") as refused:
        wanted_policies(state, IDS, GROUPS)
    assert "nothing was changed" in str(refused.value)


def test_a_fleet_that_matches_the_declaration_is_in_sync() -> None:
    state = {
        "tenant_policy": {"max_parallel_rollouts": 2, "skills_default": "notify"},
        "group_policies": {"all": {"runtime": "inherit"}},
        "instance_policies": {"b": {"skills": "disabled"}},
        "runtime_current": True,
    }
    found = report(state, updates={"b": updates(skills="Disabled")})
    assert found["in_sync"] and state_lines(found) == ["The fleet is as the state declares it."]


def test_each_difference_is_listed_with_the_actual_and_the_declared_value() -> None:
    state = {
        "tenant_policy": {"max_parallel_rollouts": 4, "maintenance_window_start_hour_utc": 0},
        "group_policies": {"eu": {"runtime": "auto"}},
        "runtime_current": True,
    }
    found = report(state, updates={"b": updates(runtime="auto"), "c": updates(BEHIND)})
    assert found["tenant"] == {"max_parallel_rollouts": {"wanted": 4, "is": 2}}
    assert found["instances"] == {"a": {"runtime": {"wanted": "auto", "is": "inherit"}}}
    assert list(found["behind"]) == ["c"] and not found["in_sync"]
    assert state_lines(found) == [
        "Tenant: max_parallel_rollouts is 2, should be 4.",
        "Differs (1): runtime is inherit, should be auto: a",
        "Not current (1): runtime 1.9, published is 2.0: c",
        "To redeploy them: ansible-playbook fleetops.agents.rolling_redeploy -i INVENTORY -e fleetops_hosts=c",
        "Unmanaged, no policy of the state covers it (1): c",
    ]


def test_runtimes_are_compared_only_if_declared() -> None:
    found = report({"tenant_policy": {"max_parallel_rollouts": 2}}, updates={"c": updates(BEHIND)})
    assert found["behind"] == {} and found["in_sync"] and found["unmanaged"] == []


def test_undeclared_overrides_are_listed_or_pruned() -> None:
    state = {"instance_policies": {"a": {"runtime": "auto"}}}
    held = {"a": updates(runtime="auto", skills="disabled"), "b": updates(skills="disabled")}
    left = report(state, updates=held)
    assert left["in_sync"] and left["instances"] == {}
    assert left["undeclared"] == {"a": {"skills": "disabled"}, "b": {"skills": "disabled"}}
    assert "Not declared, left as it is without prune (2): skills disabled: a, b" in state_lines(left)
    pruned = report(state, updates=held, prune=True)
    assert not pruned["in_sync"] and pruned["undeclared"] == {} and pruned["unmanaged"] == []
    assert pruned["instances"] == {n: {"skills": {"wanted": "inherit", "is": "disabled"}} for n in "ab"}


def test_an_unknown_value_differs_from_the_declared_one() -> None:
    silent = {"a": {"update_policy": None}}
    found = report({"instance_policies": {"a": {"runtime": "inherit"}}}, updates=silent)
    assert found["instances"] == {"a": {"runtime": {"wanted": "inherit", "is": "unknown"}}}


def test_names_that_only_one_side_has_are_reported() -> None:
    state = {"group_policies": {"us": {"runtime": "auto"}}, "instance_policies": {"z": {"runtime": "auto"}}}
    found = report(state, gone=["c"], seen={"ID-a": "a.example", "id-x": "x.example", "id-y": None})
    assert found["unknown"] == {"instances": ["z"], "groups": ["us"]} and not found["in_sync"]
    assert [row["instance_id"] for row in found["unmanaged"]] == ["ID-a", "id-x", "id-y", "id-a", "id-b"]
    assert found["gone"] == ["c"]
    assert state_lines(found)[-3:] == [
        "Unknown instances, named in the state only (1): z",
        "Unknown groups, named in the state only (1): us",
        "Not found on the server (1): c",
    ]
    assert "Unmanaged, the inventory does not have it (3): a.example (ID-a), x.example (id-x), id-y" in state_lines(
        found
    )
