# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a rolling run: the result of each batch, and what the gate checks next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.run_state import (
    batch_ended,
    batch_started,
    ended,
    free_group,
    judged,
    members,
    refused,
    reported,
    started,
)

FLEET = {f"agent-{n:03d}": f"id-{n}" for n in range(1, 6)}
PLAN = {
    "planned": {name: FLEET[name] for name in ("agent-001", "agent-002", "agent-003", "agent-004")},
    "batches": [
        {"instances": ["agent-001"], "p90_seconds": 40.0},
        {"instances": ["agent-002", "agent-003", "agent-004"], "p90_seconds": 90.0},
    ],
    "plan_hash": "abc",
    "left_alone": ["agent-005"],
    "gone": [],
}
GOOD, BAD, SKIPPED = {"changed": True}, {"failed": True, "msg": "No."}, {"skipped": True}


def run_of(plan: dict[str, Any]) -> dict[str, Any]:
    return started(FLEET, plan, in_play=FLEET, group="fleetops_planned", expected_seconds=180.0, override_reason="")


def after(state: dict[str, Any], names: list[str], results: dict[str, Any], *, dropped: str = "") -> dict[str, Any]:
    """The state after a batch."""
    begun = batch_started(state, names, in_play=FLEET, expected_seconds=180.0)
    return batch_ended(begun, results, [name for name in names if name != dropped])


def test_the_gate_checks_the_first_batch_of_the_plan() -> None:
    state = run_of(PLAN)
    assert (state["next_batch"], state["expected_seconds"]) == ({"agent-001": "id-1"}, 40.0)
    assert state["waiting"] == state["planned"] == PLAN["planned"]
    assert (state["plan_hash"], state["left_alone"], state["verdict"]) == ("abc", ["agent-005"], "fail")


def test_hosts_join_the_group_in_the_order_of_the_plan_with_the_variables_of_their_tasks() -> None:
    state = {**run_of(PLAN), "run": "run-1", "order": ["agent-003", "agent-001"], "verdict": "pass"}
    hosts = members(state, {"usual_seconds": {"agent-003": {"p50": 20.0, "p90": 35.0}}})
    assert [one["name"] for one in hosts] == ["agent-003", "agent-001"]
    assert {one["group"] for one in hosts} == {"fleetops_planned"}
    assert [one["usual_seconds"]["p50"] for one in hosts] == [20.0, None]
    assert [one["stream"] for one in hosts] == [
        {"run": "run-1", "name": "agent-003", "needs": 45.0, "place": 0, "batches": True},
        {"run": "run-1", "name": "agent-001", "needs": 190.0, "place": 1, "batches": True},
    ]
    assert members({**state, "verdict": "deferred"}, {}) == []


def test_without_a_plan_every_instance_is_processed_and_the_gate_checks_one() -> None:
    state = run_of({})
    assert state["planned"] == FLEET
    assert (state["next_batch"], state["expected_seconds"]) == ({"agent-001": "id-1"}, 180.0)


def test_a_plan_with_nothing_to_do_passes_without_the_gate() -> None:
    state = run_of({"planned": {}, "batches": [], "left_alone": list(FLEET)})
    assert (state["verdict"], state["reasons"], state["next_batch"]) == ("pass", [], {})


def test_a_refused_run_has_no_plan_but_keeps_the_hash_and_the_reason() -> None:
    state = refused("The plan moved.", PLAN, group="fleetops_planned_2")
    assert (state["verdict"], state["reasons"], state["plan_hash"]) == ("fail", ["The plan moved."], "abc")
    assert (state["planned"], state["refused"], state["group"], state["why"]) == ({}, True, "fleetops_planned_2", [])
    assert set(state) == set(run_of(PLAN)) | {"refused"}


def test_the_next_batch_takes_ids_and_seconds_from_the_plan_and_later_batches_take_the_given_seconds() -> None:
    first = after(run_of(PLAN), ["agent-001"], {"agent-001": GOOD})
    second = batch_started(first, ["agent-002", "agent-003"], in_play=FLEET, expected_seconds=180.0)
    assert second["next_batch"] == {"agent-002": "id-2", "agent-003": "id-3"}
    assert second["expected_seconds"] == 90.0
    third = batch_started(
        batch_ended(second, {}, second["batch"]), ["agent-004"], in_play=FLEET, expected_seconds=180.0
    )
    assert third["expected_seconds"] == 180.0
    assert third["begun"] == ["agent-001", "agent-002", "agent-003", "agent-004"]


