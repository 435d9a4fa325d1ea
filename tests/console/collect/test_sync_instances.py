# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sync of the details of instances: health, versions, actions, and the number of memories."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.__main__ import main
from console.collect.api.instances import KINDS
from console.collect.api.records import action_rows, health_rows, memory_rows, update_rows
from console.collect.api.session import ApiOptions, ApiReport
from console.collect.sync import sync_once
from console.record.read.attention import attention
from console.record.read.fleet import fleets
from console.record.read.instances import InstanceFilter, instance_page
from console.record.read.rollouts import rollouts_of_run
from console.record.rows import Cursor, InstanceRows, RunRows, storable
from console.record.write.store import open_store
from console.settings.environment import ApiConnection, Settings
from tests.console.support.facts import dump, rows, wrong_types
from tests.second_api.api import KEY, NEW, Refused, SecondApi, second_api
from tests.simulator.running import Simulator, running_simulator

FLEET = 5
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
READS = ("list_fleet_rollouts", "get_rollout", "get_rollout_timeline", "list_audit_events", "get_audit_summary",
         "list_instance_actions", "get_available_updates", "get_deep_health", "list_memories")  # fmt: skip
# When something was read or changed.
WHEN = {"ingest_cursors": {"last_ok_at", "last_ts"}}


def shouted(answer: Any) -> Any:
    """The answer with all ids in upper case."""
    return json.loads(UUID.sub(lambda found: found[0].upper(), json.dumps(answer)))


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running_simulator(instances=FLEET, speed=0) as running:
        yield running


def sync(sim: Simulator | SecondApi, database: Path, *, key: str | None = None, **options: Any) -> ApiReport:
    connection = ApiConnection(sim.url, key or getattr(sim, "admin_key", KEY), retries=0)
    settings = Settings(database=database, run_log_dir=database.parent / "none")
    options = {"details": KINDS, "audit": False, **options}
    report = sync_once(settings, connection=connection, run_logs=False, api_options=ApiOptions(**options)).api
    assert report is not None
    return report


def calls(sim: Simulator) -> Counter[str]:
    counted = Counter(row["operation_id"] for row in sim.journal())
    sim.clear_journal()
    return counted


def test_the_details_of_all_instances_are_stored(sim: Simulator, database: Path) -> None:
    ill, acted = sim.instance_ids[1], sim.instance_ids[0]
    assert sim.call("PUT", "/_sim/knobs", {"disease": {ill: "breakers"}, "publish": "99.0.0"})[0] == 200
    assert sim.call("POST", f"/v1/instances/{ill}/actions/run-diagnostics")[0] == 200
    assert sim.call("POST", f"/v1/instances/{acted}/actions/power-cycle")[0] == 200
    sim.advance(5)
    sim.clear_journal()
    report = sync(sim, database)
    assert (report.problems, report.details) == ([], 4 * FLEET)
    for instance_id in sim.instance_ids:
        state = rows(database, "SELECT * FROM instance_state WHERE instance_id = ?", instance_id)[0]
        health = sim.call("GET", f"/v1/instances/{instance_id}/health/deep")[1]
        updates = sim.call("GET", f"/v1/instances/{instance_id}/updates/available")[1]
        assert state["health"] == health["status"]
        assert state["runtime_current"] == updates["runtime"]["current_version"]
        assert (state["runtime_available"], state["outdated"]) == ("99.0.0", updates["total_available"])
        assert state["memories"] == sim.call("GET", f"/v1/instances/{instance_id}/memory?limit=200")[1]["count"]
        listed = sim.call("GET", f"/v1/instances/{instance_id}/actions?limit=100")[1]["actions"]
        stored = rows(database, "SELECT * FROM instance_actions WHERE instance_id = ?", instance_id)
        assert {r["action_id"]: r["status_raw"] for r in stored} == {a["action_id"]: a["status"] for a in listed}
    assert (
        "breakers open" in rows(database, "SELECT trouble FROM instance_state WHERE instance_id = ?", ill)[0]["trouble"]
    )
    assert len(rows(database, "SELECT * FROM health_checks")) == FLEET
    assert wrong_types(database) == []


