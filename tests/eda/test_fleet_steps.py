# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the event source without I/O, its options, its watermark file, and answers of unusual servers."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.events import EVENTS, in_utc
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.instance_steps import (
    audit_step,
    health_step,
)
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.rollout_steps import (
    SHORT_READS,
    must_be_read,
    rollout_step,
)
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.settings import read_settings
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.watermark import Watermark
from tests.eda.following import EXTENSION, Event, Rules, following, source, until
from tests.unit.client.crooked_server import CrookedServer, Reply, crooked_server

GOOD = {"api_url": "https://fleet.example.com/v1/instances", "api_key": "key-of-a-test"}
ROLLOUTS = "/v1/instances/fleet/runtime/rollouts"
DAY = "2026-11-24T"


def moment(minute: int) -> str:
    return f"{DAY}{minute // 60:02d}:{minute % 60:02d}:00+00:00"


# Rollouts

ENDS = ("succeeded", "failed", "uncertain", "cancelled")
# The status of a target in each minute. A retry opens it again.
HISTORIES = st.lists(st.sampled_from((*ENDS, "queued", "in_progress")), min_size=1, max_size=12)


def timeline(histories: list[list[str]], minute: int) -> dict[str, Any]:
    """The timeline at a minute, in which each target has the state of its latest change."""
    rows = []
    for number, history in enumerate(histories):
        at = min(minute, len(history) - 1)
        # A target that has succeeded keeps that status.
        at = history.index("succeeded") if "succeeded" in history[: at + 1] else at
        status = history[at]
        while at > 0 and history[at - 1] == status:
            at -= 1
        ended = moment(at) if status in ENDS else None
        rows.append({"target_id": f"t{number}", "instance_id": f"i{number}", "status": status, "completed_at": ended})
    moving = any(row["status"] in ("queued", "in_progress") for row in rows)
    status = "in_progress" if moving else "partial"
    return {"rollout_id": "r", "status": status, "completed_at": None if moving else moment(minute), "timeline": rows}


@given(st.lists(HISTORIES, min_size=1, max_size=4), st.lists(st.integers(0, 14), min_size=1, max_size=10))
def test_every_result_that_a_poll_finds_causes_exactly_one_event(
    histories: list[list[str]], minutes: list[int]
) -> None:
    known: dict[str, Any] | None = None
    sent: list[Event] = []
    seen: set[tuple[str, str, str]] = set()
    last: dict[str, tuple[str, str | None]] = {}
    expected = 0
    for minute in sorted(minutes):
        view = timeline(histories, minute)
        step = rollout_step(known, {"id": "r"}, view)
        # The state passes through JSON as in the file, and polling it again causes no event.
        known = json.loads(json.dumps(step.known))
        assert rollout_step(known, {"id": "r"}, view).events == []
        sent += step.events
        for row in view["timeline"]:
            state = (row["status"], row["completed_at"])
            if row["status"] in ("succeeded", "failed", "uncertain") and last.get(row["target_id"]) != state:
                expected += 1
                seen.add((row["target_id"], *state))
            last[row["target_id"]] = state
    results = [event for event in sent if "target" in event]
    assert len(results) == expected
    assert {(e["target"]["id"], e["target"]["status"], e["target"]["completed_at"]) for e in results} == {
        (target, status, in_utc(at) if at else None) for target, status, at in seen
    }
    assert len({event["id"] for event in sent}) == len(sent)
    own = [event["type"] for event in sent if "target" not in event]
    assert own[0] == "fleetops.rollout.started"
    assert own.count("fleetops.rollout.started") == 1