def test_after_a_batch_instances_are_updated_failed_or_waiting() -> None:
    first = after(run_of(PLAN), ["agent-001"], {"agent-001": GOOD})
    state = after(
        first,
        ["agent-002", "agent-003", "agent-004"],
        {"agent-002": GOOD, "agent-003": BAD, "agent-004": SKIPPED},
    )
    assert state["updated"] == {"agent-001": "id-1", "agent-002": "id-2"}
    assert state["failed"] == ["agent-003"]
    assert state["waiting"] == {"agent-004": "id-4"}
    assert (state["batches"], state["last_batch"]) == (2, ["agent-002", "agent-003", "agent-004"])


def test_a_host_that_ansible_dropped_counts_as_failed_whatever_its_result() -> None:
    state = after(run_of(PLAN), ["agent-001"], {"agent-001": GOOD}, dropped="agent-001")
    assert (state["failed"], state["updated"]) == (["agent-001"], {})


def test_an_instance_that_another_play_has_dropped_fails_with_its_batch_which_ansible_may_leave_out() -> None:
    left = [name for name in FLEET if name != "agent-001"]
    state = batch_started(run_of(PLAN), ["agent-002", "agent-003"], in_play=left, expected_seconds=180.0)
    # The gate is asked, although no task of the first batch has run, and it fails because all of that batch failed.
    assert (state["batches"], state["last_batch"], state["failed"]) == (1, ["agent-001"], ["agent-001"])
    assert state["expected_seconds"] == 90.0
    assert state["left_out"] == {"agent-001": "it failed in another play after the run was planned"}

    first = after(run_of(PLAN), ["agent-001"], {"agent-001": GOOD})
    without = ["agent-002", "agent-004"]
    second = batch_started(first, without, in_play=["agent-001", *without], expected_seconds=180.0)
    assert (second["batches"], second["failed"]) == (1, ["agent-003"])
    done = batch_ended(second, dict.fromkeys(without, GOOD), without)
    assert (list(done["waiting"]), done["failed"], ended({**done, "verdict": "pass"})["verdict"]) == (
        [],
        ["agent-003"],
        "pass",
    )


def test_an_instance_outside_the_plan_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^agent-005 cannot be in this batch: .* group fleetops_planned\.$"):
        batch_started(run_of(PLAN), ["agent-001", "agent-005"], in_play=FLEET, expected_seconds=180.0)


def test_a_gate_without_a_verdict_is_a_failure_with_its_message() -> None:
    state = run_of(PLAN)
    passed = judged(state, {"verdict": "pass", "reasons": []})
    assert (passed["verdict"], passed["reasons"]) == ("pass", [])
    skipped = judged(state, {"skipped": True, "msg": "Not done."})
    assert (skipped["verdict"], skipped["reasons"]) == ("fail", ["Not done."])
    assert judged(state, {})["reasons"] == ["The gate returned no verdict."]


def test_a_run_that_no_gate_stopped_has_failed_if_planned_instances_were_in_no_batch() -> None:
    first = judged(after(run_of(PLAN), ["agent-001"], {"agent-001": GOOD}), {"verdict": "pass", "reasons": []})
    said = "3 planned instances were not touched, although no check stopped the run: agent-002, agent-003, agent-004."
    assert ended(first)["verdict"] == "fail" and ended(first)["reasons"][0].startswith(said)
    stopped = judged(first, {"verdict": "deferred", "reasons": ["Closed."]})
    # Instances whose tasks were skipped were in a batch.
    done = after(first, ["agent-002", "agent-003", "agent-004"], dict.fromkeys(("agent-002", "agent-003"), SKIPPED))
    assert ended(stopped) == stopped and ended(done) == done


def test_the_report_decides_how_the_run_ended() -> None:
    why = {"agent-2": "It failed.", "agent-1": "agent-1 failed."}
    report = {"verdict": "fail", "reasons": ["1 failed."], "why": why, "counts": {}}
    state = reported(run_of(PLAN), report)
    assert (state["verdict"], state["reasons"]) == ("fail", ["1 failed."])
    assert state["why"] == ["agent-1 failed.", "agent-2: It failed."]
    assert "counts" not in state


