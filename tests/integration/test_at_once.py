# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several tasks at the same moment: on one machine each write is sent once; across machines, an excess is reported."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.module_task import sound
from tests.integration.second_task import FORK, run_at_once, run_second
from tests.second_api.api import NEW, second_api

pytestmark = pytest.mark.usefixtures("own_locks")

QUICK = {"wait_interval": 0.05, "healthy_reads": 1}


# reports/2026-11 B4
@pytest.mark.parametrize("deploy_seconds", [0.0, 1.5], ids=["that has ended meanwhile", "that is under way"])
def test_of_simultaneous_fleet_rollouts_one_starts_and_the_others_adopt_it(deploy_seconds: float) -> None:
    with second_api(latency={"*": 0.1}, deploy_seconds=deploy_seconds) as api:
        ends = run_at_once(api, [("rollout", "", {"wait_interval": 0.05})] * 3)
        results = [sound(done) for done in ends]
        assert sorted(row["changed"] for row in results) == [False, False, True]
        assert sorted(row["adopted"] for row in results) == [False, True, True]
        assert len({row["rollout_id"] for row in results}) == 1
        assert api.writes() == ["start_fleet_rollout"]


def test_a_fleet_rollout_is_started_again_after_the_previous_one_has_ended() -> None:
    with second_api(deploy_seconds=0.0) as api:
        assert [sound(run_second(api, "rollout"))["adopted"] for _dummy in range(2)] == [False, False]
        assert api.writes() == ["start_fleet_rollout"] * 2


@pytest.mark.parametrize("state", ["latest", "redeployed"])
@pytest.mark.parametrize("admission", ["policy", "none"])
def test_of_three_simultaneous_redeploys_of_one_instance_only_one_is_sent(state: str, admission: str) -> None:
    with second_api(latency={"*": 0.05}, deploy_seconds=0.3) as api:
        options = {**QUICK, "state": state, "admission": admission}
        spelled = [str.upper, str.lower, lambda text: text.replace("-", "")]
        identity = api.instance("agent-001").id
        tasks = [
            ("instance_runtime", "agent-001", {**options, "instance_id": spell(identity)}) for spell in spelled[:2]
        ]
        results = [sound(done) for done in run_at_once(api, [*tasks, ("instance_runtime", "agent-001", options)])]
        assert sorted(row["changed"] for row in results) == [False, False, True]
        # reports/2026-11 B7
        assert {row["instance_id"] for row in results} == {identity}
        assert api.writes() == ["redeploy_runtime"]


# reports/2026-11 F4
def test_simultaneous_updates_and_redeploys_are_sent_once_for_each_instance() -> None:
    with second_api(instances=4, latency={"*": 0.05}, deploy_seconds=0.3) as api:
        for place, one in enumerate(api.instances):
            one.skill_waits = True
            # An update of skills only waits for no admission.
            one.version = NEW if place % 2 else one.version
        hosts = [one.hostname for one in api.instances]
        tasks: list[tuple[str, str, dict[str, Any]]] = [("instance_update", host, QUICK) for host in hosts * 3]
        tasks += [("instance_runtime", host, QUICK) for host in hosts]
        results = [sound(done) for done in run_at_once(api, tasks)]
        assert all(one.version == NEW and not one.skill_waits for one in api.instances)
        applied = [row for row in results[:12] if row["changed"]]
        assert all(row["skills_applied"] or row.get("runtime_task_id") for row in applied), "nothing was applied"
        assert len(applied) == len(api.called("apply_all_updates")) == 4


# reports/2026-11 B11
def test_a_memory_that_three_tasks_store_at_once_is_stored_once() -> None:
    with second_api(latency={"*": 0.1}) as api:
        memory = {"content": "Invoices go out on Fridays.", "kind": "fact"}
        ends = run_at_once(api, [("instance_memory", "agent-001", memory)] * 3)
        assert sorted(sound(done)["changed"] for done in ends) == [False, False, True]
        assert len(api.instance("agent-001").memories) == 1 and api.writes() == ["store_memory"]
        assert {done.result["memory"]["id"] for done in ends} == {api.instance("agent-001").memories[0]["id"]}


@pytest.mark.parametrize(
    ("module", "options", "operation"),
    [
        ("update_policy", {"max_parallel_rollouts": 5}, "set_fleet_update_policy"),
        ("instance_update_policy", {"runtime": "disabled"}, "set_instance_update_policy"),
        ("instance_memory", {"state": "absent", "all": True}, "clear_memories"),
        ("instance_power_cycle", {"wait_interval": 0.05, "healthy_reads": 1}, "power_cycle"),
        ("instance_reboot", {"wait_interval": 0.05, "healthy_reads": 1}, "reboot"),
    ],
)
def test_any_other_write_by_simultaneous_tasks_is_sent_once(
    module: str, options: dict[str, Any], operation: str
) -> None:
    with second_api(latency={"*": 0.1}) as api:
        api.instance("agent-001").memories.append({"id": "1", "content": "x"})
        ends = run_at_once(api, [(module, "agent-001", options)] * 3)
        assert sorted(sound(done)["changed"] for done in ends) == [False, False, True]
        assert api.writes() == [operation]


