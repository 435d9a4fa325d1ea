# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations in the record: who started them, which rollouts belong to them, and which need attention."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.artifacts import cut_artifacts
from console.collect.api.records import health_rows, policy_row, update_rows
from console.notifications import read_facts
from console.notifications.rules import parse
from console.outcomes.facts import Facts, Target
from console.outcomes.outcome import outcomes
from console.outcomes.words import CATEGORIES, STATUSES
from console.record.read import frames, rollouts, runs, same_time
from console.record.read.attention import attention
from console.record.read.fleet import fleets
from console.record.read.instances import history, instance
from console.record.read.operation import operation
from console.record.read.operations import COLUMNS, OperationFilter, operations
from console.record.read.policy import override_runs
from console.record.read.unrecovered import MAX_WHOLE, failing_in_runs
from console.record.rows import Cursor, Row, RunRows, to_json
from console.record.write.ledgers import open_ledger
from console.record.write.store import open_store
from tests.console.support.facts import rows as rows_of
from tests.console.support.recorded_runs import NOW, REBOOT, RUNTIME, SELECTED, A, B, C, D, put_rollout, put_run, report
from tests.console.support.seeded import REASON, TENANT, host_name, ident, iso, rollout_read, target


@pytest.fixture
def path(tmp_path: Path) -> Path:
    database = tmp_path / "console.db"
    with open_store(database) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
        store.put_cursor(Cursor("spool", "f", last_ok_at=NOW))
    return database


def rows(path: Path, **wanted: Any) -> list[dict[str, Any]]:
    return operations(path, NOW, OperationFilter(**wanted))[0].to_dict("records")


def keys(path: Path, **wanted: Any) -> list[str]:
    return [row["key"] for row in rows(path, **wanted)]


def test_an_empty_record_has_no_operations(path: Path) -> None:
    frame, total = operations(path, NOW)
    assert (tuple(frame.columns), len(frame), total) == (COLUMNS, 0, 0)
    assert operation(path, "nothing", NOW) is None
    (fleet,) = fleets(path, NOW)
    assert (fleet.instances, fleet.published, fleet.limit, fleet.window, fleet.operations) == (0, None, None, None, {})
    assert attention(path, NOW)["title"].tolist() == []


def test_a_failure_that_the_playbook_rescued_is_not_the_reason_why_its_run_stopped(path: Path) -> None:
    results = [
        {"host": A, "status": "failed", "msg": "expected", "task_counter": None},
        {"host": B, "status": "unreachable", "msg": "ignored by ignore_unreachable", "task_counter": None},
        {"host": C, "status": "failed", "msg": "the reason", "task_counter": None},
        {"host": D, "status": "failed", "msg": "the redeploy failed, and this was rescued too", "task_counter": 2},
    ]
    recap = [{"host": A, "rescued": 1}, {"host": B, "ignored": 1}, {"host": C, "failed": 1}, {"host": D, "rescued": 1}]
    own = {"hosts": [A, B, C, D], "results": results, "playbook": "own.yml", "status": "failed"}
    put_run(path, "own", 900, recap=recap, **own)
    found = operation(path, "own", NOW)
    assert found is not None
    assert found.row["why"] == f"{C}: the reason"
    # A redeploy that failed has failed, whatever the playbook did about it.
    categories = dict(zip(found.instances["host"], found.instances["category"], strict=True))
    assert categories == {A: "not_touched", B: "not_touched", C: "failed", D: "failed"}
    assert runs.failed_results(path, "own")["msg"].tolist() == ["the reason"]
    assert runs.batches(path, "own")["failed"].tolist() == [1]
    # A host that failed in it before has recovered, although a failure was rescued.
    put_run(path, "earlier", 9000, **{**own, "results": results[:1]}, recap=[{"host": A, "failed": 1}])
    assert {A, C, D} == {host for hosts in attention(path, NOW)["hosts"] for host in hosts}
    again = [results[0], {"host": A, "status": "ok", "msg": None, "task_counter": None}]
    put_run(path, "again", 850, **{**own, "results": again, "status": "successful"}, recap=[{"host": A, "rescued": 1}])
    assert {C, D} == {host for hosts in attention(path, NOW)["hosts"] for host in hosts}
    # Before the recap nobody knows what will be rescued.
    put_run(path, "lost", 800, **{**own, "status": "lost", "ended_at": None})
    assert runs.batches(path, "lost")["failed"].tolist() == [4]


