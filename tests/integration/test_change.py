# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The change number of a run and the user's tasks before and after it, by the real ansible-playbook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.collect.sync import sync_once
from console.record.read import operations, runs
from console.settings.environment import Settings
from tests.conftest import PlaybookRun
from tests.console.support.facts import evidence
from tests.simulator.running import running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
PLAYBOOK = "playbooks/rolling_redeploy.yml"
QUICK = {"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1, "fleetops_change_pattern": r"CHG\d{7}"}
# The hook writes its variables to a file; its second task fails on request.
HOOK = """
- name: Write what the hook is told
  ansible.builtin.copy:
    content: "{{{{ fleetops_hook | to_json }}}}"
    dest: {told}
    mode: "0600"

- name: Use a short name, which Ansible looks up in the collection of the role
  instance_health_info:
    instance_id: none
  when: false

- name: Ask the ticket system
  ansible.builtin.assert:
    that: {good}
    fail_msg: The ticket system does not answer.
"""


def hook(folder: Path, name: str, *, good: bool) -> dict[str, str]:
    path = folder / f"{name}.yml"
    path.write_text("---" + HOOK.format(told=folder / f"{name}.json", good=str(good).lower()))
    return {f"fleetops_{name}_tasks": str(path)}


def hook_variables(folder: Path, name: str) -> dict[str, Any]:
    """The variables that the hook got; it must have run once."""
    path = folder / f"{name}.json"
    found = json.loads(path.read_text())
    path.unlink()
    return found


def test_a_change_number_is_required_and_recorded_and_the_users_tasks_run_before_and_after(
    run_playbook: Run, tmp_path: Path
) -> None:
    with running_simulator(instances=3, speed=40.0) as sim:
        # Without a change number that matches the pattern, nothing is planned and no task of the user runs.
        tasks = hook(tmp_path, "before", good=False) | hook(tmp_path, "after", good=False)
        refused = run_playbook(sim, PLAYBOOK, e={**QUICK, **tasks, "fleetops_change": "CHG31337"})
        assert refused.rc == 2 and sim.writes() == [], refused.output
        assert "fleetops_change is 'CHG31337', which does not match" in refused.output
        assert refused.report["change"] == "CHG31337"
        assert not (tmp_path / "before.json").exists() and not (tmp_path / "after.json").exists()

        # A before task that fails refuses the run. The after tasks still run, and their failure is only a warning.
        change = {**QUICK, **tasks, "fleetops_change": "CHG0031337"}
        before_failed = run_playbook(sim, PLAYBOOK, e=change)
        assert before_failed.rc == 2 and sim.writes() == [], before_failed.output
        expected = (
            "The tasks of fleetops_before_tasks failed, so no instance was changed. The ticket system does not answer."
        )
        assert before_failed.report["reasons"] == [expected]
        assert "Warning: The tasks of fleetops_after_tasks failed. The ticket system" in before_failed.stdout
        asked = hook_variables(tmp_path, "before")
        assert asked["change"] == "CHG0031337" and len(asked["planned"]) == 3 and asked["plan_hash"]
        assert hook_variables(tmp_path, "after")["report"]["verdict"] == "fail"
        assert {name for name, row in before_failed.recap.items() if row["failed"]} == {"localhost"}

        # Check mode runs neither.
        checked = run_playbook(sim, PLAYBOOK, "--check", e=change)
        assert checked.rc == 0 and "Change: CHG0031337" in checked.stdout, checked.output
        assert not (tmp_path / "before.json").exists() and not (tmp_path / "after.json").exists()

        change |= hook(tmp_path, "before", good=True)
        done = run_playbook(sim, PLAYBOOK, e=change)
        assert done.rc == 0 and len(sim.writes()) == 3, done.output
        assert "The ticket system does not answer" in done.report["after_problem"]
        after = hook_variables(tmp_path, "after")
        assert after["report"]["counts"]["updated"] == 3 and after["report"]["change"] == "CHG0031337"
        assert "Change: CHG0031337" in after["text"]

    database = tmp_path / "record.db"
    assert sync_once(Settings(database=database, run_log_dir=done.run_logs), connection=None).problems == []
    frame, total = runs.runs(database, search="chg0031337")
    assert total == 3 and set(frame["change"]) == {"CHG0031337"}
    run_id = frame["run_id"].iloc[0]
    assert [row["document"].get("change") for row in evidence(database, run_id) if row["kind"] != "gate"] == [
        "CHG0031337"
    ] * 2
    assert (runs.run(database, run_id) or {})["change"] == "CHG0031337"
    wanted = operations.OperationFilter(text="CHG0031337")
    assert operations.operations(database, 0.0, wanted)[1] == 3
    assert runs.runs(database, search="CHG31337")[1] == 1 and runs.runs(database, search="CHG9")[1] == 0


def test_a_run_whose_user_tasks_cannot_run_or_end_the_play_fails(run_playbook: Run, tmp_path: Path) -> None:
    """With a single instance no host would be left for the report, and Ansible would end with 0."""
    # What can be seen in a file before it runs is tested in tests/unit/lookup/test_task_files.py.
    end, hidden, absent, unknown = (tmp_path / f"{name}.yml" for name in ("end_of_play", "hidden", "absent", "unknown"))
    unknown.write_text(f"- ansible.builtin.include_role: {{name: {tmp_path}/role}}\n")
    (tmp_path / "role" / "tasks").mkdir(parents=True)
    (tmp_path / "role" / "tasks" / "main.yml").write_text("- no.such.module:\n")
    end.write_text("- ansible.builtin.meta: end_play\n")
    hidden.write_text(f"- ansible.builtin.include_tasks: \"{{{{ '{end}' }}}}\"\n")
    absent.write_text("- ansible.builtin.include_tasks: none.yml\n")
    with running_simulator(instances=1, speed=40.0) as sim:
        for name, path, reason in (
            ("before", tmp_path / "none.yml", "which is not a file on the controller. Nothing was done."),
            ("after", unknown, "which cannot be run: couldn't resolve module/action 'no.such.module'"),
            ("before", hidden, "The tasks of fleetops_before_tasks did not finish"),
            (
                "before",
                absent,
                "The tasks of fleetops_before_tasks failed, so no instance was changed. Ansible could not",
            ),
        ):
            tasks = {f"fleetops_{name}_tasks": str(path), "fleetops_change": "CHG0031337"}
            refused = run_playbook(sim, PLAYBOOK, e={**QUICK, **tasks})
            assert refused.rc == 2 and sim.writes() == [], refused.output
            assert reason in " ".join(refused.report["reasons"]), refused.output
        # The play ends before the task in which the instance fails.
        sim.knobs(outcomes={"agent-001": "failed"})
        tasks = {"fleetops_after_tasks": str(hidden), "fleetops_change": "CHG0031337", "fleetops_max_failed": 1}
        ended = run_playbook(sim, PLAYBOOK, e={**QUICK, **tasks})
        assert ended.rc == 2 and len(sim.writes()) == 1, ended.output
        name = "agent-001.fra1.fleet.example"
        assert f"fleetops_after_tasks did not finish. The redeploy of {name} failed" in ended.output


def test_user_tasks_that_ansible_cannot_load_or_that_end_the_play_do_not_lose_the_report(
    run_playbook: Run, tmp_path: Path
) -> None:
    """Ansible counts a failed task with run_once for every host, and then ends the run with 0."""
    missing, ending = tmp_path / "missing.yml", tmp_path / "ending.yml"
    missing.write_text("- ansible.builtin.import_role: {name: no_such_role}\n")
    ending.write_text(f"- ansible.builtin.include_tasks: \"{{{{ '{tmp_path}/end.yml' }}}}\"\n")
    (tmp_path / "end.yml").write_text("- ansible.builtin.meta: end_play\n")
    with running_simulator(instances=2, speed=40.0) as sim:
        change = {**QUICK, "fleetops_change": "CHG0031337"}
        refused = run_playbook(sim, PLAYBOOK, e={**change, "fleetops_before_tasks": str(missing)})
        assert refused.rc == 2 and sim.writes() == [], refused.output
        assert "The tasks of fleetops_before_tasks failed, so no" in refused.report["reasons"][0]
        ended = run_playbook(sim, PLAYBOOK, e={**change, "fleetops_after_tasks": str(ending)})
        assert ended.rc == 0 and "Warning: The tasks of fleetops_after_tasks did not finish." in ended.output
        assert ended.report["after_problem"] and len(ended.report["updated"]) == 2
        sim.knobs(outcomes={"agent-002": "failed"})
        options = {"fleetops_state": "redeployed", "fleetops_after_tasks": str(missing)}
        failed = run_playbook(sim, PLAYBOOK, e={**change, **options})
        assert failed.rc == 2 and "The tasks of fleetops_after_tasks failed." in failed.report["after_problem"]
        assert len(failed.report["failed"]) == 1
