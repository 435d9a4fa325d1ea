# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Discovery without a server: which rollouts are used, which information is the newest, and what is missing."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.discovery import (
    Instance,
    RolloutReading,
    instances_of,
)


def day(number: int) -> str:
    return f"2026-03-{number:02d}T12:00:00+00:00"


def rollout(name: str, on: int, scope: str = "fleet", total: int = 1) -> dict[str, Any]:
    return {"id": name, "scope": scope, "created_at": day(on), "total_targets": total}


def reading(
    name: str, on: int, targets: dict[str, dict[str, Any]], *, total: int | None = None, scope: str = "fleet"
) -> RolloutReading:
    """A rollout with ``targets``: id -> overrides of its timeline row; ``bundle`` is for the E4 row."""
    row = rollout(name, on, scope, len(targets) if total is None else total)
    timeline, details = [], []
    for iid, overrides in targets.items():
        overrides = dict(overrides)
        details.append({"id": f"{name}-{iid}", "instance_id": iid, "bundle_hash": overrides.pop("bundle", None)})
        timeline.append(
            {
                "target_id": f"{name}-{iid}",
                "instance_id": iid,
                "instance_hostname": f"host-{iid}",
                "status": "succeeded",
                "last_result_status": "succeeded",
                "created_at": day(on),
                "completed_at": day(on),
                **overrides,
            }
        )
    return RolloutReading(row, {"timeline": timeline, "total_targets": row["total_targets"]}, {"targets": details})


def test_the_newest_target_is_used_and_older_ones_supply_a_missing_name_and_bundle() -> None:
    newest = reading("r2", 9, {"a": {"status": "Running", "last_result_status": None, "completed_at": None}})
    newest.timeline["timeline"][0]["instance_hostname"] = None
    older = reading("r1", 5, {"a": {"bundle": "sha256:11"}, "b": {"bundle": "sha256:11", "status": "error"}})
    expected = [
        Instance("a", "host-a", "in_progress", None, "sha256:11", "r2", None),
        Instance("b", "host-b", "failed", "succeeded", "sha256:11", "r1", day(5)),
    ]
    # The times decide, not the order of the rollouts.
    assert instances_of([newest, older]) == (expected, [])
    assert instances_of([older, newest]) == (expected, [])


def test_a_renamed_instance_has_its_newest_name() -> None:
    readings = [reading("new", 9, {"a": {"instance_hostname": "renamed"}}), reading("old", 2, {"a": {}})]
    instances, problems = instances_of(readings)
    assert [i.hostname for i in instances] == ["renamed"]
    assert problems == []


def test_missing_rows_are_reported_and_the_received_rows_are_used() -> None:
    short = reading("r1", 3, {"a": {}, "b": {}}, total=5)
    instances, problems = instances_of([short])
    assert [i.instance_id for i in instances] == ["a", "b"]
    assert problems == [
        "rollout r1: its timeline has 2 of 5 targets",
        "rollout r1: the server gave 2 of its 5 targets",
    ]


def test_a_target_without_an_instance_is_reported() -> None:
    broken = reading("r1", 3, {"a": {}, "b": {"instance_id": None}})
    broken.targets["targets"][1]["instance_id"] = None
    instances, problems = instances_of([broken])
    assert [i.instance_id for i in instances] == ["a"]
    assert problems == ["rollout r1: target r1-b names no instance"]


def test_each_of_the_two_calls_supplies_what_the_other_one_lacks() -> None:
    both = reading("r1", 3, {"a": {}})
    without_timeline = RolloutReading(both.row, None, both.targets)
    without_targets = RolloutReading(both.row, both.timeline, None)
    assert instances_of([without_timeline])[0] == [Instance("a", None, None, None, None, "r1", None)]
    assert instances_of([without_targets])[0] == [Instance("a", "host-a", "succeeded", "succeeded", None, "r1", day(3))]


def test_two_names_for_one_instance_in_one_rollout_are_reported_as_a_contradiction() -> None:
    twice = reading("r1", 3, {"a": {}})
    twice.timeline["timeline"].append({**twice.timeline["timeline"][0], "instance_hostname": "other"})
    assert instances_of([twice])[1] == ["rollout r1: instance a has two names, host-a and other"]


def test_two_instances_for_one_target_are_reported_as_a_contradiction() -> None:
    torn = reading("r1", 3, {"a": {}, "b": {}})
    torn.targets["targets"][1]["instance_id"] = "a"
    assert instances_of([torn])[1][0] == "rollout r1: target r1-b belongs to two instances, b and a"
    upper = "4F0C7C2E-4F6A-4A2E-9F0B-3F6F9E5F2F10"
    spelled = reading("r1", 3, {upper: {}})
    spelled.targets["targets"][0]["instance_id"] = upper.lower()
    assert instances_of([spelled])[1] == []
