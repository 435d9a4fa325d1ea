# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate with metric checks, against a server that answers as Prometheus does or in an unexpected way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import PlaybookRun
from tests.integration.module_task import ModuleTask, put_to_rest, run_module
from tests.integration.prometheus import PARSE_ERROR, Prometheus, prometheus
from tests.integration.simulated_fleet import names_to_ids
from tests.simulator.running import Simulator, running_simulator

TOKEN = "metrics-token-of-the-test"
CHECK = {"name": "failed calls", "query": "errors", "must_be": "< 0.01"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    with running_simulator(instances=2, speed=0) as sim:
        put_to_rest(sim)
        yield sim


@pytest.fixture
def server() -> Iterator[Prometheus]:
    with prometheus() as server:
        yield server


def ask(fleet: Simulator, url: str, *checks: dict[str, Any], **options: Any) -> ModuleTask:
    given = {"metric_url": url, "metric_checks": list(checks) or [CHECK], "metric_token": TOKEN, **options}
    done = run_module(fleet, "rollout_gate", next_batch=names_to_ids(fleet), **given)
    assert TOKEN not in str(done.result)
    return done


def steady(value: float | None, **labels: str) -> tuple[dict[str, str], Callable[[float], float | None]]:
    return labels, lambda at: value


def test_metrics_that_meet_their_conditions_let_the_batch_start(fleet: Simulator, server: Prometheus) -> None:
    server.metrics = {"errors": [steady(0.002)], "up == 1": [steady(1, instance="a"), steady(1, instance="b")]}
    up = {"query": "up == 1", "must_be": "== 1", "for": 600}
    done = ask(fleet, f"{server.url}/", CHECK, up)
    assert done.result["verdict"] == "pass", done.result
    first, second = (check for check in done.result["checks"] if check["name"] == "metric")
    assert first["reason"] == "failed calls is 0.002, and must be < 0.01." and first["highest"] == 0.002
    assert second["reason"] == "up == 1 is 1 to 1 in 2 series, and must be == 1 for 10 min."
    (path, form, headers), (other, window, _headers) = server.seen
    assert (path, other) == ("/prom/api/v1/query", "/prom/api/v1/query_range")
    assert abs(float(form["time"]) - time.time()) < 120
    assert (float(window["end"]) - float(window["start"]), window["step"]) == (600, "15")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert fleet.admin_key not in str(server.seen)


def test_a_metric_that_misses_its_condition_or_a_wrong_query_stops_the_run(
    fleet: Simulator, server: Prometheus
) -> None:
    rises = time.time() - 60
    server.metrics = {"errors": [steady(0.001, host="a"), ({"host": "b"}, lambda at: 0.5 if at > rises else 0.001)]}
    done = ask(fleet, server.url, {**CHECK, "for": 300}, {**CHECK, "name": "typo", "query": "sum("})
    assert done.result["verdict"] == "fail"
    assert done.result["reasons"] == [
        'failed calls is 0.5 (host="b"), but must be < 0.01 for 5 min.',
        f"Prometheus refused the query of typo: {PARSE_ERROR}. Correct it.",
    ]
    assert done.pauses == [] and len(server.seen) == 2


@pytest.mark.parametrize(
    ("value_at", "seconds", "message"),
    [
        (lambda at: None, 0, "failed calls has no data, so it is not known whether it is < 0.01."),
        (lambda at: float("nan"), 0, "failed calls has no data"),
        (lambda at: 0.0 if at > time.time() - 60 else None, 600, "there are only values for the last "),
    ],
)
def test_a_check_without_enough_data_is_inconclusive(
    fleet: Simulator, server: Prometheus, value_at: Callable[[float], float | None], seconds: float, message: str
) -> None:
    server.metrics = {"errors": [({}, value_at)]}
    done = ask(fleet, server.url, {**CHECK, "for": seconds})
    assert done.result["verdict"] == "inconclusive" and message in done.result["reasons"][0], done.result


# A value of 0, with which the check would pass.
PARTIAL = b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "0"]}, %s}'


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ((503, b"<html>Service Unavailable</html>"), "the server answers with status 503"),
        (
            (503, b'{"status": "error", "errorType": "timeout", "error": "query timed out"}'),
            "query timed out (status 503)",
        ),
        ((401, b"Unauthorized"), "the server answers with status 401, so set FLEETOPS_METRIC_TOKEN to a valid token"),
        (
            (200, b"<html>Sign in</html>"),
            "the answer is not from the HTTP API of Prometheus; check metric_url",
        ),
        ((302, b""), "the server answers with status 302"),
        ((200, PARTIAL % b'"warnings": ["no store is ready"]'), "the answer lacks data (no store is ready)"),
        ((200, PARTIAL % b'"isPartial": true'), "the answer lacks data"),
        ((404, TOKEN.encode()), "the server answers with status 404"),
        # Masked before it is shortened, so that no part of the token is shown.
        (
            (503, b'{"error": "' + b"x" * 290 + TOKEN.encode() + b'"}'),
            f"{'x' * 290}******** (status 503)",
        ),
    ],
)
def test_an_unusable_answer_is_requested_again_and_is_inconclusive(
    fleet: Simulator, server: Prometheus, instead: tuple[int, bytes], message: str
) -> None:
    server.instead = instead
    done = ask(fleet, server.url)
    assert done.result["verdict"] == "inconclusive", done.result
    assert done.result["reasons"] == [f"failed calls cannot be read: {message}."]
    assert len(server.seen) == 3 and done.pauses == [2, 2]


