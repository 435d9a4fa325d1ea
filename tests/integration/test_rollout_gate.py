# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict of rollout_gate before a batch of a simulated fleet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.integration.simulated_fleet import hour_of, hours, names_to_ids
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import crooked_server

BUSY = {"audit_per_hour": 3600.0, "audit_error_share": 0.0, "audit_denied_share": 0.0, "audit_ingest_lag_s": 0.0}
INSTANCES = 6
START = "2026-11-24T12:00:00Z"
QUIET = {"audit_per_hour": 6.0, "audit_bad_versions": {}, "audit_retention_s": None}


@pytest.fixture
def sim(sim: Simulator) -> Iterator[Simulator]:
    sim.knobs(**QUIET)
    for instance_id in sim.instance_ids:
        # Only a live read refreshes the stored record of a recovered instance.
        sim.call("GET", f"/v1/instances/{instance_id}/health/deep?force=true")
    sim.clear_journal()
    yield sim
    sim.knobs(**QUIET)


def ask(sim: Simulator, **options: Any) -> ModuleTask:
    """Run the gate before the batch that follows agent-001 and agent-002."""
    ids = names_to_ids(sim)
    updated = {name: ids[name] for name in ("agent-001", "agent-002")}
    waiting = {name: ids[name] for name in ids if name not in updated}
    batch = {name: ids[name] for name in ("agent-003", "agent-004")}
    return run_module(
        sim,
        "rollout_gate",
        **{"next_batch": batch, "waiting": waiting, "updated": updated, "last_batch": ["agent-002"], **options},
    )


def check_of(done: ModuleTask, name: str) -> dict[str, Any]:
    assert "checks" in done.result, done.msg
    return next(check for check in done.result["checks"] if check["name"] == name)


@pytest.mark.parametrize("check", [False, True])
def test_a_healthy_fleet_passes_and_nothing_is_written(sim: Simulator, check: bool) -> None:
    done = ask(sim, check=check, soak=60)
    assert (done.result["verdict"], done.result["go"], done.result["reasons"]) == ("pass", True, [])
    assert [row["name"] for row in done.result["checks"]] == ["budget", "window", "foreign_rollout", "health", "soak"]
    assert done.result["changed"] is False and posts(sim) == []
    # Check mode waits for nothing.
    assert (sum(done.pauses) >= 60) is not check
    assert (sum(done.pauses) < 75) and (done.pauses == []) is check


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"failed": ["agent-005"], "max_failed": 1}, "pass"),
        ({"failed": ["agent-005", "agent-006"], "max_failed": 1}, "fail"),
        ({"failed": ["agent-002"], "max_failed": 5}, "fail"),
    ],
)
def test_the_verdict_follows_from_the_failure_budget(sim: Simulator, options: dict[str, Any], verdict: str) -> None:
    assert ask(sim, **options).result["verdict"] == verdict


# The window


def test_a_window_that_closes_too_soon_defers_a_later_batch_and_refuses_the_first(sim: Simulator) -> None:
    now = hour_of(sim)
    hours(sim, now, (now + 1) % 24)
    left = 3600 - sim.state()["now"] % 3600
    fits = {"expected_seconds": left - 400, "window_margin": 300}
    assert ask(sim, **fits).result["verdict"] == "pass"
    late = {"expected_seconds": left - 200, "window_margin": 300}
    deferred = ask(sim, **late)
    assert (deferred.result["verdict"], deferred.result["go"]) == ("deferred", False)
    assert "so it would not end in time. It opens next at " in deferred.result["reasons"][0]
    first = ask(sim, **late, updated={}, last_batch=[])
    assert first.result["verdict"] == "fail"
    assert ask(sim, **late, check=True).result["verdict"] == "pass"


def test_a_closed_window_is_overridden_only_with_a_reason(sim: Simulator) -> None:
    now = hour_of(sim)
    hours(sim, (now + 2) % 24, (now + 3) % 24)
    assert ask(sim).result["verdict"] == "deferred"
    sim.clear_journal()
    for reason in (None, "", "  "):
        refused = ask(sim, override_window=True, override_reason=reason)
        assert refused.msg == "override_window needs an override_reason: it is recorded with the run."
    assert sim.journal() == []
    done = ask(sim, override_window=True, override_reason="INC-4711: the old runtime leaks tokens")
    assert done.result["verdict"] == "pass"
    assert check_of(done, "window")["overridden"] is True
    assert "INC-4711" in check_of(done, "window")["reason"]
    # A reason alone overrides nothing.
    assert ask(sim, override_reason="INC-4711").result["verdict"] == "deferred"


