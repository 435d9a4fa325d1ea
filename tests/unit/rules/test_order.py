# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a plan: canary hosts, waves, shares, busy instances, quarantine, and invalid rules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.batches import Member
from ansible_collections.fleetops.agents.plugins.module_utils._rules.order import (
    CANARY,
    Facts,
    Rules,
    Wave,
    caps_of,
    is_failing,
    order_of,
    refusal_of,
    sequence,
    share_of,
    waves_of,
    why_busy,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan import Plan, make_plan, moved
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan_words import plan_lines
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window

NOW = 1_790_000_000.0
POLICY = {"max_parallel_rollouts": 3}
NAMES = [f"a{number}" for number in range(1, 9)]


def fleet(current: tuple[str, ...] = ()) -> list[Member]:
    return [Member(name, f"id-{name}", "1", "2", name not in current, "outdated") for name in NAMES]


def planned(rules: Rules, facts: Facts | None = None, *, current: tuple[str, ...] = (), sizes: Any = (1, 3)) -> Plan:
    members = fleet(current)
    parts, left = sequence(members, rules, facts or Facts())
    return make_plan(
        members,
        policy=POLICY,
        sizes=list(sizes),
        batching={"canary": 1, **rules.hashed},
        known={},
        now=NOW,
        parts=parts,
        canary=CANARY if rules.canary_hosts else "",
        caps=caps_of(members, rules) if rules.scope == "at_once" else None,
        groups=rules.groups,
        left=left,
    )


def batches(plan: Plan) -> list[list[str]]:
    return [[member.name for member in batch] for batch in plan.batches]


def text(plan: Plan, rules: Rules, facts: Facts | None = None) -> str:
    window = Window(None, None)
    return "\n".join(plan_lines(plan, window=window, limit=3, redeploy_all=False, rules=rules, facts=facts or Facts()))


# Orders


@pytest.mark.parametrize(
    ("rules", "facts", "first"),
    [
        (Rules(), Facts(), NAMES),
        (Rules(order="inventory"), Facts(inventory=["a3", "a1", "a2"]), ["a3", "a1", "a2", "a4", "a5"]),
        (
            Rules(order="sickest"),
            Facts(health={**dict.fromkeys(NAMES, "healthy"), "a5": "unhealthy", "a7": "degraded", "a8": None}),
            ["a5", "a8", "a7", "a1"],
        ),
        (
            Rules(order="slowest_first"),
            Facts(past={"id-a2": [10.0], "id-a4": [90.0, 90.0], "id-a6": [40.0]}),
            # An unknown duration counts as the middle of the known ones.
            ["a4", "a1", "a3", "a5", "a6", "a7", "a8", "a2"],
        ),
    ],
)
def test_the_order_rule_decides_which_instances_come_first(rules: Rules, facts: Facts, first: list[str]) -> None:
    plan = planned(rules, facts)
    assert [member.name for member in plan.planned][: len(first)] == first
    assert (f"Order: {rules.order}." in text(plan, rules)) is (rules.order != "name")


def test_a_random_order_follows_its_seed_and_a_missing_instance_does_not_move_the_others() -> None:
    one = [member.name for member in planned(Rules(order="random", seed="7")).planned]
    assert one == [member.name for member in planned(Rules(order="random", seed="7")).planned]
    assert sorted(one) == NAMES != one
    assert one != [member.name for member in planned(Rules(order="random", seed="8")).planned]
    fewer = [member.name for member in planned(Rules(order="random", seed="7"), current=("a4",)).planned]
    assert fewer == [name for name in one if name != "a4"]


# Parts


def test_canary_hosts_come_first_in_batches_of_the_canary_size() -> None:
    rules = Rules(canary_hosts=("a4", "a6"))
    plan = planned(rules)
    assert batches(plan) == [["a4"], ["a6"], ["a1", "a2", "a3"], ["a5", "a7", "a8"]]
    assert "Batch 2 (canary): a6" in text(plan, rules)
    assert batches(planned(rules, sizes=(2, 3)))[0] == ["a4", "a6"]
    none = planned(rules, current=("a4", "a6"))
    assert batches(none)[0] == ["a1"]
    assert "None of the canary hosts is in this run, so the first batch is the canary." in text(none, rules)


def test_waves_have_their_own_limit_and_instances_outside_come_after_them() -> None:
    waves = (
        Wave("internal", ("a8", "a3"), soak=60.0, gate={"max_failed": 0}),
        Wave("eu", ("a1", "a2", "a3", "a4"), limit=2),
        Wave("nobody", ()),
    )
    rules = Rules(waves=waves)
    plan = planned(rules)
    assert batches(plan) == [["a3"], ["a8"], ["a1", "a2"], ["a4"], ["a5", "a6", "a7"]]
    assert [part.name for part in plan.parts] == ["internal", "internal", "eu", "eu", "the rest"]
    assert plan.parts[0].settings == {"max_failed": 0, "soak": 60.0}
    # The soak of a wave makes its batches longer.
    assert plan.expected[0].p90 == plan.expected[2].p90 + 60
    assert "Waves without an instance in this run: nobody." in text(plan, rules)


def test_busy_instances_come_last_before_those_in_quarantine_which_are_updated_one_by_one() -> None:
    rules = Rules(quarantine=3, defer_busy=600, canary_hosts=("a2",))
    facts = Facts(busy={"a1": "talks", "a2": "talks", "a7": "talks"}, failing=frozenset({"a7", "a3"}))
    plan = planned(rules, facts)
    assert batches(plan) == [["a4"], ["a5", "a6", "a8"], ["a1", "a2"], ["a3"], ["a7"]]
    assert [part.name for part in plan.parts] == ["", "", "busy", "quarantine", "quarantine"]
    shown = text(plan, rules, facts)
    assert "Busy, so at the end: a1 (talks), a2 (talks), a7 (talks)." in shown
    assert "In quarantine, so last, each in a batch of its own: a3, a7. The last 3 redeploys of each failed." in shown


# Shares

GROUPS = {name: "eu" if number < 4 else "us" for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("rules", "expected", "left"),
    [
        (Rules(most="3"), [["a1"], ["a2", "a3"]], 5),
        (Rules(most="25%"), [["a1"], ["a2"]], 6),
        (Rules(most="1%"), [["a1"]], 7),
        (Rules(most="2", groups=GROUPS), [["a1"], ["a2", "a5", "a6"]], 4),
        (Rules(most="9"), [["a1"], ["a2", "a3", "a4"], ["a5", "a6", "a7"], ["a8"]], 0),
        (Rules(most="25%", scope="at_once"), [["a1"], ["a2", "a3"], ["a4", "a5"], ["a6", "a7"], ["a8"]], 0),
        (
            Rules(most="1", scope="at_once", groups=GROUPS),
            [["a1"], ["a2", "a5"], ["a3", "a6"], ["a4", "a7"], ["a8"]],
            0,
        ),
    ],
)
def test_a_share_limits_a_run_or_a_batch_by_group(rules: Rules, expected: list[list[str]], left: int) -> None:
    plan = planned(rules)
    assert batches(plan) == expected
    assert len(plan.left) == left
    shown = text(plan, rules)
    assert (f"Left for a later run ({left})" in shown) or left in (0, 4)
    assert ("at once (max_share" in shown) is (rules.scope == "at_once")
    # The remaining instances are neither planned nor reported as current.
    assert {member.name for member in plan.planned} | set(plan.left) == set(NAMES)
    assert "Already current" not in shown


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rules, Facts]:
    some = st.sets(st.sampled_from(NAMES)).map(lambda names: tuple(sorted(names)))
    waves = draw(st.lists(st.builds(Wave, st.just("w"), some, st.none() | st.integers(1, 4)), max_size=3))
    rules = Rules(
        order=draw(st.sampled_from(["name", "random"])),
        canary_hosts=draw(some),
        waves=tuple(waves),
        most=draw(st.sampled_from(["", "1", "2", "30%"])),
        scope=draw(st.sampled_from(["run", "at_once"])),
        groups=draw(st.sampled_from([{}, GROUPS])),
    )
    busy, failing = draw(some), draw(some)
    return rules, Facts(busy=dict.fromkeys(busy, "talks"), failing=frozenset(failing))


