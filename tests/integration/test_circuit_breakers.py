# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_circuit_breakers does, as the server's journal shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.simulator.running import Simulator

HOST = "agent-001"


def clear(sim: Simulator, **how: Any) -> ModuleTask:
    return run_module(sim, "instance_circuit_breakers", **how)


def test_only_open_breakers_are_closed(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "breakers"})
    result = clear(sim).result
    assert not result.get("failed") and result["changed"], result
    assert (result["cleared"], result["still_open"]) == (["anthropic"], [])
    assert result["detail"] == {"cleared": ["anthropic"]} and result["action_id"]
    assert result["diff"] == {"before": {"open": ["anthropic"]}, "after": {"open": []}}
    again = clear(sim).result
    assert not again["changed"] and again["cleared"] == [] and again["visible"]
    assert posts(sim) == ["clear_circuit_breakers"]


# behaviour 3.5, row 28
@pytest.mark.parametrize("disease", ["none", "breakers", "process"])
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, disease: str) -> None:
    sim.knobs(disease={HOST: disease})
    predicted = clear(sim, check=True).result
    assert posts(sim) == []
    real = clear(sim).result
    for key in ("changed", "diff", "cleared", "open_before", "failed"):
        assert predicted.get(key) == real.get(key), key


def test_a_breaker_that_opens_again_is_a_failure_that_names_it(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "breakers"})
    # The call is answered but does not reach the agent.
    sim.fault(operation="clear_circuit_breakers", status=200, detail="cleared")
    done = clear(sim)
    assert done.result["failed"] and done.result["still_open"] == ["anthropic"] and done.result["cleared"] == []
    assert "anthropic is still open" in done.msg


# behaviour 2.4: E12 may answer before its effect.
def test_a_breaker_that_closes_shortly_after_the_answer_is_waited_for(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "breakers"})
    sim.fault(operation="clear_circuit_breakers", status=200, detail="accepted")
    done = clear(sim, during=lambda pause: sim.knobs(disease={HOST: "none" if pause > 1 else "breakers"}))
    assert not done.result.get("failed") and done.result["cleared"] == ["anthropic"], done.result
    assert len(done.pauses) == 2


# behaviour 3.5, row 24
def test_a_cached_record_does_not_prove_that_no_breaker_is_open(sim: Simulator) -> None:
    sim.knobs(force_always_cached=True)
    done = clear(sim)
    assert not done.result.get("failed") and done.result["changed"]
    assert "not verified" in done.warnings[0] and "still_open" not in done.result
    assert posts(sim) == ["clear_circuit_breakers"]


@pytest.mark.parametrize("down", [404, 502])
def test_an_agent_that_does_not_answer_fails_the_task_with_one_sentence(sim: Simulator, down: int) -> None:
    sim.knobs(force_while_down=down)
    sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/actions/power-cycle")
    sim.clear_journal()
    done = clear(sim)
    assert done.result["failed"] and not done.result["changed"]
    assert f"does not answer its live health check (HTTP {down}: The agent does not answer)" in done.msg
    assert posts(sim) == []


def test_a_restarting_instance_fails_the_task_with_its_state(sim: Simulator) -> None:
    sim.call("POST", f"/v1/instances/{sim.instance(HOST)['id']}/actions/power-cycle")
    sim.clear_journal()
    done = clear(sim)
    assert done.result["failed"] and done.result["error"]["kind"] == "conflict"
    assert "Instance is restarting" in done.msg and not done.result["changed"]


@pytest.mark.parametrize("fault", [{"reset_before": True}, {"reset_after": True}, {"commit_then_status": 502}])
def test_a_call_whose_answer_is_lost_is_sent_again(sim: Simulator, fault: dict[str, Any]) -> None:
    sim.knobs(disease={HOST: "breakers"})
    sim.fault(operation="clear_circuit_breakers", times=1, **fault)
    result = clear(sim).result
    assert not result.get("failed") and result["changed"] and result["still_open"] == [], result
    assert posts(sim) == ["clear_circuit_breakers"] * 2


def test_a_call_whose_answer_stays_lost_is_found_among_the_actions(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "breakers"})
    sim.fault(operation="clear_circuit_breakers", reset_after=True)
    result = clear(sim, retries=0).result
    assert not result.get("failed") and result["changed"] and result["cleared"] == ["anthropic"], result
    assert result["action_id"]


def test_the_outcome_of_a_call_without_a_trace_is_unknown(sim: Simulator) -> None:
    sim.knobs(disease={HOST: "breakers"})
    sim.fault(operation="clear_circuit_breakers", reset_before=True)
    result = clear(sim, retries=0).result
    assert result["failed"] and result["ambiguous"] and result["cleared"] == []
