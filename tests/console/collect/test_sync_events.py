# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Converting events to rows: recorded AWX job events, special cases, and arbitrary JSON."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from console.collect.jobs.events import JobReader, as_run_log
from console.collect.jobs.job import runner_job
from console.collect.run_events import EventError, RunReader
from console.collect.task_results import MAX_RESULT
from console.text.message_fingerprint import fingerprint, normalised

DATA = Path(__file__).parents[1] / "data"


def recorded() -> list[dict[str, Any]]:
    """The 26 events of a recorded AWX job with 4 hosts and serial 2, in which agent-03 fails."""
    return json.loads((DATA / "job_failed_events_all.json").read_text(encoding="utf-8"))["results"]


def reader(**more: Any) -> RunReader:
    return RunReader("r", source="awx", source_ref="job 2", **more)


def event(counter: int, name: str, **data: Any) -> dict[str, Any]:
    return {
        "counter": counter,
        "event": name,
        "created": f"2026-11-24T10:00:{counter % 60:02d}+00:00",
        "event_data": data,
    }


def result(counter: int, name: str, res: Any = None, host: str = "h1", **data: Any) -> dict[str, Any]:
    return event(counter, name, host=host, task_uuid="t", res=res, **data)


def only(*events: dict[str, Any]) -> dict[str, Any]:
    """The single result row of the events."""
    read = reader()
    for each in events:
        read.feed(each)
    (row,) = read.take().results
    return row


def test_the_batches_of_a_recorded_awx_job_are_distinguished_by_counter() -> None:
    read = reader()
    for each in recorded():
        read.feed(each)
    rows = read.take()
    assert [(p["counter"], p["play"], p["batch"], p["name"]) for p in rows.plays] == [
        (6, 1, 1, "Redeploy agents in batches"),
        (17, 1, 2, "Redeploy agents in batches"),
    ]
    assert [(t["counter"], t["play_counter"], t["name"]) for t in rows.tasks] == [
        (7, 6, "Redeploy instance"),
        (12, 6, "Publish operation ids"),
        (18, 17, "Redeploy instance"),
        (23, 17, "Publish operation ids"),
    ]
    assert [
        (r["counter"], r["host"], r["play_counter"], r["task_counter"], r["status"], r["changed"]) for r in rows.results
    ] == [
        (10, "agent-01", 6, 7, "ok", 1),
        (11, "agent-02", 6, 7, "ok", 1),
        (15, "agent-02", 6, 12, "ok", 0),
        (16, "agent-01", 6, 12, "ok", 0),
        (21, "agent-04", 17, 18, "ok", 1),
        (22, "agent-03", 17, 18, "failed", 0),
        (25, "agent-04", 17, 23, "ok", 0),
    ]
    failed = rows.results[5]
    assert failed["msg"] == "circuit breaker open"
    assert failed["msg_fp"] == fingerprint("circuit breaker open")
    assert failed["duration_s"] == pytest.approx(4.116997)
    assert failed["ended_at"] - failed["started_at"] == pytest.approx(4.116997)
    assert json.loads(failed["result_json"])["operation"] == {"id": "op-agent-03", "state": "succeeded"}
    assert {h["host"]: (h["ok"], h["changed"], h["failed"]) for h in rows.hosts} == {
        "agent-01": (2, 1, 0),
        "agent-02": (2, 1, 0),
        "agent-03": (0, 0, 1),
        "agent-04": (2, 1, 0),
    }
    run = rows.run
    assert (run["status"], run["playbook"], run["events"], run["dropped_events"]) == ("failed", "redeploy.yml", 26, 0)
    assert rows.in_flight == []


@given(cuts=st.lists(st.integers(0, 26), max_size=6))
def test_reading_can_stop_and_continue_at_any_event(cuts: list[int]) -> None:
    events = recorded()
    whole = reader()
    for each in events:
        whole.feed(each)
    expected = whole.take()
    bounds = [0, *sorted(cuts), len(events)]
    state = None
    parts = []
    for begin, end in itertools.pairwise(bounds):
        part = reader(state=state)
        for each in events[begin:end]:
            part.feed(each)
        parts.append(part.take())
        state = json.loads(json.dumps(part.state))
    for name in ("plays", "tasks", "results", "links"):
        assert [row for part in parts for row in getattr(part, name)] == getattr(expected, name)
    # A column that a later row does not have keeps its value.
    assert {name: value for part in parts for name, value in part.run.items()} == expected.run
    assert [part.hosts for part in parts if part.hosts] == [expected.hosts]


ITEM = {"ansible_loop_var": "item", "item": 1, "failed": False, "msg": "done"}


