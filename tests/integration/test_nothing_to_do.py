# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that has nothing to act on ends with a sentence and an exit code other than 0, and is logged as failed.

Ansible itself skips a play without hosts and ends with 0 (reports/2026-11 A1, A4).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.collect.run_events import RunReader
from tests.conftest import BIN, CHECKOUT, PlaybookRun
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
ON_HOSTS = [
    "apply_updates", "audit_report", "fleet_state", "memory_backup", "power_cycle", "reboot", "recover",
    "rolling_redeploy",
]  # fmt: skip
ON_LOCALHOST = ["fleet_rollout", "update_policy"]

# Ansible configured to continue without an inventory that cannot be read.
GO_ON = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "false", "ANSIBLE_INVENTORY_UNPARSED_FAILED": "false"}
# As after an installation of the collection only: no ansible.cfg.
FOREVER = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z", "reason": "no changes"}
PLAIN = {"ANSIBLE_CONFIG": "", "ANSIBLE_CALLBACKS_ENABLED": "fleetops.agents.run_log"}


def logged(run: PlaybookRun) -> dict[str, Any]:
    """The row of the run as the console stores it, with the messages of its failures."""
    reader = RunReader("a-run", source="callback")
    failures = []
    events = run.events()
    # The other run logs in the folder belong to earlier runs of the same test.
    for event in (event for event in events if event["runner_ident"] == events[-1]["runner_ident"]):
        reader.feed(event)
        failures += [row["msg"] for row in reader.take().results if row["status"] == "failed"]
    return {**reader.run, "ended": reader.ended, "failures": failures}


def refused(run: PlaybookRun, sim: Simulator, *words: str, rc: tuple[int, ...] = (2,)) -> None:
    """Check that the run failed with one sentence, sent no write, and is logged as failed with the same sentence."""
    assert run.rc in rc, run.output
    assert "Traceback" not in run.output
    assert sim.writes() == []
    row = logged(run)
    assert (row["status"], row["ended"]) == ("failed", True), row
    for word in (*words, "Nothing was done."):
        assert word in " ".join(run.output.split()), run.output
        assert any(word in failure for failure in row["failures"]), row


def play(run: Run, sim: Simulator, name: str, *arguments: str, **options: Any) -> PlaybookRun:
    options["env"] = {**PLAIN, **options.get("env", {})}
    return run(sim, f"fleetops.agents.{name}", *arguments, **options)


@pytest.mark.parametrize("playbook", ON_HOSTS)
def test_a_host_pattern_that_matches_nothing_is_a_failure(
    simulator: Simulator, run_playbook: Run, playbook: str
) -> None:
    run = play(run_playbook, simulator, playbook, "--check", "--diff", e={"fleetops_hosts": "agnet-*"})
    refused(run, simulator, "no host matches agnet-*", "The inventory has 6 hosts.")


@pytest.mark.parametrize("playbook", ["memory_backup", "power_cycle", "rolling_redeploy"])
def test_a_limit_that_leaves_no_host_is_a_failure(simulator: Simulator, run_playbook: Run, playbook: str) -> None:
    asked = {"fleetops_hosts": "agent-001*"}
    run = play(run_playbook, simulator, playbook, "--limit", "agent-002*", e=asked)
    refused(run, simulator, "no host matches agent-001* within --limit agent-002*", rc=(1, 4))


@pytest.mark.parametrize("playbook", ON_LOCALHOST)
def test_a_limit_that_excludes_localhost_is_a_failure(simulator: Simulator, run_playbook: Run, playbook: str) -> None:
    asked = {"fleetops_max_parallel_rollouts": 3}
    run = play(run_playbook, simulator, playbook, "--limit", "agent-002*", e=asked)
    refused(run, simulator, "runs on localhost", "Start it without --limit", rc=(1, 4))


def test_a_host_pattern_that_matches_only_in_part_is_a_failure(simulator: Simulator, run_playbook: Run) -> None:
    asked = {"fleetops_hosts": "agent-001*,agnet-002*"}
    refused(play(run_playbook, simulator, "power_cycle", e=asked), simulator, "No host matches agnet-002*")
    limit = ("--limit", "agent-001*,agnet-002*")
    refused(play(run_playbook, simulator, "power_cycle", *limit), simulator, "No host matches agnet-002*", rc=(1, 4))


