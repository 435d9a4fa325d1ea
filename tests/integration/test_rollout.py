# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module rollout does, as the server's journal shows it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, put_to_rest, run_module
from tests.simulator.running import Simulator

HOSTS = ("agent-001", "agent-002", "agent-003", "agent-004")
INSTANCES = len(HOSTS)
AT_REST: dict[str, Any] = {"tasks_shape": "ids", "null_bodies": "null", "twin_rollouts": 0, "second_fleet": 409}
# The sentence about the window, whichever way the refusal came.
CLOSED = re.compile(r"The maintenance window \(\d\d:00 to \d\d:00 UTC\) is closed; it opens next at \S+ \d\d:00 UTC\.")


def run_task(sim: Simulator, /, **options: Any) -> ModuleTask:
    return run_module(sim, "rollout", **options)


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.knobs(**AT_REST)
    return sim


def started_by_another(sim: Simulator) -> str:
    sim.knobs(foreign_fleet=True)
    sim.clear_journal()
    return str(fleet_rollouts(sim)[-1]["id"])


def fleet_rollouts(sim: Simulator) -> list[dict[str, Any]]:
    """The server's fleet rollouts, oldest first."""
    return [row for row in sim.state()["rollouts"] if row["scope"] == "fleet"]


def rollout_of(sim: Simulator, rollout_id: str) -> dict[str, Any]:
    return sim.call("GET", f"/v1/instances/fleet/runtime/rollouts/{rollout_id}")[1]


def close_the_window(sim: Simulator, kind: object) -> None:
    hour = datetime.fromtimestamp(sim.state()["now"], UTC).hour
    start, end = (hour + 2) % 24, (hour + 3) % 24
    hours = {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}
    sim.knobs(window_error=kind, policy=hours)


# Normal operation


def test_a_rollout_updates_the_fleet_to_the_published_runtime(sim: Simulator) -> None:
    before = len(fleet_rollouts(sim))
    result = run_task(sim).result
    assert not result.get("failed"), result
    assert result["changed"] and not result["adopted"]
    assert (result["enqueued"], result["skipped_instances"], result["total"]) == (4, 0, 4)
    assert result["match"] == "exact" and result["rollout"]["status"] == "completed"
    assert result["rollout_id"] == fleet_rollouts(sim)[-1]["id"] and len(fleet_rollouts(sim)) == before + 1
    assert {row["status"] for row in result["targets"]} == {"succeeded"} and len(result["targets"]) == 4
    assert result["countdown_seconds"] == 1
    assert {sim.instance(host)["runtime"] for host in HOSTS} == {sim.state()["newest_runtime"]}
    assert posts(sim) == ["start_fleet_rollout"]


def test_a_current_fleet_is_not_changed_and_nothing_is_waited_for(sim: Simulator) -> None:
    run_task(sim)
    done = run_task(sim)
    assert not done.result["changed"] and not done.result.get("failed") and "diff" not in done.result
    assert (done.result["enqueued"], done.result["skipped_instances"]) == (0, 4) and done.pauses == []
    assert done.msg == "The server enqueued no instance (0 of 4 instances enqueued)."


def test_nothing_is_sent_if_no_named_instance_is_outdated(sim: Simulator) -> None:
    named = [sim.instance(host)["id"] for host in HOSTS[:2]]
    first = run_task(sim, only_if_outdated=named)
    assert first.result["changed"] and first.result["outdated"] == named
    sim.clear_journal()
    again = run_task(sim, only_if_outdated=named)
    assert not again.result["changed"] and again.result["outdated"] == [] and not again.result.get("failed")
    assert posts(sim) == []


@pytest.mark.parametrize("check", [False, True])
def test_an_outdated_version_report_does_not_start_a_second_rollout(sim: Simulator, check: bool) -> None:
    sim.knobs(manifest_lag_s=600)
    sim.advance(700)
    named = [sim.instance(host)["id"] for host in HOSTS]
    assert run_task(sim, only_if_outdated=named).result["changed"]
    sim.clear_journal()
    again = run_task(sim, only_if_outdated=named, check=check).result
    assert not again["changed"] and again["outdated"] == [] and posts(sim) == []


