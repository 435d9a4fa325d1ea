# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_diagnostics does, as the server's journal shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.simulator.running import Simulator

HOST = "agent-001"


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/actions/run-diagnostics")
    sim.clear_journal()
    return sim


def diagnose(sim: Simulator, **how: Any) -> ModuleTask:
    return run_module(sim, "instance_diagnostics", **how)


def test_an_unchanged_status_is_not_a_change(sim: Simulator) -> None:
    sim.advance(5)
    result = diagnose(sim).result
    assert not result["changed"] and not result.get("failed") and "diff" not in result
    assert (result["status_before"], result["status"], result["healthy"], result["flipped"]) == (
        "healthy",
        "healthy",
        True,
        [],
    )
    assert posts(sim) == ["run_diagnostics"]


def test_a_subsystem_that_became_unhealthy_is_named_and_stored(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "vps"})
    result = diagnose(sim).result
    assert result["changed"] and (result["status"], result["healthy"]) == ("unhealthy", False)
    assert result["flipped"] == [{"name": "disk", "before": "healthy", "after": "unhealthy"}]
    assert result["diff"] == {
        "before": {"status": "healthy", "subsystems": {"disk": "healthy"}},
        "after": {"status": "unhealthy", "subsystems": {"disk": "unhealthy"}},
    }
    stored = sim.call("GET", f"/v1/instances/{sim.instance(HOST)['id']}/health/deep")[1]
    assert stored["status"] == "unhealthy" and stored["checked_at"] == result["checked_at"]
    assert not diagnose(sim).result["changed"]


# behaviour 3.5, row 28
def test_check_mode_runs_no_diagnostics_and_returns_the_stored_record(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "vps"})
    result = diagnose(sim, check=True).result
    assert not result["changed"] and (result["status"], result["flipped"]) == ("healthy", [])
    assert posts(sim) == []


def test_diagnostics_are_tried_again_while_the_agent_restarts(sim: Simulator) -> None:
    sim.fault(operation="run_diagnostics", status=503, retry_after=0.01, times=2)
    done = diagnose(sim)
    assert not done.result.get("failed") and len(done.warnings) == 1
    assert posts(sim) == ["run_diagnostics"] * 3


def test_a_stopped_instance_is_a_failure_and_the_record_is_kept(sim: Simulator) -> None:
    sim.knobs(stopped=[HOST])
    done = diagnose(sim)
    sim.knobs(running=[HOST])
    assert done.result["failed"] and not done.result["changed"] and "Instance is not running" in done.msg
    assert done.result["status"] == done.result["status_before"] == "healthy"
