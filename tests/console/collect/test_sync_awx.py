# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The import of recorded AWX jobs over HTTP, and a comparison with awxkit."""

from __future__ import annotations

import datetime
import json
import socket
import time
from pathlib import Path

import pytest
from awxkit.api import ApiV2
from awxkit.api.client import Connection
from streamlit.testing.v1 import AppTest

from console.__main__ import main
from console.collect.jobs.awx import JobFilter
from console.collect.run_logs import sync_run_logs
from console.record.read import runs as run_queries
from console.record.read.record_health import vitals
from console.record.write.store import open_store
from tests.conftest import CHECKOUT
from tests.console.support.awx_jobs import NOW, load
from tests.console.support.facts import dump, evidence, rows, wrong_types
from tests.console.support.fake_awx import TOKEN, FakeAwx, recorded
from tests.console.support.page import words


def run_of(job: int) -> str:
    return f"SELECT * FROM runs WHERE job_id = '{job}'"


def test_recorded_jobs_are_imported_with_their_batches_and_results(awx: FakeAwx, database: Path) -> None:
    awx.largest_page = 10
    report = load(awx, database)
    assert (report.jobs, report.events, report.problems, report.notes) == (3, 26, [], [])
    found = {row["job_id"]: row for row in rows(database, "SELECT * FROM runs")}
    assert {job: row["status"] for job, row in found.items()} == {"1": "successful", "2": "failed", "3": "canceled"}
    job = found["2"]
    assert (job["playbook"], job["user"], job["controller"]) == ("redeploy.yml", "admin", "awx-local")
    assert (job["events"], job["last_counter"], job["dropped_events"], job["hosts"]) == (26, 26, 0, 4)
    assert json.loads(job["stats_json"])["operations"]["agent-04"] == "op-agent-04"
    # The counts of AWX for each host, from an endpoint that the importer does not read.
    names = {"ok": "ok", "changed": "changed", "failed": "failures", "unreachable": "dark", "skipped": "skipped"}
    summaries = [
        {"host": s["host_name"], **{ours: s[theirs] for ours, theirs in names.items()}}
        for s in recorded("job_failed_host_summaries")["results"]
    ]
    ours = rows(database, "SELECT host, ok, changed, failed, unreachable, skipped FROM run_hosts ORDER BY host")
    assert ours == sorted(summaries, key=lambda row: row["host"])
    # By counter, because the results of the second batch have the parent_uuid of the first batch's task.
    plays = rows(database, "SELECT batch, name, hosts, hosts_json FROM plays ORDER BY counter")
    assert [(p["batch"], json.loads(p["hosts_json"])) for p in plays] == [
        (1, ["agent-01", "agent-02"]),
        (2, ["agent-03", "agent-04"]),
    ]
    results = rows(
        database,
        "SELECT h.host, t.name, p.batch, h.status, h.changed, h.msg FROM host_results h"
        " JOIN tasks t ON t.run_id = h.run_id AND t.counter = h.task_counter"
        " JOIN plays p ON p.run_id = h.run_id AND p.counter = h.play_counter ORDER BY h.counter",
    )
    assert [tuple(r.values()) for r in results] == [
        ("agent-01", "Redeploy instance", 1, "ok", 1, None),
        ("agent-02", "Redeploy instance", 1, "ok", 1, None),
        ("agent-02", "Publish operation ids", 1, "ok", 0, None),
        ("agent-01", "Publish operation ids", 1, "ok", 0, None),
        ("agent-04", "Redeploy instance", 2, "ok", 1, None),
        ("agent-03", "Redeploy instance", 2, "failed", 0, "circuit breaker open"),
        ("agent-04", "Publish operation ids", 2, "ok", 0, None),
    ]
    assert "module_args" not in "".join(r["result_json"] or "" for r in rows(database, "SELECT * FROM host_results"))
    assert wrong_types(database) == []