def test_without_waiting_the_rollout_is_started_and_found(sim: Simulator) -> None:
    done = run_task(sim, wait=False)
    assert done.result["changed"] and done.result["match"] == "exact" and done.pauses == []
    assert done.result["rollout"]["status"] == "in_progress"


@pytest.mark.parametrize("shape", ["ids", "strings", "empty", "foreign_keys", "rollout_id"])
@pytest.mark.parametrize("celery_null", [False, True])
def test_a_started_rollout_is_found_in_any_format_of_its_tasks(sim: Simulator, shape: str, celery_null: bool) -> None:
    sim.knobs(tasks_shape=shape, celery_task_id_null=celery_null)
    result = run_task(sim).result
    assert not result.get("failed") and result["rollout_id"] == fleet_rollouts(sim)[-1]["id"], result
    told_by_ids = shape in ("ids", "rollout_id") or (shape != "empty" and not celery_null)
    assert result["match"] == ("exact" if told_by_ids else "weak")
    assert posts(sim) == ["start_fleet_rollout"]


@pytest.mark.parametrize(
    "shape",
    [
        {"status_words": "synonyms"},
        {"status_words": "shouting", "timestamps": "naive"},
        {"completed_at_empty": "text", "timestamps": "z"},
        {"status_words": {"in_progress": "brewing", "queued": "in the kettle", "completed": "brewed"}},
    ],
)
def test_status_words_and_time_formats_of_the_server_make_no_difference(sim: Simulator, shape: dict[str, Any]) -> None:
    sim.knobs(**shape)
    result = run_task(sim).result
    assert not result.get("failed") and result["changed"], result
    assert {sim.instance(host)["runtime"] for host in HOSTS} == {sim.state()["newest_runtime"]}
    assert posts(sim) == ["start_fleet_rollout"]


# A fleet rollout is already under way


@pytest.mark.parametrize("check", [False, True])
def test_a_fleet_rollout_under_way_is_adopted_and_no_second_one_is_started(sim: Simulator, check: bool) -> None:
    theirs = started_by_another(sim)
    result = run_task(sim, check=check).result
    assert not result.get("failed") and not result["changed"] and result["adopted"], result
    assert result["rollout_id"] == theirs and "diff" not in result
    assert result["rollout"]["status"] == ("in_progress" if check else "completed")
    assert posts(sim) == []


@pytest.mark.parametrize("check", [False, True])
def test_a_fleet_rollout_under_way_is_a_failure_if_configured(sim: Simulator, check: bool) -> None:
    theirs = started_by_another(sim)
    done = run_task(sim, on_active="fail", check=check)
    assert done.result["failed"] and not done.result["changed"]
    assert f"A fleet rollout is already in progress: {theirs} (in_progress). Nothing was sent" in done.msg
    assert posts(sim) == []


@pytest.mark.parametrize("on_active", ["adopt", "fail"])
def test_a_rollout_that_is_not_listed_yet_is_taken_from_the_servers_refusal(sim: Simulator, on_active: str) -> None:
    sim.knobs(list_lag_s=5)
    theirs = started_by_another_unseen(sim)
    result = run_task(sim, on_active=on_active).result
    assert result["rollout_id"] == theirs and not result["changed"]
    assert bool(result.get("failed")) == (on_active == "fail")
    assert len(fleet_rollouts(sim)[-1:]) == 1 and fleet_rollouts(sim)[-1]["id"] == theirs


def started_by_another_unseen(sim: Simulator) -> str:
    before = {row["id"] for row in fleet_rollouts(sim)}
    sim.knobs(foreign_fleet=True)
    return next(row["id"] for row in fleet_rollouts(sim) if row["id"] not in before)


def test_adopting_a_paused_rollout_reports_that_it_does_not_end(sim: Simulator) -> None:
    theirs = started_by_another(sim)
    sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{theirs}/pause")
    done = run_task(sim, wait_timeout=60)
    assert done.result["timed_out"] and "it is paused" in done.msg
    assert any("ends only once it is resumed" in warning for warning in done.warnings)


def test_if_two_rollouts_are_under_way_none_is_followed_and_no_third_is_started(sim: Simulator) -> None:
    sim.knobs(twin_rollouts=1)
    started_by_another(sim)
    done = run_task(sim)
    assert done.result["failed"] and "Several fleet rollouts are in progress" in done.msg and posts(sim) == []


