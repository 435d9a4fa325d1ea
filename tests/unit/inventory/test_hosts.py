# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, groups and the option ``instances``: for any answer of the server, each instance has one usable name."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from ansible.inventory.group import to_safe_group_name
from hypothesis import given as for_all
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.discovery import Instance
from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.hosts import (
    Given,
    given_instances,
    group_name,
    groups_of,
    host_names,
    hosts_of,
    with_given,
)

ID = "0b1e4d6a-7c1f-4e5b-9a51-0c8d5b1c7f11"
OTHER = "5c9d2f3e-1f0e-4a56-9a51-0c8d5b1c7f12"

_HOSTILE = [
    "all",
    "localhost",
    "web",
    "web-1",
    "fleetops_instances",
    "{{ 7*7 }}",
    "a,b",
    "a:b",
    "!web",
    "",
    " ",
    "web[1:3]",
]
instance_lists = st.lists(
    st.builds(
        Instance,
        st.one_of(st.sampled_from(["1", "12345678-a", "12345678-b", "web", "../x", "{{x}}"]), st.text(min_size=1)),
        st.one_of(st.none(), st.sampled_from(_HOSTILE), st.text(max_size=4)),
    ),
    max_size=12,
    unique_by=lambda instance: instance.instance_id,
)


@for_all(instance_lists, st.booleans(), st.randoms(use_true_random=False))
def test_every_instance_has_one_usable_name_of_its_own(
    instances: list[Instance], by_id: bool, chance: random.Random
) -> None:
    given = {instances[0].instance_id: Given("web", {}, instances[0].instance_id)} if instances else {}
    names, _problems = host_names(instances, given, by_id=by_id, taken=["web-1"])
    assert names.keys() == {i.instance_id for i in instances}
    assert len(set(names.values())) == len(names)
    for name in names.values():
        assert re.fullmatch(r"[\w][\w.\-]*", name), name
        assert name not in {"all", "ungrouped", "localhost", "web-1"}
        assert not name.startswith("fleetops_")
    # The names do not depend on the order in which the fleet was read.
    shuffled = list(instances)
    chance.shuffle(shuffled)
    assert host_names(shuffled, given, by_id=by_id, taken=["web-1"])[0] == names


def test_instances_with_the_same_name_are_distinguished_by_their_id() -> None:
    names, problems = host_names(
        [Instance(ID, "web-1"), Instance(OTHER, "web-1"), Instance("x", None)], {}, by_id=False
    )
    assert names == {ID: "web-1-0b1e4d6a", OTHER: "web-1-5c9d2f3e", "x": "instance-x"}
    assert problems == []


def test_a_name_in_the_inventory_file_wins_and_a_conflict_is_reported() -> None:
    instances = with_given([Instance(ID, "web-1")], {OTHER: Given("web-1", {}, OTHER)})
    names, problems = host_names(instances, {OTHER: Given("web-1", {}, OTHER)}, by_id=False)
    assert names == {OTHER: "web-1", ID: "web-1-0b1e4d6a"}
    assert problems == [f"web-1 is {OTHER} in the option instances, but {ID} in the server's answers"]


@for_all(st.text(min_size=1, max_size=20))
def test_group_names_are_sanitised_as_ansible_does(value: str) -> None:
    assert group_name("status", value) == to_safe_group_name(f"fleetops_status_{value}", force=True, silent=True)


def test_variables_and_groups_follow_the_requested_options() -> None:
    instance = Instance(
        ID, "web-1", "succeeded", "failed", "sha256:0123456789abcdef", "r1", "t", True, "1", "2", "degraded", False
    )
    hosts, _dummy = hosts_of([instance], {ID: Given("web", {"owner": "lab"}, ID)}, by_id=False)
    assert hosts[0].name == "web"
    assert hosts[0].given == {"owner": "lab"}
    assert hosts[0].of_api == {
        "fleetops_instance_id": ID,
        "fleetops_hostname": "web-1",
        "fleetops_status": "succeeded",
        "fleetops_last_result": "failed",
        "fleetops_bundle_hash": "sha256:0123456789abcdef",
        "fleetops_last_rollout_id": "r1",
        "fleetops_last_completed_at": "t",
    }
    assert groups_of(hosts) == {
        "fleetops_instances": ["web"],
        "fleetops_status_succeeded": ["web"],
        "fleetops_last_result_failed": ["web"],
        "fleetops_bundle_0123456789ab": ["web"],
    }
    enriched, _dummy = hosts_of([instance], {}, by_id=True, enriched=["health", "updates"])
    assert enriched[0].name == ID
    assert set(groups_of(enriched)) >= {"fleetops_update_available", "fleetops_health_degraded"}
    assert enriched[0].of_api.items() >= {"fleetops_available_version": "2", "fleetops_gone": False}.items()


def test_instances_can_be_given_as_a_mapping_or_as_json() -> None:
    expected = {ID: Given("web", {}, ID), OTHER: Given("lab", {"owner": "me"}, OTHER)}
    assert given_instances({"web": ID, "lab": {"instance_id": OTHER, "owner": "me"}}) == expected
    assert given_instances(f'{{"web": "{ID}", "lab": {{"instance_id": "{OTHER}", "owner": "me"}}}}') == expected
    assert given_instances("") == given_instances(None) == given_instances({}) == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{web: 1", "not valid JSON"),
        (["web"], "must map names to instance ids"),
        ({"web": None}, "web has no instance_id"),
        ({"web": {"owner": "x"}}, "web has no instance_id"),
        ({"web": ID, "lab": ID}, "web and lab are the same instance"),
        ({"all": ID}, "'all' cannot be a host's name"),
        ({"{{ x }}": ID}, "cannot be a host's name"),
        ({"web": {"instance_id": ID, "fleetops_status": "x"}}, "'fleetops_status'"),
        ({"web": {"instance_id": ID, "no-name": "x"}}, "'no-name'"),
    ],
)
def test_invalid_instances_are_refused_with_a_sentence(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        given_instances(value)
