# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator over HTTP: roles, validation, the maintenance window, lists, the clock, and the journal."""

from __future__ import annotations

import json
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.running import Simulator
from tests.simulator_tests.raw_client import ask

CONTRACT = Path(__file__).resolve().parents[2] / "docs" / "contract" / "openapi.yaml"
NOBODY = "00000000-0000-4000-8000-000000000000"
FLEET = "/v1/instances/fleet"
ROLLOUT = f"{FLEET}/runtime/rollouts/{NOBODY}"
ONE = f"/v1/instances/{NOBODY}"
USER, ADMIN, TENANT, OVERRIDE = "user", "admin", "tenant_admin", "tenant_admin_override"
# Every operation with the lowest role that may call it. The ids are unknown, so a permitted call answers 404.
OPERATIONS = [
    ("GET", f"{FLEET}/runtime-rollouts/{NOBODY}/timeline", USER),
    ("POST", f"{FLEET}/runtime/rollout", TENANT),
    ("GET", f"{FLEET}/runtime/rollouts", USER),
    ("GET", ROLLOUT, USER),
    ("POST", f"{ROLLOUT}/cancel", TENANT),
    ("POST", f"{ROLLOUT}/pause", TENANT),
    ("POST", f"{ROLLOUT}/resume", TENANT),
    ("POST", f"{ROLLOUT}/targets/{NOBODY}/retry", TENANT),
    ("GET", f"{FLEET}/updates/policy", USER),
    ("PATCH", f"{FLEET}/updates/policy", TENANT),
    ("GET", f"{ONE}/actions", USER),
    ("POST", f"{ONE}/actions/clear-circuit-breakers", USER),
    ("POST", f"{ONE}/actions/power-cycle", USER),
    ("POST", f"{ONE}/actions/reboot", ADMIN),
    ("POST", f"{ONE}/actions/run-diagnostics", USER),
    ("GET", f"{ONE}/health/deep", USER),
    ("GET", f"{ONE}/memory", USER),
    ("POST", f"{ONE}/memory", USER),
    ("DELETE", f"{ONE}/memory", USER),
    ("GET", f"{ONE}/runtime/audit", USER),
    ("GET", f"{ONE}/runtime/audit/summary", USER),
    ("POST", f"{ONE}/runtime/redeploy", ADMIN),
    ("GET", f"{ONE}/runtime/rollouts", USER),
    ("POST", f"{ONE}/updates/apply-all", USER),
    ("GET", f"{ONE}/updates/available", USER),
    ("PATCH", f"{ONE}/updates/policy", USER),
]


def body_of(method: str, path: str) -> Any:
    return {} if method in ("PATCH", "DELETE") or path.endswith("/memory") else None


def start(sim: Simulator, **query: Any) -> tuple[int, Any]:
    override = "?override_window=true" if query.get("override") else ""
    return sim.call("POST", f"{FLEET}/runtime/rollout{override}", key=sim.keys[query.get("role", OVERRIDE)])


def test_every_operation_requires_its_role(sim: Simulator) -> None:
    assert len(OPERATIONS) == 26
    roles = [USER, ADMIN, TENANT, OVERRIDE]
    for method, path, least in OPERATIONS:
        body = body_of(method, path)
        for wrong in (None, "wrong"):
            status, answer = sim.call(method, path, body, key=wrong)
            assert status == 401 and "key" in answer["detail"], (method, path)
        for role in roles:
            status, answer = sim.call(method, path, body, key=sim.keys[role])
            if roles.index(role) < roles.index(least):
                assert status == 403 and "required" in answer["detail"], (method, path, role)
            elif NOBODY in path:
                assert (status, "not found" in answer["detail"]) == (404, True), (method, path, role)
            else:
                assert status in (200, 409), (method, path, role)
    assert {row["operation_id"] for row in sim.journal()} == set(
        re.findall(r"operationId: (\w+)", CONTRACT.read_text(encoding="utf-8"))
    )


