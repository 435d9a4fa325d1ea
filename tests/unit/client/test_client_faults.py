# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client and the simulator's faults: which call is retried after which failure (behaviour 2.3, 2.5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    ApiError,
    FleetClient,
    Settings,
    Transport,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import ENDPOINTS, Repeat
from tests.simulator.running import Simulator, running_simulator

RESTING = {"max_parallel_mode": "queue", "null_bodies": "null", "rate_limit": None, "refuse_writes": False}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    # In real time, so that dates in headers are correct.
    with running_simulator(instances=4, speed=1.0) as sim:
        yield sim


@pytest.fixture
def sim(fleet: Simulator) -> Simulator:
    fleet.clear_faults()
    fleet.knobs(**RESTING)
    _end_open_rollouts(fleet)
    fleet.clear_journal()
    return fleet


def _end_open_rollouts(sim: Simulator) -> None:
    for row in sim.state()["rollouts"]:
        if row["status"] not in ("completed", "partial", "failed", "cancelled"):
            sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{row['id']}/cancel?force=true")


class Watched(FleetClient):
    """A client whose pauses are recorded instead of slept."""

    def __init__(self, sim: Simulator, *, jitter: float = 0.0, read_only: bool = False, **settings: Any) -> None:
        self.pauses: list[float] = []
        chosen = Settings(**{"api_url": sim.url, "api_key": sim.admin_key, **settings})
        super().__init__(Transport(chosen, read_only=read_only, sleep=self.pauses.append, jitter=lambda: jitter))


# Every method, each with a state in which the server accepts it.


def _rollout(sim: Simulator) -> str:
    """A fleet rollout under way."""
    sim.knobs(publish=f"9.{time.monotonic_ns()}.0")
    assert sim.call("POST", "/v1/instances/fleet/runtime/rollout?override_window=true")[0] == 200
    return sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=1")[1][0]["id"]


def _paused(sim: Simulator) -> str:
    rollout = _rollout(sim)
    assert sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{rollout}/pause")[0] == 200
    return rollout


def _failed_target(sim: Simulator) -> tuple[str, str]:
    sim.knobs(outcomes={"agent-001": "failed"})
    rollout = _rollout(sim)
    sim.advance(600)
    sim.knobs(outcomes={"agent-001": []})
    targets = sim.call("GET", f"/v1/instances/fleet/runtime/rollouts/{rollout}")[1]["targets"]
    return rollout, next(t["id"] for t in targets if t["status"] == "failed")


def _outdated(sim: Simulator) -> str:
    sim.knobs(publish=f"9.{time.monotonic_ns()}.0")
    return sim.instance("agent-001")["id"]


Stage = Callable[[Simulator], tuple[Any, ...]]
one_instance: Stage = lambda sim: (sim.instance("agent-001")["id"],)  # noqa: E731 - a table of states
no_arguments: Stage = lambda sim: ()  # noqa: E731

