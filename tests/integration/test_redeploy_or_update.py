# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_runtime and instance_update do alike, since both redeploy one instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, redeploy_by_another, run_module, sound
from tests.simulator.running import Simulator

INSTANCES = 100


@dataclass(frozen=True)
class Kind:
    """One of the two modules, its write, and what its result says of the skills."""

    module: str
    operation: str
    skills: list[str] | None


REDEPLOY = Kind("instance_runtime", "redeploy_runtime", None)
UPDATE = Kind("instance_update", "apply_all_updates", ["calendar", "mail-triage"])


@pytest.fixture(params=[REDEPLOY, UPDATE], ids=lambda kind: kind.module)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def run_task(sim: Simulator, kind: Kind, host: str, /, **options: Any) -> ModuleTask:
    done = run_module(sim, kind.module, host, **options)
    if done.result["changed"]:
        assert done.result.get("skills_applied") == kind.skills
    return done


@pytest.mark.parametrize(
    "shape",
    [
        {"status_words": "synonyms"},
        {"status_words": "shouting", "timestamps": "naive"},
        {"completed_at_empty": "text", "timestamps": "z"},
        {"status_words": {"in_progress": "brewing", "queued": "in the kettle"}},
        {"celery_task_id_null": True},
    ],
)
def test_status_words_and_time_formats_of_the_server_make_no_difference(
    sim: Simulator, kind: Kind, host: str, shape: dict[str, Any]
) -> None:
    sim.knobs(**shape)
    assert sound(run_task(sim, kind, host))["changed"] and posts(sim) == [kind.operation]


# behaviour 3.5, row 23
@pytest.mark.parametrize("skew", [-90, 90])
@pytest.mark.parametrize("outcome", ["succeeded", "uncertain_applied"])
def test_a_wrong_server_clock_changes_nothing(sim: Simulator, kind: Kind, host: str, skew: int, outcome: str) -> None:
    sim.knobs(clock_skew_s=skew, outcomes={host: outcome})
    assert sound(run_task(sim, kind, host))["changed"] and posts(sim) == [kind.operation]


# Lost answers


# behaviour 3.5, row 1
@pytest.mark.parametrize(
    "fault",
    [
        {"reset_after": True},
        {"commit_then_status": 500},
        {"commit_then_status": 502, "html_body": True},
        {"html_body": True},
        {"empty_204": True},
    ],
)
def test_a_call_whose_answer_is_lost_is_found_and_its_redeploy_followed(
    sim: Simulator, kind: Kind, host: str, fault: dict[str, Any]
) -> None:
    sim.fault(operation=kind.operation, **fault)
    result = sound(run_task(sim, kind, host))
    assert result["changed"] and result["match"] == "weak" and result["target"]["status"] == "succeeded"
    assert posts(sim) == [kind.operation]


# behaviour 3.5, row 2
def test_a_connection_reset_before_the_call_is_reported_as_unknown_and_not_sent_again(
    sim: Simulator, kind: Kind, host: str
) -> None:
    sim.fault(operation=kind.operation, reset_before=True)
    done = run_module(sim, kind.module, host)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["error"]["ambiguous"]
    assert "did not appear" in done.msg and "retry_if_absent" in done.msg
    assert not done.result.get("skills_applied")
    assert 29 <= sum(done.pauses) <= 31
    assert posts(sim) == [kind.operation]


# behaviour 3.5, row 2
@pytest.mark.parametrize("lost", [False, True])
def test_retry_if_absent_sends_exactly_one_more_call_and_looks_it_up_too(
    sim: Simulator, kind: Kind, host: str, lost: bool
) -> None:
    sim.fault(operation=kind.operation, reset_before=True, times=1)
    if lost:
        sim.fault(operation=kind.operation, reset_after=True)
    done = run_task(sim, kind, host, retry_if_absent=True)
    assert sound(done)["changed"] and any("sent once more" in warning for warning in done.warnings)
    assert posts(sim) == [kind.operation] * 2


# behaviour 3.5, row 2
def test_retry_if_absent_stops_after_the_second_call(sim: Simulator, kind: Kind, host: str) -> None:
    sim.fault(operation=kind.operation, reset_before=True)
    result = run_module(sim, kind.module, host, retry_if_absent=True).result
    assert result["failed"] and result["ambiguous"]
    assert posts(sim) == [kind.operation] * 2


# behaviour 3.5, row 4
def test_a_redeploy_that_appears_late_is_found(sim: Simulator, kind: Kind, host: str) -> None:
    sim.knobs(list_lag_s=10)
    assert sound(run_task(sim, kind, host))["match"] == "exact" and posts(sim) == [kind.operation]


# behaviour 3.5, row 4
def test_a_redeploy_that_never_appears_is_a_failure_that_says_so(sim: Simulator, kind: Kind, host: str) -> None:
    sim.knobs(list_lag_s=500)
    done = run_task(sim, kind, host)
    assert done.result["failed"] and done.result["changed"]
    assert "was accepted, but within 30 s it did not appear" in done.msg
    assert posts(sim) == [kind.operation]


# behaviour 3.5, row 5
def test_a_redeploy_without_a_task_id_is_identified_by_its_time(sim: Simulator, kind: Kind, host: str) -> None:
    sim.knobs(task_id_null=True)
    result = sound(run_task(sim, kind, host))
    assert result["match"] == "weak" and result["target"]["status"] == "succeeded"
    assert result["health"]["status"] == "healthy"


# How a redeploy ends