def test_a_second_import_changes_nothing_and_requests_only_the_list(awx: FakeAwx, database: Path) -> None:
    load(awx, database)
    before = dump(database)
    awx.requests.clear()
    again = load(awx, database)
    assert dump(database) == before
    assert (again.jobs, again.known, again.events) == (0, 3, 0)
    assert len(awx.requests) == 1
    awx.add(1, 11, later_s=3600)
    assert load(awx, database).jobs == 1
    assert "finished__gte=2026-11-23T21%3A20%3A40" in awx.requests[1]


def test_an_interrupted_import_is_completed_by_later_ones(awx: FakeAwx, database: Path, tmp_path: Path) -> None:
    awx.largest_page = 5
    load(awx, tmp_path / "whole.db")
    for refusal in (
        ("counter__gt=10", 502, {}, {"detail": "bad gateway"}),
        ("counter__gt=20", 500, {}, "<h1>Server Error</h1>"),
    ):
        awx.refusals = [refusal, ("/jobs/3/", 503, {}, {"detail": "later"})]
        report = load(awx, database)
        assert [p.startswith(f"AWX {awx.url}: GET /api/v2/jobs/") for p in report.problems] == [True, True]
    # Stored events are not requested again.
    assert sum("counter__gt=5&" in r + "&" for r in awx.requests) == 2
    report = load(awx, database)
    assert (report.problems, report.known) == ([], 1)
    assert dump(database) == dump(tmp_path / "whole.db")


def test_events_are_read_once_awx_has_processed_them_and_busy_servers_are_retried(awx: FakeAwx, database: Path) -> None:
    awx.polls = {1: 3, 2: 1000}
    awx.refusals = [("/jobs/", 429, {"Retry-After": "7"}, {"detail": "slow down"}), ("/jobs/", 502, {}, "<p>oops</p>")]
    report = load(awx, database, retries=3)
    assert (report.jobs, report.waiting, report.problems) == (2, 1, [])
    note = "Job 2 of AWX has ended, but AWX is still processing its events; the next sync imports them."
    assert report.notes == [note]
    assert not any("/jobs/2/job_events/" in request for request in awx.requests)
    awx.polls.clear()
    assert load(awx, database).events == 26
    assert len(rows(database, run_of(2))) == 1


# reports/2026-11 D7
def test_a_job_whose_events_awx_never_finishes_processing_is_imported_after_a_while(
    awx: FakeAwx, database: Path
) -> None:
    ended = datetime.datetime.fromisoformat(awx.jobs[2]["finished"]).timestamp()
    awx.polls = {2: 1_000_000}
    late = awx.events[2][20:]
    awx.events[2] = awx.events[2][:20]
    slept: list[float] = []
    first = load(awx, database, at=ended + 10, slept=slept)
    assert (first.jobs, first.waiting, sum(slept)) == (2, 1, 30)
    # After that, no sync waits for it.
    slept.clear()
    assert load(awx, database, at=ended + 200, slept=slept).waiting == 1
    assert rows(database, run_of(2)) == []
    taken = load(awx, database, at=ended + 10 + 300, slept=slept)
    assert taken.notes == [
        "Job 2 of AWX has ended, but AWX stopped processing its events before the last one; the 20 events that it has"
        " are shown, and those that arrive within a day are added."
    ]
    assert rows(database, "SELECT status, events FROM runs WHERE job_id = '2'") == [{"status": "failed", "events": 20}]
    assert load(awx, database, at=ended + 400, slept=slept).notes == []
    # The dispatcher of AWX is running again, and the remaining events arrive.
    awx.events[2] += late
    load(awx, database, at=ended + 500, slept=slept)
    load(awx, database, at=ended + 900, slept=slept)
    assert rows(database, "SELECT events, dropped_events FROM runs WHERE job_id = '2'") == [
        {"events": 26, "dropped_events": 0}
    ]
    assert (sum(slept), rows(database, "SELECT complete FROM run_jobs WHERE job_id = '2'")) == (0, [{"complete": 0}])
    # After a day the job counts as complete.
    load(awx, database, at=ended + 90_000, slept=slept)
    assert rows(database, "SELECT complete FROM run_jobs WHERE job_id = '2'") == [{"complete": 1}]
    assert load(awx, database, at=ended + 90_100).known == 3


