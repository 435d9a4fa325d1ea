# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stream of redeploys: the gate's rules apply before each redeploy, across simultaneous tasks."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from ansible_collections.fleetops.agents.plugins.module_utils._steps.admission_locks import Admission, lock_folder
from ansible_collections.fleetops.agents.plugins.module_utils._steps.stream import Stream
from tests.integration.module_task import ModuleTask, sound
from tests.integration.second_task import run_at_once, run_second, when
from tests.second_api.api import NEW, SecondApi, second_api

pytestmark = pytest.mark.usefixtures("own_locks")

QUICK = {"wait_interval": 0.2, "healthy_reads": 1, "uncertain_grace": 1}


def begin(api: SecondApi, run: str = "run-1", *, stream: dict[str, Any] | None = None, **rules: Any) -> None:
    """Run the gate, which stores the rules."""
    fleet = {one.hostname: one.id for one in api.instances}
    done = run_second(
        api,
        "rollout_gate",
        next_batch=fleet,
        waiting=fleet,
        stream={"run": run, "health_interval": 120, **(stream or {})},
        **rules,
    )
    assert sound(done)["go"], done.result


def roll(api: SecondApi, run: str = "run-1", *, needs: float = 1.0, **options: Any) -> list[ModuleTask]:
    """Redeploy all instances at once; the stream admits them one after the other."""
    names = [one.hostname for one in api.instances]
    streams = [{"run": run, "name": name, "needs": needs, "place": place} for place, name in enumerate(names)]
    return run_at_once(
        api,
        [("instance_runtime", name, {**QUICK, **options, "stream": s}) for name, s in zip(names, streams, strict=True)],
    )


def most_at_once(api: SecondApi) -> int:
    targets = [row["targets"][0] for row in api.rollouts if row["scope"] != "fleet"]
    return max(sum(t["created"] <= at < t["ends"] for t in targets) for at in (t["created"] for t in targets))


def test_instances_are_admitted_one_by_one_and_waiting_tasks_make_no_calls_of_their_own() -> None:
    with second_api(instances=12, deploy_seconds=0.5, policy={"max_parallel_rollouts": 3}) as api:
        begin(api, stream={"most": 2})
        api.calls.clear()
        # Together they take longer than the timeout. Waiting behind others of the stream does not count.
        results = [sound(done) for done in roll(api, admission_timeout=3)]
        assert max(row["waited_seconds"] for row in results) > 3
        assert all(row["changed"] and not row["adopted"] and "not_admitted" not in row for row in results)
        assert len(api.called("redeploy_runtime")) == 12
        assert most_at_once(api) == 2
        # Each instance's history is read once it is admitted, and once to find the redeploy.
        assert len(api.called("list_instance_rollouts")) <= 12 * 2 + 6
        # The reads of the gate count for the first two minutes; the live reads are the proof.
        assert [call["query"].get("force") for call in api.called("get_deep_health")] == ["true"] * 12


def test_the_target_of_a_listed_redeploy_is_read_only_at_its_end() -> None:
    with second_api(instances=2, deploy_seconds=6.0, policy={"max_parallel_rollouts": 2}) as api:
        begin(api)
        api.calls.clear()
        assert all(sound(done)["changed"] for done in roll(api, expected_seconds=6.0))
        assert len(api.called("get_rollout")) == 2


def test_a_failure_ends_the_stream_at_once_and_redeploys_in_flight_are_followed_to_their_end() -> None:
    # In any order, instances are still waiting when the second of the six fails.
    outcomes = {f"agent-{n:03d}": "failed" for n in range(1, 7)}
    with second_api(instances=10, deploy_seconds=1.0, policy={"max_parallel_rollouts": 2}, outcomes=outcomes) as api:
        begin(api, max_failed=1)
        ends = roll(api)
        failed = [done for done in ends if done.result.get("failed")]
        held = [done.result for done in ends if done.result.get("skipped")]
        updated = [done.result for done in ends if done.result["changed"] and not done.result.get("failed")]
        assert 2 <= len(failed) <= 3 and len(held) >= 2 and len(failed) + len(held) + len(updated) == 10
        reason = held[0]["not_admitted"]["reasons"][0]
        assert re.fullmatch(r"[23] instances failed \(agent-.*\); at most 1 may fail\.", reason)
        assert {row["not_admitted"]["verdict"] for row in held} == {"fail"}
        targets = {row["targets"][0]["instance"].hostname: row["targets"][0] for row in api.rollouts[1:]}
        spent = sorted(target["ends"] for name, target in targets.items() if name in outcomes)[1]
        # The list may be a fifth of a second old, and the machine busy.
        late = [call["at"] - spent for call in api.called("redeploy_runtime") if call["at"] > spent + 1.5]
        assert late == []
        assert all(row["target"]["status"] == "succeeded" for row in updated)


