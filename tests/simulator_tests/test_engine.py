# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine without a server: outcomes of a deployment, pause, cancel, retry, and what restarts heal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator import agents, audit, memory, orders
from tests.simulator.engine import Engine
from tests.simulator.fleet import Fleet
from tests.simulator.knobs import Knobs
from tests.simulator.outcomes import read_outcomes
from tests.simulator.refusal import Refused
from tests.simulator.rollouts import Rollout
from tests.simulator.views import Views
from tests.simulator_tests.invariants import START, check_engine


def engine_of(size: int = 6, **knobs: Any) -> Engine:
    chosen = Knobs()
    chosen.change({"deploy_s": 10, "stagger_s": 0, **knobs})
    return Engine(Fleet(size, 1, START - 7 * 86400), chosen, 1, START)


def fleet_rollout(engine: Engine) -> Rollout:
    rollout, _dummy, _dummy = orders.start_fleet_rollout(engine, False, None)
    assert rollout is not None
    return rollout


def wait(engine: Engine, seconds: float) -> None:
    engine.advance_to(engine.now + seconds)
    check_engine(engine)


@pytest.mark.parametrize(
    ("outcome", "status", "updated", "booted"),
    [
        ("succeeded", "succeeded", True, True),
        ("failed", "failed", False, True),
        ("uncertain_applied", "uncertain", True, True),
        ("uncertain_not_applied", "uncertain", False, False),
    ],
)
def test_an_outcome_sets_the_reported_status_and_the_actual_effect(
    outcome: str, status: str, updated: bool, booted: bool
) -> None:
    engine = engine_of()
    instance = engine.fleet.find(0)
    instance.outcomes = [outcome]
    boot = instance.process_boot
    target = orders.redeploy(engine, instance, None)
    assert (target.status, instance.state) == ("in_progress", "restarting")
    wait(engine, 10)
    assert (target.status, target.last_result) == (status, status)
    assert (instance.runtime == engine.catalogue.runtime) == updated
    assert (instance.process_boot > boot) == booted
    assert (target.bundle_hash is not None) == (status == "succeeded")
    assert (target.error_message is None) == (status == "succeeded")
    assert target.rollout.status == ("completed" if status == "succeeded" else "failed")


def test_a_list_of_outcomes_applies_by_attempt_and_a_single_outcome_to_every_attempt() -> None:
    engine = engine_of()
    first, second = engine.fleet.find(0), engine.fleet.find(1)
    first.outcomes = ["failed", {"outcome": "failed", "error_message": "disk full", "duration_s": 3}]
    second.outcomes = "failed"
    ends = []
    for _dummy in range(3):
        listed, single = orders.redeploy(engine, first, None), orders.redeploy(engine, second, None)
        wait(engine, 10)
        ends.append((listed.status, listed.error_message, single.status))
    assert ends == [
        ("failed", engine.knobs.error_message, "failed"),
        ("failed", "disk full", "failed"),
        ("succeeded", None, "failed"),
    ]
    with pytest.raises(ValueError, match="is not an outcome"):
        read_outcomes(["exploded"])


@pytest.mark.parametrize(("outcome", "end"), [("uncertain_applied", "succeeded"), ("uncertain_not_applied", "failed")])
def test_a_late_result_updates_the_target_unless_it_was_retried(outcome: str, end: str) -> None:
    engine = engine_of(late_result_s=60)
    for index in (0, 1):
        engine.fleet.find(index).outcomes = [outcome]
    left, retried = (orders.redeploy(engine, engine.fleet.find(index), None) for index in (0, 1))
    wait(engine, 10)
    lost_at = left.completed_at
    orders.retry(engine, retried.rollout, retried.id)
    wait(engine, 59)
    assert (left.status, retried.status) == ("uncertain", "succeeded")
    wait(engine, 1)
    assert left.status == end and left.completed_at == engine.now != lost_at
    assert retried.status == "succeeded"


def test_pause_lets_targets_in_progress_finish_and_resume_runs_the_rest() -> None:
    engine = engine_of()
    rollout = fleet_rollout(engine)
    orders.pause(engine, rollout)
    assert (rollout.counts["in_progress"], rollout.counts["cancelled"]) == (2, 4)
    wait(engine, 1000)
    assert (rollout.status, rollout.completed_at, rollout.counts["succeeded"]) == ("paused", None, 2)
    tasks = {target.id: target.task_id for target in rollout.targets}
    orders.resume(engine, rollout)
    assert [target.task_id != tasks[target.id] for target in rollout.targets] == [False] * 2 + [True] * 4
    wait(engine, 1000)
    assert (rollout.status, rollout.counts["succeeded"]) == ("completed", 6)


