# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of rolling_redeploy by ansible-runner: its imported artifacts, compared with the run log of the same run."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

from console.__main__ import main
from console.collect.jobs.import_job import ImportReport
from console.collect.jobs.job import runner_job
from console.collect.jobs.runner import LOST_AFTER_S, sync_runner
from console.collect.run_logs import sync_run_logs
from console.record.write.store import open_store
from tests.conftest import CHECKOUT
from tests.console.support.facts import dump, evidence, rows, wrong_types
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

RUN_TABLES = ("plays", "tasks", "host_results", "run_evidence", "run_links", "run_hosts", "run_in_flight")
COUNTERS = ("counter", "play_counter", "task_counter")
HOST = "agent-002.ams3.fleet.example"
# The two callbacks run in the same process, one after the other.
NEAR_S = 1.0


@dataclass(frozen=True)
class Made:
    """The private data folder of ansible-runner, the folder of run logs, and the API key of the run."""

    data: Path
    run_logs: Path
    key: str

    @property
    def run(self) -> Path:
        return self.data / "artifacts" / "7"


def environment(sim: Simulator, folder: Path) -> dict[str, str]:
    """The environment of a run by ansible-runner, with its files in ``folder``."""
    return {
        **sim.environment(),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "ANSIBLE_CONFIG": str(CHECKOUT / "inventories" / "demo" / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible-tmp"),
        "FLEETOPS_RUN_LOG_DIR": str(folder / "runs"),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three instances in two batches, one of which fails in the second batch and is rescued."""
    folder = tmp_path_factory.mktemp("runner")
    data, run_logs = folder / "data", folder / "runs"
    data.mkdir()
    with running_simulator(instances=3, speed=80.0, faults={"outcomes": {"agent-002": ["failed"]}}) as sim:
        done = ansible_runner.run(
            private_data_dir=str(data),
            project_dir=str(CHECKOUT),
            playbook="playbooks/rolling_redeploy.yml",
            inventory=str(CHECKOUT / "inventories" / "demo" / "demo.fleet.yml"),
            envvars=environment(sim, folder),
            extravars={"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 2},
            ident="7",
            quiet=True,
        )
        assert (done.status, done.rc) == ("failed", 2), (data / "artifacts" / "7" / "stdout").read_text()
        return Made(data, run_logs, sim.admin_key)


def load(database: Path, folder: Path, *, at: float | None = None) -> ImportReport:
    with open_store(database) as store:
        return sync_runner(store, folder, now=lambda: at or time.time())


def load_run_log(database: Path, folder: Path) -> None:
    with open_store(database) as store:
        assert sync_run_logs(store, folder, now=time.time).problems == []


@pytest.fixture(scope="module")
def whole(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database after a single import of all artifacts."""
    database = tmp_path_factory.mktemp("whole") / "console.db"
    report = load(database, made.data)
    assert (report.jobs, report.problems, report.notes) == (1, [], [])
    return database


def facts(database: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table in the order of the run, with counters replaced by their rank.

    The counters differ because ansible-runner also counts output outside of events.
    """
    order = {
        name: {c: n for n, c in enumerate(sorted(r["counter"] for r in rows(database, f"SELECT counter FROM {name}")))}
        for name in ("plays", "tasks", "host_results")
    }
    of = {"play_counter": "plays", "task_counter": "tasks", "counter": table}
    found = rows(database, f"SELECT * FROM {table}")
    found.sort(key=lambda row: (row.get("counter") or 0, row.get("host") or "", row.get("ref") or ""))
    for row in found:
        del row["run_id"]
        for name in COUNTERS:
            if row.get(name) is not None:
                row[name] = order.get(of[name], order["host_results"])[row[name]]
        if "result_json" in row:
            row["result_json"] = json.loads(row["result_json"] or "null")
    return found


def test_imported_artifacts_give_the_same_rows_as_the_run_log(made: Made, whole: Path, tmp_path: Path) -> None:
    logged = tmp_path / "console.db"
    load_run_log(logged, made.run_logs)
    for table in RUN_TABLES:
        ours, theirs = facts(logged, table), facts(whole, table)
        assert len(ours) == len(theirs), table
        assert ours or table == "run_in_flight", table
        for logged_row, imported in zip(ours, theirs, strict=True):
            for name in ("started_at", "ended_at", "duration_s", "at"):
                ours_at, theirs_at = logged_row.pop(name, None), imported.pop(name, None)
                assert (ours_at is None) == (theirs_at is None), (table, name)
                assert ours_at is None or abs(ours_at - theirs_at) < NEAR_S, (table, name)
            # The callback knows all hosts of a batch, the import only those with results: one if the task has run_once.
            if table == "plays" and logged_row["name"] == "Plan the redeploys":
                assert set(json.loads(imported.pop("hosts_json"))) < set(json.loads(logged_row.pop("hosts_json")))
                assert (logged_row.pop("hosts"), imported.pop("hosts")) == (3, 1)
            # This play has no tasks.
            if table == "plays" and logged_row["name"] == "Check that the run was ended":
                assert (logged_row.pop("hosts_json"), imported.pop("hosts_json")) == ('["localhost"]', None)
                assert (logged_row.pop("hosts"), imported.pop("hosts")) == (1, None)
            assert logged_row == imported, table
    ours, theirs = (rows(database, "SELECT * FROM runs")[0] for database in (logged, whole))
    # The artifacts do not contain the user, the controller and the versions. The forks come from the configuration.
    only_logged = {"run_id", "source", "source_ref", "controller", "user", "job_id", "forks", "meta_json"}
    only_logged |= {"ansible_version", "python_version", "collection_version"}
    times = {"started_at", "ended_at", "heartbeat_at"}
    assert all(abs(ours[name] - theirs[name]) < NEAR_S for name in times)
    counted = {"last_counter", "events"}
    same = set(ours) - only_logged - times - counted
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert (theirs["job_id"], theirs["dropped_events"]) == ("7", 0)
    plan, canary, second, report = evidence(whole, theirs["run_id"])
    assert [row["kind"] for row in (plan, canary, second, report)] == ["plan", "gate", "gate", "report"]
    assert (plan["document"]["counts"]["planned"], plan["batch"], plan["verdict"]) == (3, None, None)
    assert plan["document"]["plan_hash"] == json.loads(theirs["stats_json"])["fleetops_report"]["plan_hash"]
    assert [(gate["batch"], gate["verdict"]) for gate in (canary, second)] == [(1, "pass"), (2, "pass")]
    assert {check["name"] for check in second["checks"]} >= {"budget", "window", "foreign_rollout", "health"}
    assert next(check["asked"] for check in second["checks"] if check["name"] == "health") == 3
    assert (report["document"]["counts"]["failed"], report["document"]["failed"]) == (1, [HOST])
    assert theirs["started_at"] < plan["at"] < canary["at"] < second["at"] < report["at"] < theirs["ended_at"]
    assert wrong_types(whole) == []
    # The artifacts contain the environment of the run.
    assert made.key in (made.run / "command").read_text()
    assert made.key not in str(dump(whole))


@pytest.mark.parametrize("callback_first", [True, False])
def test_a_run_from_artifacts_and_from_a_run_log_is_stored_once(
    made: Made, tmp_path: Path, callback_first: bool
) -> None:
    database = tmp_path / "console.db"
    if callback_first:
        load_run_log(database, made.run_logs)
        assert load(database, made.data).joined == 1
    else:
        load(database, made.data)
        load_run_log(database, made.run_logs)
    logged = next(made.run_logs.glob("*.jsonl")).stem.partition("-")[2]
    assert [(r["run_id"], r["source"]) for r in rows(database, "SELECT * FROM runs")] == [(logged, "callback")]
    for table in RUN_TABLES[:-1]:
        assert rows(database, f"SELECT DISTINCT run_id FROM {table}") == [{"run_id": logged}], table
    before = dump(database)
    assert load(database, made.data).known == 1
    load_run_log(database, made.run_logs)
    assert dump(database) == before


def copy_of(made: Made, folder: Path, events: int | None = None) -> tuple[Path, list[Path]]:
    """Copy the artifacts as they were after ``events`` events, with the newest file truncated. Returns the copy and all
    event files.
    """
    copy = folder / "data" / "artifacts" / "7"
    shutil.copytree(made.run, copy)
    files = sorted((copy / "job_events").iterdir(), key=lambda path: int(path.name.partition("-")[0]))
    later = files[events:] if events else []
    if later:
        for path in (*later, copy / "rc", copy / "status"):
            path.unlink()
        last = files[len(files) - len(later) - 1]
        last.write_bytes(last.read_bytes()[:70])
    return copy, files


def restore(made: Made, *files: Path) -> None:
    for path in files:
        target = made.run / path.name if path.parent.name != "job_events" else made.run / "job_events" / path.name
        shutil.copy(target, path)


def content(database: Path) -> dict[str, list[str]]:
    """The database without the cursors, whose scope is the folder."""
    return {table: found for table, found in dump(database).items() if table != "ingest_cursors"}


def test_a_run_in_progress_is_imported_step_by_step_without_a_loss(made: Made, whole: Path, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    copy, files = copy_of(made, tmp_path, 40)
    (copy / "job_events" / "0f0f0f0f-0000-4000-8000-000000000000-partial.json").write_text('{"half')
    first = load(database, tmp_path / "data")
    assert (first.events, first.waiting, first.problems) == (39, 1, [])
    assert first.notes == [
        f"The run 7 of ansible-runner: {files[39].name} is not complete yet; the next sync continues there."
    ]
    assert rows(database, "SELECT status, last_counter FROM runs") == [{"status": "running", "last_counter": 39}]
    restore(made, *files[39:60])
    assert load(database, copy).events == 21
    assert load(database, copy.parent, at=time.time() + LOST_AFTER_S + 60).jobs == 1
    assert rows(database, "SELECT status FROM runs") == [{"status": "lost"}]
    restore(made, *files[60:], copy / "rc", copy / "status")
    last = load(database, tmp_path / "data")
    assert (last.problems, last.waiting) == ([], 0)
    assert content(database) == content(whole)


def test_a_run_that_has_no_event_yet_is_imported_once_it_has(made: Made, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    _copy, files = copy_of(made, tmp_path, 1)
    files[0].unlink()
    first = load(database, tmp_path / "data")
    assert (first.jobs, first.waiting, first.problems) == (0, 1, [])
    assert first.notes == ["The run 7 of ansible-runner has no event yet; the next sync imports it."]
    restore(made, *files[:9])
    assert load(database, tmp_path / "data").events == 9
    load(database, tmp_path / "data", at=time.time() + LOST_AFTER_S + 60)
    assert len(rows(database, "SELECT * FROM runs")) == 1


def test_a_run_whose_folder_was_deleted_is_lost_after_a_while(made: Made, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    copy, _files = copy_of(made, tmp_path, 40)
    assert load(database, tmp_path / "data").events
    shutil.rmtree(copy)
    load(database, tmp_path / "data")
    assert rows(database, "SELECT status FROM runs") == [{"status": "running"}]
    load(database, tmp_path / "data", at=time.time() + LOST_AFTER_S + 60)
    for table in ("runs", "run_jobs"):
        assert rows(database, f"SELECT status FROM {table}") == [{"status": "lost"}]


def test_an_incomplete_or_late_event_file_is_reported_once_and_read_later(
    made: Made, whole: Path, tmp_path: Path
) -> None:
    database = tmp_path / "console.db"
    copy, files = copy_of(made, tmp_path)
    files[20].write_bytes(files[20].read_bytes()[:70])
    files[30].write_text("[1, 2]")
    files[35].unlink()
    report = load(database, copy)
    assert report.problems == [
        "The run 7 of ansible-runner: 1 record(s) are not events (it is not a JSON object); the rest is stored.",
        f"The run 7 of ansible-runner: 1 event file(s) cannot be read ({files[20]} is incomplete, too long or not"
        " JSON); the rest is stored. Once these files are repaired, the next sync reads them too.",
    ]
    assert rows(database, "SELECT status, dropped_events FROM runs") == [{"status": "failed", "dropped_events": 3}]
    again = load(database, copy)
    assert (again.known, again.problems) == (1, [])
    restore(made, files[20], files[30])
    restore(made, files[35])
    assert load(database, copy).problems == []
    assert content(database) == content(whole)


# reports/2026-11 C4, D2
def test_host_names_are_not_masked_and_a_long_report_keeps_its_reason(made: Made, tmp_path: Path) -> None:
    copy, files = copy_of(made, tmp_path)
    command = json.loads((copy / "command").read_text())
    command["env"]["APP_PASSWORD"] = "fleet.example"
    command["env"]["OTHER_PASSWORD"] = "elsewhere-secret"
    (copy / "command").write_text(json.dumps(command))
    for file in files:
        event = json.loads(file.read_text())
        if event["event"] == "runner_on_ok" and event["event_data"]["res"].get("changed"):
            event["event_data"]["res"]["msg"] = f"{HOST} after fleet.example and elsewhere-secret"
            file.write_text(json.dumps(event))
        if event["event"] == "playbook_on_stats":
            report = event["event_data"]["artifact_data"]["fleetops_report"]
            report["override_reason"] = "CVE-2026-1 on elsewhere-secret"
            report["why"] = {f"agent-{n:05d}.{'long.' * 10}example": "failed" for n in range(3000)}
            report["why"] = {HOST: f"{HOST} failed", **report["why"]}
            file.write_text(json.dumps(event))
    database = tmp_path / "console.db"
    assert load(database, copy).problems == []
    masked = rows(database, "SELECT DISTINCT msg FROM host_results WHERE msg LIKE '%********%'")
    assert masked == [{"msg": f"{HOST} after ******** and ********"}]
    (run,) = rows(database, "SELECT stats_json FROM runs")
    assert len(run["stats_json"]) <= 65536
    kept = json.loads(run["stats_json"])["fleetops_report"]
    assert (kept["override_reason"], kept["why"][HOST]) == ("CVE-2026-1 on ********", f"{HOST} failed")


def test_the_options_of_a_run_are_read_from_its_command_line() -> None:
    command = ["podman", "run", "-i", "ee", "/usr/bin/ansible-playbook", "-u", "root", "-i", "/runner/inventory"]
    command += ["-e", "@x.yml", "--limit", "a,b", "--tags=b,a", "-C", "--diff", "-f", "9", "-vvv", "site.yml"]
    job = runner_job("k", "7", "timeout", 254, command, {"JOB_ID": "12"})
    told = (job.row["playbook"], job.run["limit_pattern"], job.run["tags_json"], job.run["skip_tags_json"])
    assert told == ("site.yml", "a,b", '["a","b"]', "[]")
    assert (job.run["forks"], job.run["check_mode"], job.run["diff_mode"]) == (9, 1, 1)
    assert (job.row["job_id"], job.row["status"]) == ("12", "failed")
    assert runner_job("k", "7", "", 0, [], {}).row["status"] == "successful"
    assert runner_job("k", "7", "running", None, ["ansible-playbook", "--limit"], {}).row["playbook"] is None


@pytest.mark.usefixtures("environment")
def test_sync_runner_imports_a_folder_or_reports_what_is_wrong_with_it(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "console.db"
    sync = ["sync", "--db", str(database), "--quiet", "runner"]
    assert main([*sync, str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err == (
        f"console: The folder {tmp_path / 'nowhere'} cannot be read: No such file or directory.\n"
    )
    assert main([*sync, str(tmp_path)]) == 0
    assert "no folder in it contains job_events" in capsys.readouterr().err
    assert main([*sync, str(made.data)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{database}: ansible-runner: jobs read 1, events ")
    assert printed.err == ""


def test_an_ad_hoc_command_has_its_task_and_its_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, database = tmp_path / "data", tmp_path / "console.db"
    data.mkdir()
    with running_simulator(instances=3, speed=80.0, faults={"outcomes": {"agent-002": ["failed"]}}) as sim:
        ansible_runner.run(
            private_data_dir=str(data),
            host_pattern="fleetops_instances",
            module="fleetops.agents.instance_runtime",
            module_args="instance_id={{ fleetops_instance_id }} wait_interval=0.2 healthy_reads=1",
            inventory=str(CHECKOUT / "inventories" / "demo" / "demo.fleet.yml"),
            envvars=environment(sim, tmp_path),
            quiet=True,
        )
    assert load(database, data).problems == []
    (task,) = rows(database, "SELECT * FROM tasks")
    assert task["action"] == "fleetops.agents.instance_runtime"
    assert {row["task_counter"] for row in rows(database, "SELECT * FROM host_results")} == {task["counter"]}
    assert main(["operations", "--db", str(database)]) == 0
    assert "2 done, 1 failed" in capsys.readouterr().out


def test_a_run_that_ended_before_its_first_play_is_explained_by_the_error_of_ansible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in AWX with an execution environment that lacks a collection. Ansible shows this only as output."""
    data, database = tmp_path / "data", tmp_path / "console.db"
    (data / "project").mkdir(parents=True)
    (data / "project" / "site.yml").write_text("- hosts: localhost\n  roles: [fleetops.missing.role]\n")
    done = ansible_runner.run(
        private_data_dir=str(data), playbook="site.yml", quiet=True, envvars={"ANSIBLE_FORCE_COLOR": "1"}
    )
    assert done.status == "failed"
    assert load(database, data).problems == []
    (job,) = rows(database, "SELECT * FROM run_jobs")
    assert job["status"] == "failed"
    assert job["explanation"].startswith("the role 'fleetops.missing.role' was not found"), job["explanation"]
    for command in ("runs", "operations"):
        assert main([command, "--db", str(database)]) == 0
        assert job["explanation"] in capsys.readouterr().out