def test_an_instance_that_another_task_has_claimed_takes_no_seat_from_the_others() -> None:
    """The other task may be waiting for the same seat: the two tasks would wait for each other."""
    with second_api(instances=3, deploy_seconds=0.5, policy={"max_parallel_rollouts": 1}) as api:
        begin(api)
        other = Admission(api.url)
        assert other.claim(api.instance("agent-001").id)
        thread = when(lambda: len(api.called("redeploy_runtime")) >= 2, other.leave)
        results = [sound(done) for done in roll(api, admission_timeout=8)]
        thread.join()
        assert all(row["changed"] and not row["adopted"] for row in results)
        assert most_at_once(api) == 1


def test_an_uncertain_redeploy_is_resolved_before_the_next_one_is_sent() -> None:
    with second_api(
        instances=4, deploy_seconds=0.5, policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": "uncertain"}
    ) as api:
        begin(api)
        ends = roll(api)
        targets = {row["targets"][0]["instance"].hostname: row["targets"][0] for row in api.rollouts[1:]}
        lost = targets["agent-002"]
        assert [t["created"] for t in targets.values() if t["created"] > lost["ends"] + 1.5] == []
        assert sum(bool(done.result.get("skipped")) for done in ends) == 4 - len(targets)


@pytest.mark.parametrize(
    ("change", "verdict", "message"),
    [
        ({"maintenance_window_start_hour_utc": 1}, "deferred", "is closed"),
        ({"max_parallel_rollouts": 0}, "fail", "is 0: rollouts are switched off"),
    ],
)
def test_a_policy_change_applies_to_redeploys_that_are_not_sent_yet(
    change: dict[str, Any], verdict: str, message: str
) -> None:
    with second_api(instances=8, deploy_seconds=1.0, policy={"max_parallel_rollouts": 2}) as api:
        begin(api)
        if "maintenance_window_start_hour_utc" in change:
            hour = int(time.time() // 3600) % 24
            change = {
                "maintenance_window_start_hour_utc": (hour + 3) % 24,
                "maintenance_window_end_hour_utc": (hour + 4) % 24,
            }
        changed: dict[str, float] = {}

        def act() -> None:
            api.quirks.policy.update(change)
            changed["at"] = time.time()

        thread = when(lambda: len(api.called("redeploy_runtime")) >= 3, act)
        ends = roll(api)
        thread.join()
        held = [done.result for done in ends if done.result.get("skipped")]
        assert held and not any(done.result.get("failed") for done in ends), [done.result for done in ends]
        assert {row["not_admitted"]["verdict"] for row in held} == {verdict}
        assert message in held[0]["not_admitted"]["reasons"][0]
        assert all(call["at"] < changed["at"] + 1.5 for call in api.called("redeploy_runtime"))


@pytest.mark.parametrize("read", ["list_fleet_rollouts", "get_fleet_update_policy"])
def test_a_failed_read_for_an_admission_ends_the_stream_and_fails_no_instance(read: str) -> None:
    with second_api(instances=6, deploy_seconds=1.0, policy={"max_parallel_rollouts": 2}) as api:
        begin(api)
        thread = when(lambda: len(api.called("redeploy_runtime")) >= 2, lambda: api.quirks.status.update({read: 503}))
        ends = roll(api, retries=1)
        thread.join()
        held = [done.result for done in ends if done.result.get("skipped")]
        assert len(held) >= 3 and not any(done.result.get("failed") for done in ends), [done.result for done in ends]
        assert {row["not_admitted"]["verdict"] for row in held} == {"inconclusive"}
        assert "HTTP 503" in held[0]["skipped_reason"]


def test_while_a_stream_is_held_nothing_is_sent_and_its_tasks_do_not_time_out(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    with second_api(instances=2, deploy_seconds=0.5, policy={"max_parallel_rollouts": 2}) as api:
        begin(api, hold=str(file), hold_interval=0.3)
        file.write_text("INC-9")
        lifted: dict[str, float] = {}

        def lift() -> None:
            time.sleep(14)
            lifted["at"] = time.time()
            file.unlink()

        thread = when(lambda: len(api.called("list_fleet_rollouts")) > 0, lift)
        results = [sound(done) for done in roll(api, admission_timeout=8)]
        thread.join()
        assert all(row["changed"] for row in results)
        assert min(call["at"] for call in api.called("redeploy_runtime")) >= lifted["at"]


def test_a_clock_that_is_set_forward_does_not_end_a_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hold"
    first_read = lock_folder() / "stream-run-1.hold"
    clock = SimpleNamespace(time=lambda: time.time() + 7200 * first_read.exists(), monotonic=time.monotonic)
    monkeypatch.setattr(f"{Stream.__module__}.time", clock)
    with second_api(instances=1, deploy_seconds=0.5) as api:
        begin(api, hold=str(file), hold_timeout=60, hold_interval=0.3)
        file.write_text("INC-9")

        def lift() -> None:
            time.sleep(2)
            file.unlink()

        thread = when(first_read.exists, lift)
        (done,) = roll(api)
        thread.join()
        assert sound(done)["changed"], done.result


def test_updates_of_skills_only_respect_the_hold_and_do_not_wait_for_redeploys_of_others(
    tmp_path: Path,
) -> None:
    file = tmp_path / "hold"
    with second_api(instances=3, deploy_seconds=60.0, policy={"max_parallel_rollouts": 1}) as api:
        for one in api.instances[:2]:
            one.version, one.skill_waits = NEW, True
        api.add_rollout([api.instances[2]], "instance")

        def update(run: str) -> list[ModuleTask]:
            begin(api, run, hold=str(file), hold_timeout=1, hold_interval=0.2)
            if run == "held":
                file.write_text("INC-9")
            streams = [(one.hostname, {"run": run, "name": one.hostname, "needs": 1.0}) for one in api.instances[:2]]
            options = {**QUICK, "admission_timeout": 5}
            return run_at_once(api, [("instance_update", host, {**options, "stream": of}) for host, of in streams])

        assert [sound(done)["not_admitted"]["verdict"] for done in update("held")] == ["fail", "fail"]
        assert api.writes() == []
        # They need no place among the redeploys.
        file.unlink()
        assert [sound(done)["changed"] for done in update("free")] == [True, True]


def test_a_redeploy_that_an_update_adopts_is_known_to_the_whole_stream() -> None:
    with second_api(instances=1, deploy_seconds=1.0) as api:
        begin(api)
        under_way = api.add_rollout([api.instances[0]], "instance")
        stream = {"run": "run-1", "name": "agent-001", "needs": 1.0}
        (done,) = run_at_once(api, [("instance_update", "agent-001", {**QUICK, "stream": stream})])
        assert sound(done)["adopted"]
        assert Stream("run-1").marks().started["agent-001"] == id_key(under_way["id"])


def test_a_stream_that_is_held_for_too_long_ends(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    with second_api(instances=3, policy={"max_parallel_rollouts": 2}) as api:
        begin(api, hold=str(file), hold_timeout=1, hold_interval=0.2)
        file.write_text("INC-9")
        results = [sound(done) for done in roll(api)]
        assert [row["not_admitted"]["verdict"] for row in results] == ["fail"] * 3
        assert "and it waits for 1 s at most" in results[0]["not_admitted"]["reasons"][0]
        assert api.writes() == []


def test_after_a_stop_later_tasks_make_no_call_and_missing_rules_stop_the_stream(tmp_path: Path) -> None:
    with second_api(instances=3, outcomes={"agent-001": "failed"}, deploy_seconds=0.2) as api:
        begin(api)
        stream = {"run": "run-1", "name": "agent-001"}
        assert run_second(api, "instance_runtime", "agent-001", real=True, stream=stream, **QUICK).result["failed"]
        stream = {"run": "run-1", "name": "agent-002"}
        assert sound(run_second(api, "instance_runtime", "agent-002", real=True, stream=stream, **QUICK))["skipped"]
        api.calls.clear()
        stream = {"run": "run-1", "name": "agent-003"}
        held = sound(run_second(api, "instance_runtime", "agent-003", real=True, stream=stream, **QUICK))
        assert held["skipped"] and not held["changed"] and "agent-001" in held["skipped_reason"]
        assert api.calls == []
        begin(api, "run-2")
        for path in tmp_path.glob("*/stream-run-2.*"):
            path.unlink()
        stream = {"run": "run-2", "name": "agent-003"}
        lost = sound(run_second(api, "instance_runtime", "agent-003", real=True, stream=stream, **QUICK))
        assert lost["not_admitted"]["verdict"] == "inconclusive"
        assert api.writes() == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stream": {"run": "../x"}}, "it must be 1 to 64 letters, digits and dashes"),
        ({"stream": {"run": "x", "most": 0}}, "stream.most is 0: it must be 1 or more"),
        ({"stream": {"run": "x", "health_interval": 0}}, "it must be above 0 seconds"),
    ],
)
def test_invalid_rules_are_refused(given: dict[str, Any], message: str) -> None:
    with second_api(instances=2) as api:
        done = run_second(api, "rollout_gate", **{"next_batch": {"a": "b"}, "stream": {"run": "x"}, **given})
        assert done.result["failed"] and message in done.msg
        assert api.calls == []