def test_jobs_are_filtered_by_project_template_and_label(awx: FakeAwx, database: Path) -> None:
    awx.jobs[3]["summary_fields"]["project"]["name"] = "Network, team: A&B"
    awx.jobs[2]["summary_fields"]["labels"] = {"count": 1, "results": [{"id": 5, "name": "fleetops"}]}
    assert load(awx, database, JobFilter(label="fleetops")).jobs == 1
    assert load(awx, database, JobFilter(project="Network, team: A&B")).jobs == 1
    assert load(awx, database, JobFilter(template="No such")).jobs == 0
    assert load(awx, database, JobFilter(days=1)).known == 2
    assert [r["job_id"] for r in rows(database, "SELECT job_id FROM run_jobs ORDER BY 1")] == ["1", "2", "3"]


def test_relaunches_censored_results_and_unknown_events_are_imported(awx: FakeAwx, database: Path) -> None:
    awx.add(2, 5, later_s=600, launch_type="relaunch", limit="agent-03")
    failed = awx.events[5][21]
    failed["event_data"]["res"] = {"censored": "the output has been hidden", "changed": False, "secret": "canary-7"}
    awx.events[5][3]["event"] = "playbook_on_magic"
    awx.events[5][4]["event_data"] = None
    report = load(awx, database)
    assert report.problems == []
    assert report.notes == [
        "Job 5 of AWX: 1 event(s) of unknown kinds (playbook_on_magic) were counted but are not"
        " shown; the rest is stored."
    ]
    job = rows(database, "SELECT * FROM run_jobs WHERE job_id = '5'")[0]
    first = rows(database, "SELECT * FROM run_jobs WHERE job_id = '2'")[0]
    assert (job["relaunch_of"], job["launch_type"], first["relaunch_of"]) == (first["job"], "relaunch", None)
    run = rows(database, run_of(5))[0]
    assert (run["limit_pattern"], run["events"], run["hosts"]) == ("agent-03", 26, 4)
    bad = rows(database, "SELECT * FROM host_results WHERE run_id = ? AND status = 'failed'", job["job"])[0]
    assert bad["msg"].startswith("the output has been hidden")
    assert "canary-7" not in str(dump(database))


def test_the_user_who_approved_the_workflow_before_a_job_is_recorded(awx: FakeAwx, database: Path) -> None:
    workflow = {"source_workflow_job": {"id": 70, "name": "Plan, approve and roll", "status": "successful"}}

    def approval(number: int, status: str, finished: str | None, who: str) -> None:
        by = {"id": number, "username": who, "first_name": "", "last_name": ""}
        fields = {"workflow_job": {"id": 70}, "approved_or_denied_by": by}
        awx.approvals[number] = {"id": number, "status": status, "finished": finished, "summary_fields": fields}

    plan = awx.add(1, 11, later_s=0, launch_type="workflow")
    run = awx.add(1, 12, later_s=3600, launch_type="workflow")
    lost = awx.add(1, 13, later_s=7200, launch_type="workflow")
    for job in (plan, run):
        job["summary_fields"] |= workflow
    lost["summary_fields"] |= {"source_workflow_job": {"id": 71}}
    between = plan["finished"]
    approval(21, "successful", between, "boris")
    approval(22, "successful", "2099-01-01T00:00:00Z", "of a later node")
    approval(23, "failed", between, "who denied")
    awx.refusals = [("/workflow_jobs/71/", 403, {}, {"detail": "You do not have permission to perform this action."})]
    report = load(awx, database, at=NOW + 86400)
    assert (report.jobs, report.problems) == (6, [])
    [note] = report.notes
    assert note.startswith("Job 13 of AWX: it is not known who approved its workflow. ") and "permission" in note
    found = rows(database, "SELECT job_id, launched_by FROM run_jobs ORDER BY job_id")
    launched_by = {row["job_id"]: row["launched_by"] for row in found}
    # The plan had ended before the approval.
    assert launched_by == {**dict.fromkeys(("1", "2", "3", "11", "13"), "admin"), "12": "admin, approved by boris"}


