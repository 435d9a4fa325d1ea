# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run log of real ansible-playbook runs: its format, what it keeps and masks, and how it handles failures."""

from __future__ import annotations

import collections
import datetime
import fcntl
import json
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.run_log_project import (
    API_KEY,
    CANARIES,
    HIDDEN,
    HOSTS,
    NAMED,
    PASSED,
    Slow,
    command,
    environment,
    events,
    only_file,
    play,
    write_project,
)

pytestmark = pytest.mark.playbook

# Events of ansible-runner that the contract does not have.
NOT_RECORDED = {"verbose", "warning", "error", "deprecated", "debug", "system_warning"}
# Keys of the run log that ansible-runner does not have.
OUR_KEYS = {
    "playbook_on_start": {"fleetops_run"},
    "playbook_on_play_start": {"batch", "batch_hosts"},
    "playbook_on_task_start": {"is_handler"},
}
# These are equal in both logs, event by event.
SAME_VALUES = (
    "play",
    "play_uuid",
    "play_pattern",
    "name",
    "task_uuid",
    "task_action",
    "task_path",
    "role",
    "host",
    "remote_addr",
    "handler",
    "event_loop",
    "ok",
    "changed",
    "failures",
    "dark",
    "ignored",
    "rescued",
    "skipped",
    "processed",
)


class Recorded:
    """One run of site.yml by ansible-runner with the run log enabled: both record the same events."""

    def __init__(self, folder: Path) -> None:
        self.project = write_project(folder / "project")
        self.run_logs = folder / "runs"
        finished = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "ansible-runner"), "run", str(folder), "-p", "site.yml"),
                *("--ident", "told", "--inventory", str(self.project / "hosts.ini")),
                *("--cmdline", f"-e service_token={PASSED}"),
            ],
            env=environment(self.run_logs),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.rc = finished.returncode
        self.output = finished.stdout
        self.file = only_file(self.run_logs)
        self.events = events(self.file)
        theirs = [json.loads(path.read_text()) for path in (folder / "artifacts/told/job_events").glob("[0-9]*.json")]
        self.runner_events = sorted(
            (event for event in theirs if event["event"] not in NOT_RECORDED), key=lambda event: event["counter"]
        )

    def of(self, kind: str, task: str | None = None) -> list[dict[str, Any]]:
        return [
            record["event_data"]
            for record in self.events
            if record["event"] == kind and task in (None, record["event_data"].get("task"))
        ]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    found = Recorded(tmp_path_factory.mktemp("recorded"))
    assert "agent-03" in found.output, found.output
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project")


def is_locked(file: Path) -> bool:
    with file.open("r+b") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def warnings_of_the_log(text: str) -> int:
    return len(re.findall(r"\[WARNING\]:\s+Run log:", text))


