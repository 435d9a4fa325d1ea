# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run without batches: the duration of its stream, what fits the window, the number of workers, invalid options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.batches import Part, batch_sizes
from ansible_collections.fleetops.agents.plugins.module_utils._rules.freezes import Freezes
from ansible_collections.fleetops.agents.plugins.module_utils._rules.order import Rules, Wave, options_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.pace import (
    follow_each_other,
    forks_needed,
    refusal_of,
    refusal_of_run,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan_words import plan_lines
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import HOUR, Window
from tests.unit.rules.continuous_plan import NOON, members, plan_of, seconds_for


@given(st.lists(st.floats(0, 100), max_size=50), st.integers(1, 12))
def test_no_more_than_the_limit_are_under_way_and_no_place_stays_empty(seconds: list[float], most: int) -> None:
    spans = list(follow_each_other(seconds, most))
    assert [round(end - start, 6) for start, end in spans] == [round(each, 6) for each in seconds]
    for start, _end in spans:
        assert sum(one <= start < other for one, other in spans) <= most
    starts = [start for start, _end in spans]
    assert starts == sorted(starts)
    end = max((end for _start, end in spans), default=0.0)
    longest = max(seconds, default=0.0)
    assert end <= sum(seconds) / most + longest + 1e-6


@pytest.mark.parametrize(
    ("limit", "options", "sizes"),
    [
        (4, {"of": 14}, [1, 13]),
        (4, {"of": 14, "canary": 0}, [14]),
        (4, {"of": 14, "canary": 9}, [4, 10]),
        (4, {"of": 14, "canary": 9, "batch_max": 2}, [2, 12]),
        (4, {"of": 1}, [1, 1]),
        (4, {"of": 0}, [1, 1]),
    ],
)
def test_after_the_canary_all_instances_are_one_batch(limit: int, options: dict[str, Any], sizes: list[int]) -> None:
    assert batch_sizes(limit, pace="continuous", **options) == sizes


def test_the_plan_predicts_the_end_of_the_stream_and_what_fits_the_window() -> None:
    fleet = members(9)
    known = {member.instance_id: [20.0] for member in fleet}
    plan = plan_of(fleet, known)
    # The canary with its health proof, then eight in four places.
    assert [batch.p90 for batch in plan.expected] == [30.0, 50.0]
    assert plan.fit.ends_p90 == NOON + 80
    assert plan.needs == [30.0, 30.0]
    assert plan.usual["agent-00003"] == (20.0, 20.0)
    assert plan.fit.instances_that_fit == 9
    text = plan_lines(plan, window=Window(None, None), limit=4, redeploy_all=False)
    assert text[0].startswith("9 instances: 9 to redeploy in a canary batch and one stream, at most 4 at once")
    assert any(line.startswith("Stream: agent-00001, ") for line in text)

    # From noon to 13:00, with a margin that leaves 65 seconds: the canary and the first four.
    hours = {"maintenance_window_start_hour_utc": 12, "maintenance_window_end_hour_utc": 13}
    tight = plan_of(fleet, known, hours=hours, margin=HOUR - 65.0)
    assert (tight.fit.batches_that_fit, tight.fit.instances_that_fit) == (1, 5)
    text = plan_lines(tight, window=Window(12, 13), limit=4, redeploy_all=False)
    assert any("only 5 of 9 instances fit." in line for line in text)
    none_fits = plan_of(fleet, known, hours=hours, margin=HOUR - 5.0)
    assert none_fits.fit.instances_that_fit == 0


def test_after_the_canary_one_stream_follows_the_plan_and_a_freeze_limits_what_fits() -> None:
    fleet = members(6)
    parts = [
        Part("canary", [fleet[4], fleet[2]]),
        Part("eu", [fleet[5]]),
        Part("the rest", [fleet[1], fleet[0], fleet[3]]),
    ]
    known = {member.instance_id: [20.0] for member in fleet}
    plan = plan_of(fleet, known, parts=parts, canary="canary", most=2)
    assert plan.batches == [[fleet[4]], [fleet[2]], [fleet[5], fleet[1], fleet[0], fleet[3]]]
    assert [part.name for part in plan.parts] == ["canary", "canary", ""]
    text = plan_lines(plan, window=Window(None, None), limit=2, redeploy_all=False)
    assert any(line.startswith("Stream: agent-00005, agent-00001, agent-00000, agent-00003") for line in text)
    # Two canaries of 30 s, then pairs of 20 s with a health proof of 10 s: the first pair ends 90 s after noon.
    frozen = Freezes.of([{"from": "2026-09-21T13:00", "to": "2026-09-23"}])
    tight = plan_of(fleet, known, parts=parts, canary="canary", most=2, freezes=frozen, margin=HOUR - 95.0)
    assert (tight.fit.batches_that_fit, tight.fit.instances_that_fit) == (2, 4)
    closed = plan_of(fleet, known, freezes=Freezes.of([{"from": "2026-01-01", "to": "2200-01-01"}]))
    assert closed.fit.instances_that_fit == 0


def test_without_past_durations_the_task_gets_none_and_the_plan_uses_the_fallback() -> None:
    plan = plan_of(members(5), {}, fallback=100.0)
    assert plan.usual["agent-00001"] == (None, 100.0)
    assert [batch.p90 for batch in plan.expected] == [110.0, 110.0]


@pytest.mark.parametrize(
    ("most", "of", "usual", "proof", "forks"),
    [
        (20, 199, 20.0, 10.0, 30),
        (20, 199, 180.0, 10.0, 22),
        (20, 12, 20.0, 10.0, 12),
        (3, 100, 0.0, 10.0, 100),
        (1, 1, 20.0, 10.0, 1),
    ],
)
def test_each_health_proof_needs_a_worker_too(most: int, of: int, usual: float, proof: float, forks: int) -> None:
    assert forks_needed(most, of, usual, proof) == forks


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"fleetops_plan_for": "restart"}, "which is for redeploys and updates only. Leave it out here."),
        ({"fleetops_growth": "doubling"}, "fleetops_growth=doubling cannot be used with fleetops_pace=continuous,"),
        (
            {"fleetops_soak": 60.0},
            "fleetops_soak cannot be used with fleetops_pace=continuous, which has",
        ),
        ({"fleetops_audit_gate": True}, "fleetops_audit_gate cannot be used with"),
        ({"fleetops_metric_checks": [{}]}, "fleetops_metric_checks cannot be used with"),
        ({"fleetops_on_bundle_change": "stop"}, "fleetops_on_bundle_change=stop cannot be used with"),
        ({"fleetops_repair": True}, "fleetops_repair cannot be used with"),
        ({"fleetops_share_scope": "at_once"}, "fleetops_share_scope=at_once cannot be used with"),
        ({"fleetops_quarantine": 2}, "fleetops_quarantine cannot be used with"),
        ({"fleetops_defer_busy": 60.0}, "fleetops_defer_busy cannot be used with"),
        ({"fleetops_on_bundle_change": "continue", "fleetops_share_scope": "run", "fleetops_waves": [{}]}, ""),
        ({"fleetops_soak": 0.0, "fleetops_repair": False, "fleetops_growth": "fixed"}, ""),
    ],
)
def test_options_that_do_not_fit_the_pace_are_refused_in_one_sentence(asked: dict[str, Any], message: str) -> None:
    found = refusal_of_run({"fleetops_pace": "continuous", **asked})
    assert message in found and bool(found) is bool(message)
    assert "\n" not in found
    assert refusal_of_run(asked) == ""


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            Rules(waves=(Wave("a", ("a1",)), Wave("eu", ("a2",), limit=2))),
            "waves (eu) cannot be used with pace=",
        ),
        (Rules(waves=(Wave("eu", ("a1",), soak=0.0),)), "waves (eu)"),
        (Rules(most="2", scope="at_once"), "share_scope=at_once"),
        (Rules(quarantine=2), "quarantine cannot be used"),
        (Rules(defer_busy=60.0), "defer_busy cannot be used"),
        (Rules(order="sickest", canary_hosts=("a1",), waves=(Wave("eu", ("a1",)),), most="9", scope="run"), ""),
        (Rules(scope="at_once"), ""),
    ],
)
def test_rules_that_need_batches_are_refused_too(rules: Rules, message: str) -> None:
    found = refusal_of({**options_of(rules), "growth": "fixed", "soak": 0.0}, "pace=continuous")
    assert found.startswith(message) and bool(found) is bool(message)


def test_ten_times_the_instances_take_about_ten_times_the_cpu_time() -> None:
    small, large = min(seconds_for(1_000) for _dummy in range(3)), min(seconds_for(10_000) for _dummy in range(3))
    assert large < 20 * small + 0.2, f"{large:.2f} s for 10,000, {small:.2f} s for 1,000"