@pytest.mark.parametrize(
    ("name", "data", "res", "wanted"),
    [
        ("runner_on_failed", {"ignore_errors": True}, {"msg": "no", "failed": True}, ("result", "ignored", 0, "no")),
        ("runner_on_failed", {"ignore_errors": None}, {"msg": "no"}, ("result", "failed", 0, "no")),
        ("runner_on_failed", {}, {"msg": "", "stderr": "boom"}, ("result", "failed", 0, "boom")),
        ("runner_on_failed", {}, {"msg": {"a": [1]}}, ("result", "failed", 0, '{"a":[1]}')),
        # Ansible's own message of a loop names no reason; results that are not of a loop are none of its items.
        (
            "runner_on_failed",
            {},
            {"msg": "One or more items failed", "results": [ITEM, ITEM | {"failed": True, "msg": "no disk"}]},
            ("result", "failed", 0, "no disk"),
        ),
        (
            "runner_on_failed",
            {},
            {"msg": "no", "results": ["x", {"failed": True, "msg": "y"}]},
            ("result", "failed", 0, "no"),
        ),
        ("runner_on_unreachable", {}, {"msg": "ssh", "changed": False}, ("result", "unreachable", 0, "ssh")),
        # ansible-core 2.19 and newer. 2.18 gives only "ssh".
        ("runner_on_unreachable", {}, {"msg": "Task failed: ssh"}, ("result", "unreachable", 0, "ssh")),
        ("runner_on_ok", {}, {"censored": "hidden", "changed": True}, ("result", "ok", 1, "hidden")),
        ("runner_on_skipped", {}, None, ("result", "skipped", 0, None)),
        ("runner_item_on_failed", {}, {"item": {"b": 1}, "msg": "x"}, ("item", "failed", 0, "x")),
        ("runner_retry", {}, {"attempts": 2, "retries": 3, "changed": True}, ("retry", "retry", 1, None)),
    ],
)
def test_each_kind_of_result_has_its_status_and_message(name: str, data: dict, res: Any, wanted: tuple) -> None:
    row = only(
        event(1, "playbook_on_play_start", play_uuid="p"),
        event(2, "playbook_on_task_start", task_uuid="t"),
        result(3, name, res, **data),
    )
    assert (row["kind"], row["status"], row["changed"], row["msg"]) == wanted
    assert (row["play_counter"], row["task_counter"]) == (1, 2)
    assert (row["msg_fp"] is None) == (row["status"] in ("ok", "skipped", "retry"))


def test_the_item_of_a_loop_is_found_whatever_its_variable_is_called() -> None:
    task = event(1, "playbook_on_task_start", task_uuid="t")
    for res in ({"ansible_loop_var": "agent", "agent": "a-1"}, {"item": "a-1"}):
        assert only(task, result(2, "runner_item_on_ok", res))["item"] == "a-1"


def test_a_boolean_or_a_structure_is_ignored_where_text_is_expected_and_a_number_becomes_text() -> None:
    read = reader()
    about = {"user": True, "controller": {"name": "c"}, "job_id": 17, "limit": False, "tags": [True, "all", {}, 1]}
    read.feed(event(1, "playbook_on_start", playbook=False, fleetops_run=about))
    read.feed(event(2, "playbook_on_task_start", task=True, task_action="ping", task_uuid="t"))
    read.feed(result(3, "runner_on_ok", {}, host=True) | {"host_name": "h1"})
    found = read.take()
    kept = ("playbook", "user", "controller", "job_id", "limit_pattern")
    assert [found.run[name] for name in kept] == [None, None, None, "17", None]
    assert [(row["name"], row["action"]) for row in found.tasks] == [(None, "ping")]
    assert [row["host"] for row in found.results] == ["h1"]
    assert found.run["tags_json"] == '["all","1"]'
    for of_job in (JobReader(runner_job("r", "7", "failed", 2, [], {}), state=None, redactor=Redactor()), read):
        of_job.feed(event(4, "playbook_on_play_start", batch_hosts=[None, " h2", True, ["h3"], "h1"]))
        of_job.feed(result(5, "runner_on_ok", {}, host=True))
        of_job.feed(result(6, "runner_on_ok", {}, host=" h4"))
        hosts = [json.loads(row["hosts_json"]) for row in of_job.take().plays]
        assert hosts == [["h1", "h2"], *([["h4"]] if of_job is not read else [])]


def test_a_run_does_not_end_before_its_events_if_the_clock_was_set_back() -> None:
    read = reader()
    read.feed(event(1, "playbook_on_start"))
    read.feed(result(30, "runner_on_ok", {}))
    read.feed(event(31, "playbook_on_stats", ok={"h1": 1}) | {"created": "2026-11-24T08:00:31+00:00"})
    run = read.take().run
    assert run["started_at"] < run["ended_at"] == run["heartbeat_at"]


