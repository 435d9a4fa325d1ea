# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source and unusual answers: short pages, another order, invalid times, slow bodies, refusals, proxies."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source import polling
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.events import ROLLOUT_EVENTS
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.settings import (
    inventory_problem,
    read_settings,
)
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.watermark import Watermark
from tests.eda.following import Rules, following, source, until
from tests.second_api.api import KEY, SecondApi, second_api

HOUR_AGO = 3600.0


def arguments(api: SecondApi, mark: Path, **more: Any) -> dict[str, Any]:
    quick = {"interval": 0.05, "instance_interval": 0.01, "max_rate": 5000}
    return {"api_url": api.url, "api_key": KEY, "watermark": str(mark), **quick, **more}


async def full_poll(task: asyncio.Task[None], api: SecondApi) -> None:
    """Wait for the end of a complete poll that begins after this call: when a third poll begins, it has ended."""

    def polls() -> int:
        return sum(call["query"].get("offset") == "0" for call in api.called("list_fleet_rollouts"))

    before = polls()
    await until(task, lambda: polls() >= before + 3, 60)


def follow(args: dict[str, Any], script: Callable[[asyncio.Task[None], Rules], Awaitable[None]]) -> Rules:
    async def run() -> Rules:
        rules = Rules()
        async with following(args, rules) as task:
            await script(task, rules)
        return rules

    return asyncio.run(run())


def singles(api: SecondApi, number: int, since: float) -> None:
    """Add ``number`` rollouts of one instance each, newer than the fleet's rollout."""
    for n in range(number):
        api.add_rollout(api.instances[:1], "instance", ended=True, at=since + n)


# reports/2026-11 A2
@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_short_page_is_not_the_end_of_the_list_of_rollouts(tmp_path: Path, oldest_first: bool) -> None:
    lists = {"list_fleet_rollouts"} if oldest_first else set()
    with second_api(instances=5, page_cap={"list_fleet_rollouts": 20}, oldest_first=lists) as api:
        singles(api, 45, time.time() - HOUR_AGO + 60)
        api.instances[4].health = "degraded"
        events = [*ROLLOUT_EVENTS, "fleetops.instance.unhealthy"]

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: rules.events)
            # Only the fleet's rollout, on the third page, contains this instance.
            assert [event["instance"]["name"] for event in rules.events] == ["agent-005"]
            await full_poll(task, api)
            api.add_rollout(api.instances, "fleet", ended=True, at=time.time() - 100)
            # A rollout that appears late in the list, after 30 newer ones.
            late = time.time() - 90
            singles(api, 30, late + 1)
            await until(task, lambda: rules.types().count("rollout.finished") == 31)
            api.add_rollout(api.instances[:1], "instance", ended=True, at=late)
            await until(task, lambda: rules.types().count("rollout.finished") == 32)
            await full_poll(task, api)

        rules = follow(arguments(api, tmp_path / "mark", events=events), script)
        assert rules.types().count("rollout.started") == rules.types().count("rollout.finished") == 32
        count = len(rules.events)
        assert (
            follow(arguments(api, tmp_path / "mark", events=events), lambda task, _: full_poll(task, api)).events == []
        )
        assert len({event["id"] for event in rules.events}) == count
        assert api.writes() == []


def test_targets_that_a_finished_rollout_lists_late_cause_their_events(tmp_path: Path) -> None:
    with second_api(instances=3, deploy_seconds=0.0, outcomes={"agent-002": "failed"}) as api:
        api.quirks.answers["get_rollout_timeline"] = lambda body: {**body, "timeline": []}

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)
            api.add_rollout(api.instances, "fleet")
            await until(task, lambda: "rollout.finished" in rules.types())
            api.quirks.answers.clear()
            await until(task, lambda: "target.failed" in rules.types(), 60)
            await full_poll(task, api)
            before = len(api.called("get_rollout_timeline"))
            await full_poll(task, api)
            assert len(api.called("get_rollout_timeline")) == before

        rules = follow(arguments(api, tmp_path / "mark"), script)
        assert rules.types() == ["rollout.started", "rollout.finished", "target.failed", "rollout.finished"]
        assert rules.events[-1]["rollout"]["targets"]["failed"] == 1