def test_a_redeploy_of_one_instance_does_not_count_as_a_fleet_rollout(sim: Simulator) -> None:
    sim.call("POST", f"/v1/instances/{sim.instance('agent-001')['id']}/runtime/redeploy")
    result = run_task(sim).result
    assert result["changed"] and not result["adopted"] and not result.get("failed"), result
    assert (result["enqueued"], result["skipped_instances"]) == (3, 1)


# Lost and incomplete answers


# behaviour 3.5, row 1
@pytest.mark.parametrize(
    "fault", [{"reset_after": True}, {"commit_then_status": 502, "html_body": True}, {"truncated_body": True}]
)
def test_a_started_rollout_whose_answer_is_lost_is_adopted_with_one_post(sim: Simulator, fault: dict[str, Any]) -> None:
    before = len(fleet_rollouts(sim))
    sim.fault(operation="start_fleet_rollout", **fault)
    result = run_task(sim).result
    assert not result.get("failed") and result["changed"], result
    assert result["match"] == "weak" and result["rollout"]["status"] == "completed"
    assert len(fleet_rollouts(sim)) == before + 1 and posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 2
def test_a_connection_reset_before_the_call_is_reported_as_unknown_and_not_sent_again(sim: Simulator) -> None:
    before = len(fleet_rollouts(sim))
    sim.fault(operation="start_fleet_rollout", reset_before=True)
    done = run_task(sim)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["error"]["ambiguous"]
    assert "Within 60 s no new fleet rollout appeared" in done.msg
    assert 60 <= sum(done.pauses) <= 61
    assert len(fleet_rollouts(sim)) == before and posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 3
@pytest.mark.parametrize("lost", [False, True])
def test_if_two_rollouts_match_both_are_listed_and_neither_is_followed(sim: Simulator, lost: bool) -> None:
    sim.knobs(twin_rollouts=1, tasks_shape="empty")
    if lost:
        sim.fault(operation="start_fleet_rollout", reset_after=True)
    done = run_task(sim)
    twins = [row["id"] for row in fleet_rollouts(sim)[-2:]]
    assert done.result["failed"] and done.result["changed"] and "rollout_id" not in done.result
    assert {row["id"] for row in done.result["candidates"]} == set(twins)
    assert all(twin in done.msg for twin in twins) and "203.0.113.77" in done.msg
    assert posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 3
def test_the_task_ids_decide_between_two_matching_rollouts(sim: Simulator) -> None:
    sim.knobs(twin_rollouts=1)
    result = run_task(sim, wait=False).result
    assert result["match"] == "exact" and result["rollout_id"] == fleet_rollouts(sim)[-2]["id"]


# behaviour 3.5, row 4
@pytest.mark.parametrize("lost", [False, True])
def test_a_rollout_that_appears_late_is_found(sim: Simulator, lost: bool) -> None:
    sim.knobs(list_lag_s=10)
    if lost:
        sim.fault(operation="start_fleet_rollout", reset_after=True)
    result = run_task(sim).result
    assert not result.get("failed") and result["match"] == ("weak" if lost else "exact"), result
    assert posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 4
def test_a_rollout_that_never_appears_is_a_failure_that_says_so(sim: Simulator) -> None:
    sim.knobs(list_lag_s=500)
    done = run_task(sim)
    assert done.result["failed"] and done.result["changed"] and done.result["enqueued"] == 4
    assert "accepted the fleet rollout. Within 30 s no new fleet rollout appeared" in done.msg
    assert posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 5
def test_without_task_ids_the_rollout_is_matched_by_its_time_and_reported_as_weak(sim: Simulator) -> None:
    sim.knobs(tasks_shape="empty", celery_task_id_null=True)
    sim.call("POST", f"/v1/instances/{sim.instance('agent-001')['id']}/runtime/redeploy")
    result = run_task(sim).result
    assert not result.get("failed") and result["match"] == "weak", result


# How a rollout ends