def test_a_remark_about_the_query_does_not_mean_that_data_is_missing(fleet: Simulator, server: Prometheus) -> None:
    server.instead = 200, PARTIAL % b'"warnings": ["PromQL info: metric might not be a counter"], "isPartial": false'
    assert ask(fleet, server.url).result["verdict"] == "pass"


def test_an_unreachable_or_slow_server_is_inconclusive(fleet: Simulator, server: Prometheus) -> None:
    odd = ask(fleet, f"http://{'a' * 70}.example")
    assert "cannot be read: the server's host name is invalid." in odd.result["reasons"][0], odd.result
    away = ask(fleet, "http://127.0.0.1:9")
    assert away.result["verdict"] == "inconclusive" and "cannot be read" in away.result["reasons"][0], away.result
    server.metrics, server.delay = {"errors": [steady(0.0)]}, 2.0
    began = time.monotonic()
    slow = ask(fleet, server.url, metric_timeout=0.3)
    assert slow.result["verdict"] == "inconclusive" and time.monotonic() - began < 60
    assert "failed calls cannot be read: " in slow.result["reasons"][0], slow.result
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric_checks": [{"query": "up"}]}, "metric_checks: entry 1: must_be is None"),
        ({"metric_url": ""}, "metric_checks need metric_url"),
        ({"metric_url": "prometheus.example.com"}, "metric_url must be an address such as https://"),
        ({"metric_url": "https://me:secret@prometheus.example.com"}, "metric_url contains a user name or password"),
        ({"metric_url": "https://prometheus.example.com:abc"}, "metric_url must be an address such as https://"),
        ({"metric_url": "https://prometheus.example.com:99999"}, "metric_url must be an address such as https://"),
        ({"metric_url": "https://prometheus.example.com?q"}, "metric_url must be an address such as https://"),
        ({"metric_token": f"{TOKEN}\u2014"}, "metric_token (FLEETOPS_METRIC_TOKEN) contains characters that an HTTP"),
        ({"metric_token": f"{TOKEN}\nX: y"}, "metric_token (FLEETOPS_METRIC_TOKEN) contains a line break"),
        ({"metric_timeout": 0}, "metric_timeout is 0.0: it must be above 0 seconds"),
        ({"metric_timeout": 86401}, "metric_timeout is 86401.0: it must be above 0 seconds, at most 86400"),
        ({"request_timeout": 1e8, "hold": "https://127.0.0.1:9/hold"}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is"),
        ({"request_timeout": 0, "hold": "https://127.0.0.1:9/hold"}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is"),
    ],
)
def test_invalid_checks_are_refused_before_any_call(fleet: Simulator, options: dict[str, Any], message: str) -> None:
    fleet.clear_journal()
    done = ask(fleet, "https://prometheus.example.com", **options)
    assert done.result["failed"] and message in done.msg and "secret@" not in done.msg
    assert fleet.journal() == []


@pytest.mark.playbook
def test_a_metric_can_stop_a_rolling_run_before_its_first_batch(
    run_playbook: Callable[..., PlaybookRun], server: Prometheus
) -> None:
    server.metrics = {"errors": [steady(0.2)]}
    # As a survey gives it, and with the token in the environment.
    asked = {"fleetops_metric_checks": '[{"query": "errors", "must_be": "< 0.01"}]', "fleetops_metric_url": server.url}
    with running_simulator(instances=2, speed=40.0) as sim:
        run = run_playbook(sim, "playbooks/rolling_redeploy.yml", e=asked, env={"FLEETOPS_METRIC_TOKEN": TOKEN})
        assert run.rc == 2 and sim.writes() == [], run.output
    assert "errors is 0.2, but must be < 0.01." in run.output and TOKEN not in run.output
    assert {headers["Authorization"] for _path, _form, headers in server.seen} == {f"Bearer {TOKEN}"}