def test_override_window_requires_the_admin_flag_even_if_the_window_is_open(sim: Simulator) -> None:
    status, answer = start(sim, override=True, role=TENANT)
    assert status == 403 and "tenant-wide admin flag" in answer["detail"]
    assert start(sim, override=True)[0] == 200


def test_a_key_is_refused_after_its_expiry(sim: Simulator) -> None:
    sim.knobs(key_expiry={USER: 30})
    path = f"{FLEET}/updates/policy"
    assert sim.call("GET", path, key=sim.keys[USER])[0] == 200
    sim.advance(30)
    assert sim.call("GET", path, key=sim.keys[USER])[0] == 401
    assert sim.call("GET", path, key=sim.keys[ADMIN])[0] == 200


LIMITS = [
    (f"{FLEET}/runtime/rollouts", 100),
    ("{one}/actions", 100),
    ("{one}/memory", 200),
    ("{one}/runtime/audit", 500),
    ("{one}/runtime/rollouts", 100),
]


@pytest.mark.parametrize(("path", "most"), LIMITS)
def test_a_page_limit_outside_its_range_is_refused(sim: Simulator, path: str, most: int) -> None:
    path = path.format(one=f"/v1/instances/{sim.instance_ids[0]}")
    for limit in (1, most):
        assert sim.call("GET", f"{path}?limit={limit}")[0] == 200
    for limit, kind in ((0, "greater_than_equal"), (most + 1, "less_than_equal"), ("x", "int_parsing")):
        status, answer = sim.call("GET", f"{path}?limit={limit}")
        (problem,) = answer["detail"]
        assert (status, problem["loc"], problem["type"]) == (422, ["query", "limit"], kind)
        assert isinstance(problem["msg"], str)


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        (f"{FLEET}/updates/policy", {"max_parallel_rollouts": 0}, ["body", "max_parallel_rollouts"]),
        (f"{FLEET}/updates/policy", {"max_parallel_rollouts": None}, ["body", "max_parallel_rollouts"]),
        (f"{FLEET}/updates/policy", {"max_parallel_rollouts": "3"}, ["body", "max_parallel_rollouts"]),
        (
            f"{FLEET}/updates/policy",
            {"maintenance_window_end_hour_utc": 24},
            ["body", "maintenance_window_end_hour_utc"],
        ),
        (f"{FLEET}/updates/policy", [1], ["body"]),
        ("/v1/instances/x/updates/policy", {}, ["path", "instance_id"]),
        ("{one}/updates/policy", {"runtime": "sometimes"}, ["body", "runtime"]),
    ],
)
def test_malformed_bodies_and_ids_are_refused_with_their_location(
    sim: Simulator, path: str, body: Any, loc: list[str]
) -> None:
    path = path.format(one=f"/v1/instances/{sim.instance_ids[0]}")
    status, answer = sim.call("PATCH", path, body)
    assert (status, answer["detail"][0]["loc"]) == (422, loc)
    assert not [row for row in sim.writes() if row["executed"]]


def test_an_instance_can_override_the_policy_inherit_it_again_and_not_choose_auto_for_skills(sim: Simulator) -> None:
    path = f"/v1/instances/{sim.instance_ids[0]}/updates"
    assert sim.call("PATCH", f"{path}/policy", {"runtime": "disabled"})[1]["runtime_override"] == "disabled"
    assert sim.call("GET", f"{path}/available")[1]["update_policy"]["runtime"] == "disabled"
    assert sim.call("PATCH", f"{path}/policy", {"skills": "auto"})[0] == 409
    restored = sim.call("PATCH", f"{path}/policy", {"runtime": None})[1]
    assert (restored["runtime"], restored["runtime_override"]) == ("notify", None)


