# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs in one process do not affect each other, and a failed run fails no instance (reports/2026-11 B3, B8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PlaybookRun
from tests.integration.rolling import batches
from tests.integration.simulated_fleet import names_to_ids
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
QUICK = {
    "fleetops_wait_interval": 0.2,
    "fleetops_healthy_reads": 1,
    "fleetops_recover_interval": 0.3,
    "fleetops_recover_min_uptime": 0,
    "fleetops_recover_power_cycle_timeout": 10,
}


def imports(path: Path, *runs: tuple[str, dict[str, Any]]) -> Path:
    """A playbook that imports playbooks of the collection one after the other, each with variables."""
    path.write_text(
        yaml.safe_dump(
            [
                {"name": name, "ansible.builtin.import_playbook": f"fleetops.agents.{name}", "vars": given}
                for name, given in runs
            ]
        )
    )
    return path


def sent(sim: Simulator) -> list[tuple[str, str]]:
    return [(row["operation_id"], (row["instance"] or "").partition(".")[0]) for row in sim.writes()]


def test_importing_a_playbook_twice_changes_each_group_once(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    always = {"fleetops_only_if_unhealthy": False, "fleetops_min_uptime": 0}
    file = imports(
        tmp_path / "both.yml",
        ("power_cycle", {"fleetops_hosts": "agent-001*,agent-002*", **always}),
        ("power_cycle", {"fleetops_hosts": "agent-005*", **always}),
    )
    run = run_playbook(simulator, file, e=QUICK)
    assert run.rc == 0, run.output
    assert sent(simulator) == [("power_cycle", f"agent-00{n}") for n in (1, 2, 5)]
    # The report is that of the last run, with its instances only.
    assert [name.partition(".")[0] for name in run.report["updated"]] == ["agent-005"]


def test_results_of_an_earlier_run_do_not_prevent_recover_from_acting(run_playbook: Run, tmp_path: Path) -> None:
    with running_simulator(instances=3, speed=20.0, faults={"disease": {"agent-002": "process"}}) as sim:
        # No agent is up long enough for the first run, so it leaves all of them alone, but each has a result.
        file = imports(
            tmp_path / "mixed.yml",
            ("power_cycle", {"fleetops_min_uptime": 360000}),
            ("recover", {"fleetops_recover_power_cycle_max": 1}),
        )
        run = run_playbook(sim, file, e=QUICK)
        assert run.rc == 0, run.output
        assert sent(sim) == [("power_cycle", "agent-002")]
        report = run.report
    assert [name.partition(".")[0] for name in report["updated"]] == ["agent-002"]
    assert len(report["current"]) == 2


def test_a_host_that_failed_in_one_run_is_not_the_canary_of_a_later_one_nor_are_its_batch_mates_changed_again(
    run_playbook: Run, tmp_path: Path
) -> None:
    with running_simulator(instances=4, speed=20.0, faults={"outcomes": {"agent-001": ["failed"]}}) as sim:
        file = imports(
            tmp_path / "again.yml",
            ("rolling_redeploy", {"fleetops_hosts": "agent-001*,agent-002*", "fleetops_canary": 0}),
            ("rolling_redeploy", {"fleetops_hosts": "agent-001*", "fleetops_state": "redeployed"}),
            ("rolling_redeploy", {"fleetops_hosts": "agent-001*,agent-003*,agent-004*"}),
        )
        run = run_playbook(sim, file, e={**QUICK, "fleetops_max_failed": 1, "fleetops_min_healthy_share": 0})
        done = sent(sim)
    assert run.rc == 2, run.output
    assert sorted(done) == [("redeploy_runtime", f"agent-00{n}") for n in (1, 2, 3, 4)]
    # The second run has no host left.
    assert batches(run) == [["agent-001", "agent-002"], [], ["agent-003"], ["agent-004"]]
    report = run.report
    assert [name.partition(".")[0] for name in report["not_touched"]] == ["agent-001"]
    assert list(report["left_out"].values()) == ["it had failed or left the play before the run was planned"]
    assert report["verdict"] == "pass" and len(report["updated"]) == 2


def test_each_run_has_its_own_limits_and_verdict(run_playbook: Run, tmp_path: Path) -> None:
    sick = {"disease": {"agent-001": "process", "agent-003": "process"}}
    with running_simulator(instances=4, speed=20.0, faults=sick) as sim:
        capped = {"fleetops_recover_power_cycle_max": 1}
        file = imports(
            tmp_path / "capped.yml",
            ("rolling_redeploy", {"fleetops_hosts": "agent-002*"}),
            ("recover", {"fleetops_hosts": "agent-001*,agent-002*", **capped}),
            # Refused. The earlier runs do not give it a plan, a group or outcomes.
            ("rolling_redeploy", {"fleetops_hosts": "agent-004*", "fleetops_plan_hash": "of another plan"}),
            ("recover", {"fleetops_hosts": "agent-003*,agent-004*", **capped}),
        )
        settings = {**QUICK, "fleetops_min_healthy_share": 0}
        first_two = run_playbook(sim, file, e=settings)
        done = sent(sim)
    assert first_two.rc == 2, first_two.output
    assert done == [("redeploy_runtime", "agent-002"), ("power_cycle", "agent-001")]
    report = first_two.report
    assert [name.partition(".")[0] for name in report["not_touched"]] == ["agent-004"]
    assert report["updated"] == report["failed"] == report["current"] == []
    assert report["bundles"] == {}, "the bundles of the first run"
    with running_simulator(instances=4, speed=20.0, faults=sick) as sim:
        file = imports(
            tmp_path / "caps.yml",
            ("recover", {"fleetops_hosts": "agent-001*,agent-002*", **capped}),
            ("recover", {"fleetops_hosts": "agent-003*,agent-004*", **capped}),
        )
        both = run_playbook(sim, file, e=settings)
        assert both.rc == 0, both.output
        assert sent(sim) == [("power_cycle", "agent-001"), ("power_cycle", "agent-003")]


def test_a_retry_in_one_fleet_rollout_is_not_reported_by_the_next_one(run_playbook: Run, tmp_path: Path) -> None:
    with running_simulator(instances=3, speed=40.0, faults={"outcomes": {"agent-002": ["failed"]}}) as sim:
        file = imports(
            tmp_path / "twice.yml",
            ("fleet_rollout", {"fleetops_retry_failed": True, "fleetops_on_too_many": "none"}),
            ("update_policy", {}),
            ("fleet_rollout", {}),
        )
        run = run_playbook(sim, file, e={**QUICK, "fleetops_uncertain_grace": 0})
        assert run.rc == 0, run.output
        assert [operation for operation, _host in sent(sim)][:2] == ["start_fleet_rollout", "retry_rollout_target"]
        newest = [row["id"] for row in sim.state()["rollouts"] if row["scope"] == "fleet"]
        first = run.report["rollout_id"]
    # The second fleet_rollout starts a rollout of its own, or none.
    assert first is None or (len(newest) > 1 and run.report["rollout"]["id"] == first)


def test_audits_of_two_groups_are_two_separate_reports(simulator: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    since = {"fleetops_audit_since": "2020-01-01"}
    file = imports(
        tmp_path / "audits.yml",
        ("audit_report", {"fleetops_hosts": "agent-001*", "fleetops_audit_dir": str(tmp_path / "a"), **since}),
        ("audit_report", {"fleetops_hosts": "agent-001*,agent-002*", "fleetops_audit_dir": str(tmp_path / "b")}),
    )
    run = run_playbook(simulator, file)
    assert run.rc == 0, run.output
    first, second = ((tmp_path / name / "audit.json").read_text() for name in "ab")
    assert "agent-002" not in first and "agent-002" in second
    assert all(events == [] for events in yaml.safe_load(second)["events"].values())


@pytest.mark.parametrize(
    ("given", "environment"),
    [
        ({"fleetops_growth": "quick"}, {}),
        ({"fleetops_audit_gate": True}, {}),
        # As in AWX: the inventory is stored there, and the job template has no credential, or one with a mistake.
        ({}, {"FLEETOPS_API_KEY": ""}),
        ({}, {"FLEETOPS_REQUEST_TIMEOUT": "soon"}),
    ],
)
def test_a_refused_run_fails_no_instance(
    simulator: Simulator, run_playbook: Run, tmp_path: Path, given: dict[str, Any], environment: dict[str, str]
) -> None:
    hosts = {name: {"fleetops_instance_id": i} for name, i in names_to_ids(simulator).items()}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"fleetops_instances": {"hosts": hosts}}))
    run = run_playbook(
        simulator, "playbooks/rolling_redeploy.yml", inventory=inventory, e={**QUICK, **given}, env=environment
    )
    assert run.rc == 2, run.output
    bad = {host for host, row in run.recap.items() if row["failed"] or row["unreachable"]}
    assert bad == {"localhost"}, run.recap
    assert run.report["failed"] == [] and len(run.report["not_touched"]) == 6
    assert all(name in run.report["reasons"][0] for name in environment)
    assert simulator.writes() == []


