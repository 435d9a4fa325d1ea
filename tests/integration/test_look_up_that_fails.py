# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A write after which every read fails: the task reports what is known, and never that nothing was sent."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import category_of
from tests.integration.module_task import ModuleTask
from tests.integration.second_task import run_second
from tests.second_api.api import ROUTES, SecondApi, second_api

READS = [name for name, (method, _path) in ROUTES.items() if method == "GET"]
Case: TypeAlias = tuple[str, dict[str, Any], str]

MEMORY = {"content": "Invoices go out on Fridays."}
QUOTA = {"status": "rejected", "message": "quota exceeded"}
# Module, options, and the operation that it sends.
REDEPLOYS = [("instance_runtime", {}, "redeploy_runtime"), ("instance_update", {}, "apply_all_updates")]
# The answer to these calls is not final: their outcome is looked up.
LOOKED_UP = [
    *REDEPLOYS,
    ("rollout_target", {"select": "failed"}, "retry_rollout_target"),
    ("instance_memory", MEMORY, "store_memory"),
    ("instance_memory", {"state": "absent", "all": True}, "clear_memories"),
    ("update_policy", {"max_parallel_rollouts": 3}, "set_fleet_update_policy"),
    ("instance_update_policy", {"raw_body": {"skills_override": "disabled"}}, "set_instance_update_policy"),
    ("rollout", {"state": "paused"}, "pause_rollout"),
    ("rollout", {"state": "cancelled"}, "cancel_rollout"),
]
RESTARTS = [
    ("instance_power_cycle", {"wait_timeout": 10}, "power_cycle"),
    ("instance_circuit_breakers", {}, "clear_circuit_breakers"),
]
STARTED = ("rollout", {}, "start_fleet_rollout")


def run_blind(api: SecondApi, case: Case, answer: Any, status: int = 403) -> ModuleTask:
    """Run the task. Its write gets ``answer``, and each later read gets ``status``."""
    module, options, write = case
    if module.startswith("rollout") and write != "start_fleet_rollout":
        options = {**options, "rollout_id": api.add_rollout(api.instances, "fleet")["id"]}
    if write == "clear_memories":
        api.instance("agent-001").memories.append({"id": "m1", **MEMORY})

    def answer_and_go_dark(usual: Any) -> Any:
        api.quirks.status.update(dict.fromkeys(READS, status))
        return usual if answer is None else answer

    api.quirks.answers[write] = answer_and_go_dark
    done = run_second(api, module, retries=0, **options)
    assert done.result["failed"] and done.result["changed"], done.result
    assert api.writes() == [write]
    return done


def fleet_for(write: str) -> Any:
    """A second API in a state in which the write has something to do."""
    if write == "retry_rollout_target":
        return second_api(outcomes={"agent-001": "failed"}, deploy_seconds=0)
    return second_api(deploy_seconds=10**6)


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("case", [*LOOKED_UP, *RESTARTS, STARTED], ids=lambda case: case[2])
def test_the_outcome_of_a_lost_write_is_unknown_if_the_look_up_fails(case: Case, status: int) -> None:
    with fleet_for(case[2]) as api:
        done = run_blind(api, case, b"this is no answer", status)
        assert done.result["ambiguous"] and done.result["error"]["ambiguous"] is True
        assert done.msg.split()[0] in ("POST", "PATCH", "DELETE") and "is unknown" in done.msg
        assert category_of(done.result) == "uncertain"


@pytest.mark.parametrize("case", LOOKED_UP, ids=lambda case: case[2])
def test_the_outcome_of_a_refused_write_is_unknown_if_the_look_up_fails(case: Case) -> None:
    with fleet_for(case[2]) as api:
        done = run_blind(api, case, QUOTA)
        assert done.result["ambiguous"] and done.result["refused"] == "rejected: quota exceeded"
        assert "quota exceeded" in done.msg and "is unknown" in done.msg


# The answer to a stored memory contains it, so nothing is looked up.
ACCEPTED = [case for case in [*LOOKED_UP, *RESTARTS, STARTED] if case[2] != "store_memory"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case[2])
def test_an_accepted_write_counts_as_changed_if_the_look_up_fails(case: Case, status: int) -> None:
    with fleet_for(case[2]) as api:
        done = run_blind(api, case, None, status)
        assert "accepted" in done.msg and f"HTTP {status}" in done.msg
        assert done.result["error"]["kind"] == {401: "auth", 403: "forbidden"}[status]
        assert case not in REDEPLOYS or category_of(done.result) == "uncertain"


@pytest.mark.parametrize("refused_with", [403, 200])
@pytest.mark.parametrize("case", [LOOKED_UP[2], *LOOKED_UP[-2:]], ids=lambda case: case[2])
def test_the_outcome_of_a_lost_write_stays_unknown_if_its_repetition_is_refused(case: Case, refused_with: int) -> None:
    module, options, write = case
    with fleet_for(write) as api:
        options = {**options, "rollout_id": api.add_rollout(api.instances, "fleet")["id"]}

        def refuse_from_now_on(_usual: Any) -> Any:
            if refused_with == 200:
                api.quirks.refused[write] = QUOTA
            else:
                api.quirks.status[write] = refused_with
            return b"this is no answer"

        api.quirks.answers |= {write: refuse_from_now_on, "get_rollout": api.get_rollout(options["rollout_id"])}
        done = run_second(api, module, retries=0, **options)
        assert done.result["failed"] and done.result["changed"] and done.result["ambiguous"], done.result
        assert (
            "is unknown" in done.msg and "Sending it once more failed too" in done.msg and api.writes() == [write] * 2
        )


# With raw_body, it is not known what the answer should be, so it is read once.
@pytest.mark.parametrize(
    "case", [case for case in (*LOOKED_UP, STARTED) if "raw_body" not in case[1]], ids=lambda case: case[2]
)
def test_a_look_up_goes_on_until_the_server_answers_again(case: Case) -> None:
    module, options, write = case
    with fleet_for(write) as api:
        if module.startswith("rollout") and write != "start_fleet_rollout":
            options = {**options, "rollout_id": api.add_rollout(api.instances, "fleet")["id"]}
        if write == "clear_memories":
            api.instance("agent-001").memories.append({"id": "m1", **MEMORY})
        if write == "store_memory":
            api.quirks.answers[write] = {"status": "stored", "memory": {}}
        if write in ("redeploy_runtime", "apply_all_updates", "retry_rollout_target", "start_fleet_rollout"):
            options = {**options, "wait": False}

        usual = api.answer

        def busy(method: str, path: str, query: dict[str, str], body: Any) -> tuple[str, int, Any]:
            name, status, answer = usual(method, path, query, body)
            is_busy = name in READS and bool(api.writes()) and sum(done.pauses) < 60
            return (name, 429, {"detail": "slow down"}) if is_busy else (name, status, answer)

        api.answer = busy  # type: ignore[method-assign]
        done = ModuleTask()
        run_second(api, module, retries=0, done=done, **options)
        assert not done.result.get("failed") and done.result["changed"], done.result
        assert 60 <= sum(done.pauses) < 90 and api.writes() == [write]
