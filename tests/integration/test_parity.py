# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module in the controller's process and as an ordinary module: results, failures, check mode and diff agree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PlaybookRun
from tests.integration.module_table import HOST, TABLE, module_of
from tests.integration.module_task import operation_of
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

UNKNOWN = "00000000-0000-4000-8000-000000000000"
CANARY = "canary-key-that-must-never-be-seen-0123456789"
# Keys that may differ: they depend on how the task was run, and on how long it took.
MAY_DIFFER = {"invocation", "waited_seconds", "ansible_facts", "exception", "failed_when_result", "warnings"}
POLICY = "/v1/instances/fleet/updates/policy"
# Diagnostics change nothing, and the host's fault is not an open breaker.
NOTHING_TO_CHANGE = {"instance_diagnostics", "instance_circuit_breakers"}
# One row for each module.
ROWS = {case: row for case, row in TABLE.items() if case == module_of(case)}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A fleet whose clock stands still, so that both ways see the same times."""
    with running_simulator(instances=6, speed=0) as sim:
        yield sim


def every_module(sim: Simulator) -> dict[str, dict[str, Any]]:
    """The task of each module's row in check mode, and a state in which it has something to do."""
    for row in ROWS.values():
        row.prepare(sim)
    # Longer than the minimum uptime of a restart.
    sim.advance(3600)
    tasks = {}
    for case, row in ROWS.items():
        options = row.options(sim)
        if operation_of(case).on_instance:
            options["instance_id"] = sim.instance(HOST)["id"]
        tasks[case] = {f"fleetops.agents.{case}": options, "check_mode": True, "diff": True}
    sim.clear_journal()
    return tasks


def cases(sim: Simulator) -> dict[str, dict[str, Any]]:
    """Name -> task keywords. No task changes what a later one reads, so that both ways see the same fleet."""
    one = {"instance_id": sim.instance_ids[0]}
    rollout = sim.call("GET", "/v1/instances/fleet/runtime/rollouts")[1][0]["id"]
    task = "fleetops.agents."
    return {
        "policy": {task + "update_policy_info": {}},
        "history, limit 0": {task + "instance_rollout_info": {**one, "limit": 0}},
        "one rollout": {task + "rollout_info": {"rollout_id": rollout, "gather": ["targets", "timeline"]}},
        "raw write in check mode": {
            task + "api_request": {"path": POLICY, "method": "PATCH", "body": {"max_parallel_rollouts": 3}},
            "check_mode": True,
        },
        "raw write refused": {
            task + "api_request": {"path": POLICY, "method": "PATCH", "body": {"max_parallel_rollouts": "many"}}
        },
        "redeploy in check mode": {task + "instance_runtime": one, "check_mode": True, "diff": True},
        "unknown instance": {task + "instance_health_info": {"instance_id": UNKNOWN}},
        "missing option": {task + "instance_health_info": {}},
        "wrong type": {task + "instance_runtime": {**one, "wait_timeout": "soon"}},
        "wrong key": {task + "update_policy_info": {"api_key": CANARY}},
        "refused port": {task + "update_policy_info": {"api_url": "http://127.0.0.1:9", "retries": 0}},
        "trace": {task + "update_policy_info": {"api_trace": True}},
    }


def play(tasks: dict[str, dict[str, Any]], report: Path) -> list[dict[str, Any]]:
    """A play that runs each task in both ways and writes all results as JSON."""
    steps: list[dict[str, Any]] = []
    results = []
    for number, (name, task) in enumerate(tasks.items()):
        common = {**task, "ignore_errors": True}
        steps.append({"name": f"{name}, in-process", **common, "register": f"here_{number}"})
        steps.append(
            {
                "name": f"{name}, ordinary",
                **common,
                "environment": {"FLEETOPS_PARITY": "ordinary"},
                "register": f"there_{number}",
            }
        )
        results.append(f"[here_{number}, there_{number}]")
    steps.append(
        {
            "name": "Write the results",
            "ansible.builtin.copy": {"dest": str(report), "content": "{{ [" + ", ".join(results) + "] | to_json }}"},
            "check_mode": False,
        }
    )
    return [
        {
            "name": "Both ways",
            "hosts": "localhost",
            "gather_facts": False,
            "connection": "local",
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": steps,
        }
    ]


def without(result: Any) -> Any:
    """A result without the keys that may differ, such as the times of a trace and request ids."""
    if isinstance(result, dict):
        return {k: without(v) for k, v in result.items() if k not in MAY_DIFFER and k != "ms"}
    if isinstance(result, str):
        return re.sub(r"\bsim-\d+\b", "<request id>", result)
    return [without(item) for item in result] if isinstance(result, list) else result


def test_every_module_gives_the_same_result_in_both_ways(
    simulator: Simulator, run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    tasks = every_module(simulator) | cases(simulator)
    report = tmp_path / "results.json"
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump(play(tasks, report), sort_keys=False))
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {localhost: {}}}\n")
    run = run_playbook(simulator, playbook, "-vvvv", inventory=inventory, timeout=600)
    assert run.rc == 0, run.output[-4000:]
    pairs = dict(zip(tasks, json.loads(report.read_text()), strict=True))
    for name, (here, there) in pairs.items():
        # Only an ordinary module returns its arguments: this shows that the task ran in two ways.
        assert "invocation" not in here, name
        assert without(here) == without(there), name
        assert "Traceback" not in str(here), name
    for case, row in ROWS.items():
        predicted = pairs[case][0]
        assert not predicted.get("failed"), (case, predicted)
        assert predicted["changed"] == (bool(row.writes) and case not in NOTHING_TO_CHANGE), case
        assert ("diff" in predicted) == predicted["changed"], case
    assert not pairs["policy"][0].get("failed")
    assert pairs["redeploy in check mode"][0]["changed"] is True
    assert pairs["redeploy in check mode"][0]["diff"]["before"] != pairs["redeploy in check mode"][0]["diff"]["after"]
    assert pairs["wrong key"][0]["error"]["kind"] == "auth"
    failing = {name for name, (here, _there) in pairs.items() if here.get("failed")}
    assert failing == {
        *("history, limit 0", "raw write refused", "unknown instance", "missing option"),
        *("wrong type", "wrong key", "refused port"),
    }
    # Two refused PATCHes, and no other write.
    assert [row["status"] for row in simulator.writes()] == [422, 422]
    assert simulator.admin_key not in run.output
    assert simulator.admin_key not in report.read_text()