def test_repeated_handlers_and_interleaved_tasks_have_their_own_results() -> None:
    read = reader()
    for each in (
        event(1, "playbook_on_play_start", play_uuid="p"),
        event(2, "playbook_on_task_start", task_uuid="a"),
        event(3, "playbook_on_task_start", task_uuid="b"),  # the free strategy, where h1 is ahead of h2
        event(4, "runner_on_ok", host="h2", task_uuid="a", res={}),
        event(5, "runner_on_ok", host="h1", task_uuid="b", res={}),
        event(6, "playbook_on_task_start", task_uuid="h", is_handler=True),
        event(7, "runner_on_ok", host="h1", task_uuid="h", res={}),
        event(8, "playbook_on_task_start", task_uuid="h_2", is_handler=True),
        event(9, "runner_on_ok", host="h1", task_uuid="h", res={}),
    ):
        read.feed(each)
    rows = read.take()
    assert [(r["counter"], r["task_counter"]) for r in rows.results] == [(4, 2), (5, 3), (7, 6), (9, 8)]
    assert [t["is_handler"] for t in rows.tasks] == [0, 0, 1, 1]


def test_ids_in_results_become_links_except_those_in_lists() -> None:
    read = reader()
    changed = {"changed": True, "rollout_id": "ro", "instance_id": "in", "target": {"target_id": "ta", "task_id": "ce"}}
    listing = {"rollouts": [{"rollout_id": "other"}], "action_id": None, "target_id": 7, "task_id": " "}
    read.feed(result(1, "runner_on_ok", changed))
    read.feed(result(2, "runner_on_ok", listing))
    read.feed(event(3, "playbook_on_stats", ok={"h1": 2}, artifact_data={"fleetops_rollout_ids": ["x", "ro"]}))
    links = read.take().links
    assert {(link["kind"], link["ref"]) for link in links} == {
        ("rollout", "ro"),
        ("instance", "in"),
        ("target", "ta"),
        ("task", "ce"),
        ("rollout", "x"),
    }


def test_an_adopted_rollout_has_an_additional_link() -> None:
    read = reader()
    read.feed(result(1, "runner_on_ok", {"changed": False, "rollout_id": "theirs", "adopted": True}))
    read.feed(result(2, "runner_on_ok", {"changed": True, "rollout_id": "mine", "adopted": False}))
    links = {(link["kind"], link["ref"], link["counter"]) for link in read.take().links}
    assert links == {("rollout", "theirs", 1), ("adopted", "theirs", 1), ("rollout", "mine", 2)}


def test_results_are_stored_without_output_and_with_a_limited_size() -> None:
    calm = only(
        result(
            1,
            "runner_on_ok",
            {"changed": False, "rollout_id": "r", "waited_seconds": 3, "stdout": "long", "_ansible_x": 1},
        )
    )
    assert json.loads(calm["result_json"]) == {"rollout_id": "r", "waited_seconds": 3}
    big = only(result(1, "runner_on_failed", {"msg": "no", "stdout": "x" * 200_000, "rollout_id": "r"}))
    kept = json.loads(big["result_json"])
    assert (big["truncated"], kept["rollout_id"], kept["stdout"]) == (1, "r", "(200,002 bytes left out)")
    crowd = only(result(1, "runner_on_failed", {f"k{n}": "x" * 1000 for n in range(500)}))
    assert len(crowd["result_json"].encode()) <= MAX_RESULT
    assert crowd["truncated"] == 1
    json.loads(crowd["result_json"])
    cut = only(result(1, "runner_on_failed", {"msg": "no", "truncated": True}))
    assert cut["truncated"] == 1


GATE = {
    "changed": False,
    "verdict": "fail",
    "go": False,
    "reasons": ["1 instance failed (h1), the key was key-7f3a."],
    "checks": [
        {"name": "budget", "verdict": "fail", "reason": "1 instance failed (h1).", "failed": 1, "max_failed": 0}
    ],
    "waited_seconds": 0.1,
    "invocation": {"module_args": {"api_key": "key-7f3a"}},
}