# reports/2026-11 A2, D4
@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("history", [0, 30, 1300])
def test_audit_events_are_sent_once_with_short_pages_and_any_order(
    tmp_path: Path, oldest_first: bool, history: int
) -> None:
    lists = {"list_audit_events"} if oldest_first else set()
    with second_api(instances=1, page_cap={"list_audit_events": 40}, oldest_first=lists) as api:
        api.add_events("agent-001", history, "error")
        args = arguments(api, tmp_path / "mark", events=["fleetops.audit.event"])

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)
            assert rules.events == []
            before = len(api.called("list_audit_events"))
            await full_poll(task, api)
            # A poll without news needs few calls, however long the list is.
            polls = sum(call["query"]["offset"] != "0" for call in api.called("list_fleet_rollouts")) + 3
            if not oldest_first or history == 1300:
                assert len(api.called("list_audit_events")) - before <= 40 * polls
            api.add_events("agent-001", 90, "denied")
            await until(task, lambda: len(rules.events) >= 90)
            # The server deletes the oldest events, and then there are new ones.
            del api.instances[0].events[: history // 2]
            api.add_events("agent-001", 5, "denied")
            await until(task, lambda: len(rules.events) >= 95)
            await full_poll(task, api)

        rules = follow(args, script)
        wanted = [event["id"] for event in api.instances[0].events if event["outcome"] == "denied"]
        assert sorted(event["audit"]["id"] for event in rules.events) == sorted(wanted)


# reports/2026-11 D3
@pytest.mark.parametrize(
    "odd",
    [
        lambda at: int(at * 1000),
        lambda at: str(int(at)),
        lambda at: "9999-12-31T23:59:59-12:00",
        lambda at: "0001-01-01T00:00:00+14:00",
        lambda at: {"seconds": at},
    ],
)
def test_invalid_times_and_numbers_neither_stop_the_source_nor_hide_an_event(
    tmp_path: Path, odd: Callable[[float], Any]
) -> None:
    def huge(rows: Any) -> Any:
        return [{**row, "total_targets": 9223372036854775808, "queued_targets": "0"} for row in rows]

    with second_api(instances=2, time=odd, answers={"list_fleet_rollouts": huge}) as api:
        events = ["fleetops.target.failed", "fleetops.instance.unhealthy", "fleetops.audit.event"]

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)
            api.quirks.outcomes["agent-001"] = "failed"
            api.add_rollout(api.instances[:1], "instance")
            api.instances[1].health = "degraded"
            api.add_events("agent-002", 3, "error")
            kinds = {"target.failed", "instance.unhealthy", "audit.event"}
            await until(task, lambda: set(rules.types()) >= kinds)
            await full_poll(task, api)

        rules = follow(arguments(api, tmp_path / "mark", events=events), script)
        assert rules.types().count("audit.event") == 3
        assert rules.types().count("target.failed") == 1


@pytest.mark.parametrize("date_skew", [0.0, 86400.0])
def test_a_clock_that_was_ahead_hides_no_later_event(tmp_path: Path, date_skew: float) -> None:
    """With ``date_skew`` 0 only the times in the bodies were a day ahead, else the Date of the answers too."""
    with second_api(instances=1, time=lambda at: at + 86400, date_skew=date_skew) as api:
        api.add_events("agent-001", 2, "error")
        events = ["fleetops.instance.unhealthy", "fleetops.audit.event"]

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)
            assert rules.events == []
            api.quirks.time, api.quirks.date_skew = None, 0.0
            await full_poll(task, api)
            api.instances[0].health = "degraded"
            for _event in range(3):
                api.add_events("agent-001", 1, "error")
            await until(task, lambda: len(rules.events) >= 4, 20)
            await full_poll(task, api)

        rules = follow(arguments(api, tmp_path / "mark", events=events), script)
        assert sorted(rules.types()) == ["audit.event"] * 3 + ["instance.unhealthy"]


# reports/2026-11 E1, E2, E5
def test_a_body_that_arrives_too_slowly_is_a_logged_timeout(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with second_api(instances=1, drip={"*": 0.2}) as api:

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: "answer within the time limit of 0.5 s" in caplog.text)

        follow(arguments(api, tmp_path / "mark", request_timeout=0.5), script)


def test_a_source_that_is_stopped_during_a_call_does_not_wait_for_its_answer(tmp_path: Path) -> None:
    with second_api(instances=1, drip={"*": 0.2}) as api:

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: api.called("list_fleet_rollouts"))

        started = time.monotonic()
        follow(arguments(api, tmp_path / "mark", request_timeout=60), script)
        assert time.monotonic() - started < 20


def test_headers_of_a_gateway_are_sent_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "token-of-the-gateway-0123456789"
    with second_api(instances=1, gateway=("X-Gateway", token)) as api:

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: api.called("list_fleet_rollouts"))

        monkeypatch.setenv("FLEETOPS_EXTRA_HEADERS", json.dumps({"X-Gateway": token}))
        follow(arguments(api, tmp_path / "mark"), script)
        api.quirks.gateway = ("X-Gateway", "another")
        with pytest.raises(SourceError, match="Refused by the gateway") as refused:
            follow(arguments(api, tmp_path / "other"), lambda task, _rules: task)
        assert token not in str(refused.value) + caplog.text
    with pytest.raises(SourceError, match=r"extra_headers must be a mapping"):
        read_settings({"api_url": "http://fleet", "api_key": "k", "extra_headers": "X-Gateway"}, {})