def test_the_run_log_has_the_same_events_as_ansible_runner(recorded: Recorded) -> None:
    ours, theirs = recorded.events, recorded.runner_events
    assert [e["event"] for e in ours] == [e["event"] for e in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        data, expected = mine["event_data"], other["event_data"]
        assert set(data) - OUR_KEYS.get(mine["event"], set()) == set(expected), mine["event"]
        for key in SAME_VALUES:
            assert data.get(key) == expected.get(key), (mine["event"], key)
        # ansible-core 2.18 does not resolve the action of meta tasks.
        assert data.get("resolved_action") == (expected.get("resolved_action") or expected.get("task_action"))
        assert data.get("ignore_errors") in (None, bool(expected.get("ignore_errors")))
        assert ("parent_uuid" in mine) == ("parent_uuid" in other)
        if data.get("duration") is not None:
            assert data["duration"] == pytest.approx(expected["duration"], abs=1.0)


def test_the_example_project_causes_every_kind_of_event(recorded: Recorded) -> None:
    assert {e["event"] for e in recorded.events} == {
        "playbook_on_start",
        "playbook_on_play_start",
        "playbook_on_task_start",
        "playbook_on_notify",
        "playbook_on_stats",
        "runner_on_start",
        "runner_on_ok",
        "runner_on_failed",
        "runner_on_unreachable",
        "runner_on_skipped",
        "runner_item_on_ok",
        "runner_item_on_failed",
        "runner_item_on_skipped",
        "runner_retry",
    }


def test_counters_uuids_and_parents_of_events_are_consistent(recorded: Recorded) -> None:
    assert [e["counter"] for e in recorded.events] == list(range(1, len(recorded.events) + 1))
    seen: set[str] = set()
    for record in recorded.events:
        assert record["uuid"] not in seen
        assert record["uuid"] == record["event_data"]["uuid"]
        assert ("parent_uuid" in record) == (record["event"] != "playbook_on_start")
        assert record.get("parent_uuid") in seen or record["event"] == "playbook_on_start"
        assert datetime.datetime.fromisoformat(record["created"]).utcoffset() == datetime.timedelta(0)
        seen.add(record["uuid"])
    assert len({(e["runner_ident"], e["pid"]) for e in recorded.events}) == 1


def test_the_run_log_has_the_documented_name_and_modes(recorded: Recorded) -> None:
    run = recorded.events[0]["event_data"]["fleetops_run"]
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-{run['run_id']}\.jsonl", recorded.file.name)
    assert recorded.events[0]["runner_ident"] == run["run_id"]
    assert stat.S_IMODE(recorded.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(recorded.run_logs.stat().st_mode) == 0o700
    assert run["collection_version"]
    started = datetime.datetime.fromisoformat(run["started_at"])
    assert f"{started:%Y%m%dT%H%M%SZ}-" == recorded.file.name[:17]


def test_the_batches_of_serial_are_recorded(recorded: Recorded) -> None:
    starts = recorded.of("playbook_on_play_start")
    assert [(s["batch"], s["batch_hosts"]) for s in starts] == [
        (1, list(HOSTS[:2])),
        (2, list(HOSTS[2:4])),
        (3, list(HOSTS[4:])),
    ]
    batch: list[str] = []
    for record in recorded.events:
        batch = record["event_data"].get("batch_hosts", batch)
        if record["event"].startswith("runner_"):
            assert record["event_data"]["host"] in batch


def test_handlers_are_recorded_each_time_they_run(recorded: Recorded) -> None:
    # Notified at "Handlers now" and at the end of the play; the third batch becomes unreachable before its second time.
    runs_of = collections.Counter(data["host"] for data in recorded.of("runner_on_ok", "Tell"))
    assert runs_of == {"agent-01": 2, "agent-02": 2, "agent-03": 1, "agent-04": 2, "agent-05": 1}
    assert all(data["is_handler"] for data in recorded.of("playbook_on_task_start", "Tell"))
    assert not any(data["is_handler"] for data in recorded.of("playbook_on_task_start", "Greet"))


def test_the_recap_is_the_sum_of_the_results(recorded: Recorded) -> None:
    recap = recorded.of("playbook_on_stats")[0]
    changed = collections.Counter(
        data["host"]
        for kind in ("runner_on_ok", "runner_on_failed")
        for data in recorded.of(kind)
        if data["res"].get("changed") and (kind == "runner_on_ok" or data["ignore_errors"])
    )
    assert recap["changed"] == changed
    assert recap["dark"] == {"agent-05": 1}
    assert recap["failures"] == {"agent-03": 1}
    assert recap["artifact_data"] == {"fleetops_rollout_ids": ["r-1"] * 3, "password": "********"}


def test_an_unchanged_result_keeps_only_its_status_and_no_result_keeps_arguments_or_facts(recorded: Recorded) -> None:
    assert all(data["res"] == {"changed": False} for data in recorded.of("runner_on_ok", "Greet"))
    for data in recorded.of("runner_on_ok", "Change on agent-01"):
        assert data["res"]["stdout"] == data["host"]
    assert recorded.of("runner_on_failed", "Fail on one")[0]["res"]["msg"].startswith("agent-03 does not want to")
    assert "Connection refused" in recorded.of("runner_on_unreachable")[0]["res"]["msg"]
    for data in recorded.of("runner_item_on_ok", "Loop"):
        assert data["res"]["changed"] == ("stdout" in data["res"])
    looped = next(d for d in recorded.of("runner_on_failed", "Loop") if d["host"] == "agent-02")["res"]["results"]
    assert [set(item) <= {"changed", "skipped", "failed", "rc"} for item in looped] == [True, False, False]
    # ansible-core 2.21 counts the next attempt.
    assert {data["res"]["attempts"] for data in recorded.of("runner_retry")} in ({1}, {2})
    text = recorded.file.read_text()
    assert "module_args" not in text and '"invocation"' not in text and '"ansible_facts"' not in text


def test_no_secret_appears_in_the_log(recorded: Recorded) -> None:
    text = recorded.file.read_text()
    # The play prints them, so a leak would be seen.
    assert NAMED in recorded.output
    shown = [data["res"] for data in recorded.of("runner_on_ok", "Say the secrets that are known")]
    assert len(shown) == 5
    assert all(res["stdout"] == "******** ******** ******** ********" for res in shown)
    assert [canary for canary in CANARIES if canary in text] == []


def test_results_with_no_log_stay_censored(recorded: Recorded) -> None:
    hidden = recorded.of("runner_on_ok", "Hide")
    assert len(hidden) == 5
    for kind in ("runner_item_on_ok", "runner_item_on_failed", "runner_on_failed"):
        hidden += recorded.of(kind, "Hide in a loop")
    assert len(hidden) == 20
    for data in hidden:
        assert set(data["res"]) <= {"censored", "changed", "failed"}
        assert data["res"]["changed"] is True
    assert HIDDEN not in recorded.file.read_text()


def test_the_log_records_the_options_the_job_and_the_versions_of_a_run(project: Path, tmp_path: Path) -> None:
    arguments = [
        "--check",
        "--diff",
        "--limit",
        "agent-01,agent-02",
        "--tags",
        "all",
        "--skip-tags",
        "slow,other",
        "-f",
        "3",
    ]
    finished = play(project, tmp_path / "runs", *arguments, playbook="many.yml", env={"JOB_ID": "42"})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    run = events(only_file(tmp_path / "runs"))[0]["event_data"]["fleetops_run"]
    expected = {
        "check_mode": True,
        "diff_mode": True,
        "limit": "agent-01,agent-02",
        "tags": ["all"],
        "skip_tags": ["other", "slow"],
        "forks": 3,
        "job_id": "42",
    }
    assert {key: run[key] for key in expected} == expected
    assert run["python_version"].startswith("3.") and run["ansible_version"].startswith("2.")


MODES = """\
- name: Modes
  hosts: agents
  gather_facts: false
  tasks:
    - name: As the run
      ansible.builtin.debug:
    - name: Templated
      ansible.builtin.debug:
      check_mode: "{{ mode }}"
    - name: In a loop
      ansible.builtin.debug:
      check_mode: "{{ mode and item == 1 }}"
      loop: [1, 2]
    - name: Block
      check_mode: true
      block:
        - name: In a block
          ansible.builtin.debug:
"""


@pytest.mark.parametrize(
    ("arguments", "mode", "differ"),
    [
        ((), True, {"Templated": [True], "In a loop": [True, None, None], "In a block": [True]}),
        (("--check",), True, {"In a loop": [None, False, False]}),
        (("--check",), False, {"Templated": [False], "In a loop": [False, False, False]}),
    ],
)
def test_only_results_in_another_mode_than_their_run_have_a_mode_of_their_own(
    project: Path, tmp_path: Path, arguments: tuple[str, ...], mode: bool, differ: dict[str, list[bool | None]]
) -> None:
    (project / "modes.yml").write_text(MODES)
    given = (*arguments, "--limit", "agent-01", "-e", json.dumps({"mode": mode}))
    finished = play(project, tmp_path / "runs", *given, playbook="modes.yml")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found: dict[str, list[bool | None]] = collections.defaultdict(list)
    for record in events(only_file(tmp_path / "runs")):
        if "res" in (data := record["event_data"]):
            found[data["task"]].append(data.get("fleetops_check_mode"))
    assert {task: modes for task, modes in found.items() if set(modes) != {None}} == differ
    assert len(found) == 4


def test_each_playbook_of_a_command_has_its_own_file_and_recap(project: Path, tmp_path: Path) -> None:
    finished = play(project, tmp_path / "runs", "many.yml", playbook="many.yml")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    runs = [events(file) for file in (tmp_path / "runs").iterdir()]
    assert len(runs) == 2
    # The modules are templates. ansible-core 2.19 and newer evaluate them for a task or an item, but not for a loop.
    assert "resolved_action" not in finished.stderr
    for run in runs:
        modules = {e["event"]: e["event_data"]["resolved_action"] for e in run if "res" in e["event_data"]}
        assert modules == {"runner_item_on_ok": "ansible.builtin.debug", "runner_on_ok": "ansible.builtin.raw"}
        recap = run[-1]["event_data"]
        assert recap["ok"] == dict.fromkeys(HOSTS, 2)
        assert recap["processed"] == dict.fromkeys(HOSTS, 1)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_killed_run_loses_no_event_and_is_recognised_as_ended(
    project: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    slow = Slow(project, tmp_path / "runs")
    try:
        file = only_file(tmp_path / "runs")
        assert is_locked(file)
        # A reader in another process does not release the lock when it ends.
        assert is_locked(file)
        slow.controller.send_signal(ending)
        slow.controller.wait(timeout=60)
        if ending == signal.SIGKILL:
            assert slow.living_workers(), "this test needs orphaned workers"
        deadline = time.monotonic() + 60
        while is_locked(file) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_locked(file)
        recorded = events(file)
    finally:
        slow.stop()
    assert [e["counter"] for e in recorded] == list(range(1, len(recorded) + 1))
    done = collections.Counter((e["event"], e["event_data"].get("task")) for e in recorded)
    assert done["runner_on_ok", "Quick"] == len(HOSTS)
    assert done["runner_on_start", "Sleep"] == len(HOSTS)
    assert not any(e["event"] == "playbook_on_stats" for e in recorded)


def test_simultaneous_runs_do_not_affect_each_other(project: Path, tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            command(playbook="many.yml"),
            cwd=project,
            env=environment(tmp_path / "runs"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _dummy in range(4)
    ]
    assert [run.wait(timeout=300) for run in runs] == [0, 0, 0, 0]
    files = list((tmp_path / "runs").iterdir())
    recorded = [events(file) for file in files]
    assert {run[0]["pid"] for run in recorded} == {run.pid for run in runs}
    for run in recorded:
        assert [e["counter"] for e in run] == list(range(1, len(run) + 1))
        assert {e["pid"] for e in run} == {run[0]["pid"]}
        items = [e for e in run if e["event"] == "runner_item_on_ok"]
        results = [e for e in run if e["event"] == "runner_on_ok"]
        assert (len(items), len(results)) == (10 * len(HOSTS), 2 * len(HOSTS))
        assert run[-1]["event"] == "playbook_on_stats"


def steady(text: str) -> str:
    """The output of a run without the parts that differ from run to run."""
    return "\n".join(sorted(text.splitlines()))


@pytest.fixture(scope="module")
def unrecorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    project = write_project(tmp_path_factory.mktemp("unrecorded") / "project")
    finished = play(project, None, "-f", "1", playbook="many.yml")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return project, finished


@pytest.mark.parametrize("obstacle", ["a file in the way", "no such place", "read-only", "no such user"])
def test_an_unwritable_folder_causes_one_warning(
    unrecorded: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, obstacle: str
) -> None:
    project, reference = unrecorded
    run_logs = tmp_path / "runs"
    if obstacle == "a file in the way":
        run_logs.write_text("")
    elif obstacle == "no such place":
        run_logs = Path("/proc/nowhere/runs")
    elif obstacle == "no such user":
        run_logs = Path("~nouser/runs")
    else:
        run_logs = Path("/proc/sys")  # writable for nobody, not even for root
    finished = play(project, run_logs, "-f", "1", playbook="many.yml")
    assert finished.returncode == 0
    assert steady(finished.stdout) == steady(reference.stdout)
    assert warnings_of_the_log(finished.stdout + finished.stderr) == 1
    assert "Traceback" not in finished.stderr and not (project / "~nouser").exists()


def test_a_full_disk_causes_one_warning_and_leaves_complete_lines(
    unrecorded: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """A file size limit behaves like a full disk: the write that reaches it is cut short, the next one fails."""
    project, reference = unrecorded
    finished = subprocess.run(
        command("-f", "1", playbook="many.yml"),
        cwd=project,
        env=environment(tmp_path / "runs"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    run_log = events(only_file(tmp_path / "runs"))
    assert 5 < len(run_log) < 60
    assert [e["counter"] for e in run_log] == list(range(1, len(run_log) + 1))
    assert warnings_of_the_log(finished.stdout + finished.stderr) == 1
    assert steady(finished.stdout) == steady(reference.stdout)


def test_a_folder_that_is_removed_during_the_run_causes_one_warning(project: Path, tmp_path: Path) -> None:
    run_logs = tmp_path / "runs"
    (project / "vanish.yml").write_text(
        "- hosts: agents\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.debug:\n"
        f"    - ansible.builtin.command: rm -rf {run_logs}\n"
        "      run_once: true\n"
        "    - ansible.builtin.debug:\n    - ansible.builtin.debug:\n"
    )
    finished = play(project, run_logs, playbook="vanish.yml")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert not run_logs.exists()
    assert warnings_of_the_log(finished.stdout + finished.stderr) == 1
    assert "removed during the run" in re.sub(r"\s+", " ", finished.stderr)


def test_the_default_folder_is_in_the_state_folder_of_the_user(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "state", ignore_errors=True)
    env = {"ANSIBLE_CALLBACKS_ENABLED": "fleetops.agents.run_log", "XDG_STATE_HOME": str(tmp_path / "state")}
    assert play(project, None, playbook="many.yml", env=env).returncode == 0
    assert len(events(only_file(tmp_path / "state/fleetops/runs"))) > 50


def test_a_limit_that_is_too_small_is_reported_and_the_play_continues(project: Path, tmp_path: Path) -> None:
    finished = play(project, tmp_path / "runs", playbook="many.yml", env={"FLEETOPS_RUN_LOG_RESULT_LIMIT": "10"})
    assert finished.returncode == 0
    assert not (tmp_path / "runs").exists()
    assert "result_limit of the run log is 10 bytes" in re.sub(r"\s+", " ", finished.stderr)
    assert API_KEY not in finished.stderr


NAMED_HOSTS = ("agent-007.fra1.production.example", "agent-008.fra1.production.example")
NAMED_PLAY = """\
- name: Look at production
  hosts: production
  gather_facts: false
  tasks:
    - name: Say
      ansible.builtin.command:
        argv: [echo, "{{ inventory_hostname }} of production in {{ playbook_dir }}, alone {{ region }}, key {{ key }}"]
      changed_when: true
      vars:
        key: "{{ lookup('ansible.builtin.env', 'FLEETOPS_API_KEY') }}"
    - name: Publish
      ansible.builtin.set_stats:
        data:
          why: "{{ {inventory_hostname: 'slow on ' ~ inventory_hostname} }}"
        aggregate: true
"""


# reports/2026-11 C4
def test_names_of_hosts_and_groups_and_paths_are_never_masked(tmp_path: Path) -> None:
    project = write_project(tmp_path / "production-ops" / "project")
    (project / "named.yml").write_text(NAMED_PLAY)
    (project / "hosts.ini").write_text(
        "[production]\n" + "\n".join(NAMED_HOSTS) + "\n[production:vars]\nansible_connection=local\n"
        f"ansible_python_interpreter={sys.executable}\n"
    )
    vaulted = subprocess.run(
        [Path(sys.executable).parent / "ansible-vault", "encrypt_string", "fra1", "--name", "region"],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (project / "group_vars" / "production.yml").write_text(vaulted + "\n")
    env = {"APP_PASSWORD": "production"}
    finished = play(project, tmp_path / "runs", "--limit", "production", playbook="named.yml", env=env)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    file = only_file(tmp_path / "runs")
    recorded = events(file)
    assert recorded[0]["event_data"]["fleetops_run"]["limit"] == "production"
    (started,) = (e["event_data"] for e in recorded if e["event"] == "playbook_on_play_start")
    assert (started["name"], started["pattern"]) == ("Look at production", "production")
    assert started["batch_hosts"] == list(NAMED_HOSTS)
    for record in recorded:
        assert "*" not in record["event_data"].get("host", "") + record["event_data"].get("task_path", "")
    results = [e["event_data"] for e in recorded if "stdout" in e["event_data"].get("res", {})]
    assert {data["host"]: data["res"]["stdout"] for data in results} == {
        host: f"{host} of production in {project}, alone ********, key ********" for host in NAMED_HOSTS
    }
    recap = recorded[-1]["event_data"]
    assert recap["ok"] == dict.fromkeys(NAMED_HOSTS, 2)
    assert recap["artifact_data"]["why"] == {host: f"slow on {host}" for host in NAMED_HOSTS}
    assert API_KEY not in file.read_text()
    warned = re.sub(r"\s+", " ", finished.stderr)
    for source in ("the environment variable APP_PASSWORD", "the vaulted variable region"):
        assert warned.count(f"Run log: the value of {source} is part of the name of a host or a group") == 1


# reports/2026-11 F9
def test_a_run_on_a_disk_that_stays_full_still_records_its_recap(tmp_path: Path) -> None:
    """A file size limit behaves like a full disk. The tasks need no module, since a module would not fit either."""
    project = write_project(tmp_path / "project")
    say = "    - ansible.builtin.debug:\n        msg: told\n"
    (project / "long.yml").write_text(f"- hosts: agents\n  gather_facts: false\n  tasks:\n{say * 20}")
    finished = subprocess.run(
        command(playbook="long.yml"),
        cwd=project,
        env=environment(tmp_path / "runs"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    recorded = events(only_file(tmp_path / "runs"))
    assert recorded[-1]["event"] == "playbook_on_stats"
    assert recorded[-1]["event_data"]["ok"] == dict.fromkeys(HOSTS, 20)
    assert recorded[-1]["dropped_events"] > 50
    assert warnings_of_the_log(finished.stdout + finished.stderr) == 1


# reports/2026-11 F11
def test_a_folder_that_others_can_access_is_reported_once(project: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o777)
    finished = play(project, tmp_path / "runs", playbook="many.yml")
    assert finished.returncode == 0
    warned = re.sub(r"\s+", " ", finished.stderr)
    assert warned.count("has mode 0777: other users can add and remove files there") == 1
    assert len(events(only_file(tmp_path / "runs"))) > 50
