# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of rollout_plan for a simulated fleet, and when it refuses to make one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.integration.simulated_fleet import hour_of, hours, names_to_ids
from tests.simulator.running import Simulator

INSTANCES = 6
START = "2026-11-24T12:00:00Z"


def plan(sim: Simulator, **options: Any) -> ModuleTask:
    return run_module(sim, "rollout_plan", **{"instances": names_to_ids(sim), **options})


@pytest.mark.parametrize("check", [False, True])
def test_the_plan_has_batches_versions_and_times_of_the_fleet_and_writes_nothing(sim: Simulator, check: bool) -> None:
    result = plan(sim, check=check, freezes=[{"from": "2000-01-01", "to": "2000-01-02"}]).result
    assert not result.get("failed") and result["changed"] is False, result
    assert result["max_parallel_rollouts"] == 2 and result["serial"] == [1, 2, 2, 1]
    assert [batch["instances"] for batch in result["batches"]] == [
        ["agent-001"],
        ["agent-002", "agent-003"],
        ["agent-004", "agent-005"],
        ["agent-006"],
    ]
    assert result["planned"] == names_to_ids(sim)
    newest = sim.state()["newest_runtime"]
    assert {row["name"]: (row["current_version"], row["available_version"]) for row in result["instances"]} == {
        name: (sim.instance(name)["runtime"], newest) for name in names_to_ids(sim)
    }
    assert result["expected"]["samples"] > 0
    assert all(0 < batch["p50_seconds"] <= batch["p90_seconds"] for batch in result["batches"])
    assert result["expected"]["starts_at"] < result["expected"]["ends_p50"] <= result["expected"]["ends_p90"]
    assert result["window"] == {
        "open": True,
        "next_opening": None,
        "closes_at": None,
        "fits": "all",
        "batches_that_fit": 4,
        "instances_that_fit": 6,
    }
    assert result["freezes"] == []
    nightly = {"from": "2000-01-01T22:00", "to": "2000-01-01T23:00", "rule": "FREQ=DAILY", "reason": "nights"}
    nights = plan(sim, check=check, freezes=[nightly]).result["freezes"]
    assert len(nights) in (35, 36)
    assert {(night["from"][11:], night["to"][11:], night["reason"]) for night in nights} == {
        ("22:00:00+00:00", "23:00:00+00:00", "nights")
    }
    assert "freezes" not in plan(sim, check=check, freezes=[{"from": "2026-01-01"}]).result
    assert result["text"][-1] == f"Plan hash: {result['plan_hash']}"
    assert posts(sim) == []


def test_current_instances_are_left_out_unless_requested(sim: Simulator) -> None:
    for host in ("agent-001", "agent-004"):
        assert run_module(sim, "instance_runtime", host).result["changed"]
    result = plan(sim).result
    assert result["left_alone"] == ["agent-001", "agent-004"]
    assert [batch["instances"] for batch in result["batches"]] == [
        ["agent-002"],
        ["agent-003", "agent-005"],
        ["agent-006"],
    ]
    assert "Already current, not changed: agent-001, agent-004." in result["text"]
    everything = plan(sim, state="redeployed").result
    assert len(everything["planned"]) == 6 and everything["left_alone"] == []
    # The runtime is current, but skills are outdated.
    updates = sim.call("GET", f"/v1/instances/{sim.instance('agent-001')['id']}/updates/available")[1]
    assert updates["total_available"] > 0
    assert "agent-001" in plan(sim, state="updates").result["planned"]


def test_deleted_instances_are_named_and_left_out(sim: Simulator) -> None:
    # The id of a deleted instance.
    instances = {**names_to_ids(sim), "agent-099": "00000000-0000-4000-8000-000000000000"}
    result = plan(sim, instances=instances).result
    assert result["gone"] == ["agent-099"]
    assert "agent-099" not in result["planned"] and len(result["planned"]) == 6
    assert "Not found on the server, so left out: agent-099." in result["text"]
    alone = plan(sim, instances={"agent-099": instances["agent-099"]})
    assert alone.msg == "The server no longer knows any instance of this run: agent-099."