def test_a_second_sync_changes_nothing_and_a_changed_status_is_another_health_check(
    sim: Simulator, database: Path
) -> None:
    sync(sim, database)
    before = dump(database)
    calls(sim)
    sync(sim, database)
    assert dump(database) == before
    asked = calls(sim)
    assert {
        asked[n] for n in ("get_deep_health", "get_available_updates", "list_instance_actions", "list_memories")
    } == {FLEET}
    ill = sim.instance_ids[0]
    assert sim.call("PUT", "/_sim/knobs", {"disease": {ill: "process"}})[0] == 200
    sim.advance(60)
    assert sim.call("POST", f"/v1/instances/{ill}/actions/run-diagnostics")[0] == 200
    sync(sim, database, details=("health",))
    words = rows(database, "SELECT status FROM health_checks WHERE instance_id = ? ORDER BY checked_at", ill)
    assert words[0]["status"] == "healthy" and words[-1]["status"] != "healthy"


def test_details_are_read_only_on_request_and_never_with_force(sim: Simulator, database: Path) -> None:
    sync(sim, database, details=())
    asked = calls(sim)
    assert not {"get_deep_health", "get_available_updates", "list_instance_actions", "list_memories"} & set(asked)
    sync(sim, database, details=("health",), instances=(sim.instance_ids[2],))
    asked_rows = [row for row in sim.journal() if row["operation_id"] == "get_deep_health"]
    assert len(asked_rows) == 1
    assert "true" not in str(asked_rows[0]["query"]).lower()


def test_the_content_of_a_memory_is_not_stored(sim: Simulator, database: Path) -> None:
    secret = "the-canary-of-memory-7788"
    body = {"content": secret, "type": "fact", "customer_id": "c-1"}
    status, answer = sim.call("POST", f"/v1/instances/{sim.instance_ids[0]}/memory", body)
    assert status == 200, answer
    sync(sim, database)
    for file in database.parent.iterdir():
        if file.is_file():
            assert secret.encode() not in file.read_bytes()


def test_more_than_100_actions_between_two_syncs_are_a_gap(sim: Simulator, database: Path) -> None:
    busy = sim.instance_ids[0]

    def act(times: int) -> None:
        for _dummy in range(times):
            assert sim.call("POST", f"/v1/instances/{busy}/actions/clear-circuit-breakers")[0] == 200
            sim.advance(1)

    act(2)
    sync(sim, database, details=("actions",), instances=(busy,))
    act(101)
    report = sync(sim, database, details=("actions",), instances=(busy,))
    assert "more than 100 actions" in report.notes[0]
    gap = rows(database, "SELECT gap_from, gap_to FROM ingest_cursors WHERE source = 'actions'")[0]
    assert 0 < gap["gap_from"] < gap["gap_to"]


def test_an_error_of_one_instance_is_reported_and_the_others_are_stored(sim: Simulator, database: Path) -> None:
    sync(sim, database, details=())
    bad = sim.instance_ids[0]
    fault = {"match": f"GET /v1/instances/{bad}/health/deep", "status": 500, "detail": "no luck", "times": 99}
    assert sim.call("POST", "/_sim/faults", fault)[0] in (200, 201)
    report = sync(sim, database)
    assert len(report.problems) == 1 and "health of instance" in report.problems[0] and "500" in report.problems[0]
    assert len(rows(database, "SELECT * FROM health_checks")) == FLEET - 1
    assert [r["n"] for r in rows(database, "SELECT count(*) AS n FROM instance_state WHERE memories IS NOT NULL")] == [
        FLEET
    ]