def test_a_negative_retry_after_does_not_shorten_the_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with second_api(instances=1, status={"*": 429, "list_fleet_rollouts": 429}, headers={"Retry-After": "-5"}) as api:

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: "all calls wait for 2 s" in caplog.text)

        follow(arguments(api, tmp_path / "mark"), script)
        assert len(api.called("list_fleet_rollouts")) == 2


def test_a_422_is_logged_as_a_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    detail = [
        {"loc": ["query", "limit"], "msg": "Input should be less than or equal to 50", "type": "less_than_equal"},
        {"loc": ["query", "offset"], "msg": "Field required\x1b[2J", "type": "missing"},
    ]

    with second_api(instances=1) as api:
        usual = api.answer

        def refusing(method: str, path: str, query: dict[str, str], body: Any) -> tuple[str, int, Any]:
            name, status, answer = usual(method, path, query, body)
            return (name, 422, {"detail": detail}) if name == "list_fleet_rollouts" else (name, status, answer)

        api.answer = refusing  # type: ignore[method-assign]

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: "422" in caplog.text)

        follow(arguments(api, tmp_path / "mark"), script)
    assert (
        "query.limit: Input should be less than or equal to 50; query.offset: Field required\\x1b[2J. Trying"
        in caplog.text
    )


@pytest.mark.parametrize(
    "address",
    ["http://user:hunter2p@ss@[bad", "http://user:hunter2p@ss@proxy:port", "ftp://user:hunter2p@ss@proxy:21"],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, address)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    args = {"api_url": "http://fleet.example.com", "api_key": KEY, "watermark": str(tmp_path / "mark")}
    with pytest.raises(SourceError) as refusal:
        asyncio.run(asyncio.wait_for(source["main"](Rules(), args), 10))
    text = str(refusal.value) + caplog.text
    assert "http_proxy" in text
    assert "hunter2p" not in text and "ss@" not in text


def test_the_password_of_a_proxy_that_refuses_is_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with second_api(instances=1, status={"": 407}) as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url.replace("http://", "http://user:hunter2@"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await until(task, lambda: "Trying again" in caplog.text or task.done())

        args = {"api_url": "http://fleet.invalid", "api_key": "k-other", "watermark": str(tmp_path / "mark")}
        with pytest.raises(SourceError) as refusal:
            follow(args, script)
    assert "hunter2" not in caplog.text + str(refusal.value)


# reports/2026-11 B1
@pytest.mark.parametrize(
    ("instances", "sentence"),
    [
        ({"agent-001": 0o755}, "instances: agent-001 must be text, but it is the number 493, which may differ from"),
        ({"agent-001": {"instance_id": 0o755}}, "instances: agent-001 must be text, but it is the number 493"),
        ({"agent-001": None}, "instances: agent-001 has no instance_id."),
        ({"agent-001": ""}, "instances: agent-001 has no instance_id."),
        ({7: "a"}, "instances: the name 7 must be text. Write it in quotes."),
    ],
)
def test_an_id_that_is_not_text_is_refused(instances: dict[Any, Any], sentence: str) -> None:
    with pytest.raises(SourceError) as refusal:
        read_settings({"api_url": "https://x", "api_key": "k", "instances": instances}, {})
    assert str(refusal.value).startswith(sentence)


def test_an_api_key_that_yaml_has_read_as_a_number_is_refused() -> None:
    with pytest.raises(SourceError, match="api_key must be text, but YAML read it as int: put it in quotes"):
        read_settings({"api_url": "https://x", "api_key": 493}, {})


# reports/2026-11 B7
def test_an_instance_id_in_upper_case_matches_the_id_from_the_api(tmp_path: Path) -> None:
    with second_api(instances=1) as api:
        api.instances[0].health = "degraded"
        given = {"mine-0": api.instances[0].id.upper()}

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)

        args = arguments(api, tmp_path / "mark", events=["fleetops.instance.unhealthy"], instances=given)
        rules = follow(args, script)
        assert {event["instance"]["name"] for event in rules.events} == {"mine-0"}
        assert {call["instance"] for call in api.called("get_deep_health")} == {api.instances[0].id}


