# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Injected faults as a raw client sees them: what arrives, and whether the request was executed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from tests.simulator.running import Simulator, running_simulator
from tests.simulator_tests.raw_client import ask

POLICY = "/v1/instances/fleet/updates/policy"
OTHER = {"max_parallel_rollouts": 3}


def parallel(sim: Simulator) -> int:
    return sim.call("GET", POLICY)[1]["max_parallel_rollouts"]


@pytest.mark.parametrize(
    ("effect", "executed"), [("reset_before", False), ("reset_after", True)], ids=["before", "after"]
)
def test_a_reset_closes_the_connection_before_or_after_the_request_is_executed(
    sim: Simulator, effect: str, executed: bool
) -> None:
    sim.fault(operation="set_fleet_update_policy", times=1, **{effect: True})
    answer = ask(sim, "PATCH", POLICY, OTHER)
    assert answer.reset and answer.status is None and answer.body == b""
    assert parallel(sim) == (3 if executed else 2)
    (row,) = sim.writes()
    assert (row["status"], row["executed"], row["fault"]) == (None, executed, effect)
    assert ask(sim, "PATCH", POLICY, OTHER).status == 200, "the fault plan applies to one request"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 418])
def test_an_injected_status_is_returned_and_the_request_is_not_executed(sim: Simulator, status: int) -> None:
    sim.fault(match=r"^PATCH .*/policy$", status=status, times=1)
    answer = ask(sim, "PATCH", POLICY, OTHER)
    assert answer.status == status and set(answer.json) == {"detail"}
    assert parallel(sim) == 2
    assert (sim.writes()[0]["executed"], sim.writes()[0]["status"]) == (False, status)


def test_commit_then_status_executes_the_request_and_returns_an_error(sim: Simulator) -> None:
    sim.fault(operation="set_fleet_update_policy", commit_then_status=502, times=1)
    assert ask(sim, "PATCH", POLICY, OTHER).status == 502
    assert parallel(sim) == 3
    assert (sim.writes()[0]["executed"], sim.writes()[0]["status"]) == (True, 502)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_given_in_seconds_or_as_a_date(sim: Simulator, status: int) -> None:
    sim.knobs(clock_skew_s=3600)
    for form in ("seconds", "date"):
        sim.fault(match="GET .*policy", status=status, retry_after=7, retry_after_form=form, times=1)
    seconds, date = (ask(sim, "GET", POLICY) for _dummy in range(2))
    assert (seconds.status, seconds.headers["retry-after"]) == (status, "7")
    wait = parsedate_to_datetime(date.headers["retry-after"]) - parsedate_to_datetime(date.headers["date"])
    assert date.status == status and wait.total_seconds() == pytest.approx(7, abs=1)


def test_a_truncated_body_is_shorter_than_its_content_length(sim: Simulator) -> None:
    whole = ask(sim, "GET", POLICY).body
    sim.fault(operation="get_fleet_update_policy", truncated_body=True, times=1)
    answer = ask(sim, "GET", POLICY)
    assert answer.status == 200 and int(answer.headers["content-length"]) == len(whole)
    assert 0 < len(answer.body) < len(whole) and whole.startswith(answer.body)


def test_an_html_body_replaces_the_answer_with_and_without_an_error_status(sim: Simulator) -> None:
    sim.fault(operation="set_fleet_update_policy", html_body=True, status=502, times=1)
    sim.fault(operation="set_fleet_update_policy", html_body=True, times=1)
    for status, now in ((502, 2), (200, 3)):
        answer = ask(sim, "PATCH", POLICY, OTHER)
        assert answer.status == status and answer.headers["content-type"] == "text/html"
        assert answer.body.startswith(b"<html>")
        assert parallel(sim) == now