def test_a_rollout_belongs_to_the_run_that_started_it_and_not_to_one_that_adopted_it(path: Path) -> None:
    own = put_rollout(path, 1, 900, "succeeded", scope="instance")
    followed = put_rollout(path, 2, 5000, "succeeded", "failed")
    of_old = put_rollout(path, 3, 6000, "succeeded")
    alone = put_rollout(path, 4, 7000, "succeeded", scope="instance", first=3)
    updated = {"host": A, "status": "ok", "changed": 1, "result_json": '{"version_after":"2.5.0"}'}
    put_run(path, "starts", 950, hosts=[A], links=[("rollout", own, A)], results=[updated])
    put_run(path, "follows", 800, playbook="fleet_rollout.yml", hosts=["localhost"],
            links=[("rollout", followed, "localhost"), ("adopted", followed, "localhost")],
            reported={"rollout_id": followed, "adopted": True, "rollout": {"total_targets": 2}, "why": ""})  # fmt: skip
    # In an older record, without the second link, only the report contains this.
    put_run(path, "followed", 700, playbook="fleet_rollout.yml", links=[("rollout", of_old, "localhost")],
            reported={"rollout_id": of_old, "adopted": True, "rollout": {}, "why": ""})  # fmt: skip
    assert keys(path) == ["followed", "follows", "starts", followed, of_old, alone]
    by_key = {row["key"]: row for row in rows(path)}
    assert (by_key["starts"]["rollouts"], by_key["starts"]["updated"], by_key["starts"]["to_version"]) == (
        1,
        1,
        "2.5.0",
    )
    assert (by_key["follows"]["rollouts"], by_key["follows"]["instances"], by_key["follows"]["verdict"]) == (
        0, 0, "complete")  # fmt: skip
    assert by_key["follows"]["why"] == "it followed a rollout that somebody else started"
    assert (by_key[followed]["updated"], by_key[followed]["failed"], by_key[followed]["who"]) == (1, 1, "198.51.100.7")
    assert by_key[followed]["sentence"] == "Complete with failures. 1 updated, 1 failed."
    assert by_key[alone]["title"] == f"redeploy of {D}"
    found = operation(path, "follows", NOW)
    assert found is not None and found.followed == (followed,) and len(found.instances) == 0


def test_a_rollout_belongs_to_the_run_that_started_it_and_followed_it_again_after_a_timeout(path: Path) -> None:
    rollout = put_rollout(path, 1, 900, "succeeded")
    put_run(path, "run", 910, hosts=[A], playbook="own.yml", results=[{"host": A, "status": "ok", "changed": 1}],
            links=[("rollout", rollout, A, 3), ("adopted", rollout, A, 4)])  # fmt: skip
    assert [(row["key"], row["rollouts"]) for row in rows(path)] == [("run", 1)]
    found = operation(path, "run", NOW)
    assert found is not None and found.followed == ()


def test_redeploys_in_progress_belong_to_the_run_that_waits_for_them(path: Path) -> None:
    mine = put_rollout(path, 1, 40, "in_progress", scope="instance", first=1)
    theirs = put_rollout(path, 2, 30, "in_progress", scope="instance", first=2)
    put_run(path, "r", 45, hosts=[A, B, C], status="running", ended_at=None, flying=[B],
            results=[{"host": A, "status": "ok", "changed": 1}])  # fmt: skip
    assert keys(path) == [theirs, "r"]
    assert keys(path, verdicts=("running",)) == [theirs, "r"]
    row = rows(path)[1]
    assert (row["updated"], row["running"], row["waiting"], row["verdict"]) == (1, 1, 1, "running")
    assert (row["ended_at"] != row["ended_at"], row["seconds"]) == (True, 45.0)
    found = operation(path, "r", NOW)
    assert found is not None
    assert found.instances.set_index("host")["rollout_id"][B] == mine
    assert found.rollouts["rollout_id"].tolist() == [mine]
    assert rollouts.targets_of_run(path, "r")[["host", "status"]].to_numpy().tolist() == [[B, "in_progress"]]
    # Its process was killed, so the result of its redeploy comes from the server.
    put_run(path, "r", 45, hosts=[A, B, C], status="lost", ended_at=None, heartbeat_at=NOW - 40, flying=[B],
            results=[{"host": A, "status": "ok", "changed": 1}], after=1)  # fmt: skip
    put_rollout(path, 1, 40, "failed", scope="instance", first=1)
    row = rows(path)[1]
    assert (row["verdict"], row["updated"], row["failed"], row["not_touched"]) == ("lost", 1, 1, 1)
    found = operation(path, "r", NOW)
    assert found is not None and [failure.message for failure in found.failures] == [REASON]


def test_what_a_killed_run_started_belongs_to_it_although_the_next_run_adopted_it(path: Path) -> None:
    killed = {"status": "lost", "ended_at": None, "hosts": [B], "flying": [B]}
    first = put_rollout(path, 1, 549, "succeeded", scope="instance", first=1)
    put_run(path, "killed", 550, heartbeat_at=NOW - 550, **killed)
    second = put_rollout(path, 2, 499, "succeeded", scope="instance", first=1)
    put_run(path, "killed again", 500, heartbeat_at=NOW - 500, **killed)
    put_run(path, "next", 490, hosts=[B], reported=report(updated=[B]), results=[{"host": B, "status": "ok"}],
            links=[("rollout", second, B, 3), ("adopted", second, B, 3)])  # fmt: skip
    found = {key: operation(path, key, NOW).rollouts["rollout_id"].tolist() for key in keys(path)}
    assert found == {"next": [second], "killed again": [second], "killed": [first]}


def test_a_fleet_rollout_in_progress_belongs_to_the_run_that_started_it(
    path: Path,
) -> None:
    before = put_rollout(path, 1, 500, "succeeded", "in_progress")
    follows = {"hosts": ["localhost"], "status": "running", "ended_at": None, "flying": ["localhost"],
               "playbook": "fleet_rollout.yml", "action": "fleetops.agents.rollout"}  # fmt: skip
    put_run(path, "follows", 400, **follows)
    assert keys(path) == ["follows", before]
    assert [row["instances"] for row in rows(path)] == [0, 2]
    started = put_rollout(path, 2, 90, "succeeded", "in_progress", "queued")
    put_run(path, "starts", 95, **follows)
    put_run(path, "looks", 94, check_mode=1, **follows)
    found = {row["key"]: row for row in rows(path)}
    # Either run may have started it, so it belongs to both and is not listed separately.
    assert started not in found
    assert [found["starts"][key] for key in ("verdict", "updated", "running", "waiting")] == ["running", 1, 1, 1]
    assert found["looks"]["instances"] == 0
    whole = operation(path, "starts", NOW)
    assert whole is not None
    assert whole.instances["category"].tolist() == ["running", "waiting", "updated"]