# behaviour 3.5, row 7
def test_an_uncertain_redeploy_that_was_applied_succeeds_by_the_evidence(sim: Simulator, kind: Kind, host: str) -> None:
    sim.knobs(outcomes={host: "uncertain_applied"})
    result = sound(run_task(sim, kind, host))
    assert result["reconciled"] == "succeeded"
    assert result["evidence"] == "restarted since: yes, version is current: yes"
    assert posts(sim) == [kind.operation], "no E8, no second E22"


# behaviour 3.5, row 8
def test_an_uncertain_redeploy_that_was_not_applied_is_a_failure_that_says_so(
    sim: Simulator, kind: Kind, host: str
) -> None:
    sim.knobs(outcomes={host: "uncertain_not_applied"})
    done = run_task(sim, kind, host)
    assert done.result["failed"] and done.result["reconciled"] == "not_applied"
    assert "The server does not know whether the redeploy of " in done.msg and "the worker was lost" in done.msg
    assert "It was not applied" in done.msg and "It was not sent again; run this task again" in done.msg
    assert posts(sim) == [kind.operation]


# behaviour 3.5, row 9
@pytest.mark.parametrize(("outcome", "ends"), [("uncertain_applied", "succeeded"), ("uncertain_not_applied", "failed")])
def test_a_late_result_replaces_the_uncertain_one(
    sim: Simulator, kind: Kind, host: str, outcome: str, ends: str
) -> None:
    sim.knobs(outcomes={host: {"outcome": outcome, "late_result_s": 40}})
    result = run_task(sim, kind, host).result
    assert result["target"]["status"] == ends and bool(result.get("failed")) == (ends == "failed")
    assert "reconciled" not in result and posts(sim) == [kind.operation]


# behaviour 3.5, row 10
def test_a_stuck_redeploy_times_out_is_left_running_and_adopted_by_the_next_run(
    sim: Simulator, kind: Kind, host: str
) -> None:
    sim.knobs(outcomes={host: "stuck"})
    done = run_task(sim, kind, host, wait_timeout=100)
    assert done.result["failed"] and done.result["timed_out"]
    assert "did not end within 100 s; it is in_progress. It was left running" in done.msg
    assert 100 <= sum(done.pauses) <= 101
    assert done.result["target"]["status"] == "in_progress"

    again = run_module(sim, kind.module, host, wait_timeout=100)
    assert again.result["adopted"] and again.result["timed_out"] and not again.result["changed"]
    assert again.result["target_id"] == done.result["target_id"]
    assert posts(sim) == [kind.operation], "no cancel, no SIGTERM, no second one"


# Limits


# behaviour 3.5, row 12
@pytest.mark.parametrize("refusal", [403, 409, 422, "200_skip", "defer_countdown"])
def test_a_closed_window_is_reported_the_same_however_the_server_refuses(
    sim: Simulator, kind: Kind, host: str, refusal: object
) -> None:
    now = int(sim.state()["now"] // 3600) % 24
    start, end = (now + 5) % 24, (now + 7) % 24
    hours = {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}
    sim.knobs(window_error=refusal, window_applies_to="everything", policy=hours)
    done = run_task(sim, kind, host, wait_timeout=60)
    closed = f"The maintenance window ({start:02d}:00 to {end:02d}:00 UTC) is closed; it opens next at "
    assert done.result["failed"] and closed in done.msg, done.msg
    assert posts(sim) == [kind.operation], "sent once, not repeated until the window opens"
    if refusal == "defer_countdown":
        assert done.result["timed_out"] and "it is queued" in done.msg
    else:
        assert done.pauses == [] and not done.result["changed"]


# behaviour 3.5, row 14
@pytest.mark.parametrize(
    ("most", "message"),
    [
        (0, "is 0: rollouts are switched off"),
        (None, "is not given by the server"),
        ("two", "is 'two', which is not a whole number; nothing is started"),
        (1.5, "is 1.5, which is not a whole number"),
        (True, "is True, which is not a whole number"),
    ],
)
def test_a_policy_without_a_valid_limit_refuses_the_task(
    sim: Simulator, kind: Kind, host: str, most: object, message: str
) -> None:
    sim.knobs(policy={"max_parallel_rollouts": most})
    done = run_task(sim, kind, host)
    assert done.result["failed"] and message in done.msg and not done.result["changed"]
    assert posts(sim) == []


# behaviour 3.5, row 13
@pytest.mark.parametrize("mode", [409, 429, "queue", "none"])
def test_the_task_waits_for_a_free_place_in_the_fleet(sim: Simulator, kind: Kind, host: str, mode: object) -> None:
    sim.knobs(max_parallel_mode=mode, policy={"max_parallel_rollouts": 1}, outcomes={"agent-002": {"duration_s": 90}})
    redeploy_by_another(sim, "agent-002")
    violations = len(sim.in_flight()["violations"])
    assert sound(run_task(sim, kind, host))["waited_seconds"] > 90 and posts(sim) == [kind.operation]
    assert len(sim.in_flight()["violations"]) == violations


@pytest.mark.parametrize("mode", [409, 429])
def test_a_call_that_a_full_server_refuses_is_sent_again_later(
    sim: Simulator, kind: Kind, host: str, mode: int
) -> None:
    sim.fault(operation=kind.operation, status=mode, retry_after=0, detail="full", times=6)
    assert sound(run_task(sim, kind, host))["changed"]
    assert [row["executed"] for row in sim.writes()] == [False] * 6 + [True]


def test_without_admission_the_server_decides_about_the_limit(sim: Simulator, kind: Kind, host: str) -> None:
    sim.knobs(policy={"max_parallel_rollouts": 0})
    sim.fault(operation=kind.operation, status=409, detail="full")
    done = run_task(sim, kind, host, admission="none")
    assert done.result["error"]["kind"] == "conflict" and posts(sim) == [kind.operation]
