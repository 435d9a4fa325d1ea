# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls that were sent and cannot be found: identified by the server's rows, remembered, and sent at most once."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import category_of
from ansible_collections.fleetops.agents.plugins.module_utils._steps import notes_of_sent
from tests.integration.module_task import sound
from tests.integration.second_task import killed_at, run_second
from tests.second_api.api import NEW, SecondApi, second_api

FAR = 10**6
# Module, options, and the operation that it sends once.
STARTS = [
    ("instance_runtime", {"state": "redeployed"}, "redeploy_runtime"),
    ("instance_runtime", {}, "redeploy_runtime"),
    ("instance_update", {}, "apply_all_updates"),
    ("rollout", {}, "start_fleet_rollout"),
]
# Pauses that are only recorded may be long; those of a process that is killed are real.
QUICK: dict[str, Any] = {"wait_interval": 2.0}
REAL: dict[str, Any] = {"wait_interval": 0.05}


def show(api: SecondApi) -> None:
    """Let the lists show every row from now on."""
    api.quirks.list_lag = 0.0
    for row in api.rollouts:
        row["listed"] = 0.0


def notes() -> list[Path]:
    folder = Path(os.environ["XDG_STATE_HOME"]) / "fleetops" / "sent"
    # A note that is still being written does not count.
    return sorted(folder.glob("[!.]*.json")) if folder.is_dir() else []


def stages() -> list[str]:
    return [call["stage"] for path in notes() for call in json.loads(path.read_text())["calls"].values()]


# Clocks, and which row belongs to a call


# reports/2026-11 B5
@pytest.mark.parametrize("skew", [10, 3600, -3600])
@pytest.mark.parametrize("task_id", [None, lambda task: task], ids=["no id", "an id"])
@pytest.mark.parametrize(("module", "options", "operation"), STARTS)
def test_different_clocks_of_answers_and_rows_change_nothing(
    module: str, options: dict[str, Any], operation: str, skew: int, task_id: Any
) -> None:
    with second_api(date_skew=skew, task_id=(lambda task: None) if task_id is None else task_id) as api:
        if task_id is None and module == "rollout":
            api.quirks.answers[operation] = lambda answer: {**answer, "tasks": []}
        done = run_second(api, module, **QUICK, **options)
        assert sound(done)["changed"] and done.result["match"] == ("weak" if task_id is None else "exact")
        assert sum(done.pauses) < 20, "found at once"
        assert ("the only new one" in " ".join(done.warnings)) == (task_id is None)
        assert api.writes() == [operation] and set(stages()) <= {"found"}