@pytest.mark.parametrize(
    ("messages", "why", "cause"),
    [
        ({A: f"The redeploy of {A} failed."}, "The redeploy of {A} failed.", "1 failed: The redeploy of {A} failed."),
        ({A: "no route"}, "{A}: no route", "1 failed ({A}): no route"),
        ({A: f"no route to {A}", B: f"no route to {B}"}, "no route to {A}", "2 failed ({A}, {B}): no route to {A}"),
    ],
    ids=["named", "not named", "several"],
)
def test_a_failure_is_told_with_its_host_once(path: Path, messages: dict[str, str], why: str, cause: str) -> None:
    failed = [{"host": host, "status": "failed", "msg": text} for host, text in messages.items()]
    put_run(path, "r", 100, hosts=[*messages], status="failed", results=failed)
    [row] = rows(path)
    assert row["why"] == why.format(A=A, B=B)
    [fact] = read_facts.facts(path, parse(SELECTED), [], NOW)
    assert fact.details[0] == cause.format(A=A, B=B)


@pytest.mark.parametrize("host", ["localhost", A])
@pytest.mark.parametrize("known", [True, False], ids=["read from the API", "not read"])
def test_a_task_that_loops_over_instances_counts_for_them_and_not_for_its_host(
    path: Path, host: str, known: bool
) -> None:
    ids = [ident(n, 0xB0) for n in range(3)]
    if known:
        put_rollout(path, 1, 9000, "succeeded", "succeeded", "succeeded")
    names = [A, B, C] if known else [A if host == A else ids[0], B, ids[2]]
    ok = {"kind": "item", "status": "ok", "changed": 1, "host": host, "msg": None}
    items = [{**ok, "result_json": to_json({"instance_id": i, "task_id": "t"})} for i in ids]
    items[1] |= {"status": "failed", "msg": REASON, "changed": 0}
    rollout = put_rollout(path, 2, 90, "failed", scope="instance", first=1)
    whole = {**items[1], "kind": "result", "result_json": "{}"}
    put_run(path, "loop", 100, hosts=[host], status="failed", action=REBOOT, playbook="own.yml",
            results=[*items, whole],
            links=[("rollout", rollout, host), *(("instance", i, host) for i in ids)])  # fmt: skip
    if host == A:
        # Another task of the host is about its own instance.
        own = {"host": A, "status": "ok", "result_json": to_json({"instance_id": ids[0]}), "counter": 90}
        put_run(path, "loop", 100, hosts=[host], status="failed", action=REBOOT, playbook="own.yml", results=[own],
                after=1)  # fmt: skip
    found = operation(path, "loop", NOW)
    assert found is not None
    categories = dict(zip(found.instances["host"], found.instances["category"], strict=True))
    assert categories == {names[0]: "updated", names[1]: "failed", names[2]: "updated"}
    assert found.instances.set_index("host")["rollout_id"].dropna().to_dict() == {B: rollout}
    assert {row["key"]: (row["updated"], row["failed"]) for row in rows(path)}["loop"] == (2, 1)
    assert [failure.hosts for failure in found.failures] == [(names[1],)]


def test_a_host_that_loops_over_parts_of_its_own_instance_has_one_outcome(path: Path) -> None:
    item = {
        "kind": "item",
        "host": "inventory-name",
        "msg": REASON,
        "result_json": to_json({"instance_id": ident(0, 0xB0)}),
    }
    items = [{**item, "status": status, "changed": 1} for status in ("ok", "failed")]
    whole = {**items[1], "kind": "result", "result_json": "{}"}
    put_rollout(path, 1, 9000, "succeeded")
    put_run(path, "r", 100, hosts=["inventory-name"], status="failed", results=[*items, whole])
    found = operation(path, "r", NOW)
    assert found is not None
    assert found.instances[["host", "category", "message"]].to_numpy().tolist() == [
        ["inventory-name", "failed", REASON]
    ]


def put_evidence(path: Path, run_id: str, *documents: tuple[str, dict[str, Any]], status: str = "lost") -> None:
    run = {"run_id": run_id, "source": "callback", "playbook": "rolling_redeploy.yml", "status": status,
           "started_at": NOW - 900, "heartbeat_at": NOW - 800, "check_mode": 0}  # fmt: skip
    rows_of_it = [{"run_id": run_id, "counter": n, "kind": kind, "at": NOW - 900 + n, "batch": 1 if kind == "gate" else
                   None, "verdict": document.get("verdict"), "document_json": json.dumps(document)}
                  for n, (kind, document) in enumerate(documents, 10)]  # fmt: skip
    plays = [{"run_id": run_id, "counter": 1, "play": 1, "batch": 1, "pattern": "x", "hosts": 4, "started_at": NOW,
              "hosts_json": json.dumps([A, B, C, D])}]  # fmt: skip
    with open_store(path) as store:
        store.put_run(RunRows(run, plays=plays, evidence=rows_of_it), Cursor("spool", run_id, position=1), after=None)