@pytest.mark.parametrize(
    ("groups", "free"),
    [
        ([], "fleetops_planned"),
        (["all", "fleetops_instances", "fleetops_planned_by_hand"], "fleetops_planned"),
        (["fleetops_planned"], "fleetops_planned_2"),
        (["fleetops_planned", "fleetops_planned_2"], "fleetops_planned_3"),
        # Groups of the inventory that no plan created.
        (["fleetops_planned_2"], "fleetops_planned_3"),
        (["fleetops_planned_3", "fleetops_planned"], "fleetops_planned_2"),
    ],
)
def test_each_run_in_a_process_has_its_own_group(groups: list[str], free: str) -> None:
    assert free_group(groups) == free


@given(
    st.lists(
        st.dictionaries(st.sampled_from(list(PLAN["planned"])), st.sampled_from([None, GOOD, BAD, SKIPPED])), max_size=4
    ),
    st.sets(st.sampled_from(list(PLAN["planned"]))),
)
def test_each_planned_instance_is_updated_failed_or_waiting_and_the_state_is_plain_data(
    rounds: list[dict[str, Any]], dropped: set[str]
) -> None:
    state, seen = run_of(PLAN), set()
    for results in rounds:
        names = [name for name in results if name not in seen]
        seen |= set(names)
        begun = batch_started(state, names, in_play=FLEET, expected_seconds=180.0)
        known = {name: result for name, result in results.items() if result is not None}
        state = batch_ended(begun, known, set(names) - dropped)
    assert sorted([*state["updated"], *state["failed"], *state["waiting"]]) == sorted(PLAN["planned"])
    assert set(state["updated"]) | set(state["failed"]) <= seen == set(state["begun"])
    assert json.loads(json.dumps(state)) == state


def test_bundles_are_collected_across_batches_and_a_result_without_one_adds_none() -> None:
    one = after(run_of(PLAN), ["agent-001"], {"agent-001": {**GOOD, "bundle_hash": "aa"}})
    results = {
        "agent-002": {**GOOD, "bundle_hash": "bb"},
        "agent-003": {**BAD, "bundle_hash": "bb"},
        "agent-004": {**GOOD, "bundle_hash": None},
    }
    assert after(one, ["agent-002", "agent-003", "agent-004"], results)["bundles"] == {
        "aa": ["agent-001"],
        "bb": ["agent-002"],
    }


def test_the_gate_uses_the_settings_of_the_wave_before_each_batch() -> None:
    gates = [{"soak": 60.0}, {"max_failed": 1}]
    plan = {**PLAN, "batches": [{**batch, "gate": g} for batch, g in zip(PLAN["batches"], gates, strict=True)]}
    first = batch_started(run_of(plan), ["agent-001"], in_play=FLEET, expected_seconds=180.0)
    assert run_of(plan)["gate"] == first["gate"] == gates[0]
    second = batch_started(batch_ended(first, {}, first["batch"]), ["agent-002"], in_play=FLEET, expected_seconds=180.0)
    assert second["gate"] == gates[0]
    third = batch_started(
        batch_ended(second, {}, second["batch"]), ["agent-003"], in_play=FLEET, expected_seconds=180.0
    )
    assert third["gate"] == gates[1]


def test_order_and_sizes_of_the_plan_are_kept_and_busy_instances_are_left_out_at_their_turn() -> None:
    plan = {**PLAN, "busy": {"agent-004": "talks"}, "left_out": {"agent-005": "share"}}
    state = run_of(plan)
    assert (state["order"], state["sizes"]) == (["agent-001", "agent-002", "agent-003", "agent-004"], [1, 3])
    assert state["busy"] == {"agent-004": "talks"}
    judgement = judged(state, {"verdict": "pass", "reasons": [], "busy": {"agent-004": "still talks"}})
    assert judgement["left_out"] == {"agent-005": "share", "agent-004": "still talks"}
    assert judged(judgement, {"verdict": "pass", "reasons": []})["left_out"] == judgement["left_out"]
