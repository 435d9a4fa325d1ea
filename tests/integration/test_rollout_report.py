# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a run, compared with the server's state, and the exit that its verdict causes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.integration.simulated_fleet import names_to_ids
from tests.simulator.running import Simulator

INSTANCES = 5


def redeploy(sim: Simulator, *hosts: str) -> dict[str, Any]:
    return {host: run_module(sim, "instance_runtime", host, wait_timeout=900).result for host in hosts}


def report(sim: Simulator, **options: Any) -> ModuleTask:
    return run_module(sim, "rollout_report", **{"instances": names_to_ids(sim), **options})


def test_the_report_of_a_stopped_run_agrees_with_the_server(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-003": ["failed"]})
    outcomes = redeploy(sim, "agent-001", "agent-002", "agent-003")
    sim.clear_journal()
    done = report(sim, outcomes=outcomes, verdict="fail", reasons=["1 instance failed (agent-003)."])
    found = done.result["report"]
    assert found["updated"] == ["agent-001", "agent-002"]
    assert found["failed"] == ["agent-003"]
    assert found["not_touched"] == ["agent-004", "agent-005"]
    assert found["disagreements"] == {} and done.warnings == []
    assert "bundle checksum mismatch on the agent" in found["why"]["agent-003"]
    newest = sim.state()["newest_runtime"]
    assert {row["hostname"].partition(".")[0] for row in sim.state()["instances"] if row["runtime"] == newest} == {
        *found["updated"]
    }
    assert done.result["text"][0] == "Stopped (fail): 1 instance failed (agent-003)."
    assert done.result["changed"] is False and posts(sim) == []


def test_after_a_version_was_published_during_the_run_every_instance_with_the_old_one_is_named(sim: Simulator) -> None:
    outcomes = redeploy(sim, "agent-001", "agent-002")
    sim.knobs(publish="9999.1.0")
    outcomes |= redeploy(sim, "agent-003")
    done = report(sim, outcomes=outcomes)
    assert list(done.result["report"]["disagreements"]) == ["agent-001", "agent-002"]


def test_a_redeploy_that_the_run_did_not_wait_for_is_uncertain(sim: Simulator) -> None:
    sim.knobs(outcomes={"agent-001": ["stuck"]})
    outcomes = {"agent-001": run_module(sim, "instance_runtime", "agent-001", wait_timeout=60).result}
    assert report(sim, outcomes=outcomes).result["report"]["uncertain"] == ["agent-001"]


# behaviour 3.5, row 27
def test_a_key_that_is_refused_during_a_redeploy_leaves_it_uncertain(sim: Simulator) -> None:
    def refuse(pause: int) -> None:
        sim.fault(match="GET", status=401)

    outcome = run_module(sim, "instance_runtime", "agent-001", during=refuse).result
    assert outcome["failed"] and outcome["changed"]
    sim.clear_journal()
    done = report(sim, outcomes={"agent-001": outcome}, verdict="fail")
    found = done.result["report"]
    assert (found["uncertain"], found["not_touched"]) == (["agent-001"], [f"agent-00{n}" for n in range(2, 6)])
    # The report works without a key, and tries a refused key once.
    assert len(sim.journal()) == 1
    assert len(done.warnings) == 1 and "HTTP 401" in done.warnings[0]


def test_differences_between_the_run_and_the_server_are_named(sim: Simulator) -> None:
    redeploy(sim, "agent-002")
    done = report(sim, outcomes={"agent-001": {"changed": True}}, planned=["agent-001", "agent-002"])
    assert done.result["report"]["disagreements"] == {
        "agent-001": "updated by the run, outdated by the server's version report",
        **{f"agent-00{n}": "current by the run, outdated by the server's version report" for n in range(3, 6)},
    }
    assert report(sim, compare_versions=False, verdict="pass").result["report"]["disagreements"] == {}


def test_a_failing_server_does_not_prevent_the_report(sim: Simulator) -> None:
    sim.fault(match="GET", status=503)
    done = report(sim, outcomes={"agent-001": {"changed": True}}, verdict="deferred", retries=0)
    assert done.result["report"]["counts"] == {
        "failed": 0,
        "uncertain": 0,
        "updated": 1,
        "current": 0,
        "deferred": 4,
        "not_touched": 0,
        "gone": 0,
    }
    assert "5 instances could not be compared" in done.warnings[0]


def test_check_mode_makes_no_call_and_reports_what_would_happen(sim: Simulator) -> None:
    done = report(sim, check=True, outcomes={"agent-001": {"changed": True}}, planned=["agent-001"])
    assert done.result["text"][0] == "Would be updated (1): agent-001"
    assert sim.journal() == []


@pytest.mark.parametrize(
    ("verdict", "key", "message"),
    [
        ("pass", None, ""),
        ("deferred", None, ""),
        ("fail", "failed", "It broke. Twice."),
        ("inconclusive", "unreachable", "It could not be determined whether to continue. It broke. Twice."),
    ],
)
def test_the_verdict_decides_how_the_task_ends(sim: Simulator, verdict: str, key: str | None, message: str) -> None:
    done = run_module(sim, "rollout_end", verdict=verdict, reasons=["It broke.", "Twice."])
    assert {name for name in ("failed", "unreachable") if done.result.get(name)} == ({key} if key else set())
    assert (done.msg, done.result["verdict"]) == (message, verdict)
    assert sim.journal() == []