@pytest.mark.parametrize("mode", [409, "queue", "run"])
def test_a_retry_in_a_paused_rollout_is_refused_queued_or_run_as_the_knob_says(mode: object) -> None:
    engine = engine_of(retry_when_paused=mode)
    engine.fleet.find(0).outcomes = ["failed"]
    rollout = fleet_rollout(engine)
    orders.pause(engine, rollout)
    wait(engine, 10)
    target = rollout.targets[0]
    if mode == 409:
        with pytest.raises(Refused, match="paused"):
            orders.retry(engine, rollout, target.id)
        return
    orders.retry(engine, rollout, target.id)
    wait(engine, 500)
    assert (target.status, rollout.status) == ("queued" if mode == "queue" else "succeeded", "paused")
    orders.resume(engine, rollout)
    wait(engine, 500)
    assert (target.status, rollout.status) == ("succeeded", "completed")


def test_a_retry_reopens_the_rollout_and_keeps_the_target_row() -> None:
    engine = engine_of()
    engine.fleet.find(3).outcomes = ["failed"]
    rollout = fleet_rollout(engine)
    wait(engine, 100)
    failed = rollout.targets[3]
    assert (rollout.status, failed.status) == ("partial", "failed")
    task = failed.task_id
    with pytest.raises(Refused, match="only failed or uncertain"):
        orders.retry(engine, rollout, rollout.targets[0].id)
    orders.retry(engine, rollout, failed.id)
    assert (rollout.status, rollout.completed_at, failed.attempts) == ("in_progress", None, 2)
    assert failed.task_id != task
    wait(engine, 10)
    assert rollout.status == "completed"


def test_cancel_lets_targets_in_progress_finish_unless_it_is_forced() -> None:
    engine = engine_of()
    rollout = fleet_rollout(engine)
    orders.cancel(engine, rollout, force=False)
    assert (rollout.status, rollout.completed_at) == ("cancelling", None)
    wait(engine, 2)
    orders.cancel(engine, rollout, force=True)
    assert (rollout.status, rollout.counts["uncertain"], rollout.counts["cancelled"]) == ("cancelled", 2, 4)
    wait(engine, 100)
    assert rollout.counts["uncertain"] == 2
    with pytest.raises(Refused, match="cannot be cancelled"):
        orders.cancel(engine, rollout, force=True)


def test_a_stuck_target_stays_in_progress_until_a_forced_cancel() -> None:
    engine = engine_of()
    engine.fleet.find(0).outcomes = ["stuck"]
    rollout = fleet_rollout(engine)
    wait(engine, 100_000)
    assert (rollout.status, rollout.counts["in_progress"]) == ("in_progress", 1)
    orders.cancel(engine, rollout, force=True)
    assert rollout.targets[0].status == "uncertain"
    assert engine.fleet.find(0).runtime != engine.catalogue.runtime


def test_the_parallel_limit_applies_across_rollouts_and_follows_the_policy() -> None:
    engine = engine_of(8)
    single = orders.redeploy(engine, engine.fleet.find(7), None)
    rollout = fleet_rollout(engine)
    assert (single.status, rollout.counts["in_progress"]) == ("in_progress", 1)
    assert rollout.total == 7, "the instance that is being redeployed is skipped"
    engine.policy.change({"max_parallel_rollouts": 4})
    wait(engine, 0)
    assert engine.in_flight == 4
    engine.policy.change({"max_parallel_rollouts": 1})
    wait(engine, 10)
    assert engine.in_flight == 1
    wait(engine, 1000)
    late = [entry for entry in engine.in_flight_log if entry.at > START + 5 and entry.event == "start"]
    assert late and {entry.in_progress for entry in late} == {1}


@pytest.mark.parametrize("mode", ["none", 409, 429, "queue"])
def test_a_redeploy_above_the_limit_runs_waits_or_is_refused_as_the_knob_says(mode: object) -> None:
    engine = engine_of(max_parallel_mode=mode)
    for index in (0, 1):
        orders.redeploy(engine, engine.fleet.find(index), None)
    third = engine.fleet.find(2)
    if mode in (409, 429):
        with pytest.raises(Refused) as refused:
            orders.redeploy(engine, third, None)
        assert refused.value.status == mode
        assert ("Retry-After" in refused.value.headers) == (mode == 429)
        assert third.targets == []
        return
    target = orders.redeploy(engine, third, None)
    assert target.status == ("in_progress" if mode == "none" else "queued")
    assert engine.in_flight == (3 if mode == "none" else 2)
    engine.advance_to(engine.now + 20)
    assert target.status == "succeeded"


def test_a_fleet_rollout_skips_stopped_current_disabled_and_queued_instances() -> None:
    engine = engine_of()
    orders.redeploy(engine, engine.fleet.find(0), None)
    wait(engine, 10)
    engine.fleet.find(1).stopped = True
    engine.fleet.find(2).overrides = {"runtime": "disabled"}
    orders.redeploy(engine, engine.fleet.find(3), None)
    rollout, skipped, total = orders.start_fleet_rollout(engine, False, None)
    assert rollout is not None
    assert [target.instance.index for target in rollout.targets] == [4, 5]
    assert (skipped, total) == (4, 6)
    wait(engine, 100)
    # Only the instance with updates disabled is outdated now, so no rollout is created.
    engine.fleet.find(1).gone = True
    assert orders.start_fleet_rollout(engine, False, None) == (None, 5, 5)


