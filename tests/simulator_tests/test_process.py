# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m tests.simulator`: start and end of the process, reproducibility, and a large fleet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.running import Simulator, running_simulator

CHECKOUT = Path(__file__).resolve().parents[2]
WHEN = ("--start", "2026-11-24T12:00:00+00:00")


def launch(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIM_")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.simulator", "--port", "0", *arguments],
        cwd=CHECKOUT,
        env={**kept, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_ready_line_and_exits_with_0_after_a_signal(number: signal.Signals) -> None:
    process = launch("--instances", "3", SIM_ADMIN_KEY="given")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready http://127.0.0.1:")
    process.send_signal(number)
    rest, errors = process.communicate(timeout=120)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_generated_keys_are_printed_and_given_keys_are_not() -> None:
    shown = []
    for environment in ({}, {"SIM_USER_KEY": "given-by-hand"}):
        process = launch("--instances", "3", "--stop-with-stdin", **environment)
        assert process.stdout is not None and process.stdout.readline().startswith("ready ")
        # communicate() closes the standard input, which ends the process.
        shown.append(process.communicate(timeout=120)[1])
        assert process.returncode == 0
    assert shown[0].count("generated key") == 4 and shown[1].count("generated key") == 3
    assert "given-by-hand" not in shown[1]
    assert not {line.split()[-1] for line in shown[0].splitlines()} & {
        line.split()[-1] for line in shown[1].splitlines()
    }


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ("{", "cannot be used"),
        ('{"outcomes": {"agent-099": ["failed"]}}', "no instance 'agent-099'"),
        ('{"outcomes": {"agent-001": ["exploded"]}}', "'exploded' is not an outcome"),
        ('{"colour": 1}', "no setting 'colour'"),
        ('[{"match": "x"}]', "needs an effect"),
    ],
)
def test_invalid_faults_prevent_the_start_and_are_explained(faults: str, reason: str) -> None:
    process = launch(SIM_FAULTS=faults)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (2, "") and reason in errors and "Traceback" not in errors


def observed(sim: Simulator) -> Any:
    """Everything that the API and the control routes report after a rollout and one hour."""
    sim.call("POST", "/v1/instances/fleet/runtime/rollout")
    sim.advance(3600)
    rollouts = sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=100")[1]
    timelines = [sim.call("GET", f"/v1/instances/fleet/runtime-rollouts/{row['id']}/timeline")[1] for row in rollouts]
    one = f"/v1/instances/{sim.instance_ids[0]}"
    reads = [sim.call("GET", one + path)[1] for path in ("/memory", "/actions", "/runtime/audit", "/updates/available")]
    return rollouts, timelines, reads, sim.state()


def test_the_same_seed_gives_the_same_results() -> None:
    faults = {"outcomes": {"agent-002": ["failed"], "3": ["uncertain_applied"]}}
    reports = []
    for seed in (5, 5, 6):
        with running_simulator(instances=5, seed=seed, speed=0, faults=faults, arguments=WHEN) as sim:
            reports.append(observed(sim))
    assert reports[0] == reports[1] != reports[2]
    newest = reports[0][1][0]
    ends = {row["instance_hostname"].partition(".")[0]: row["status"] for row in newest["timeline"]}
    assert ends["agent-002"] == "failed" and ends["agent-004"] == "uncertain", "a number is an index from 0"


def test_a_new_simulator_has_a_history() -> None:
    with running_simulator(instances=12, speed=0) as sim:
        rollouts = sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=100")[1]
        fleet = [row for row in rollouts if row["scope"] == "fleet"]
        assert {row["total_targets"] for row in fleet} == {12}
        assert {row["status"] for row in fleet} == {"completed", "cancelled", "partial"}
        assert any(row["failed_targets"] and row["uncertain_targets"] for row in fleet)
        ids = sim.instance_ids
        assert sum(sim.call("GET", f"/v1/instances/{one}/actions")[1]["total"] for one in ids) > 0
        for one in ids:
            assert sim.call("GET", f"/v1/instances/{one}/runtime/audit/summary")[1]["total_events"] > 50
            updates = sim.call("GET", f"/v1/instances/{one}/updates/available")[1]
            assert updates["runtime"]["has_update"] and updates["total_available"] >= 1


def test_a_rollout_of_20000_instances_is_fast_enough() -> None:
    with running_simulator(instances=20_000, speed=0, knobs={"stagger_s": 0}) as sim:
        began = time.monotonic()
        sim.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": 200})
        assert sim.call("POST", "/v1/instances/fleet/runtime/rollout")[1]["enqueued"] == 20_000
        sim.advance(600)
        newest = sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=1")[1][0]
        assert newest["in_progress_targets"] == 200 and newest["succeeded_targets"] > 4000
        detail = sim.call("GET", f"/v1/instances/fleet/runtime/rollouts/{newest['id']}")[1]
        timeline = sim.call("GET", f"/v1/instances/fleet/runtime-rollouts/{newest['id']}/timeline")[1]
        assert len(detail["targets"]) == len(timeline["timeline"]) == 20_000
        assert len({row["instance_hostname"] for row in timeline["timeline"]}) == 20_000
        # This takes about 4 s; with quadratic growth it would take minutes.
        assert time.monotonic() - began < 180
