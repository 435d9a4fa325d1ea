# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_power_cycle and instance_reboot do, as the server's journal shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.module_task import OLD_RECORD, posts, run_module
from tests.integration.second_task import run_second
from tests.second_api.api import second_api
from tests.simulator.running import Simulator

HOST = "agent-001"


@dataclass(frozen=True)
class Kind:
    """One of the two modules: its write, the fault that it heals, and when a call without a trace is given up."""

    module: str
    operation: str
    heals: str
    absent_after: int


POWER_CYCLE = Kind("instance_power_cycle", "power_cycle", "process", 30)
REBOOT = Kind("instance_reboot", "reboot", "vps", 60)


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.knobs(uptime_kind="process", power_cycle_s=2, reboot_s=60)
    # Restarts of the previous test are older than every min_uptime and after_power_cycle_within.
    sim.advance(10_000)
    return sim


@pytest.fixture(params=[POWER_CYCLE, REBOOT], ids=lambda kind: kind.operation)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def power_cycle_by_another(sim: Simulator) -> None:
    status, _answer = sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/actions/power-cycle")
    assert status == 200
    sim.advance(60)
    sim.clear_journal()


# Normal operation


def test_a_restart_is_sent_once_and_proved_by_the_start_time(sim: Simulator, kind: Kind) -> None:
    sim.knobs(disease={HOST: kind.heals})
    result = run_module(sim, kind.module).result
    assert not result.get("failed") and result["changed"], result
    assert result["restart_evidence"] == "boot_time" and "reconciled" not in result
    assert result["health_before"]["status"] == "unhealthy" and result["health_after"]["status"] == "healthy"
    assert result["uptime_after"] < result["waited_seconds"] < 90 < result["uptime_before"]
    assert result["diff"] == {
        "before": {"status": "unhealthy", "uptime_seconds": result["uptime_before"]},
        "after": {"restarted": True},
    }
    assert result["action_id"] and isinstance(result["duration_ms"], int)
    assert posts(sim) == [kind.operation]


# behaviour 3.5, row 28
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, kind: Kind) -> None:
    predicted = run_module(sim, kind.module, check=True).result
    assert posts(sim) == []
    real = run_module(sim, kind.module).result
    for key in ("changed", "diff", "health_before", "uptime_before", "failed"):
        assert predicted.get(key) == real.get(key), key


def test_without_waiting_the_restart_is_only_sent(sim: Simulator, kind: Kind) -> None:
    done = run_module(sim, kind.module, wait=False)
    assert done.result["changed"] and done.result["action_id"] and done.pauses == []
    assert "restart_evidence" not in done.result and posts(sim) == [kind.operation]


# behaviour 3.5, row 23
@pytest.mark.parametrize("skew", [-90, 90])
def test_a_wrong_server_clock_changes_nothing(sim: Simulator, kind: Kind, skew: int) -> None:
    sim.knobs(clock_skew_s=skew, timestamps="naive")
    result = run_module(sim, kind.module).result
    assert not result.get("failed") and result["restart_evidence"] == "boot_time", result
    again = run_module(sim, kind.module, min_uptime=600).result
    assert not again["changed"] and not again.get("failed"), again
    assert posts(sim) == [kind.operation]


@pytest.mark.parametrize("down", ["cached", 404, 502, 503])
def test_health_is_read_again_while_the_agent_is_down(sim: Simulator, kind: Kind, down: Any) -> None:
    sim.knobs(force_while_down=down)
    done = run_module(sim, kind.module)
    assert not done.result.get("failed") and done.result["restart_evidence"] == "boot_time", done.result
    assert done.warnings == [], "downtime is expected during a restart"
    assert posts(sim) == [kind.operation]


# behaviour 3.5, row 24
def test_a_cached_record_is_not_evidence_of_a_restart(sim: Simulator, kind: Kind) -> None:
    def during(pause: int) -> None:
        if pause == 1:
            # From here on only the cache answers; diagnostics after the restart fill it with the new start time.
            sim.knobs(force_always_cached=True)
        if pause == 30:
            sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/actions/run-diagnostics")

    done = run_module(sim, kind.module, during=during)
    assert done.result["failed"] and done.result["timed_out"] and done.result["restart_evidence"] is None
    assert done.result["health_after"]["cached"] is True
    assert "nothing proved a restart" in done.msg and OLD_RECORD.search(done.msg), done.msg
    assert done.msg.endswith("instance_diagnostics checks it. It was not sent again.")
    assert posts(sim) == [kind.operation, "run_diagnostics"]


