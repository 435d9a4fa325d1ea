# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What limits instance_runtime: the maintenance window, the policy, roles and times."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, execute
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time
from ansible_collections.fleetops.agents.plugins.modules.instance_runtime import OPERATION
from tests.integration.module_task import ModuleTask, posts, put_to_rest, run_module
from tests.simulator.running import Simulator, running_simulator
from tests.unit.client.crooked_server import crooked_server

FORK = multiprocessing.get_context("fork")


def run_task(sim: Simulator, host: str = "agent-001", **options: Any) -> ModuleTask:
    return run_module(sim, "instance_runtime", host, **options)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    with running_simulator(instances=4, speed=0) as sim:
        yield sim


@pytest.fixture
def sim(fleet: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    put_to_rest(fleet)
    return fleet


def hour_of(sim: Simulator) -> int:
    return int(sim.state()["now"] // 3600) % 24


def close_window(sim: Simulator, opens_in: int = 5) -> str:
    """Close the window for some hours. Returns its hours in words."""
    now = hour_of(sim)
    start, end = (now + opens_in) % 24, (now + opens_in + 2) % 24
    hours = {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}
    sim.knobs(window_applies_to="everything", policy=hours)
    return f"The maintenance window ({start:02d}:00 to {end:02d}:00 UTC) is closed; it opens next at "


# Window and roles


def test_after_the_given_time_nothing_is_sent(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": "stuck"})
    run_task(sim, "agent-002", wait=False)
    sim.clear_journal()
    start_by = iso_time(sim.state()["now"] + 600)
    done = run_task(sim, start_by=start_by)
    assert posts(sim) == []
    assert done.result["skipped"] and not done.result["changed"] and 590 <= sum(done.pauses) <= 620
    assert done.result["not_admitted"]["verdict"] == "deferred"
    assert run_task(sim, start_by="soon").msg == "start_by is 'soon': a time such as 2026-12-24T18:00:00Z was expected."


# behaviour 3.5, row 12
@pytest.mark.parametrize("kind", [403, 409, 422, "200_skip", "defer_countdown"])
def test_a_closed_window_is_reported_the_same_however_the_server_refuses(sim: Simulator, kind: object) -> None:
    sim.knobs(window_error=kind)
    hours = close_window(sim)
    done = run_task(sim, wait_timeout=60)
    assert done.result["failed"] and hours in done.msg, done.msg
    assert posts(sim) == ["redeploy_runtime"], "sent once, not repeated until the window opens"
    if kind == "defer_countdown":
        assert done.result["timed_out"] and "it is queued" in done.msg
    else:
        assert done.pauses == [] and not done.result["changed"]


def test_an_open_or_absent_window_is_not_mentioned(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", status=403, detail="Admin role required")
    done = run_task(sim)
    assert "Admin role required" in done.msg and "window (" not in done.msg


def test_an_insufficient_role_is_reported_in_one_sentence(sim: Simulator) -> None:
    done = run_task(sim, key=sim.keys["user"])
    assert done.result["failed"] and not done.result["changed"]
    assert done.result["error"]["kind"] == "forbidden" and "Admin role required" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# Policy


# behaviour 3.5, row 14
@pytest.mark.parametrize(
    ("most", "message"),
    [
        (0, "is 0: rollouts are switched off"),
        (None, "is not given by the server"),
        ("two", "is 'two', which is not a whole number; nothing may start"),
        (1.5, "is 1.5, which is not a whole number"),
        (True, "is True, which is not a whole number"),
    ],
)
def test_a_policy_without_a_valid_limit_refuses_the_task(sim: Simulator, most: object, message: str) -> None:
    sim.knobs(policy={"max_parallel_rollouts": most})
    done = run_task(sim)
    assert done.result["failed"] and message in done.msg and not done.result["changed"]
    assert posts(sim) == []


def test_the_task_waits_for_a_free_place_in_the_fleet(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": {"duration_s": 90}})
    sim.call("POST", f"/v1/instances/{sim.instance('agent-002')['id']}/runtime/redeploy")
    sim.clear_journal()
    done = run_task(sim)
    assert not done.result.get("failed"), done.result
    assert done.result["waited_seconds"] > 90
    assert sim.in_flight()["violations"] == []
    assert posts(sim) == ["redeploy_runtime"]


def test_a_fleet_that_stays_full_fails_the_task_with_a_message_that_says_so(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": "stuck"})
    sim.call("POST", f"/v1/instances/{sim.instance('agent-002')['id']}/runtime/redeploy")
    sim.clear_journal()
    done = run_task(sim, admission_timeout=60)
    assert done.result["timed_out"] and not done.result["changed"]
    assert "for 60 s as many redeploys as max_parallel_rollouts allows are in flight" in done.msg
    assert posts(sim) == []


@pytest.mark.parametrize("mode", [409, 429])
def test_a_redeploy_that_a_full_server_refuses_is_sent_again_later(sim: Simulator, mode: int) -> None:
    sim.fault(operation="redeploy_runtime", status=mode, retry_after=0, detail="full", times=6)
    result = run_task(sim).result
    assert not result.get("failed") and result["changed"], result
    assert [row["executed"] for row in sim.writes()] == [False] * 6 + [True]


# behaviour 3.5, row 21
def test_a_server_that_stays_full_fails_the_task_with_a_message_that_says_so(sim: Simulator) -> None:
    sim.fault(operation="redeploy_runtime", status=409, detail="busy, try tomorrow")
    done = run_task(sim, admission_timeout=30)
    assert done.result["timed_out"] and "the server answered: busy, try tomorrow" in done.msg


def test_a_refusal_that_waiting_cannot_change_fails_at_once(sim: Simulator) -> None:
    sim.knobs(stopped=["agent-001"])
    done = run_task(sim)
    sim.knobs(running=["agent-001"])
    assert done.result["failed"] and not done.result["changed"] and "timed_out" not in done.result
    assert done.result["error"]["kind"] == "conflict" and "Instance is not running. It is not about" in done.msg
    assert posts(sim) == ["redeploy_runtime"] and done.pauses == []


def test_without_admission_the_server_decides_about_the_limit(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 0})
    sim.fault(operation="redeploy_runtime", status=409, detail="full")
    done = run_task(sim, admission="none")
    assert done.result["error"]["kind"] == "conflict" and len(posts(sim)) == 1


def test_an_unusable_lock_folder_is_reported_in_a_sentence(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / f"fleetops-agents-{os.geteuid()}").write_text("in the way")
    done = run_task(sim)
    assert done.result["failed"] and "was not redeployed: the folder" in done.msg and "File exists" in done.msg
    assert posts(sim) == []


# Times


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wait_interval": 0}, "wait_interval is 0.0: it must be above 0 seconds"),
        ({"wait_interval": -1}, "wait_interval is -1.0"),
        ({"wait_interval": "nan"}, "wait_interval is nan"),
        ({"wait_timeout": -1}, "wait_timeout is -1: it must be 0 or more"),
        ({"admission_timeout": -1}, "admission_timeout is -1"),
        ({"healthy_timeout": -5}, "healthy_timeout is -5"),
        ({"healthy_reads": -1}, "healthy_reads is -1"),
        ({"uncertain_grace": -1}, "uncertain_grace is -1"),
        ({"request_timeout": 0}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is 0.0"),
        ({"request_timeout": -1}, "request_timeout is -1.0"),
        ({"request_timeout": "inf"}, "request_timeout (FLEETOPS_REQUEST_TIMEOUT) is inf"),
        ({"retries": -1}, "retries (FLEETOPS_RETRIES) is -1"),
    ],
)
def test_an_invalid_wait_time_is_reported_in_a_sentence(sim: Simulator, options: dict[str, Any], message: str) -> None:
    done = run_task(sim, **options)
    assert done.result["failed"] and message in done.msg, done.result
    assert sim.journal() == []


def test_a_wait_timeout_of_zero_reads_once(sim: Simulator) -> None:
    done = run_task(sim, wait_timeout=0)
    assert done.result["timed_out"] and "did not end within 0 s" in done.msg
    assert posts(sim) == ["redeploy_runtime"]


# Answers that the simulator never gives


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (None, "names no runtime"),
        ("4.18.2", "names no runtime"),
        ({}, "names no runtime"),
        ({"slug": "agent"}, "does not say whether"),
        ({"has_update": None, "current_version": "1"}, "does not say whether"),
    ],
)
def test_a_runtime_without_versions_does_not_count_as_current(runtime: Any, message: str) -> None:
    with crooked_server() as server:
        server.says({"instance_id": "x", "runtime": runtime})
        done = run_task(_at(server.url), instance_id="x")
    assert done.result["failed"] and message in done.msg


def test_versions_are_compared_if_the_server_does_not_say_whether_an_update_exists() -> None:
    with crooked_server() as server:
        server.says({"runtime": {"current_version": "1", "available_version": "1"}})
        assert run_task(_at(server.url), instance_id="x").result["changed"] is False


def _at(url: str) -> Simulator:
    """A handle that only has an address and a key."""
    return Simulator(url, {"tenant_admin_override": "some-key"}, None)  # type: ignore[arg-type]


# Several controllers as processes, in real time


def _redeploy(url: str, key: str, identity: str, ended: Any) -> None:
    given = {"api_url": url, "api_key": key, "instance_id": identity, "wait_interval": 0.05, "healthy_reads": 1}
    params = ArgumentSpecValidator(OPERATION.argument_spec()).validate(given).validated_parameters
    result = execute(OPERATION, Context(params))
    ended.put((identity, result.get("msg", ""), result["changed"]))


# behaviour 3.5, row 13
@pytest.mark.parametrize(
    "server",
    [
        {"max_parallel_mode": "none"},
        {"max_parallel_mode": "none", "list_lag_s": 20},
        {"max_parallel_mode": 409},
        {"max_parallel_mode": 429},
    ],
    ids=["a server without a limit", "that shows rows late", "a server that says 409", "a server that says 429"],
)
def test_no_more_redeploys_are_in_flight_than_the_policy_allows_even_when_it_is_lowered(
    server: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    # Two seconds of real time each: even on a busy machine, three of them are under way at once.
    knobs = {"deploy_s": [80, 100], "policy": {"max_parallel_rollouts": 3}, **server}
    with running_simulator(instances=7, speed=40.0, knobs=knobs) as sim:
        ended = FORK.Queue()
        ids = sim.instance_ids
        workers = [
            FORK.Process(target=_redeploy, args=(sim.url, sim.admin_key, one, ended), daemon=True) for one in ids
        ]
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + 120
        while sim.in_flight()["maximum"] < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        sim.knobs(policy={"max_parallel_rollouts": 1})
        results = [ended.get(timeout=180) for _dummy in workers]
        for worker in workers:
            worker.join(60)
        assert [(msg, changed) for _one, msg, changed in results] == [("", True)] * 7
        in_flight = sim.in_flight()
        assert in_flight["maximum"] == 3, "the policy was used, and never exceeded"
        assert in_flight["violations"] == []
        executed = [row["path"] for row in sim.writes() if row["executed"]]
        assert len(executed) == len(set(executed)) == 7


# behaviour 3.5, row 13
def test_redeploys_of_others_and_own_ones_that_are_not_listed_yet_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server accepts any number and lists a row 20 s late: only the client's own count keeps to the limit."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    knobs = {
        "deploy_s": [60, 80],
        "list_lag_s": 20,
        "max_parallel_mode": "none",
        "policy": {"max_parallel_rollouts": 2},
        "outcomes": {"agent-005": {"duration_s": 300}},
    }
    with running_simulator(instances=5, speed=20.0, knobs=knobs) as sim:
        foreign = sim.instance("agent-005")["id"]
        assert sim.call("POST", f"/v1/instances/{foreign}/runtime/redeploy")[0] == 200
        sim.advance(25)
        ended = FORK.Queue()
        ours = [one for one in sim.instance_ids if one != foreign]
        workers = [
            FORK.Process(target=_redeploy, args=(sim.url, sim.admin_key, one, ended), daemon=True) for one in ours
        ]
        for worker in workers:
            worker.start()
        results = [ended.get(timeout=180) for _dummy in workers]
        for worker in workers:
            worker.join(60)
        assert [(msg, changed) for _identity, msg, changed in results] == [("", True)] * 4
        in_flight = sim.in_flight()
    assert in_flight["violations"] == []
    assert in_flight["maximum"] == 2