def test_targets_that_failed_are_named_with_the_servers_reason(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-002": "failed"})
    done = run_task(sim)
    assert done.result["failed"] and done.result["changed"] and done.result["rollout"]["status"] == "partial"
    summary = "of 4 targets, 1 failed: agent-002.ams3.fleet.example (bundle checksum mismatch on the agent)."
    assert done.msg == f"Fleet rollout {done.result['rollout_id']} ended as partial: {summary}"
    assert done.result["too_many"] and done.result["ended_badly"] and "stopped" not in done.result


def test_max_failed_targets_may_fail(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-002": "failed", "agent-003": "uncertain_not_applied"})
    assert run_task(sim, max_failed=2, uncertain_grace=0).result.get("failed") is None
    put_to_rest(sim)
    sim.knobs(outcomes={"agent-002": "failed", "agent-003": "uncertain_not_applied"})
    assert run_task(sim, max_failed=1, uncertain_grace=0).result["failed"]


@pytest.mark.parametrize(("how", "call"), [("pause", "paused"), ("cancel", "cancelled")])
@pytest.mark.parametrize("outcome", ["failed", "uncertain_not_applied"])
@pytest.mark.parametrize("adopted", [False, True])
def test_a_rollout_is_stopped_once_too_many_have_failed(
    sim: Simulator, how: str, call: str, outcome: str, adopted: bool
) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-001": outcome})
    if adopted:
        started_by_another(sim)
    done = run_task(sim, on_too_many=how, uncertain_grace=0)
    assert done.result["failed"] and done.result["too_many"] and done.result["stopped"] and done.result["changed"]
    assert f"so it was {call}; targets in progress continue to their end." in done.msg
    assert done.result["diff"] == {
        "before": {"fleet_rollout": "in_progress" if adopted else None},
        "after": {"fleet_rollout": call},
    }
    assert posts(sim) == ["start_fleet_rollout"] * (not adopted) + [f"{how}_rollout"]
    words = [row["status"] for row in done.result["targets"]]
    assert words.count("cancelled") >= 2, "targets that had not started were revoked"


@pytest.mark.parametrize("outcomes", [{"agent-001": "failed"}, {"agent-001": "uncertain_applied"}])
def test_a_rollout_is_not_stopped_for_allowed_failures_or_uncertain_targets_that_succeeded(
    sim: Simulator, outcomes: dict[str, Any]
) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes=outcomes)
    most = 1 if "failed" in outcomes.values() else 0
    result = run_task(sim, on_too_many="pause", max_failed=most, uncertain_grace=0).result
    assert not result.get("failed"), result
    assert posts(sim) == ["start_fleet_rollout"]


@pytest.mark.parametrize(
    ("status", "said"), [(403, "POST"), (200, "the server accepted that, but after 10 s its status is in_progress.")]
)
def test_a_rollout_that_cannot_be_stopped_is_a_failure_that_says_so(sim: Simulator, status: int, said: str) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-001": "failed"})
    sim.fault(operation="pause_rollout", status=status)
    done = run_task(sim, on_too_many="pause")
    assert done.result["failed"] and done.result["too_many"]
    assert "ended_badly" not in done.result and "stopped" not in done.result
    assert f"but it could not be paused: {said}" in done.msg
    assert done.result["diff"]["after"] == {"fleet_rollout": "started"}
    assert status == 200 or done.result["error"]["kind"] == "forbidden"


def test_a_cancelled_rollout_is_a_failure_that_says_so(sim: Simulator) -> None:
    def during(pause: int) -> None:
        if pause == 2:
            newest = fleet_rollouts(sim)[-1]["id"]
            sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{newest}/cancel")

    done = run_task(sim, during=during, max_failed=4)
    assert done.result["failed"] and "was cancelled: of 4 targets, 2 cancelled." in done.msg
    assert "ended_badly" not in done.result, "a retry would not help"


# behaviour 3.5, row 6
def test_a_retry_that_changes_the_task_ids_is_still_followed(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": ["failed", "succeeded"]})

    def during(pause: int) -> None:
        rows = rollout_of(sim, fleet_rollouts(sim)[-1]["id"])
        failed = [row for row in rows["targets"] if row["status"] == "failed"]
        if failed:
            path = f"/v1/instances/fleet/runtime/rollouts/{rows['rollout']['id']}/targets/{failed[0]['id']}/retry"
            sim.call("POST", path)

    result = run_task(sim, during=during).result
    assert not result.get("failed") and {row["status"] for row in result["targets"]} == {"succeeded"}, result


# behaviour 3.5, row 7
def test_an_uncertain_target_that_was_applied_succeeds_by_the_evidence(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": "uncertain_applied"})
    result = run_task(sim).result
    assert not result.get("failed"), result
    (decision,) = result["reconciled"]
    assert (decision["instance_id"], decision["verdict"]) == (sim.instance("agent-001")["id"], "succeeded")
    assert posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 8
def test_an_uncertain_target_that_was_not_applied_is_a_failure(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": "uncertain_not_applied"})
    done = run_task(sim)
    assert done.result["failed"] and "of 4 targets, 1 uncertain: agent-001.fra1.fleet.example (" in done.msg
    assert [decision["verdict"] for decision in done.result["reconciled"]] == ["not_applied"]
    assert posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 9
def test_a_late_result_replaces_the_uncertain_one(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-004": {"outcome": "uncertain_applied", "late_result_s": 40}})
    result = run_task(sim).result
    assert not result.get("failed") and "reconciled" not in result, result
    assert result["rollout"]["status"] == "completed"


# behaviour 3.5, row 10
def test_a_stuck_rollout_times_out_is_left_running_and_adopted_by_the_next_run(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": "stuck"})
    done = run_task(sim, wait_timeout=200)
    assert done.result["failed"] and done.result["timed_out"] and done.result["changed"]
    assert "did not end within 200 s; it is in_progress, with 0 targets queued and 1 in progress." in done.msg
    assert "It was left running" in done.msg
    again = run_task(sim, wait_timeout=20).result
    assert again["adopted"] and again["timed_out"] and not again["changed"]
    assert again["rollout_id"] == done.result["rollout_id"]
    assert posts(sim) == ["start_fleet_rollout"], "no cancel, no SIGTERM, no second one"


def test_a_rollout_that_somebody_else_pauses_is_not_reported_as_left_running(sim: Simulator) -> None:
    def pause(number: int) -> None:
        if number == 2:
            (row,) = [row for row in sim.state()["rollouts"] if row["status"] == "in_progress"]
            sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{row['id']}/pause")

    done = run_task(sim, wait_timeout=200, during=pause)
    assert done.result["timed_out"] and "within 200 s; it is paused" in done.msg
    assert done.msg.endswith("Resume or cancel it with fleetops.agents.rollout (state=running or state=cancelled).")


# The window and roles


# behaviour 3.5, row 12
@pytest.mark.parametrize("kind", [403, 409, 422, "200_skip", "defer_countdown"])
def test_a_closed_window_is_reported_the_same_however_the_server_refuses(sim: Simulator, kind: object) -> None:
    close_the_window(sim, kind)
    predicted = run_task(sim, check=True)
    assert predicted.result["failed"] and not predicted.result["changed"] and posts(sim) == []
    sentence = CLOSED.search(predicted.msg)
    assert sentence is not None, predicted.msg

    done = run_task(sim, wait_timeout=60)
    if kind == "defer_countdown":
        assert done.result["changed"] and done.result["timed_out"]
        assert done.result["countdown_seconds"] > 3600 and "postponed the rollout" in done.warnings[0]
    else:
        assert not done.result["changed"] and bool(done.result.get("failed")) == (kind != "200_skip")
    messages = [done.msg, *done.warnings]
    assert any(sentence[0] in text for text in messages), messages
    assert posts(sim) == ["start_fleet_rollout"]


# behaviour 3.5, row 12
def test_a_closed_window_can_be_overridden_with_a_reason(sim: Simulator) -> None:
    close_the_window(sim, 409)
    result = run_task(sim, override_window=True, override_reason="CVE-2026-1234").result
    assert not result.get("failed") and result["changed"] and result["override_reason"] == "CVE-2026-1234"
    assert [row["query"] for row in sim.writes()] == [{"override_window": "true"}]


@pytest.mark.parametrize("role", ["user", "admin"])
@pytest.mark.parametrize("state", ["started", "paused", "running", "cancelled"])
def test_an_insufficient_role_is_reported_in_one_sentence(sim: Simulator, role: str, state: str) -> None:
    options = {"state": state}
    if state != "started":
        options["rollout_id"] = started_by_another(sim)
    if state == "running":
        sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{options['rollout_id']}/pause")
        sim.clear_journal()
    done = run_task(sim, key=sim.keys[role], **options)
    assert done.result["failed"] and not done.result["changed"] and done.result["error"]["kind"] == "forbidden"
    assert "Tenant admin role required" in done.msg and len(posts(sim)) == 1


def test_overriding_the_window_needs_its_own_option(sim: Simulator) -> None:
    done = run_task(sim, key=sim.keys["tenant_admin"], override_window=True, override_reason="drill")
    assert done.result["failed"] and "tenant-wide admin flag" in done.msg and not done.result["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rollout_id": "x"}, "a rollout that is started has no id yet"),
        ({"override_window": True, "override_reason": " "}, "override_reason is empty"),
        ({"force": True}, "force is for state cancelled"),
        ({"only_if_outdated": []}, "only_if_outdated is empty"),
        ({"state": "paused", "only_if_outdated": ["x"]}, "are for state started"),
        ({"max_failed": -1}, "it must be 0 or more"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_sent(
    sim: Simulator, options: dict[str, Any], message: str
) -> None:
    done = run_task(sim, **options)
    assert done.result["failed"] and message in done.msg and sim.journal() == []


# Pausing, resuming, cancelling


@pytest.mark.parametrize("bodies", ["null", "object", "empty"])
@pytest.mark.parametrize("words", ["canonical", "synonyms", "shouting"])
def test_a_rollout_is_paused_resumed_and_cancelled_with_one_call_each(sim: Simulator, bodies: str, words: str) -> None:
    rollout_id = started_by_another(sim)
    sim.knobs(null_bodies=bodies, status_words=words)
    for state, call in (("paused", "pause"), ("running", "resume"), ("cancelled", "cancel")):
        sim.clear_journal()
        predicted = run_task(sim, state=state, check=True)
        assert posts(sim) == []
        first = run_task(sim, state=state, rollout_id=rollout_id)
        assert first.result["changed"] and not first.result.get("failed"), first.result
        assert predicted.result["changed"] and predicted.result["diff"] == first.result["diff"]
        again = run_task(sim, state=state, rollout_id=rollout_id)
        assert not again.result["changed"] and not again.result.get("failed"), again.result
        assert posts(sim) == [f"{call}_rollout"]
    assert rollout_of(sim, rollout_id)["rollout"]["completed_at"]


def test_the_diff_of_a_pause_shows_what_really_happens(sim: Simulator) -> None:
    rollout_id = started_by_another(sim)
    diff = run_task(sim, state="paused", rollout_id=rollout_id, wait=False).result["diff"]
    assert (diff["before"]["status"], diff["before"]["queued"], diff["before"]["in_progress"]) == ("in_progress", 2, 2)
    assert (diff["after"]["status"], diff["after"]["queued"], diff["after"]["cancelled"]) == ("paused", 0, 2)
    statuses = [row["status"] for row in rollout_of(sim, rollout_id)["targets"]]
    assert sorted(statuses) == ["cancelled", "cancelled", "in_progress", "in_progress"]


@pytest.mark.parametrize("force", [False, True])
def test_only_a_forced_cancel_terminates_targets_in_progress(sim: Simulator, force: bool) -> None:
    sim.knobs(outcomes={"*": "stuck"})
    rollout_id = started_by_another(sim)
    done = run_task(sim, state="cancelled", rollout_id=rollout_id, force=force)
    assert done.result["changed"] and not done.result.get("failed"), done.result
    assert [row["query"] for row in sim.writes()] == [{"force": str(force).lower()}]
    assert done.result["rollout"]["status"] == ("cancelled" if force else "cancelling")
    assert done.result["diff"]["after"]["status"] == done.result["rollout"]["status"]
    assert bool(done.warnings) == (not force)
    if not force:
        forced = run_task(sim, state="cancelled", rollout_id=rollout_id, force=True).result
        assert forced["changed"] and forced["rollout"]["status"] == "cancelled"


@pytest.mark.parametrize("check", [False, True])
def test_a_finished_rollout_is_not_changed(sim: Simulator, check: bool) -> None:
    rollout_id = run_task(sim).result["rollout_id"]
    sim.clear_journal()
    cancelled = run_task(sim, state="cancelled", rollout_id=rollout_id, check=check)
    assert not cancelled.result["changed"] and not cancelled.result.get("failed")
    assert "is completed: there was nothing left to cancel" in cancelled.warnings[0]
    for state, goal in (("paused", "paused"), ("running", "resumed")):
        done = run_task(sim, state=state, rollout_id=rollout_id, check=check)
        assert done.result["failed"] and f"is completed: it can no longer be {goal}" in done.msg
    assert posts(sim) == []


@pytest.mark.parametrize("state", ["paused", "running", "cancelled"])
def test_without_an_id_exactly_one_rollout_must_be_under_way(sim: Simulator, state: str) -> None:
    done = run_task(sim, state=state)
    assert done.result["failed"] and "No fleet rollout is in progress" in done.msg
    sim.knobs(twin_rollouts=1)
    started_by_another(sim)
    done = run_task(sim, state=state)
    assert done.result["failed"] and "Several fleet rollouts are in progress" in done.msg
    assert posts(sim) == []


@pytest.mark.parametrize("state", ["paused", "running", "cancelled"])
@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
def test_a_call_whose_answer_is_lost_is_sent_again_only_if_it_had_no_effect(
    sim: Simulator, state: str, kind: str
) -> None:
    rollout_id = started_by_another(sim)
    if state == "running":
        sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{rollout_id}/pause")
        sim.clear_journal()
    call = {"paused": "pause_rollout", "running": "resume_rollout", "cancelled": "cancel_rollout"}[state]
    sim.fault(operation=call, times=1, **{kind: True})
    result = run_task(sim, state=state, rollout_id=rollout_id).result
    assert result["changed"] and not result.get("failed"), result
    assert posts(sim) == [call] * (2 if kind == "reset_before" else 1)


def test_a_call_whose_answer_is_lost_twice_is_reported_as_unknown(sim: Simulator) -> None:
    sim.knobs(outcomes={"*": "stuck"})
    rollout_id = started_by_another(sim)
    sim.fault(operation="pause_rollout", reset_before=True)
    done = run_task(sim, state="paused", rollout_id=rollout_id)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["rollout_id"] == rollout_id
    assert posts(sim) == ["pause_rollout"] * 2


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_rollout_that_ends_just_before_the_call_is_judged_by_its_new_state(sim: Simulator, state: str) -> None:
    # The clock runs during the call, so that it comes too late.
    rollout_id = started_by_another(sim)
    sim.knobs(clock_speed=2000)
    sim.fault(match=f"{rollout_id}/(pause|cancel)", times=1, latency_s=0.3)
    try:
        done = run_task(sim, state=state, rollout_id=rollout_id)
    finally:
        sim.knobs(clock_speed=0)
    assert not done.result["changed"] and done.result["rollout"]["status"] == "completed"
    assert bool(done.result.get("failed")) == (state == "paused")
    messages = [done.msg, *done.warnings]
    assert any("is completed" in text for text in messages), messages


# behaviour 3.5, row 28
@pytest.mark.parametrize("state", ["paused", "cancelled"])
@pytest.mark.parametrize("lost", [False, True])
def test_an_accepted_call_that_had_no_effect_before_the_rollout_ended_is_no_change(
    sim: Simulator, state: str, lost: bool
) -> None:
    rollout_id = started_by_another(sim)
    fault = {"reset_before": True} if lost else {"status": 200}
    sim.fault(match=f"/{'pause' if state == 'paused' else 'cancel'}$", **fault)
    done = run_module(sim, "rollout", state=state, rollout_id=rollout_id, during=lambda pause: sim.advance(900))
    assert not done.result["changed"] and "diff" not in done.result
    assert len(sim.writes()) == 1 and done.result["rollout"]["status"] == "completed"
    if state == "paused":
        assert done.msg == f"Rollout {rollout_id} is completed: it can no longer be paused."
    else:
        assert done.warnings == [f"Rollout {rollout_id} is completed: there was nothing left to cancel."]