def test_the_run_page_shows_the_job_and_links_relaunches(
    awx: FakeAwx, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    awx.add(2, 5, later_s=600, launch_type="relaunch", job_explanation="**why** <b>not</b>")
    load(awx, database)
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(database))
    runs = {row["job_id"]: row["run_id"] for row in rows(database, "SELECT * FROM run_jobs")}
    for job, label in (("5", "Relaunched from"), ("2", "Relaunched as job 5")):
        page = AppTest.from_file(str(CHECKOUT / "console" / "app.py"), default_timeout=60)
        page.switch_page("web/runs/run.py")
        page.query_params["id"] = runs[job]
        page.run()
        assert not page.exception
        shown = "\n".join(str(element.value) for element in (*page.text, *page.caption, *page.markdown))
        assert f"AWX job {job}" in shown
        assert "project Fleet playbooks" in shown
        assert ("**why** <b>not</b>" in shown) is (job == "5")
        links = [element.proto for element in page.get("page_link")]
        assert label in [link.label for link in links]
        assert f"id={runs['2' if job == '5' else '5']}" in [link.query_string for link in links if link.label == label]


def run_log_of_job_2(folder: Path, *, last: int = 26) -> str:
    """Write the run log that the callback would have written in job 2, and return its run id."""
    folder.mkdir()
    run_id = "5b1a8f3e-0000-4000-8000-00000000000a"
    lines = []
    for event in recorded("job_failed_events_all")["results"][4:last]:
        data = event["event_data"]
        if event["event"] == "playbook_on_start":
            about = {"run_id": run_id, "user": "root", "job_id": "2", "started_at": event["created"]}
            data = {**data, "playbook": "/runner/project/redeploy.yml", "fleetops_run": about}
        kept = {name: event[name] for name in ("uuid", "event", "created")}
        lines.append(json.dumps({**kept, "counter": len(lines) + 1, "event_data": data}) + "\n")
    (folder / f"20261123T212850Z-{run_id}.jsonl").write_text("".join(lines))
    return run_id


@pytest.mark.parametrize("callback_first", [True, False])
def test_a_run_seen_by_the_callback_and_as_a_job_is_one_row(
    awx: FakeAwx, database: Path, tmp_path: Path, callback_first: bool
) -> None:
    run_id = run_log_of_job_2(tmp_path / "runs")
    del awx.jobs[1], awx.jobs[3]
    # A job with another number on another day is a different run.
    awx.add(2, 12, later_s=86400)
    for step in (1, 2) if callback_first else (2, 1):
        if step == 1:
            with open_store(database) as store:
                sync_run_logs(store, tmp_path / "runs", now=time.time)
        else:
            report = load(awx, database)
    assert report.joined == int(callback_first)
    assert any("/jobs/2/job_events/" in request for request in awx.requests) is not callback_first
    assert [r["run_id"] for r in rows(database, run_of(2))] == [run_id]
    assert rows(database, "SELECT run_id, complete FROM run_jobs WHERE job_id = '2'") == [
        {"run_id": run_id, "complete": 1}
    ]
    for table in ("runs", "plays", "tasks", "host_results", "run_hosts"):
        # The run of the callback, and the job of the other day.
        assert len(rows(database, f"SELECT DISTINCT run_id FROM {table}")) == 2, table
    before = dump(database)
    with open_store(database) as store:
        sync_run_logs(store, tmp_path / "runs", now=time.time)
    load(awx, database)
    assert dump(database) == before


