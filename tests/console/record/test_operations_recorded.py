# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of real playbook runs: the numbers match the reports of the runs, even without reading the reports."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.collect.api.session import ApiOptions
from console.collect.sync import sync_once
from console.outcomes.outcome import counts
from console.record.read.attention import attention
from console.record.read.fleet import fleets
from console.record.read.operation import operation
from console.record.read.operations import COLUMNS, OperationFilter, operations
from console.settings.environment import ApiConnection, Settings
from tests.conftest import PlaybookRun
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
QUICK = {"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1, "fleetops_recover_interval": 0.3}
FAILED, HEALED = "agent-004.sgp1.fleet.example", "agent-002.ams3.fleet.example"
RUNS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    ("rolling_redeploy", ("--check",), {}),
    ("rolling_redeploy", (), {}),
    ("apply_updates", (), {}),
    (
        "reboot",
        ("--limit", "agent-00[13]*"),
        {"fleetops_only_if_unhealthy": False, "fleetops_after_power_cycle": False},
    ),
    ("recover", (), {"fleetops_recover_min_uptime": 0, "fleetops_recover_power_cycle_timeout": 20}),
    ("fleet_rollout", (), {}),
)


def synced(sim: Simulator, database: Path, run_logs: Path, *, api: bool = True) -> Path:
    settings = Settings(database=database, run_log_dir=run_logs)
    connection = ApiConnection(sim.url, sim.admin_key, retries=0) if api else None
    report = sync_once(settings, connection=connection, api_options=ApiOptions(details=("health", "updates")))
    assert report.problems == []
    return database


def reports(run_logs: Path) -> dict[str, dict[str, Any]]:
    """The reports in the run logs, by run id."""
    found = {}
    for path in sorted(run_logs.glob("*.jsonl")):
        events = [json.loads(line) for line in path.open()]
        ends = [e["event_data"] for e in events if e["event"] == "playbook_on_stats"]
        found[events[0]["event_data"]["fleetops_run"]["run_id"]] = ends[-1]["artifact_data"]["fleetops_report"]
    return found


def killed(source: Path, folder: Path, run_id: str, keep: Callable[[list[dict[str, Any]]], int]) -> Path:
    """The run log of a run that was killed after ``keep(events)`` events, in ``folder``."""
    folder.mkdir()
    (path,) = source.glob(f"*{run_id}*.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = lines[: keep([json.loads(line) for line in lines])]
    (folder / path.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def in_the_third_batch(events: list[dict[str, Any]]) -> int:
    """The number of events up to the first redeploy of the third batch."""
    batches = [n for n, e in enumerate(events) if e["event"] == "playbook_on_play_start"
               and e["event_data"]["name"].startswith("Roll ")]  # fmt: skip
    starts = (n for n, e in enumerate(events) if n > batches[2] and e["event"] == "runner_on_start"
              and e["event_data"]["task_action"].endswith("instance_runtime"))  # fmt: skip
    return next(starts) + 1


def test_the_numbers_of_an_operation_match_the_report_of_its_run(run_playbook: Run, tmp_path: Path) -> None:
    faults = {"outcomes": {"agent-004": ["failed"]}}
    with running_simulator(instances=6, speed=20.0, faults=faults) as sim:
        for playbook, arguments, variables in RUNS:
            if playbook == "recover":
                sim.knobs(disease={"agent-002": "process"})
            if playbook == "fleet_rollout":
                sim.knobs(publish="9999.1.0")
            run = run_playbook(sim, f"playbooks/{playbook}.yml", *arguments, e={**QUICK, **variables})
        run_logs, now = run.run_logs, time.time()
        reported = reports(run_logs)
        database = synced(sim, tmp_path / "console.db", run_logs)
        frame, total = operations(database, now)
        assert tuple(frame.columns) == COLUMNS
        rows = {row["key"]: row for row in frame.to_dict("records")}
        ours = [row for row in rows.values() if row["kind"] == "run"]
        assert [row["title"] for row in reversed(ours)] == [playbook for playbook, _arguments, _variables in RUNS]
        # The rollouts that the runs started belong to them; the other rollouts were started by someone else.
        assert {row["who"] for row in rows.values() if row["kind"] == "rollout"} == {"198.51.100.20"}
        assert total == len(frame) == len(ours) + sum(row["kind"] == "rollout" for row in rows.values())

        for run_id, report in reported.items():
            row, found = rows[run_id], operation(database, run_id, now)
            assert found is not None
            assert not row["derived"]
            by_category = found.instances.groupby("category")["host"].agg(set).to_dict()
            if "counts" in report:
                assert {key: row[key] for key in report["counts"]} == report["counts"]
                assert by_category == {key: set(report[key]) for key in report["counts"] if report[key]}
                # The counts are the same without the report, from the plan, the results of the tasks and the server.
                derived = counts(replace(found.facts, report={}))
                assert {key: derived[key] for key in report["counts"]} == report["counts"], row["title"]
            else:
                assert row["updated"] == report["rollout"]["succeeded_targets"] == len(by_category["updated"]) == 6
            assert row["instances"] == len(found.instances)

        checked, stopped = ours[-1], ours[-2]
        assert (checked["check"], checked["verdict"], checked["rollouts"]) == (True, "check", 0)
        assert checked["sentence"] == "Check run, nothing was changed. 6 would be updated."
        assert (stopped["check"], stopped["verdict"], stopped["rollouts"]) == (False, "stopped", 5)
        assert stopped["to_version"] == checked["to_version"]
        assert checked["to_version"] is not None
        why = f"1 instance failed ({FAILED}); at most 0 may fail."
        assert stopped["sentence"] == f"Stopped after batch 3 of 4: {why} 4 updated, 1 failed, 1 not touched."
        (failure,) = operation(database, stopped["key"], now).failures  # type: ignore[union-attr]
        assert (failure.message, failure.hosts, failure.before) == (
            "bundle checksum mismatch on the agent",
            (FAILED,),
            0,
        )
        found = operation(database, stopped["key"], now)
        assert found is not None
        assert [(gate.batch, gate.verdict) for gate in found.gates] == [
            (1, "pass"), (2, "pass"), (3, "pass"), (4, "stop")
        ]  # fmt: skip
        assert why.rstrip(".") in found.gates[-1].figures
        assert (found.plan["planned"], found.plan["batches"], found.plan["batches_begun"]) == (6, 4, 3)
        assert found.plan["limit"] == 2
        healed = next(row for row in ours if row["title"] == "recover")
        assert (healed["updated"], healed["current"]) == (1, 5)
        stopped_ones, _total = operations(database, now, OperationFilter(verdicts=("stopped",), text=FAILED))
        assert stopped["key"] in stopped_ones["key"].tolist()
        # The failed instance was updated by the next playbook, and the unhealthy one was healed.
        hosts = {host for entry in attention(database, now).itertuples() for host in entry.hosts}
        assert not {FAILED, HEALED} & hosts
        (fleet,) = fleets(database, now)
        assert (fleet.instances, fleet.published, fleet.on_published) == (6, "9999.1.0", 6)

        # Killed in the third batch: one redeploy was in progress, and two instances had not begun.
        cut = killed(run_logs, tmp_path / "cut", stopped["key"], in_the_third_batch)
        (row,) = operations(synced(sim, tmp_path / "run_log.db", cut, api=False), now)[0].to_dict("records")
        assert row["verdict"] in ("lost", "running")
        assert row["derived"]
        assert (row["updated"], row["failed"], row["uncertain"] + row["running"]) == (3, 0, 1)
        assert row["not_touched"] + row["waiting"] == 2