@pytest.mark.parametrize("disease", ["breakers", "process", "vps", "incurable"])
def test_each_disease_is_healed_by_its_own_rung_and_by_no_lower_one(disease: str) -> None:
    engine = engine_of()
    instance = engine.fleet.find(0)
    instance.disease = disease
    healed_by = None
    for name, treat in (
        ("breakers", lambda: agents.clear_breakers(engine, instance)),
        ("process", lambda: agents.restart(engine, instance, "power-cycle")),
        ("vps", lambda: agents.restart(engine, instance, "reboot")),
    ):
        assert agents.deep_health(engine, instance, force=True)[0]["status"] != "healthy"
        treat()
        engine.advance_to(engine.now + 70)
        if agents.deep_health(engine, instance, force=True)[0]["status"] == "healthy":
            healed_by = name
            break
    assert healed_by == (None if disease == "incurable" else disease)


@pytest.mark.parametrize(("kind", "seconds"), [("power-cycle", 2), ("reboot", 60)])
@pytest.mark.parametrize("uptime_kind", ["process", "host"])
def test_a_restart_resets_the_uptime(kind: str, seconds: float, uptime_kind: str) -> None:
    engine = engine_of(uptime_kind=uptime_kind)
    instance = engine.fleet.find(0)

    def health() -> dict[str, Any]:
        return Views(engine).health(instance, *agents.deep_health(engine, instance, force=True))

    before = health()
    assert not before["cached"] and before["uptime_seconds"] == 7 * 86400
    row = agents.restart(engine, instance, kind)
    assert row["status"] == "accepted"
    engine.advance_to(engine.now + seconds - 0.5)
    assert health()["cached"], "an agent that is down cannot answer"
    with pytest.raises(Refused, match="busy"):
        agents.restart(engine, instance, kind)
    engine.advance_to(engine.now + 1)
    after = health()
    assert not after["cached"] and row["status"] == "completed"
    dropped = kind == "reboot" or uptime_kind == "process"
    assert (after["uptime_seconds"] < 1) == dropped
    assert after["status"] == "degraded"
    engine.advance_to(engine.now + 2)
    assert health()["status"] == "healthy"


def test_the_manifest_reports_a_deployment_late() -> None:
    engine = engine_of(manifest_lag_s=300)
    instance = engine.fleet.find(0)
    engine.advance_to(engine.now + 300)
    target = orders.redeploy(engine, instance, None)
    wait(engine, 10)
    assert target.status == "succeeded"
    assert Views(engine).updates(instance)["runtime"]["has_update"], "the manifest is older than the deployment"
    wait(engine, 300)
    assert not Views(engine).updates(instance)["runtime"]["has_update"]


@pytest.mark.parametrize(("survives", "left"), [(True, 5), (False, 0), ("lossy(2)", 3)])
def test_a_redeploy_keeps_all_some_or_no_memories_as_the_knob_says(survives: object, left: int) -> None:
    engine = engine_of(survives_redeploy=survives)
    instance = engine.fleet.find(0)
    memory.clear(engine, instance, {})
    for number in range(5):
        memory.store(engine, instance, {"content": str(number), "conversation_id": f"c{number % 2}"})
    assert memory.clear(engine, instance, {"conversation_id": "nobody"}) == 0
    orders.redeploy(engine, instance, None)
    wait(engine, 10)
    assert len(memory.memories_of(engine, instance)) == left


def test_a_bad_bundle_causes_more_audit_errors_and_events_are_ingested_late() -> None:
    engine = engine_of(audit_per_hour=600, audit_error_share=0.01, audit_bad_versions={"2026.8.0": 0.5})
    updated, control = engine.fleet.find(0), engine.fleet.find(1)
    before = audit.summary(engine, updated)
    orders.redeploy(engine, updated, None)
    wait(engine, 3600)

    def errors(instance: Any) -> int:
        return sum(
            row["outcome"] == "error" for row in audit.ingested(engine, instance) if row["event_ts"] > START + 20
        )

    assert errors(updated) > 200 > 30 > errors(control)
    after = audit.summary(engine, updated)
    assert after["total_events"] > before["total_events"]
    assert after["total_events"] == after["success_events"] + after["error_events"] + after["denied_events"]
    assert sum(after["by_source"].values()) == after["total_events"]
    generated = len(audit.trail_of(engine, updated).events)
    assert generated > after["total_events"], "the newest events have not been ingested yet"
    engine.knobs.change({"audit_retention_s": 60})
    assert audit.summary(engine, updated)["total_events"] < after["total_events"]