def test_the_gates_of_a_job_are_replaced_by_those_of_its_run_log(awx: FakeAwx, database: Path, tmp_path: Path) -> None:
    gate = {"changed": False, "verdict": "pass", "reasons": [], "checks": [{"name": "budget", "verdict": "pass"}]}
    for event in awx.events[2]:
        if event["event"] == "runner_on_ok" and event["event_data"]["task"] == "Publish operation ids":
            event["event_data"] |= {"resolved_action": "fleetops.agents.rollout_gate", "res": {**gate, "go": True}}
    load(awx, database)
    (job,) = rows(database, run_of(2))
    of_job = evidence(database, job["run_id"])
    assert [(row["kind"], row["batch"], row["verdict"]) for row in of_job] == [
        ("gate", 1, "pass"),
        ("gate", 1, "pass"),
        ("gate", 2, "pass"),
    ]
    assert [(row["reasons"], row["checks"]) for row in of_job] == [([], gate["checks"])] * 3
    assert all(job["started_at"] < row["at"] < job["ended_at"] for row in of_job)
    # The record of the callback completely replaces that of the job.
    run_id = run_log_of_job_2(tmp_path / "runs")
    with open_store(database) as store:
        sync_run_logs(store, tmp_path / "runs", now=time.time)
    assert evidence(database, job["run_id"]) == []
    assert [row["run_id"] for row in rows(database, run_of(2))] == [run_id]


def test_an_incomplete_run_log_gets_its_end_from_the_job(awx: FakeAwx, database: Path, tmp_path: Path) -> None:
    run_id = run_log_of_job_2(tmp_path / "runs", last=20)
    awx.jobs[2]["status"] = "canceled"
    for _round in (1, 2):
        with open_store(database) as store:
            sync_run_logs(store, tmp_path / "runs", now=time.time)
        load(awx, database)
        found = rows(database, run_of(2))
        assert [(r["run_id"], r["status"]) for r in found] == [(run_id, "canceled")]
        assert found[0]["ended_at"] is not None


def test_the_importer_reads_the_same_data_as_awxkit(awx: FakeAwx, database: Path) -> None:
    awx.largest_page = 10
    load(awx, database)
    connection = Connection(awx.url)
    connection.login(token=TOKEN)
    jobs = ApiV2(connection=connection).get().jobs.get(order_by="finished")
    assert {str(job.id): job.status for job in jobs.results} == {
        r["job_id"]: r["status"] for r in rows(database, "SELECT job_id, status FROM runs")
    }
    events = jobs.results[1].related.job_events.get(order_by="counter", all_pages=True)
    assert events.count == len(events.results) == 26
    seen = [(e.counter, e.host_name) for e in events.results if e.event in ("runner_on_ok", "runner_on_failed")]
    ours = rows(database, "SELECT counter, host FROM host_results ORDER BY counter")
    assert seen == [(r["counter"], r["host"]) for r in ours]


def in_flight_of_job_5(awx: FakeAwx) -> None:
    """Let job 5 end during the redeploy of agent-01. agent-02 has a result; the second batch did not begin."""
    awx.events[5] = [
        event
        for event in awx.events[5]
        if event["counter"] <= 12 and not (event["event"] == "runner_on_ok" and event["host_name"] == "agent-01")
    ]


