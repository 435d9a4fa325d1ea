# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the next redeploy of a stream may be sent: go, wait or stop, with the reasons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules import gate
from ansible_collections.fleetops.agents.plugins.module_utils._rules.admission import (
    FULL,
    GO,
    RULES,
    STOP,
    WAIT,
    Facts,
    Marks,
    admission_decision,
    ends_of,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.freezes import Freezes
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import DAY, HOUR

NOON = 1_790_000_000 // DAY * DAY + 12 * HOUR
HOURS = {"maintenance_window_start_hour_utc": 10, "maintenance_window_end_hour_utc": 13}
HALF = "maintenance_window_end_hour_utc"
SOUND = Facts(
    policy={"max_parallel_rollouts": 3, **HOURS},
    now=NOON,
    needs=60,
    margin=300,
    in_flight=2,
    names={"r-7": "agent-007"},
)
FROZEN = Freezes.of([{"from": iso_time(NOON - HOUR), "to": iso_time(NOON + HOUR)}])
SOON = Freezes.of([{"from": iso_time(NOON + 350), "to": iso_time(NOON + HOUR)}])
QUIET = {"id": "r-7", "scope": "instance", "status": "in_progress", "total_targets": 1, "in_progress_targets": 1}
QUIET["created_at"] = iso_time(NOON - HOUR)
ENDED = {"id": "r-8", "scope": "instance", "status": "succeeded", "total_targets": 1, "succeeded_targets": 1}
ENDED.update(created_at=iso_time(NOON - HOUR), completed_at=iso_time(NOON - 60))
HELD = gate.Check("hold", gate.HOLD, "The run is held by the file /x.")
SICK = gate.health_share({"a": {"status": "unhealthy"}, "b": {"status": "healthy"}}, 0.75, 9)
FLEET_ROLLOUT = {"id": "r-9", "scope": "fleet", "status": "in_progress", "total_targets": 9, "in_progress_targets": 2}


@pytest.mark.parametrize(
    ("change", "word", "worst", "message"),
    [
        ({}, GO, gate.PASS, ""),
        ({"in_flight": 3}, WAIT, gate.PASS, FULL),
        ({"most": 2}, WAIT, gate.PASS, FULL),
        ({"most": 9, "in_flight": 2}, GO, gate.PASS, ""),
        ({"policy": {"max_parallel_rollouts": 1, **HOURS}}, WAIT, gate.PASS, FULL),
        ({"policy": {"max_parallel_rollouts": 0}}, STOP, gate.FAIL, "is 0: rollouts are switched off"),
        (
            {"policy": {"max_parallel_rollouts": 3, "maintenance_window_start_hour_utc": 3}},
            STOP,
            "inconclusive",
            "null",
        ),
        ({"failed": ["agent-004"]}, STOP, gate.FAIL, "1 instance failed (agent-004); at most 0 may fail."),
        ({"failed": ["agent-004"], "max_failed": 1}, GO, gate.PASS, ""),
        (
            {"unsure": ["agent-005"]},
            WAIT,
            gate.PASS,
            "the server does not know whether the redeploy of agent-005 worked",
        ),
        ({"unsure": ["agent-005"], "max_failed": 1}, GO, gate.PASS, ""),
        ({"unsure": ["agent-005"], "failed": ["agent-004"], "max_failed": 1}, WAIT, gate.PASS, "agent-005"),
        ({"now": NOON + 3 * HOUR}, STOP, gate.FAIL, "is closed"),
        ({"now": NOON + 3 * HOUR, "started": True}, STOP, gate.DEFERRED, "is closed"),
        ({"now": NOON + HOUR - 350, "started": True}, STOP, gate.DEFERRED, "The next redeploy takes about 60 s"),
        ({"now": NOON + 3 * HOUR, "override": "INC-4711"}, GO, gate.PASS, ""),
        ({"rollouts": [FLEET_ROLLOUT]}, STOP, gate.FAIL, "A fleet rollout is in progress on the server: r-9"),
        ({"freezes": FROZEN}, STOP, gate.FAIL, "Changes are frozen until"),
        ({"freezes": FROZEN, "started": True}, STOP, gate.DEFERRED, "Changes are frozen until"),
        ({"freezes": SOON, "started": True}, STOP, gate.DEFERRED, "The next redeploy takes about 60 s"),
        ({"freezes": FROZEN, "override": "INC-4711"}, GO, gate.PASS, ""),
        ({"freezes": Freezes.of("no list")}, STOP, "inconclusive", "The freezes cannot be read"),
        ({"rollouts": [QUIET]}, GO, gate.PASS, ""),
        ({"rollouts": [QUIET], "stall_timeout": 600.0}, STOP, gate.FAIL, "In flight: agent-007."),
        ({"rollouts": [QUIET, ENDED], "stall_timeout": 600.0}, GO, gate.PASS, ""),
        ({"hold": HELD}, WAIT, gate.HOLD, "The run is held by the file /x"),
        ({"hold": HELD, "in_flight": 9}, WAIT, gate.HOLD, "The run is held by the file /x"),
        ({"hold": HELD, "failed": ["agent-004"]}, STOP, gate.FAIL, "1 instance failed (agent-004)"),
        ({"hold": gate.Check("hold", gate.FAIL, "Held for too long.")}, STOP, gate.FAIL, "Held for too long."),
        ({"health": SICK}, STOP, gate.FAIL, "1 of 2 checked instances are healthy; at least 75% must be."),
    ],
)
def test_the_next_redeploy_goes_waits_or_stops_with_the_reason(
    change: dict[str, Any], word: str, worst: str, message: str
) -> None:
    found = admission_decision(replace(SOUND, **change))
    assert (found.word, found.worst) == (word, worst)
    assert message in " ".join(found.reasons)
    assert bool(found.reasons) is (word != GO)


def test_all_reasons_to_stop_are_reported_and_stop_wins_over_wait() -> None:
    found = admission_decision(replace(SOUND, in_flight=9, failed=["a"], health=SICK, rollouts=[FLEET_ROLLOUT]))
    assert found.word == STOP and len(found.reasons) == 3


def test_additional_rules_can_be_given() -> None:
    def held(_facts: Facts) -> gate.Check:
        return gate.Check("hold", gate.DEFERRED, "The run is held by the operator.")

    assert admission_decision(SOUND, [*RULES, lambda _facts: None]).word == GO
    found = admission_decision(SOUND, [*RULES, held])
    assert (found.word, found.worst, found.reasons) == (STOP, gate.DEFERRED, ["The run is held by the operator."])


def row(rollout_id: str, **counters: int) -> dict[str, Any]:
    return {"id": rollout_id, "scope": "instance", "total_targets": 1, **counters}


def test_a_failure_counts_as_soon_as_the_list_shows_it() -> None:
    marks = Marks(started={"agent-001": "1", "agent-002": "2", "agent-003": "3", "agent-004": "4"})
    rows = [
        row("1", in_progress_targets=1),
        row("2", failed_targets=1),
        row("3", uncertain_targets=1),
        row("4", succeeded_targets=1),
        # A rollout of somebody else.
        row("5", failed_targets=1),
    ]
    assert ends_of(marks, rows) == (["agent-002"], ["agent-003"])
    judged = replace(marks, done=frozenset({"agent-003"}), failed=("agent-002", "agent-004"))
    assert ends_of(judged, rows) == (["agent-002", "agent-004"], [])
