# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sync from the simulator over HTTP: what is stored, what is read again, and the effect of errors."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from console.collect.api.records import target_rows
from console.collect.api.session import ApiOptions, ApiReport
from console.collect.sync import sync_once
from console.record.read.fleet import fleets
from console.record.read.operations import OperationFilter, operations
from console.record.read.record_health import vitals
from console.record.read.stuck import stuck
from console.settings.environment import ApiConnection, Settings
from tests.console.support.facts import dump, rows, wrong_types
from tests.simulator.running import Simulator, running_simulator

FLEET = 6


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A fleet with some history and a manual clock."""
    with running_simulator(instances=FLEET, speed=0) as running:
        yield running


def sync(sim: Simulator, database: Path, *, key: str | None = None, retries: int = 0, **options: Any) -> ApiReport:
    connection = ApiConnection(sim.url, key or sim.admin_key, retries=retries)
    settings = Settings(database=database, run_log_dir=database.parent / "none")
    report = sync_once(settings, connection=connection, run_logs=False, api_options=ApiOptions(**options)).api
    assert report is not None
    return report


def calls(sim: Simulator) -> Counter[str]:
    """The number of calls since the last use of this function, by operation."""
    counted = Counter(row["operation_id"] for row in sim.journal())
    sim.clear_journal()
    return counted


def fleet_rollout(sim: Simulator) -> str:
    """Start a fleet rollout and return its id."""
    assert sim.call("POST", "/v1/instances/fleet/runtime/rollout")[0] == 200
    return sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=1")[1][0]["id"]


def test_a_sync_stores_rollouts_targets_instances_policy_and_audit(sim: Simulator, database: Path) -> None:
    fleet_rollout(sim)
    sim.advance(40)
    report = sync(sim, database)
    assert report.problems == []
    listed = {r["id"]: r for r in sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=100")[1]}
    stored = {r["rollout_id"]: r for r in rows(database, "SELECT * FROM rollouts")}
    assert set(stored) == set(listed)
    assert len(listed) > 3
    for rollout_id, row in stored.items():
        record = listed[rollout_id]
        assert (row["status_raw"], row["created_raw"], row["completed_raw"]) == (
            record["status"],
            record["created_at"],
            record["completed_at"],
        )
        assert row["is_open"] == int(record["completed_at"] is None)
        tally = ("queued", "in_progress", "succeeded", "failed", "uncertain")
        assert [row[name] for name in tally] == [record[f"{name}_targets"] for name in tally]
        detail = sim.call("GET", f"/v1/instances/fleet/runtime/rollouts/{rollout_id}")[1]["targets"]
        timeline = sim.call("GET", f"/v1/instances/fleet/runtime-rollouts/{rollout_id}/timeline")[1]["timeline"]
        names = {entry["target_id"]: entry for entry in timeline}
        targets = rows(database, "SELECT * FROM rollout_targets WHERE rollout_id = ? ORDER BY position", rollout_id)
        assert [t["target_id"] for t in targets] == [entry["target_id"] for entry in timeline]
        for target in targets:
            one = next(t for t in detail if t["id"] == target["target_id"])
            entry = names[target["target_id"]]
            assert target["status_raw"] == one["status"]
            assert (target["bundle_hash"], target["celery_task_id"]) == (one["bundle_hash"], one["celery_task_id"])
            assert (target["hostname"], target["duration_s"]) == (entry["instance_hostname"], entry["duration_seconds"])
            if target["started_at"] and target["completed_at"]:
                assert target["created_at"] <= target["started_at"] <= target["completed_at"]
    assert {r["instance_id"]: r["hostname"] for r in rows(database, "SELECT * FROM instances")} == {
        row["id"]: row["hostname"] for row in sim.state()["instances"]
    }
    for instance_id in sim.instance_ids:
        summary = sim.call("GET", f"/v1/instances/{instance_id}/runtime/audit/summary")[1]
        mine = rows(database, "SELECT * FROM audit_summaries WHERE instance_id = ?", instance_id)
        assert [(r["total"], r["success"]) for r in mine] == [(summary["total_events"], summary["success_events"])]
        events = rows(database, "SELECT count(*) AS n FROM audit_events WHERE instance_id = ?", instance_id)
        assert events == [{"n": min(500, summary["total_events"])}]
    by_day = "SELECT sum(n) AS n FROM audit_daily"
    assert rows(database, by_day) == rows(database, "SELECT count(*) AS n FROM audit_events")
    assert rows(database, "SELECT max_parallel_rollouts AS n FROM policies") == [{"n": 2}]
    assert wrong_types(database) == []
    for file in database.parent.iterdir():
        assert sim.admin_key.encode() not in file.read_bytes()


def test_a_second_sync_changes_nothing_and_reads_only_lists_and_summaries(sim: Simulator, database: Path) -> None:
    sync(sim, database)
    before = dump(database)
    read_at = rows(database, "SELECT max(last_ok_at) AS at FROM ingest_cursors")[0]["at"]
    calls(sim)
    report = sync(sim, database)
    assert dump(database) == before
    assert (report.rollouts, report.audit_events, report.problems) == (0, 0, [])
    assert calls(sim) == {
        "get_fleet_update_policy": 1,
        "list_fleet_rollouts": 2,
        "get_audit_summary": FLEET,
    }
    assert rows(database, "SELECT max(last_ok_at) AS at FROM ingest_cursors")[0]["at"] > read_at


def test_audit_lists_are_read_again_only_if_their_summary_has_changed(sim: Simulator, database: Path) -> None:
    sync(sim, database)
    calls(sim)
    assert sync(sim, database).audit_events == 0
    assert calls(sim)["list_audit_events"] == 0
    sim.advance(6 * 3600)
    there = {i: len(all_audit(sim, i)) for i in sim.instance_ids}
    calls(sim)
    sync(sim, database, audit_events=5000)
    assert calls(sim)["get_audit_summary"] == FLEET
    counted = rows(database, "SELECT instance_id, count(*) AS n FROM audit_events GROUP BY 1")
    assert {r["instance_id"]: r["n"] for r in counted} == there
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE ingest_cursors SET state_json = json_set(state_json, '$.listed_on', '2026-01-01')")
    calls(sim)
    sync(sim, database, audit_events=5000)
    assert calls(sim)["list_audit_events"] == FLEET


def test_only_open_rollouts_are_read_again(sim: Simulator, database: Path) -> None:
    rollout_id = fleet_rollout(sim)
    sync(sim, database, audit=False)
    for _step in range(4):
        sim.clear_journal()
        sim.advance(8)
        sync(sim, database, audit=False)
        assert calls(sim)["get_rollout"] == 1
    sim.advance(3600)
    sync(sim, database, audit=False)
    sim.clear_journal()
    sync(sim, database, audit=False)
    assert calls(sim)["get_rollout"] == 0
    statuses = rows(database, "SELECT status, is_open FROM rollouts WHERE rollout_id = ?", rollout_id)
    assert statuses == [{"status": "completed", "is_open": 0}]
    bundles = rows(database, "SELECT DISTINCT current_bundle FROM instances")
    newest = rows(database, "SELECT DISTINCT bundle_hash FROM rollout_targets WHERE rollout_id = ?", rollout_id)
    assert [b["current_bundle"] for b in bundles] == [b["bundle_hash"] for b in newest]


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_what_is_in_progress_is_timed_by_the_clock_of_its_server(ahead: float, sim: Simulator, database: Path) -> None:
    sim.knobs(clock_skew_s=ahead, deploy_s=[3000, 3000])
    fleet_rollout(sim)
    for seconds, is_stuck in ((60, False), (1260, True)):
        sim.advance(1200 if is_stuck else 60)
        sync(sim, database)
        now = time.time()
        found = stuck(database, now)
        assert bool(len(found[found["rule"] == "in progress"])) is is_stuck
        listed, _total = operations(database, now, OperationFilter(verdicts=("running",)))
        oldest = vitals(database, now).oldest_open_at
        assert oldest is not None
        assert listed["seconds"].tolist() == pytest.approx([seconds], abs=30)
        assert now - oldest == pytest.approx(seconds, abs=30)


def test_an_open_rollout_is_read_even_if_the_listed_page_does_not_contain_it(sim: Simulator, database: Path) -> None:
    rollout_id = fleet_rollout(sim)
    sync(sim, database, audit=False)
    sim.advance(3600)
    assert sim.call("POST", f"/v1/instances/{sim.instance_ids[0]}/runtime/redeploy")[0] == 200
    sim.clear_journal()
    sync(sim, database, audit=False, rollouts=1)
    assert calls(sim)["get_rollout"] == 2
    state = "SELECT status, is_open FROM rollouts WHERE rollout_id = ?"
    assert rows(database, state, rollout_id) == [{"status": "completed", "is_open": 0}]


def test_an_open_rollout_that_the_api_no_longer_has_is_closed_with_a_note(sim: Simulator, database: Path) -> None:
    rollout_id = fleet_rollout(sim)
    sync(sim, database, audit=False)
    sim.advance(3600)
    assert sim.call("POST", f"/v1/instances/{sim.instance_ids[0]}/runtime/redeploy")[0] == 200
    sim.fault(match=rollout_id, status=404)
    report = sync(sim, database, audit=False, rollouts=1)
    assert (report.problems, [rollout_id in note for note in report.notes]) == ([], [True])
    state = "SELECT status, is_open FROM rollouts WHERE rollout_id = ?"
    assert rows(database, state, rollout_id) == [{"status": "in_progress", "is_open": 0}]
    targets = "SELECT count(*) AS n, sum(is_open) AS open, sum(status = 'in_progress') > 0 AS moved"
    targets += " FROM rollout_targets WHERE rollout_id = ?"
    assert rows(database, targets, rollout_id) == [{"n": FLEET, "open": 0, "moved": 1}]
    # Only the redeploy that was sent afterwards is in progress.
    [own] = rows(database, "SELECT created_at FROM rollouts WHERE is_open = 1")
    # The server's clock is ahead by the hour.
    assert vitals(database, time.time()).oldest_open_at == pytest.approx(own["created_at"] - 3600, abs=30)
    assert fleets(database, time.time())[0].in_flight <= 1
    sim.clear_journal()
    sync(sim, database, audit=False, rollouts=1)
    assert calls(sim)["get_rollout"] == 1


def test_a_closed_rollout_that_was_reopened_by_a_retry_is_read_again(sim: Simulator, database: Path) -> None:
    first = sim.state()["instances"][0]
    sim.knobs(outcomes={first["hostname"]: ["failed", "succeeded"]})
    rollout_id = fleet_rollout(sim)
    sim.advance(3600)
    sync(sim, database, audit=False)
    failed = rows(database, "SELECT * FROM rollout_targets WHERE rollout_id = ? AND status = 'failed'", rollout_id)
    assert [(t["hostname"], bool(t["error_message"]), len(t["msg_fp"])) for t in failed] == [
        (first["hostname"], True, 12)
    ]
    path = f"/v1/instances/fleet/runtime/rollouts/{rollout_id}/targets/{failed[0]['target_id']}/retry"
    assert sim.call("POST", path)[0] == 200
    sim.advance(3600)
    sync(sim, database, audit=False)
    now = rows(database, "SELECT status, failed, succeeded FROM rollouts WHERE rollout_id = ?", rollout_id)
    assert now == [{"status": "completed", "failed": 0, "succeeded": FLEET}]


def test_an_error_of_one_instance_does_not_affect_the_others(sim: Simulator, database: Path) -> None:
    bad = sim.state()["instances"][2]
    sim.fault(match="/runtime/audit", instance=bad["id"], status=500)
    report = sync(sim, database)
    (problem,) = report.problems
    assert bad["hostname"] in problem
    assert "500" in problem
    assert "\n" not in problem
    assert report.instances == FLEET - 1
    audited = {r["instance_id"] for r in rows(database, "SELECT DISTINCT instance_id FROM audit_events")}
    assert audited == set(sim.instance_ids) - {bad["id"]}
    cursors = rows(database, "SELECT scope, last_error, last_ok_at FROM ingest_cursors WHERE last_error IS NOT NULL")
    assert [(c["scope"], c["last_ok_at"]) for c in cursors] == [(f"{sim.url}|{bad['id']}", None)]
    sim.clear_faults()
    assert sync(sim, database).problems == []
    assert rows(database, "SELECT scope FROM ingest_cursors WHERE last_error IS NOT NULL") == []


def test_an_instance_that_is_gone_causes_a_note_and_not_a_problem(sim: Simulator, database: Path) -> None:
    gone = sim.state()["instances"][1]
    sim.fault(match="/runtime/audit", instance=gone["id"], status=404)
    report = sync(sim, database)
    assert report.problems == []
    assert [gone["hostname"] in note and "no longer in the API" in note for note in report.notes] == [True]
    # A fleet may lose an instance, which is not an error of a source.
    assert vitals(database, time.time()).errors == 0


@pytest.mark.parametrize("broken", ["get_rollout", "get_rollout_timeline"])
def test_a_rollout_that_could_not_be_read_is_read_at_the_next_sync(broken: str, sim: Simulator, database: Path) -> None:
    rollout_id = rows_of(sim)[0]["id"]
    sim.fault(match=rollout_id, operation=broken, html_body=True, status=502)
    report = sync(sim, database, audit=False)
    assert [rollout_id in problem for problem in report.problems] == [True]
    half = "SELECT targets_read, succeeded > 0 AS counted FROM rollouts WHERE rollout_id = ?"
    assert rows(database, half, rollout_id) == [{"targets_read": 0, "counted": 1}]
    assert rows(database, "SELECT last_error IS NULL AS fine FROM ingest_cursors WHERE source = 'rollout'") == [
        {"fine": 0}
    ]
    sim.clear_faults()
    calls(sim)
    assert sync(sim, database, audit=False).problems == []
    assert calls(sim)["get_rollout"] == 1
    assert rows(database, half, rollout_id) == [{"targets_read": 1, "counted": 1}]
    assert rows(database, "SELECT scope FROM ingest_cursors WHERE source = 'rollout'") == []


def test_a_target_is_one_row_however_the_two_answers_spell_its_ids() -> None:
    one, other = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10", "5f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"
    told = {"target_id": one.upper(), "instance_id": other.upper(), "instance_hostname": "agent-001"}
    (row,) = target_rows("t", "r", [{"id": one, "instance_id": other, "bundle_hash": "b"}], [told])
    # As the inventory does, so that the rows of runs name the same instance.
    assert (row["target_id"], row["instance_id"]) == (one, other)
    assert (row["hostname"], row["bundle_hash"]) == ("agent-001", "b")


def rows_of(sim: Simulator) -> list[dict[str, Any]]:
    return sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=100")[1]


def test_a_wrong_key_stops_the_sync_after_one_call(sim: Simulator, database: Path) -> None:
    report = sync(sim, database, key="not-the-key-4711")
    (problem,) = report.problems
    assert "401" in problem
    assert "FLEETOPS_API_KEY" in problem
    assert "4711" not in problem
    assert sum(calls(sim).values()) == 1
    sync(sim, database)
    sync(sim, database, key="not-the-key-4711")
    assert rows(
        database,
        "SELECT last_error LIKE '%401%' AS reported, last_ok_at > 0 AS old FROM ingest_cursors WHERE source = 'api'",
    ) == [{"reported": 1, "old": 1}]


def test_a_key_that_is_revoked_during_a_sync_is_not_tried_for_every_instance(sim: Simulator, database: Path) -> None:
    sim.fault(match="/runtime/audit", status=401)
    report = sync(sim, database)
    assert 1 <= len(report.problems) <= 8
    assert rows(database, "SELECT count(*) AS n FROM rollout_targets")[0]["n"] > 0


def test_an_api_that_does_not_answer_is_one_problem(sim: Simulator, database: Path) -> None:
    settings = Settings(database=database, run_log_dir=database.parent / "none")
    report = sync_once(settings, connection=ApiConnection("http://127.0.0.1:9", "some-key", retries=0))
    assert report.api is not None
    assert report.run_logs is not None
    assert len(report.api.problems) == 1
    assert "This call was not sent" in report.api.problems[0]


def test_audit_events_missed_between_two_syncs_are_a_gap_until_they_are_read(sim: Simulator, database: Path) -> None:
    gap = "SELECT gap_from, gap_to FROM ingest_cursors WHERE source = 'audit' AND gap_from IS NOT NULL"
    oldest = "SELECT min(event_ts) AS t FROM audit_events WHERE instance_id = ?"
    sync(sim, database, audit_events=10)
    assert rows(database, gap) == []
    begins = {i: rows(database, oldest, i)[0]["t"] for i in sim.instance_ids}
    sim.advance(6 * 3600)
    report = sync(sim, database, audit_events=10)
    holes = rows(database, gap)
    assert len(holes) == FLEET
    assert all(hole["gap_from"] < hole["gap_to"] for hole in holes)
    assert len(report.notes) == FLEET
    sync(sim, database, audit_events=10)
    assert rows(database, gap) == holes
    sim.advance(600)
    report = sync(sim, database, audit_events=1000)
    assert rows(database, gap) == []
    assert (report.notes, report.problems) == ([], [])
    for instance_id, begin in begins.items():
        there = all_audit(sim, instance_id)
        stored = {r["id"] for r in rows(database, "SELECT id FROM audit_events WHERE instance_id = ?", instance_id)}
        assert {e["id"] for e in there if parse_time(e["event_ts"]) >= begin} <= stored
        assert len(stored) == min(1000, len(there))


def test_a_higher_limit_of_audit_events_reads_the_older_events_once(sim: Simulator, database: Path) -> None:
    sync(sim, database, audit_events=20)
    sync(sim, database, audit_events=60)
    assert rows(database, "SELECT count(*) AS n FROM audit_events") == [{"n": 60 * FLEET}]
    sync(sim, database, audit_events=1000)
    there = {i: len(all_audit(sim, i)) for i in sim.instance_ids}
    counted = rows(database, "SELECT instance_id, count(*) AS n FROM audit_events GROUP BY 1")
    assert {r["instance_id"]: r["n"] for r in counted} == there
    assert min(there.values()) > 60
    before = dump(database)
    sim.clear_journal()
    sync(sim, database, audit_events=1000)
    assert calls(sim)["list_audit_events"] == 0
    assert dump(database) == before


def all_audit(sim: Simulator, instance_id: str) -> list[dict[str, Any]]:
    path = f"/v1/instances/{instance_id}/runtime/audit"
    pages = [sim.call("GET", f"{path}?limit=500&offset={offset}")[1] for offset in range(0, 5000, 500)]
    return [event for page in pages for event in page]


def test_only_the_selected_instances_are_audited(sim: Simulator, database: Path) -> None:
    one, two = sim.state()["instances"][:2]
    report = sync(sim, database, instances=(one["hostname"], two["id"]))
    assert (report.instances, report.problems) == (2, [])
    audited = {r["instance_id"] for r in rows(database, "SELECT DISTINCT instance_id FROM audit_events")}
    assert audited == {one["id"], two["id"]}
    report = sync(sim, database, instances=("agent-of-nobody",))
    assert report.problems == ["Instance agent-of-nobody is not known: no rollout that was read contains it."]


def test_synonyms_of_statuses_are_understood(sim: Simulator, database: Path) -> None:
    sim.knobs(status_words="synonyms")
    rollout_id = fleet_rollout(sim)
    sim.advance(3600)
    assert sync(sim, database, audit=False).problems == []
    (row,) = rows(database, "SELECT status, status_raw, is_open FROM rollouts WHERE rollout_id = ?", rollout_id)
    assert (row["status"], row["is_open"]) == ("completed", 0)
    assert row["status_raw"] != "completed"
    statuses = rows(database, "SELECT DISTINCT status FROM rollout_targets WHERE rollout_id = ?", rollout_id)
    assert statuses == [{"status": "succeeded"}]


def test_concurrent_syncs_store_the_same_as_one(sim: Simulator, database: Path) -> None:
    fleet_rollout(sim)
    sim.advance(25)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            assert sync(sim, database).problems == []
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _dummy in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    alone = database.with_name("alone.db")
    sync(sim, alone)
    # state_json has by how much the server's clock, which stands still here, is behind.
    when = {"first_seen", "updated_at", "taken_at", "at", "last_ok_at", "state_json"}
    left_out = dict.fromkeys(dump(alone), when)
    assert dump(database, leave_out=left_out) == dump(alone, leave_out=left_out)
