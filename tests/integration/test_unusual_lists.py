# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers with short pages, or with the oldest row first: no row is lost, and ordinary servers get no more calls."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient, connect
from console.collect.api.session import ApiOptions, ApiReport
from console.collect.sync import sync_once
from console.settings.environment import ApiConnection, Settings
from tests.conftest import BIN, CHECKOUT
from tests.console.support.facts import rows
from tests.integration.in_process import result_of
from tests.integration.second_task import run_second
from tests.second_api.api import KEY, SecondApi, second_api

LISTS = ("list_fleet_rollouts", "list_instance_rollouts", "list_audit_events", "list_instance_actions")
OLDEST_FIRST = set(LISTS)


def client(api: SecondApi) -> FleetClient:
    return connect(api.url, KEY, retries=0)


def sync(api: SecondApi, database: Path, **options: Any) -> ApiReport:
    settings = Settings(database=database, run_log_dir=database.parent / "none")
    connection = ApiConnection(api.url, KEY, retries=0)
    report = sync_once(settings, connection=connection, run_logs=False, api_options=ApiOptions(**options)).api
    assert report is not None
    return report


def stored(database: Path) -> int:
    return rows(database, "SELECT count(*) AS n FROM audit_events")[0]["n"]


def hosts(api: SecondApi, folder: Path, **options: Any) -> list[str]:
    """The fleet as ansible-inventory lists it, which must not warn."""
    source = folder / "test.fleet.yml"
    source.write_text(json.dumps({"plugin": "fleetops.agents.fleet", **options}))
    environment = {**api.environment(), "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder)}
    environment |= {"ANSIBLE_CONFIG": str(CHECKOUT / "inventories" / "demo" / "ansible.cfg")}
    done = subprocess.run(
        [str(BIN / "ansible-inventory"), "-i", str(source), "--list"],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return sorted(json.loads(done.stdout)["_meta"]["hostvars"])


def add_single_rollouts(api: SecondApi, number: int) -> None:
    """Add finished redeploys of the first instance that are newer than the fleet rollout."""
    for n in range(number):
        api.add_rollout(api.instances[:1], "instance", ended=True, at=time.time() - 3000 + n)


# reports/2026-11 A2


@pytest.mark.playbook
@pytest.mark.parametrize("quirk", [{"page_cap": {"list_fleet_rollouts": 20}}, {"oldest_first": OLDEST_FIRST}])
def test_the_inventory_finds_the_fleet_behind_newer_redeploys(quirk: dict[str, Any], tmp_path: Path) -> None:
    with second_api(instances=5, **quirk) as api:
        add_single_rollouts(api, 25)
        assert hosts(api, tmp_path) == [one.hostname for one in api.instances]


@pytest.mark.playbook
def test_the_inventory_reads_as_many_redeploys_as_the_user_asked_for(tmp_path: Path) -> None:
    with second_api(instances=3) as api:
        api.rollouts.clear()
        # The third instance was only ever redeployed by itself, before 120 redeploys of another one.
        api.add_rollout(api.instances[2:], "instance", ended=True, at=time.time() - 5000)
        add_single_rollouts(api, 120)
        api.add_rollout(api.instances[:2], "fleet", ended=True, at=time.time() - 1000)
        names = [one.hostname for one in api.instances]
        assert hosts(api, tmp_path, rollouts=1, instance_rollouts=121) == names
        assert hosts(api, tmp_path, rollouts=1, instance_rollouts=120) == names[:2]


@pytest.mark.parametrize("quirk", [{"page_cap": {"list_fleet_rollouts": 20}}, {"oldest_first": OLDEST_FIRST}])
def test_a_fleet_rollout_under_way_is_found_behind_newer_redeploys(quirk: dict[str, Any]) -> None:
    with second_api(instances=5, deploy_seconds=1e5, **quirk) as api:
        under_way = api.add_rollout(api.instances, "fleet", at=time.time() - 3500)
        add_single_rollouts(api, 25)
        assert [row["id"] for row in client(api).open_fleet_rollouts()] == [under_way["id"]]
        batch = {api.instances[0].hostname: api.instances[0].id}
        assert result_of(api, "rollout_gate", next_batch=batch, min_healthy_share=0)["verdict"] == "fail"


@pytest.mark.parametrize("cap", [1, 7, 100])
def test_modules_read_a_history_to_its_end(cap: int) -> None:
    with second_api(instances=1, page_cap=dict.fromkeys(LISTS, cap)) as api:
        add_single_rollouts(api, 40)
        api.add_events("agent-001", 45)
        whole = result_of(api, "rollout_info", all=True)
        assert (len(whole["rollouts"]), whole["truncated"]) == (41, False)
        assert len(result_of(api, "instance_rollout_info", all=True)["targets"]) == 41
        assert len(result_of(api, "instance_audit_info", all=True)["events"]) == 45
        part = result_of(api, "rollout_info", limit=30)
        assert (len(part["rollouts"]), part["truncated"], part["next_offset"]) == (30, True, 30)
        rest = result_of(api, "rollout_info", limit=30, offset=30)
        assert (len(rest["rollouts"]), rest["truncated"], rest["next_offset"]) == (11, False, None)


def test_truncated_actions_are_reported_by_the_servers_total() -> None:
    with second_api(instances=1, page_cap={"list_instance_actions": 4}) as api:
        for _dummy in range(6):
            api.power_cycle("agent-001")
        answer = result_of(api, "instance_action_info")
        assert (len(answer["actions"]), answer["total"], answer["truncated"]) == (4, 6, True)


@pytest.mark.parametrize(
    ("held", "cap", "truncated", "warned"),
    [(200, 200, True, False), (210, 200, True, False), (120, 100, False, True), (99, 200, False, False)],
)
def test_a_possibly_truncated_list_of_memories_is_reported_as_such(
    held: int, cap: int, truncated: bool, warned: bool
) -> None:
    with second_api(instances=1, page_cap={"list_memories": cap}) as api:
        for n in range(held):
            api.store_memory("agent-001", {"content": f"fact {n}"})
        warnings: list[str] = []
        assert result_of(api, "instance_memory_info", warnings)["truncated"] is truncated
        assert [bool("default limit" in sentence) for sentence in warnings] == [True] * warned


@pytest.mark.parametrize("cap", [20, 100, 500])
def test_an_audit_with_short_pages_is_stored_completely(cap: int, tmp_path: Path) -> None:
    with second_api(instances=1, page_cap={"list_audit_events": cap}) as api:
        api.add_events("agent-001", 450)
        assert sync(api, tmp_path / "console.db").problems == []
        assert stored(tmp_path / "console.db") == 450
        api.add_events("agent-001", 3)
        before = len(api.called("list_audit_events"))
        sync(api, tmp_path / "console.db")
        assert stored(tmp_path / "console.db") == 453
        assert len(api.called("list_audit_events")) == before + 1


def test_an_audit_that_an_older_console_marked_as_complete_is_read_once_more(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=1) as api:
        api.add_events("agent-001", 450)
        sync(api, database, audit_events=100)
        with sqlite3.connect(database) as conn:
            conn.execute("UPDATE ingest_cursors SET state_json = ? WHERE source = 'audit'", ('{"depth":"all"}',))
        sync(api, database)
        assert stored(database) == 450


def test_ordinary_servers_get_at_most_one_more_call(tmp_path: Path) -> None:
    with second_api(instances=2) as api:
        add_single_rollouts(api, 30)
        api.add_events("agent-001", 30)
        api.calls.clear()
        client(api).list_fleet_rollouts(limit=100)
        result_of(api, "rollout_info", limit=20)
        result_of(api, "instance_audit_info", limit=20, gather=["events"])
        client(api).list_instance_rollouts(api.instances[0].id)
        assert [call["operation"] for call in api.calls] == [
            "list_fleet_rollouts", "list_fleet_rollouts", "list_audit_events", "list_instance_rollouts",
        ]  # fmt: skip
        api.calls.clear()
        client(api).open_fleet_rollouts()
        assert len(api.calls) == 2
        add_single_rollouts(api, 100)
        api.calls.clear()
        client(api).open_fleet_rollouts()
        assert len(api.calls) == 1


# reports/2026-11 D4


@pytest.mark.parametrize("cap", [7, 500])
def test_new_rows_at_the_end_of_an_oldest_first_list_are_read(cap: int, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=1, oldest_first=OLDEST_FIRST, page_cap={"list_audit_events": cap}) as api:
        api.add_events("agent-001", 150)
        sync(api, database)
        assert stored(database) == 150
        api.add_events("agent-001", 5)
        sync(api, database)
        assert stored(database) == 155
        sync(api, database, audit_events=20)
        assert rows(database, "SELECT count(*) AS n FROM ingest_cursors WHERE gap_from IS NOT NULL") == [{"n": 0}]


def test_the_newest_rows_of_an_oldest_first_list_come_first() -> None:
    with second_api(instances=1, oldest_first=OLDEST_FIRST) as api:
        add_single_rollouts(api, 130)
        api.add_events("agent-001", 130)
        for _dummy in range(3):
            api.power_cycle("agent-001")
        newest = api.rollouts[-1]
        assert result_of(api, "rollout_info", limit=1)["rollouts"][0]["id"] == newest["id"]
        assert result_of(api, "instance_rollout_info", limit=1)["targets"][0]["rollout_id"] == newest["id"]
        assert client(api).list_fleet_rollouts(limit=5)[0]["id"] == newest["id"]
        assert client(api).list_instance_rollouts(api.instances[0].id)[0]["rollout_id"] == newest["id"]
        acted = api.instances[0].actions[-1]["action_id"]
        assert result_of(api, "instance_action_info", limit=1)["actions"][0]["action_id"] == acted
        events = api.instances[0].events
        assert result_of(api, "instance_audit_info", limit=1)["events"][0]["id"] == events[-1]["id"]
        since = events[-10]["event_ts"]
        answer = result_of(api, "instance_audit_info", limit=20, since=since)
        assert [row["id"] for row in answer["events"]] == [row["id"] for row in events[:-11:-1]]
        assert len(result_of(api, "instance_audit_info", all=True, since=since)["events"]) == 10


def _failed_first(api: SecondApi) -> str:
    """The id of a fleet rollout that has ended, in which the first instance failed."""
    api.quirks.deploy_seconds, api.quirks.outcomes = 0.0, {"agent-001": "failed"}
    return str(api.add_rollout(api.instances, "fleet")["id"])


def test_a_target_that_is_listed_twice_is_retried_once() -> None:
    with second_api(instances=3) as api:
        rollout_id = _failed_first(api)
        api.quirks.answers = {"get_rollout": lambda body: {**body, "targets": body["targets"] * 2}}
        done = run_second(api, "rollout_target", rollout_id=rollout_id, select="failed", wait=False)
        assert api.writes() == ["retry_rollout_target"] and len(done.result["retried"]) == 1, done.result


@pytest.mark.parametrize("listed", [lambda rows: [], lambda rows: rows[1:], None])
def test_targets_that_are_listed_late_are_read_by_the_next_sync(
    listed: Callable[[list[Any]], list[Any]] | None, tmp_path: Path
) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=3, deploy_seconds=1e5) as api:
        row = api.add_rollout(api.instances, "fleet")
        sync(api, database)
        timeline = api.get_rollout_timeline(row["id"])
        for target in row["targets"]:
            target.update(ends=time.time() - 1, result="failed")

        def late(body: dict[str, Any]) -> dict[str, Any]:
            """A rollout that has ended with fewer targets, or with those of an earlier moment."""
            if listed is None:
                return {**body, **({"timeline": timeline["timeline"]} if "timeline" in body else {})}
            return {key: listed(value) if isinstance(value, list) else value for key, value in body.items()}

        api.quirks.answers = {"get_rollout": late, "get_rollout_timeline": late}
        notes = sync(api, database).notes
        assert [f"Rollout {row['id']} has ended, but the server lists" in note for note in notes] == [True], notes
        api.quirks.answers.clear()
        assert sync(api, database).notes == []
        statuses = rows(database, "SELECT status FROM rollout_targets WHERE rollout_id = ?", row["id"])
        assert statuses == [{"status": "failed"}] * 3
        before = len(api.called("get_rollout"))
        sync(api, database)
        assert len(api.called("get_rollout")) == before


def test_a_failed_target_that_is_counted_but_not_listed_is_no_success() -> None:
    with second_api(instances=3, deploy_seconds=0.0, outcomes={"agent-001": "failed"}) as api:
        api.quirks.answers = {"get_rollout": lambda body: {**body, "targets": body["targets"][1:]}}
        done = run_second(api, "rollout", state="started")
        rollout_id = api.rollouts[-1]["id"]
        retry = run_second(api, "rollout_target", rollout_id=rollout_id, select="failed", wait=False)
        info = run_second(api, "rollout_info", rollout_id=rollout_id)
    said = f"The server lists 2 of the 3 targets of rollout {rollout_id}."
    assert done.result["failed"] and "of 3 targets, 1 failed or uncertain but not listed" in done.msg
    assert all(said in task.warnings for task in (done, retry, info))