@given(cases(), st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_every_instance_is_in_one_batch_or_left_over_and_no_limit_is_exceeded(
    case: tuple[Rules, Facts], sizes: list[int]
) -> None:
    rules, facts = case
    plan = planned(rules, facts, sizes=sizes)
    taken = [member.name for batch in plan.batches for member in batch]
    assert sorted([*taken, *plan.left]) == NAMES
    assert all(1 <= len(batch) <= max(sizes) for batch in plan.batches)
    assert all(len(batch) <= (part.limit or 99) for part, batch in zip(plan.parts, plan.batches, strict=True))
    caps = caps_of(fleet(), rules)
    group_of = rules.groups.get
    counted = [taken] if rules.scope == "run" else batches(plan)
    for names in counted:
        for group, number in Counter(group_of(name, "") for name in names).items():
            assert number <= caps.get(group, 99)
    assert [name for name in taken if name in facts.failing] == taken[len(taken) - len(set(taken) & facts.failing) :]
    # Values that change by themselves do not change the hash.
    assert planned(rules, Facts(), sizes=sizes).hash == plan.hash


@pytest.mark.parametrize(
    "other",
    [
        Rules(order="random", seed="7"),
        Rules(order="sickest"),
        Rules(canary_hosts=("a1",)),
        Rules(waves=(Wave("w", ("a1",)),)),
        Rules(most="2"),
        Rules(most="2", scope="at_once"),
        Rules(quarantine=2),
        Rules(defer_busy=60.0),
    ],
)
def test_another_rule_changes_the_hash_of_the_plan(other: Rules) -> None:
    assert moved(planned(Rules()).hash, planned(other).hash) == ["policy"]
    assert Rules().hashed == {}


# Facts


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (None, "its audit cannot be read"),
        ([], ""),
        ([{"event_ts": NOW - 30, "conversation_id": None}], ""),
        ([{"event_ts": NOW - 30, "conversation_id": "c"}], "its newest conversation was 30 s ago"),
        ([{"event_ts": NOW - 600, "conversation_id": "c"}, {"event_ts": "soon", "conversation_id": "c"}], ""),
        # An agent's clock may be ahead.
        ([{"event_ts": NOW + 5, "conversation_id": "c"}], "its newest conversation was 0 s ago"),
    ],
)
def test_an_instance_is_busy_if_it_had_recent_events(events: Any, why: str) -> None:
    assert why_busy(events, NOW, 600) == why


