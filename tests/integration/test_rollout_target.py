# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rollout_target does, as the server's journal shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PlaybookRun
from tests.integration.module_task import ModuleTask, posts, run_module
from tests.simulator.running import Simulator

PATH = "/v1/instances/fleet/runtime/rollouts"
INSTANCES = 4
AT_REST: dict[str, Any] = {"null_bodies": "null", "retry_when_paused": 409}
CALL = "retry_rollout_target"


def run_task(sim: Simulator, rollout_id: str, /, **options: Any) -> ModuleTask:
    return run_module(sim, "rollout_target", rollout_id=rollout_id, **options)


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.knobs(**AT_REST)
    return sim


def rolled_out(sim: Simulator, outcomes: dict[str, Any], seconds: float = 300) -> str:
    """Run a fleet rollout with these outcomes of the first attempts. Returns its id."""
    sim.knobs(outcomes={host: value if isinstance(value, list) else [value] for host, value in outcomes.items()})
    status, _answer = sim.call("POST", "/v1/instances/fleet/runtime/rollout")
    assert status == 200
    sim.advance(seconds)
    sim.clear_journal()
    return str(sim.call("GET", f"{PATH}?limit=1")[1][0]["id"])


def target_of(sim: Simulator, rollout_id: str, host: str) -> dict[str, Any]:
    targets = sim.call("GET", f"{PATH}/{rollout_id}")[1]["targets"]
    return next(row for row in targets if row["instance_id"] == sim.instance(host)["id"])


# Normal operation


@pytest.mark.parametrize("bodies", ["null", "object", "empty"])
def test_failed_targets_are_retried_once_and_followed_to_their_end(sim: Simulator, bodies: str) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-003": "failed"})
    sim.knobs(null_bodies=bodies)
    predicted = run_task(sim, rollout_id, select="failed", check=True).result
    assert posts(sim) == []
    result = run_task(sim, rollout_id, select="failed").result
    assert result["changed"] and not result.get("failed"), result
    for key in ("changed", "diff", "retried", "skipped_targets"):
        assert predicted[key] == result[key], key
    assert [row["was"] for row in result["retried"]] == ["failed", "failed"] and result["skipped_targets"] == []
    assert {row["status"] for row in result["targets"]} == {"succeeded"} and len(result["targets"]) == 2
    assert result["rollout"]["status"] == "completed" and posts(sim) == [CALL] * 2

    sim.clear_journal()
    again = run_task(sim, rollout_id, select="failed").result
    assert not again["changed"] and not again.get("failed") and again["retried"] == [] and posts(sim) == []


@pytest.mark.parametrize("by", ["target_id", "instance_id"])
def test_a_single_target_can_be_retried(sim: Simulator, by: str) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-002": "failed"})
    target = target_of(sim, rollout_id, "agent-002")
    chosen = {"target_id": target["id"]} if by == "target_id" else {"instance_id": target["instance_id"]}
    result = run_task(sim, rollout_id, **chosen).result
    assert result["changed"] and [row["id"] for row in result["targets"]] == [target["id"]]
    assert [row["path"] for row in sim.writes()] == [f"{PATH}/{rollout_id}/targets/{target['id']}/retry"]
    again = run_task(sim, rollout_id, **chosen).result
    assert not again["changed"] and not again.get("failed")
    assert [row["reason"] for row in again["skipped_targets"]] == ["it has succeeded"]
    assert target_of(sim, rollout_id, "agent-001")["status"] == "failed"


@pytest.mark.parametrize(("select", "calls"), [("failed", 1), ("uncertain", 1), ("all", 2)])
def test_only_selected_targets_are_retried(sim: Simulator, select: str, calls: int) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-002": "uncertain_not_applied"})
    result = run_task(sim, rollout_id, select=select).result
    assert not result.get("failed") and len(result["retried"]) == calls, result
    assert posts(sim) == [CALL] * calls


@pytest.mark.parametrize(
    "shape",
    [
        {"status_words": "synonyms"},
        {"status_words": "shouting", "timestamps": "naive"},
        {"completed_at_empty": "text", "timestamps": "z"},
        {"celery_task_id_null": True},
    ],
)
def test_status_words_and_time_formats_of_the_server_make_no_difference(sim: Simulator, shape: dict[str, Any]) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-002": "uncertain_not_applied"})
    sim.knobs(**shape)
    result = run_task(sim, rollout_id, select="all").result
    assert not result.get("failed") and len(result["retried"]) == 2, result
    assert posts(sim) == [CALL] * 2