# reports/2026-11 B9
@pytest.mark.parametrize("beside", ["group_vars", "host_vars"])
@pytest.mark.parametrize(
    "words",
    [
        ["-i", "{}"],
        ["-i{}"],
        ["--inventory", "{}"],
        ["--inventory={}"],
        ["--inv", "{}"],
        ["-v", "-vi", "{}"],
        ["environment"],
    ],
)
def test_an_inventory_file_with_variables_beside_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], beside: str
) -> None:
    file = tmp_path / "inventory" / "production.fleet.yml"
    file.parent.mkdir()
    file.write_text("plugin: fleetops.agents.fleet\n")
    given = [word.format(file) for word in words]
    if words == ["environment"]:
        monkeypatch.setenv("ANSIBLE_INVENTORY", str(file))
    else:
        monkeypatch.delenv("ANSIBLE_INVENTORY", raising=False)
    program = ["/usr/bin/ansible-rulebook", "--rulebook", "fleetops.agents.fleet"]
    monkeypatch.setattr("sys.argv", [*program, *given])
    args = {"api_url": "http://127.0.0.1:9", "api_key": KEY, "watermark": str(tmp_path / "mark")}

    def refusal() -> str | None:
        found: str | None = inventory_problem([*program, *given], os.environ)
        return found

    assert refusal() is None
    (file.parent / beside).mkdir()
    with pytest.raises(SourceError) as refused:
        asyncio.run(asyncio.wait_for(source["main"](Rules(), args), 10))
    assert str(refused.value) == (
        f"ansible-rulebook copies the inventory file {file} alone for its playbooks, without {beside} beside it, so"
        f" they would run without your variables. Give the folder: -i {file.parent}"
    )
    # A folder is copied with its content, and other programs copy nothing.
    assert inventory_problem([*program, "-i", str(file.parent)], {}) is None
    assert inventory_problem(["ansible-playbook", "-i", str(file)], {}) is None
    assert inventory_problem(program, {"ANSIBLE_INVENTORY": "agent-001," * 40}) is None


# reports/2026-11 F11
def test_only_the_owner_can_access_the_folder_of_the_watermark_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Watermark(tmp_path / "state" / "fleetops" / "mark", "https://here"):
            pass
    finally:
        os.umask(old)
    assert [p.stat().st_mode & 0o777 for p in (tmp_path / "state", tmp_path / "state" / "fleetops")] == [0o700, 0o700]


def test_a_running_rollout_whose_timeline_is_not_found_at_first_is_followed(tmp_path: Path) -> None:
    with second_api(instances=1, deploy_seconds=1e5, outcomes={"agent-001": "failed"}) as api:

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)
            api.quirks.status["get_rollout_timeline"] = 404
            row = api.add_rollout(api.instances, "instance")
            await full_poll(task, api)
            del api.quirks.status["get_rollout_timeline"]
            row["targets"][0]["ends"] = time.time()
            await until(task, lambda: len(rules.events) >= 3, 20)

        rules = follow(arguments(api, tmp_path / "mark"), script)
    words = [event["type"].removeprefix("fleetops.") for event in rules.events]
    assert words == ["rollout.started", "target.failed", "rollout.finished"]


def test_the_source_ends_at_refusals_that_last_and_not_at_a_single_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "LONGEST_PAUSE", 0.05)
    with second_api(instances=6) as api:
        usual, refused_id = api.answer, api.instances[1].id

        def refuse(operation: str, instance: str | None, times: float) -> None:
            def refusing(method: str, path: str, query: dict[str, str], body: Any) -> tuple[str, int, Any]:
                nonlocal times
                name, status, answer = usual(method, path, query, body)
                if name == operation and (instance is None or instance in path) and times > 0:
                    times -= 1
                    return name, 403, {"detail": "blocked by the proxy"}
                return name, status, answer

            api.answer = refusing  # type: ignore[method-assign]

        async def script(task: asyncio.Task[None], rules: Rules) -> None:
            await full_poll(task, api)
            refuse("get_deep_health", refused_id, float("inf"))
            await full_poll(task, api)
            api.instances[0].health = "degraded"
            await until(task, lambda: rules.types() == ["instance.unhealthy"], 20)
            for kind in ("list_fleet_rollouts", "get_deep_health"):
                refuse(kind, None, 3)
                await full_poll(task, api)
            refuse("get_deep_health", None, float("inf"))
            await asyncio.wait_for(task, 20)

        with pytest.raises(SourceError, match=r"blocked by the proxy. The key's role does not allow this"):
            follow(arguments(api, tmp_path / "mark", events=["fleetops.instance.unhealthy"]), script)
    logged = [line for line in caplog.text.splitlines() if "Polling continues." in line]
    assert sum(f"{refused_id}/health/deep failed with HTTP 403: blocked by the proxy." in line for line in logged) == 1