# behaviour 3.5, row 24
def test_a_start_time_from_the_cache_is_not_compared_with_later_ones(sim: Simulator, kind: Kind) -> None:
    # The cache is older than a restart by another user, so the next live record would seem to show a restart.
    sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/actions/run-diagnostics")
    power_cycle_by_another(sim)
    sim.knobs(force_always_cached=True)
    sim.fault(operation=kind.operation, reset_before=True, times=1)
    done = run_module(sim, kind.module, during=lambda pause: sim.knobs(force_always_cached=False), wait_timeout=100)
    assert done.result["failed"] and done.result["reconciled"] == "unknown" and done.result["ambiguous"], done.result
    assert posts(sim) == [kind.operation]


@pytest.mark.parametrize("gone", [404, 502])
def test_an_uptime_shorter_than_the_wait_proves_a_restart_if_nothing_answered_before(
    sim: Simulator, kind: Kind, gone: int
) -> None:
    sim.fault(operation="get_deep_health", status=gone, times=2)
    result = run_module(sim, kind.module, only_if_unhealthy=True).result
    assert not result.get("failed") and result["changed"], result
    assert result["health_before"] is None and result["restart_evidence"] in ("uptime", "boot_time")
    assert posts(sim) == [kind.operation]


def test_if_the_uptime_is_that_of_the_host_a_gap_is_the_evidence_of_a_power_cycle(sim: Simulator) -> None:
    sim.knobs(uptime_kind="host")
    result = run_module(sim, "instance_power_cycle").result
    assert not result.get("failed") and result["changed"], result
    assert result["restart_evidence"] == "gap_only" and result["uptime_after"] > result["uptime_before"]
    # The actions (E11) show a second run what the uptime does not.
    assert not run_module(sim, "instance_power_cycle", min_uptime=600).result["changed"]
    assert posts(sim) == ["power_cycle"]


def test_if_the_uptime_is_that_of_the_host_a_reboot_resets_it(sim: Simulator) -> None:
    sim.knobs(uptime_kind="host")
    assert run_module(sim, "instance_reboot").result["restart_evidence"] == "boot_time"


# Guards


def test_a_second_run_within_min_uptime_does_nothing(sim: Simulator, kind: Kind) -> None:
    run_module(sim, kind.module, min_uptime=600)
    sim.clear_journal()
    for check in (True, False):
        again = run_module(sim, kind.module, check=check, min_uptime=600).result
        assert not again["changed"] and "diff" not in again
        assert "less than min_uptime (600 s)" in again["skipped_reason"]
    assert posts(sim) == []
    sim.advance(700)
    assert run_module(sim, kind.module, min_uptime=600).result["changed"]


def test_a_restart_under_way_counts_for_min_uptime(sim: Simulator, kind: Kind) -> None:
    run_module(sim, kind.module, wait=False)
    again = run_module(sim, kind.module, min_uptime=600).result
    assert not again["changed"] and not again.get("failed"), again
    assert posts(sim) == [kind.operation]


@pytest.mark.parametrize("uptime_kind", ["process", "host"])
def test_a_recent_power_cycle_does_not_prevent_a_reboot(sim: Simulator, uptime_kind: str) -> None:
    sim.knobs(uptime_kind=uptime_kind, disease={HOST: "vps"})
    power_cycle_by_another(sim)
    result = run_module(sim, "instance_reboot", min_uptime=600, only_if_unhealthy=True, after_power_cycle=True).result
    assert not result.get("failed") and result["changed"], result
    assert posts(sim) == ["reboot"]


def test_a_reboot_without_a_previous_power_cycle_is_refused(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "vps"})
    for check in (True, False):
        done = run_module(sim, "instance_reboot", check=check, after_power_cycle=True)
        assert done.result["failed"] and not done.result["changed"]
        assert "no completed power-cycle within the last 3600 s" in done.msg
    power_cycle_by_another(sim)
    sim.advance(500)
    late = run_module(sim, "instance_reboot", after_power_cycle=True, after_power_cycle_within=300)
    assert late.result["failed"] and "within the last 300 s" in late.msg
    assert posts(sim) == []


