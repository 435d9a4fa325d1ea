# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What update_policy does, as the server's journal shows it: only differences are sent, and the outcome is reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import CrookedServer, Reply

PATCH, READ = "set_fleet_update_policy", "get_fleet_update_policy"
DEFAULTS = {f"{name}_default": "notify" for name in ("runtime", "skills", "mcp_servers")}


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    sim.knobs(policy=DEFAULTS)
    return sim


def run_task(sim: Simulator, **options: Any) -> ModuleTask:
    return run_module(sim, "update_policy", **options)


def bodies(sim: Simulator) -> list[Any]:
    return [row["body"] for row in sim.journal(operation_id=PATCH)]


def on_server(sim: Simulator) -> dict[str, Any]:
    return dict(sim.state()["policy"])


# What is sent


def test_only_given_values_that_differ_are_sent(sim: Simulator) -> None:
    before = on_server(sim)
    result = run_task(sim, max_parallel_rollouts=4, runtime_default="auto", skills_default="notify").result
    assert not result.get("failed"), result
    assert bodies(sim) == [{"max_parallel_rollouts": 4, "runtime_default": "auto"}]
    assert result["changed"] and result["changed_keys"] == ["max_parallel_rollouts", "runtime_default"]
    assert result["diff"] == {
        "before": {"max_parallel_rollouts": 2, "runtime_default": "notify"},
        "after": {"max_parallel_rollouts": 4, "runtime_default": "auto"},
    }
    assert result["policy_before"] == before
    assert result["policy"] == on_server(sim) == {**before, "max_parallel_rollouts": 4, "runtime_default": "auto"}
    assert [row["operation_id"] for row in sim.journal()] == [READ, PATCH, READ]


def test_midnight_is_an_hour_and_does_not_count_as_missing(sim: Simulator) -> None:
    sim.knobs(policy={"maintenance_window_start_hour_utc": 3, "maintenance_window_end_hour_utc": 5})
    assert run_task(sim, maintenance_window_start_hour_utc=0).result["changed"]
    assert bodies(sim) == [{"maintenance_window_start_hour_utc": 0}]


def test_a_limit_is_set_in_a_policy_that_has_none(sim: Simulator) -> None:
    sim.knobs(policy={"max_parallel_rollouts": None})
    result = run_task(sim, max_parallel_rollouts=1).result
    assert result["changed"] and result["diff"]["before"] == {"max_parallel_rollouts": None}
    assert on_server(sim)["max_parallel_rollouts"] == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {"max_parallel_rollouts": 3},
        {"max_parallel_rollouts": 2},
        {"runtime_default": "disabled", "mcp_servers_default": "notify", "maintenance_window_start_hour_utc": 23},
    ],
)
def test_check_mode_predicts_the_result_and_sends_nothing(sim: Simulator, wanted: dict[str, Any]) -> None:
    predicted = run_task(sim, check=True, **wanted).result
    assert posts(sim) == []
    real = run_task(sim, **wanted).result
    for key in ("changed", "diff", "policy", "policy_before", "changed_keys", "failed"):
        assert predicted.get(key) == real.get(key), key