def test_no_plan_is_made_if_an_instance_cannot_be_read_and_it_is_named(sim: Simulator) -> None:
    sick = sim.instance("agent-003")["id"]
    sim.fault(match=f"GET /v1/instances/{sick}/updates/available", status=500)
    done = plan(sim, retries=0)
    assert done.result["failed"] and "batches" not in done.result
    assert done.msg.startswith(f"There is no plan, since 1 of 6 instances cannot be read: agent-003 ({sick}): GET ")
    assert "HTTP 500" in done.msg
    assert posts(sim) == []


@pytest.mark.parametrize(
    ("operation", "calls"), [("get_rollout_timeline", "timeline"), ("list_fleet_rollouts", "rollouts")]
)
def test_unreadable_durations_are_a_warning(sim: Simulator, operation: str, calls: str) -> None:
    sim.fault(operation=operation, status=503)
    done = plan(sim, retries=0, fallback_seconds=100, extra_seconds=20)
    assert not done.result.get("failed"), done.msg
    assert len(done.warnings) == 1 and calls in done.warnings[0]
    assert done.result["expected"]["samples"] == 0
    assert {batch["p90_seconds"] for batch in done.result["batches"]} == {120.0}


def test_a_plan_is_accepted_by_its_hash_until_its_inputs_change(sim: Simulator) -> None:
    agreed = plan(sim).result["plan_hash"]
    sim.advance(5000)
    assert not plan(sim, plan_hash=agreed).result.get("failed")

    sim.knobs(publish="9999.1.0")
    done = plan(sim, plan_hash=agreed)
    assert done.result["failed"] and done.result["moved"] == ["versions"]
    assert done.msg == (
        "This is not the approved plan. Changed since then: versions. Nothing was done. "
        f"Review the new plan; its hash is {done.result['plan_hash']}."
    )
    hours(sim, 0, 0, limit=3)
    assert plan(sim, plan_hash=agreed).result["moved"] == ["policy", "versions"]
    fewer = dict(list(names_to_ids(sim).items())[:-1])
    assert plan(sim, instances=fewer, plan_hash=agreed).result["moved"] == ["fleet", "policy", "versions"]
    done = plan(sim, plan_hash="nonsense")
    assert done.result["moved"] == ["fleet", "policy", "versions"]
    assert "This is not the approved plan. 'nonsense' is not the hash of a plan. Nothing was done." in done.msg
    assert posts(sim) == []


def test_the_batches_that_fit_the_window_are_counted(sim: Simulator) -> None:
    now = hour_of(sim)
    hours(sim, now, (now + 1) % 24)
    left = 3600 - sim.state()["now"] % 3600
    # Each batch takes 0.4 of the remaining window: two fit, the third one does not.
    options = {"history": 0, "fallback_seconds": left * 0.4, "extra_seconds": 0, "window_margin": left * 0.1}
    result = plan(sim, **options).result
    assert result["window"]["fits"] == "part" and result["window"]["batches_that_fit"] == 2
    assert "only 2 of 4 batches fit (3 of 6 instances)." in "\n".join(result["text"])
    assert plan(sim, **{**options, "window_margin": left}).result["window"]["fits"] == "none"

    hours(sim, (now + 2) % 24, (now + 3) % 24)
    closed = plan(sim, history=0, fallback_seconds=60).result
    assert closed["window"]["open"] is False and closed["window"]["fits"] == "all"
    assert closed["expected"]["starts_at"] == closed["window"]["next_opening"]
    assert "it opens next at" in "\n".join(closed["text"])


@pytest.mark.parametrize(
    ("limit", "options", "sizes"),
    [
        (4, {"growth": "doubling"}, [1, 2, 3]),
        (4, {"growth": "percent", "percent": 50, "canary": 0}, [3, 3]),
        (9, {"batch_max": 2, "canary": 0}, [2, 2, 2]),
        (1, {"canary": 4}, [1] * 6),
    ],
)
def test_batch_sizes_follow_the_growth_option(
    sim: Simulator, limit: int, options: dict[str, Any], sizes: list[int]
) -> None:
    hours(sim, 0, 0, limit=limit)
    assert [len(batch["instances"]) for batch in plan(sim, **options).result["batches"]] == sizes


