# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the next batch may start: each check, and the worst verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.gate import (
    DEFERRED,
    FAIL,
    INCONCLUSIVE,
    PASS,
    Check,
    NextStart,
    Soak,
    Tally,
    audit,
    audit_delta,
    budget,
    bundle,
    foreign_rollout,
    health_share,
    soaked,
    window,
    worst,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import DAY, HOUR, Window

MIDNIGHT = 1_790_000_000 // DAY * DAY
ORDER = (PASS, DEFERRED, INCONCLUSIVE, FAIL)

names = st.lists(st.sampled_from([f"agent-{n:03d}" for n in range(12)]), unique=True)
tallies = st.builds(lambda total, share: Tally(total, int(total * share)), st.integers(0, 500), st.floats(0, 1))


# The worst verdict


@given(st.lists(st.sampled_from(ORDER)))
def test_the_worst_check_decides_the_verdict(verdicts: list[str]) -> None:
    found = worst(Check("any", verdict, "") for verdict in verdicts)
    assert found == max(verdicts, key=ORDER.index, default=PASS)
    # An inconclusive run is not a success, and a run that only waits for the window has not failed.
    assert (found == PASS) == (set(verdicts) <= {PASS})
    assert (found == FAIL) == (FAIL in verdicts)


# The failure budget


@given(names, st.integers(0, 12), names)
def test_failures_up_to_the_budget_pass(failed: list[str], most: int, last: list[str]) -> None:
    check = budget(failed, most, last)
    whole_batch = bool(last) and all(name in failed for name in last)
    assert check.verdict == (FAIL if len(failed) > most or whole_batch else PASS)
    if check.verdict == FAIL:
        assert all(name in check.reason for name in (failed if len(failed) > most else last)[:5])


def test_a_batch_in_which_every_instance_failed_stops_the_run_whatever_the_budget() -> None:
    check = budget(["agent-001"], 5, ["agent-001"])
    assert (check.verdict, check.reason) == (FAIL, "Every instance of the last batch failed (agent-001).")


# The window


@given(
    st.none() | st.integers(0, 24),
    st.none() | st.integers(0, 24),
    st.integers(0, DAY - 1),
    st.floats(0, 5 * HOUR),
    st.floats(0, 2 * HOUR),
    st.booleans(),
)
def test_a_batch_starts_only_if_it_ends_within_the_window(
    start: int | None, end: int | None, second: int, needs: float, margin: float, started: bool
) -> None:
    policy = {"maintenance_window_start_hour_utc": start, "maintenance_window_end_hour_utc": end}
    now = float(MIDNIGHT + second)
    check = window(policy, now, NextStart(needs, margin, started, override=""))
    known = Window.of_policy(policy)
    if (start is None) != (end is None):
        # reports/2026-11 A6
        assert check.verdict == INCONCLUSIVE and "is null" in check.reason
        return
    closes = known.closes_at(now)
    enough = known.is_open(now) and (closes is None or now + needs + margin <= closes)
    assert check.verdict == (PASS if enough else DEFERRED if started else FAIL)
    if not enough:
        assert "opens next at" in check.reason
        assert check.facts["next_opening"]
    overridden = window(policy, now, NextStart(needs, margin, started, override="INC-1"))
    assert overridden.verdict == PASS
    assert known.always_open or ("INC-1" in overridden.reason and overridden.facts["overridden"])


# Rollouts of other users


def test_only_a_fleet_rollout_counts_as_foreign() -> None:
    single = {"id": "1", "scope": "instance", "status": "in_progress", "total_targets": 1}
    assert foreign_rollout([single, {"id": "2", "total_targets": 1}]).verdict == PASS
    check = foreign_rollout([single, {"id": "3", "scope": "fleet", "status": None, "total_targets": 9}])
    assert (check.verdict, check.facts) == (FAIL, {"rollouts": ["3"]})
    assert "3 (no status)" in check.reason


# Health


@given(st.lists(st.sampled_from(["healthy", "degraded", "unhealthy", None, "absent"])), st.floats(0, 1))
def test_the_share_of_healthy_instances_must_reach_the_minimum(words: list[str | None], least: float) -> None:
    readings = {f"a{n}": None if word == "absent" else {"status": word} for n, word in enumerate(words)}
    check = health_share(readings, least, len(readings))
    if words and set(words) == {"absent"}:
        assert check.verdict == INCONCLUSIVE
        return
    share = words.count("healthy") / len(words) if words else 1.0
    assert check.verdict == (FAIL if share < least else PASS)
    assert check.facts["healthy"] + len(check.facts["unhealthy"]) == len(words)


# Audit


