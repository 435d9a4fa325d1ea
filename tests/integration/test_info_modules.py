# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""instance_update_info and instance_action_info, and all info modules of an instance with unusual answers.

How far instance_audit_info reads is tested in test_instance_audit_info.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, run_module
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import CrookedServer

HOST = "agent-001"
ID = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"


def read(sim: Simulator, module: str, **options: Any) -> dict[str, Any]:
    result = run_module(sim, module, HOST, **options).result
    assert not result.get("failed") and result["changed"] is False and "diff" not in result, result
    return result


def run_against(server: CrookedServer, module: str, body: Any, **options: Any) -> ModuleTask:
    """Run a task against a server that answers every request with ``body``."""
    server.says(body)
    return run_module(server, module, instance_id=ID, **options)


# Updates


def test_outdated_components_are_listed_with_both_versions(sim: Simulator) -> None:
    newest, running = sim.state()["newest_runtime"], sim.instance(HOST)["runtime"]
    result = read(sim, "instance_update_info")
    runtime = [row for row in result["outdated"] if row["component_type"] == "runtime"]
    assert [(row["current_version"], row["available_version"]) for row in runtime] == [(running, newest)]
    assert result["total_available"] == len(result["outdated"]) == result["updates"]["total_available"]
    assert result["update_policy"] == result["updates"]["update_policy"] != {}
    assert [row["operation_id"] for row in sim.journal()] == ["get_available_updates"]


@pytest.mark.parametrize("shape", [{}, {"timestamps": "naive"}, {"timestamps": "z"}, {"clock_skew_s": 90}])
def test_the_age_of_a_report_is_measured_by_the_servers_clock(sim: Simulator, shape: dict[str, Any]) -> None:
    sim.knobs(manifest_lag_s=600, **shape)
    ages = []
    for _look in range(4):
        result = read(sim, "instance_update_info")
        ages.append(result["manifest_age_seconds"])
        assert result["versions_reported_at"] == result["updates"]["versions_reported_at"]
        sim.advance(200)
    assert all(0 <= age <= 601 for age in ages) and max(ages) - min(ages) > 150, ages


ROW = {"slug": "calendar", "current_version": "1.0", "available_version": "1.1"}


@pytest.mark.parametrize(
    ("row", "outdated"),
    [
        ({**ROW, "has_update": True}, True),
        ({**ROW, "has_update": False}, False),
        (ROW, True),
        ({**ROW, "has_update": None}, True),
        ({**ROW, "has_update": None, "available_version": "1.0"}, False),
        ({**ROW, "has_update": None, "available_version": None}, False),
        ({"has_update": True}, True),
        (None, False),
        ("calendar", False),
    ],
)
def test_two_different_versions_count_as_an_update_if_the_server_does_not_say(
    crooked: CrookedServer, row: Any, outdated: bool
) -> None:
    for body in ({"skills": [row]}, {"mcp_servers": [row], "runtime": None}, {"runtime": row, "skills": None}):
        result = run_against(crooked, "instance_update_info", body).result
        assert not result.get("failed"), result
        assert len(result["outdated"]) == outdated
        if outdated:
            assert result["outdated"][0]["component_type"] in body


@pytest.mark.parametrize("body", [{}, {"total_available": "many", "versions_reported_at": "", "update_policy": []}])
def test_values_that_the_server_does_not_report_are_null(crooked: CrookedServer, body: dict[str, Any]) -> None:
    result = run_against(crooked, "instance_update_info", body).result
    assert not result.get("failed"), result
    assert (result["total_available"], result["manifest_age_seconds"]) == (None, None)
    assert (result["outdated"], result["update_policy"]) == ([], {})


def test_the_age_of_a_report_from_the_future_is_not_negative(crooked: CrookedServer) -> None:
    for offset, ages in ((timedelta(hours=-1), (3595, 3700)), (timedelta(hours=1), (0, 0))):
        for zone in (UTC, timezone(timedelta(hours=5))):
            reported = (datetime.now(zone) + offset).isoformat()
            result = run_against(crooked, "instance_update_info", {"versions_reported_at": reported}).result
            assert ages[0] <= result["manifest_age_seconds"] <= ages[1]


# Actions


def act(sim: Simulator, *kinds: str) -> list[str]:
    """Run the actions one after the other. Returns their ids."""
    identity, ids = sim.instance(HOST)["id"], []
    for kind in kinds:
        status, answer = sim.call("POST", f"/v1/instances/{identity}/actions/{kind}")
        assert status == 200
        ids.append(answer["action_id"])
        sim.advance(10)
    sim.clear_journal()
    return ids


BREAKERS = "clear-circuit-breakers"


def test_the_newest_actions_are_returned_and_can_be_filtered(sim: Simulator) -> None:
    first, cycle, last = act(sim, BREAKERS, "power-cycle", BREAKERS)

    def ids(**options: Any) -> list[str]:
        return [row["action_id"] for row in read(sim, "instance_action_info", **options)["actions"]]

    assert ids(limit=3) == [last, cycle, first]
    assert ids(limit=2) == [last, cycle]
    for spelled in ("power-cycle", "power_cycle", "Power Cycle"):
        assert ids(limit=3, action=[spelled]) == [cycle]
    assert ids(limit=3, action=["power-cycle", BREAKERS]) == [last, cycle, first]
    assert ids(action_id=cycle) == ids(action_id=cycle.upper()) == [cycle]
    assert ids(action_id=cycle, action=[BREAKERS]) == []
    assert ids(limit=1, action=["power-cycle"]) == [], "the limit counts the rows that are read"