# Rollouts of others, and failed reads


def test_a_fleet_rollout_by_another_admin_stops_the_run(sim: Simulator) -> None:
    sim.knobs(deploy_s=[600, 600], foreign_fleet=True)
    done = ask(sim)
    assert done.result["verdict"] == "fail"
    assert "A fleet rollout is in progress on the server: " in done.result["reasons"][0]
    rollout = check_of(done, "foreign_rollout")["rollouts"][0]
    assert any(row["id"] == rollout for row in sim.state()["rollouts"])


# behaviour 3.5, row 14
@pytest.mark.parametrize("limit", [0, None])
def test_a_policy_that_disables_rollouts_stops_the_run(sim: Simulator, limit: int | None) -> None:
    sim.knobs(policy={"max_parallel_rollouts": limit})
    done = ask(sim)
    assert done.result["verdict"] == "fail"
    assert done.result["reasons"][0].startswith("The update policy's max_parallel_rollouts is ")


@pytest.mark.parametrize("operation", ["get_fleet_update_policy", "list_fleet_rollouts"])
def test_a_failed_read_is_inconclusive(sim: Simulator, operation: str) -> None:
    sim.fault(operation=operation, status=503)
    done = ask(sim, retries=0)
    assert done.result["verdict"] == "inconclusive"
    assert "HTTP 503" in done.result["reasons"][0]


# Health


def test_the_share_of_healthy_instances_must_reach_the_minimum(sim: Simulator) -> None:
    sim.knobs(disease={"agent-005": "vps", "agent-006": "vps"})
    for host in ("agent-005", "agent-006"):
        sim.call("GET", f"/v1/instances/{sim.instance(host)['id']}/health/deep?force=true")
    done = ask(sim, min_healthy_share=0.75)
    assert done.result["verdict"] == "fail"
    assert done.result["reasons"] == [
        "4 of 6 checked instances are healthy; at least 75% must be. Not healthy: agent-005, agent-006."
    ]
    assert ask(sim, min_healthy_share=0.6).result["verdict"] == "pass"
    sim.clear_journal()
    assert ask(sim, min_healthy_share=0).result["verdict"] == "pass"
    assert sim.journal(operation_id="get_deep_health") == []


def test_only_a_sample_of_the_fleet_is_read_if_configured(sim: Simulator) -> None:
    done = ask(sim, health_sample=3)
    assert (check_of(done, "health")["asked"], check_of(done, "health")["of"]) == (3, 6)
    assert len({row["path"] for row in sim.journal(operation_id="get_deep_health")}) == 3


def test_a_fleet_without_any_health_record_is_inconclusive(sim: Simulator) -> None:
    sim.fault(operation="get_deep_health", status=503)
    assert ask(sim, retries=0).result["verdict"] == "inconclusive"


# Soak


def test_an_instance_that_becomes_unhealthy_during_the_soak_fails_it_at_once(sim: Simulator) -> None:
    def fall_ill(pause: int) -> None:
        if pause == 3:
            sim.knobs(disease={"agent-002": "process"})

    done = ask(sim, soak=600, during=fall_ill)
    assert done.result["verdict"] == "fail"
    assert done.result["reasons"][0].startswith("Not healthy in the soak after the redeploy: agent-002 was ")
    assert sum(done.pauses) < 60


def test_after_a_soak_everything_is_checked_again(sim: Simulator) -> None:
    now = hour_of(sim)
    hours(sim, now, (now + 1) % 24)
    left = 3600 - sim.state()["now"] % 3600
    done = ask(sim, soak=left, soak_interval=600, expected_seconds=60, window_margin=60)
    assert (done.result["verdict"], len(done.result["reasons"])) == ("deferred", 1)
    assert "is closed; it opens next at " in done.result["reasons"][0]
    assert check_of(done, "soak")["verdict"] == "pass"


def test_an_unavailable_health_api_is_inconclusive_and_blames_no_instance(sim: Simulator) -> None:
    def break_down(pause: int) -> None:
        if pause == 2:
            sim.fault(operation="get_deep_health", status=503)

    done = ask(sim, soak=600, retries=0, max_errors=4, during=break_down)
    assert done.result["verdict"] == "inconclusive"
    assert done.result["reasons"] == ["The live health of agent-002 could not be read often enough."]
    assert len(done.pauses) == 5


