# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of the patterns that order a plan, within the hosts of the play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.patterns import (
    hosts_of_part,
    inventory_of,
    order_of_patterns,
    parts_of_limit,
    problem_of_parts,
    problem_of_pattern,
)

GROUPS = {
    "all": ["c", "a", "b", "d"],
    "eu": ["a", "b"],
    "us": ["c"],
    "both": ["b", "c"],
}
REGIONS = {"a": "north", "b": "north", "c": " "}


def asked(in_play: tuple[str, ...] = ("a", "b", "c"), names: list[str] | None = None, **options: Any) -> dict[str, Any]:
    groups = GROUPS if names is None else {"all": names}
    hostvars = {
        name: {"fleetops_instance_id": f"id-{name}", **({"region": REGIONS[name]} if name in REGIONS else {})}
        for name in groups["all"]
    }
    variables = {"groups": groups, "ansible_play_hosts": list(in_play), "hostvars": hostvars}
    asked_for = {"canary_hosts": "", "waves": None, "share_by": "", **options}
    return order_of_patterns(DataLoader(), variables, **asked_for)


def test_instances_are_the_hosts_of_the_play_in_inventory_order() -> None:
    found = asked()
    assert list(found["instances"].items()) == [("c", "id-c"), ("a", "id-a"), ("b", "id-b")]
    assert (found["canary_hosts"], found["waves"], found["share_groups"], found["problem"]) == (None, [], {}, "")


@pytest.mark.parametrize("name", ["web:22", "[fe80::1]:22"])
def test_a_host_that_ansible_would_put_into_the_group_under_another_name_is_refused(name: str) -> None:
    """As in an inventory script. The run would process another host, and end after a part of the instances."""
    for fine in ("web", "fe80::1", "web 22", "web[1]", "a,b", "[fe80::1]"):
        assert asked(in_play=("a",), names=["a", fine])["problem"] == ""
    problem = asked(in_play=("a", name), names=["a", name])["problem"]
    assert problem.startswith(f"There is no plan: the name of the host {name} ends in a port"), problem
    assert asked(in_play=("a",), names=["a", name])["problem"] == ""


@pytest.mark.parametrize("blank", ["", " ", None])
def test_blank_answers_request_nothing(blank: Any) -> None:
    assert asked(canary_hosts=blank, waves=blank, share_by=blank) == asked()


@pytest.mark.parametrize(
    ("pattern", "hosts"), [("eu", ["a", "b"]), ("eu:!a", ["b"]), ("c,a", ["c", "a"]), ("~[bc]", ["c", "b"])]
)
def test_patterns_match_hosts_of_the_play_as_in_ansible(pattern: str, hosts: list[str]) -> None:
    found = asked(canary_hosts=pattern)
    assert (sorted(found["canary_hosts"]), found["problem"]) == (sorted(hosts), "")


def test_canary_hosts_of_which_none_is_in_the_run_are_an_empty_list() -> None:
    found = asked(canary_hosts="d")
    assert (found["canary_hosts"], found["problem"]) == ([], "")


@pytest.mark.parametrize("waves", [["eu", {"hosts": "us", "limit": 2}], '["eu", {"hosts": "us", "limit": 2}]'])
def test_waves_are_patterns_mappings_or_json(waves: Any) -> None:
    found = asked(waves=waves)
    assert [(wave["name"], wave["hosts"], wave["limit"]) for wave in found["waves"]] == [
        ("eu", ["a", "b"], None),
        ("us", ["c"], 2),
    ]
    assert [wave["name"] for wave in asked(waves="eu, us\n")["waves"]] == ["eu", "us"]