def test_a_killed_run_is_described_by_its_plan_or_by_the_report_that_it_had_written(path: Path) -> None:
    plan = {"plan_hash": "p", "counts": {"batches": 3, "planned": 2, "left_alone": 1, "gone": 1}, "left_alone": [C],
            "gone": [D], "batches": [{"size": 1, "instances": [A]}, {"size": 1, "instances": [B]}]}  # fmt: skip
    gate = {"verdict": "pass", "checks": [{"name": "budget", "verdict": "pass", "reason": "No instance failed."}]}
    put_evidence(path, "planned", ("plan", plan), ("gate", gate))
    (row,) = rows(path)
    assert [row[key] for key in ("verdict", "not_touched", "current", "gone")] == ["lost", 2, 1, 1]
    found = operation(path, "planned", NOW)
    assert found is not None
    assert [(one.batch, one.verdict, one.figures) for one in found.gates] == [(1, "pass", ("No instance failed",))]
    assert (found.plan["hash"], found.plan["planned"], found.plan["batches"], found.plan["gone"]) == ("p", 2, 3, (D,))
    # Instances that a rule left out are not current.
    share = {**plan, "counts": {**plan["counts"], "planned": 1, "left_out": 1}}
    put_evidence(path, "share", ("plan", {**share, "batches": [{"size": 1, "instances": [A]}]}))
    (row,) = [row for row in rows(path) if row["key"] == "share"]
    assert [row[key] for key in ("not_touched", "current", "gone")] == [2, 1, 1]
    # In a truncated plan only the first names are kept, with the complete counts.
    cut = {**plan, "batches": [{"size": 2, "instances": [A]}], "truncated": True}
    put_evidence(path, "cut", ("plan", cut))
    assert operation(path, "cut", NOW).plan["planned"] == 2  # type: ignore[union-attr]
    put_evidence(
        path, "reported", ("plan", plan), ("report", report("fail", updated=[A], failed=[B], current=[C], gone=[D]))
    )
    both = [("report", report(updated=[A])), ("report", report("fail", failed=[B], not_touched=[C]))]
    put_evidence(path, "imports_two", *both, status="failed")
    row = next(row for row in rows(path) if row["key"] == "imports_two")
    assert [row[key] for key in ("verdict", "updated", "failed", "not_touched")] == ["stopped", 1, 1, 1]
    row = next(row for row in rows(path) if row["key"] == "reported")
    assert [row[key] for key in ("verdict", "updated", "failed", "current", "gone", "derived")] == [
        "lost", 1, 1, 1, 1, False]  # fmt: skip


def test_a_run_whose_results_were_pruned_does_not_claim_that_nothing_was_changed(path: Path) -> None:
    own = put_rollout(path, 1, 900, "succeeded", scope="instance")
    done = [{"host": host, "status": "ok", "changed": 1} for host in (A, B)]
    put_run(path, "r", 950, hosts=[A, B], results=done, links=[("rollout", own, A)])
    (row,) = rows(path)
    assert (row["updated"], row["sentence"]) == (2, "Complete. 2 updated.")
    with sqlite3.connect(path) as conn:
        # Pruning does this.
        conn.execute("DELETE FROM host_results")
    (row,) = rows(path)
    assert (row["updated"], row["not_touched"]) == (1, 0)
    assert row["sentence"] == "Complete. Its task results are no longer kept. 1 updated."


@pytest.mark.parametrize(
    ("failure", "version", "expected"),
    [
        ({"version_before": "2.5.0"}, "2.5.0", "failed"),
        ({"version_before": "2.5.0", "ambiguous": True}, "2.5.0", "uncertain"),
        ({"version_before": "2.5.0", "redeployed": True}, "2.5.0", "updated"),
        ({"version_before": "2.4.0"}, "2.5.0", "updated"),
        ({"version_before": None}, None, "updated"),
    ],
)
def test_a_version_that_was_published_before_a_failed_redeploy_does_not_show_that_it_succeeded(
    failure: dict[str, Any], version: str | None, expected: str, path: Path
) -> None:
    results = [
        {"host": A, "status": "failed", "changed": 1, "msg": REASON, "result_json": to_json(failure)},
        {"host": A, "status": "ok", "changed": 0, "msg": None, "result_json": to_json({"version_after": version})},
    ]
    put_run(path, "killed", 900, hosts=[A], results=results, status="lost", ended_at=None)
    found = operation(path, "killed", NOW)
    assert found is not None and found.instances["category"].tolist() == [expected]