def test_a_few_failed_reads_are_tolerated(sim: Simulator) -> None:
    def stumble(pause: int) -> None:
        if pause == 2:
            sim.fault(operation="get_deep_health", status=503, times=3)

    assert ask(sim, soak=60, retries=0, during=stumble).result["verdict"] == "pass"


def test_cached_records_do_not_prove_health(sim: Simulator) -> None:
    sim.knobs(force_always_cached=True)
    assert ask(sim, soak=60).result["verdict"] == "inconclusive"


def test_a_soak_lasts_at_least_as_long_as_its_reads(sim: Simulator) -> None:
    done = ask(sim, soak=1, soak_reads=3, soak_interval=5)
    assert done.result["verdict"] == "pass"
    assert done.result["waited_seconds"] == 10


# Audit; the instances that are not updated yet are the control group


def busy(sim: Simulator) -> None:
    for host in ("agent-001", "agent-002"):
        assert run_module(sim, "instance_runtime", host).result["changed"]
    for instance_id in sim.instance_ids:
        # Without traffic, the next event is minutes away.
        sim.call("GET", f"/v1/instances/{instance_id}/runtime/audit/summary")
    sim.knobs(**BUSY)
    sim.advance(3600)
    sim.clear_journal()


def test_updated_instances_with_the_error_rate_of_the_others_pass(sim: Simulator) -> None:
    busy(sim)
    done = ask(sim, soak=120, audit=True)
    assert done.result["verdict"] == "pass", done.result["reasons"]
    assert check_of(done, "audit")["updated"]["events"] >= 20
    assert posts(sim) == []


def test_a_version_with_more_errors_than_the_control_group_fails(sim: Simulator) -> None:
    busy(sim)
    sim.knobs(audit_bad_versions={sim.state()["newest_runtime"]: 0.4})
    done = ask(sim, soak=120, audit=True)
    assert done.result["verdict"] == "fail"
    audit = check_of(done, "audit")
    assert audit["updated"]["rate"] > 0.2 and audit["control"]["rate"] == 0
    assert "of the updated instances' events are errors or denials, 0.0% of the others'" in done.result["reasons"][0]


def test_errors_in_both_groups_do_not_fail_the_new_version(sim: Simulator) -> None:
    busy(sim)
    sim.knobs(audit_error_share=0.4)
    done = ask(sim, soak=300, audit=True, audit_max_difference=0.2)
    assert done.result["verdict"] == "pass", done.result["reasons"]


def test_too_little_traffic_is_inconclusive(sim: Simulator) -> None:
    done = ask(sim, soak=60, audit=True)
    assert done.result["verdict"] == "inconclusive"
    assert done.result["reasons"][0].startswith("Too little traffic to compare: ")


# behaviour 3.5, row 26
def test_counters_that_decrease_are_inconclusive(sim: Simulator) -> None:
    busy(sim)

    def forget(pause: int) -> None:
        if pause == 5:
            sim.knobs(audit_retention_s=1)

    sim.advance(600)
    done = ask(sim, soak=60, audit=True, during=forget)
    assert done.result["verdict"] == "inconclusive"
    assert "went backwards or could not be read" in done.result["reasons"][0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"audit": True}, "audit compares counters over the soak: give soak too."),
        ({"next_batch": {}}, "next_batch is empty: there is nothing to ask about."),
        ({"min_healthy_share": 75}, "min_healthy_share is 75.0: it must be from 0 to 1."),
        ({"soak": -1}, "soak is -1.0: it must be 0 or more."),
        ({"soak_interval": 0}, "soak_interval is 0.0: it must be above 0 seconds."),
        ({"max_errors": 0}, "max_errors is 0: it must be 1 or more."),
    ],
)
def test_invalid_options_are_refused_before_any_call(sim: Simulator, options: dict[str, Any], sentence: str) -> None:
    assert ask(sim, **options).msg == sentence
    assert sim.journal() == []


# Hold, freezes, stall