def test_a_late_result_does_not_count_as_another_failure() -> None:
    target = {"target_id": "t", "started_at": moment(1), "status": "uncertain", "completed_at": moment(2)}
    view = {"rollout_id": "r", "status": "failed", "completed_at": moment(2), "timeline": [target]}
    first = rollout_step(None, {"id": "r"}, view)
    target.update(status="failed", completed_at=moment(3))
    late = rollout_step(first.known, {"id": "r"}, view)
    target.update(status="failed", started_at=moment(4), completed_at=moment(5))
    retried = rollout_step(late.known, {"id": "r"}, view)
    failures = [e["target"]["failures"] for step in (first, late, retried) for e in step.events if "target" in e]
    assert failures == [1, 1, 2]


def test_an_older_answer_after_a_retry_does_not_count_the_former_failure_again() -> None:
    target = {"target_id": "t", "started_at": moment(1), "status": "failed", "completed_at": moment(2)}
    other = {"target_id": "u", "started_at": moment(1), "status": "in_progress"}
    view = {"rollout_id": "r", "status": "failed", "completed_at": moment(2), "timeline": [target]}
    opened = {
        **view,
        "status": "in_progress",
        "completed_at": None,
        "timeline": [{"target_id": "t", "status": "queued"}],
    }
    again = {**view, "completed_at": moment(6), "timeline": [{**target, "started_at": moment(5)}]}
    again["timeline"][0]["completed_at"] = moment(6)
    # The rollout is opened again by the retry, or another target keeps it open.
    busy = [{**one, "status": "in_progress", "completed_at": None} for one in (view, opened, view, opened, again)]
    for answers in ([view, opened, view, opened, again], [{**v, "timeline": [*v["timeline"], other]} for v in busy]):
        known, sent = None, []
        for answer in answers:
            step = rollout_step(known, {"id": "r"}, answer)
            known, sent = json.loads(json.dumps(step.known)), sent + step.events
        assert [event["target"]["failures"] for event in sent if "target" in event] == [1, 2]
        own = [event["type"].rpartition(".")[2] for event in sent if "target" not in event]
        assert own == (["started", "finished", "resumed", "finished"] if answers[0] is view else ["started"])


def test_a_finished_rollout_whose_timeline_stays_too_short_is_not_read_for_ever() -> None:
    row, known, reads = {"id": "r", "status": "partial"}, None, 0
    short = {**timeline([["failed"], ["succeeded"]], 1), "total_targets": 3}
    while must_be_read(known, row):
        known, reads = rollout_step(known, row, short).known, reads + 1
    assert reads == SHORT_READS + 1
    whole = {**short, "total_targets": 2}
    assert not must_be_read(rollout_step(None, row, whole).known, row)


def test_other_spellings_of_a_status_are_understood_and_invalid_rows_ignored() -> None:
    rows = [{"target_id": "t", "status": "SUCCESS", "completed_at": ""}, {"status": "failed"}, "no row"]
    view = {"status": "Completed-With Errors", "completed_at": "", "timeline": rows}
    step = rollout_step(None, {"id": "r"}, view)
    assert [event["type"].rpartition(".")[2] for event in step.events] == ["started", "succeeded", "finished"]
    assert step.events[-1]["rollout"]["status"] == "partial"


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 3))
def test_events_about_health_alternate(readings: list[bool], needed: int) -> None:
    known, sent, bad = None, [], 0
    expected = "healthy"
    turns = []
    for minute, well in enumerate(readings):
        health = {"status": "healthy" if well else "degraded", "checked_at": moment(minute)}
        for _twice in range(2):
            step = health_step(known, "i", health, needed=needed)
            known = json.loads(json.dumps(step.known))
            sent += [event["type"].rpartition(".")[2] for event in step.events]
        bad = 0 if well else bad + 1
        now = "healthy" if well else "unhealthy" if bad >= needed else expected
        if now != expected:
            turns.append(now)
        expected = now
    assert sent == turns


