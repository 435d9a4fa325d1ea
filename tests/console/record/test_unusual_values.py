# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invalid numbers and times: sync stores them as unknown, and pages and commands work.

reports/2026-11 D3
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from console.__main__ import main
from console.collect.api.session import ApiOptions, PreviousReads, Reading
from console.collect.api.sync import sync_api
from console.collect.sync import sync_once
from console.record.schema.migrations import migrations
from console.record.write.store import open_store
from console.settings.api_client import open_client
from console.settings.environment import ApiConnection, Settings
from tests.console.support.every_page import declared_pages
from tests.console.support.facts import rows
from tests.console.support.page import opened
from tests.second_api.api import KEY, SecondApi, second_api

pytestmark = pytest.mark.usefixtures("environment")

HUGE = 2**63
DETAILS = ("health", "updates", "actions", "memory")
TIMES: list[Callable[[float], Any]] = [
    lambda at: "9999-12-31T23:59:59-12:00",
    lambda at: "0001-01-01T00:00:00Z",
    lambda at: int(at * 1000),
    lambda at: -1,
    lambda at: float("nan"),
    lambda at: 10**30,
]

# The operations whose answers contain numbers that are too large.
WITH_NUMBERS = (
    *("list_fleet_rollouts", "get_rollout", "get_rollout_timeline", "get_audit_summary", "get_deep_health"),
    *("list_memories", "list_instance_actions", "get_fleet_update_policy", "get_available_updates"),
)


