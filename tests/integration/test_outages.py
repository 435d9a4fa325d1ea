# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that is down for a while, or that shows a change late, does not make a task fail that has succeeded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.module_table import TABLE, module_of
from tests.integration.module_task import ModuleTask, posts, run_module, sound
from tests.integration.second_task import run_second
from tests.second_api.api import SecondApi, second_api
from tests.simulator.running import Simulator

FOLLOWED = ["instance_runtime", "instance_update", "rollout", "rollout_target"]


def follow(sim: Simulator, case: str, retries: int = 0, **fault: Any) -> ModuleTask:
    """Run a task that waits for its effect. The ``fault`` begins in the first pause after it has sent its call."""
    TABLE[case].prepare(sim)
    began = False

    def during(_pause: int) -> None:
        nonlocal began
        if posts(sim) and not began:
            began = True
            sim.fault(match="^GET", **fault)

    done = run_module(sim, module_of(case), during=during, retries=retries, **TABLE[case].options(sim))
    sim.clear_faults()
    assert len(posts(sim)) == 1
    return done


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset_before": True}, {"html_body": True}, {"status": 429}])
@pytest.mark.parametrize("case", FOLLOWED)
def test_a_server_that_is_down_for_a_while_does_not_end_a_wait(
    sim: Simulator, case: str, fault: dict[str, Any]
) -> None:
    done = follow(sim, case, times=6, **fault)
    assert done.result["changed"] and not done.result.get("failed"), done.result


@pytest.mark.parametrize("case", FOLLOWED)
def test_a_server_that_stays_down_ends_the_wait_after_two_minutes(sim: Simulator, case: str) -> None:
    done = follow(sim, case, times=10_000, status=503)
    assert done.result["failed"] and "HTTP 503" in done.msg, done.result
    assert 120 <= sum(done.pauses) < 200


@pytest.mark.parametrize("case", FOLLOWED)
def test_a_long_outage_causes_one_warning_for_each_path(sim: Simulator, case: str) -> None:
    done = follow(sim, case, retries=1, times=12, status=503)
    assert done.result["changed"] and not done.result.get("failed"), done.result
    repeats = [warning.split(":")[0] for warning in done.warnings if "attempt 2 follows" in warning]
    assert repeats and len(repeats) == len(set(repeats)), done.warnings


@pytest.mark.parametrize("case", FOLLOWED)
def test_an_error_that_does_not_pass_ends_the_wait_at_once(sim: Simulator, case: str) -> None:
    done = follow(sim, case, times=10_000, status=401)
    assert done.result["failed"] and "HTTP 401" in done.msg, done.result
    assert done.msg.startswith("The server accepted the call, but what it did could not be verified")
    assert sum(done.pauses) < 20


@pytest.mark.parametrize("status", [404, 429])
@pytest.mark.parametrize("case", ["instance_runtime", "instance_update"])
def test_a_call_that_is_refused_is_not_sent_again_as_if_it_were_a_read(sim: Simulator, case: str, status: int) -> None:
    (write,) = TABLE[case].writes
    sim.fault(operation=write, status=status)
    done = run_module(sim, module_of(case), retries=0, admission="none", **TABLE[case].options(sim))
    sim.clear_faults()
    assert done.result["failed"] and f"HTTP {status}" in done.msg and posts(sim) == [write], done.result


@pytest.mark.parametrize("module", ["instance_runtime", "instance_update"])
def test_an_instance_that_is_removed_during_its_redeploy_is_called_removed(module: str) -> None:
    with second_api(deploy_seconds=10**6) as api:
        usual, removed = api.answer, api.instance("agent-001").id

        def answer(method: str, path: str, query: dict[str, str], body: Any) -> tuple[str, int, Any]:
            name, status, said = usual(method, path, query, body)
            is_gone = removed in path and method == "GET" and bool(api.writes())
            return (name, 404, {"detail": "Instance not found"}) if is_gone else (name, status, said)

        api.answer = answer  # type: ignore[method-assign]
        done = run_second(api, module)
    assert done.result["failed"] and "so the instance has been removed since. Read the inventory anew" in done.msg
    # The version after a redeploy that did not succeed is not known.
    assert done.result.get("version_after") is None


# behaviour 2.3
def test_a_rollout_that_one_server_of_several_does_not_know_yet_is_followed(sim: Simulator) -> None:
    sim.fault(operation="get_rollout", status=404, skip=1, times=3)
    done = run_module(sim, "rollout", state="started")
    assert done.result["changed"] and not done.result.get("failed"), done.result
    assert posts(sim) == ["start_fleet_rollout"]


def test_a_redeploy_that_succeeded_is_no_failure_if_its_version_cannot_be_read(sim: Simulator) -> None:
    sim.fault(operation="get_available_updates", status=503, skip=1, times=1)
    done = run_module(sim, "instance_runtime", state="redeployed", retries=0)
    assert done.result["redeployed"] and not done.result.get("failed"), done.result
    assert done.result["version_after"] is None and "is_current" not in done.result
    assert any("its version could not be read" in warning for warning in done.warnings)


@pytest.mark.parametrize(
    ("module", "options", "read", "write"),
    [
        ("update_policy", {"max_parallel_rollouts": 5}, "get_fleet_update_policy", "set_fleet_update_policy"),
        ("instance_update_policy", {"runtime": "auto"}, "get_available_updates", "set_instance_update_policy"),
    ],
)
def test_a_policy_whose_change_is_shown_late_is_read_again(
    module: str, options: dict[str, Any], read: str, write: str
) -> None:
    with second_api() as api:
        api.quirks.answers[read] = _late(api, read, write)
        assert sound(run_second(api, module, **options))["changed"]
        assert api.writes() == [write]


def _late(api: SecondApi, read: str, write: str) -> Callable[[Any], Any]:
    """Answers of the endpoint ``read`` that show the effect of ``write`` only in the third answer after it."""
    former: Any = None

    def answer(usual: Any) -> Any:
        nonlocal former
        since = [call for call in api.calls if call["operation"] in (read, write)]
        place = [call["operation"] for call in since].index(write) if api.called(write) else len(since)
        if len(since) - place <= 3 and former is not None:
            return former
        former = usual
        return usual

    return answer