def test_a_mistyped_exclusion_does_not_include_the_host(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    """Ansible only warns, and includes the host. A wildcard may match nothing."""
    hint = ("'!agnet-002' names neither a host nor a group (the nearest name is agent-002.ams3.fleet.example)",)
    asked = {"fleetops_hosts": "fleetops_instances:!agnet-002"}
    refused(play(run_playbook, simulator, "power_cycle", e=asked), simulator, *hint)
    run = play(run_playbook, simulator, "rolling_redeploy", "--limit", "all:!agnet-002")
    refused(run, simulator, "In --limit all:!agnet-002", *hint, rc=(1, 4))
    file = tmp_path / "those"
    file.write_text("localhost\nagent-00*\n!agnet-002\n!old-*\n")
    refused(play(run_playbook, simulator, "power_cycle", "--limit", f"@{file}"), simulator, *hint)
    file.write_text("localhost\nagent-00*\n!agent-002*\n!old-*\n")
    run = play(run_playbook, simulator, "power_cycle", "--limit", f"@{file}", "--check")
    assert run.rc == 0 and "agent-001" in run.stdout and "agent-002" not in run.stdout, run.output


def test_hosts_that_include_localhost_are_refused(simulator: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    """An inventory of AWX often contains localhost."""
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "eu.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    (folder / "hosts.yml").write_text("all: {hosts: {localhost: {}}}\n")
    for playbook, asked in (("rolling_redeploy", "all"), ("audit_report", "localhost"), ("memory_backup", "all")):
        run = play(run_playbook, simulator, playbook, inventory=folder, e={"fleetops_hosts": asked})
        refused(run, simulator, f"fleetops_hosts is {asked}, which includes localhost, and that is not an instance.")
    run = play(run_playbook, simulator, "audit_report", inventory=folder, e={"fleetops_hosts": "all:!localhost"})
    assert run.rc == 0, run.output


@pytest.mark.parametrize("playbook", ON_LOCALHOST)
def test_a_playbook_that_acts_on_all_instances_is_not_started_for_some_of_them(
    simulator: Simulator, run_playbook: Run, playbook: str
) -> None:
    asked = {"fleetops_max_parallel_rollouts": 3, "fleetops_hosts": "agent-002*"}
    run = play(run_playbook, simulator, playbook, e=asked)
    refused(run, simulator, "fleetops_hosts is agent-002*, but this playbook acts on the whole tenant", rc=(1, 4))


def test_a_limit_file_without_a_host_does_not_mean_the_whole_fleet(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    """An empty list of failed hosts, for which Ansible would take all hosts, and a list with an unknown host."""
    failed = tmp_path / "failed.retry"
    failed.write_text("\n")
    for name, given in (("power_cycle", f"@{failed}"), ("fleet_rollout", f"@{failed}"), ("power_cycle", ",")):
        run = play(run_playbook, simulator, name, "--limit", given)
        refused(run, simulator, f"--limit {given} names no host", rc=(1, 2, 4))
    run = play(run_playbook, simulator, "power_cycle", e={"fleetops_hosts": ","})
    refused(run, simulator, "fleetops_hosts is ',', which names no host")
    failed.write_text("agent-001.fra1.fleet.example\nlocalhost\nagent-999.fra1.fleet.example\n")
    run = play(run_playbook, simulator, "power_cycle", "--limit", f"@{failed}")
    refused(run, simulator, "No host matches agent-999.fra1.fleet.example, which is part of what was requested")


@pytest.mark.parametrize(
    ("env", "word", "limit"),
    [
        ({"FLEETOPS_API_URL": "http://127.0.0.1:9"}, "Connection refused", ()),
        ({"FLEETOPS_API_KEY": ""}, "api_key", ("--limit", "agent-001.fra1.fleet.example")),
    ],
)
def test_an_unreachable_api_or_a_missing_key_does_not_count_as_an_empty_fleet(
    simulator: Simulator, run_playbook: Run, env: dict[str, str], word: str, limit: tuple[str, ...]
) -> None:
    check = ("--check", "--diff", *limit)
    run = play(run_playbook, simulator, "rolling_redeploy", *check, env=env)
    assert run.rc == 1 and simulator.writes() == [], run.output
    assert word in run.output and "Traceback" not in run.output
    run = play(run_playbook, simulator, "rolling_redeploy", *check, env={**env, **GO_ON})
    refused(run, simulator, "no host matches fleetops_instances", word, rc=(1, 4) if limit else (2,))


def test_a_missing_inventory_or_an_empty_fleet_is_a_failure(run_playbook: Run, tmp_path: Path) -> None:
    with running_simulator(instances=2, speed=40.0) as sim:
        missing = play(run_playbook, sim, "rolling_redeploy", inventory=tmp_path / "inventories" / "production.example")
        refused(missing, sim, "The inventory has no host", "the path after -i")
        empty = tmp_path / "empty.fleet.yml"
        empty.write_text("plugin: fleetops.agents.fleet\nrollouts: 0\ninstance_rollouts: 0\n")
        run = play(run_playbook, sim, "recover", inventory=empty)
        assert run.rc == 1 and "no instance was found" in run.output and sim.writes() == []
        refused(play(run_playbook, sim, "recover", inventory=empty, env=GO_ON), sim, "no instance was found")


def test_an_unreadable_fleet_beside_a_readable_one_is_a_failure(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "eu.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    (folder / "us.fleet.yml").write_text("plugin: fleetops.agents.fleet\napi_url: http://127.0.0.1:9\nretries: 0\n")
    run = play(run_playbook, simulator, "power_cycle", inventory=folder)
    assert run.rc == 1 and "us.fleet.yml cannot be used" in run.output and simulator.writes() == []
    run = play(run_playbook, simulator, "power_cycle", inventory=folder, env=GO_ON)
    refused(run, simulator, "us.fleet.yml cannot be used", "are only part of what was requested")


def test_hosts_of_two_servers_are_not_in_one_run(simulator: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    """The plan took the hosts of the other server for instances that no longer exist, and the run ended with 0."""
    hosts = tmp_path / "hosts.ini"
    ids = [row["id"] for row in simulator.state()["instances"]]
    known = [f"agent-00{number} fleetops_instance_id={found}" for number, found in enumerate(ids)]
    other = "other-1 fleetops_instance_id=4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"
    of_other = "[us:vars]\nfleetops_api_url=https://other.example\nfleetops_api_key=secret-of-us\n"
    hosts.write_text("\n".join(["[eu]", *known, "[us]", other, of_other]))
    site = tmp_path / "site.yml"
    words = (f"agent-000 is an instance of {simulator.url}, and other-1 is one of https://other.example.",)
    for name in ("rolling_redeploy", "audit_report", "memory_backup"):
        site.write_text(f"- ansible.builtin.import_playbook: fleetops.agents.{name}\n")
        asked = {"fleetops_hosts": "all", "fleetops_memory_dir": str(tmp_path / "backups")}
        run = run_playbook(simulator, site, e=asked, inventory=hosts, env=PLAIN)
        refused(run, simulator, *words)
        assert "secret-of-us" not in run.output and not (tmp_path / "backups").exists()


@pytest.mark.parametrize(
    ("playbook", "asked", "word"),
    [
        ("memory_backup", {}, "fleetops_memory_dir is not set."),
        ("audit_report", {"fleetops_audit_limit": 0}, "fleetops_audit_limit is 0: it must be a whole number"),
        ("memory_backup", {"fleetops_memory_dir": "~nouser/x"}, "~nouser is not the home of a user on this machine."),
        ("audit_report", {"fleetops_audit_dir": "$NOPE/x"}, "$NOPE is not an environment variable on this machine."),
        ("memory_backup", {"fleetops_hosts": "all"}, "These hosts have no fleetops_instance_id: web-1, web-2."),
        ("audit_report", {"fleetops_hosts": "all"}, "These hosts have no fleetops_instance_id: web-1, web-2."),
        ("audit_report", {"fleetops_hosts": "fleetops_instances,twin"}, "agent-1 and twin are the same instance"),
        ("memory_backup", {"fleetops_hosts": "fleetops_instances,twin"}, "agent-1 and twin are the same instance"),
        ("fleet_state", {"fleetops_hosts": "fleetops_instances,twin"}, "agent-1 and twin are the same instance"),
    ],
)
def test_an_invalid_variable_or_host_is_one_failure_and_not_one_per_host(
    simulator: Simulator, run_playbook: Run, tmp_path: Path, playbook: str, asked: dict[str, Any], word: str
) -> None:
    hosts = tmp_path / "hosts.ini"
    ids = [row["id"] for row in simulator.state()["instances"]]
    known = [f"agent-{number} fleetops_instance_id={found}" for number, found in enumerate(ids, 1)]
    twin = ["[twins]", f"twin fleetops_instance_id={ids[0].upper()}"]
    hosts.write_text("\n".join(["[fleetops_instances]", *known, "[web]", "web-1", "web-2", *twin]))
    run = play(run_playbook, simulator, playbook, e=asked, inventory=hosts)
    assert (run.rc, run.total("failed"), len(simulator.journal())) == (2, 1, 0), run.output
    assert word in " ".join(run.output.split()), run.output


def test_inventories_of_two_servers_are_not_in_one_run(simulator: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    with running_simulator(instances=2, seed=9, speed=40.0) as other:
        folder = tmp_path / "both"
        folder.mkdir()
        (folder / "eu.fleet.yml").write_text("plugin: fleetops.agents.fleet\nhostname: id\n")
        us = f"plugin: fleetops.agents.fleet\nhostname: id\napi_url: {other.url}\napi_key: {other.admin_key}\n"
        (folder / "us.fleet.yml").write_text(us)
        run = play(run_playbook, simulator, "rolling_redeploy", inventory=folder)
        refused(run, simulator, simulator.url, other.url, "A run acts on one server")
    # A file may have a key of its own that can only read, beside hosts of another file.
    (folder / "us.fleet.yml").unlink()
    reading = f"plugin: fleetops.agents.fleet\nhostname: id\napi_key: {simulator.keys['user']}\n"
    (folder / "eu.fleet.yml").write_text(reading)
    first, second = (row["id"] for row in simulator.state()["instances"][:2])
    (folder / "more").write_text(f"agent-more fleetops_instance_id={first}\n")
    hosts = {"fleetops_hosts": f"agent-more,{second}"}
    run = play(run_playbook, simulator, "rolling_redeploy", "--check", e=hosts, inventory=folder)
    assert run.rc == 0 and "agent-more" in run.output, run.output


def test_ansible_runner_with_the_files_of_awx_reports_the_failure(
    simulator: Simulator, playbook_environment: Callable[[Simulator], dict[str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    (folder / "env").mkdir(parents=True)
    (folder / "inventory").mkdir()
    (folder / "inventory" / "fleet.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    (folder / "env" / "extravars").write_text("!unsafe 'fleetops_hosts': !unsafe 'agnet-*'\n")
    (folder / "env" / "cmdline").write_text("--forks 20 --check --diff")
    (folder / "project").mkdir()
    command = ["ansible-runner", "run", str(folder), "-p", "fleetops.agents.rolling_redeploy", "-i", "1"]
    environment = {**playbook_environment(simulator), **PLAIN}
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    artifacts = folder / "artifacts" / "1"
    assert (artifacts / "status").read_text() == "failed", done.stdout + done.stderr
    assert (artifacts / "rc").read_text() == "2" == str(done.returncode)
    events = [json.loads(file.read_text()) for file in (artifacts / "job_events").glob("*.json")]
    (failed,) = [event for event in events if event["event"] == "runner_on_failed"]
    assert "no host matches agnet-*" in failed["event_data"]["res"]["msg"]
    assert simulator.writes() == []


def test_listing_the_tasks_of_a_playbook_is_not_refused(simulator: Simulator, run_playbook: Run) -> None:
    for flag in ("--syntax-check", "--list-hosts", "--list-tasks"):
        run = play(run_playbook, simulator, "rolling_redeploy", flag, e={"fleetops_hosts": "agnet-*"})
        assert run.rc == 0, run.output


def test_tags_that_select_no_task_are_a_failure(simulator: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    """Also in check mode. A playbook that imports ours with a tag runs it with that tag, and skips it without."""
    for name, given in (("rolling_redeploy", ("--tags", "deploy")), ("update_policy", ("--skip-tags", "untagged"))):
        run = play(run_playbook, simulator, name, *given, "--check")
        refused(run, simulator, f"No task is left with {' '.join(given)}", rc=(1, 4))
    site = tmp_path / "site.yml"
    site.write_text("- ansible.builtin.import_playbook: fleetops.agents.update_policy\n  tags: [policy]\n")
    asked = {"fleetops_max_parallel_rollouts": 3}
    other = run_playbook(simulator, site, "--tags", "other", e=asked, env=PLAIN)
    assert other.rc == 0 and simulator.writes() == [], other.output
    chosen = run_playbook(simulator, site, "--tags", "policy", e=asked, env=PLAIN)
    assert chosen.rc == 0 and len(simulator.writes()) == 1, chosen.output


def test_command_line_arguments_that_would_have_no_effect_are_a_failure(
    simulator: Simulator, run_playbook: Run
) -> None:
    """A mistyped variable, with which the run would take the whole fleet or change nothing, or --start-at-task."""
    typed = play(run_playbook, simulator, "rolling_redeploy", e={"fleetops_host": "agent-001*"})
    refused(typed, simulator, "No playbook reads fleetops_host. Did you mean fleetops_hosts?")
    # The inventory would come from that server, and the tasks would change the server of the environment.
    asked = {"fleetops_api_url": "http://127.0.0.1:9", "fleetops_max_parallel_rollouts": 4}
    typed = play(run_playbook, simulator, "update_policy", e=asked, inventory="localhost,")
    refused(typed, simulator, "from FLEETOPS_API_URL in the environment, which is another address", rc=(1, 4))
    typed = play(run_playbook, simulator, "update_policy", e={"fleetops_max_parallel": 4})
    refused(typed, simulator, "No playbook reads fleetops_max_parallel.", rc=(1, 4))
    # The variables that were looked up for this check do not leak into the next playbook.
    policy, audit = (CHECKOUT / "playbooks" / f"{name}.yml" for name in ("update_policy", "audit_report"))
    two = run_playbook(simulator, policy, str(audit), e={"fleetops_max_parallel_rollouts": 3})
    assert two.rc == 0 and "# Audit of 6 instances" in two.stdout and len(simulator.writes()) == 1, two.output
    simulator.clear_journal()
    # Without the refusal, Ansible would end with 0.
    started = play(run_playbook, simulator, "fleet_state", "--start-at-task", "no such task")
    refused(started, simulator, "cannot be started at a task (--start-at-task no such task)", rc=(1, 4))


def test_inventory_variables_that_have_no_effect_are_reported(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    """fleetops_hosts is read before the inventory: without a refusal the run would take the whole fleet."""
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    # Another address of the same server.
    other = simulator.url.replace("127.0.0.1", "localhost")
    (folder / "eu.fleet.yml").write_text(f"plugin: fleetops.agents.fleet\napi_url: {other}\n")
    variables = folder / "group_vars" / "all.yml"
    variables.write_text("fleetops_hosts: agent-001*\n")
    for given in ({}, {"fleetops_hosts": ""}):
        run = play(run_playbook, simulator, "power_cycle", inventory=folder, e=given)
        refused(
            run, simulator, "fleetops_hosts is agent-001* in the inventory, where it has no effect", "act on 6 hosts"
        )
    of_play = "fleetops_soak: '{{ 1 if ansible_check_mode else ansible_play_hosts_all | length }}'\n"
    variables.write_text(f"fleetops_hosts: agent-001*\nfleetops_batchmax: 1\nfleetops_team: blue\n{of_play}")
    asked = {"fleetops_hosts": "agent-001*"}
    run = play(run_playbook, simulator, "power_cycle", "--check", inventory=folder, e=asked)
    assert run.rc == 0 and "agent-002" not in run.stdout, run.output
    output = " ".join(run.output.split())
    assert (
        output.count("fleetops_batchmax (did you mean fleetops_batch_max?).") == 1 and "fleetops_team" not in output
    ), run.output
    # Of a variable of the whole run, the value of the first host would apply to all. An extra variable that is not
    # blank (fleetops_max_failed) and the playbook (fleetops_min_healthy_share) override the inventory.
    (folder / "host_vars").mkdir()
    of_one = {"fleetops_max_failed": 3, "fleetops_min_healthy_share": 1, "fleetops_freezes": [FOREVER]}
    of_host = folder / "host_vars" / "agent-003.nyc3.fleet.example.json"
    of_host.write_text(json.dumps(of_one))
    asked = {"fleetops_hosts": "all", "fleetops_freezes": "", "fleetops_max_failed": 0}
    run = play(run_playbook, simulator, "power_cycle", inventory=folder, e=asked)
    refused(
        run, simulator, "fleetops_freezes applies to the whole run, but the inventory has another value for agent-003"
    )
    # An invalid value of one host would end the run in its batch without a report, or leave the host out.
    for playbook, name, why in (
        ("power_cycle", "fleetops_wait_timeout", "agent-003.nyc3.fleet.example: fleetops_wait_timeout is '15m'"),
        ("memory_backup", "fleetops_memory_action", "fleetops_memory_action applies to the whole run"),
    ):
        of_host.write_text(json.dumps({name: "15m"}))
        asked = {"fleetops_hosts": "all", "fleetops_memory_dir": str(tmp_path)}
        run = play(run_playbook, simulator, playbook, inventory=folder, e=asked)
        assert (run.rc, simulator.writes()) == (2, []) and why in " ".join(run.output.split()), run.output
    # The variables of localhost apply to a fleet rollout. A rule for changes must not be left out because of that.
    (folder / "group_vars" / "fleetops_instances.yml").write_text("fleetops_change_pattern: CHG\\d+\n")
    run = play(run_playbook, simulator, "fleet_rollout", inventory=folder)
    refused(run, simulator, "fleetops_change_pattern applies to the whole run", "than for localhost", "all.yml")