# behaviour 3.5, row 26
@given(
    st.fixed_dictionaries({key: st.integers(0, 100) for key in ("total_events", "error_events", "denied_events")}),
    st.fixed_dictionaries({key: st.integers(0, 100) for key in ("total_events", "error_events", "denied_events")}),
)
def test_a_decreasing_summary_counter_gives_no_difference(before: dict[str, int], after: dict[str, int]) -> None:
    tally = audit_delta(before, after)
    if any(after[key] < before[key] for key in before):
        assert tally is None
        check = audit({"a": tally}, {"b": Tally(100, 0)}, most=1.0, least_events=0)
        assert check.verdict == INCONCLUSIVE
        assert "a went backwards or could not be read" in check.reason
    else:
        assert tally is not None
        assert tally.total == after["total_events"] - before["total_events"]
        assert tally.bad >= 0


@pytest.mark.parametrize("counter", ["total_events", "error_events", "denied_events"])
@pytest.mark.parametrize("odd", [None, "x", -1, "absent"])
def test_events_are_unknown_if_a_counter_is_unknown(counter: str, odd: Any) -> None:
    known = {"total_events": 100, "error_events": 0, "denied_events": 0}
    unknown = {**known, "total_events": 300, counter: odd}
    if odd == "absent":
        del unknown[counter]
    for pair in ((known, unknown), (unknown, known)):
        assert audit_delta(*pair) is None


@given(
    st.dictionaries(st.sampled_from("abcd"), st.none() | tallies),
    st.dictionaries(st.sampled_from("wxyz"), st.none() | tallies),
    st.floats(0, 1),
    st.integers(0, 100),
)
def test_the_audit_check_passes_or_fails_only_with_traffic_in_both_groups_and_all_counters_known(
    updated: dict[str, Tally | None], control: dict[str, Tally | None], most: float, least: int
) -> None:
    check = audit(updated, control, most=most, least_events=least)
    events = [sum(tally.total for tally in group.values() if tally) for group in (updated, control)]
    known = None not in [*updated.values(), *control.values()]
    if not known or min(events) < least or min(events) == 0:
        assert check.verdict == INCONCLUSIVE
        return
    rates = [
        sum(tally.bad for tally in group.values() if tally) / total
        for group, total in zip((updated, control), events, strict=True)
    ]
    assert check.verdict == (FAIL if rates[0] - rates[1] > most else PASS)


# Soak

readings = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["healthy", "degraded", None])), max_size=30)


@given(readings, st.integers(0, 4), st.integers(1, 5))
def test_a_soak_passes_only_if_each_instance_was_healthy_often_enough_at_its_end(
    taken: list[tuple[str, str | None]], needed: int, most_errors: int
) -> None:
    soak = Soak(needed)
    for name, word in taken:
        soak.take(name, None if word is None else {"status": word})
    check = soaked(soak, ["a", "b"], 60.0, most_errors)
    own = {name: [word for who, word in taken if who == name] for name in "ab"}
    if any("degraded" in words for words in own.values()):
        assert check.verdict == FAIL
        assert "was degraded" in check.reason
        return
    good = all(len(words) >= needed and None not in words[len(words) - needed :] for words in own.values())
    silent = any(len(words) >= most_errors and not any(words[-most_errors:]) for words in own.values())
    assert check.verdict == (PASS if good and not silent else INCONCLUSIVE)
    if check.verdict == INCONCLUSIVE:
        assert "The live health of" in check.reason


@pytest.mark.parametrize("health", [{}, {"status": None}])
def test_a_record_without_a_status_is_not_healthy_and_is_described_in_words(health: dict) -> None:
    soak = Soak(3)
    soak.take("agent-001", health)
    check = soaked(soak, ["agent-001"], 60.0, 4)
    assert check.reason == "Not healthy in the soak after the redeploy: agent-001 was of unknown health."


def test_one_failed_round_of_a_large_batch_is_one_error_of_each_instance() -> None:
    soak = Soak(3)
    batch = [f"agent-{n:03d}" for n in range(8)]
    for name in batch:
        soak.take(name, None)
    assert soak.unreadable(4) == []
    for _round in range(3):
        for name in batch:
            soak.take(name, {"status": "healthy"})
    assert soaked(soak, batch, 60.0, 4).verdict == PASS


# Bundles


@pytest.mark.parametrize(
    ("bundles", "stop", "verdict"),
    [
        ({}, True, PASS),
        ({"aa": ["agent-001", "agent-002"]}, True, PASS),
        ({"aa": ["agent-001"], "bb": ["agent-002"]}, True, FAIL),
        ({"aa": ["agent-001"], "bb": ["agent-002"]}, False, PASS),
    ],
)
def test_a_second_bundle_in_a_run_stops_it_if_configured(
    bundles: dict[str, list[str]], stop: bool, verdict: str
) -> None:
    check = bundle(bundles, stop=stop)
    assert check.verdict == verdict
    if len(bundles) > 1:
        assert check.reason == (
            "2 bundles were deployed in this run, probably because one was published during it: "
            "aa to 1 (agent-001); bb to 1 (agent-002)."
        )