# behaviour 3.5, row 17
@pytest.mark.parametrize(
    ("disease", "rung"), [("none", None), ("breakers", "breakers"), ("process", "power_cycle"), ("vps", "reboot")]
)
def test_each_fault_is_healed_by_the_mildest_action_and_healthy_instances_get_none(
    sim: Simulator, disease: str, rung: str | None
) -> None:
    sim.knobs(disease={HOST: disease})
    ladder = {
        "breakers": ("instance_circuit_breakers", {}),
        "power_cycle": ("instance_power_cycle", {"only_if_unhealthy": True}),
        "reboot": ("instance_reboot", {"only_if_unhealthy": True, "after_power_cycle": True, "min_uptime": 600}),
    }
    results = {name: run_module(sim, module, **options).result for name, (module, options) in ladder.items()}
    climbed = [name for name in ladder if results[name]["changed"]]
    below = {"power_cycle": ["power_cycle"], "reboot": ["power_cycle", "reboot"], "breakers": ["breakers"], None: []}
    assert climbed == below[rung], results
    failed = [name for name in ladder if results[name].get("failed")]
    assert failed == (["power_cycle"] if rung == "reboot" else []), "a step that does not heal the instance fails"
    assert sim.call("GET", f"/v1/instances/{sim.instance(HOST)['id']}/health/deep?force=true")[1]["status"] == "healthy"


def test_an_instance_that_is_being_redeployed_is_left_alone(sim: Simulator, kind: Kind) -> None:
    sim.knobs(outcomes={HOST: "stuck"})
    sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/runtime/redeploy")
    sim.advance(1)
    rollout = sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=1")[1][0]["id"]
    sim.clear_journal()
    for check in (True, False):
        done = run_module(sim, kind.module, check=check)
        assert done.result["failed"] and f"it is being redeployed by rollout {rollout}" in done.msg
    assert posts(sim) == []
    busy = run_module(sim, kind.module, during_rollout=True)
    assert busy.result["failed"] and not busy.result["changed"] and busy.result["error"]["kind"] == "conflict"
    assert "a deployment or restart is under way" in busy.msg
    assert posts(sim) == [kind.operation]


def test_a_key_with_the_role_user_may_not_reboot(sim: Simulator) -> None:
    done = run_module(sim, "instance_reboot", key=sim.keys["user"])
    assert done.result["failed"] and not done.result["changed"] and done.result["error"]["kind"] == "forbidden"
    assert "/actions/reboot failed with HTTP 403" in done.msg and "role" in done.msg
    assert posts(sim) == ["reboot"]


# Lost answers


@pytest.mark.parametrize(
    "fault", [{"reset_after": True}, {"commit_then_status": 500}, {"commit_then_status": 502, "html_body": True}]
)
def test_a_restart_whose_answer_is_lost_is_found_by_its_effect(
    sim: Simulator, kind: Kind, fault: dict[str, Any]
) -> None:
    sim.fault(operation=kind.operation, **fault)
    result = run_module(sim, kind.module).result
    assert not result.get("failed") and result["changed"], result
    assert (result["reconciled"], result["restart_evidence"]) == ("executed", "boot_time")
    assert result["action_id"], "taken from the list of actions"
    assert posts(sim) == [kind.operation]


@pytest.mark.parametrize("fault", [{"reset_before": True}, {"status": 500}])
def test_a_call_that_was_not_carried_out_is_reported_as_such(sim: Simulator, kind: Kind, fault: dict[str, Any]) -> None:
    sim.fault(operation=kind.operation, **fault)
    done = run_module(sim, kind.module)
    assert done.result["failed"] and not done.result["changed"] and done.result["reconciled"] == "not_executed"
    assert "It was not carried out" in done.msg and "diff" not in done.result
    assert kind.absent_after <= sum(done.pauses) <= kind.absent_after + 5
    assert posts(sim) == [kind.operation]


def test_a_restart_without_evidence_is_unknown(sim: Simulator, kind: Kind) -> None:
    sim.fault(operation=kind.operation, reset_before=True)
    sim.fault(operation="list_instance_actions", status=500, skip=1)
    done = run_module(sim, kind.module)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["timed_out"] and done.result["changed"]
    assert done.result["reconciled"] == "unknown" and done.result["error"]["ambiguous"]
    assert posts(sim) == [kind.operation]