def test_it_is_reported_whether_there_are_more_actions_than_the_limit(sim: Simulator) -> None:
    act(sim, *[BREAKERS] * 3)
    total = read(sim, "instance_action_info")["total"]
    assert read(sim, "instance_action_info")["truncated"] is False
    assert read(sim, "instance_action_info", limit=total)["truncated"] is False
    less = read(sim, "instance_action_info", limit=total - 1)
    assert less["truncated"] is True and len(less["actions"]) == total - 1
    act(sim, *[BREAKERS] * 100)
    full = read(sim, "instance_action_info")
    assert len(full["actions"]) == 100 and full["truncated"] is True
    assert [row["query"] for row in sim.journal(operation_id="list_instance_actions")] == [{"limit": "100"}]


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_that_the_api_does_not_accept_is_refused_before_any_call(sim: Simulator, limit: int) -> None:
    done = run_module(sim, "instance_action_info", HOST, limit=limit)
    assert done.result["failed"] and f"limit is {limit}: it must be from 1 to 100." in done.msg
    assert sim.journal() == []


def actions(number: int) -> list[dict[str, Any]]:
    return [{"action_id": str(n), "action": "reboot"} for n in range(number)]


@pytest.mark.parametrize(
    ("body", "limit", "kept", "truncated"),
    [
        ({"actions": actions(5), "total": 5}, 5, 5, False),
        ({"actions": actions(5)}, 5, 5, False),
        ({"actions": actions(6), "total": 6}, 5, 5, True),
        # The total of the rows shown, and a server that shows fewer rows than requested.
        ({"actions": actions(6), "total": 5}, 5, 5, True),
        ({"actions": actions(5), "total": 80}, 50, 5, True),
        ({"actions": actions(100), "total": 100}, 100, 100, True),
        ({"actions": None, "total": None}, 5, 0, False),
        ({"actions": [None, "reboot", {"action_type": "reboot", "id": "0"}], "total": "3"}, 5, 1, False),
    ],
)
def test_a_wrong_count_of_the_server_is_not_trusted(
    crooked: CrookedServer, body: dict[str, Any], limit: int, kept: int, truncated: bool
) -> None:
    result = run_against(crooked, "instance_action_info", body, limit=limit).result
    assert not result.get("failed"), result
    assert (len(result["actions"]), result["truncated"]) == (kept, truncated)


def test_actions_are_read_with_alternative_key_names(crooked: CrookedServer) -> None:
    body = {"actions": [{"id": 7, "type": "Power Cycle"}, {"action_id": "8", "action": "reboot"}, {}]}
    for options in ({"action_id": "7"}, {"action": ["power_cycle"]}):
        result = run_against(crooked, "instance_action_info", body, **options).result
        assert [row["id"] for row in result["actions"]] == [7]


# Audit


def test_unusual_events_are_kept_and_none_is_lost(crooked: CrookedServer) -> None:
    body = [
        {"id": "1", "event_ts": "2026-11-24T00:30:00", "outcome": "Error"},
        {"id": "2", "event_ts": None, "outcome": "error"},
        {"outcome": "error", "event_ts": "yesterday"},
        {"outcome": "error", "event_ts": "yesterday"},
        {"id": "3", "event_ts": "2026-11-24T00:10:00+00:00", "outcome": "error"},
        {"id": "4", "event_ts": "2026-11-24T00:45:00+00:00", "outcome": None},
        None,
    ]
    options: dict[str, Any] = {"gather": ["events"], "since": "2026-11-24T00:30:00Z", "outcome": ["error"]}
    for everything in (False, True):
        result = run_against(crooked, "instance_audit_info", body, all=everything, **options).result
        assert not result.get("failed"), result
        # Rows without an id cannot be told apart when the first page is read again: better shown twice than lost.
        kept = [row.get("id") for row in result["events"]]
        assert kept[:4] == ["1", "2", None, None] and (everything or len(kept) == 4) and set(kept) == {"1", "2", None}
        assert (result["truncated"], result["reaches_since"]) == (False, True)


def test_an_invalid_or_empty_time_is_refused(sim: Simulator) -> None:
    for since in ("", "yesterday"):
        done = run_module(sim, "instance_audit_info", HOST, since=since)
        assert done.result["failed"] and f"since is {since!r}" in done.msg
    assert sim.journal() == []


def test_events_that_arrive_late_are_read_by_a_later_run(sim: Simulator) -> None:
    sim.knobs(audit_per_hour=600, audit_ingest_lag_s=600)
    sim.advance(3600)
    since = read(sim, "instance_audit_info", gather=["events"], limit=1)["events"][0]["event_ts"]
    before = read(sim, "instance_audit_info", gather=["events"], all=True, since=since)["events"]
    sim.advance(1800)
    after = read(sim, "instance_audit_info", gather=["events"], all=True, since=since)["events"]
    late = [row for row in after if row["ingested_at"] > row["event_ts"]]
    assert {row["id"] for row in before} < {row["id"] for row in after} and late
    assert all(row["event_ts"] >= since for row in after)


# All info modules


@pytest.mark.parametrize("module", ["instance_update_info", "instance_action_info", "instance_audit_info"])
@pytest.mark.parametrize("body", [None, "text", 7])
def test_an_answer_of_another_shape_fails_the_task_with_one_sentence(
    crooked: CrookedServer, module: str, body: Any
) -> None:
    done = run_against(crooked, module, body)
    assert done.result["failed"] and done.result["error"]["kind"] == "unexpected" and "expected" in done.msg
    assert done.result["changed"] is False and not done.result.get("ambiguous")