def test_a_relaunch_of_a_refused_run_on_its_failed_hosts_starts_nothing(
    simulator: Simulator, run_playbook: Run
) -> None:
    """As AWX relaunches a job on failed hosts: the host that failed is localhost."""
    again = run_playbook(simulator, "playbooks/rolling_redeploy.yml", "--limit", "localhost", e=QUICK)
    assert again.rc != 0 and again.recap == {}, again.output
    assert simulator.writes() == []


def test_with_a_limit_the_report_of_a_refused_run_names_no_failed_instance_either(
    simulator: Simulator, run_playbook: Run
) -> None:
    """With a limit, Ansible has to fail one of its hosts to end the run with an exit code."""
    given = {**QUICK, "fleetops_plan_hash": "of another plan"}
    run = run_playbook(simulator, "playbooks/rolling_redeploy.yml", "--limit", "agent-00[1-2]*", e=given)
    assert run.rc == 2, run.output
    assert run.report["failed"] == [] and simulator.writes() == []


REFUSED = "Not done: the server refused the key to an earlier task of this run."


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("fleet_rollout", {}),
        ("rolling_redeploy", {}),
        ("fleet_state", {"fleetops_fleet_state": {"tenant": {"max_parallel_rollouts": 2}}}),
        ("memory_backup", {"fleetops_memory_dir": "/nowhere", "fleetops_memory_action": "verify"}),
    ],
)
def test_a_run_after_a_refused_key_fails_because_its_key_was_not_tried(
    run_playbook: Run, tmp_path: Path, name: str, given: dict[str, Any]
) -> None:
    faults = [{"operation": "get_audit_summary", "instance": "agent-001", "status": 401}]
    with running_simulator(instances=2, speed=40.0, faults=faults) as sim:
        audit = {"fleetops_audit_dir": str(tmp_path / "audit")}
        run = run_playbook(sim, imports(tmp_path / "all.yml", ("audit_report", audit), (name, given)))
        assert sim.writes() == []
    assert run.rc == 2, run.output
    assert "agent-001" in (tmp_path / "audit" / "audit.md").read_text().partition("Not read: ")[2]
    failures = [row["event_data"]["res"]["msg"] for row in run.events() if row["event"] == "runner_on_failed"]
    assert failures[-1].endswith(REFUSED), failures
    for wrong in ("nothing to roll out", "undefined", "has no attribute", "Traceback"):
        assert wrong not in run.output, run.output


