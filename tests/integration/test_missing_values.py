# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that omits fields or returns null for them: the messages say that the values are unknown."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PlaybookRun
from tests.integration.module_task import ModuleTask
from tests.integration.second_task import run_second
from tests.second_api.api import SecondApi, second_api

LEFT_OUT = {
    "id", "rollout_id", "status", "created_at", "started_at", "initiated_from_ip", "versions_reported_at",
    "current_version", "has_update", "total_targets",
}  # fmt: skip
LISTS = ("list_fleet_rollouts", "list_instance_rollouts")


def without(body: Any) -> Any:
    """A body without the fields LEFT_OUT, at any depth."""
    if isinstance(body, dict):
        return {key: without(value) for key, value in body.items() if key not in LEFT_OUT}
    return [without(item) for item in body] if isinstance(body, list) else body


def as_null(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: None if key in LEFT_OUT else as_null(value) for key, value in body.items()}
    return [as_null(item) for item in body] if isinstance(body, list) else body


def under_way(api: SecondApi) -> None:
    api.quirks.deploy_seconds = 1e5
    api.add_rollout(api.instances, "fleet")


def failed(api: SecondApi) -> None:
    api.quirks.deploy_seconds, api.quirks.outcomes = 0.0, {"agent-001": "failed"}
    api.add_rollout(api.instances, "fleet")


# What has happened, the module and its options, and its message.
SITUATIONS: list[tuple[Callable[[SecondApi], None], str, dict[str, Any], str]] = [
    (
        under_way,
        "rollout",
        {"state": "started", "on_active": "fail"},
        "already in progress: one without an id (no status)",
    ),
    (
        under_way,
        "rollout",
        {"state": "started"},
        "without an id (created at an unknown time, from an unknown address), so",
    ),
    (
        under_way,
        "rollout",
        {"state": "paused"},
        "without an id (created at an unknown time, from an unknown address), so",
    ),
    (under_way, "instance_reboot", {}, "by a rollout without an id (a target without an id has no status)"),
    (
        under_way,
        "rollout_gate",
        {"next_batch": {"agent-001": "i-1"}},
        "in progress on the server: one without an id (no status)",
    ),
    (under_way, "instance_runtime", {}, "has_update is unknown, current_version is unknown"),
    (failed, "rollout_target", {"rollout_id": "", "select": "failed"}, "has a target without an id (instance "),
    (failed, "rollout_target", {"rollout_id": "", "instance_id": ""}, "has a target without an id (instance "),
]


@pytest.mark.parametrize("change", [without, as_null])
@pytest.mark.parametrize(("happened", "module", "options", "message"), SITUATIONS)
def test_values_that_the_server_omits_are_reported_as_unknown(
    happened: Callable[[SecondApi], None],
    module: str,
    options: dict[str, Any],
    message: str,
    change: Callable[[Any], Any],
) -> None:
    answers = dict.fromkeys((*LISTS, "get_deep_health", "get_available_updates"), change)
    with second_api(instances=2) as api:
        happened(api)
        given = {**options}
        if "rollout_id" in given:
            # A target is selected by its status; its id is missing.
            answers["get_rollout"] = lambda body: {
                **body, "targets": [{**row, "id": None} for row in body["targets"]],
            }  # fmt: skip
            given["rollout_id"] = api.rollouts[-1]["id"]
        if "instance_id" in given:
            given["instance_id"] = api.instances[0].id
        api.quirks.answers = answers
        done = run_second(api, module, **given)
        assert api.writes() == []
    assert message in sentence_of(done) and "None" not in sentence_of(done)


def sentence_of(done: ModuleTask) -> str:
    """All messages of the module."""
    texts = [done.result.get("msg", ""), *done.warnings, *done.result.get("text", ())]
    return " ".join([*texts, *(check["reason"] for check in done.result.get("checks", ()))])


@pytest.mark.parametrize("change", [without, as_null])
def test_a_rollout_without_an_id_and_a_status_is_followed_by_the_requested_id(
    change: Callable[[Any], Any],
) -> None:
    with second_api(instances=2, deploy_seconds=0.0, outcomes={"agent-001": "failed"}) as api:
        api.quirks.answers = {"get_rollout": lambda body: {**body, "rollout": change(body["rollout"])}}
        done = run_second(api, "rollout", state="started")
        assert api.called("start_fleet_rollout") and done.result["rollout_id"] == api.rollouts[-1]["id"]
    assert (
        f"Fleet rollout {done.result['rollout_id']} ended without a status: of 2 targets, 1 failed: agent-001"
        in done.msg
    )
    assert "None" not in sentence_of(done)


def test_a_number_of_enqueued_instances_that_is_none_is_not_0() -> None:
    with second_api(instances=2) as api:
        api.quirks.answers = {"start_fleet_rollout": lambda body: {**body, "enqueued": -1}}
        result = run_second(api, "rollout", state="started", wait=False).result
        assert (result["changed"], result["rollout_id"]) == (True, api.rollouts[-1]["id"])


@pytest.mark.parametrize("odd", [{"id": None}, {"id": ["x"]}, {"rollout_id": "\ud800x"}])
def test_a_redeploy_whose_row_has_unusual_ids_is_followed_to_its_end(odd: dict[str, Any]) -> None:
    with second_api(instances=2, deploy_seconds=5.0) as api:
        api.quirks.answers = {"list_instance_rollouts": lambda rows: [{**row, **odd} for row in rows]}
        done = run_second(api, "instance_runtime", instance_id=api.instances[0].id)
        assert api.writes() == ["redeploy_runtime"]
    assert done.result.get("redeployed"), done.result


