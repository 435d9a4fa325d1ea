# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of the patterns that order a plan, within the hosts of the play."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.patterns import order_of_patterns

GROUPS = {
    "all": ["c", "a", "b", "d"],
    "eu": ["a", "b"],
    "us": ["c"],
    "both": ["b", "c"],
}
REGIONS = {"a": "north", "b": "north", "c": " "}


def asked(in_play: tuple[str, ...] = ("a", "b", "c"), **options: Any) -> dict[str, Any]:
    hostvars = {
        name: {"fleetops_instance_id": f"id-{name}", **({"region": REGIONS[name]} if name in REGIONS else {})}
        for name in GROUPS["all"]
    }
    variables = {"groups": GROUPS, "ansible_play_hosts_all": list(in_play), "hostvars": hostvars}
    asked_for = {"canary_hosts": "", "waves": None, "share_by": "", **options}
    return order_of_patterns(DataLoader(), variables, **asked_for)


def test_instances_are_those_of_the_play_in_the_order_of_the_inventory() -> None:
    found = asked()
    assert list(found["instances"].items()) == [("c", "id-c"), ("a", "id-a"), ("b", "id-b")]
    assert (found["canary_hosts"], found["waves"], found["share_groups"], found["problem"]) == ([], [], {}, "")


@pytest.mark.parametrize("blank", ["", " ", None])
def test_blank_answers_ask_for_nothing(blank: Any) -> None:
    assert asked(canary_hosts=blank, waves=blank, share_by=blank) == asked()


@pytest.mark.parametrize(
    ("pattern", "hosts"), [("eu", ["a", "b"]), ("eu:!a", ["b"]), ("c,a", ["c", "a"]), ("~[bc]", ["c", "b"])]
)
def test_patterns_are_those_of_ansible_within_the_play(pattern: str, hosts: list[str]) -> None:
    found = asked(canary_hosts=pattern)
    assert (sorted(found["canary_hosts"]), found["problem"]) == (sorted(hosts), "")


@pytest.mark.parametrize("waves", [["eu", {"hosts": "us", "limit": 2}], '["eu", {"hosts": "us", "limit": 2}]'])
def test_waves_are_patterns_or_mappings_or_their_json(waves: Any) -> None:
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
        # The first group of a host counts, and who is in none is one more group.
        ("both, eu", {"a": "eu", "b": "both", "c": "both"}),
        ("us", {"a": "the rest", "b": "the rest", "c": "us"}),
        ("region", {"a": "north", "b": "north", "c": "the rest"}),
    ],
)
def test_shares_are_by_groups_or_by_a_variable(share_by: str, groups: dict[str, str]) -> None:
    assert asked(share_by=share_by)["share_groups"] == groups


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"canary_hosts": "canaries"}, "canary_hosts is 'canaries', which matches no host of the inventory"),
        ({"canary_hosts": "d"}, "canary_hosts is 'd', and none of these hosts is in this run"),
        # To Ansible, a pattern without a name is all hosts.
        ({"canary_hosts": ","}, "canary_hosts is ',', which matches no host of the inventory"),
        ({"canary_hosts": "eu:uk"}, "canary_hosts is 'eu:uk', and 'uk' matches no host of the inventory"),
        ({"waves": [","]}, "waves is ',', which matches no host of the inventory"),
        ({"share_by": ","}, "share_by is ',', which is neither a variable"),
        ({"waves": "eu,uk"}, "waves is 'uk', which matches no host of the inventory"),
        ({"waves": "[eu]"}, "waves begins like JSON, but is not valid JSON"),
        ({"waves": 3}, "waves must be a list"),
        ({"waves": [{"hosts": "eu", "limits": 3}]}, "wave eu has limits"),
        ({"share_by": "continent"}, "neither a variable of the hosts nor names of groups"),
    ],
)
def test_a_problem_is_a_sentence(options: dict[str, Any], problem: str) -> None:
    said = asked(**options)["problem"]
    assert problem in said and said.startswith("There is no plan: ") and said.endswith(".")