def test_the_options_of_sync_select_the_details(
    sim: Simulator, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in sim.environment().items():
        monkeypatch.setenv(name, value)
    plain = ["sync", "--db", str(database), "--no-spools", "--no-audit", "--quiet"]
    assert main(plain) == 0
    assert "details" not in capsys.readouterr().out
    sim.clear_journal()
    assert main([*plain, "--health", "--memory"]) == 0
    asked = calls(sim)
    assert (asked["get_deep_health"], asked["list_memories"], asked["list_instance_actions"]) == (FLEET, FLEET, 0)
    assert f"details of instances read {2 * FLEET}" in capsys.readouterr().out
    assert main([*plain, "--details"]) == 0
    assert f"details of instances read {4 * FLEET}" in capsys.readouterr().out


def test_a_refused_key_is_reported_once(sim: Simulator, database: Path) -> None:
    sync(sim, database, details=())
    fault = {"match": "GET /v1/instances/.*/health/deep", "status": 401, "detail": "no", "times": 99}
    assert sim.call("POST", "/_sim/faults", fault)[0] in (200, 201)
    sim.clear_journal()
    report = sync(sim, database, details=("health",), audit=True)
    assert len(report.problems) == 1 and "401" in report.problems[0]
    assert calls(sim)["list_audit_events"] == 0


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "status",
    "checked_at",
    "uptime_seconds",
    "cached",
    "subsystems",
    "runtime",
    "skills",
    "mcp_servers",
    "memories",
]
KEYS += ["count", "total_available", "update_policy", "actions"]
ACTION = st.dictionaries(
    st.sampled_from(["action_id", "id", "action", "status", "created_at", "duration_ms", "detail", "message"]), ANYTHING
)


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING), st.lists(ACTION | ANYTHING, max_size=5))
def test_no_answer_breaks_the_reading_of_details(record: dict[str, Any], actions: list[Any]) -> None:
    health = health_rows("t", "i", record, 5.0)
    assert health.health is not None and health.health["status"]
    assert isinstance(health.health["checked_at"], (int, float))
    update_rows("t", "i", record, 5.0)
    state = memory_rows("t", "i", {**record, "memories": actions}).state
    assert state is None or state["memories"] >= len(actions)
    found = action_rows("t", "i", {"actions": actions})
    assert len({row["action_id"] for row in found}) == len(found)
    for row in [health.health, health.state, *found]:
        for value in row.values():
            assert value is None or isinstance(value, (str, int, float))
            assert not isinstance(value, str) or storable(value) == value


def test_an_instance_that_is_gone_is_not_counted_until_it_is_back(tmp_path: Path) -> None:
    database = tmp_path / "console.db"

    def fleet() -> tuple[int, dict[str, int], int, int]:
        sync(api, database)
        [found] = fleets(database, time.time())
        health = {word: n for word, n in found.health.items() if n}
        return found.instances, health, found.on_published, len(attention(database, time.time()))

    with second_api(instances=3) as api:
        api.instances[2].health = "unhealthy"
        for instance in api.instances:
            instance.version = NEW
        assert fleet() == (3, {"healthy": 2, "unhealthy": 1}, 3, 1)
        gone = api.instances.pop()
        assert fleet() == (2, {"healthy": 2}, 2, 0)
        page, total = instance_page(database, InstanceFilter(health=("gone",)))
        assert (total, page["host"].tolist(), page["problem"].tolist()) == (1, [gone.hostname], [""])
        api.instances.append(gone)
        assert fleet() == (3, {"healthy": 2, "unhealthy": 1}, 3, 1)
        # An error of only one kind of details does not mean that the instance is gone.
        api.quirks.status["list_memories"] = 404
        assert fleet() == (3, {"healthy": 2, "unhealthy": 1}, 3, 1)


def test_a_failed_deploy_of_an_instance_that_is_gone_needs_no_attention(tmp_path: Path) -> None:
    database, counted = tmp_path / "console.db", []
    with second_api(instances=2, deploy_seconds=0.0) as api:
        deleted, _other = api.instances
        api.quirks.outcomes[deleted.hostname] = "failed"
        api.add_rollout([deleted], "instance")
        sync(api, database)
        counted.append(attention(database, time.time())["hosts"].tolist())
        api.instances.remove(deleted)
        sync(api, database)
        counted.append(attention(database, time.time())["hosts"].tolist())
        api.instances.append(deleted)
        sync(api, database)
        counted.append(attention(database, time.time())["hosts"].tolist())
    assert counted == [[(deleted.hostname,)], [], [(deleted.hostname,)]]