CALLS: dict[str, tuple[Stage, Callable[..., Any]]] = {
    "get_rollout_timeline": (lambda s: (_rollout(s),), FleetClient.get_rollout_timeline),
    "start_fleet_rollout": (no_arguments, lambda c: c.start_fleet_rollout(override_window=True)),
    "list_fleet_rollouts": (no_arguments, FleetClient.list_fleet_rollouts),
    "get_rollout": (lambda s: (_rollout(s),), FleetClient.get_rollout),
    "cancel_rollout": (lambda s: (_rollout(s),), lambda c, r: c.cancel_rollout(r, force=True)),
    "pause_rollout": (lambda s: (_rollout(s),), FleetClient.pause_rollout),
    "resume_rollout": (lambda s: (_paused(s),), FleetClient.resume_rollout),
    "retry_rollout_target": (_failed_target, FleetClient.retry_rollout_target),
    "get_fleet_update_policy": (no_arguments, FleetClient.get_fleet_update_policy),
    "set_fleet_update_policy": (no_arguments, lambda c: c.set_fleet_update_policy({"max_parallel_rollouts": 2})),
    "list_instance_actions": (one_instance, FleetClient.list_instance_actions),
    "clear_circuit_breakers": (one_instance, FleetClient.clear_circuit_breakers),
    "power_cycle": (one_instance, FleetClient.power_cycle),
    "reboot": (lambda s: (s.instance("agent-004")["id"],), FleetClient.reboot),
    "run_diagnostics": (one_instance, FleetClient.run_diagnostics),
    "get_deep_health": (one_instance, FleetClient.get_deep_health),
    "list_memories": (one_instance, FleetClient.list_memories),
    "store_memory": (one_instance, lambda c, i: c.store_memory(i, {"content": "the door is blue"})),
    "clear_memories": (one_instance, lambda c, i: c.clear_memories(i, {"conversation_id": "nobody"})),
    "list_audit_events": (one_instance, FleetClient.list_audit_events),
    "get_audit_summary": (one_instance, FleetClient.get_audit_summary),
    "redeploy_runtime": (one_instance, FleetClient.redeploy_runtime),
    "list_instance_rollouts": (one_instance, FleetClient.list_instance_rollouts),
    "apply_all_updates": (lambda s: (_outdated(s),), FleetClient.apply_all_updates),
    "get_available_updates": (one_instance, FleetClient.get_available_updates),
    "set_instance_update_policy": (one_instance, lambda c, i: c.set_instance_update_policy(i, {"runtime": "notify"})),
}


def prepared(sim: Simulator, name: str) -> Callable[[FleetClient], Any]:
    """Set up the state of the call and clear the journal. Returns the call."""
    stage, call = CALLS[name]
    sim.advance(300)  # all restarts have ended
    arguments = stage(sim)
    sim.clear_journal()
    return lambda client: call(client, *arguments)


def sent(sim: Simulator, name: str) -> list[dict[str, Any]]:
    return sim.journal(operation_id=name)


def by_rule(*rules: Repeat, but: tuple[str, ...] = ()) -> list[str]:
    return [name for name, endpoint in ENDPOINTS.items() if endpoint.repeat in rules and name not in but]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_endpoint_is_reached_by_its_method(sim: Simulator, name: str) -> None:
    call = prepared(sim, name)
    call(Watched(sim))
    rows = sent(sim, name)
    assert [(row["method"], row["status"], row["executed"]) for row in rows] == [(ENDPOINTS[name].method, 200, True)]


LOST = {
    "status 408": {"status": 408},
    "status 500": {"status": 500},
    "status 502": {"status": 502, "html_body": True},
    "status 503": {"status": 503},
    "status 504": {"status": 504},
    "reset before": {"reset_before": True},
    "reset after": {"reset_after": True},
    "502 after the effect": {"commit_then_status": 502},
    "truncated": {"truncated_body": True},
    "HTML instead of JSON": {"html_body": True},
    "too slow": {"latency_after_s": 6.0},
}


@pytest.mark.parametrize("plan", LOST.values(), ids=LOST)
def test_a_read_is_retried_after_any_lost_answer(sim: Simulator, plan: dict[str, Any]) -> None:
    sim.fault(operation="get_fleet_update_policy", times=2, **plan)
    # Only the delayed answer comes too late, even on a busy machine.
    client = Watched(sim, request_timeout=3, jitter=1.0)
    assert client.get_fleet_update_policy()["max_parallel_rollouts"] >= 1
    assert len(sent(sim, "get_fleet_update_policy")) == 3
    assert client.pauses == [0.5, 1.0]
    assert [row["attempt"] for row in client.trace] == [1, 2, 3]


@pytest.mark.parametrize("plan", LOST.values(), ids=LOST)
def test_a_redeploy_whose_answer_is_lost_is_sent_once_and_reported_as_ambiguous(
    sim: Simulator, plan: dict[str, Any]
) -> None:
    call = prepared(sim, "redeploy_runtime")
    sim.fault(operation="redeploy_runtime", **plan)
    with pytest.raises(ApiError) as caught:
        call(Watched(sim, request_timeout=3))
    assert caught.value.ambiguous is True
    assert "Whether the server carried it out is unknown." in str(caught.value)
    assert len(sent(sim, "redeploy_runtime")) == 1