# behaviour 3.5, row 14
@pytest.mark.parametrize("limit", [0, -1, None])
def test_no_plan_is_made_with_a_policy_below_1(sim: Simulator, limit: Any) -> None:
    sim.knobs(policy={"max_parallel_rollouts": limit})
    done = plan(sim)
    assert done.msg.startswith("There is no plan: the update policy's max_parallel_rollouts is ")
    assert "; nothing is started." in done.msg


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"instances": {}}, "instances is empty: there is nothing to plan for. Does the inventory contain the fleet?"),
        ({"instances": {"a": None}}, "These hosts have no instance id: a."),
        ({"canary": -1}, "canary is -1: it must be 0 or more."),
        ({"percent": 101}, "percent is 101: it must be 100 or less."),
        ({"window_margin": -1}, "window_margin is -1.0: it must be 0 or more."),
    ],
)
def test_invalid_numbers_are_refused_before_any_call(sim: Simulator, options: dict[str, Any], sentence: str) -> None:
    assert plan(sim, **options).msg == sentence
    assert sim.journal() == []


# The order


@pytest.mark.parametrize(
    ("options", "msg"),
    [
        ({"order": "random"}, "There is no plan: order is random without a seed"),
        ({"order": "slowest_first", "state": "checked"}, "slowest_first looks at past redeploys"),
        ({"quarantine": 2, "state": "checked"}, "quarantine looks at past redeploys"),
        ({"quarantine": -1}, "quarantine is -1: it must be 0 or more."),
        ({"defer_busy": -1}, "defer_busy is -1.0: it must be 0 or more."),
        ({"canary": 0, "canary_hosts": ["agent-001"]}, "canary is 0, which means no canary"),
        ({"canary_hosts": ["agent-099"]}, "canary_hosts names agent-099, which the run does not have"),
        ({"max_share": "none"}, "max_share is 'none'"),
        ({"share_scope": "at_once"}, "apply to max_share, which is not given"),
        ({"share_groups": {"agent-001": "eu"}}, "apply to max_share, which is not given"),
        ({"waves": [{"name": "eu"}]}, "wave eu names no hosts"),
        ({"waves": [{"name": "eu", "hosts": ["agent-001"], "limit": 0}]}, "limit of wave eu is 0"),
    ],
)
def test_an_invalid_order_is_refused_in_one_sentence_before_any_call(
    sim: Simulator, options: dict[str, Any], msg: str
) -> None:
    done = plan(sim, **options)
    assert done.result["failed"] and msg in done.msg
    assert sim.journal() == []


def test_health_history_and_audit_are_read_only_for_the_rules_that_need_them(sim: Simulator) -> None:
    plan(sim, order="random(1)", max_share="50%")
    read = {"get_deep_health", "list_instance_rollouts", "list_audit_events"}
    assert not {row["operation_id"] for row in sim.journal()} & read
    sim.knobs(disease={"agent-004": "process"})
    sim.call("GET", f"/v1/instances/{sim.instance('agent-004')['id']}/health/deep?force=true")
    done = plan(sim, order="sickest", quarantine=1, defer_busy=1)
    assert {row["operation_id"] for row in sim.journal()} >= read
    assert done.result["batches"][0]["instances"] == ["agent-004"]
    # For a run that changes no version, no history is read and the batches take the expected time.
    sim.clear_journal()
    checked = plan(sim, state="checked", fallback_seconds=30, extra_seconds=0, soak=5).result
    assert sim.journal(operation_id="get_available_updates") == []
    assert (checked["serial"], checked["batches"][0]["p90_seconds"]) == ([1, 2, 2, 1], 35.0)
    assert "6 instances: 6 to check in 4 batches, at most 2 at once (max_parallel_rollouts)" in checked["text"][0]
    assert "; calculated from an assumed duration." in "\n".join(checked["text"])
    one = plan(sim, state="checked", batch_max=1).result
    assert (max(one["serial"]), one["max_parallel_rollouts"]) == (1, 2)
    assert "at most 1 at once (batch_max)" in one["text"][0]