def test_targets_under_way_or_cancelled_are_skipped_with_a_reason(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {}, seconds=0)
    sim.call("POST", f"{PATH}/{rollout_id}/pause")
    sim.clear_journal()
    for host, reason in (("agent-001", "it is in_progress; only failed"), ("agent-004", "it was cancelled")):
        result = run_task(sim, rollout_id, target_id=target_of(sim, rollout_id, host)["id"]).result
        assert not result["changed"] and result["skipped_targets"][0]["reason"].startswith(reason)
    assert posts(sim) == []


@pytest.mark.parametrize("chosen", [{"target_id": "nobody"}, {"instance_id": "nobody"}])
def test_an_unknown_target_is_a_failure_that_says_so(sim: Simulator, chosen: dict[str, str]) -> None:
    rollout_id = rolled_out(sim, {})
    done = run_task(sim, rollout_id, **chosen)
    assert done.result["failed"] and f"Rollout {rollout_id} has no target" in done.msg and "nobody" in done.msg


# Uncertain targets


# behaviour 3.5, row 7
@pytest.mark.parametrize("check", [False, True])
def test_an_uncertain_target_that_was_applied_is_not_retried(sim: Simulator, check: bool) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "uncertain_applied"})
    result = run_task(sim, rollout_id, select="uncertain", retry_unknown=True, check=check).result
    assert not result["changed"] and not result.get("failed"), result
    assert result["reconciled"][0]["verdict"] == "succeeded"
    assert "the evidence shows that it succeeded" in result["skipped_targets"][0]["reason"]
    assert posts(sim) == [], "no E8"


# behaviour 3.5, row 8
def test_an_uncertain_target_that_was_not_applied_is_retried_exactly_once(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "uncertain_not_applied"})
    predicted = run_task(sim, rollout_id, select="uncertain", check=True).result
    result = run_task(sim, rollout_id, select="uncertain").result
    assert result["changed"] and not result.get("failed"), result
    assert predicted["diff"] == result["diff"] and result["reconciled"][0]["verdict"] == "not_applied"
    assert result["targets"][0]["status"] == "succeeded" and posts(sim) == [CALL]


# behaviour 3.5, row 9
def test_a_late_result_is_waited_for_and_nothing_is_retried(sim: Simulator) -> None:
    rollout_id = rolled_out(
        sim, {"agent-001": [{"outcome": "uncertain_applied", "late_result_s": 50, "duration_s": 5}]}, seconds=10
    )
    done = run_task(sim, rollout_id, select="uncertain")
    assert not done.result["changed"] and done.result["skipped_targets"][0]["reason"] == "it has succeeded"
    assert 40 <= sum(done.pauses) <= 60 and posts(sim) == []


def test_a_late_result_of_an_old_target_is_not_waited_for(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "uncertain_applied"})
    assert run_task(sim, rollout_id, select="uncertain").pauses == []


@pytest.mark.parametrize("allowed", [False, True])
def test_a_target_of_unknown_outcome_is_retried_only_if_requested(sim: Simulator, allowed: bool) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "uncertain_not_applied"})
    sim.knobs(force_always_cached=True, disease={"agent-001": "incurable"})
    sim.fault(operation="get_deep_health", status=503)
    result = run_task(sim, rollout_id, select="all", retry_unknown=allowed).result
    assert result["changed"] == allowed and not result.get("failed"), result
    assert result["reconciled"][0]["verdict"] == "still_unknown"
    assert posts(sim) == [CALL] * allowed
    if not allowed:
        assert "set retry_unknown" in result["skipped_targets"][0]["reason"]


# Lost answers


# behaviour 3.5, row 1
@pytest.mark.parametrize(
    "fault", [{"reset_after": True}, {"commit_then_status": 502, "html_body": True}, {"truncated_body": True}]
)
def test_a_retry_whose_answer_is_lost_is_found_and_not_repeated(sim: Simulator, fault: dict[str, Any]) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed"})
    sim.fault(operation=CALL, **fault)
    result = run_task(sim, rollout_id, select="failed").result
    assert result["changed"] and not result.get("failed"), result
    assert posts(sim) == [CALL]


