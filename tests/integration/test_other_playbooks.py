# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_rollout, update_policy, audit_report and apply_updates by the real ansible-playbook."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from console.collect.sync import sync_once
from console.record.read import runs
from console.settings.environment import Settings
from tests.conftest import PlaybookRun
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
ROLLOUT = "playbooks/fleet_rollout.yml"
POLICY = "playbooks/update_policy.yml"
QUICK = {"fleetops_wait_interval": 0.3, "fleetops_uncertain_grace": 0, "fleetops_healthy_reads": 1}


def sent(sim: Simulator) -> list[str]:
    return [row["operation_id"] for row in sim.writes()]


def test_fleet_rollout_updates_the_fleet_and_a_second_run_sends_nothing(
    simulator: Simulator, run_playbook: Run
) -> None:
    pattern = {**QUICK, "fleetops_change_pattern": r"CHG\d+"}
    refused = run_playbook(simulator, ROLLOUT, "--check", e=pattern)
    assert refused.rc == 2 and "No change is named" in refused.output, refused.output
    predicted = run_playbook(simulator, ROLLOUT, "--check", e=QUICK)
    assert predicted.rc == 0 and predicted.total("changed") == 1, predicted.output
    assert "A fleet rollout would be started." in predicted.stdout and "nothing to roll out" not in predicted.stdout
    told = predicted.report
    assert (told["changed"], told["text"], told["check_mode"]) == (True, "A fleet rollout would be started.", True)
    assert simulator.writes() == []
    run = run_playbook(simulator, ROLLOUT, e={**pattern, "fleetops_change": "CHG42"})
    assert run.rc == 0, run.output
    assert sent(simulator) == ["start_fleet_rollout"]
    database = run.run_logs.parent / "record.db"
    assert sync_once(Settings(database=database, run_log_dir=run.run_logs), connection=None).problems == []
    frame, total = runs.runs(database, search="chg42")
    assert total == 1 and frame["change"].tolist() == ["CHG42"]
    told = run.report
    assert told["rollout"]["succeeded_targets"] == 6
    assert (told["changed"], told["text"], told["check_mode"]) == (True, "The rollout ended.", False)
    assert {row["runtime"] for row in simulator.state()["instances"]} == {simulator.state()["newest_runtime"]}


def test_a_rollout_with_too_many_failures_is_paused_and_adopted_by_the_same_command(run_playbook: Run) -> None:
    faults = {"outcomes": {"agent-001": ["failed"], "agent-002": ["failed"]}, "deploy_s": [20, 25]}
    with running_simulator(instances=8, speed=20.0, faults=faults) as sim:
        run = run_playbook(sim, ROLLOUT, e={**QUICK, "fleetops_max_failed": 1})
        assert run.rc == 2, run.output
        assert sent(sim) == ["start_fleet_rollout", "pause_rollout"]
        assert "Too many targets of fleet rollout" in run.stdout and "so it was paused" in run.stdout
        assert "8 targets: " in run.stdout and "total_targets" not in run.stdout.partition("TASK [Show how")[2]
        (rollout,) = [row for row in sim.state()["rollouts"] if row["scope"] == "fleet" and row["status"] == "paused"]
        assert run.report["rollout_id"] == rollout["id"]
        predicted = run_playbook(sim, ROLLOUT, "--check", e={**QUICK, "fleetops_max_failed": 2})
        assert predicted.rc == 0 and predicted.total("changed") == 0, predicted.output
        expected = (
            f"Fleet rollout {rollout['id']} is in progress. It would be followed to its end, and none would be started."
        )
        assert predicted.report["text"] == expected and "The rollout ended." not in predicted.stdout
        # Slow enough to be still under way when the second playbook reads the rollouts.
        sim.knobs(deploy_s=[240, 240])
        # After somebody resumes it, the same command follows it instead of starting a second one.
        sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{rollout['id']}/resume")
        again = run_playbook(sim, ROLLOUT, e={**QUICK, "fleetops_max_failed": 2})
        assert again.rc == 0, again.output
        assert again.report["adopted"] is True
        assert sent(sim).count("start_fleet_rollout") == 1


def test_failed_targets_are_retried_once_if_requested(run_playbook: Run) -> None:
    outcomes = {"agent-002": ["failed"], "agent-003": ["uncertain_not_applied"], "agent-004": ["uncertain_applied"]}
    with running_simulator(instances=5, speed=40.0, faults={"outcomes": outcomes}) as sim:
        settings = {**QUICK, "fleetops_retry_failed": True, "fleetops_on_too_many": "none"}
        run = run_playbook(sim, ROLLOUT, e=settings)
        assert run.rc == 0, run.output
        # The target that had succeeded after all is not tried again.
        assert sent(sim) == ["start_fleet_rollout", "retry_rollout_target", "retry_rollout_target"]
        assert {row["runtime"] for row in sim.state()["instances"]} == {sim.state()["newest_runtime"]}
        assert run.report["changed"] is True


def test_a_rollout_with_a_target_that_cannot_be_retried_fails(run_playbook: Run) -> None:
    outcomes = {"agent-001": ["failed"], "agent-002": ["uncertain_not_applied"]}
    plans = [{"operation": "get_available_updates", "instance": "agent-002", "status": 404}]
    with running_simulator(instances=3, speed=40.0, faults={"outcomes": outcomes, "plans": plans}) as sim:
        settings = {**QUICK, "fleetops_retry_failed": True, "fleetops_on_too_many": "none"}
        run = run_playbook(sim, ROLLOUT, e=settings | {"fleetops_uncertain_grace": 0})
        assert run.rc == 2, run.output
        assert sent(sim) == ["start_fleet_rollout", "retry_rollout_target"]
        assert "of 3 targets, 1 uncertain" in run.report["why"]