def test_a_power_cycle_that_only_the_list_of_actions_shows_is_followed(sim: Simulator) -> None:
    sim.knobs(uptime_kind="host")
    sim.fault(operation="power_cycle", reset_after=True)
    result = run_module(sim, "instance_power_cycle").result
    assert not result.get("failed"), result
    assert (result["reconciled"], result["restart_evidence"]) == ("executed", "gap_only")


def test_retry_if_absent_sends_exactly_one_more_call(sim: Simulator) -> None:
    sim.fault(operation="power_cycle", reset_before=True, times=1)
    done = run_module(sim, "instance_power_cycle", retry_if_absent=True)
    assert not done.result.get("failed") and done.result["changed"], done.result
    assert any("sent once more" in warning for warning in done.warnings)
    assert posts(sim) == ["power_cycle"] * 2


def test_retry_if_absent_stops_after_the_second_call(sim: Simulator) -> None:
    sim.fault(operation="power_cycle", reset_before=True)
    done = run_module(sim, "instance_power_cycle", retry_if_absent=True)
    assert done.result["failed"] and done.result["reconciled"] == "not_executed"
    assert posts(sim) == ["power_cycle"] * 2


def test_retry_if_absent_sends_no_second_call_if_the_first_one_worked(sim: Simulator) -> None:
    sim.fault(operation="power_cycle", reset_after=True)
    result = run_module(sim, "instance_power_cycle", retry_if_absent=True).result
    assert not result.get("failed") and result["reconciled"] == "executed"
    assert posts(sim) == ["power_cycle"]


# How a restart ends


def test_a_restart_that_does_not_end_times_out_and_reports_what_was_seen(sim: Simulator, kind: Kind) -> None:
    sim.knobs(power_cycle_s=5000, reboot_s=5000)
    done = run_module(sim, kind.module)
    limit = {"power_cycle": 60, "reboot": 300}[kind.operation]
    assert done.result["failed"] and done.result["timed_out"] and done.result["changed"]
    assert f"within {limit} s nothing proved a restart: it does not answer with a live record" in done.msg
    assert limit <= sum(done.pauses) <= limit + 5
    assert done.result["health_after"]["cached"] is True
    assert posts(sim) == [kind.operation]


def test_an_instance_that_stays_unhealthy_is_a_failure_unless_allowed(sim: Simulator, kind: Kind) -> None:
    sim.knobs(disease={HOST: "incurable"})
    done = run_module(sim, kind.module)
    assert done.result["failed"] and done.result["timed_out"] and done.result["restart_evidence"] == "boot_time"
    assert "restarted but was not healthy 3 times in a row" in done.msg and "its health is unhealthy." in done.msg
    sim.advance(10_000)
    allowed = run_module(sim, kind.module, require_healthy=False).result
    assert not allowed.get("failed") and allowed["health_after"]["status"] != "healthy"


def test_a_restart_whose_answer_is_lost_and_that_the_server_lists_as_failed_has_failed() -> None:
    with second_api(instances=1, words={"completed": "failed"}, answers={"power_cycle": []}) as api:
        # A failed restart does not change the start time.
        api.quirks.answers["get_deep_health"] = lambda body: {**body, "uptime_seconds": 86400}
        failed = f"The power-cycle of instance {api.instance(HOST).id} failed on the server: failed."
        done = run_second(api, "instance_power_cycle", wait_timeout=40)
        assert done.msg == failed
        assert done.result["failed"] and done.result["changed"] and not done.result.get("ambiguous"), done.result
        # Nothing shows what became of the next one, until the run after it.
        api.quirks.answers["get_deep_health"] = lambda body: {**body, "cached": True}
        api.quirks.answers["list_instance_actions"] = {"actions": []}
        assert run_second(api, "instance_power_cycle", wait_timeout=40).result["unresolved"]
        del api.quirks.answers["power_cycle"], api.quirks.answers["list_instance_actions"]
        done = run_second(api, "instance_power_cycle", wait_timeout=40)
        assert any(warning.endswith(" failed on the server.") for warning in done.warnings), done.warnings
        assert done.msg.startswith(failed[:-1]) and len(done.warnings) == 1
        assert api.writes() == ["power_cycle"] * 3