# reports/2026-11 D8
@pytest.mark.parametrize(
    ("job_status", "explanation"),
    [("canceled", ""), ("failed", "Job terminated due to timeout"), ("error", "Task was marked as running")],
)
def test_a_host_without_a_result_when_its_job_ended_is_shown_as_such(
    awx: FakeAwx, database: Path, monkeypatch: pytest.MonkeyPatch, job_status: str, explanation: str
) -> None:
    awx.add(2, 5, later_s=600, status=job_status, job_explanation=explanation)
    in_flight_of_job_5(awx)
    assert load(awx, database).problems == []
    (run,) = rows(database, run_of(5))
    assert [r["host"] for r in rows(database, "SELECT host FROM run_in_flight")] == ["agent-01"]
    found, total = run_queries.run_grid(database, run["run_id"])
    assert (total, found[["host", "outcome"]].to_numpy().tolist()) == (
        2,
        [["agent-01", "in_flight"], ["agent-02", "changed"]],
    )
    assert found.iloc[:, 2].tolist() == ["in_flight", "changed"]
    assert run_queries.recap(database, run["run_id"])[["host", "in_flight"]].to_numpy().tolist() == [
        ["agent-01", 1],
        ["agent-02", 0],
    ]
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(database))
    page = AppTest.from_file(str(CHECKOUT / "console" / "app.py"), default_timeout=60)
    page.switch_page("web/runs/run.py")
    page.query_params["id"] = run["run_id"]
    page.run()
    assert not page.exception
    assert "Tasks without a result" in [element.value for element in page.header]
    assert "Hosts without a result 1" in words(page)
    assert any("agent-01" in element.value and "Redeploy instance" in element.value for element in page.text)


@pytest.mark.usefixtures("environment")
def test_sync_awx_imports_the_jobs_and_prints_a_summary(
    awx: FakeAwx, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "awx", "--db", str(database)]) == 2
    monkeypatch.setenv("FLEETOPS_AWX_URL", awx.url)
    monkeypatch.setenv("FLEETOPS_AWX_TOKEN", TOKEN)
    assert main(["sync", "--db", str(database), "awx", "--project", "Fleet playbooks"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{database}: AWX {awx.url}: jobs read 3, events 26, already stored 0.\n"
    assert "jobs of AWX: 3 of 3" in printed.err
    monkeypatch.setenv("FLEETOPS_AWX_TOKEN", "wrong")
    assert main(["sync", "awx", "--db", str(database), "--quiet"]) == 1
    assert "FLEETOPS_AWX_TOKEN" in capsys.readouterr().err


# reports/2026-11 D10
@pytest.mark.usefixtures("environment")
def test_a_mistyped_address_of_awx_can_be_retired(
    awx: FakeAwx, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETOPS_AWX_TOKEN", TOKEN)
    monkeypatch.setenv("FLEETOPS_AWX_URL", awx.url)
    assert main(["sync", "--db", str(database), "--quiet", "awx"]) == 0
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        mistyped = f"http://127.0.0.1:{closed.getsockname()[1]}/api/controller/"
        monkeypatch.setenv("FLEETOPS_AWX_URL", mistyped)
        assert main(["sync", "--db", str(database), "--quiet", "awx", "--label", "fleetops"]) == 1
    assert vitals(database, NOW).errors == 1
    capsys.readouterr()
    assert main(["retire", "--db", str(database), mistyped]) == 0
    printed = capsys.readouterr()
    assert "is retired: its data is kept" in printed.out and printed.err == ""
    assert vitals(database, NOW).errors == 0
    assert main(["retire", "--db", str(database), mistyped]) == 0
    assert "it was already retired" in capsys.readouterr().err
    assert main(["retire", "--db", str(database), "https://nowhere.example"]) == 2
    assert awx.url in capsys.readouterr().err
    assert len(rows(database, "SELECT * FROM run_jobs")) == 3


def test_a_job_without_an_id_and_an_event_with_an_invalid_counter_affect_nothing_else(
    awx: FakeAwx, database: Path
) -> None:
    awx.events[2][5]["counter"] = 2**64
    awx.refusals = [("/api/v2/jobs/3/", 200, {}, {"detail": "see the new address"})]
    report = load(awx, database)
    assert "Job 3 of AWX: its detail has no id; the next sync tries it again." in report.problems
    assert [row["status"] for row in rows(database, run_of(2))] == ["failed"]
    assert rows(database, run_of(3)) == []
    load(awx, database)
    assert len(rows(database, run_of(3))) == 1