@pytest.mark.parametrize("name", by_rule(Repeat.NEVER))
@pytest.mark.parametrize("plan", ["reset_before", "reset_after"])
def test_a_write_that_must_not_be_repeated_is_not_retried(sim: Simulator, name: str, plan: str) -> None:
    call = prepared(sim, name)
    sim.fault(operation=name, **{plan: True})
    with pytest.raises(ApiError) as caught:
        call(Watched(sim))
    assert (caught.value.kind, caught.value.ambiguous) == ("connection_lost", True)
    assert [row["executed"] for row in sent(sim, name)] == [plan == "reset_after"]


@pytest.mark.parametrize("name", by_rule(Repeat.ABSOLUTE))
def test_a_write_of_absolute_values_is_retried(sim: Simulator, name: str) -> None:
    call = prepared(sim, name)
    sim.fault(operation=name, times=1, reset_after=True)
    sim.fault(operation=name, times=1, status=500)
    call(Watched(sim))
    assert [row["executed"] for row in sent(sim, name)] == [True, False, True]


def test_a_write_of_absolute_values_whose_answer_stays_lost_is_ambiguous(sim: Simulator) -> None:
    sim.fault(operation="set_fleet_update_policy", status=500)
    with pytest.raises(ApiError) as caught:
        Watched(sim, retries=1).set_fleet_update_policy({"max_parallel_rollouts": 2})
    assert caught.value.ambiguous and caught.value.attempts == 2


# behaviour 3.5, row 21
@pytest.mark.parametrize("name", ["get_fleet_update_policy", "redeploy_runtime", "clear_memories", "store_memory"])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_after_429_the_call_is_retried_after_the_time_that_the_server_gives(
    sim: Simulator, name: str, form: str
) -> None:
    call = prepared(sim, name)
    sim.fault(operation=name, times=2, status=429, retry_after=7, retry_after_form=form)
    client = Watched(sim)
    call(client)
    # A date has whole seconds, and so has the Date header that it is compared with.
    assert all(pause == 7.0 if form == "seconds" else 6.0 <= pause <= 8.0 for pause in client.pauses), client.pauses
    assert [row["executed"] for row in sent(sim, name)] == [False, False, True]


def test_a_wrong_server_clock_does_not_change_the_pause(sim: Simulator) -> None:
    sim.knobs(clock_skew_s=-90000)
    try:
        sim.fault(operation="get_fleet_update_policy", times=1, retry_after=7, retry_after_form="date")
        client = Watched(sim)
        client.get_fleet_update_policy()
        assert 6.0 <= client.pauses[0] <= 8.0
    finally:
        sim.knobs(clock_skew_s=0)


def test_a_pause_is_at_most_two_minutes_and_never_shorter_than_the_server_asks(sim: Simulator) -> None:
    sim.fault(operation="get_fleet_update_policy", times=1, retry_after=86400)
    sim.fault(operation="get_fleet_update_policy", times=1, retry_after=3)
    client = Watched(sim, jitter=0.5)
    client.get_fleet_update_policy()
    assert 120 <= client.pauses[0] <= 121
    assert 3 <= client.pauses[1] <= 4


def test_repeated_429_without_a_time_is_not_ambiguous(sim: Simulator) -> None:
    call = prepared(sim, "redeploy_runtime")
    sim.fault(operation="redeploy_runtime", status=429)
    client = Watched(sim)
    with pytest.raises(ApiError) as caught:
        call(client)
    assert (caught.value.kind, caught.value.ambiguous) == ("rate_limited", False)
    assert "after 4 attempts" in str(caught.value) and "was not executed" in str(caught.value)
    assert client.pauses == [0.25, 0.5, 1.0]
    assert len(sent(sim, "redeploy_runtime")) == 4


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_after_503_a_write_is_retried_only_if_the_answer_has_a_time(sim: Simulator, form: str) -> None:
    call = prepared(sim, "redeploy_runtime")
    sim.fault(operation="redeploy_runtime", times=1, status=503, retry_after=2, retry_after_form=form)
    call(Watched(sim))
    assert [row["executed"] for row in sent(sim, "redeploy_runtime")] == [False, True]