@pytest.mark.parametrize("error", [403, 409, 422, "200_skip", "defer_countdown"])
def test_a_fleet_rollout_outside_the_window_is_refused_skipped_or_deferred_as_the_knob_says(
    sim: Simulator, error: object
) -> None:
    # It is noon, and the window opens at 02:00.
    sim.knobs(window_error=error, policy={"maintenance_window_start_hour_utc": 2, "maintenance_window_end_hour_utc": 4})
    before = {row["id"] for row in sim.state()["rollouts"]}
    status, answer = start(sim)
    new = [row for row in sim.state()["rollouts"] if row["id"] not in before]
    if error in (403, 409, 422):
        assert (status, new) == (error, []) and "maintenance window (2:00-4:00 UTC)" in answer["detail"]
    elif error == "200_skip":
        assert (status, answer["enqueued"], answer["skipped"], answer["tasks"], new) == (200, 0, 8, [], [])
    else:
        assert (status, answer["enqueued"]) == (200, 8)
        targets = sim.call("GET", f"{FLEET}/runtime/rollouts/{new[0]['id']}")[1]["targets"]
        assert min(row["scheduled_countdown_seconds"] for row in targets) == pytest.approx(14 * 3600, abs=1)
        sim.advance(13 * 3600)
        assert sim.in_flight()["now"] == 0
        sim.advance(3600 + 1)
        assert sim.in_flight()["now"] == 2
        return
    status, answer = start(sim, override=True)
    assert (status, answer["enqueued"]) == (200, 8)


@pytest.mark.parametrize(("mode", "status"), [("open", 200), ("closed", 409)])
def test_a_window_with_equal_hours_is_open_or_closed_as_the_knob_says(sim: Simulator, mode: str, status: int) -> None:
    sim.knobs(equal_hours=mode)
    assert start(sim)[0] == status


def test_a_second_fleet_rollout_is_refused_or_allowed_as_the_knob_says(sim: Simulator) -> None:
    assert start(sim)[0] == 200
    status, answer = start(sim)
    assert status == 409 and "in flight" in answer["detail"]
    sim.knobs(second_fleet="allow")
    assert start(sim)[1]["enqueued"] == 0, "all instances are already queued"


@pytest.mark.parametrize(("most", "at_once"), [("2", 2), ("two", 8), (1.0, 1), (True, 8), ([], 8), (None, 8), (-1, 0)])
def test_an_invalid_parallel_limit_is_served_and_does_not_break_a_rollout(
    sim: Simulator, most: Any, at_once: int
) -> None:
    sim.knobs(policy={"max_parallel_rollouts": most, "maintenance_window_start_hour_utc": "noon"}, deploy_s=10)
    status, policy = sim.call("GET", f"{FLEET}/updates/policy")
    assert (status, policy["max_parallel_rollouts"]) == (200, most)
    status, started = sim.call("POST", f"{FLEET}/runtime/rollout")
    assert (status, started["enqueued"]) == (200, 8)
    sim.advance(9)
    assert (sim.in_flight()["now"], sim.in_flight()["violations"]) == (at_once, [])
    with pytest.raises(ValueError, match="not JSON compliant"):
        sim.knobs(policy={"max_parallel_rollouts": float("inf")})
    # With the other limit the rollout would never end.
    sim.knobs(policy={"max_parallel_rollouts": 8})
    sim.advance(120)


def test_a_new_rollout_is_invisible_until_list_lag_has_passed(sim: Simulator) -> None:
    sim.knobs(list_lag_s=10)
    one = sim.instance_ids[0]
    seen = sim.call("GET", f"{FLEET}/runtime/rollouts")[1][0]["id"]
    task = sim.call("POST", f"/v1/instances/{one}/runtime/redeploy")[1]["task_id"]
    hidden = sim.state()["rollouts"][-1]["id"]
    for moment in (0, 9):
        sim.advance(moment)
        assert sim.call("GET", f"{FLEET}/runtime/rollouts")[1][0]["id"] == seen
        assert sim.call("GET", f"/v1/instances/{one}/runtime/rollouts")[1][0]["celery_task_id"] != task
        assert sim.call("GET", f"{FLEET}/runtime/rollouts/{hidden}")[0] == 404
    sim.advance(1)
    assert sim.call("GET", f"{FLEET}/runtime/rollouts")[1][0]["id"] == hidden
    assert sim.call("GET", f"/v1/instances/{one}/runtime/rollouts")[1][0]["celery_task_id"] == task


