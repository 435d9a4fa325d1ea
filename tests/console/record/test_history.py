# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of one instance in a period."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.collect.api.records import action_rows, audit_row, health_rows, summary_row
from console.collect.run_logs import sync_run_logs
from console.record.read.instances import history
from console.record.rows import Cursor, InstanceRows
from console.record.write.store import open_store
from tests.console.support.recorded_runs import NOW, put_run
from tests.console.support.seeded import RUN, TENANT, RunLog, host_name, ident, iso, rollout_read, target

TEN = 1_800_000_000.0
"""The time that counts as 10:00 in these tests."""
HOST, ID = host_name(1), ident(1, 0xB0)
MINUTE = 60.0


def health(at: float, status: str) -> InstanceRows:
    record = {"status": status, "checked_at": iso(at), "subsystems": {"database": status}}
    return health_rows(TENANT, ID, record, TEN + 3600)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Around 10:00: a rollout by others, a run with its own rollout, a restart, health checks, and audit events."""
    folder = tmp_path_factory.mktemp("history")
    path = folder / "console.db"
    others, own = ident(1, 0x0A11CE), ident(2, 0x0A11CF)
    log = RunLog(RUN, TEN + 1 * MINUTE)
    log.play("Roll the fleet in batches", [HOST, host_name(2)], 1)
    log.task("Redeploy the runtime", "fleetops.agents.instance_runtime")
    log.result(HOST, "failed", 60.0, msg="checksum mismatch", rollout_id=own, failed=True)
    log.result(host_name(2), changed=True)
    log.stats({HOST: {"failures": 1}, host_name(2): {"ok": 1, "changed": 1}})
    log.write(folder)
    failed = target(1, own, "failed", TEN + 61, TEN + 62, TEN + 120, error_message="checksum mismatch")
    with open_store(path) as store:
        store.put_tenant(TENANT, TEN)
        store.put_rollouts(
            [
                rollout_read(
                    others,
                    [target(n, others, "succeeded", TEN - 600, TEN - 590, TEN - 300) for n in (1, 2)],
                    "completed", TEN - 600, TEN - 300,
                ),
                rollout_read(own, [failed], "failed", TEN + 61, TEN + 120, scope="instance"),
            ]
        )  # fmt: skip
        for at, status in ((-30, "healthy"), (-20, "healthy"), (3, "unhealthy"), (4, "unhealthy"), (8, "healthy")):
            store.put_instance(health(TEN + at * MINUTE, status), Cursor("health", f"{TENANT}|{ID}", last_ok_at=TEN))
        acted = {"action_id": ident(1, 0xC0), "created_at": iso(TEN + 5 * MINUTE), "action": "power_cycle",
                 "status": "completed", "message": "back", "actor": "ops"}  # fmt: skip
        rows = InstanceRows(actions=action_rows(TENANT, ID, {"actions": [acted]}))
        store.put_instance(rows, Cursor("actions", f"{TENANT}|{ID}", last_ok_at=TEN))
        for number in (1, 2):
            events = [
                {"id": f"{number}-{minute}", "event_ts": iso(TEN + minute * MINUTE), "outcome": outcome,
                 "event_type": "tool_call", "source": "mcp", "tool_name": f"search-{number}"}
                for minute, outcome in ((2.5, "error"), (6, "success"), (30, "denied"))
            ]  # fmt: skip
            store.put_audit(
                [audit_row(TENANT, ident(number, 0xB0), event) for event in events],
                summary_row(TENANT, ident(number, 0xB0), {"total_events": 3}, TEN),
                Cursor("audit", f"{TENANT}|{ident(number, 0xB0)}", last_ok_at=TEN),
            )
        sync_run_logs(store, folder, now=lambda: TEN + 3600)
    return path


def entries(record: Path, since: float, until: float, most: int = 200) -> list[tuple[str, str, str]]:
    """Kind, name and status of each entry, oldest first. Times are in minutes after TEN."""
    found = history(record, TENANT, ID, HOST, TEN + since * MINUTE, TEN + until * MINUTE, most)
    assert found["at"].is_monotonic_decreasing
    return [(row.kind, row.what, row.status) for row in found[::-1].itertuples()]


def test_a_period_of_ten_minutes_contains_one_entry_of_each_kind(record: Path) -> None:
    found = entries(record, 0, 10)
    assert found == [
        ("playbook", "playbooks/rolling_redeploy.yml", "failed"),
        ("rollout", "instance rollout", "failed"),
        ("audit", "tool_call", "error"),
        # Only changes of health, and only audit events that are not a success.
        ("health", "health check", "unhealthy"),
        ("action", "power_cycle", "completed"),
        ("health", "health check", "healthy"),
    ]


def test_a_health_check_without_a_change_is_not_in_the_history(record: Path) -> None:
    assert ("health", "health check", "healthy") not in entries(record, -25, 2)
    assert entries(record, -35, -25) == [("health", "health check", "healthy")]


def test_the_history_contains_what_began_before_the_period_and_ended_in_it(record: Path) -> None:
    assert entries(record, -6, 0) == [("rollout", "fleet rollout", "succeeded")]
    assert ("playbook", "playbooks/rolling_redeploy.yml", "failed") in entries(record, 1.5, 1.8)


def test_the_history_contains_nothing_of_another_time_or_instance(record: Path) -> None:
    assert entries(record, 40, 60) == []
    found = history(record, TENANT, ID, HOST, TEN, TEN + 3600)
    assert set(found["detail"][found["kind"] == "audit"]) == {"search-1"}
    assert not len(history(record, "http://another.example", ID, "", TEN, TEN + 3600))


def test_a_rollout_links_to_its_run_and_the_details_give_reason_and_user(record: Path) -> None:
    found = history(record, TENANT, ID, HOST, TEN, TEN + 600).set_index("kind")
    assert found.loc["rollout", "operation"] == found.loc["playbook", "operation"] == RUN
    assert found.loc["rollout", "detail"] == "checksum mismatch"
    assert found.loc["action", "detail"] == "back by ops"
    assert found.loc["playbook", "detail"] == "by ops"
    others = history(record, TENANT, ID, HOST, TEN - 360, TEN)
    assert others["operation"].tolist() == [ident(1, 0x0A11CE)]


def test_a_limited_history_contains_the_newest_entries(record: Path) -> None:
    assert entries(record, 0, 10, most=2) == entries(record, 0, 10)[-2:]


@pytest.mark.parametrize("status", ["running", "lost"])
def test_a_run_that_has_no_result_of_the_instance_yet_is_in_its_history(status: str, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    put_run(path, "run", NOW - TEN, hosts=[HOST, host_name(2)], flying=[HOST], recap=[{"host": host_name(2)}],
            status=status, ended_at=None)  # fmt: skip
    assert entries(path, -1, 10) == [("playbook", "playbooks/rolling_redeploy.yml", status)]
