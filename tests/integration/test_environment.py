# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environment variables in the real ansible-playbook: for modules in both ways of running them, and for lookups."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PlaybookRun
from tests.integration.kept_results import print_results, printed_results
from tests.second_api.api import second_api

pytestmark = pytest.mark.playbook

WAYS = {
    "here": {"fleetops.agents.update_policy_info": {}},
    "ordinary": {"fleetops.agents.update_policy_info": {}, "environment": {"FLEETOPS_OTHER": "y"}},
    "lookup": {"ansible.builtin.debug": {"msg": "{{ lookup('fleetops.agents.update_policy') }}"}},
}


@pytest.fixture
def results(tmp_path: Path, run_playbook: Callable[..., PlaybookRun]) -> Callable[..., dict[str, Any]]:
    """The result of the task run in each way, by the name of the way."""

    def run(api: Any, **environment: str) -> dict[str, Any]:
        names = list(WAYS)
        tasks = [
            {"name": name, **WAYS[name], "register": f"way_{position}", "ignore_errors": True}
            for position, name in enumerate(names)
        ]
        tasks.append(print_results(f"way_{position}" for position in range(len(names))))
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        play["vars"] = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        playbook = tmp_path / "play.json"
        playbook.write_text(json.dumps([play]))
        inventory = tmp_path / "hosts.yml"
        inventory.write_text("all: {hosts: {localhost: {}}}")
        done = run_playbook(api, playbook, inventory=inventory, env=environment)
        return dict(zip(names, printed_results(done.stdout).values(), strict=True))

    return run


# reports/2026-11 C1
def test_an_empty_variable_counts_as_not_set_and_a_wrong_one_is_named(results: Callable[..., dict[str, Any]]) -> None:
    names = ("VALIDATE_CERTS", "CA_PATH", "REQUEST_TIMEOUT", "RETRIES", "API_TRACE", "EXTRA_HEADERS", "RUN_LOG_DIR")
    with second_api(instances=1) as api:
        outcome = results(api, **{f"FLEETOPS_{name}": "" for name in names})
        assert not any(result.get("failed") for result in outcome.values()), outcome
        before = len(api.calls)
        # Other values that are refused are in tests/unit/controller/test_strict_options.py.
        outcome = results(api, FLEETOPS_REQUEST_TIMEOUT="0")
        assert all(result["failed"] for result in outcome.values())
        assert all("FLEETOPS_REQUEST_TIMEOUT" in result["msg"] for result in outcome.values()), outcome
        assert outcome["here"]["msg"] == outcome["ordinary"]["msg"]
        outcome = results(api, FLEETOPS_API_KEY="")
        assert all("api_key is not set: set it, or FLEETOPS_API_KEY" in result["msg"] for result in outcome.values()), (
            outcome
        )
        assert len(api.calls) == before


def test_headers_of_a_gateway_are_read_from_the_environment_by_modules_too(
    results: Callable[..., dict[str, Any]],
) -> None:
    token = "token-of-the-gateway-0123456789"
    with second_api(instances=1, gateway=("X-Gateway", f"Bearer {token}")) as api:
        outcome = results(api, FLEETOPS_EXTRA_HEADERS=json.dumps({"X-Gateway": f"Bearer {token}"}))
        assert not any(result.get("failed") for result in outcome.values()), outcome
        for wrong in ("X-Gateway: " + token, json.dumps([token]), json.dumps({"X-Gateway": token})):
            outcome = results(api, FLEETOPS_EXTRA_HEADERS=wrong)
            assert all(result["failed"] for result in outcome.values()) and token not in json.dumps(outcome)
            assert outcome["here"]["msg"] == outcome["ordinary"]["msg"]
            named = "Refused by the gateway" if "{" in wrong else "FLEETOPS_EXTRA_HEADERS must be a mapping"
            assert all(named in result["msg"] for result in outcome.values()), outcome


# reports/2026-11 C5
def test_no_worker_looks_up_the_proxies_of_the_operating_system(
    results: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    # As on macOS: the look-up ends every process except the first.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, urllib.request\n"
        "first = os.environ.setdefault('FIRST_PROCESS', str(os.getpid()))\n"
        "def abort(*arguments):\n"
        "    if str(os.getpid()) != first:\n"
        "        os.abort()\n"
        "    return {}\n"
        "urllib.request.getproxies = urllib.request.proxy_bypass = abort\n"
    )
    with second_api(instances=1) as api:
        outcome = results(api, PYTHONPATH=str(tmp_path))
        assert not any(result.get("failed") for result in outcome.values()), outcome


# reports/2026-11 E1
def test_a_server_that_answers_byte_by_byte_holds_up_no_task_and_no_lookup(
    results: Callable[..., dict[str, Any]],
) -> None:
    with second_api(instances=1, drip={"*": 0.5}) as api:
        outcome = results(api, FLEETOPS_REQUEST_TIMEOUT="1", FLEETOPS_RETRIES="0")
        assert all("no complete answer within the time limit of 1 s" in result["msg"] for result in outcome.values()), (
            outcome
        )


# reports/2026-11 D15
def test_no_text_of_a_server_reaches_the_terminal_as_control_characters(
    tmp_path: Path, run_playbook: Callable[..., PlaybookRun]
) -> None:
    hostile = "\x1b[2J\x9b31m\x07gone"
    api_id = "instance_id"
    with second_api(instances=1) as api:
        api.quirks.answers["get_deep_health"] = lambda usual: {**usual, "subsystems": {"llm": hostile}}
        api.quirks.status["list_instance_actions"] = 409
        api.quirks.detail["list_instance_actions"] = hostile
        api.quirks.answers["get_fleet_update_policy"] = lambda usual: {**usual, "runtime_default": hostile}
        one = {api_id: api.instances[0].id}
        tasks = [
            {"fleetops.agents.instance_health_info": one},
            {"fleetops.agents.instance_action_info": one, "ignore_errors": True},
            {"ansible.builtin.debug": {"msg": "{{ lookup('fleetops.agents.update_policy', 'runtime_default') }}"}},
            {"fleetops.agents.instance_action_info": one},
        ]
        play = {"hosts": "all", "connection": "local", "gather_facts": False, "tasks": tasks}
        playbook, inventory = tmp_path / "play.json", tmp_path / "production.fleet.yml"
        playbook.write_text(json.dumps([play]))
        inventory.write_text("plugin: fleetops.agents.fleet\nenrich: [health]\n")
        done = run_playbook(api, playbook, "-vv", inventory=inventory)
        api.quirks.status["get_rollout"] = 409
        api.quirks.detail["get_rollout"] = hostile
        refused = run_playbook(api, playbook, "-v", inventory=inventory)
    assert done.rc == 2 and done.output.count("x1b[2J") >= 4, done.output
    assert "x1b[2J" in refused.output
    for sign in "\x1b\x9b\x07":
        assert sign not in done.output and sign not in refused.output