@pytest.mark.parametrize("held", ["get_deep_health", "list_audit_events"])
def test_an_answer_that_is_older_than_what_another_sync_has_stored_is_ignored(held: str, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=1) as api:
        (instance,) = api.instances
        instance.health = "unhealthy"
        api.add_events(instance.id, 3)
        sync(api, database, audit=True)

        def hold_back(answer: Any) -> Any:
            """Let another sync read and store what has changed before this answer is sent."""
            del api.quirks.answers[held]
            instance.health = "healthy"
            api.add_events(instance.id, 30)
            api.lock.release()
            assert sync(api, database, audit=True, audit_events=10).problems == []
            api.lock.acquire()
            return answer

        api.add_events(instance.id, 1)
        api.quirks.answers[held] = hold_back
        report = sync(api, database, audit=True)
        assert (report.problems, held in api.quirks.answers) == ([], False)
    assert rows(database, "SELECT health FROM instance_state") == [{"health": "healthy"}]
    # The events between those of the two syncs are still missing.
    gap = "SELECT count(*) AS n FROM ingest_cursors WHERE source = 'audit' AND gap_from IS NOT NULL"
    assert held == "get_deep_health" or rows(database, gap) == [{"n": 1}]


def test_an_instance_that_another_sync_has_read_since_is_not_gone(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=1) as api:
        sync(api, database)

        def not_found(**_call: Any) -> Any:
            """Let another sync read the instance before this answer is sent."""
            del api.get_deep_health
            api.lock.release()
            assert sync(api, database).problems == []
            api.lock.acquire()
            raise Refused(404, "not found")

        api.get_deep_health = not_found  # type: ignore[method-assign]
        report = sync(api, database, details=("health",))
        assert (report.problems, report.notes) == ([], [])
    assert rows(database, "SELECT health FROM instance_state") == [{"health": "healthy"}]


def test_a_server_that_spells_its_ids_differently_at_the_next_sync_adds_no_rows(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=3, deploy_seconds=9000) as api:
        first, *_others = api.instances
        api.add_rollout([first], "instance")
        api.add_events(first.id, 1)
        api.power_cycle(first.id)
        sync(api, database, audit=True)
        before = dump(database, leave_out=WHEN)
        assert {len(before[table]) for table in ("audit_events", "instance_actions")} == {1}
        api.quirks.answers = dict.fromkeys(READS, shouted)
        api.add_events(first.id, 1)
        assert sync(api, database, audit=True, instances=(first.id.upper(),)).problems == []
        # A new rollout, of a run whose log has been read before and has another spelling of its id.
        new = api.add_rollout([first], "instance")
        links = [{"run_id": "r", "counter": 1, "host": "h", "kind": kind, "ref": found}
                 for kind, found in (("rollout", new["id"]), ("instance", first.id.upper()))]  # fmt: skip
        with open_store(database) as store:
            run = {"run_id": "r", "source": "callback", "status": "successful", "playbook": "x.yml"}
            store.put_run(RunRows(run, links=links), Cursor("spool", "f", position=1), after=None)
        sync(api, database, audit=True)
    after = dump(database, leave_out=WHEN)
    grown = {name: more for name in before if (more := len(after[name]) - len(before[name]))}
    # Each read is one.
    del grown["health_checks"]
    assert grown == {"rollouts": 1, "rollout_targets": 1, "runs": 1, "run_links": 2, "ingest_cursors": 1,
                     "audit_events": 1, "audit_summaries": 1}  # fmt: skip
    assert len(rows(database, "SELECT DISTINCT instance_id FROM rollout_targets")) == 3
    assert rollouts_of_run(database, "r")["rollout_id"].tolist() == [new["id"].upper()]
    assert rows(database, "SELECT ref FROM run_links WHERE kind = 'instance'") == [{"ref": first.id}]


def test_a_memory_that_cannot_be_read_now_is_not_counted_as_empty() -> None:
    said = {"memories": [], "count": 0, "status": {"available": False}}
    assert memory_rows("t", "i", said) == InstanceRows()
