# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook with an ansible.cfg that changes every keyword that a play does not set (reports/2026-11 C3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CHECKOUT, PlaybookRun
from tests.simulator.running import Simulator, running_simulator
from tests.unit.meta.roles import PLAYBOOKS

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
CONFIG = """
[defaults]
strategy = {strategy}
any_errors_fatal = true
enable_task_debugger = true
error_on_undefined_vars = false
fact_caching = ansible.builtin.jsonfile
fact_caching_connection = {folder}/facts
force_handlers = true
forks = 20
gathering = implicit
hash_behaviour = merge
inject_facts_as_vars = false
no_log = true
private_role_vars = true
task_timeout = 1
callbacks_enabled = fleetops.agents.run_log
[privilege_escalation]
become = true
become_method = ansible.builtin.su
become_user = nobody
"""
QUICK = {"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1, "fleetops_recover_interval": 0.3}
KEYWORDS = {
    "gather_facts": False,
    "connection": "local",
    "order": "sorted",
    "strategy": "ansible.builtin.linear",
    "any_errors_fatal": False,
    "become": False,
    "debugger": "never",
    "no_log": False,
    "timeout": 0,
}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_each_play_sets_the_keywords_that_a_configuration_could_change(playbook: str) -> None:
    for play in yaml.safe_load((CHECKOUT / "playbooks" / f"{playbook}.yml").read_text()):
        if "tasks" not in play:
            # Ansible loads the strategy of a play without tasks too.
            assert play.keys() == {"name", "hosts", "gather_facts", "strategy"}
            assert (play["gather_facts"], play["strategy"]) == (False, KEYWORDS["strategy"])
            continue
        # The rolling play takes the hosts in the order of the plan.
        order = "inventory" if "fleetops_run.sizes" in str(play.get("serial")) else "sorted"
        assert {name: play.get(name) for name in KEYWORDS} == {**KEYWORDS, "order": order}, play["name"]


@pytest.fixture
def hostile(tmp_path: Path, run_playbook: Run) -> Callable[..., PlaybookRun]:
    """``hostile(sim, playbook, strategy, **variables)`` runs the playbook with this configuration."""

    def run(sim: Simulator, playbook: str, strategy: str = "free", **variables: Any) -> PlaybookRun:
        config = tmp_path / "ansible.cfg"
        config.write_text(CONFIG.format(strategy=strategy, folder=tmp_path))
        done = run_playbook(
            sim, f"playbooks/{playbook}.yml", e={**QUICK, **variables}, env={"ANSIBLE_CONFIG": str(config)}
        )
        assert "Entering debug console" not in done.output and "Traceback" not in done.output, done.output
        return done

    return run


def sent(sim: Simulator) -> list[tuple[str, str]]:
    return [(row["operation_id"], (row["instance"] or "").partition(".")[0]) for row in sim.writes()]


def hosts(*numbers: int) -> list[str]:
    return [f"agent-{number:03d}" for number in numbers]


@pytest.mark.parametrize("strategy", ["free", "no_such_strategy"])
def test_a_rolling_redeploy_keeps_its_batches_its_timeouts_and_its_report(
    hostile: Callable[..., PlaybookRun], strategy: str
) -> None:
    faults = {"outcomes": {"agent-003": ["failed"]}}
    # A redeploy takes longer than the configured task timeout.
    with running_simulator(instances=4, speed=20.0, faults=faults, knobs={"deploy_s": [30, 40]}) as sim:
        run = hostile(sim, "rolling_redeploy", strategy)
        assert run.rc == 2, run.output
        assert sorted({name for _operation, name in sent(sim)}) == hosts(1, 2, 3)
        report = run.report
    assert [name.partition(".")[0] for name in report["failed"]] == hosts(3)
    assert [name.partition(".")[0] for name in report["updated"]] == hosts(1, 2)
    assert "bundle checksum mismatch on the agent" in run.stdout


def test_the_audit_report_covers_all_instances(hostile: Callable[..., PlaybookRun], tmp_path: Path) -> None:
    with running_simulator(instances=6, speed=40.0) as sim:
        run = hostile(sim, "audit_report", "host_pinned", fleetops_audit_dir=str(tmp_path / "audit"))
        assert run.rc == 0, run.output
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert len(report["instances"]) == 6 and report["unread"] == []


def test_restarts_and_updates_reach_every_instance(hostile: Callable[..., PlaybookRun]) -> None:
    restart = {"fleetops_only_if_unhealthy": False, "fleetops_after_power_cycle": False, "fleetops_min_uptime": 0}
    with running_simulator(instances=3, speed=40.0) as sim:
        for playbook, operation, wanted in (
            ("apply_updates", "apply_all_updates", {"fleetops_pace": "continuous"}),
            ("power_cycle", "power_cycle", restart),
            ("reboot", "reboot", restart),
        ):
            sim.clear_journal()
            run = hostile(sim, playbook, **wanted)
            assert run.rc == 0, run.output
            assert sorted(sent(sim)) == [(operation, name) for name in hosts(1, 2, 3)]


def test_unhealthy_instances_are_recovered(hostile: Callable[..., PlaybookRun]) -> None:
    with running_simulator(instances=3, speed=20.0, faults={"disease": {"agent-002": "process"}}) as sim:
        run = hostile(sim, "recover")
        assert run.rc == 0, run.output
        assert sent(sim) == [("power_cycle", "agent-002")]


def test_a_fleet_rollout_runs_and_the_policy_is_set(hostile: Callable[..., PlaybookRun]) -> None:
    with running_simulator(instances=3, speed=40.0) as sim:
        rolled = hostile(sim, "fleet_rollout")
        assert rolled.rc == 0 and rolled.report["rollout"]["succeeded_targets"] == 3, rolled.output
        assert hostile(sim, "update_policy", fleetops_max_parallel_rollouts=3).rc == 0
        assert len(sent(sim)) == 2
        assert sim.call("GET", "/v1/instances/fleet/updates/policy")[1]["max_parallel_rollouts"] == 3


def test_backups_are_written_by_the_user_who_runs_the_playbook(
    hostile: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    with running_simulator(instances=3, speed=40.0) as sim:
        run = hostile(sim, "memory_backup", fleetops_memory_dir=str(tmp_path / "backup"))
        assert run.rc == 0, run.output
    assert len(list((tmp_path / "backup").iterdir())) == 3


def test_a_first_host_on_which_no_task_can_run_causes_only_its_own_error(run_playbook: Run, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    (inventory / "host_vars").mkdir(parents=True)
    (inventory / "a.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    variables = json.dumps({"ansible_become": True, "ansible_become_method": "no-such-method"})
    (inventory / "host_vars" / "agent-001.fra1.fleet.example.json").write_text(variables)
    with running_simulator(instances=2, speed=40.0) as sim:
        run = run_playbook(sim, "playbooks/rolling_redeploy.yml", inventory=inventory)
        assert run.rc == 2 and sent(sim) == [], run.output
    failures = [line for line in run.stdout.splitlines() if line.startswith("fatal: ")]
    # The first task, the report, and the end of the run on localhost.
    assert len(failures) == 3 and all("become method" in line for line in failures), run.output
