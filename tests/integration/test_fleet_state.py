# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A declared state in the real ansible-playbook: the report, the run, the second run, and failures in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, PlaybookRun
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
EXAMPLE = CHECKOUT / "inventories" / "fleet_as_code.example"
PLAYBOOK = "playbooks/fleet_state.yml"
PATCH = "set_instance_update_policy"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running_simulator(instances=4, speed=0) as sim:
        yield sim


def play(run: Run, sim: Simulator, *arguments: str, **variables: Any) -> PlaybookRun:
    return run(sim, PLAYBOOK, *arguments, e=variables, inventory=EXAMPLE / "production.fleet.yml")


def report_of(run: PlaybookRun) -> dict[str, Any]:
    return run.artifacts["fleetops_fleet_state_report"]


def sent(sim: Simulator) -> list[tuple[str, Any]]:
    writes = [(row["operation_id"], row["body"]) for row in sim.writes() if row["executed"]]
    sim.clear_journal()
    return writes


@contextmanager
def after_a_write(sim: Simulator, operation: str, act: Callable[[], None]) -> Iterator[None]:
    """While the block runs, somebody else acts as soon as the server has carried out an operation."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if sim.journal(operation_id=operation):
                act()
                return

    other = threading.Thread(target=watch)
    other.start()
    try:
        yield
    finally:
        over.set()
        other.join()


def test_a_fleet_is_reported_converged_and_unchanged_by_a_second_run(sim: Simulator, run_playbook: Run) -> None:
    hosts = {row["hostname"].partition(".")[0]: row["hostname"] for row in sim.state()["instances"]}
    sim.knobs(overrides={"agent-003": {"skills": "disabled"}})
    # The folder of the example. The path is relative to the current directory of the command.
    file = {"fleetops_fleet_state_file": str((EXAMPLE / "fleet.yml").relative_to(CHECKOUT))}

    report = play(run_playbook, sim, "--check", "--diff", **file)
    assert report.rc == 0 and sent(sim) == [], report.output
    assert "Tenant: maintenance_window_start_hour_utc is 0, should be 1." in report.stdout
    canaries = f"{hosts['agent-001']}, {hosts['agent-002']}"
    assert f"Differs (2): runtime is inherit, should be auto: {canaries}" in report.stdout
    assert "ansible-playbook fleetops.agents.rolling_redeploy" in report.stdout
    assert '+    "maintenance_window_end_hour_utc": 5,' in report.stdout and '+    "runtime": "auto"' in report.stdout
    assert report_of(report)["check_mode"] and not report_of(report)["report"]["in_sync"]

    # The server refuses the policy of one instance. The others are set; that one fails with the server's message.
    sim.fault(operation=PATCH, instance="agent-001", status=409, detail="policy is locked by support")
    refused = play(run_playbook, sim, **file)
    assert refused.rc == 2, refused.output
    assert [operation for operation, _body in sent(sim)] == ["set_fleet_update_policy", PATCH]
    assert "policy is locked by support" in report_of(refused)["failed"][hosts["agent-001"]]
    assert {name: row["failed"] for name, row in refused.recap.items() if row["failed"]} == {hosts["agent-001"]: 1}
    assert (
        list(report_of(refused)["report"]["instances"]) == [hosts["agent-001"]] and report_of(refused)["problem"] == ""
    )

    # Somebody else changes an instance while the run sets the last one: the report at the end shows the difference.
    sim.clear_faults()
    with after_a_write(sim, PATCH, lambda: sim.knobs(overrides={"agent-002": {"runtime": "disabled"}})):
        crossed = play(run_playbook, sim, **file)
    assert crossed.rc == 2, crossed.output
    assert report_of(crossed)["report"]["instances"] == {
        hosts["agent-002"]: {"runtime": {"wanted": "auto", "is": "disabled"}}
    }
    assert "After the run the fleet still differs from the state" in crossed.output
    assert crossed.recap["localhost"]["failed"] == 1 and not report_of(crossed)["failed"]
    sent(sim)

    # Prune, with an instance that has since vanished from the server, and one that the inventory does not contain.
    sim.knobs(gone=["agent-004"])
    state = {
        "group_policies": {"canaries": {"runtime": "auto"}},
        "instance_policies": {hosts["agent-002"]: {"runtime": "notify"}, "agent-099": {"runtime": "auto"}},
    }
    pruned = play(run_playbook, sim, fleetops_fleet_state=state, fleetops_fleet_state_prune="true")
    # A policy that is declared for an unknown instance cannot be set: the run does the rest, says so, and fails.
    assert pruned.rc == 2, pruned.output
    assert "The state names what the inventory does not have: agent-099" in pruned.output
    assert sorted(str(body) for _operation, body in sent(sim)) == ["{'runtime': 'notify'}", "{'skills': None}"]
    assert f"Not found on the server (1): {hosts['agent-004']}" in pruned.stdout
    assert "Unknown instances, named in the state only (1): agent-099" in pruned.stdout

    # A second run changes nothing. The remaining difference fails a run that was told to fail on differences.
    again = play(
        run_playbook, sim,
        fleetops_fleet_state=state, fleetops_fleet_state_prune=True, fleetops_fleet_state_fail_on_drift=True,
    )  # fmt: skip
    assert again.rc == 2 and again.total("changed") == 0 and sent(sim) == [], again.output
    assert "The state names what the inventory does not have: agent-099" in again.output


def test_a_play_with_serial_is_refused_before_anything_is_changed(
    sim: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    file = tmp_path / "batches.yml"
    state = {"group_policies": {"fleetops_instances": {"runtime": "auto"}}}
    task = {"import_role": {"name": "fleetops.agents.fleet_state"}, "vars": {"fleetops_fleet_state": state}}
    play = {"hosts": "fleetops_instances", "gather_facts": False, "connection": "local", "serial": 3, "tasks": [task]}
    file.write_text(json.dumps([play]))
    run = run_playbook(sim, file)
    assert run.rc == 2 and sent(sim) == [], run.output
    assert "Remove serial from the play" in report_of(run)["problem"]


def test_an_invalid_declared_state_changes_nothing(sim: Simulator, run_playbook: Run) -> None:
    state = {
        "tenant_policy": {"max_parallel_rollouts": 1},
        "group_policies": {"canaries": {"runtime": "auto"}, "fleetops_instances": {"runtime": "notify"}},
    }
    disagree = play(run_playbook, sim, fleetops_fleet_state=state)
    assert disagree.rc == 2 and sent(sim) == [], disagree.output
    assert "runtime by canaries (auto) and fleetops_instances (notify) for agent-001" in report_of(disagree)["problem"]
    assert {name for name, row in disagree.recap.items() if row["failed"]} == {"localhost"}
    folder = play(run_playbook, sim, fleetops_fleet_state_file=str(CHECKOUT))
    assert folder.rc == 2 and report_of(folder)["problem"].endswith(
        "is not a file on the controller. Nothing was done."
    )
    none = play(run_playbook, sim, "--limit", "agent-002*")
    assert none.rc == 2 and "No state is declared: set either fleetops_fleet_state" in none.output, none.output
