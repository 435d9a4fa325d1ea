# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every module: a second run changes nothing, check mode predicts the run, failures are one sentence."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import ENDPOINTS, Repeat
from tests.integration.module_table import HOST, TABLE, Row, module_of
from tests.integration.module_task import ModuleTask, operation_of, posts, put_to_rest, run_module
from tests.simulator.running import Simulator

UNKNOWN_ID = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"
CASES = sorted(TABLE)
# Every way in which a call can fail.
FAULTS: dict[str, dict[str, Any]] = {
    "422": {"status": 422, "detail": "value out of range"},
    "429": {"retry_after": 0.01},
    "429 until a date": {"retry_after": 0, "retry_after_form": "date"},
    "500": {"status": 500},
    "executed, then 502": {"commit_then_status": 502, "html_body": True},
    "reset before": {"reset_before": True},
    "reset after": {"reset_after": True},
    "no JSON": {"html_body": True},
    "half a body": {"truncated_body": True},
}
# For a read it does not matter whether it was executed, and half a body is not JSON either.
OF_READS = ("422", "429 until a date", "500", "reset before", "no JSON")
RESULT_OF_ERROR = {"kind", "status", "method", "path", "detail", "request_id", "ambiguous"}


def ready(sim: Simulator, row: Row) -> dict[str, Any]:
    """Set up the state that the row's task works on. Returns the task's options."""
    put_to_rest(sim)
    row.prepare(sim)
    options = row.options(sim)
    sim.clear_journal()
    return options


def run(sim: Simulator, case: str, options: dict[str, Any], **how: Any) -> ModuleTask:
    return run_module(sim, module_of(case), HOST, **{**options, **how})


def assert_readable(done: ModuleTask) -> None:
    """Check that a person can use the result: a failure is one line, with the call that failed, if any."""
    result = done.result
    assert "Traceback" not in str(result)
    assert isinstance(result["changed"], bool)
    if result.get("failed"):
        assert done.msg.strip() and "\n" not in done.msg
        assert "error" not in result or set(result["error"]) >= RESULT_OF_ERROR


# These may be sent again once E4 has shown that the first call did nothing (behaviour 2.5).
AFTER_A_READ = {"cancel_rollout", "pause_rollout", "resume_rollout", "retry_rollout_target"}


def sent_once(sim: Simulator) -> None:
    """Check that no write that must not be repeated was sent twice."""
    sends: Counter[tuple[str, str]] = Counter()
    for row in sim.journal():
        call = (row["operation_id"], row["path"])
        if row["operation_id"] == "get_rollout":
            sends = Counter({sent: times for sent, times in sends.items() if sent[0] not in AFTER_A_READ})
        elif row["method"] != "GET" and row["status"] not in (422, 429):
            sends[call] += 1
            assert sends[call] == 1 or ENDPOINTS[call[0]].repeat is not Repeat.NEVER, f"sent twice: {call}"


@pytest.mark.parametrize("case", CASES)
def test_a_second_run_changes_nothing_and_check_mode_predicts_the_first(sim: Simulator, case: str) -> None:
    row = TABLE[case]
    options = ready(sim, row)
    predicted = run(sim, case, options, check=True)
    assert_readable(predicted)
    assert posts(sim) == [], "check mode sends no write"

    done = run(sim, case, options)
    assert_readable(done)
    assert not done.result.get("failed"), done.result
    called = {ENDPOINTS[call["operation_id"]].number for call in sim.journal()}
    assert called >= row.serves, "the table's endpoints are really called"
    assert set(posts(sim)) == row.writes
    assert (predicted.result["changed"], predicted.result.get("failed")) == (done.result["changed"], None)
    assert done.result["changed"] == (bool(row.writes) and case != "instance_diagnostics")
    assert ("diff" in done.result) == done.result["changed"]
    if row.predicts:
        assert predicted.result.get("diff") == done.result.get("diff")
    sent_once(sim)

    sim.clear_journal()
    again = run(sim, case, options)
    assert_readable(again)
    assert not again.result.get("failed"), again.result
    if row.settles:
        assert not again.result["changed"]
        assert set(posts(sim)) <= {"run_diagnostics"}


# behaviour 3.5, row 27
@pytest.mark.parametrize("case", CASES)
def test_a_wrong_key_and_an_unknown_id_are_each_one_sentence(sim: Simulator, case: str) -> None:
    row = TABLE[case]
    options = ready(sim, row)
    if row.serves:
        done = run(sim, case, options, key="a-key-that-nobody-gave")
        assert_readable(done)
        if operation_of(module_of(case)).offline:
            assert done.warnings and "api_key" in done.warnings[0]
        else:
            assert done.result["error"]["kind"] == "auth" and "FLEETOPS_API_KEY" in done.msg
            assert len(sim.journal()) == 1, "tried once"
    if row.unknown:
        gone = run(sim, case, {**options, row.unknown: UNKNOWN_ID})
        assert_readable(gone)
        assert gone.result["failed"] and UNKNOWN_ID in gone.msg, gone.result
        assert gone.result["error"]["kind"] == "not_found"
    assert [call for call in sim.writes() if call["executed"]] == []


def calls_of(sim: Simulator, case: str) -> list[str]:
    """The operations that a run of the case calls, both reads and writes."""
    options = ready(sim, TABLE[case])
    run(sim, case, options)
    return sorted({row["operation_id"] for row in sim.journal()})


@pytest.mark.parametrize("case", CASES)
def test_whichever_call_fails_the_result_is_true_and_no_write_is_sent_twice(sim: Simulator, case: str) -> None:
    row = TABLE[case]
    for operation in calls_of(sim, case):
        for name, fault in FAULTS.items():
            if not ENDPOINTS[operation].writes and name not in OF_READS:
                continue
            options = ready(sim, row)
            sim.fault(operation=operation, times=1, **fault)
            done = run(sim, case, options)
            sim.clear_faults()
            where = f"{case}: {operation}: {name}"
            assert "Traceback" not in str(done.result), where
            assert_readable(done)
            sent_once(sim)
            executed = [call for call in sim.writes() if call["executed"] and call["operation_id"] in row.writes]
            if executed and case != "instance_diagnostics":
                assert done.result["changed"] or done.result.get("ambiguous"), where
            elif not executed:
                assert not done.result["changed"] or done.result.get("ambiguous"), where
            if name.startswith("429") or (not ENDPOINTS[operation].writes and name not in ("422",)):
                assert not done.result.get("failed"), (where, done.result)


@pytest.mark.parametrize("case", [case for case in CASES if TABLE[case].serves])
def test_a_server_that_does_not_answer_in_time_fails_the_task_with_one_sentence(sim: Simulator, case: str) -> None:
    options = ready(sim, TABLE[case])
    sim.fault(match=".", times=1, latency_s=0.5)
    done = run(sim, case, options, request_timeout=0.2, retries=0)
    sim.clear_faults()
    assert_readable(done)
    if operation_of(module_of(case)).offline:
        assert done.warnings
    elif case == "rollout_gate":
        assert done.result["verdict"] == "inconclusive" and "no answer within" in done.result["reasons"][0]
    else:
        assert done.result.get("failed"), done.result
        assert "no answer within the time limit" in done.msg
    assert [call for call in sim.writes() if call["executed"]] == []