def test_a_target_that_two_tasks_retry_at_once_is_retried_once() -> None:
    with second_api(latency={"*": 0.1}, deploy_seconds=1.0, outcomes={"agent-001": "failed"}) as api:
        row = api.add_rollout(api.instances, "fleet", at=1.0)
        options = {"rollout_id": row["id"].upper(), "select": "failed", "wait_interval": 0.05}
        ends = run_at_once(api, [("rollout_target", "", options)] * 3)
        assert sorted(sound(done)["changed"] for done in ends) == [False, False, True]
        assert api.writes() == ["retry_rollout_target"]


# reports/2026-11 F1
@pytest.mark.parametrize("slow", [{"latency": {"redeploy_runtime": 0.7}}, {"list_lag": 0.7}])
def test_controllers_on_several_machines_report_what_is_in_flight_beyond_the_policy(
    slow: dict[str, Any], tmp_path: Path
) -> None:
    with second_api(instances=4, deploy_seconds=4.0, policy={"max_parallel_rollouts": 2}, **slow) as api:
        gate, ended = FORK.Barrier(4), FORK.Queue()

        def controller(place: int) -> None:
            machine = tmp_path / f"machine-{place % 2}"
            machine.mkdir(exist_ok=True)
            os.environ.update(XDG_RUNTIME_DIR=str(machine), XDG_STATE_HOME=str(machine))
            gate.wait(60)
            ended.put(run_second(api, "instance_runtime", f"agent-{place + 1:03d}", real=True, **QUICK))

        workers = [FORK.Process(target=controller, args=(place,), daemon=True) for place in range(4)]
        for worker in workers:
            worker.start()
        ends = [ended.get(timeout=120) for _dummy in workers]
        for worker in workers:
            worker.join(20)
        reported = [text for done in ends for text in done.warnings if "max_parallel_rollouts" in text]
        assert reported, [done.result for done in ends]
        assert "and the policy allows 2" in reported[0] and "Run one controller only" in reported[0]
        assert any(row["id"] in reported[0] for row in api.rollouts[1:]), "it names what is in flight"
        assert any(done.result.get("in_flight_excess") for done in ends)


def test_a_redeploy_that_only_the_second_read_shows_is_waited_for() -> None:
    with second_api(instances=3, deploy_seconds=0.5, policy={"max_parallel_rollouts": 1}) as api:
        # It waits for this redeploy, so the instance's history is read again once it is admitted.
        api.add_rollout([api.instance("agent-003")], "instance")

        def another_machine(answer: Any) -> Any:
            # After the list was read for admission, while the history is read.
            if len(api.called("list_instance_rollouts")) == 2:
                api.quirks.answers.pop("list_instance_rollouts", None)
                time.sleep(0.1)
                api.add_rollout([api.instance("agent-002")], "instance")
            return answer

        api.quirks.answers["list_instance_rollouts"] = another_machine
        result = sound(run_second(api, "instance_runtime", real=True, **QUICK))
        sent = api.called("redeploy_runtime")[0]["at"]
        assert len(api.rollouts) == 4, "no other task was faster"
        assert sent >= api.rollouts[2]["targets"][0]["ends"] and result["changed"]


def test_simultaneous_tasks_share_their_reads_and_free_their_places_before_health_is_proved() -> None:
    """Ten instances, two at a time: a redeploy begins while the health of the previous one is still being proved."""
    with second_api(instances=10, deploy_seconds=0.6, policy={"max_parallel_rollouts": 2}) as api:
        options = {"wait_interval": 0.4, "healthy_reads": 5, "expected_seconds": 0.6}
        ends = run_at_once(api, [("instance_runtime", one.hostname, options) for one in api.instances])
        assert all(sound(done)["changed"] for done in ends)
        assert not any("max_parallel_rollouts" in text for done in ends for text in done.warnings)
        sent = [call["at"] for call in api.called("redeploy_runtime")]
        targets = [row["targets"][0] for row in api.rollouts]
        most = max(sum(one["created"] <= at < one["ends"] for one in targets) for at in (t["created"] for t in targets))
        assert most == 2
        # Five reads 0.4 s apart take longer than a redeploy. If the place were kept, two would be sent every 2.2 s.
        assert max(sent) - min(sent) < 4 * 1.6, sent
        # One task reads for all ten, about once in 0.4 s.
        seconds = max(call["at"] for call in api.calls) - min(call["at"] for call in api.calls)
        for operation in ("list_fleet_rollouts", "get_fleet_update_policy"):
            assert len(api.called(operation)) <= 10 + 4 * seconds / 0.4, operation
        # Before it is sent, and to find it; the target is read on its own only at its end.
        assert len(api.called("list_instance_rollouts")) <= 10 * 3
        assert len(api.called("get_rollout")) <= 10 * 2