def test_a_playbook_that_a_condition_or_a_tag_leaves_out_does_nothing(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    file = tmp_path / "site.yml"
    imports = [
        {"ansible.builtin.import_playbook": f"fleetops.agents.{name}", **keywords}
        for name in ("rolling_redeploy", "recover")
        for keywords in ({"when": "wanted | default(false)"}, {"tags": ["wanted"]})
    ]
    file.write_text(yaml.safe_dump(imports))
    run = run_playbook(simulator, file, "--skip-tags", "wanted")
    assert run.rc == 0 and simulator.writes() == [], run.output
    assert "ERROR" not in run.output and "WARNING" not in run.output


def test_a_playbook_that_a_condition_leaves_out_does_not_use_a_group_named_none(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    (inventory / "a.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    (inventory / "b.yml").write_text(json.dumps({"none": {"hosts": {"agent-001.fra1.fleet.example": {}}}}))
    file = tmp_path / "site.yml"
    names = ("rolling_redeploy", "apply_updates", "power_cycle", "reboot", "recover")
    imports = [{"ansible.builtin.import_playbook": f"fleetops.agents.{name}", "when": "false"} for name in names]
    file.write_text(yaml.safe_dump(imports))
    run = run_playbook(simulator, file, inventory=inventory)
    assert run.rc == 0 and simulator.writes() == [], run.output
    assert "ERROR" not in run.output and "WARNING" not in run.output


def test_a_condition_that_leaves_out_some_hosts_changes_nothing_without_a_gate_and_is_no_success(
    run_playbook: Run, tmp_path: Path
) -> None:
    """The gate of a batch, and the record of its results, run for its first host."""
    file = tmp_path / "some.yml"
    some = {"when": "inventory_hostname != 'agent-002.ams3.fleet.example'"}
    file.write_text(yaml.safe_dump([{"ansible.builtin.import_playbook": "fleetops.agents.rolling_redeploy", **some}]))
    with running_simulator(instances=3, speed=40.0) as sim:
        check = run_playbook(sim, file, "--check", e=QUICK)
        assert check.rc == 2 and sim.writes() == [], check.output
        assert "2 planned instances were not touched, although no check stopped the run" in check.output
        run = run_playbook(sim, file, e=QUICK)
        assert run.rc == 2 and sent(sim) == [("redeploy_runtime", "agent-001")], run.output
        report = run.report
        assert report["verdict"] == "fail" and len(report["updated"]) == 1 and len(report["not_touched"]) == 2
        assert "2 planned instances were not touched, although no check stopped the run" in report["reasons"][0]
        first = yaml.safe_dump([{"ansible.builtin.import_playbook": "fleetops.agents.rolling_redeploy"}])
        file.write_text(f"{first}  when: inventory_hostname == 'localhost'\n")
        nothing = run_playbook(sim, file, e=QUICK)
        assert nothing.rc == 2 and "The run was not planned" in nothing.output and len(sim.writes()) == 1


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("rolling_redeploy", {}, "Stopped (fail): The maintenance window"),
        ("fleet_state", {"fleetops_fleet_state": {"group_policies": {"eu": {}}}}, "eu"),
    ],
)
def test_a_condition_that_leaves_out_only_the_end_of_a_run_is_no_success(
    run_playbook: Run, tmp_path: Path, name: str, given: dict[str, Any], why: str
) -> None:
    file = tmp_path / "all.yml"
    condition = {"when": "inventory_hostname != 'localhost'"}
    file.write_text(yaml.safe_dump([{"ansible.builtin.import_playbook": f"fleetops.agents.{name}", **condition}]))
    with running_simulator(instances=2, speed=0) as sim:
        hour = datetime.fromtimestamp(sim.state()["now"], UTC).hour
        hours = {f"maintenance_window_{end}_hour_utc": (hour + ahead) % 24 for end, ahead in (("start", 2), ("end", 3))}
        sim.knobs(policy=hours)
        run = run_playbook(sim, file, e=given)
        assert why in run.output and sim.writes() == [], run.output
    assert run.rc in (1, 4), run.output
    assert "is false for localhost" in " ".join(run.output.split()), run.output


def test_a_condition_that_is_true_for_some_instances_only_says_that_nothing_was_done(
    run_playbook: Run, tmp_path: Path
) -> None:
    file = tmp_path / "some.yml"
    condition = {"when": "inventory_hostname == 'agent-002.ams3.fleet.example'"}
    imports = [
        {"ansible.builtin.import_playbook": "fleetops.agents.rolling_redeploy", **condition},
        {"ansible.builtin.import_playbook": "fleetops.agents.fleet_state", **condition},
        {"ansible.builtin.import_playbook": "fleetops.agents.audit_report", **condition},
        {"ansible.builtin.import_playbook": "fleetops.agents.memory_backup", **condition},
    ]
    given = {"fleetops_fleet_state": {"runtime_current": True}, "fleetops_memory_dir": str(tmp_path / "backup")}
    with running_simulator(instances=2, speed=0) as sim:
        for one in imports:
            file.write_text(yaml.safe_dump([one]))
            run = run_playbook(sim, file, e=given)
            assert run.rc == 2 and sim.writes() == [], run.output
            assert "Nothing was done. If the playbook is imported with a condition" in " ".join(run.output.split())
            assert "has no attribute" not in run.output
    assert not (tmp_path / "backup").exists()