def huge(answer: Any) -> Any:
    """The answer with all numbers replaced by one that does not fit into 64 bits."""
    if isinstance(answer, dict):
        return {key: huge(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [huge(value) for value in answer]
    return HUGE if isinstance(answer, (int, float)) and not isinstance(answer, bool) else answer


def synced(api: SecondApi, database: Path) -> None:
    settings = Settings(database=database, run_log_dir=database.parent / "none")
    options = ApiOptions(details=DETAILS)
    report = sync_once(settings, connection=ApiConnection(api.url, KEY), run_logs=False, api_options=options).api
    assert report is not None and report.problems == []


def fill(api: SecondApi) -> None:
    """Add data of every kind."""
    api.add_events("agent-001", 4)
    api.power_cycle("agent-001")
    api.store_memory("agent-001", {"content": "a fact"})
    api.add_rollout(api.instances, "fleet")


def check_pages_and_lists(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that every page and every list of the command line works."""
    rollout, instance = (
        rows(database, f"SELECT {i}_id AS id FROM {i}s LIMIT 1")[0]["id"] for i in ("rollout", "instance")
    )
    for page in declared_pages():
        wanted = {"rollout": {"id": rollout}, "instance": {"id": instance}, "audit": {"span": "All"}}.get(page, {})
        app = opened(monkeypatch, database, page, **wanted)
        assert not app.error, (page, [error.value for error in app.error])
    for command in ("rollouts", "runs", "failures", "stuck"):
        for form in ("table", "json", "csv"):
            assert main([command, "--db", str(database), "--format", form]) == 0


def test_invalid_values_are_stored_as_unknown_together_with_the_original_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "console.db"
    for spell in TIMES:
        with second_api(instances=2, time=spell, answers=dict.fromkeys(WITH_NUMBERS, huge)) as api:
            api.quirks.answers["list_audit_events"] = lambda listed: listed
            fill(api)
            synced(api, database)
            synced(api, database)
            raw = rows(database, "SELECT created_at, created_raw FROM rollouts WHERE tenant = ?", api.url)
            for row in raw:
                assert row["created_raw"] and row["created_at"] == parse_time(row["created_raw"])
    assert len(rows(database, "SELECT DISTINCT tenant FROM rollouts")) == len(TIMES)
    assert rows(database, "SELECT count(*) AS n FROM rollouts WHERE total NOT BETWEEN 0 AND 5") == [{"n": 0}]
    check_pages_and_lists(database, monkeypatch)
    assert "9999" not in capsys.readouterr().out


def test_an_invalid_total_is_replaced_by_the_number_of_targets_and_causes_no_extra_reads(tmp_path: Path) -> None:
    database = tmp_path / "console.db"

    def change(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "total_targets": HUGE} for row in listed]

    with second_api(instances=3, answers={"list_fleet_rollouts": change}) as api:
        api.quirks.answers["get_rollout"] = lambda answer: {**answer, "rollout": change([answer["rollout"]])[0]}
        synced(api, database)
        assert rows(database, "SELECT total, succeeded FROM rollouts") == [{"total": 3, "succeeded": 3}]
        read = len(api.called("get_rollout"))
        synced(api, database)
        assert len(api.called("get_rollout")) == read


def store_invalid_times(database: Path, at: float) -> None:
    """Store invalid times, as an older console did."""
    with sqlite3.connect(database) as conn:
        for table, column in (
            ("rollouts", "created_at"), ("rollouts", "completed_at"), ("rollout_targets", "created_at"),
            ("rollout_targets", "started_at"), ("rollout_targets", "completed_at"), ("instance_actions", "created_at"),
            ("instance_state", "checked_at"), ("health_checks", "checked_at"), ("audit_events", "event_ts"),
            ("instances", "bundle_at"), ("ingest_cursors", "last_ts"),
        ):  # fmt: skip
            conn.execute(f"UPDATE OR REPLACE {table} SET {column} = ?", (at,))
        conn.execute("UPDATE rollouts SET total = 9223372036854775807, total_duration_s = 1e308")


@pytest.mark.parametrize("at", [253402343999.0, -62135596800.0, 1.76e12])
def test_a_database_with_invalid_times_can_be_opened(
    at: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=2) as api:
        fill(api)
        synced(api, database)
        store_invalid_times(database, at)
        check_pages_and_lists(database, monkeypatch)
        synced(api, database)


def test_the_migration_parses_the_original_times_again(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=2, time=lambda at: int(at * 1000)) as api:
        fill(api)
        synced(api, database)
    before = {
        table: rows(database, f"SELECT * FROM {table}")
        for table in ("rollouts", "audit_events", "audit_daily", "audit_fleet_daily")
    }
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE rollouts SET created_at = created_at * 1000, completed_at = completed_at * 1000")
        conn.execute("UPDATE audit_events SET event_ts = event_ts * 1000, ingested_at = ingested_at * 1000")
        conn.execute("UPDATE audit_daily SET day = '57873-05-01'")
        conn.execute("CREATE TABLE audit_counts (n INTEGER)")
        conn.execute("DROP TABLE audit_fleet_daily")
        conn.execute("CREATE TABLE target_changes (at REAL)")
        for table in ("run_evidence", "follower", "notifications"):
            conn.execute(f"DROP TABLE {table}")
        conn.execute(f"DELETE FROM {migrations.migrations_table} WHERE name >= '0012'")
    with open_store(database):
        pass
    for table, found in before.items():
        assert rows(database, f"SELECT * FROM {table}") == found, table


def test_a_nan_in_a_policy_is_stored_as_valid_json(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=1, policy={"max_parallel_rollouts": float("nan")}) as api:
        synced(api, database)
        synced(api, database)
    (row,) = rows(
        database, "SELECT json_valid(raw_json) AS valid, raw_json, max_parallel_rollouts AS most FROM policies"
    )
    assert (row["valid"], row["most"]) == (1, None)
    assert json.loads(row["raw_json"])["max_parallel_rollouts"] is None


def test_after_a_sync_with_a_clock_that_was_ahead_later_syncs_store_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "console.db"

    previous, reading = PreviousReads(), Reading(unmoved_after=3600.0, details_after=3600.0)

    def sync(api: SecondApi, ahead: float, problems: int = 0) -> list[str]:
        # As a follower does, which remembers the time of each read.
        with (
            open_store(database) as store,
            closing(open_client(ApiConnection(api.url, KEY), read_only=True)) as client,
        ):
            report = sync_api(
                store, client, now=lambda: time.time() + ahead, options=ApiOptions(details=DETAILS),
                reading=reading, previous=previous,
            )  # fmt: skip
        assert len(report.problems) == problems, report.problems
        return report.notes + report.problems

    with second_api(instances=2, deploy_seconds=3600.0) as api:
        rollout = api.add_rollout(api.instances, "fleet")
        api.quirks.policy["max_parallel_rollouts"] = 1
        assert sync(api, 365 * 86400.0) == []
        # Pruning uses this time of the server, not the clock of this machine.
        (cursor,) = rows(database, "SELECT last_ts FROM ingest_cursors WHERE source = 'api'")
        assert abs(cursor["last_ts"] - time.time()) < 600
        assert main(["backup", str(tmp_path / "copy.db"), "--db", str(database)]) == 0
        assert main(["check", "--db", str(database)]) == 1
        assert "WARNING   sync-age: Unknown, because the stored time 20" in capsys.readouterr().out
        assert rows(database, "SELECT is_open FROM rollouts WHERE rollout_id = ?", rollout["id"]) == [{"is_open": 1}]
        for target in rollout["targets"]:
            target["ends"] = time.time() - 1.0
        api.quirks.policy["max_parallel_rollouts"] = 7
        asked = len(api.called("get_deep_health"))
        (note,) = sync(api, 0.0)
        assert len(api.called("get_deep_health")) == asked + 2
        assert re.match(r"The clock of this machine was 36[45] d \d+ h ahead when the database was last written", note)
        assert sync(api, 0.0) == []
        # The time of the server shows that the clock is behind now, not that it was ahead before.
        kept = rows(database, "SELECT * FROM rollouts")
        (problem,) = sync(api, -3 * 86400.0 - 3600.0, problems=1)
        assert problem.startswith("The clock of this machine is 3 d ") and "Nothing was stored." in problem
        assert rows(database, "SELECT * FROM rollouts") == kept
    assert rows(database, "SELECT is_open, succeeded FROM rollouts WHERE rollout_id = ?", rollout["id"]) == [
        {"is_open": 0, "succeeded": 2}
    ]
    limits = rows(database, "SELECT max_parallel_rollouts AS n FROM policies ORDER BY taken_at")
    assert [row["n"] for row in limits] == [1, 7]
    for table, column in (("rollout_targets", "updated_at"), ("upkeep", "at"), ("audit_summaries", "taken_at")):
        (found,) = rows(database, f"SELECT max({column}) AS at FROM {table}")
        assert found["at"] is None or found["at"] <= time.time()


def test_an_invalid_rollout_id_affects_only_its_own_rollout(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=2) as api:
        kept, odd = (api.add_rollout([one], "instance", ended=True)["id"] for one in api.instances)
        api.quirks.answers["list_fleet_rollouts"] = lambda listed: [
            {**row, "id": "\ud83d" if row["id"] == odd else row["id"]} for row in listed
        ]
        settings = Settings(database=database, run_log_dir=tmp_path / "none")
        report = sync_once(settings, connection=ApiConnection(api.url, KEY), run_logs=False).api
    assert report is not None
    (problem,) = report.problems
    assert "which is not a valid id; nothing was sent" in problem
    stored = {row["rollout_id"]: row["targets_read"] for row in rows(database, "SELECT * FROM rollouts")}
    assert (stored["?"], stored[kept]) == (0, 1)
