# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_update_policy does, as the server's journal shows it, and how it handles incomplete answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import CrookedServer, Reply

PATCH, READ = "set_instance_update_policy", "get_available_updates"
COMPONENTS = ("runtime", "skills", "mcp_servers")
ID = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.knobs(overrides={"*": dict.fromkeys(COMPONENTS)}, policy={"runtime_default": "notify"})
    return sim


def run_task(sim: Simulator, host: str = "agent-001", **options: Any) -> ModuleTask:
    return run_module(sim, "instance_update_policy", host, **options)


def bodies(sim: Simulator) -> list[Any]:
    return [row["body"] for row in sim.journal(operation_id=PATCH)]


def on_server(sim: Simulator, host: str = "agent-001") -> dict[str, Any]:
    status, updates = sim.call("GET", f"/v1/instances/{sim.instance(host)['id']}/updates/available")
    assert status == 200
    return dict(updates["update_policy"])


# What is sent


def test_only_given_values_that_differ_are_sent(sim: Simulator) -> None:
    sim.knobs(overrides={"agent-001": {"skills": "disabled"}})
    other = on_server(sim, "agent-002")
    sim.clear_journal()
    result = run_task(sim, runtime="auto", skills="disabled").result
    assert not result.get("failed"), result
    assert [row["operation_id"] for row in sim.journal()] == [READ, PATCH, READ]
    assert bodies(sim) == [{"runtime": "auto"}]
    assert result["changed"] and result["changed_keys"] == ["runtime"]
    assert result["diff"] == {"before": {"runtime": None}, "after": {"runtime": "auto"}}
    assert result["policy"] == on_server(sim)
    assert (result["policy"]["runtime"], result["policy"]["runtime_source"]) == ("auto", "instance_override")
    assert on_server(sim, "agent-002") == other


def test_inherit_removes_an_override_once(sim: Simulator) -> None:
    sim.knobs(overrides={"agent-001": dict.fromkeys(COMPONENTS, "disabled")})
    result = run_task(sim, runtime="inherit", mcp_servers="inherit").result
    assert result["changed"] and bodies(sim) == [{"runtime": None, "mcp_servers": None}]
    assert result["policy"]["runtime_override"] is None and result["policy"]["runtime"] == "notify"
    assert result["policy"]["skills_override"] == "disabled"
    sim.clear_journal()
    again = run_task(sim, runtime="inherit", mcp_servers="inherit").result
    assert not again["changed"] and "diff" not in again and posts(sim) == []


def test_an_inherited_mode_does_not_count_as_an_override_with_the_same_value(sim: Simulator) -> None:
    assert on_server(sim)["runtime"] == "notify"
    assert run_task(sim, runtime="notify").result["changed"]
    assert on_server(sim)["runtime_override"] == "notify"


@pytest.mark.parametrize(
    "wanted",
    [
        {"runtime": "auto"},
        {"runtime": "inherit", "skills": "disabled"},
        {"runtime": "disabled"},
        {"raw_body": {"runtime": "notify"}},
        {"raw_body": {"runtime": "disabled"}},
    ],
)
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, wanted: dict[str, Any]) -> None:
    # Not the platform's default, so that the inherited mode has to be read.
    sim.knobs(overrides={"agent-001": {"runtime": "disabled"}}, policy={"runtime_default": "auto"})
    predicted = run_task(sim, check=True, **wanted).result
    assert posts(sim) == []
    real = run_task(sim, **wanted).result
    for key in ("changed", "diff", "policy_before", "changed_keys", "failed"):
        assert predicted.get(key) == real.get(key), key
    if "raw_body" not in wanted:
        known = {key: value for key, value in predicted["policy"].items() if value is not None}
        assert known.items() <= real["policy"].items()
        assert {key for key in real["policy"] if key not in known} <= {
            key for key in real["policy"] if key.endswith(("_source", "_override"))
        }


# What is refused


@pytest.mark.parametrize("check", [False, True])
def test_auto_is_refused_if_the_server_does_not_support_it(sim: Simulator, check: bool) -> None:
    done = run_task(sim, check=check, skills="auto", mcp_servers="auto", runtime="auto")
    assert done.result["failed"] and not done.result["changed"]
    assert "does not support automatic updates of skills and mcp_servers" in done.msg
    assert sim.instance("agent-001")["id"] in done.msg and posts(sim) == []


# Lost answers