def test_empty_204_has_no_body_and_no_length(sim: Simulator) -> None:
    sim.fault(operation="set_fleet_update_policy", empty_204=True, times=1)
    answer = ask(sim, "PATCH", POLICY, OTHER)
    assert (answer.status, answer.body) == (204, b"") and "content-length" not in answer.headers
    assert parallel(sim) == 3


def test_delayed_answers_are_complete_and_late(sim: Simulator) -> None:
    whole = ask(sim, "GET", POLICY).body
    for effect in ("slow_read", "latency_s", "latency_after_s"):
        sim.fault(operation="get_fleet_update_policy", times=1, **{effect: 0.4})
        began = time.monotonic()
        answer = ask(sim, "GET", POLICY)
        assert time.monotonic() - began >= 0.4 and answer.body == whole


def test_the_latency_of_a_request_does_not_delay_other_requests(sim: Simulator) -> None:
    sim.fault(operation="get_fleet_update_policy", latency_s=5, times=1)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(ask, sim, "GET", POLICY)
        while not sim.journal():
            time.sleep(0.02)
        assert ask(sim, "GET", POLICY).status == 200
        assert not slow.done()
        assert slow.result().status == 200


def test_fault_plans_apply_in_order_and_by_count_instance_and_probability(sim: Simulator) -> None:
    first, second = sim.instance_ids[:2]
    health = "/v1/instances/{}/health/deep"
    sim.fault(operation="get_deep_health", instance="agent-001", status=500, skip=1, times=1)
    sim.fault(operation="get_deep_health", status=503, times=1)
    asked = [ask(sim, "GET", health.format(name)).status for name in (first, first, second, first)]
    assert asked == [503, 500, 200, 200]
    sim.clear_faults()
    sim.fault(match="health", status=500, probability=0.5)
    statuses = [ask(sim, "GET", health.format(first)).status for _dummy in range(60)]
    assert 10 <= statuses.count(500) <= 50


def test_an_invalid_fault_plan_or_knob_is_refused_with_the_reason(sim: Simulator) -> None:
    for plan, reason in (
        ({"operation": "reboot"}, "needs an effect"),
        ({"status": 500}, "needs `match`"),
        ({"match": "x", "sttaus": 500}, "sttaus"),
        ({"match": "(", "status": 500}, "not a regular expression"),
        ({"match": "x", "status": 99}, "200 to 599"),
    ):
        with pytest.raises(ValueError, match=reason):
            sim.fault(**plan)
    with pytest.raises(ValueError, match="no setting 'deploy_z'"):
        sim.knobs(deploy_z=1)
    with pytest.raises(ValueError, match="must be one of"):
        sim.knobs(window_error=500)


def test_the_rate_limit_refuses_requests_with_a_retry_after(sim: Simulator) -> None:
    sim.knobs(rate_limit={"rps": 0.5, "burst": 3})
    answers = [ask(sim, "PATCH", POLICY, {"max_parallel_rollouts": 10 + number}) for number in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    sim.knobs(rate_limit=None)
    assert parallel(sim) == 12


def test_refuse_writes_answers_500_and_records_the_request(sim: Simulator) -> None:
    sim.knobs(refuse_writes=True)
    assert ask(sim, "GET", POLICY).status == 200
    assert ask(sim, "PATCH", POLICY, OTHER).status == 500
    assert parallel(sim) == 2
    assert [(row["operation_id"], row["fault"]) for row in sim.writes()] == [
        ("set_fleet_update_policy", "refuse_writes")
    ]


@pytest.mark.parametrize("effect", ["latency_s", "latency_after_s", "slow_read"])
def test_stopping_the_simulator_during_a_delayed_answer_is_not_an_error(effect: str) -> None:
    with ThreadPoolExecutor(1) as pool, running_simulator(instances=1) as sim:
        sim.fault(operation="get_fleet_update_policy", times=1, **{effect: 30.0})
        pool.submit(ask, sim, "GET", POLICY)
        while not sim.journal(operation_id="get_fleet_update_policy"):
            time.sleep(0.05)