def test_after_a_hold_everything_is_checked_again(sim: Simulator, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.write_text("INC-9, ask Ann")

    def lift(pause: int) -> None:
        if pause == 3:
            hold.unlink()
            # While the run was held, somebody disabled rollouts.
            sim.knobs(policy={"max_parallel_rollouts": 0})

    held = ask(sim, hold=str(hold), hold_wait=False)
    assert (held.result["verdict"], held.result["go"], held.pauses) == ("hold", False, [])
    assert "INC-9, ask Ann" in held.result["reasons"][0]
    assert ask(sim, hold=str(hold), check=True).result["verdict"] == "pass"
    waited = ask(sim, hold=str(hold), during=lift)
    assert waited.pauses == [10.0, 10.0, 10.0]
    assert waited.result["verdict"] == "fail"
    assert waited.result["reasons"][0].startswith("The update policy's max_parallel_rollouts is 0")
    assert check_of(waited, "hold")["verdict"] == "pass"


def test_an_address_holds_the_run_until_it_answers_404_and_one_failed_read_does_not_end_it(sim: Simulator) -> None:
    with crooked_server() as monitor:
        monitor.says(None, 200)

        def answer(pause: int) -> None:
            monitor.says(None, {1: 503, 2: 200}.get(pause, 404))

        done = ask(sim, hold=f"{monitor.url}/hold", during=answer)
        assert (done.result["verdict"], done.pauses) == ("pass", [10.0, 10.0, 10.0])
        assert "X-Api-Key" not in str(monitor.seen) and sim.admin_key not in str(monitor.seen)
        assert len(monitor.seen) == 4


def test_a_hold_that_is_not_lifted_ends_the_run_and_a_soak_continues(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "hold").write_text("")
    done = ask(sim, hold=str(tmp_path / "hold"), hold_timeout=60, soak=60)
    assert done.result["verdict"] == "fail"
    assert "The run was held for 60 s" in done.result["reasons"][0]
    assert (check_of(done, "soak")["verdict"], 120 <= sum(done.pauses) < 140) == ("pass", True)


@pytest.mark.parametrize(
    ("options", "msg"),
    [
        ({"hold": "hold"}, "hold cannot be used: 'hold' is neither an absolute path"),
        ({"hold": "/x", "hold_timeout": -1}, "hold_timeout is -1.0"),
        ({"hold": "/x", "hold_interval": 0}, "hold_interval is 0.0"),
        ({"stall_timeout": -1}, "stall_timeout is -1.0"),
    ],
)
def test_invalid_hold_options_are_refused(sim: Simulator, options: dict[str, Any], msg: str) -> None:
    done = ask(sim, **options)
    assert done.result["failed"] and msg in done.msg
    assert sim.journal() == []


def test_an_unreadable_hold_is_read_four_times_and_is_inconclusive(sim: Simulator, tmp_path: Path) -> None:
    done = ask(sim, hold=str(tmp_path / "not-mounted" / "hold"))
    assert (done.result["verdict"], done.pauses) == ("inconclusive", [10.0, 10.0, 10.0])


def test_a_freeze_refuses_a_new_run_defers_a_started_one_and_can_be_overridden_with_a_reason(sim: Simulator) -> None:
    frozen = [{"from": "2020-01-01", "to": "2100-01-01", "reason": "audit"}]
    assert ask(sim, freezes=frozen).result["verdict"] == "deferred"
    assert ask(sim, freezes=frozen, updated={}).result["verdict"] == "fail"
    assert ask(sim, freezes=frozen, updated={}, check=True).result["verdict"] == "pass"
    urgent = {"override_window": True, "override_reason": "INC-4711"}
    assert ask(sim, freezes=frozen, updated={}, **urgent).result["verdict"] == "pass"
    unreadable = ask(sim, freezes=[{"from": "2026-01-01"}], check=True)
    assert unreadable.result["verdict"] == "inconclusive"
    assert "in freeze 1, to is nothing" in unreadable.result["reasons"][0]


def test_a_stalled_run_names_the_instance_that_does_not_finish(sim: Simulator) -> None:
    sim.knobs(deploy_s=[4000, 4000])
    sim.call("POST", f"/v1/instances/{sim.instance('agent-005')['id']}/runtime/redeploy")
    sim.advance(300)
    assert ask(sim, stall_timeout=600).result["verdict"] == "pass"
    sim.advance(400)
    done = ask(sim, stall_timeout=600)
    assert done.result["verdict"] == "fail"
    assert done.result["reasons"][0].startswith("Nothing has ended since ")
    assert "In flight: agent-005.fra1.fleet.example." in done.result["reasons"][0]