@pytest.mark.parametrize(
    ("share_by", "groups"),
    [
        ("eu,us", {"a": "eu", "b": "eu", "c": "us"}),
        # The first group of a host counts. Hosts in no group form one more group.
        ("both, eu", {"a": "eu", "b": "both", "c": "both"}),
        ("us", {"a": "the rest", "b": "the rest", "c": "us"}),
        ("region", {"a": "north", "b": "north", "c": "the rest"}),
    ],
)
def test_shares_are_by_group_or_by_a_variable(share_by: str, groups: dict[str, str]) -> None:
    assert asked(share_by=share_by)["share_groups"] == groups


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"canary_hosts": "canaries"}, "canary_hosts is 'canaries', which matches no host of the inventory"),
        # For Ansible, a pattern without a name means all hosts.
        ({"canary_hosts": ","}, "canary_hosts is ',', which matches no host of the inventory"),
        ({"canary_hosts": "eu:uk"}, "canary_hosts is 'eu:uk', and 'uk' matches no host of the inventory"),
        # Ansible would take the host that should be excluded.
        ({"canary_hosts": "eu:!aa"}, "'!aa' names neither a host nor a group; write '!aa*' if it need not exist."),
        ({"waves": [{"hosts": "all:!hosts-of-su"}]}, "'!hosts-of-su' names neither a host nor a group"),
        ({"waves": [{"hosts": ["a", "x"]}]}, "waves is 'a,x', and 'x' matches no host of the inventory"),
        ({"canary_hosts": "us[3]"}, "canary_hosts is 'us[3]', which cannot be used: No hosts matched"),
        ({"canary_hosts": "~["}, "canary_hosts is '~[', and a bracket has no counterpart"),
        ({"waves": [","]}, "waves is ',', which matches no host of the inventory"),
        ({"share_by": ","}, "share_by is ',', which is neither a variable"),
        ({"waves": "eu,uk"}, "waves is 'uk', which matches no host of the inventory"),
        ({"waves": "[eu]"}, "waves begins like JSON, but is not valid JSON"),
        ({"waves": 3}, "waves must be a list"),
        ({"waves": [{"hosts": "eu", "limits": 3}]}, "wave eu has the unknown key limits"),
        ({"share_by": "continent"}, "neither a variable of the hosts nor names of groups"),
    ],
)
def test_a_problem_is_reported_in_a_sentence(options: dict[str, Any], problem: str) -> None:
    problems = asked(**options)["problem"]
    assert problem in problems and problems.startswith("There is no plan: ") and problems.endswith(".")


FLEET = {
    "all": ["agent-001.fra1.fleet.example", "agent-002.ams3.fleet.example", "2001:db8::7"],
    "ungrouped": [],
    "fleetops_instances": ["agent-001.fra1.fleet.example", "agent-002.ams3.fleet.example"],
    "eu_west": [],
}


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("fleetops_instances:!agent-002.ams3.fleet.example", ""),
        ("all:!eu_west:!ungrouped:!localhost", ""),
        ("all,!2001:db8::7", ""),
        ("all:!fleetops_instances[0:3]", ""),
        ("all:!fleetops_instances[-1]:&fleetops_instances[7:]", ""),
        # Groups of the inventory plugin, which has no empty groups.
        ("all:!fleetops_gone:!fleetops_health_unhealthy:&fleetops_update_available:!fleetops_bundle_0123456789ab", ""),
        ("all:!fleetops_helth_unhealthy", "'!fleetops_helth_unhealthy' names neither a host nor a group"),
        # Wildcards and regular expressions may match nothing.
        ("all:!old-*:!agnet-00?:!agnet-00[12].example", ""),
        (r"all,!~agnet-(?:1|2)\d*", ""),
        ("all:!agnet-002.ams3.fleet.example", "(the nearest name is agent-002.ams3.fleet.example)"),
        # The name without the domain.
        ("all:!agent-001", "neither a host nor a group (the nearest name is agent-001.fra1.fleet.example)"),
        ("all:&eu-west", "'&eu-west' names neither a host nor a group (the nearest name is eu_west)"),
        ("all,!fleetops_instance[0:3]", "(the nearest name is fleetops_instances)"),
        ("!mars", "'!mars' names neither a host nor a group"),
        # For Ansible, a name may end with [1-2], but not with a slice [:3].
        ("all:!agnet-00[1-2]", "'!agnet-00[1-2]' names neither"),
        ("all,!fleetops_instances[:3]", "'!fleetops_instances[:3]' names neither"),
        ("all:! agent-001", "'!' names neither"),
        ("all,!fleetops_instances[0:3", "'!fleetops_instances[0:3' names neither"),
        ("~agent-[", "a bracket has no counterpart"),
        ("all:!fleetops_instances[0:3", "a bracket has no counterpart"),
    ],
)  # fmt: skip
def test_an_exclusion_that_would_have_no_effect_is_a_problem(pattern: str, problem: str) -> None:
    found = problem_of_pattern(pattern, FLEET)
    assert problem in found and bool(found) is bool(problem)


def test_an_exclusion_in_a_limit_file_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "limit"
    file.write_text("fleetops_instances\n!old-*\n\n!agent-003.fra1.fleet.example\n")
    limit = f"@{file}"
    assert problem_of_pattern(limit, FLEET) == ""
    found = problem_of_parts(parts_of_limit(limit), FLEET)
    assert found.startswith(
        "'!agent-003.fra1.fleet.example' names neither a host nor a group (the nearest name is agent-0"
    )


@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("~agent-(?:001|002)", 2),
        ("2001:db8::7", 1),
        ("fleetops_instances[0:0]", 1),
        # A line of a file is a single name for Ansible.
        ("agent-001.fra1.fleet.example,agent-002.ams3.fleet.example", 0),
        ("agent-001*:!agent-002*", 0),
    ],
)
def test_a_single_pattern_is_not_split_again(part: str, number: int) -> None:
    assert len(hosts_of_part(inventory_of(DataLoader(), FLEET), part)) == number