def test_operations_are_filtered_counted_and_paged(path: Path) -> None:
    fleet = put_rollout(path, 1, 4000, "succeeded", "succeeded")
    put_run(path, "stopped", 3000, hosts=[A, B], status="failed", reported=report("fail", failed=[A], not_touched=[B]))
    put_run(path, "looked", 2000, hosts=[A], check_mode=1, reported={**report(updated=[A]), "check_mode": True})
    empty = ("first_play", "name", "template", "project", "playbook", "url", "created_at", "started_at", "finished_at",
             "explanation")  # fmt: skip
    job: Row = dict.fromkeys(empty)
    job |= {"job": "of_awx", "run_id": "of_awx", "origin": "https://awx.example", "job_id": "812"}
    job |= {"status": "successful", "launch_type": "manual", "launched_by": "jon", "complete": 1}
    put_run(path, "of_awx", 1000, hosts=[C], user="root", reported={**report(updated=[C]), "override_reason": "CVE"},
            results=[{"host": C, "status": "ok"}], job=job, playbook="books/reboot.yml")  # fmt: skip
    with open_ledger(path) as ledger:
        act = {"attempt_id": "act", "at": NOW - 500, "user": "kim", "action": "pause", "name": fleet, "tenant": TENANT,
               "rollout_id": fleet, "targets": 2}  # fmt: skip
        ledger.begin(act)
        ledger.end({"attempt_id": "act", "at": NOW - 499, "outcome": "failed", "detail": "409: it has ended"})
    assert keys(path) == ["act", "of_awx", "looked", "stopped", fleet]
    frame, total = operations(path, NOW, page=2, size=2)
    assert (frame["key"].tolist(), total) == (["looked", "stopped"], 5)
    by_key = {row["key"]: row for row in rows(path)}
    assert (by_key["of_awx"]["who"], by_key["of_awx"]["title"]) == ("AWX job 812, jon", "reboot")
    # The account in the execution environment is nobody's.
    assert override_runs(path)["user"].tolist() == ["jon"]
    assert history(path, TENANT, "x", C, NOW - 1001, NOW)["detail"].tolist() == ["by jon"]
    assert (by_key["act"]["title"], by_key["act"]["who"], by_key["act"]["verdict"]) == (
        f"pause {fleet}",
        "kim",
        "stopped",
    )
    assert [by_key[key]["check"] for key in ("looked", "stopped", fleet)] == [True, False, None]
    assert keys(path, verdicts=("stopped",)) == ["act", "stopped"]
    assert keys(path, verdicts=("check", "complete")) == ["of_awx", "looked", fleet]
    assert keys(path, check=True) == ["looked"]
    assert keys(path, check=False) == ["act", "of_awx", "stopped", fleet]
    assert keys(path, kinds=("rollout",)) == [fleet]
    assert keys(path, who="jon") == ["of_awx"]
    assert keys(path, who="198.51.100") == [fleet]
    assert keys(path, since=NOW - 2500, until=NOW - 900) == ["of_awx", "looked"]
    # An operation that began before the period and ended in it is included.
    assert keys(path, since=NOW - 3970, until=NOW - 3500) == [fleet]
    assert keys(path, since=NOW - 3950, until=NOW - 3500) == []
    assert keys(path, text="reboot") == ["of_awx"]
    assert keys(path, text="fleet rollout") == [fleet]
    assert keys(path, text="100%") == []
    (acted,) = operation(path, "act", NOW).instances.to_dict("records")  # type: ignore[union-attr]
    assert (acted["category"], acted["message"]) == ("failed", "409: it has ended")


def test_running_operations_are_found_without_reading_the_reports_of_ended_ones(path: Path) -> None:
    put_run(path, "ended-run", 3000, hosts=[A], reported=report(updated=[A]))
    put_run(path, "in-progress", 60, hosts=[A], status="running", ended_at=None)
    statements: list[str] = []
    with frames.reading(path) as conn:
        conn.set_trace_callback(statements.append)
        found, _total = operations(conn, NOW, OperationFilter(verdicts=("running",)))
    assert found["key"].tolist() == ["in-progress"]
    assert any("in-progress" in sql for sql in statements)
    assert not [sql for sql in statements if "ended-run" in sql]


def test_a_host_is_found_even_if_many_other_names_contain_the_search_text(path: Path) -> None:
    names = [*(f"agent-1{n:03d}" for n in range(60)), "agent-1"]
    with open_store(path) as store:
        for n, name in enumerate(names):
            one = [target(n, ident(1, 0x7700), "succeeded", NOW - 9, NOW - 8, NOW - 7, instance_hostname=name)]
            store.put_rollouts([rollout_read(ident(n, 0x7700), one, "completed", NOW - 9, NOW - 7)])
    assert keys(path, text="agent-1050") == [ident(50, 0x7700)]
    assert ident(60, 0x7700) in keys(path, text="agent-1")


def test_a_truncated_report_keeps_its_counts_and_each_instance_has_one_outcome(path: Path) -> None:
    hosts = [f"agent-{n:05d}" for n in range(20_000)]
    whole = report("fail", updated=hosts[:19_000], failed=hosts[19_000:19_580], not_touched=hosts[19_580:])
    kept = cut_artifacts({"fleetops_report": whole}, 64 * 1024, Redactor())
    assert kept["truncated"]
    results = [{"host": host, "status": "ok", "changed": 1} for host in hosts[:19_000]]
    results += [
        {"host": host, "status": "failed", "msg": f"{host}: checksum mismatch"} for host in hosts[19_000:19_580]
    ]
    put_run(path, "big", 900, hosts=hosts, status="failed", reported=kept, results=results)
    (row,) = rows(path)
    assert (row["updated"], row["failed"], row["not_touched"], row["derived"]) == (19_000, 580, 420, False)
    found = operation(path, "big", NOW)
    assert found is not None
    assert found.instances["category"].value_counts().to_dict() == {
        "updated": 19_000,
        "failed": 580,
        "not_touched": 420,
    }
    assert sum(len(failure.hosts) for failure in found.failures) == 580
    reported = attention(path, NOW)
    assert reported["title"].tolist() == ["580 instances failed"]
    assert (reported["page"][0], reported["id"][0], len(reported["hosts"][0])) == ("run", "big", 6)


def put_instance(path: Path, kind: str, number: int, at: float, record: dict[str, Any]) -> None:
    make = health_rows if kind == "health" else update_rows
    instance_id = ident(number, 0xB0)
    with open_store(path) as store:
        store.put_instance(
            make(TENANT, instance_id, record, at), Cursor(kind, f"{TENANT}|{instance_id}", last_ok_at=at)
        )


def versions(current: str, available: str = "2.5.0") -> dict[str, Any]:
    return {"runtime": {"component_type": "runtime", "slug": "runtime", "current_version": current,
                        "available_version": available, "has_update": current != available}}  # fmt: skip