def test_a_gate_becomes_the_same_evidence_from_a_run_log_and_from_a_job() -> None:
    redactor = Redactor(["key-7f3a"])
    job = runner_job("1-runner-x", "1", "failed", 2, ["ansible-playbook", "x.yml"], {})
    imported, read = JobReader(job, state=None, redactor=redactor), reader(redactor=redactor)
    action = {"task_action": "rollout_gate", "resolved_action": "fleetops.agents.rollout_gate"}
    for counter in (1, 3, 5):
        start = event(counter, "playbook_on_play_start", play_uuid=f"p_{counter}")
        gate = result(counter + 1, "runner_on_ok", GATE, end=f"2026-11-24T10:00:0{counter}+00:00", **action)
        imported.feed(start)
        imported.feed(gate)
        # The same event in the form that the callback writes.
        read.feed(start)
        read.feed(as_run_log(gate, redactor))
    found, of_job = read.take().evidence, imported.take().evidence
    assert [{**row, "run_id": "r"} for row in of_job] == found
    assert [(row["counter"], row["kind"], row["batch"], row["verdict"]) for row in found] == [
        (2, "gate", 1, "fail"),
        (4, "gate", 2, "fail"),
        (6, "gate", 3, "fail"),
    ]
    assert [row["at"] % 60 for row in found] == [1.0, 3.0, 5.0]
    document = json.loads(found[0]["document_json"])
    assert document["reasons"] == ["1 instance failed (h1), the key was ********."]
    assert (document["checks"], document["waited_seconds"]) == (GATE["checks"], 0.1)
    assert "module_args" not in found[0]["document_json"]


def test_invalid_evidence_is_ignored() -> None:
    read = reader()
    strange = ["x", {}, {"kind": "gate"}, {"kind": "other", "document": {"a": 1}}, {"kind": "gate", "document": "x"}]
    for counter, found in enumerate(strange, 1):
        read.feed(result(counter, "runner_on_ok", {}, fleetops_evidence=found))
    rows = read.take()
    assert (len(rows.results), rows.evidence) == (len(strange), [])


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_NAMES = (
    "playbook_on_start",
    "playbook_on_play_start",
    "playbook_on_task_start",
    "playbook_on_stats",
    "runner_on_start",
)
_NAMES += ("runner_on_ok", "runner_on_failed", "runner_item_on_ok", "runner_retry")
_KEYS = ("host", "res", "task", "task_uuid", "play_uuid", "batch", "batch_hosts", "start", "end", "duration", "ok")
_KEYS += (
    "artifact_data",
    "fleetops_evidence",
    "resolved_action",
    "fleetops_run",
    "processed",
    "ignore_errors",
    "failures",
    "playbook",
    "name",
)
_ABOUT = st.dictionaries(
    st.sampled_from(["user", "forks", "tags", "limit", "started_at", "check_mode"]), _JSON, max_size=4
)


@given(
    st.lists(
        _JSON
        | st.fixed_dictionaries(
            {
                "counter": st.integers(1, 9) | _JSON,
                "event": st.sampled_from(_NAMES) | _JSON,
                "created": st.just("2026-11-24T10:00:00Z") | _JSON,
                "event_data": st.dictionaries(st.sampled_from(_KEYS), _JSON | _ABOUT, max_size=8) | _JSON,
            },
            optional={"dropped_events": _JSON, "host_name": _JSON},
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_no_json_value_breaks_the_reader(events: list[Any], of_job: bool) -> None:
    job = runner_job("r", "7", "failed", 2, [], {})
    read = JobReader(job, state=None, redactor=Redactor()) if of_job else reader()
    good = 0
    for each in events:
        before = json.dumps(read.state)
        try:
            good += read.feed(each)
        except EventError:
            assert json.dumps(read.state) == before
    if isinstance(read, JobReader):
        read.settle(job)
    rows = read.take()
    assert rows.run["events"] == good
    for row in [rows.run, *rows.plays, *rows.tasks, *rows.results, *rows.links, *rows.hosts, *rows.in_flight]:
        for value in row.values():
            assert value is None or isinstance(value, (str, float)) or -(2**63) <= value < 2**63


def test_fingerprints_of_a_failure_do_not_depend_on_hosts_and_numbers() -> None:
    one = "Agent agent-01.fra1 (0b0c1f9e-9a2e-4b51-8a63-3a1cfc3e1f77) at 10.0.0.7:443 after 12.5 s, build deadbeef12"
    two = "Agent agent-02.ams3 (7e02c2e6-534f-490b-8f21-eb173506f7f5) at 10.0.12.9:8443 after 9 s, build 0a1b2c3d4e"
    assert normalised(one, "agent-01.fra1") == "Agent <host> (#) at #.#.#.#:# after #.# s, build #"
    assert fingerprint(one.replace("12.5", "12"), "agent-01.fra1") == fingerprint(two, "agent-02.ams3")
    assert fingerprint("the facade is down") != fingerprint("the decade is down")
    assert normalised("agent-1 and agent-11", "agent-1") == "<host> and agent-#"
    # A message that contains the host name.
    message = "The redeploy of {} failed: no space left.".format
    assert {normalised(message(host), host) for host in ("agent-01.fra1", "agent-2")} == {message("<host>")}
