# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Valid holds, what a read of a hold means, and when a run is stalled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules import hold, stall
from ansible_collections.fleetops.agents.plugins.module_utils._rules.gate import FAIL, Check

URL = "https://monitor.example/hold?token=s3cret"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("/run/fleetops/hold", ""),
        ("~/hold", ""),
        (URL, ""),
        ("HTTP://monitor/hold", ""),
        ("hold", "neither an absolute path"),
        ("ftp://monitor/hold", "neither an absolute path"),
        ("http://", "has no host"),
        ("http://host:port/", "not a valid address"),
        ("https://ann:pw@monitor.example/hold", "must not contain a user name or a password"),
    ],
)
def test_a_hold_is_an_absolute_path_or_an_address(source: str, problem: str) -> None:
    found = hold.problem_of(source)
    assert problem in found and bool(found) == bool(problem)
    assert "pw" not in found


@pytest.mark.parametrize(
    ("status", "held"), [(200, True), (404, False), (204, None), (301, None), (401, None), (410, None), (500, None)]
)
def test_the_status_of_the_address_decides_whether_a_run_is_held(status: int, held: bool | None) -> None:
    reading = hold.of_status(URL, status)
    assert reading.held is held
    assert "https://monitor.example/hold" in reading.said and "s3cret" not in reading.said


@pytest.mark.parametrize(
    ("held", "waited", "verdict", "message"),
    [
        (False, 0, "pass", "not held (the file /x)"),
        (True, 0, "hold", "The run is held by the file /x. Nothing is started while it is, for 2 min at most."),
        (True, 119, "hold", "held by"),
        (True, 120, "fail", "held for 2 min by the file /x, and it waits for 2 min at most."),
        (None, 0, "inconclusive", "It is not known whether the run is held: the file /x"),
    ],
)
def test_a_read_of_the_hold_gives_a_verdict_with_a_reason(
    held: bool | None, waited: float, verdict: str, message: str
) -> None:
    check = hold.judge(hold.Reading(held, "the file /x"), waited=waited, timeout=120)
    assert check.verdict == verdict
    assert message in check.reason


def row(made: str, *, ended: str | None = None, number: str = "r1", **more: Any) -> dict[str, Any]:
    going = {"in_progress_targets": 0 if ended else 1, "queued_targets": 0}
    status = "completed" if ended else "in_progress"
    times = {"created_at": f"2026-11-24T{made}Z", "completed_at": ended and f"2026-11-24T{ended}Z"}
    return {"id": number, "status": status, **going, **times, **more}


NOON = 1_795_521_600.0


@pytest.mark.parametrize(
    ("rows", "verdict", "since"),
    [
        ([], "pass", None),
        ([row("11:00:00", ended="11:01:00")], "pass", None),
        ([row("11:55:00")], "pass", None),
        ([row("11:49:59")], "fail", "11:49"),
        # Something ended after the oldest redeploy in flight began.
        ([row("11:00:00"), row("11:50:00", ended="11:51:00", number="r2")], "pass", None),
        ([row("11:00:00"), row("11:40:00", ended="11:41:00", number="r2")], "fail", "11:41"),
        # An end long before the oldest redeploy in flight does not count.
        ([row("11:55:00"), row("09:00:00", ended="09:01:00", number="r2")], "pass", None),
        ([row("never", created_at="soon")], "inconclusive", None),
        # A paused rollout with nothing but queued targets is not in flight.
        ([row("11:00:00", status="paused", in_progress_targets=0, queued_targets=3)], "pass", None),
    ],
)
def test_a_run_is_stalled_if_nothing_ended_for_too_long(
    rows: list[dict[str, Any]], verdict: str, since: str | None
) -> None:
    check = stall.judge(rows, NOON, timeout=600)
    assert check.verdict == verdict, check.reason
    if since is not None:
        assert f"Nothing has ended since 2026-11-24 {since} UTC" in check.reason
        assert check.facts["rollouts"] == ["r1"]


def test_instances_in_flight_are_named_by_host_or_id_or_otherwise_by_their_rollouts() -> None:
    rows = [
        {"instance_hostname": "agent-001", "instance_id": "1", "status": "in_progress"},
        {"instance_hostname": None, "instance_id": "2", "status": "queued"},
        {"instance_hostname": "agent-003", "instance_id": "3", "status": "succeeded"},
        {"instance_hostname": None, "status": "queued"},
        "no row",
    ]
    check = Check(stall.NAME, FAIL, "Nothing has ended.", {"rollouts": ["r1", "r2"]})
    named = stall.with_instances(check, [{"timeline": rows}, {"timeline": None}])
    assert named == replace(check, reason="Nothing has ended. In flight: agent-001, 2.")
    for timelines in ([], [{"timeline": []}], [{"timeline": [rows[3]]}]):
        assert stall.with_instances(check, timelines).reason == "Nothing has ended. In flight: the rollouts r1, r2."


def test_reads_of_a_hold_keep_the_start_and_the_duration_of_the_hold() -> None:
    reads: hold.Reads | None = None
    checks = []
    # Times, and what was read: free, held, unknown. A hold may last an hour.
    for at, held in [(0, False), (10, True), (20, True), (40, None), (50, False), (60, True), (3660, True)]:
        reads = hold.Reads.after(reads, hold.Reading(held, "the file /x"), float(at))
        check = reads.check(3600.0)
        checks.append((check.verdict, check.facts["waited_seconds"], reads.seconds))
    assert checks == [
        ("pass", 0.0, 0.0),
        ("hold", 0.0, 0.0),
        ("hold", 10.0, 10.0),
        ("hold", 30.0, 30.0),
        ("pass", 0.0, 40.0),
        ("hold", 0.0, 40.0),
        ("fail", 3600.0, 3640.0),
    ]


def test_a_hold_is_inconclusive_after_the_fourth_failed_read_in_a_row() -> None:
    reads: hold.Reads | None = None
    verdicts = []
    for at, held in enumerate([None, None, True, None, None, None, None]):
        reads = hold.Reads.after(reads, hold.Reading(held, "nobody answered"), float(at))
        verdicts.append(reads.check(3600.0).verdict)
    assert verdicts == ["hold"] * 6 + ["inconclusive"]