def test_a_live_health_check_is_retried_only_once(sim: Simulator) -> None:
    sim.fault(operation="get_deep_health", status=504)
    with pytest.raises(ApiError) as caught:
        Watched(sim, retries=5).get_deep_health(sim.instance_ids[0], force=True)
    assert (caught.value.kind, caught.value.ambiguous) == ("server", False)
    assert len(sent(sim, "get_deep_health")) == 2


REFUSALS = {400: "invalid", 403: "forbidden", 404: "not_found", 409: "conflict", 422: "invalid", 423: "conflict"}


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("name", ["get_fleet_update_policy", "redeploy_runtime", "set_fleet_update_policy"])
def test_a_refusal_is_not_retried(sim: Simulator, name: str, status: int) -> None:
    call = prepared(sim, name)
    sim.fault(operation=name, status=status, detail="not on a Tuesday")
    client = Watched(sim)
    with pytest.raises(ApiError) as caught:
        call(client)
    error = caught.value
    assert (error.kind, error.status, error.ambiguous) == (REFUSALS[status], status, False)
    assert f"HTTP {status}" in str(error) and "not on a Tuesday" in str(error)
    assert error.request_id and error.request_id in str(error)
    assert (client.pauses, len(sent(sim, name))) == ([], 1)


def test_with_retries_0_a_call_is_tried_once(sim: Simulator) -> None:
    sim.fault(operation="get_fleet_update_policy", status=500)
    with pytest.raises(ApiError) as caught:
        Watched(sim, retries=0).get_fleet_update_policy()
    assert "attempts" not in str(caught.value)
    assert len(sent(sim, "get_fleet_update_policy")) == 1


@pytest.mark.parametrize("body", ["null", "object", "empty", "204"])
@pytest.mark.parametrize("name", ["cancel_rollout", "pause_rollout", "resume_rollout", "retry_rollout_target"])
def test_any_body_of_an_untyped_answer_is_a_success(sim: Simulator, name: str, body: str) -> None:
    call = prepared(sim, name)
    if body == "204":
        sim.fault(operation=name, empty_204=True)
    else:
        sim.knobs(null_bodies=body)
    call(Watched(sim))
    assert [row["executed"] for row in sent(sim, name)] == [True]


def test_an_empty_answer_to_a_redeploy_is_ambiguous_and_not_a_crash(sim: Simulator) -> None:
    call = prepared(sim, "redeploy_runtime")
    sim.fault(operation="redeploy_runtime", empty_204=True)
    with pytest.raises(ApiError) as caught:
        call(Watched(sim))
    assert (caught.value.kind, caught.value.ambiguous) == ("unexpected", True)
    assert "an object was expected, but the answer is empty" in str(caught.value)


def test_a_validation_error_is_reported_in_one_readable_sentence(sim: Simulator) -> None:
    with pytest.raises(ApiError) as caught:
        Watched(sim).list_fleet_rollouts(limit=101)
    assert caught.value.kind == "invalid"
    assert "query.limit:" in str(caught.value) and "\n" not in str(caught.value) and "{" not in str(caught.value)


def test_check_mode_sends_no_write_of_any_kind(sim: Simulator) -> None:
    client = Watched(sim, read_only=True)
    for name, endpoint in ENDPOINTS.items():
        if endpoint.writes:
            with pytest.raises(ApiError) as caught:
                _stage, call = CALLS[name]
                call(client, *(["x"] * (2 if "target_id" in endpoint.path else "_id" in endpoint.path)))
            assert caught.value.kind == "read_only"
    assert sim.writes() == []