@pytest.mark.parametrize(
    ("statuses", "failing"),
    [
        ("", False),
        ("f", False),
        ("ff", True),
        ("ffs", True),
        ("fsf", False),
        ("sff", False),
        # A redeploy under way has not ended.
        ("pff", True),
        ("uff", False),
    ],
)
def test_instances_whose_last_redeploys_failed_are_in_quarantine(statuses: str, failing: bool) -> None:
    words = {"f": "failed", "s": "succeeded", "p": "in_progress", "u": "uncertain"}
    rows = [{"status": words[letter], "created_at": NOW - number} for number, letter in enumerate(statuses)]
    assert is_failing(reversed(rows), 2) is failing


# Invalid rules


@pytest.mark.parametrize(
    ("order", "message"), [("random", "Write random(7)"), ("fastest", "it must be name"), ("random()", "it must be")]
)
def test_an_invalid_order_is_refused(order: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        order_of(order)


@pytest.mark.parametrize("share", ["0", "0%", "101%", "-1", "a third", "", "1.5", "%"])
def test_an_invalid_share_is_refused(share: str) -> None:
    with pytest.raises(ValueError, match="max_share is"):
        share_of(share, 10)


@pytest.mark.parametrize(
    ("waves", "message"),
    [
        ("eu", "must be a list"),
        ([3], "wave 1 is 3"),
        ([{"limit": 2}], "wave 1 names no hosts"),
        ([{"hosts": "eu", "Limit": 2}], "wave eu has the unknown key Limit"),
        ([{"hosts": "eu", "limit": 0}], "limit of wave eu is 0"),
        ([{"hosts": "eu", "limit": True}], "limit of wave eu is True"),
        ([{"hosts": "eu", "soak": "long"}], "soak of wave eu is 'long'"),
        ([{"hosts": "eu", "gate": {"health": 1}}], "gate of wave eu has the unknown key health"),
        ([{"hosts": "eu", "gate": {"min_healthy_share": 2}}], "min_healthy_share of wave eu is 2"),
        ([{"hosts": "eu", "gate": {"max_failed": 1.5}}], "max_failed of wave eu is 1.5"),
        ([{"hosts": "eu", "gate": {"audit": "maybe"}}], "audit of wave eu is 'maybe'"),
        ([{"hosts": "eu", "gate": "strict"}], "gate of wave eu is 'strict'"),
        (["eu", {"hosts": "eu"}], "two waves have the name eu"),
    ],
)
def test_an_invalid_wave_is_refused(waves: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        waves_of(waves, lambda pattern: [pattern])


@pytest.mark.parametrize(
    ("rules", "options", "message"),
    [
        (Rules(canary_hosts=("a1",)), {"canary": 0, "canary_asked": True}, "canary is 0, which means no canary"),
        (Rules(scope="at_once"), {"scope_asked": True}, "apply to max_share, which is not given"),
        (Rules(groups=GROUPS), {}, "apply to max_share, which is not given"),
        (Rules(order="slowest_first"), {"of_redeploys": False}, "slowest_first looks at past redeploys"),
        (Rules(quarantine=2), {"of_redeploys": False}, "quarantine looks at past redeploys"),
        (Rules(order="slowest_first", quarantine=2), {}, ""),
        (Rules(waves=(Wave("eu", ("a1",), gate={"audit": True}),)), {}, "the audit of wave eu needs a soak"),
        (Rules(waves=(Wave("eu", ("a1",), gate={"audit": True}),)), {"soak": 60.0}, ""),
        (Rules(waves=(Wave("eu", ("a1",), soak=60.0, gate={"audit": True}),)), {}, ""),
    ],
)
def test_rules_that_exclude_each_other_are_refused(rules: Rules, options: dict[str, Any], message: str) -> None:
    asked = {"canary": 1, "canary_asked": False, "scope_asked": False, "of_redeploys": True, "soak": 0.0, **options}
    assert message in refusal_of(rules, **asked)
    assert bool(refusal_of(rules, **asked)) is bool(message)


def test_numbers_of_a_wave_may_be_text_as_templates_return_them() -> None:
    gate = {"max_failed": "1", "min_healthy_share": "0.9", "audit": "yes"}
    (wave,) = waves_of([{"hosts": "eu", "limit": "2", "soak": "60", "gate": gate}], lambda pattern: ["a1"])
    assert wave == Wave("eu", ("a1",), 2, 60.0, {"max_failed": 1, "min_healthy_share": 0.9, "audit": True})