def test_pages_form_the_complete_list_newest_first_and_shift_when_rollouts_are_inserted(sim: Simulator) -> None:
    sim.knobs(insert_rollouts=30)
    path = f"{FLEET}/runtime/rollouts"
    whole = sim.call("GET", f"{path}?limit=100")[1]
    assert len(whole) >= 30 and whole == sorted(whole, key=lambda row: row["created_at"], reverse=True)
    pages = [row for offset in range(0, 100, 7) for row in sim.call("GET", f"{path}?limit=7&offset={offset}")[1]]
    assert pages[: len(whole)] == whole[: len(pages)]
    first = sim.call("GET", f"{path}?limit=5")[1]
    sim.knobs(insert_rollouts_per_s=0.5)
    sim.advance(10)
    shifted = sim.call("GET", f"{path}?limit=5&offset=5")[1]
    assert [row["id"] for row in shifted] == [row["id"] for row in first]
    oldest = sim.state()["rollouts"][0]["id"]
    sim.knobs(insert_rollouts_per_s=0, delete_rollouts=1)
    assert sim.call("GET", f"{path}/{oldest}")[0] == 404


def test_the_list_of_memories_is_limited_and_filtered(sim: Simulator) -> None:
    path = f"/v1/instances/{sim.instance_ids[1]}/memory"
    sim.call("DELETE", path, {})
    for number in range(12):
        sim.call("POST", path, {"content": f"fact {number}", "conversation_id": f"c{number % 3}", "customer_id": "k"})
    assert sim.call("GET", f"{path}?limit=5")[1]["count"] == 5
    one = sim.call("GET", f"{path}?conversation_id=c1&customer_id=k")[1]
    assert [row["content"] for row in one["memories"]] == ["fact 10", "fact 7", "fact 4", "fact 1"]
    assert sim.call("DELETE", path, {"conversation_id": "c1"})[1]["deleted"] == 4
    assert sim.call("DELETE", path, {})[1]["deleted"] == 8
    assert sim.call("GET", path)[1]["memories"] == []


def test_the_reply_knobs_change_the_form_of_the_replies(sim: Simulator) -> None:
    sim.knobs(tasks_shape="rollout_id", status_words="synonyms", completed_at_empty="text", timestamps="naive")
    tasks = start(sim)[1]["tasks"]
    rollout = tasks[0]["rollout_id"]
    path = f"{FLEET}/runtime/rollouts/{rollout}"
    detail = sim.call("GET", path)[1]
    assert detail["rollout"]["status"] == "running" and detail["rollout"]["completed_at"] == ""
    assert {row["status"] for row in detail["targets"]} == {"running", "pending"}
    assert datetime.fromisoformat(detail["rollout"]["created_at"]).tzinfo is None
    for shape, answer in (("object", dict), ("empty", dict), ("null", type(None))):
        sim.knobs(null_bodies=shape, status_words={"paused": "ON-HOLD"}, timestamps="z")
        assert isinstance(sim.call("POST", f"{path}/pause")[1], answer)
    rollout_row = sim.call("GET", path)[1]["rollout"]
    assert rollout_row["status"] == "ON-HOLD" and rollout_row["created_at"].endswith("Z")
    sim.call("POST", f"{path}/cancel")
    sim.knobs(task_id_null=True)
    assert sim.call("POST", f"/v1/instances/{sim.instance_ids[5]}/runtime/redeploy")[1]["task_id"] is None