def health(word: str, at: float) -> dict[str, Any]:
    return {"status": word, "checked_at": iso(at)}


def titles(path: Path) -> list[str]:
    return attention(path, NOW)["title"].tolist()


def test_a_failed_deployment_needs_no_attention_once_its_instance_is_up_to_date(path: Path) -> None:
    put_rollout(path, 1, 900, "failed", "failed")
    assert titles(path) == ["2 instances failed"]
    # One was read before the failure, the other still has an available update: neither resolves the failure.
    put_instance(path, "updates", 0, NOW - 1000, versions("2.5.0"))
    put_instance(path, "updates", 1, NOW - 100, versions("2.4.0"))
    assert titles(path) == ["2 instances failed"]
    put_instance(path, "updates", 0, NOW - 100, versions("2.5.0"))
    assert titles(path) == [f"{B} failed"]
    # A run in check mode only predicts changes.
    ok = {"host": B, "status": "ok", "changed": 1}
    put_run(path, "checked", 90, hosts=[B], check_mode=1, results=[ok])
    put_run(path, "looked", 80, hosts=[B], results=[ok])
    assert titles(path) == [f"{B} failed"]
    put_run(path, "done", 70, hosts=[B], results=[{**ok, "result_json": '{"task_id":"t"}'}])
    assert titles(path) == []
    # As in the list of instances, an instance that is being redeployed has no open problem.
    put_run(path, "again", 10, hosts=[A, B], status="failed", ended_at=NOW - 5, reported=report(failed=[A, B]))
    put_rollout(path, 2, 4, "in_progress")
    assert titles(path) == [f"{B} failed"]


def test_a_cancelled_target_does_not_resolve_an_earlier_failure_since_the_instance_was_not_touched(path: Path) -> None:
    put_rollout(path, 1, 900, "failed")
    put_run(path, "run", 890, hosts=[B], status="failed", ended_at=NOW - 800, reported=report(failed=[B]))
    put_rollout(path, 2, 500, "cancelled", "cancelled")
    assert sorted(titles(path)) == [f"{A} failed", f"{B} failed"]
    found = instance(path, ident(0, 0xB0))
    assert found is not None and found["problem"] == f"last rollout failed: {REASON}"
    put_rollout(path, 3, 100, "succeeded", "in_progress")
    assert titles(path) == []
    found = instance(path, ident(0, 0xB0))
    assert found is not None and found["problem"] == ""


def played(path: Path, tenant: str, instance_id: str) -> list[str]:
    """The runs in the history of the instance that is called A."""
    return history(path, tenant, instance_id, A, NOW - 1000, NOW).query("kind == 'playbook'")["operation"].tolist()


def test_what_a_run_did_at_an_instance_of_the_same_name_under_another_tenant_is_not_this_ones(path: Path) -> None:
    own = put_rollout(path, 1, 900, "failed", "failed")
    other, its_id = "https://other.example.com", ident(0, 0xC0)
    with open_store(path) as store:
        store.put_tenant(other, NOW)
    with sqlite3.connect(path) as conn:
        conn.execute("INSERT INTO instances VALUES (?, ?, ?, NULL, NULL, ?, ?)", (other, its_id, A, NOW, NOW))
    theirs = {"hosts": [A], "links": [("instance", its_id, A)]}
    ok = {"host": A, "status": "ok", "changed": 1, "result_json": '{"task_id":"t"}'}
    put_run(path, "theirs", 90, results=[ok], **theirs)
    assert titles(path) == ["2 instances failed"]
    bad = {"host": A, "status": "failed", "msg": REASON}
    put_run(path, "failed", 80, results=[bad], status="failed", **theirs)
    assert titles(path) == ["3 instances failed in 2 operations"]
    assert same_time.beside_run(path, "theirs", NOW - 1000, NOW).others.empty
    assert same_time.beside_rollout(path, TENANT, own, NOW - 1000, NOW).others.empty
    # Before it was renamed, and by a task of another host, as in a loop.
    put_run(path, "renamed", 95, results=[{**ok, "host": "old"}], hosts=["old"], links=[("instance", its_id, "old")])
    put_run(path, "loop", 94, results=[{**ok, "host": "localhost"}], links=[("instance", its_id, "localhost")])
    put_run(path, "of another", 93, results=[{**ok, "host": "old"}], hosts=["old"])
    assert played(path, TENANT, ident(0, 0xB0)) == []
    assert played(path, other, its_id) == ["failed", "theirs", "loop", "renamed"]
    both = [ok, {**ok, "host": "first"}]
    put_run(path, "both", 96, hosts=[A, "first"], links=[("instance", its_id, "first")], results=both)
    assert played(path, other, its_id)[-1] == "both"
    put_run(path, "ours", 70, hosts=[A], links=[("instance", ident(0, 0xB0), A)], results=[ok])
    assert titles(path) == ["2 instances failed in 2 operations"]
    # One of the same tenant has taken its place.
    with sqlite3.connect(path) as conn:
        conn.execute("INSERT INTO instances VALUES (?, ?, ?, NULL, NULL, ?, ?)", (TENANT, ident(1, 0xC0), B, NOW, NOW))
    put_run(path, "new", 60, hosts=[B], links=[("instance", ident(1, 0xC0), B)], results=[{**ok, "host": B}])
    assert titles(path) == [f"{A} failed"]