@pytest.mark.playbook
def test_an_unknown_audit_count_is_not_shown_as_0_and_the_report_is_still_written(
    run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    def summary(body: dict[str, Any]) -> dict[str, Any]:
        # Only the first instance has errors; its counts of them are null. No instance has a count of denied events.
        first = body["error_events"] == 2
        changed = {"error_events": None} if first else {"total_events": "7"} if body["total_events"] == 7 else {}
        kept = {key: value for key, value in {**body, **changed}.items() if key != "denied_events"}
        return {**kept, "success_events": None} if first else {**kept, "by_source": None}

    def events(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"id": row["id"], "outcome": row["outcome"], "tool_name": None} for row in rows]

    with second_api(instances=3, answers={"get_audit_summary": summary, "list_audit_events": events}) as api:
        api.add_rollout(api.instances, "fleet", ended=True)
        api.add_events("agent-001", 2, "error")
        api.add_events("agent-002", 7)
        api.add_events("agent-003", 4)
        given = {"fleetops_audit_dir": str(tmp_path / "audit"), "fleetops_audit_since": "2020-01-01"}
        run = run_playbook(api, "playbooks/audit_report.yml", e=given)
    assert run.rc == 0, run.output
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert report["totals"] == {
        "total_events": 13, "success_events": 11, "error_events": 0, "denied_events": None,
    }  # fmt: skip
    assert report["incomplete"] == {
        "total_events": [],
        "success_events": ["agent-001"],
        "error_events": ["agent-001"],
        "denied_events": ["agent-001", "agent-002", "agent-003"],
    }
    rows = {row["instance"]: row for row in csv.DictReader((tmp_path / "audit" / "audit.csv").open())}
    assert rows["agent-001"] == {
        "instance": "agent-001", "total_events": "2", "success_events": "", "error_events": "", "denied_events": "",
    }  # fmt: skip
    assert rows["agent-002"]["total_events"] == rows["agent-002"]["success_events"] == "7"
    text = (tmp_path / "audit" / "audit.md").read_text()
    assert "| agent-001 | 2 | not known | not known | not known |" in text
    assert "| **all** | 13 | at least 11 | at least 0 | not known |" in text
    assert "The server gave no valid count of the error events of: agent-001" in text
    assert "- unknown time error unknown type   (role unknown, request unknown)" in text and "None" not in text


@pytest.mark.playbook
def test_a_text_of_an_audit_event_can_neither_add_a_line_to_the_report_nor_a_link(
    run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    tool = "x)\n\n## agent-009\n- 2026-11-01 success ![i](https://203.0.113.9/i.png) <img src=x> {{ 7 * 7 }} `"

    def events(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "tool_name": tool, "role": "agent\r\n# All is well"} for row in rows]

    with second_api(instances=1, answers={"list_audit_events": events}) as api:
        api.add_events("agent-001", 2, "denied")
        given = {"fleetops_audit_dir": str(tmp_path / "audit"), "fleetops_audit_since": "2020-01-01"}
        run = run_playbook(api, "playbooks/audit_report.yml", e=given)
    assert run.rc == 0, run.output
    lines = (tmp_path / "audit" / "audit.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == ["# Audit of 1 instances", "## agent-001"]
    listed = [line for line in lines if line.startswith("- ")]
    assert len(listed) == 2
    for line in listed:
        assert (
            r"x) ## agent-009 - 2026-11-01 success !\[i](https://203.0.113.9/i.png) \<img src=x> {{ 7 * 7 }} \` (role"
            in line
        )
        assert "(role agent # All is well, request unknown)" in line
    event = json.loads((tmp_path / "audit" / "audit.json").read_text())["events"]["agent-001"][0]
    assert event["tool_name"] == tool


@pytest.mark.playbook
def test_a_policy_without_a_limit_can_be_set_and_shown(run_playbook: Callable[..., PlaybookRun]) -> None:
    def without_limit(body: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in body.items() if key != "max_parallel_rollouts"}

    with second_api(instances=1, answers={"get_fleet_update_policy": without_limit}) as api:
        run = run_playbook(api, "playbooks/update_policy.yml", e={"fleetops_runtime_default": "auto"})
        assert run.rc == 0, run.output
        assert api.policy["runtime_default"] == "auto"
        assert "The update policy's max_parallel_rollouts is not given by the server; nothing is started." in run.stdout
        assert "The maintenance window is open all day." in run.stdout


@pytest.mark.playbook
def test_a_health_record_without_a_status_does_not_mean_that_the_agent_does_not_answer(
    run_playbook: Callable[..., PlaybookRun],
) -> None:
    with second_api(instances=1, answers={"get_deep_health": as_null}) as api:
        api.add_rollout(api.instances, "fleet", ended=True)
        run = run_playbook(api, "playbooks/recover.yml", e={"fleetops_recover_rungs": ["breakers"]})
        assert run.rc == 2, run.output
        assert "Still not healthy after breakers: the server gives no status" in run.stdout
        api.quirks.answers, api.quirks.status["get_deep_health"] = {}, 503
        run = run_playbook(api, "playbooks/recover.yml", e={"fleetops_recover_rungs": ["breakers"]})
        assert run.rc == 2 and "no attribute" not in run.output, run.output
        assert "does not answer its live health check (HTTP 503" in run.stdout.partition("Still not healthy")[2]
