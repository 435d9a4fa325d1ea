# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a task is run, and that both ways protect the key and leave YAML values and the server's texts unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PlaybookRun
from tests.integration.kept_results import print_results, printed_results
from tests.integration.module_table import HOST, TABLE, module_of
from tests.integration.module_task import operation_of
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
Play = Callable[..., tuple[PlaybookRun, dict[str, Any]]]
# A task with this keyword runs as an ordinary module.
ORDINARY = {"environment": {"FLEETOPS_X": "y"}}
UNKNOWN_ID = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"
POLICY = "/v1/instances/fleet/updates/policy"
# One row for each module.
ROWS = {case: row for case, row in TABLE.items() if case == module_of(case)}
# Diagnostics change nothing, and the host's fault is not an open breaker.
NOTHING_TO_CHANGE = {"instance_diagnostics", "instance_circuit_breakers"}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    # The clock stands still, so that both ways read the same.
    with running_simulator(instances=4, speed=0) as running:
        yield running


def task(module: str, /, keywords: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return {f"fleetops.agents.{module}": options, "ignore_errors": True, **(keywords or {})}


def both_ways(cases: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    ways = (("here", {}), ("ordinary", ORDINARY))
    return {f"{name}: {way}": {**body, **extra} for name, body in cases.items() for way, extra in ways}


def comparable(result: Any) -> Any:
    """A result without what depends on how it was run, on how long that took, and without ids of requests."""
    if isinstance(result, dict):
        by_nature = ("invocation", "waited_seconds", "exception", "ms")
        return {key: comparable(value) for key, value in result.items() if key not in by_nature}
    if isinstance(result, str):
        return re.sub(r"\bsim-\d+\b", "<request id>", result)
    return [comparable(item) for item in result] if isinstance(result, list) else result


def different(cases: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """The results of the cases that are not the same both ways."""
    pairs = {name: [comparable(results[f"{name}: {way}"]) for way in ("here", "ordinary")] for name in cases}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@pytest.fixture
def play(tmp_path: Path, run_playbook: Run) -> Play:
    """Runs tasks by name in one play; returns the run and the registered results."""

    def plays(
        sim: Simulator,
        tasks: dict[str, dict[str, Any]],
        *arguments: str,
        host: str = "localhost",
        env: dict[str, str] | None = None,
        **keywords: Any,
    ) -> tuple[PlaybookRun, dict[str, Any]]:
        registered = {f"answer_{position}": name for position, name in enumerate(tasks)}
        steps = [{"name": name, **tasks[name], "register": key} for key, name in registered.items()]
        local = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        document = {
            "hosts": host,
            "gather_facts": False,
            "vars": local,
            "tasks": [*steps, print_results(registered)],
            **keywords,
        }
        playbook, inventory = tmp_path / "play.json", tmp_path / "hosts.yml"
        playbook.write_text(json.dumps([document]))
        inventory.write_text(json.dumps({"all": {"hosts": {host: {}}}}))
        extra = ["-c", "local"] if host == "localhost" else []
        # The async wrapper looks for its folder in HOME, which is not the user's here.
        env = {"ANSIBLE_ASYNC_DIR": str(tmp_path / "jobs"), **(env or {})}
        run = run_playbook(sim, playbook, *extra, *arguments, inventory=inventory, env=env, timeout=600)
        results = printed_results(run.stdout)
        return run, {name: results[key] for key, name in registered.items()}

    return plays


# How a task is run


# A machine that cannot be reached, whether or not this one has an ssh client.
NOWHERE = """
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = "{name: nowhere, short_description: none, description: [Reaches no machine.], options: {}}"


class Connection(ConnectionBase):
    transport = "nowhere"

    def _connect(self):
        raise AnsibleConnectionFailure("nobody answers there")

    def exec_command(self, cmd, in_data=None, sudoable=True):
        self._connect()

    def put_file(self, in_path, out_path):
        self._connect()

    def fetch_file(self, in_path, out_path):
        self._connect()

    def close(self):
        pass
"""


def test_async_and_delegated_tasks_run_where_ansible_would_run_them(sim: Simulator, play: Play, tmp_path: Path) -> None:
    (tmp_path / "nowhere.py").write_text(NOWHERE)
    tasks = {
        "in the background": task("update_policy_info", {"async": 60, "poll": 1}),
        "to this machine": task("update_policy_info", {"delegate_to": "localhost"}),
        "away": task("update_policy_info", {"delegate_to": "away.invalid", "ignore_unreachable": True}),
        "an empty environment": task("update_policy_info", {"environment": {}}),
        "a loop": task("instance_health_info", {"loop": sim.instance_ids[:2]}, instance_id="{{ item }}"),
        # It never ends, because the clock stands still.
        "a time limit": task(
            "instance_power_cycle", {"timeout": 2}, instance_id=sim.instance_ids[3], wait_interval=0.2
        ),
    }
    tasks["away"] |= {"vars": {"ansible_connection": "nowhere"}}
    _run, results = play(sim, tasks, env={"ANSIBLE_CONNECTION_PLUGINS": str(tmp_path)})
    assert results["in the background"]["finished"] and "ansible_job_id" in results["in the background"]
    assert not results["in the background"].get("failed"), json.dumps(results["in the background"])
    assert results["in the background"]["policy"] == results["to this machine"]["policy"]
    assert "invocation" not in results["to this machine"] and "invocation" not in results["an empty environment"]
    assert results["away"]["unreachable"], "another machine is reached by its connection, or not at all"
    assert "nobody answers there" in results["away"]["msg"], results["away"]
    looped = results["a loop"]["results"]
    assert [row["health"]["instance_id"] for row in looped] == sim.instance_ids[:2]
    assert not any("invocation" in row for row in looped)
    limited = results["a time limit"]
    assert [row["operation_id"] for row in sim.writes()] == ["power_cycle"]
    assert limited["failed"] and limited["changed"] and limited["instance_id"] == sim.instance_ids[3], limited
    assert limited["msg"].endswith("The server accepted the call before that, but what it did was not verified."), (
        limited
    )


def test_a_host_without_a_connection_is_no_obstacle_and_module_defaults_apply(sim: Simulator, play: Play) -> None:
    tasks = {
        "health": task("instance_health_info"),
        "policy": task("update_policy_info"),
        "ordinary": task("instance_health_info", {**ORDINARY, "delegate_to": "localhost", "connection": "local"}),
    }
    defaults = {
        "group/fleetops.agents.fleet": {"api_url": sim.url, "api_key": "{{ lookup('env', 'KEY_OF_THE_TEST') }}"},
        "group/fleetops.agents.instance": {"instance_id": sim.instance("agent-001")["id"]},
    }
    env = {"KEY_OF_THE_TEST": sim.admin_key, "FLEETOPS_API_URL": "", "FLEETOPS_API_KEY": ""}
    run, results = play(
        sim, tasks, "-vvvv", host="no-such-host.invalid", env=env, module_defaults=defaults, connection="ssh"
    )
    assert not any(result["failed"] for result in results.values()), results
    assert comparable(results["health"]) == comparable(results["ordinary"])
    assert sim.admin_key not in run.output


# The same result both ways


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
        tasks[case] = task(case, {"check_mode": True, "diff": True}, **options)
    return tasks


def test_every_module_gives_the_same_result_both_ways(play: Play) -> None:
    with running_simulator(instances=6, speed=0) as sim:
        cases = every_module(sim)
        sim.clear_journal()
        run, results = play(sim, both_ways(cases), "-vvvv")
        assert sim.writes() == []
    assert different(cases, results) == {}
    for case, row in ROWS.items():
        predicted = results[f"{case}: here"]
        # Only an ordinary module returns its arguments: this shows that the task ran in two ways.
        assert "invocation" not in predicted and "Traceback" not in str(predicted), case
        assert not predicted.get("failed"), (case, predicted)
        assert predicted["changed"] == (bool(row.writes) and case not in NOTHING_TO_CHANGE), case
        assert ("diff" in predicted) == predicted["changed"], case
    assert sim.admin_key not in run.output


def test_unusual_options_give_the_same_result_both_ways(sim: Simulator, play: Play) -> None:
    one = sim.instance("agent-001")["id"]
    rollout = sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=1")[1][0]["id"]
    check = {"check_mode": True, "diff": True}
    cases = {
        "gather as text": task("rollout_info", rollout_id=rollout, gather="targets,timeline"),
        "a number as text": task("instance_rollout_info", instance_id=one, limit="2"),
        "yes": task("instance_health_info", instance_id=one, live="yes"),
        "always, in check mode": task("instance_runtime", check, instance_id=one, state="redeployed"),
        "query": task("api_request", path="/v1/instances/fleet/runtime/rollouts", query={"limit": 1, "offset": None}),
        "a write in check mode": task("api_request", check, path=POLICY, method="PATCH", body={"runtime_default": "x"}),
        "trace": task("update_policy_info", api_trace=True),
        # Failures
        "a refused write": task("api_request", path=POLICY, method="PATCH", body={"max_parallel_rollouts": "many"}),
        "limit 0": task("instance_rollout_info", instance_id=one, limit=0),
        "missing id": task("instance_health_info"),
        "wrong type": task("instance_runtime", instance_id=one, wait_timeout="soon"),
        "wrong key": task("update_policy_info", api_key="a-key-that-nobody-gave"),
        "refused port": task("update_policy_info", api_url="http://127.0.0.1:9", retries=0),
        "an empty id": task("instance_runtime", instance_id=""),
        "the fleet as id": task("instance_runtime", check, instance_id="fleet"),
        "unknown id in check mode": task("instance_runtime", check, instance_id=UNKNOWN_ID),
        "bad choice in a list": task("rollout_info", rollout_id=rollout, gather=["targets", "x"]),
        "missing path": task("api_request"),
        "unsupported options": task("rollout_info", colour="blue", api_keys="x", limit="many"),
        "a path that climbs": task("api_request", path="/v1/%2e%2e/_sim/journal"),
        "a header that is none": task("update_policy_info", extra_headers={"X-Gateway": "a\nb"}),
    }
    sim.clear_journal()
    run, results = play(sim, both_ways(cases))
    assert different(cases, results) == {}
    failed = [name for name in cases if results[f"{name}: here"]["failed"]]
    assert failed == list(cases)[list(cases).index("a refused write") :]
    assert [row["status"] for row in sim.writes()] == [422, 422] and "Traceback" not in run.output


def test_yaml_values_arrive_the_same_both_ways(sim: Simulator, play: Play) -> None:
    day, text = "{{ '2026-11-24' | to_datetime('%Y-%m-%d') }}", "{{ '{{' }} 7 * 6 }}"
    body = {"day": day, "1": "one", "text": text, "none": None, "deep": [{"day": day}, 1.5, True]}
    cases = {"body": task("api_request", method="PATCH", path=POLICY, body=body)}
    sim.clear_journal()
    _run, results = play(sim, both_ways(cases))
    assert len(sim.writes()) == 2, results
    here, ordinary = sim.writes()
    assert here["body"] == ordinary["body"]
    assert here["body"]["text"] == "{{ 7 * 6 }}" and here["body"]["day"].startswith("2026-11-24")
    assert comparable(results["body: here"]) == comparable(results["body: ordinary"])


def test_a_redeploy_and_its_repetitions_give_the_same_result_both_ways(sim: Simulator, play: Play) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 4})
    ids = {"here": sim.instance("agent-003")["id"], "ordinary": sim.instance("agent-004")["id"]}
    for host in ("agent-003", "agent-004"):
        sim.fault(operation="list_instance_rollouts", status=502, times=1, instance=host)
    tasks = {
        way: task("instance_runtime", {"diff": True, **extra}, instance_id=ids[way], wait=False)
        for way, extra in (("here", {}), ("ordinary", ORDINARY))
    }
    _run, results = play(sim, tasks)
    here, there = (comparable(results[way]) for way in ("here", "ordinary"))
    assert here["changed"] and there["changed"] and here["diff"] == there["diff"]
    assert here.keys() == there.keys() and here["target"].keys() == there["target"].keys()
    (warning,), (other,) = here["warnings"], there["warnings"]
    assert "attempt 2 follows in" in warning
    until_the_pause = warning.replace(ids["here"], ids["ordinary"]).rpartition(" in ")[0]
    assert until_the_pause == other.rpartition(" in ")[0]


# Secrets and the server's text


@pytest.mark.parametrize("given", ["option", "env", "module_defaults"])
def test_the_key_appears_in_no_output_of_either_way(sim: Simulator, play: Play, given: str) -> None:
    one = sim.instance("agent-001")["id"]
    wrong = "canary-key-0123456789-that-nobody-may-see"
    key = "{{ lookup('env', 'KEY') }}"
    env = {"KEY": sim.admin_key, "WRONG": wrong, "FLEETOPS_API_KEY": sim.admin_key if given == "env" else ""}
    option = {"api_key": key} if given == "option" else {}
    keywords = {"module_defaults": {"group/fleetops.agents.fleet": {"api_key": key}}} if given != "option" else {}
    header = {"X-Gateway": "{{ lookup('env', 'WRONG') }}"}
    cases = {
        "read": task("instance_health_info", instance_id=one, api_trace=True, **option),
        "failure of the server": task("instance_health_info", instance_id=UNKNOWN_ID, api_trace=True, **option),
        "failure of the spec": task("instance_health_info", colour=key, **option),
        "refused key": task("update_policy_info", api_key="{{ lookup('env', 'WRONG') }}"),
        "key in another place": task("api_request", path=f"/v1/{key}", **option),
        "gateway": task("update_policy_info", extra_headers=header, **option),
        "in the background": task("update_policy_info", {"async": 60, "poll": 1}, **option),
    }
    if given == "env":
        keywords = {}
    if given != "option":
        cases = {name: cases[name] for name in ("read", "failure of the server", "failure of the spec")}
    run, results = play(sim, both_ways(cases), "-vvvv", env=env, **keywords)
    assert not any(result["failed"] for name, result in results.items() if name.startswith(("read", "gate", "in the")))
    kept = [path for path in run.run_logs.parent.rglob("*") if path.is_file() and path.name != "hosts.yml"]
    seen = run.output + json.dumps(results) + "".join(path.read_text(errors="replace") for path in kept)
    assert "EXEC" in run.output, "both ways were taken"
    assert sim.admin_key not in seen
    assert wrong not in seen


def test_a_header_from_the_environment_is_not_shown_by_a_module_with_invalid_options(
    sim: Simulator, play: Play
) -> None:
    headers = {"X-Gateway-Token": "q7w8e9", "X-Gw": "r4t5"}
    cases = {
        "read": task("update_policy_info", {"environment": {"FLEETOPS_X": "y"}}),
        "invalid": task("update_policy_info", {"environment": {"FLEETOPS_X": "y"}}, colour="blue"),
    }
    run, results = play(sim, cases, "-vvvv", env={"FLEETOPS_EXTRA_HEADERS": json.dumps(headers)})
    assert not results["read"]["failed"] and "Unsupported parameters" in results["invalid"]["msg"]
    assert not [value for value in headers.values() if value in run.output + json.dumps(results)]


def test_a_short_header_that_is_a_part_of_a_name_masks_nothing(sim: Simulator, play: Play) -> None:
    one, token = sim.instance("agent-001"), "q7w8e9"
    headers = {"X-Tenant": "agent", "X-Version": "1", "X-Gateway-Token": token}
    options = {"instances": {one["hostname"]: one["id"]}, "batch_max": 1}
    cases = {
        "with": task("rollout_plan", extra_headers=headers, **options),
        "without": task("rollout_plan", **options),
        "repeated": task("api_request", path=f"/v1/{token}", extra_headers=headers),
    }
    run, results = play(sim, both_ways(cases), "-vvvv")
    assert not results["with: here"]["failed"], results["with: here"]
    plans = [comparable(results[f"{given}: {way}"]) for given in ("with", "without") for way in ("here", "ordinary")]
    kept = [(plan["batches"], plan["forks"]) for plan in plans]
    assert kept == kept[:1] * 4
    assert one["hostname"] in json.dumps(plans[0]["batches"])
    assert token not in run.output + json.dumps(results)


def test_text_of_the_server_is_not_run_as_a_template(sim: Simulator, play: Play, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    detail = "{{ lookup('pipe', 'touch " + str(proof) + "') }}"
    sim.fault(operation="get_fleet_update_policy", status=409, detail=detail)
    try:
        show = {"ansible.builtin.debug": {"msg": "{{ answer_0.msg }} {{ answer_0.error }}"}}
        _run, results = play(sim, {"refused": task("update_policy_info"), "show": show})
    finally:
        sim.clear_faults()
    assert "lookup('pipe'" in results["refused"]["msg"] and "lookup('pipe'" in results["show"]["msg"]
    assert not proof.exists()