def test_a_host_name_of_two_tenants_means_an_instance_only_if_the_run_names_it(path: Path) -> None:
    put_rollout(path, 1, 9000, "succeeded")
    own, other, its_id = ident(0, 0xB0), "https://other.example.com", ident(0, 0xC0)
    with open_store(path) as store:
        store.put_tenant(other, NOW)
    with sqlite3.connect(path) as conn:
        conn.execute("INSERT INTO instances VALUES (?, ?, ?, NULL, NULL, ?, ?)", (other, its_id, A, NOW, NOW))
    bad = {"hosts": [A], "status": "failed", "playbook": "own.yml", "results": [{"host": A, "status": "failed"}]}
    for run_id, named in (("unnamed", ()), ("ours", [own]), ("theirs", [its_id]), ("both", [own, its_id])):
        put_run(path, run_id, 900, links=[("instance", ref, A) for ref in named], **bad)
    sides = [operation(path, run_id, NOW).instances for run_id in ("ours", "theirs")]  # type: ignore[union-attr]
    assert [side["instance_id"].tolist() for side in sides] == [[own], [its_id]]
    with frames.reading(path) as conn:
        found, _runs = failing_in_runs(conn, 0.0, [])
    assert {(one.tenant, one.instance_id) for one in found} == {(None, None), (TENANT, own), (other, its_id)}


def test_a_failed_restart_needs_no_attention_once_its_instance_is_healthy(path: Path) -> None:
    put_rollout(path, 1, 9000, "succeeded", "succeeded")
    bad = [{"host": host, "status": "failed", "msg": f"{host}: it did not come back within 600 s"} for host in (A, B)]
    put_run(path, "reboots", 900, hosts=[A, B, C], status="failed", action=REBOOT, playbook="reboot.yml", results=bad)
    found = attention(path, NOW)
    assert found["title"].tolist() == ["2 instances failed"]
    assert found["page"].tolist() == ["run"]
    put_instance(path, "health", 0, NOW - 1000, health("healthy", NOW - 1000))
    assert titles(path) == ["2 instances failed"]
    put_instance(path, "health", 0, NOW - 100, health("healthy", NOW - 100))
    put_instance(path, "health", 1, NOW - 100, health("unhealthy", NOW - 100))
    assert titles(path) == [f"{B} failed", f"{B} is unhealthy"]
    put_instance(path, "health", 1, NOW - 50, health("healthy", NOW - 50))
    assert titles(path) == []


def test_equal_failures_of_a_rollout_and_of_a_run_are_one_entry(path: Path) -> None:
    put_rollout(path, 1, 900, "failed")
    own = put_rollout(path, 2, 800, "failed", scope="instance", first=1)
    put_run(path, "r", 810, hosts=[B, C], status="failed", links=[("rollout", own, B)],
            reported={**report("fail", failed=[B, C]), "why": {B: f"It failed: {REASON}", C: REASON}})  # fmt: skip
    (entry,) = attention(path, NOW).itertuples()
    assert (entry.title, entry.detail, entry.hosts) == ("3 instances failed in 2 operations", REASON, (A, B, C))
    assert (entry.page, entry.id) == ("run", "r")


def test_a_stopped_run_needs_attention_until_its_playbook_succeeds(path: Path) -> None:
    refused = {**report("fail", not_touched=[A]), "reasons": ["The window is closed."]}
    put_run(path, "refused", 900, hosts=[A], status="failed", reported=refused)
    (entry,) = attention(path, NOW).itertuples()
    assert (entry.status, entry.title, entry.detail) == ("stopped", "rolling_redeploy", "The window is closed.")
    put_run(path, "checked", 500, hosts=[A], check_mode=1, reported=report(updated=[A]))
    assert len(titles(path)) == 1
    put_run(path, "done", 400, hosts=[A], reported=report(updated=[A]))
    assert titles(path) == []


def test_ignored_errors_of_other_runs_neither_need_attention_nor_hide_a_failed_run(path: Path) -> None:
    own = {"hosts": [A], "playbook": "own.yml", "action": "ansible.builtin.command"}
    put_run(path, "failed", 9000, status="failed", results=[{"host": A, "status": "failed"}], **own)
    ignored = {**own, "results": [{"host": B, "status": "ignored"}], "recap": [{"host": B, "ignored": 1}]}
    for number in range(MAX_WHOLE):
        put_run(path, f"ignored {number}", 8000 - number, **ignored)
    assert titles(path) == [f"{A} failed"]
    put_run(path, "running", 700, **{**ignored, "action": RUNTIME}, status="running", ended_at=None, heartbeat_at=NOW)
    assert titles(path) == [f"{A} failed"]


def test_the_state_of_the_fleet_contains_versions_health_policy_and_operations(path: Path) -> None:
    put_rollout(path, 1, 9000, "succeeded", "succeeded", "succeeded", "succeeded")
    put_rollout(path, 2, 10, "in_progress", "queued")
    put_instance(path, "updates", 0, NOW - 900, versions("2.4.0", "2.4.0"))
    put_instance(path, "updates", 1, NOW - 100, versions("2.5.0"))
    put_instance(path, "updates", 2, NOW - 90, versions("2.4.0"))
    put_instance(path, "health", 1, NOW - 90, health("healthy", NOW - 90))
    put_instance(path, "health", 2, NOW - 30, health("degraded", NOW - 30))
    put_run(path, "r", 900, hosts=[A], reported=report(updated=[A]))
    with open_store(path) as store:
        store.put_policy(policy_row(TENANT, {"max_parallel_rollouts": 3}, NOW - 3600))
    (fleet,) = fleets(path, NOW)
    assert fleet.health == {"healthy": 1, "degraded": 1, "unhealthy": 0, "other": 0, "not read": 2}
    assert fleet.health_at == NOW - 90
    assert fleet.versions == (("2.4.0", 2), ("2.5.0", 1), (None, 1))
    assert (fleet.published, fleet.on_published) == ("2.5.0", 1)
    assert fleet.published_others == (("2.4.0", 1, A),)
    assert (fleet.updates, fleet.updates_read) == ({"runtime": 1, "skills": 0, "servers": 0}, 3)
    assert (fleet.in_flight, fleet.limit, fleet.api_at) == (1, 3, NOW)
    assert fleet.window is not None and fleet.window.is_open
    assert fleet.operations == {"complete": 2, "running": 1}


