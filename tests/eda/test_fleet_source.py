# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source and the simulator: events are sent once even after restarts and kills, and API errors are logged."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source import instances
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.events import (
    EVENTS,
    ROLLOUT_EVENTS,
    TARGET_EVENTS,
)
from tests.eda.following import (
    CHECKOUT,
    EXTENSION,
    Event,
    Killed,
    Rules,
    arguments,
    following,
    full_poll,
    source,
    until,
)
from tests.simulator.running import Simulator, running_simulator

SCHEMA = jsonschema.Draft202012Validator(json.loads((EXTENSION / "schemas" / "fleet.json").read_text()))
FLEET = "/v1/instances/fleet/runtime"


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """Six instances. Each test begins with a poll, so the changes of other tests are not news."""
    with running_simulator(instances=6, speed=1.0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def quiet(sim: Simulator) -> Iterator[None]:
    """Reset faults and knobs after each test, and let everything in progress end."""
    yield
    sim.clear_faults()
    sim.knobs(list_lag_s=0, outcomes={"*": []}, disease={"*": "none"}, audit_per_hour=6)
    for _batch in range(4):
        sim.advance(120)


def fleet_rollout(sim: Simulator, version: str) -> None:
    sim.knobs(publish=version)
    assert sim.call("POST", f"{FLEET}/rollout?override_window=true")[0] == 200


def newest(sim: Simulator) -> str:
    return sim.call("GET", f"{FLEET}/rollouts?limit=1&offset=0")[1][0]["id"]


def targets_of(sim: Simulator, rollout_id: str) -> dict[str, Any]:
    """The targets by instance id."""
    return {row["instance_id"]: row for row in sim.call("GET", f"{FLEET}/rollouts/{rollout_id}")[1]["targets"]}


def follow(args: dict[str, Any], script: Any) -> Rules:
    """Run ``await script(task, rules)`` while the source runs, and validate each event."""

    async def run() -> Rules:
        rules = Rules()
        async with following(args, rules) as task:
            await script(task, rules)
        return rules

    rules = asyncio.run(run())
    for event in rules.events:
        SCHEMA.validate(event)
        assert event["meta"]["uuid"] == event["id"]
    return rules


def ids(events: list[Event]) -> list[str]:
    return [event["id"] for event in events]


def test_each_event_of_a_rollout_is_sent_once_even_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    args = arguments(sim, tmp_path / "mark", events=list(EVENTS))
    sim.knobs(outcomes={"agent-001": ["failed"], "agent-002": ["uncertain_not_applied"]})

    async def first(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        assert rules.events == []
        fleet_rollout(sim, "9.1.0")
        await full_poll(task, sim)
        assert sim.call("POST", f"{FLEET}/rollouts/{newest(sim)}/pause")[0] == 200
        await full_poll(task, sim)
        assert sim.call("POST", f"{FLEET}/rollouts/{newest(sim)}/resume")[0] == 200
        for _batch in range(8):
            await full_poll(task, sim)
            sim.advance(20)
        await full_poll(task, sim)

    rules = follow(args, first)
    rollout = newest(sim)
    types = [word for word in rules.types() if not word.startswith("instance.")]
    assert types[:3] == ["rollout.started", "rollout.paused", "rollout.resumed"]
    assert sorted(types[3:-1]) == ["target.failed"] + 4 * ["target.succeeded"] + ["target.uncertain"]
    assert types[-1] == "rollout.finished"
    ended = rules.events[-1]
    assert ended["rollout"]["id"] == rollout
    assert ended["rollout"]["status"] == "partial"
    assert (ended["rollout"]["targets"]["failed"], ended["rollout"]["targets"]["uncertain"]) == (1, 1)
    failed = next(event for event in rules.events if event["type"] == "fleetops.target.failed")
    hostname = sim.instance("agent-001")["hostname"]
    assert failed["instance"] == {"id": sim.instance("agent-001")["id"], "name": hostname}
    assert failed["meta"]["hosts"] == hostname
    assert failed["target"]["failures"] == 1
    assert "checksum" in failed["target"]["error_message"]

    # The failed target is retried and fails again while the source does not run.
    sim.knobs(outcomes={"agent-001": ["failed", "failed", "failed", "failed"]})
    assert sim.call("POST", f"{FLEET}/rollouts/{rollout}/targets/{failed['target']['id']}/retry")[0] == 200
    sim.advance(60)

    async def second(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)

    again = follow(args, second)
    assert again.types() == ["target.failed", "rollout.finished"]
    assert again.events[0]["target"]["failures"] == 2
    assert not set(ids(again.events)) & set(ids(rules.events))
    assert follow(args, second).events == []


def test_a_change_of_health_is_an_event_except_during_a_deployment(sim: Simulator, tmp_path: Path) -> None:
    args = arguments(sim, tmp_path / "mark", live=True, unhealthy_after=2)
    sick = sim.instance("agent-003")

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        # A deployment restarts the agent, which is then degraded for a while. That is not an event.
        assert sim.call("POST", f"/v1/instances/{sim.instance('agent-004')['id']}/runtime/redeploy")[0] == 200
        for _second in range(15):
            sim.advance(2)
            await full_poll(task, sim)
        sim.knobs(disease={"agent-003": "process"})
        await until(task, lambda: "instance.unhealthy" in rules.types())
        assert sim.call("POST", f"/v1/instances/{sick['id']}/actions/power-cycle")[0] == 200
        sim.advance(10)
        await until(task, lambda: "instance.healthy" in rules.types())
        sim.knobs(gone=["agent-006"])
        await until(task, lambda: "instance.gone" in rules.types())
        # It may appear again. After a day, it costs no more calls.
        await full_poll(task, sim)
        sim.advance(90_000)
        await full_poll(task, sim)
        before = max(row["seq"] for row in sim.journal())
        await full_poll(task, sim)
        polled = {row["path"].split("/")[3] for row in sim.journal(operation_id="get_deep_health", since=before)}
        assert len(polled) == 5 and rules.events[-1]["instance"]["id"] not in polled

    rules = follow(args, script)
    health = [event for event in rules.events if event["type"].startswith("fleetops.instance.")]
    assert [event["type"] for event in health] == [f"fleetops.instance.{w}" for w in ("unhealthy", "healthy", "gone")]
    assert health[0]["instance"] == health[1]["instance"] == {"id": sick["id"], "name": sick["hostname"]}
    assert (health[0]["health"]["status"], health[0]["health"]["unwell"]) == ("unhealthy", ["worker"])
    assert sim.call("GET", f"/v1/instances/{health[2]['instance']['id']}/health/deep")[0] == 404


def test_a_deployment_that_begins_while_the_instances_are_polled_is_not_an_unhealthy_instance(
    sim: Simulator, tmp_path: Path
) -> None:
    # The poll of a large fleet takes minutes. Here, the calls are slow.
    args = arguments(sim, tmp_path / "mark", live=True, max_rate=6)
    last = max(row["id"] for row in sim.state()["instances"])

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        sim.knobs(warmup_s=50)
        before = max(row["seq"] for row in sim.journal())
        await until(task, lambda: sim.journal(operation_id="list_fleet_rollouts", since=before))
        assert sim.call("POST", f"/v1/instances/{last}/runtime/redeploy")[0] == 200
        while sim.call("GET", f"/v1/instances/{last}/health/deep?force=true")[1]["status"] == "healthy":
            sim.advance(5)
        await full_poll(task, sim)
        sim.knobs(warmup_s=2)

    rules = follow(args, script)
    assert "instance.unhealthy" not in rules.types() and "rollout.started" in rules.types()


def test_the_rollouts_are_polled_at_their_interval_while_many_instances_are_polled(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "INSTANCES_AT_ONCE", 2)
    operations = ("list_fleet_rollouts", "get_deep_health")

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        before = max(row["seq"] for row in sim.journal())
        await until(task, lambda: len(sim.journal(operation_id="get_deep_health", since=before)) >= 12)
        calls = [row["operation_id"] for row in sim.journal(since=before) if row["operation_id"] in operations]
        assert max(len(list(same)) for name, same in groupby(calls) if name == "get_deep_health") == 2, calls

    follow(arguments(sim, tmp_path / "mark", max_rate=12), script)


def test_a_rollout_that_appears_late_after_newer_ones_causes_events(sim: Simulator, tmp_path: Path) -> None:
    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        sim.knobs(list_lag_s=300)
        assert sim.call("POST", f"/v1/instances/{sim.instance('agent-001')['id']}/runtime/redeploy")[0] == 200
        sim.knobs(list_lag_s=0)
        sim.advance(5)
        assert sim.call("POST", f"/v1/instances/{sim.instance('agent-002')['id']}/runtime/redeploy")[0] == 200
        sim.advance(100)
        await full_poll(task, sim)
        assert rules.types() == ["rollout.started", "rollout.finished"]
        sim.advance(300)
        await full_poll(task, sim)

    rules = follow(arguments(sim, tmp_path / "mark", events=list(ROLLOUT_EVENTS)), script)
    assert rules.types() == ["rollout.started", "rollout.finished"] * 2
    created = [event["rollout"]["created_at"] for event in rules.events]
    assert created[2] < created[0]


def test_audit_events_are_sent_once_even_if_they_are_ingested_late(sim: Simulator, tmp_path: Path) -> None:
    args = arguments(sim, tmp_path / "mark", events=["fleetops.audit.event"])
    instance = sim.instance("agent-002")["id"]

    def listed() -> set[str]:
        rows: list[Event] = []
        while page := sim.call("GET", f"/v1/instances/{instance}/runtime/audit?limit=500&offset={len(rows)}")[1]:
            rows += page
        return {row["id"] for row in rows if row["outcome"] in ("error", "denied")}

    async def one_poll(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)

    follow(args, one_poll)
    before = listed()
    sim.knobs(audit_per_hour=400, audit_error_share=0.3, audit_ingest_lag_s=60)
    sent: list[Event] = []
    for _restart in range(3):

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            for _minute in range(4):
                sim.advance(90)
                await full_poll(task, sim)

        sent += follow(args, script).events
    sim.knobs(audit_per_hour=0)
    # Until everything is ingested. Otherwise an event could appear after the poll.
    sim.advance(90)
    sent += follow(args, one_poll).events
    mine = [event["audit"]["id"] for event in sent if event["instance"]["id"] == instance]
    assert len(mine) == len(set(mine)) > 4
    assert set(mine) == listed() - before


def test_after_a_kill_no_event_is_lost_and_a_repeated_event_is_marked(sim: Simulator, tmp_path: Path) -> None:
    """The source is killed at each event, before and after it has put the event into the queue."""
    args = arguments(sim, tmp_path / "mark", events=[e for e in EVENTS if "rollout" in e or "target" in e])
    whole = arguments(sim, tmp_path / "undisturbed", events=args["events"])

    async def first(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)

    follow(args, first)
    follow(whole, first)
    sim.knobs(outcomes={"agent-005": ["failed", "failed", "failed", "failed", "failed", "failed"]})
    fleet_rollout(sim, "9.2.0")
    for _batch in range(6):
        sim.advance(60)
    expected = follow(whole, first).events
    # The number depends on the tests before.
    assert len(expected) >= 7

    async def die(place: str) -> list[Event]:
        rules = Rules((1, place))
        with pytest.raises(Killed):
            async with following(args, rules) as task:
                await task
        return rules.events

    sent: list[Event] = []
    for _event in expected:
        assert asyncio.run(die("before")) == []
        sent += asyncio.run(die("after"))
    sent += follow(args, first).events
    fresh = [event for event in sent if not event["repeated"]]
    assert len(ids(fresh)) == len(set(ids(fresh)))
    assert list(dict.fromkeys(ids(sent))) == ids(expected)


def test_after_a_sigkill_no_event_is_lost_and_at_most_one_is_repeated(sim: Simulator, tmp_path: Path) -> None:
    args = arguments(sim, tmp_path / "mark", events=["fleetops.rollout.started", "fleetops.rollout.finished"])
    sent = tmp_path / "sent"

    async def first(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)

    follow(args, first)

    def lines() -> list[Event]:
        # The last line may not have been written completely.
        return [json.loads(line) for line in sent.read_text().split("\n")[:-1]] if sent.exists() else []

    for kill in (True, False):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.eda.following", str(sent)],
            cwd=CHECKOUT,
            env={**os.environ, "SOURCE_ARGUMENTS": json.dumps(args)},
            stderr=subprocess.DEVNULL,
        )
        try:
            sim.knobs(insert_rollouts=10)
            expected = 10 if kill else 40
            end = time.monotonic() + 20
            while len({event["id"] for event in lines()}) < expected and time.monotonic() < end:
                time.sleep(0.001)
        finally:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            process.wait(60)
    known = {event["rollout"]["id"] for event in lines()}
    assert len(known) == 20
    assert len({event["id"] for event in lines()}) == 40
    # At most one event was being sent when the process was killed, and is sent again.
    assert len(lines()) - 40 <= sum(event["repeated"] for event in lines()) <= 1


def test_with_feedback_an_event_waits_for_the_confirmation_of_the_previous_one(sim: Simulator, tmp_path: Path) -> None:
    """With feedback, an event counts as sent when the engine has confirmed it, and only then is the next one sent."""
    args = arguments(sim, tmp_path / "mark", feedback=True, events=list(ROLLOUT_EVENTS))

    async def run(confirm: int, insert: int = 0) -> list[Event]:
        rules, feedback = Rules(), asyncio.Queue[Event]()
        async with following({**args, "eda_feedback_queue": feedback}, rules) as task:
            if insert:
                await full_poll(task, sim)
                sim.knobs(insert_rollouts=insert)
            for number in range(1, confirm + 1):
                await until(task, lambda n=number: len(rules.events) >= n)  # type: ignore[misc]
                await asyncio.sleep(0.05)
                assert len(rules.events) == number
                await feedback.put(rules.events[-1])
            await until(task, lambda: len(rules.events) > confirm)
        return rules.events

    first = asyncio.run(run(1, insert=1))
    second = asyncio.run(run(0))
    assert [event["type"] for event in first] == ["fleetops.rollout.started", "fleetops.rollout.finished"]
    assert [event["repeated"] for event in second] == [True]
    assert second[0]["id"] == first[1]["id"]


def test_errors_of_the_api_are_logged_and_polling_continues(
    sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    args = arguments(sim, tmp_path / "mark", events=[*ROLLOUT_EVENTS, "fleetops.instance.unhealthy"])

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        sim.clear_journal()
        sim.fault(operation="list_fleet_rollouts", status=429, retry_after=1, times=1)
        sim.fault(operation="list_fleet_rollouts", status=503, detail="maintenance", times=1)
        sim.fault(operation="get_rollout_timeline", html_body=True, times=1)
        sim.fault(operation="get_deep_health", reset_before=True, times=1)
        sim.knobs(insert_rollouts=1)
        await until(task, lambda: "rollout.finished" in rules.types())
        await full_poll(task, sim)

    rules = follow(args, script)
    assert rules.types() == ["rollout.started", "rollout.finished"]
    rows = sim.journal(operation_id="list_fleet_rollouts")
    refused = next(n for n, row in enumerate(rows) if row["status"] == 429)
    log = caplog.text
    assert rows[refused + 1]["status"] == 503
    assert "HTTP 429; all calls wait for 1 s" in log
    assert re.search(r"HTTP 503 \(request id sim-\d+\): maintenance\. Trying again in 1 s \(failure 1\)\.", log)
    assert "the answer is not JSON but text/html" in log and "Polling continues." in log
    assert "The API answers again after" in log
    assert args["api_key"] not in log


def test_old_rollouts_that_could_not_be_read_at_first_cause_no_events_later(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(operation="get_rollout_timeline", status=500, times=6)

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        await full_poll(task, sim)
        assert sim.journal(operation_id="get_rollout_timeline", status=500)
        sim.knobs(insert_rollouts=1)
        await full_poll(task, sim)

    events = [*ROLLOUT_EVENTS, *TARGET_EVENTS]
    sent = follow(arguments(sim, tmp_path / "mark", events=events), script).types()
    assert (sent[0], sent[-1]) == ("rollout.started", "rollout.finished")
    assert sent.count("rollout.started") == sent.count("rollout.finished") == 1


def test_an_error_of_a_single_instance_is_logged_once(
    sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sim.fault(operation="get_deep_health", instance="agent-002", status=500, detail="no worker", times=50)

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await until(task, lambda: len(sim.journal(operation_id="get_deep_health", status=500)) >= 3)

    sim.clear_journal()
    follow(arguments(sim, tmp_path / "mark", events=["fleetops.instance.unhealthy"]), script)
    assert caplog.text.count("no worker. Polling continues.") == 1


def test_an_instance_whose_calls_are_never_answered_hides_no_other_instance(
    sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sim.fault(operation="get_deep_health", instance="agent-002", reset_before=True, times=100_000)

    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)
        sim.knobs(disease={"agent-003": "process"})
        await until(task, lambda: "agent-003" in str(rules.events), 30)
        sim.fault(operation="get_deep_health", reset_before=True, times=100_000)
        await until(task, lambda: "(failure 1)" in caplog.text, 30)

    follow(arguments(sim, tmp_path / "mark", live=True, events=["fleetops.instance.unhealthy"]), script)
    assert 1 <= caplog.text.count("Polling continues.") <= 6


def test_with_start_from_earliest_old_rollouts_cause_events(sim: Simulator, tmp_path: Path) -> None:
    async def script(task: asyncio.Task[None], rules: Rules) -> None:
        await full_poll(task, sim)

    args = arguments(sim, tmp_path / "mark", start_from="earliest", events=["fleetops.rollout.finished"])
    listed = sim.call("GET", f"{FLEET}/rollouts?limit=100&offset=0")[1]
    sent = follow(args, script).events
    assert {event["rollout"]["id"] for event in sent} == {row["id"] for row in listed if row["completed_at"]}
    assert [event["rollout"]["created_at"] for event in sent] == sorted(e["rollout"]["created_at"] for e in sent)


def test_a_wrong_key_stops_the_source_with_one_sentence(sim: Simulator, tmp_path: Path) -> None:
    args = arguments(sim, tmp_path / "mark", api_key="wrong-key-of-somebody")
    with pytest.raises(SourceError) as refusal:
        asyncio.run(asyncio.wait_for(source["main"](Rules(), args), 10))
    assert re.sub(r"sim-\d+", "N", str(refusal.value)) == (
        f"GET {FLEET}/rollouts failed with HTTP 401 (request id N): Invalid or missing API key. Check api_key"
        " (FLEETOPS_API_KEY): it is missing, wrong, expired or of another tenant."
    )
    assert not (tmp_path / "mark").exists()


def test_after_a_restart_a_deployment_still_explains_that_its_instance_is_unhealthy(tmp_path: Path) -> None:
    events = ["fleetops.rollout.finished", "fleetops.instance.unhealthy"]
    first, second = Rules(), Rules()

    async def run() -> None:
        async with following(args, first) as task:
            await full_poll(task, sim)
            assert sim.call("POST", f"/v1/instances/{sim.instance('agent-001')['id']}/runtime/redeploy")[0] == 200
            while not first.events:
                sim.advance(2)
                await full_poll(task, sim)
            sim.knobs(disease={"agent-001": "process"})
            await full_poll(task, sim)
        async with following(args, second) as task:
            await full_poll(task, sim)
            assert second.events == []
            sim.advance(70)
            await until(task, lambda: second.events)

    with running_simulator(instances=1, speed=1.0) as sim:
        args = arguments(sim, tmp_path / "mark", live=True, events=events)
        asyncio.run(run())
    assert first.types() == ["rollout.finished"]
    assert second.types() == ["instance.unhealthy"]
