# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sequence of health samples proves: never a restart that did not happen, always one that was observed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.restart import (
    Watch,
    action_key,
    completed_ago,
    has_failed,
    is_action,
    is_completed,
    restarted_ago,
    rows_of,
    started_action,
)

# A slow machine is not a failure.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BORN = 1_700_000_000.0
CALL = BORN + 5000.0
# The effect of rounding on uptime_seconds.
ROUNDING = st.floats(-0.7, 0.7)
TIMES = st.lists(st.floats(0.1, 400), min_size=1, max_size=25).map(sorted)
DOWN = st.sampled_from(["nothing", "cached"])
ANYTHING: st.SearchStrategy[Any] = st.none() | st.booleans() | st.floats() | st.text(max_size=6) | st.lists(st.none())


def record(at: float, boot: float, *, skew: float = 0.0, cached: bool = False, status: str = "healthy") -> Any:
    return {"status": status, "checked_at": at + skew, "uptime_seconds": at - boot, "cached": cached}


def watched(samples: list[tuple[float, Any]], **start: Any) -> Watch:
    """Observe the samples, (seconds since the call, record or None), one after the other."""
    watch = Watch(**start)
    for at, health in samples:
        watch = watch.see(health, at)
    return watch


# behaviour 3.5, row 23
@CALM
@given(times=TIMES, skew=st.floats(-90, 90), rounding=st.lists(ROUNDING, min_size=25, max_size=25), data=st.data())
def test_no_restart_is_reported_for_an_agent_that_did_not_restart(
    times: list[float], skew: float, rounding: list[float], data: st.DataObject
) -> None:
    known = data.draw(st.booleans())
    start = {"boot_before": BORN + skew, "newer_than": CALL + skew} if known else {"newer_than": CALL + skew}
    samples = []
    for at, error in zip(times, rounding, strict=False):
        down = data.draw(st.none() | DOWN)
        live = record(CALL + at, BORN + error, skew=skew)
        samples.append((at, live if down is None else None if down == "nothing" else {**live, "cached": True}))
    watch = watched(samples, **start)
    assert watch.moved is None
    # Without a completed action, or before it has settled, a gap is no evidence either.
    assert watch.evidence(completed=True, settled=False) is None
    if known:
        assert watch.evidence(completed=False, settled=True) is None
    assert watch.evidence(completed=True, settled=True) in ((None, "gap_only") if watch.down else (None,))


@CALM
@given(
    skew=st.floats(-90, 90),
    takes=st.floats(0.2, 300),
    later=st.floats(0.1, 100),
    known=st.booleans(),
    before=st.lists(DOWN, max_size=5),
)
def test_a_live_record_after_the_restart_proves_it(
    skew: float, takes: float, later: float, known: bool, before: list[str]
) -> None:
    start = {"boot_before": BORN + skew, "newer_than": CALL + skew} if known else {"newer_than": CALL + skew}
    seen = record(CALL + takes + later, CALL + takes, skew=skew)
    samples: list[tuple[float, Any]] = [(0.1, None if how == "nothing" else {**seen, "cached": True}) for how in before]
    assert watched(samples, **start).moved is None, "no answer or a cached one is not evidence"
    watch = watched([*samples, (takes + later, seen)], **start)
    assert watch.evidence(completed=False, settled=False) == ("boot_time" if known else "uptime")


# behaviour 3.5, row 24
@CALM
@given(uptime=st.floats(0, 1000), since=st.floats(0, 1000))
def test_neither_a_cached_nor_an_older_record_counts(uptime: float, since: float) -> None:
    cached = record(CALL + since, CALL + since - uptime, cached=True)
    older = record(CALL - since, CALL - since + 2)
    for health in (cached, {**cached, "cached": None}, {**cached, "cached": "false"}, older):
        for start in ({"boot_before": BORN, "newer_than": CALL}, {"newer_than": CALL}):
            watch = watched([(since, health)], **start)
            assert (watch.moved, watch.healthy, watch.back, watch.answering) == (None, 0, False, False)


def test_a_start_time_that_differs_by_rounding_is_the_same() -> None:
    for by, moved in ((1.4, None), (1.6, "boot_time"), (-100.0, None)):
        assert watched([(9.0, record(CALL + 9, BORN + by))], boot_before=BORN).moved == moved


def test_healthy_samples_from_before_the_restart_do_not_count() -> None:
    before = [(1.0, record(CALL + 1, BORN)), (2.0, record(CALL + 2, BORN)), (3.0, record(CALL + 3, BORN))]
    after = (9.0, record(CALL + 9, CALL + 4))
    assert watched(before, boot_before=BORN).healthy == 3
    assert watched([*before, after], boot_before=BORN).healthy == 1
    assert watched([after, (10.0, record(CALL + 10, CALL + 4, status="degraded"))], boot_before=BORN).healthy == 0