def test_a_rollout_that_check_mode_false_starts_despite_check_is_judged_after_the_retry(
    run_playbook: Run, tmp_path: Path
) -> None:
    role = {"ansible.builtin.import_role": {"name": "fleetops.agents.rollout_watch"}}
    play = {"hosts": "localhost", "gather_facts": False, "connection": "local", "check_mode": False, "tasks": [role]}
    file = tmp_path / "roll.yml"
    file.write_text(json.dumps([play]))
    with running_simulator(instances=3, speed=40.0, faults={"outcomes": {"agent-002": ["failed", "failed"]}}) as sim:
        settings = {**QUICK, "fleetops_retry_failed": True, "fleetops_on_too_many": "none"}
        run = run_playbook(sim, file, "--check", e=settings)
        assert sent(sim) == ["start_fleet_rollout", "retry_rollout_target"]
        assert run.rc == 2 and "of 3 targets, 1 failed" in run.stdout, run.output


def test_the_policy_is_shown_predicted_and_set(simulator: Simulator, run_playbook: Run) -> None:
    shown = run_playbook(simulator, POLICY)
    assert shown.rc == 0 and "At most 2 redeploys at once." in shown.stdout, shown.output
    # As a survey of AWX gives it: every value is text, and a blank answer is empty text.
    survey = {
        "fleetops_max_parallel_rollouts": "5",
        "fleetops_window_start_hour": "0",
        "fleetops_window_end_hour": "6",
        "fleetops_runtime_default": "",
    }
    predicted = run_playbook(simulator, POLICY, "--check", "--diff", e=survey)
    assert predicted.rc == 0 and simulator.writes() == [], predicted.output
    assert '+    "max_parallel_rollouts": 5' in predicted.stdout
    assert "Nothing was changed (check mode). The policy would be:" in predicted.stdout
    assert "At most 5 redeploys at once." in predicted.stdout and "At most 2" not in predicted.stdout
    assert predicted.artifacts["fleetops_policy"]["max_parallel_rollouts"] == 5
    # A workflow of AWX passes the stats of an earlier node as extra variables.
    run = run_playbook(simulator, POLICY, e={**survey, "fleetops_policy": {"max_parallel_rollouts": 99}})
    assert run.rc == 0, run.output
    (row,) = simulator.writes()
    assert row["body"] == {"max_parallel_rollouts": 5, "maintenance_window_end_hour_utc": 6}
    assert run.artifacts["fleetops_policy"]["max_parallel_rollouts"] == 5
    assert run_playbook(simulator, POLICY, e=survey).total("changed") == 0
    refused = run_playbook(simulator, POLICY, e={"fleetops_max_parallel_rollouts": 0})
    assert refused.rc == 2 and "it must be 1 or more" in refused.output


def test_the_audit_of_the_fleet_is_printed_and_written_to_files(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "audit"
    simulator.knobs(audit_error_share=0.3)
    settings = {"fleetops_audit_dir": str(folder), "fleetops_audit_since": "2020-01-01"}
    # The stats of an earlier node of an AWX workflow.
    settings |= {"fleetops_audit": {"totals": {"total_events": -1}}, "fleetops_report": {"failed": []}}
    run = run_playbook(simulator, "playbooks/audit_report.yml", e=settings)
    assert run.rc == 0, run.output
    assert simulator.writes() == []
    report = json.loads((folder / "audit.json").read_text())
    rows = list(csv.DictReader((folder / "audit.csv").open()))
    assert len(rows) == len(report["instances"]) == 6
    for name in ("total_events", "error_events", "denied_events"):
        assert (
            report["totals"][name]
            == sum(int(row[name]) for row in rows)
            == run.artifacts["fleetops_audit"]["totals"][name]
        )
    listed = [event for events in report["events"].values() for event in events]
    assert listed and {event["outcome"] for event in listed} <= {"error", "denied"}
    assert "# Audit of 6 instances" in (folder / "audit.md").read_text()


def test_the_audit_in_a_play_of_the_user_covers_all_batches_and_is_refused_with_the_data_of_one_host(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    role = {"ansible.builtin.import_role": {"name": "fleetops.agents.audit_report"}}
    play = {"hosts": "fleetops_instances", "gather_facts": False, "connection": "local"}
    plays = [
        {**play, "serial": 4, "tasks": [{**role, "vars": {"fleetops_audit_dir": str(tmp_path / "batches")}}]},
        {**play, "tasks": [{**role, "run_once": True, "vars": {"fleetops_audit_dir": str(tmp_path / "once")}}]},
    ]
    file = tmp_path / "audit.yml"
    file.write_text(json.dumps(plays))
    run = run_playbook(simulator, file)
    report = json.loads((tmp_path / "batches" / "audit.json").read_text())
    assert len(report["instances"]) == 6 and report["unread"] == []
    assert run.rc == 2 and not (tmp_path / "once").exists(), run.output
    assert "Import the role audit_report without run_once" in run.output


def test_all_updates_are_applied_in_batches_and_a_second_run_changes_nothing(
    simulator: Simulator, run_playbook: Run
) -> None:
    run = run_playbook(simulator, "playbooks/apply_updates.yml", e=QUICK)
    assert run.rc == 0 and "WARNING" not in run.output, run.output
    assert sent(simulator) == ["apply_all_updates"] * 6
    assert simulator.in_flight()["violations"] == []
    assert run.report["counts"]["updated"] == 6
    simulator.clear_journal()
    again = run_playbook(simulator, "playbooks/apply_updates.yml", e=QUICK)
    assert again.rc == 0 and again.total("changed") == 0, again.output
    assert simulator.writes() == []