def test_apply_all_leaves_no_updates_available(sim: Simulator) -> None:
    one = f"/v1/instances/{sim.instance_ids[2]}"
    assert sim.call("GET", f"{one}/updates/available")[1]["total_available"] > 0
    answer = sim.call("POST", f"{one}/updates/apply-all")[1]
    sim.advance(60)
    assert sim.call("GET", f"{one}/updates/available")[1]["total_available"] == 0
    row = sim.call("GET", f"{one}/runtime/rollouts?limit=1")[1][0]
    assert (row["celery_task_id"], row["status"]) == (answer["runtime_task_id"], "succeeded")
    again = sim.call("POST", f"{one}/updates/apply-all")[1]
    assert (again["runtime_task_id"], again["skills_applied"]) == (None, [])
    actions = sim.call("GET", f"{one}/actions")[1]["actions"]
    assert [item["action"] for item in actions[:2]] == ["apply-all", "apply-all"]
    assert {item["status"] for item in actions[:2]} == {"completed"}


def test_the_date_header_and_the_timestamps_follow_the_virtual_clock(sim: Simulator) -> None:
    path = f"/v1/instances/{sim.instance_ids[0]}/health/deep?force=true"
    now = sim.state()["now"]
    for skew in (0, -90):
        sim.knobs(clock_skew_s=skew)
        answer = ask(sim, "GET", path)
        assert parsedate_to_datetime(answer.headers["date"]).timestamp() == int(now + skew)
        assert datetime.fromisoformat(answer.json["checked_at"]).timestamp() == pytest.approx(now + skew, abs=0.001)
    sim.advance(3600)
    later = ask(sim, "GET", path)
    assert parsedate_to_datetime(later.headers["date"]).timestamp() == int(now - 90 + 3600)
    assert later.json["uptime_seconds"] == pytest.approx(answer.json["uptime_seconds"] + 3600)


def test_the_journal_contains_every_request_without_its_key(sim: Simulator) -> None:
    one = sim.instance("agent-003")
    sim.call("GET", f"/v1/instances/{one['id']}/memory?limit=7", key=sim.keys[USER])
    sim.call("POST", f"/v1/instances/{one['id']}/memory", {"content": "x"}, key=sim.keys[ADMIN])
    sim.call("POST", f"/v1/instances/{one['id']}/actions/reboot", key=sim.keys[USER])
    read, write, refused = sim.journal()
    assert (read["operation_id"], read["query"], read["role"], read["status"]) == (
        "list_memories",
        {"limit": "7"},
        USER,
        200,
    )
    assert (write["body"], write["instance"], write["executed"]) == ({"content": "x"}, one["hostname"], True)
    assert (refused["status"], refused["executed"]) == (403, False)
    assert [row["seq"] for row in sim.journal(since=read["seq"], method="POST", path="/memory")] == [write["seq"]]
    assert [row["operation_id"] for row in sim.writes()] == ["store_memory", "reboot"]
    assert sim.control("GET", "requests") == sim.journal()
    served = json.dumps([sim.journal(), sim.state(), sim.control("GET", "knobs"), sim.in_flight()])
    assert not [role for role, key in sim.keys.items() if key in served]


def test_a_schedule_adds_and_removes_instances(sim: Simulator) -> None:
    host = "agent-900.fra1.fleet.example"
    sim.knobs(schedule=[{"at_s": 10, "new": [host]}, {"at_s": 20, "gone": [host]}])
    sim.advance(10)
    path = f"/v1/instances/{sim.instance(host)['id']}/health/deep"
    assert sim.call("GET", path)[0] == 200
    sim.advance(10)
    assert sim.call("GET", path)[0] == 404


def test_twin_rollouts_start_a_second_identical_rollout(sim: Simulator) -> None:
    sim.knobs(twin_rollouts=1, tasks_shape="empty")
    before = {row["id"] for row in sim.state()["rollouts"]}
    assert start(sim)[1]["tasks"] == []
    new = [row for row in sim.state()["rollouts"] if row["id"] not in before]
    assert [(row["scope"], row["total"]) for row in new] == [("fleet", 8), ("fleet", 8)]
    sim.advance(3600)
    assert sim.in_flight()["violations"] == []
    assert {row["status"] for row in sim.state()["rollouts"] if row["id"] not in before} == {"completed"}