def bare_task_ids(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of E2 with its tasks as strings."""
    return {**answer, "tasks": [task["task_id"] for task in answer["tasks"]]}


def named_4711(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of E23; the task id of the newest is a string."""
    return [{**row, "celery_task_id": "4711"} for row in rows[:1]] + rows[1:]


# reports/2026-11 E6
@pytest.mark.parametrize(
    "spelled",
    [str.upper, lambda t: t.replace("-", ""), lambda t: {"id": t}, lambda t: [t], lambda t: uuid.UUID(t).int],
    ids=["upper case", "no dashes", "an object", "a list", "a number"],
)
@pytest.mark.parametrize(("module", "options", "operation"), STARTS)
def test_a_task_id_in_another_case_or_type_is_recognised(
    module: str, options: dict[str, Any], operation: str, spelled: Any
) -> None:
    with second_api(task_id=spelled) as api:
        if module == "rollout":
            api.quirks.answers[operation] = bare_task_ids
        done = run_second(api, module, **QUICK, **options)
        assert sound(done)["match"] == "exact" and sum(done.pauses) < 20


def test_a_task_id_that_is_a_number_in_one_answer_and_text_in_the_other_is_recognised() -> None:
    with second_api(task_id=lambda task: 4711) as api:
        api.quirks.answers["list_instance_rollouts"] = named_4711
        assert sound(run_second(api, "instance_runtime", **QUICK))["match"] == "exact"


@pytest.mark.parametrize("wrong", [{"rollout_scope": "fleet"}, {"created_at": "2001-01-01T00:00:00Z"}])
def test_a_new_row_that_does_not_fit_is_not_matched_to_the_call(wrong: dict[str, Any]) -> None:
    with second_api(task_id=lambda task: None) as api:
        known = api.rollouts[0]["targets"][0]["id"]
        api.quirks.answers["list_instance_rollouts"] = lambda rows: [
            row if row["id"] == known else {**row, **wrong} for row in rows
        ]
        done = run_second(api, "instance_runtime", **QUICK)
        assert done.result["failed"] and done.result["unresolved"] and "target" not in done.result
        assert api.writes() == ["redeploy_runtime"]


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("module", ["instance_runtime", "instance_update"])
def test_a_redeploy_that_the_server_no_longer_lists_is_judged_by_the_instance(module: str, applied: bool) -> None:
    with second_api(deploy_seconds=FAR) as api:
        api.quirks.answers["get_rollout"] = lambda detail: {**detail, "targets": []}

        def lost_row(rows: Any) -> Any:
            if not api.called("get_rollout"):
                return rows
            if applied:
                api.rollouts[-1]["targets"][0]["ends"] = time.time()
            return [row for row in rows if row["rollout_id"] != api.rollouts[-1]["id"]]

        api.quirks.answers["list_instance_rollouts"] = lost_row
        done = run_second(api, module, **QUICK)
        assert sum(done.pauses) < 120 and api.writes() == [{m: w for m, _o, w in STARTS}[module]]
        if applied:
            assert sound(done)["reconciled"] == "succeeded" and done.result["redeployed"]
        else:
            assert "is no longer listed by the server (rollout " in done.msg and "did not end" not in done.msg
            assert "in_progress" not in done.msg and category_of(done.result) == "uncertain"


def test_a_new_fleet_rollout_of_another_size_is_not_matched_to_the_call() -> None:
    with second_api() as api:
        api.quirks.answers["start_fleet_rollout"] = lambda answer: {
            **answer,
            "tasks": [],
            "enqueued": 2,
            "total": 2,
        }
        done = run_second(api, "rollout", **QUICK)
        assert done.result["failed"] and "The only new rollout does not fit" in done.msg
        assert api.rollouts[-1]["id"] in done.msg and api.writes() == ["start_fleet_rollout"]


# Rows that are not listed yet


# reports/2026-11 B6
@pytest.mark.parametrize(("module", "options", "operation"), STARTS)
def test_a_later_run_finds_what_an_earlier_one_sent_and_sends_nothing(
    module: str, options: dict[str, Any], operation: str
) -> None:
    with second_api(list_lag=FAR, deploy_seconds=FAR) as api:
        first = run_second(api, module, **QUICK, **options)
        assert first.result["failed"] and first.result["changed"] and first.result["unresolved"]
        assert "accepted" in first.msg and "60 minutes" in first.msg and stages() == ["answered"]
        second = run_second(api, module, **QUICK, **options)
        assert second.result["failed"] and not second.result["changed"] and second.result["unresolved"]
        assert "is unresolved, so nothing was sent now" in second.msg and "fleetops_retry_if_absent" in second.msg
        assert module == "rollout" or api.instance("agent-001").id in second.msg
        for target in api.rollouts[-1]["targets"]:
            target["ends"] = time.time()
        show(api)
        third = sound(run_second(api, module, **QUICK, **options))
        assert not third["changed"]
        assert module != "rollout" or (third["adopted"] and third["rollout_id"] == api.rollouts[-1]["id"])
        assert options != {"state": "redeployed"} or third["adopted"]
        assert api.writes() == [operation]


def test_a_fleet_rollout_found_after_it_failed_does_not_prevent_another_one() -> None:
    with second_api(list_lag=FAR, outcomes={"agent-001": "failed"}) as api:
        assert run_second(api, "rollout", **QUICK).result["unresolved"]
        show(api)
        api.quirks.outcomes.clear()
        done = run_second(api, "rollout", **QUICK)
        assert sound(done)["changed"] and "It has ended as partial, so another one is started" in done.warnings[0]


@pytest.mark.parametrize(("module", "options", "operation"), STARTS)
@pytest.mark.parametrize("way", ["retry_if_absent", "an hour later"])
def test_a_call_that_stays_absent_is_sent_once_more_on_request_or_after_an_hour(
    module: str, options: dict[str, Any], operation: str, way: str
) -> None:
    with second_api(refused={operation: b"this is no answer"}) as api:
        first = run_second(api, module, **QUICK, **options)
        assert first.result["failed"] and first.result["ambiguous"] and first.result["unresolved"]
        assert run_second(api, module, **QUICK, **options).result["failed"] and api.writes() == [operation]
        api.quirks.refused.clear()
        if way == "an hour later":
            api.quirks.date_skew = notes_of_sent.KEPT_FOR + 10
        result = sound(run_second(api, module, **QUICK, **options, retry_if_absent=way == "retry_if_absent"))
        assert result["changed"] and api.writes() == [operation] * 2 and set(stages()) <= {"found"}


@pytest.mark.parametrize("refusal", [403, {"status": "rejected", "message": "quota exceeded"}], ids=["403", "200"])
@pytest.mark.parametrize(("module", "options", "operation"), STARTS[:3:2])
def test_a_repetition_that_is_refused_leaves_the_first_call_unknown(
    module: str, options: dict[str, Any], operation: str, refusal: Any
) -> None:
    with second_api(refused={operation: b"this is no answer"}) as api:

        def refuse_the_next_one(rows: Any) -> Any:
            if api.writes() == [operation] and isinstance(refusal, int):
                api.quirks.status[operation] = refusal
            elif api.writes() == [operation]:
                api.quirks.refused[operation] = refusal
            return rows

        api.quirks.answers["list_instance_rollouts"] = refuse_the_next_one
        done = run_second(api, module, **QUICK, **options, retry_if_absent=True)
        assert done.result["failed"] and done.result["changed"] and done.result["ambiguous"], done.result
        assert "is unknown" in done.msg and "Sending it once more failed too" in done.msg
        assert done.result.get("refused") == (None if refusal == 403 else "rejected: quota exceeded")
        assert category_of(done.result) == "uncertain" and stages() == ["lost"]
        later = run_second(api, module, **QUICK, **options)
        assert later.result["unresolved"] and api.writes() == [operation] * 2


def test_a_refused_call_is_not_remembered() -> None:
    with second_api(status={"redeploy_runtime": 403}) as api:
        assert run_second(api, "instance_runtime", **QUICK).result["failed"]
        assert stages() == []
        api.quirks.status.clear()
        assert sound(run_second(api, "instance_runtime", **QUICK))["changed"]


def test_check_mode_writes_no_note_and_only_the_user_can_read_a_note() -> None:
    with second_api(list_lag=FAR) as api:
        run_second(api, "instance_runtime", check=True, **QUICK)
        assert notes() == []
        run_second(api, "instance_runtime", **QUICK)
        (note,) = notes()
        assert (note.stat().st_mode & 0o777, note.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert "key-of-the-second-api" not in note.read_text()
        other = run_second(api, "instance_runtime", "agent-002", **QUICK)
        assert other.result["changed"] and len(api.writes()) == 2, "a note belongs to one instance"


@pytest.mark.parametrize("home", ["is a file", "is unknown"])
def test_an_unusable_state_folder_is_one_warning_that_is_the_same_for_every_instance(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleetops").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if home == "is unknown":
        # As in a container with an arbitrary user id.
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os, "getuid", lambda: 2**31 - 9)
    with second_api() as api:
        done = run_second(api, "instance_runtime", **QUICK)
        assert sound(done)["changed"]
        (warning,) = done.warnings
        # Ansible shows equal warnings of several hosts once.
        assert run_second(api, "instance_runtime", "agent-002", **QUICK).warnings == [warning]
    assert "cannot be recorded on this machine" in warning and "XDG_STATE_HOME" in warning
    assert ("there is no home directory" if home == "is unknown" else str(tmp_path / "fleetops")) in warning
    assert ".." not in warning


# Killed


# behaviour 3.5, row 16
@pytest.mark.parametrize(("module", "options", "operation"), STARTS)
@pytest.mark.parametrize("lag", [0.0, FAR], ids=["that shows", "that shows late"])
def test_after_a_kill_a_call_that_was_sent_is_followed_and_not_sent_twice(
    module: str, options: dict[str, Any], operation: str, lag: float
) -> None:
    with second_api(latency={operation: 0.3}, list_lag=lag, deploy_seconds=1.0) as api:
        killed_at(api, module, lambda: bool(api.called(operation)), **REAL, **options)
        assert stages() == ["sending"]
        deadline = time.monotonic() + 20
        while len(api.rollouts) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        if lag:
            # Shown once the second run has begun to look for it.
            api.rollouts[-1]["listed"] = time.time() + 0.5
            api.instance("agent-001").version = "1.0.0"
        sound(run_second(api, module, real=True, **REAL, **options))
        assert api.writes() == [operation]


# behaviour 3.5, row 16
@pytest.mark.parametrize(("module", "options", "operation"), STARTS)
def test_after_a_kill_before_the_call_it_is_sent_once(
    module: str, options: dict[str, Any], operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with second_api() as api:
        killed_at(api, module, lambda: bool(api.called("list_fleet_rollouts")), **QUICK, **options)
        killed_between = not api.writes()
        again = run_second(api, module, **QUICK, **options)
        sound(again)
        assert len(api.writes()) == 1 and killed_between


# behaviour 3.5, row 16
def test_a_kill_between_the_note_and_the_call_does_not_block_the_next_run() -> None:
    with second_api() as api:

        def dies(*_arguments: Any, **_options: Any) -> Any:
            os.kill(os.getpid(), 9)

        from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient

        kept, FleetClient.redeploy_runtime = FleetClient.redeploy_runtime, dies  # type: ignore[method-assign]
        try:
            killed_at(api, "instance_runtime", lambda: stages() == ["sending"], **QUICK)
        finally:
            FleetClient.redeploy_runtime = kept  # type: ignore[method-assign]
        done = run_second(api, "instance_runtime", **QUICK)
        assert sound(done)["changed"] and any("counts as never sent" in text for text in done.warnings), done.warnings
        assert sum(done.pauses) >= notes_of_sent.SETTLES_WITHIN - 10, "a call that was sent may still appear"
        assert api.writes() == ["redeploy_runtime"]


# Memory and restarts

MEMORY = {"content": "Invoices go out on Fridays."}


def test_a_memory_that_was_sent_and_does_not_appear_is_not_stored_twice() -> None:
    with second_api(answers={"store_memory": b"this is no answer"}) as api:
        kept = api.instance("agent-001")
        api.quirks.answers["list_memories"] = {"memories": [], "count": 0, "status": {}}
        first = run_second(api, "instance_memory", **MEMORY)
        assert first.result["failed"] and first.result["unresolved"] and stages() == ["lost"]
        assert MEMORY["content"] not in notes()[0].read_text()
        second = run_second(api, "instance_memory", **MEMORY)
        assert second.result["failed"] and not second.result["changed"] and "is unresolved" in second.msg
        del api.quirks.answers["list_memories"]
        assert not sound(run_second(api, "instance_memory", **MEMORY))["changed"] and stages() == []
        assert len(kept.memories) == 1 and api.writes() == ["store_memory"]


def test_a_memory_that_is_listed_late_is_waited_for_and_a_cleared_one_is_stored_again() -> None:
    with second_api() as api:
        kept = api.instance("agent-001")
        assert sound(run_second(api, "instance_memory", **MEMORY))["changed"]
        hidden = {"memories": [], "count": 0, "status": {}}
        looks = len(api.called("list_memories"))
        api.quirks.answers["list_memories"] = lambda usual: (
            hidden if len(api.called("list_memories")) < looks + 4 else usual
        )
        assert not sound(run_second(api, "instance_memory", **MEMORY))["changed"]
        assert sound(run_second(api, "instance_memory", state="absent", all=True))["deleted"] == 1
        done = run_second(api, "instance_memory", **MEMORY)
        assert sound(done)["changed"] and done.pauses == [] and len(kept.memories) == 1


# behaviour 3.5, row 16
@pytest.mark.parametrize(
    ("module", "operation"), [("instance_power_cycle", "power_cycle"), ("instance_reboot", "reboot")]
)
@pytest.mark.parametrize("skew", [0, 3600])
def test_a_restart_by_a_killed_run_is_proved_and_not_repeated(module: str, operation: str, skew: float) -> None:
    with second_api(latency={operation: 0.3}, date_skew=skew) as api:
        killed_at(api, module, lambda: bool(api.called(operation)), **REAL)
        deadline = time.monotonic() + 20
        while not api.instance("agent-001").actions and time.monotonic() < deadline:
            time.sleep(0.01)
        done = run_second(api, module, **QUICK)
        assert sound(done)["reconciled"] == "executed" and not done.result["changed"]
        assert api.writes() == [operation]
        api.instance("agent-001").booted -= 1000
        again = sound(run_second(api, module, **QUICK))
        assert again["changed"] and api.writes() == [operation] * 2, "a new task is a new restart"


def test_a_restart_is_proved_by_the_clock_of_the_records_only() -> None:
    with second_api(date_skew=7200) as api:
        api.quirks.answers["get_deep_health"] = lambda usual: usual
        done = run_second(api, "instance_power_cycle", **QUICK)
        assert sound(done)["restart_evidence"] == "boot_time"
        skipped = sound(run_second(api, "instance_power_cycle", min_uptime=600, **QUICK))
        assert "which is less than min_uptime" in skipped["skipped_reason"] and len(api.writes()) == 1


def test_an_update_of_skills_only_is_proved_by_the_clock_of_the_records_only() -> None:
    with second_api(date_skew=7200) as api:
        for one in api.instances:
            one.version, one.skill_waits = NEW, True
        done = run_second(api, "instance_update", **QUICK)
        assert sound(done)["skills_applied"] == ["search"] and done.warnings == []
