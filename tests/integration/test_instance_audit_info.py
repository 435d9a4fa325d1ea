# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far instance_audit_info reads for a period, as the server's journal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.module_task import run_module
from tests.simulator.clock import iso
from tests.simulator.running import Simulator, running_simulator

HOST = "agent-001"
HOUR = 3600


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    # A day of events every 30 s: six pages of 500.
    knobs = {"audit_per_hour": 120, "audit_error_share": 0.1, "audit_denied_share": 0.05, "audit_ingest_lag_s": 600}
    with running_simulator(instances=1, speed=0, knobs=knobs) as sim:
        yield sim


@pytest.fixture
def sim(fleet: Simulator) -> Simulator:
    fleet.knobs(audit_order="event_ts", timestamps="offset")
    fleet.clear_journal()
    return fleet


def events(sim: Simulator, **options: Any) -> dict[str, Any]:
    result = run_module(sim, "instance_audit_info", HOST, gather=["events"], **options).result
    assert not result.get("failed") and not result["changed"], result
    return result


def pages(sim: Simulator) -> int:
    return len(sim.journal(operation_id="list_audit_events"))


def ago(sim: Simulator, seconds: float) -> str:
    return iso(sim.state()["now"] - seconds)


@pytest.mark.parametrize("order", ["event_ts", "ingested_at"])
@pytest.mark.parametrize("timestamps", ["offset", "naive", "z"])
def test_reading_since_a_time_reads_no_more_pages_than_needed_and_loses_no_event(
    sim: Simulator, order: str, timestamps: str
) -> None:
    everything = events(sim, all=True)["events"]
    whole = pages(sim)
    assert whole > 5 and len(everything) > 2000
    since = ago(sim, HOUR)
    expected = {row["id"] for row in everything if row["event_ts"] >= since}
    sim.knobs(audit_order=order, timestamps=timestamps)
    sim.clear_journal()
    result = events(sim, all=True, since=since)
    assert {row["id"] for row in result["events"]} == expected and len(expected) > 50
    assert (result["truncated"], result["next_offset"], result["reaches_since"]) == (False, None, True)
    assert pages(sim) <= 3 < whole


def test_the_result_of_a_limited_read_says_whether_it_reached_the_time(sim: Simulator) -> None:
    near = events(sim, limit=20, since=ago(sim, 4 * HOUR))
    assert near["truncated"] and near["next_offset"] == 20 and near["reaches_since"] is False
    assert events(sim, limit=400, since=ago(sim, HOUR))["reaches_since"] is True
    assert "reaches_since" not in events(sim, limit=20)


def test_filters_by_outcome_source_and_tool_are_combined(sim: Simulator) -> None:
    rows = events(sim, all=True)["events"]
    chosen = events(sim, all=True, outcome=["ERROR", "denied"], source=["agent"], tool_name=["find customer", "search"])
    expected = [
        row
        for row in rows
        if row["outcome"] in ("error", "denied")
        and row["source"] == "agent"
        and row["tool_name"] in ("find_customer", "search")
    ]
    assert chosen["events"] == expected != []


def test_a_second_read_continues_where_the_first_one_ended(sim: Simulator) -> None:
    first = events(sim, limit=30)
    rest = events(sim, limit=30, offset=first["next_offset"])
    assert [*first["events"], *rest["events"]] == events(sim, limit=60)["events"]


def test_the_summary_without_events_reads_no_events(sim: Simulator) -> None:
    result = run_module(sim, "instance_audit_info", HOST, gather=["summary"]).result
    assert result["summary"]["total_events"] > 2000 and "events" not in result
    assert [row["operation_id"] for row in sim.journal()] == ["get_audit_summary"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"since": "soon"}, "it must be a time such as"), ({"limit": 0}, "1 or more"), ({"offset": -1}, "0 or more")],
)
@pytest.mark.parametrize("everything", [False, True])
def test_invalid_options_are_refused_before_any_call(
    sim: Simulator, options: dict[str, Any], sentence: str, everything: bool
) -> None:
    for since in ({}, {"since": "2026-01-01"}):
        done = run_module(sim, "instance_audit_info", HOST, all=everything, **{**since, **options})
        assert done.result["failed"] and sentence in done.msg
    assert sim.journal() == []