def test_the_operations_of_the_last_24_hours_are_counted_with_the_status_that_their_rows_show(path: Path) -> None:
    put_rollout(path, 1, 9000, "succeeded", "failed")
    put_rollout(path, 2, 8000, "succeeded")
    put_rollout(path, 4, 7000, "succeeded", "uncertain")
    put_run(path, "within-its-budget", 900, hosts=[A, B], status="failed", reported=report(updated=[A], failed=[B]))
    put_run(path, "without-failures", 800, hosts=[A], reported=report(updated=[A]))
    failed, done = {"status": "failed", "msg": "exit 1"}, {"status": "ok", "changed": 1}
    put_run(path, "without-report", 700, hosts=[A, B], playbook="own.yml",
            results=[{"host": A, **done}, {"host": B, **failed}], recap=[{"host": B, "ignored": 1}])  # fmt: skip
    rollout = put_rollout(path, 3, 600, "succeeded", "failed")
    put_run(path, "on-the-server", 610, hosts=[A], playbook="playbooks/fleet_rollout.yml",
            reported={"rollout_id": rollout, "verdict": "pass"}, links=[("rollout", rollout, A)])  # fmt: skip
    put_run(path, "without-recap", 550, hosts=[A], playbook="own.yml", flying=[A])
    put_run(path, "cancelled", 500, hosts=[A], status="canceled")
    (fleet,) = fleets(path, NOW)
    assert fleet.operations == Counter(row["status"] for row in rows(path))
    assert (fleet.operations["complete with failures"], fleet.operations["complete"]) == (6, 2)
    # The link from each number opens a list of as many operations.
    for status in STATUSES:
        found = rows(path, statuses=(status,))
        assert [row["status"] for row in found] == [status] * fleet.operations.get(status, 0)


@pytest.mark.parametrize("status", ["completed", "in_progress"])
def test_the_outcome_of_an_instance_in_a_rollout_is_that_of_its_newest_target(path: Path, status: str) -> None:
    rollout_id, created = ident(9, 0x7700), NOW - 600
    words = ("queued", "in_progress", "succeeded", "failed", "uncertain", "cancelled", "unheard")
    given = [
        {**target(n % 11, rollout_id, words[n % 7], created + n, created + 60 if n % 3 else None,
                  created + 90 if n % 4 else None, error_message=f"target {n}: {REASON}" if n % 2 else None),
         "target_id": ident(n, 0xA1)}
        for n in range(14)
    ]  # fmt: skip
    with open_store(path) as store:
        store.put_rollouts([rollout_read(rollout_id, given, status, created, None)])
    stored = rows_of(path, "SELECT status FROM rollout_targets WHERE rollout_id = ? ORDER BY target_id", rollout_id)
    by_rule = outcomes(
        Facts("rollout", "fleet rollout", status, targets=[
            Target(one["instance_hostname"], row["status"], one["target_id"], "", created + n,
                   message=one["error_message"] or "")
            for n, (one, row) in enumerate(zip(given, stored, strict=True))
        ])
    )  # fmt: skip
    found = operation(path, rollout_id, NOW)
    assert found is not None
    instances = found.instances.set_index("host")
    assert len(by_rule) == 11 and {row.category for row in by_rule.values()} >= {"updated", "failed", "uncertain"}
    assert instances["category"].to_dict() == {host: one.category for host, one in by_rule.items()}
    assert instances["message"].to_dict() == {host: one.message for host, one in by_rule.items()}
    assert {word: found.row[word] for word in CATEGORIES} == dict.fromkeys(CATEGORIES, 0) | dict(
        instances["category"].value_counts()
    )
    problems = {host for host, one in by_rule.items() if one.category in ("failed", "uncertain")}
    assert {host for failure in found.failures for host in failure.hosts} == problems


def test_a_run_with_more_hosts_than_a_page_shows_is_complete(path: Path) -> None:
    count, run_id = 5_200, "big"
    results = [{"host": host_name(n), "status": "ok"} for n in range(count)]
    ids = [ident(n, 0x88) for n in range(1_100)]
    links = [("rollout", rollout_id, host_name(n)) for n, rollout_id in enumerate(ids)]
    put_run(path, run_id, 100, results=results, links=links)
    with open_store(path) as store:
        store.put_rollouts(
            rollout_read(one, [target(n, one, "succeeded", NOW - 90, NOW - 80, NOW - 50)], "completed", NOW - 90,
                         NOW - 50, scope="instance")
            for n, one in enumerate(ids)
        )  # fmt: skip
    assert len(runs.recap(path, run_id)) == count
    assert len(rollouts.rollouts_of_run(path, run_id)) == len(rollouts.targets_of_run(path, run_id)) == len(ids)
    assert len(operation(path, run_id, NOW).rollouts) == len(ids)