@pytest.mark.parametrize("fault", [{"reset_after": True}, {"commit_then_status": 502}, {"truncated_body": True}])
@pytest.mark.parametrize("retries", [0, 3])
def test_a_call_whose_answer_is_lost_is_repeated_or_looked_up(
    sim: Simulator, fault: dict[str, Any], retries: int
) -> None:
    sim.fault(operation=PATCH, times=1, **fault)
    done = run_task(sim, runtime="auto", retries=retries)
    assert not done.result.get("failed") and done.result["changed"], done.result
    assert bodies(sim) == [{"runtime": "auto"}] * (1 if retries == 0 else 2)
    assert done.warnings
    assert done.result["policy"] == on_server(sim)


# Raw bodies


def test_a_raw_body_is_sent_unchanged(sim: Simulator) -> None:
    body = {"runtime": "disabled", "runtime_channel": "stable"}
    for _run in range(2):
        result = run_task(sim, raw_body=body).result
        assert result["changed"] and result["changed_keys"] == ["runtime", "runtime_channel"]
        assert result["policy"] == on_server(sim)
    assert bodies(sim) == [body, body], "a key that cannot be compared is sent every time"


def test_a_raw_body_that_already_applies_is_not_sent(sim: Simulator) -> None:
    assert run_task(sim, raw_body={"runtime": "disabled"}).result["changed"]
    assert not run_task(sim, raw_body={"runtime": "disabled"}).result["changed"]
    assert len(bodies(sim)) == 1


# Incomplete answers


def run_crooked(server: CrookedServer, policies: list[Any], **options: Any) -> ModuleTask:
    """Run a task against a server whose E25 has ``policies[0]`` before the PATCH and the last policy after it."""
    held = [policies[0]]

    def answer(method: str, path: str, headers: Mapping[str, str]) -> Reply:
        if method == "PATCH":
            held.append(policies[-1])
            return Reply(held[-1])
        return Reply({"instance_id": ID, "update_policy": held[-1]})

    server.seen.clear()
    server.answer = answer
    return run_module(server, "instance_update_policy", instance_id=ID, **options)


def patches(server: CrookedServer) -> int:
    return sum(method == "PATCH" for method, _path, _headers in server.seen)


@pytest.mark.parametrize("policy", [None, {}, [], "notify", {"skills_override": None}, {"runtime": "notify"}])
@pytest.mark.parametrize("mode", ["auto", "inherit"])
def test_an_override_that_the_server_does_not_report_is_not_guessed(
    crooked: CrookedServer, policy: Any, mode: str
) -> None:
    done = run_crooked(crooked, [policy], runtime=mode)
    assert done.result["failed"] and f"does not say whether instance {ID} overrides runtime" in done.msg
    assert patches(crooked) == 0
    assert run_crooked(crooked, [policy], raw_body={"runtime": None}).result["changed"]
    assert patches(crooked) == 1


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ({"runtime": "AUTO", "runtime_source": "Instance-Override"}, "auto"),
        ({"runtime": "auto", "runtime_source": "tenant_default"}, "inherit"),
        ({"runtime_override": "Disabled"}, "disabled"),
        ({"runtime_override": ""}, "inherit"),
        ({"runtime_override": "inherit"}, "inherit"),
    ],
)
def test_alternative_spellings_of_a_policy_are_understood(crooked: CrookedServer, policy: Any, mode: str) -> None:
    result = run_crooked(crooked, [policy], runtime=mode).result
    assert not result.get("failed") and not result["changed"], result
    assert patches(crooked) == 0


@pytest.mark.parametrize("supported", [True, None, "no"])
def test_auto_is_refused_only_if_the_server_clearly_says_no(crooked: CrookedServer, supported: Any) -> None:
    before = {"runtime_override": None, "runtime_auto_supported": supported}
    result = run_crooked(crooked, [before, {**before, "runtime_override": "auto"}], runtime="auto").result
    assert not result.get("failed") and result["changed"] and patches(crooked) == 1


def test_an_override_that_the_server_keeps_despite_null_is_a_failure(crooked: CrookedServer) -> None:
    done = run_crooked(crooked, [{"runtime_override": "disabled"}], runtime="inherit")
    assert done.result["failed"] and not done.result["changed"] and patches(crooked) == 1
    assert done.result["not_taken"] == {"runtime": {"wanted": None, "is": "disabled"}}
    assert "runtime is 'disabled', not unset" in done.msg


def test_a_simultaneous_change_by_another_admin_is_reported(crooked: CrookedServer) -> None:
    before = {f"{name}_override": None for name in COMPONENTS}
    after = {**before, "runtime_override": "auto", "skills_override": "disabled"}
    done = run_crooked(crooked, [before, after], runtime="auto")
    assert done.result["changed"] and done.result["changed_keys"] == ["runtime"]
    assert done.result["drift"] == {"skills": {"before": None, "after": "disabled"}}
    assert any("Somebody else changed" in warning for warning in done.warnings)