def test_an_agent_counts_as_not_restarted_only_while_it_answers_with_its_old_start_time() -> None:
    old, new = (1.0, record(CALL + 1, BORN)), (3.0, record(CALL + 3, CALL + 2))
    assert watched([old], boot_before=BORN).untouched
    assert not Watch(boot_before=BORN).untouched, "it was not observed"
    assert not watched([old], boot_before=None).untouched
    assert not watched([(0.5, None), old], boot_before=BORN).untouched
    assert not watched([old, new], boot_before=BORN).untouched


@CALM
@given(
    health=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("status", "checked_at", "uptime_seconds", "cached", "subsystems"), ANYTHING)
    ),
    start=st.fixed_dictionaries({"boot_before": st.none() | st.just(BORN), "newer_than": st.none() | st.just(CALL)}),
)
def test_any_record_is_accepted(health: dict[str, Any], start: dict[str, Any]) -> None:
    watch = watched([(1.0, health)], **start)
    assert watch.in_words()
    assert watch.evidence(completed=False, settled=True) in (None, "boot_time", "uptime")


# The list of actions


@CALM
@given(rows=ANYTHING | st.lists(st.dictionaries(st.sampled_from(["action", "status", "id", "created_at"]), ANYTHING)))
def test_any_list_of_actions_is_accepted(rows: Any) -> None:
    found = rows_of({"actions": rows})
    assert started_action(found, "reboot", {key for row in found if (key := action_key(row))}, None) is None
    for row in found:
        is_action(row, "reboot"), is_completed(row), has_failed(row)
    assert restarted_ago("reboot", None, found, None, 600) is None


def action(kind: str, created: float, completed: float | None = None, **more: Any) -> dict[str, Any]:
    status = "accepted" if completed is None else "completed"
    return {"action_id": f"{kind}-{created}", "action": kind, "status": status, "created_at": created} | {
        "completed_at": completed,
        **more,
    }


@pytest.mark.parametrize("spelled", ["power-cycle", "POWER_CYCLE", "powercycle", "Power cycle"])
def test_a_call_is_found_among_the_actions(spelled: str) -> None:
    old, new = action(spelled, CALL - 50, CALL - 40), action(spelled, CALL)
    other = action("run-diagnostics", CALL + 1)
    rows = rows_of({"actions": [old, new, other]})
    assert started_action(rows, "power_cycle", {old["action_id"]}, None) == new
    assert started_action(rows, "power_cycle", {old["action_id"], new["action_id"]}, None) is None
    assert started_action(rows, "power_cycle", set(), old["action_id"]) == old
    assert started_action(rows, "reboot", set(), None) is None


def test_the_last_restart_is_known_from_the_start_time_and_the_actions() -> None:
    now = CALL + 100
    fresh, aged = record(now, CALL), record(now, BORN)
    assert restarted_ago("power_cycle", fresh, [], now, 600) == 100
    assert restarted_ago("power_cycle", aged, [], now, 600) is None
    assert restarted_ago("power_cycle", {**fresh, "cached": True}, [], now + 50, 600) == 150
    assert restarted_ago("power_cycle", None, [action("reboot", CALL, CALL + 60)], now, 600) == 40
    assert restarted_ago("power_cycle", aged, [action("power-cycle", CALL)], now, 600) == 100, "it is under way"
    assert restarted_ago("power_cycle", aged, [action("power-cycle", CALL, status="failed")], now, 600) is None


@pytest.mark.parametrize("explanation", ["power-cycle", "redeploy", "apply-all"])
def test_a_start_time_that_another_action_explains_is_not_a_reboot(explanation: str) -> None:
    now = CALL + 100
    fresh = record(now, CALL + 2)
    assert restarted_ago("reboot", fresh, [action(explanation, CALL, CALL + 2)], now, 600) is None
    assert restarted_ago("reboot", fresh, [action(explanation, BORN, BORN + 2)], now, 600) == 98
    assert restarted_ago("reboot", fresh, [action("reboot", CALL, CALL + 2)], now, 600) == 98


@CALM
@given(ages=st.lists(st.floats(0, 5000), max_size=6), within=st.integers(1, 4000))
def test_the_newest_completed_action_within_the_period_counts(ages: list[float], within: int) -> None:
    rows = [action("power-cycle", CALL - age - 1, CALL - age) for age in ages]
    rows += [action("power-cycle", CALL, status="running"), action("reboot", CALL - 1, CALL)]
    expected = min((age for age in ages if age <= within), default=None)
    found = completed_ago(rows, CALL, within, "power_cycle")
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-3))