@given(st.lists(st.integers(0, 1400), min_size=1, max_size=40, unique=True), st.data())
def test_audit_events_in_any_order_are_sent_once(minutes: list[int], data: st.DataObject) -> None:
    """Each poll returns the events ingested so far, newest first. An event is at most ten minutes late."""
    rows = [{"id": f"e{minute}", "event_ts": moment(minute), "outcome": "error"} for minute in sorted(minutes)]
    known: dict[str, Any] = {"floor": None, "ids": {}}
    sent: list[str] = []
    seen: list[dict[str, Any]] = []
    while rows:
        near = [row for row in rows if parse_time(row["event_ts"]) - parse_time(rows[0]["event_ts"]) < 600]
        row = data.draw(st.sampled_from(near))
        rows.remove(row)
        seen.insert(0, row)
        if data.draw(st.booleans()) or not rows:
            step = audit_step(known, "i", seen, ["error"])
            known = json.loads(json.dumps(step.known))
            sent += [event["audit"]["id"] for event in step.events]
    assert sorted(sent) == sorted(row["id"] for row in seen)


# Options and the watermark file


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("interval", 0, "interval is 0: it must be a number of at least 0.01."),
        ("unhealthy_after", "twice", "unhealthy_after is 'twice': it must be a whole number of at least 1."),
        ("live", "perhaps", "live is 'perhaps': it must be true or false."),
        ("events", ["fleetops.moon"], "events: there is no type fleetops.moon; the types are "),
        ("events", "fleetops.audit.event", "events must be a list of words."),
        ("start_from", "yesterday", "start_from is 'yesterday': it must be now or earliest."),
        ("instances", ["a"], "instances must map names to instance ids, for example"),
        ("api_key", "key\n", "api_key contains a line break: remove it"),
        ("api_key", "", "api_key is empty: set it, or FLEETOPS_API_KEY in the environment."),
        ("api_url", "fleet.example.com", "api_url must look like https://fleet.example.com,"),
        ("api_url", "https://me:secret@fleet.example.com", "api_url must not contain a user name or a password"),
        (
            "ca_path",
            "/nowhere.pem",
            f"GET {ROLLOUTS} failed: ca_path /nowhere.pem does not exist. This call was not sent.",
        ),
        ("intervall", 3, "There is no option intervall. The options are api_url,"),
    ],
)
def test_an_invalid_option_is_refused_with_one_sentence(
    option: str, value: Any, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FLEETOPS_API_KEY", raising=False)
    args = {**GOOD, "watermark": str(tmp_path / "mark"), option: value}
    with pytest.raises(SourceError) as refusal:
        asyncio.run(asyncio.wait_for(source["main"](Rules(), args), 10))
    assert str(refusal.value).startswith(sentence)
    assert "secret" not in str(refusal.value)


def test_the_documented_options_and_event_types_are_those_of_the_code() -> None:
    documented = yaml.safe_load(source["DOCUMENTATION"])["options"]
    settings = read_settings(GOOD, {})
    assert set(documented) == set(settings._fields) | {"feedback"}
    for name, option in documented.items():
        if "default" in option and name not in ("feedback", "watermark"):
            value = getattr(settings, name)
            assert (sorted(value) if name == "events" else list(value) if isinstance(value, tuple) else value) == (
                sorted(option["default"]) if name == "events" else option["default"]
            )
    assert settings.api_url == "https://fleet.example.com"
    schema = json.loads((EXTENSION / "schemas" / "fleet.json").read_text())
    kinds = [kind for case in schema["oneOf"] for kind in case["properties"]["type"].get("enum", [])]
    kinds += [case["properties"]["type"]["const"] for case in schema["oneOf"] if "const" in case["properties"]["type"]]
    assert sorted(kinds) == sorted(EVENTS)
    for example in yaml.safe_load(source["EXAMPLES"]):
        read_settings({**GOOD, **example["fleetops.agents.fleet"]}, {})


def test_an_unusable_watermark_file_is_refused_and_not_changed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def refusal() -> str:
        with pytest.raises(SourceError) as problem, Watermark(mark, "https://here"):
            pass
        return str(problem.value)

    mark.write_text('{"format": 1, "known"')
    assert f"The watermark file {mark} is not readable (" in refusal()
    assert "move it away to start again from now." in refusal()
    mark.write_text('{"format": 2}')
    assert "its format is not known to this version" in refusal()
    mark.write_text("[" * 5000)
    assert "is not readable (" in refusal()
    for known, outbox in (("null", "[]"), ('{"rollouts": []}', "[]"), ("{}", "[1]")):
        mark.write_text(f'{{"format": 1, "api_url": "https://here", "known": {known}, "outbox": {outbox}}}')
        assert "is not readable (it has parts of the wrong type); move it away" in refusal()
    mark.write_text('{"format": 1, "api_url": "https://there", "known": {}, "outbox": []}')
    assert refusal() == (
        f"The watermark file {mark} belongs to https://there, not to https://here; name another file "
        "(option watermark)."
    )
    with Watermark(mark, "https://there"):
        assert "is in use by another ansible-rulebook; give each its own" in refusal()
    assert mark.read_text().endswith('"outbox": []}')
    folder = tmp_path / "file" / "mark"
    folder.parent.write_text("")
    with pytest.raises(SourceError, match=r"cannot be used: (Not a directory|File exists)"):
        Watermark(folder, "https://here").__enter__()


# Answers of unusual servers


def refusal_of(room: CrookedServer, tmp_path: Path, **more: Any) -> str:
    args = {"api_url": room.url, "api_key": "key-of-a-test", "watermark": str(tmp_path / "mark"), **more}
    with pytest.raises(SourceError) as refusal:
        asyncio.run(asyncio.wait_for(source["main"](Rules(), args), 10))
    return str(refusal.value)


def test_the_key_is_sent_to_no_other_server_and_appears_in_no_event(tmp_path: Path) -> None:
    with crooked_server() as room:
        room.says(None, 302, Location="https://elsewhere.example.com")
        assert "so no other server got the key." in refusal_of(room, tmp_path)
        room.says({"detail": "no role for key-of-a-test"}, 403)
        assert "HTTP 403: no role for ********. The key's role does not allow this" in refusal_of(room, tmp_path)
        room.says({"detail": "Not Found"}, 404)
        assert "The path in api_url (FLEETOPS_API_URL) may be wrong" in refusal_of(room, tmp_path)

        row = {"id": "r", "status": "failed", "created_at": moment(1), "completed_at": moment(2), "total_targets": 1}
        entry = {"target_id": "t", "instance_id": "i", "instance_hostname": "key-of-a-test", "status": "failed"}
        entry["error_message"] = "sent key-of-a-test" + "!" * 5000

        def answer(method: str, path: str, headers: Any) -> Reply:
            return Reply({**row, "timeline": [entry]} if "timeline" in path else [row])

        room.answer = answer
        args = {"api_url": room.url, "api_key": "key-of-a-test", "watermark": str(tmp_path / "mark")}
        args |= {"start_from": "earliest", "events": ["fleetops.target.failed"]}

        async def run() -> Rules:
            rules = Rules()
            async with following(args, rules) as task:
                await until(task, lambda: rules.events)
            return rules

        (event,) = asyncio.run(run()).events
        assert len(event["target"]["error_message"]) == 2000
        assert "key-of-a-test" not in json.dumps(event) + (tmp_path / "mark").read_text()
        assert all(headers["X-Api-Key"] == "key-of-a-test" for _method, _path, headers in room.seen)


def test_an_untrusted_tls_certificate_is_refused_unless_configured(tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=fleet"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with crooked_server(context) as room:
        room.says({"detail": "no"}, 401)
        message = refusal_of(room, tmp_path)
        assert f"GET {ROLLOUTS} failed: no trusted TLS connection:" in message and "self-signed certificate" in message
        assert message.endswith("Check the server's certificate, ca_path or validate_certs.")
        assert room.seen == []
        assert "HTTP 401" in refusal_of(room, tmp_path, ca_path=str(tmp_path / "cert.pem"))
        assert "HTTP 401" in refusal_of(room, tmp_path, validate_certs="no")