# What is refused


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"max_parallel_rollouts": 0}, "max_parallel_rollouts is 0: it must be 1 or more"),
        ({"max_parallel_rollouts": -1, "runtime_default": "auto"}, "max_parallel_rollouts is -1"),
        ({"maintenance_window_start_hour_utc": 24}, "maintenance_window_start_hour_utc is 24"),
        ({"maintenance_window_end_hour_utc": -1}, "it must be an hour of the day, from 0 to 23"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_values_out_of_range_are_refused_before_any_call(
    sim: Simulator, wanted: dict[str, Any], message: str, check: bool
) -> None:
    done = run_task(sim, check=check, **wanted)
    assert done.result["failed"] and message in done.msg and not done.result["changed"]
    assert sim.journal() == []


def test_an_insufficient_role_is_reported_in_one_sentence(sim: Simulator) -> None:
    done = run_task(sim, key=sim.keys["user"], max_parallel_rollouts=4)
    assert done.result["failed"] and not done.result["changed"] and "diff" not in done.result
    assert done.result["error"]["kind"] == "forbidden" and "The key's role does not allow this" in done.msg
    assert done.result["changed_keys"] == [] and done.result["policy"] == on_server(sim)


def test_a_refused_change_changes_nothing(sim: Simulator) -> None:
    done = run_task(sim, skills_default="auto", max_parallel_rollouts=4)
    assert done.result["failed"] and "automatic updates are not supported for skills" in done.msg
    assert not done.result["changed"] and on_server(sim)["max_parallel_rollouts"] == 2


# Lost answers


@pytest.mark.parametrize("fault", [{"reset_after": True}, {"commit_then_status": 500}, {"html_body": True}])
def test_a_call_whose_answer_is_lost_is_looked_up(sim: Simulator, fault: dict[str, Any]) -> None:
    sim.fault(operation=PATCH, **fault)
    done = run_task(sim, max_parallel_rollouts=4, retries=0)
    assert not done.result.get("failed") and done.result["changed"], done.result
    assert done.result["changed_keys"] == ["max_parallel_rollouts"]
    assert any("was lost; reading it back shows that it was made" in warning for warning in done.warnings)
    assert len(bodies(sim)) == 1


@pytest.mark.parametrize("fault", [{"reset_before": True}, {"status": 500}])
def test_a_call_that_did_not_arrive_is_not_a_change(sim: Simulator, fault: dict[str, Any]) -> None:
    sim.fault(operation=PATCH, **fault)
    result = run_task(sim, max_parallel_rollouts=4, retries=0).result
    assert result["failed"] and result["ambiguous"] and not result["changed"] and "diff" not in result
    assert result["policy"] == on_server(sim) and result["changed_keys"] == []
    assert sim.journal()[-1]["operation_id"] == READ


def test_a_refusal_after_a_lost_answer_does_not_hide_the_change(sim: Simulator) -> None:
    sim.fault(operation=PATCH, reset_after=True, times=1)
    sim.fault(operation=PATCH, status=403, times=1)
    result = run_task(sim, max_parallel_rollouts=4).result
    assert not result.get("failed") and result["changed"], result
    assert on_server(sim)["max_parallel_rollouts"] == 4


@pytest.mark.parametrize("status", [403, 500])
def test_a_change_that_cannot_be_read_back_counts_as_a_change(sim: Simulator, status: int) -> None:
    sim.fault(operation=READ, status=status, skip=1)
    done = run_task(sim, max_parallel_rollouts=4, retries=0)
    assert done.result["failed"] and done.result["changed"]
    assert "The server accepted the call, but what it did could not be verified" in done.msg
    assert done.result["policy"]["max_parallel_rollouts"] == 4, "the last known state is the answer to the PATCH"


# The policy after the PATCH


def run_crooked(
    server: CrookedServer, before: Mapping[str, Any], after: Mapping[str, Any], **options: Any
) -> ModuleTask:
    """Run a task against a server whose policy is ``before``, and ``after`` once any PATCH was sent."""
    held = [before]

    def answer(method: str, path: str, headers: Mapping[str, str]) -> Reply:
        if method == "PATCH":
            held.append(after)
        return Reply(held[-1])

    server.seen.clear()
    server.answer = answer
    return run_module(server, "update_policy", **options)


def patches(server: CrookedServer) -> int:
    return sum(method == "PATCH" for method, _path, _headers in server.seen)


BEFORE = {"max_parallel_rollouts": 2, "skills_default": "notify"}


def test_a_value_that_the_server_ignores_is_a_failure_and_not_a_change(crooked: CrookedServer) -> None:
    done = run_crooked(crooked, BEFORE, BEFORE, max_parallel_rollouts=40)
    assert done.result["failed"] and not done.result["changed"] and "diff" not in done.result
    assert done.result["not_taken"] == {"max_parallel_rollouts": {"wanted": 40, "is": 2}}
    assert "max_parallel_rollouts is 2, not 40" in done.msg


def test_a_change_that_the_server_applies_in_part_is_reported_as_it_is(crooked: CrookedServer) -> None:
    after = {"max_parallel_rollouts": 10, "skills_default": "notify", "runtime_default": "auto"}
    done = run_crooked(
        crooked, BEFORE, after, max_parallel_rollouts=40, skills_default="disabled", runtime_default="auto"
    )
    assert done.result["failed"] and done.result["changed"]
    assert done.result["changed_keys"] == ["max_parallel_rollouts", "runtime_default"]
    assert done.result["diff"] == {
        "before": {"max_parallel_rollouts": 2, "runtime_default": None},
        "after": {"max_parallel_rollouts": 10, "runtime_default": "auto"},
    }
    assert set(done.result["not_taken"]) == {"max_parallel_rollouts", "skills_default"}
    assert done.result["policy"] == after


def test_a_simultaneous_change_by_another_admin_is_reported(crooked: CrookedServer) -> None:
    after = {"max_parallel_rollouts": 4, "skills_default": "disabled"}
    done = run_crooked(crooked, BEFORE, after, max_parallel_rollouts=4)
    assert not done.result.get("failed") and done.result["changed"]
    assert done.result["changed_keys"] == ["max_parallel_rollouts"]
    assert done.result["drift"] == {"skills_default": {"before": "notify", "after": "disabled"}}
    assert any("Somebody else changed" in warning and "skills_default" in warning for warning in done.warnings)


def test_a_value_that_already_applied_and_was_changed_meanwhile_is_a_failure(crooked: CrookedServer) -> None:
    after = {"max_parallel_rollouts": 4, "skills_default": "disabled"}
    done = run_crooked(crooked, BEFORE, after, max_parallel_rollouts=4, skills_default="notify")
    assert done.result["failed"] and done.result["changed"]
    assert done.result["changed_keys"] == ["max_parallel_rollouts"]
    assert done.result["not_taken"] == {"skills_default": {"wanted": "notify", "is": "disabled"}}


@pytest.mark.parametrize("before", [{}, {"max_parallel_rollouts": None}, {"max_parallel_rollouts": True}])
def test_a_value_that_the_server_never_shows_does_not_count_as_set(
    crooked: CrookedServer, before: dict[str, Any]
) -> None:
    result = run_crooked(crooked, before, before, max_parallel_rollouts=1).result
    assert patches(crooked) == 1
    assert result["failed"] and not result["changed"], result
    # An answer without any value does not even say that the server has accepted the call.
    assert list(result["not_taken"]) == ["max_parallel_rollouts"] if before else result["ambiguous"]


def test_another_spelling_of_a_value_is_not_a_difference(crooked: CrookedServer) -> None:
    spelled = {"max_parallel_rollouts": "4", "skills_default": "Notify", "maintenance_window_start_hour_utc": 1.0}
    result = run_crooked(
        crooked, spelled, spelled, max_parallel_rollouts=4, skills_default="notify", maintenance_window_start_hour_utc=1
    ).result
    assert not result.get("failed") and not result["changed"] and patches(crooked) == 0


@pytest.mark.parametrize(
    ("wanted", "warned"),
    [
        ({"maintenance_window_start_hour_utc": 5}, True),
        ({"maintenance_window_start_hour_utc": 5, "maintenance_window_end_hour_utc": 5}, False),
        ({"maintenance_window_start_hour_utc": 4}, False),
    ],
)
def test_a_change_that_opens_the_window_all_day_is_warned_about(
    sim: Simulator, wanted: dict[str, Any], warned: bool
) -> None:
    sim.knobs(policy={"maintenance_window_start_hour_utc": 1, "maintenance_window_end_hour_utc": 5})
    for check in (True, False):
        done = run_task(sim, check=check, **wanted)
        assert done.result["changed"] and bool(done.warnings) == warned, done.warnings