# behaviour 3.5, row 2
def test_a_retry_that_did_not_arrive_is_sent_again_after_a_read(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed"})
    sim.fault(operation=CALL, times=1, reset_before=True)
    result = run_task(sim, rollout_id, select="failed").result
    assert result["changed"] and not result.get("failed"), result
    calls = [row["operation_id"] for row in sim.journal()]
    first, second = (at for at, name in enumerate(calls) if name == CALL)
    assert "get_rollout" in calls[first:second]


# behaviour 3.5, row 2
def test_a_retry_that_never_arrives_is_reported_as_unknown(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed"})
    sim.fault(operation=CALL, reset_before=True)
    done = run_task(sim, rollout_id, select="failed")
    assert done.result["failed"] and done.result["ambiguous"] and done.result["retried"] == []
    assert posts(sim) == [CALL] * 2


# How a retry ends


# behaviour 3.5, row 6
def test_targets_are_followed_by_row_id_even_if_their_task_ids_change(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed"})
    before = target_of(sim, rollout_id, "agent-001")
    after = run_task(sim, rollout_id, select="failed").result["targets"][0]
    assert after["id"] == before["id"] and after["celery_task_id"] != before["celery_task_id"]
    assert after["status"] == "succeeded"


def test_a_target_that_fails_again_is_named_with_the_servers_reason(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": ["failed", "failed", "failed"], "agent-002": "failed"})
    done = run_task(sim, rollout_id, select="failed")
    summary = "of 2 targets, 1 failed: agent-001.fra1.fleet.example (bundle checksum mismatch on the agent)."
    assert done.result["failed"] and done.result["changed"]
    assert done.msg == f"Retried in rollout {rollout_id}: {summary}"
    assert not run_task(sim, rollout_id, select="failed", max_failed=1).result.get("failed")


# behaviour 3.5, row 10
def test_a_stuck_target_times_out_and_is_left_running(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": ["failed", "stuck"]})
    done = run_task(sim, rollout_id, select="failed", wait_timeout=60)
    assert done.result["timed_out"] and done.result["changed"]
    assert "1 of 1 retried targets" in done.msg and "They were left running." in done.msg
    assert posts(sim) == [CALL]


def test_without_waiting_targets_are_only_queued(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed"})
    done = run_task(sim, rollout_id, select="failed", wait=False)
    assert done.result["changed"] and done.pauses == []
    assert target_of(sim, rollout_id, "agent-001")["status"] == "in_progress"


# What the server refuses


@pytest.mark.parametrize("role", ["user", "admin"])
def test_an_insufficient_role_is_reported_in_one_sentence(sim: Simulator, role: str) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-002": "failed"})
    done = run_task(sim, rollout_id, select="failed", key=sim.keys[role])
    assert done.result["failed"] and not done.result["changed"] and "Tenant admin role required" in done.msg
    assert posts(sim) == [CALL], "the second target would fail in the same way"


def test_a_paused_rollout_is_a_refusal_with_the_servers_message(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": [{"outcome": "failed", "duration_s": 2}]}, seconds=5)
    sim.call("POST", f"{PATH}/{rollout_id}/pause")
    sim.clear_journal()
    done = run_task(sim, rollout_id, select="failed")
    assert done.result["failed"] and not done.result["changed"] and "resume it first" in done.msg
    assert posts(sim) == [CALL]


def test_a_target_that_somebody_else_retries_meanwhile_is_skipped(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-002": "failed"})
    theirs = target_of(sim, rollout_id, "agent-002")["id"]
    # The first call is lost; while the module looks for its effect, somebody else retries the second target.
    sim.fault(operation=CALL, times=1, reset_before=True)

    def during(pause: int) -> None:
        if pause == 1:
            assert sim.call("POST", f"{PATH}/{rollout_id}/targets/{theirs}/retry")[0] == 200

    result = run_task(sim, rollout_id, select="failed", during=during).result
    assert not result.get("failed"), result
    assert [row["instance_id"] for row in result["retried"]] == [sim.instance("agent-001")["id"]]
    assert [row["target_id"] for row in result["skipped_targets"]] == [theirs]


# behaviour 3.5, row 28
def test_check_mode_sends_nothing(sim: Simulator) -> None:
    rollout_id = rolled_out(sim, {"agent-001": "failed", "agent-002": "uncertain_not_applied"})
    result = run_task(sim, rollout_id, select="all", check=True).result
    assert result["changed"] and len(result["retried"]) == 2 and sim.writes() == []


def test_the_play_recap_shows_ok_and_changed_although_instances_and_targets_were_skipped(
    simulator: Simulator, run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    play = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Redeploy one, so that the server leaves it out
      fleetops.agents.instance_runtime:
        instance_id: "{{ one }}"
    - name: Roll out
      fleetops.agents.rollout:
        max_failed: 1
      register: rolled
    - name: Retry
      fleetops.agents.rollout_target:
        rollout_id: "{{ rolled.rollout_id }}"
        select: failed
    - name: Retry one that has succeeded
      fleetops.agents.rollout_target:
        rollout_id: "{{ rolled.rollout_id }}"
        instance_id: "{{ rolled.targets[0].instance_id }}"
"""
    (tmp_path / "play.yml").write_text(play)
    simulator.knobs(outcomes={"agent-002": ["failed"]})
    done = run_playbook(simulator, tmp_path / "play.yml", e={"one": simulator.instance("agent-001")["id"]})
    counts = {name: done.total(name) for name in ("ok", "changed", "skipped", "failed")}
    assert counts == {"ok": 4, "changed": 3, "skipped": 0, "failed": 0}, done.output
