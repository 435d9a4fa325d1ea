# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of each instance of a run: one category each, and differences to the server's state."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import (
    CATEGORIES,
    category_of,
    make_report,
    report_lines,
)

NAMES = [f"agent-{n:03d}" for n in range(8)]
VERDICTS = ["pass", "deferred", "inconclusive", "fail"]

flags = st.booleans() | st.none()
outcomes = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "failed": flags,
        "unreachable": flags,
        "skipped": flags,
        "changed": flags,
        "adopted": flags,
        "ambiguous": flags,
        "timed_out": flags,
        "reconciled": st.sampled_from([None, "succeeded", "not_applied", "still_unknown", "superseded"]),
        "target": st.sampled_from([None, {}, {"completed_at": None}, {"completed_at": "2026-01-01T00:00:00Z"}, "x"]),
        "msg": st.none() | st.just("It went wrong."),
    },
)
some = st.lists(st.sampled_from(NAMES), unique=True)


@given(some, some, st.dictionaries(st.sampled_from(NAMES), outcomes), st.sampled_from(VERDICTS), some, st.data())
def test_each_instance_is_in_exactly_one_category(
    instances: list[str],
    planned: list[str],
    results: dict[str, Any],
    verdict: str,
    gone: list[str],
    data: st.DataObject,
) -> None:
    versions = {name: data.draw(st.sampled_from(["current", "outdated", "unknown"])) for name in instances}
    report = make_report(instances, planned, results, verdict=verdict, gone=gone, server=versions)
    sorted_out = [name for category in CATEGORIES for name in report[category]]
    assert sorted(sorted_out) == sorted(instances)
    assert report["counts"] == {category: len(report[category]) for category in CATEGORIES}
    assert set(report["gone"]) == set(gone) & set(instances)
    assert set(report["why"]) == {*report["failed"], *report["uncertain"]}
    assert all(report["why"].values())
    # Instances that would have been next are deferred, but only if nothing else stopped the run.
    assert not (report["deferred"] and verdict != "deferred")
    assert not (report["not_touched"] and verdict == "deferred")
    assert all(name in planned for name in sorted_out if name not in {*report["gone"], *report["current"]})
    for name in report["updated"]:
        assert results[name].get("changed") or results[name].get("adopted")
        assert (name in report["disagreements"]) == (versions[name] == "outdated")
    text = "\n".join(report_lines(report, ["Because."] if verdict != "pass" else []))
    assert all(name in text for name in instances)


@pytest.mark.parametrize(
    ("result", "category"),
    [
        (None, "not_touched"),
        ({"skipped": True, "changed": False}, "not_touched"),
        ({"changed": True}, "updated"),
        ({"changed": False, "adopted": True}, "updated"),
        ({"changed": False}, "current"),
        ({"failed": True, "changed": True}, "failed"),
        ({"unreachable": True}, "failed"),
        ({"failed": True, "ambiguous": True}, "uncertain"),
        ({"failed": True, "reconciled": "still_unknown"}, "uncertain"),
        ({"failed": True, "reconciled": "superseded"}, "uncertain"),
        ({"failed": True, "reconciled": "not_applied"}, "failed"),
        # After a timeout or a refused key, the redeploy is still running; after a failed health proof it is not.
        ({"failed": True, "timed_out": True, "target": {"status": "queued", "completed_at": None}}, "uncertain"),
        ({"failed": True, "changed": True, "target": {"status": "in_progress"}}, "uncertain"),
        ({"failed": True, "timed_out": True, "target": {"status": "succeeded"}}, "failed"),
        ({"failed": True, "changed": True, "target": {"status": "failed"}}, "failed"),
        # Accepted, but it never appeared.
        ({"failed": True, "changed": True, "unresolved": True}, "uncertain"),
        ({"failed": True, "changed": True, "task_id": "1"}, "failed"),
        ({"failed": True, "timed_out": True}, "failed"),
    ],
)
def test_the_category_of_a_result(result: dict[str, Any] | None, category: str) -> None:
    assert category_of(result) == category


def test_a_failed_instance_that_the_server_reports_as_current_is_named() -> None:
    report = make_report(
        ["a", "b"], ["a", "b"], {"a": {"failed": True, "msg": "Gone."}}, verdict="fail", server={"a": "current"}
    )
    assert report["disagreements"] == {"a": "failed by the run, current by the server's version report"}
    assert report_lines(report, ["One failed."]) == [
        "Stopped (fail): One failed.",
        "Failed (1): a",
        "  a: Gone.",
        "Not touched (1): b",
        "The server disagrees about a: failed by the run, current by the server's version report.",
        "Next: correct the cause, and run the playbook again with --limit a,b.",
    ]


def test_an_instance_is_named_once_for_each_reason() -> None:
    why = {"x-1": "The redeploy of x-1 failed.", "x": "The redeploy of x-1 failed.", "y": "Restarting y.a failed."}
    why["z.example"] = "no route (Z.example)"
    results = {name: {"failed": True, "msg": text} for name, text in why.items()}
    report = make_report([*results], [*results], results, verdict="pass", server={})
    assert report_lines(report, [])[1:-1] == [
        "  The redeploy of x-1 failed.",
        "  x: The redeploy of x-1 failed.",
        "  y: Restarting y.a failed.",
        "  no route (Z.example)",
    ]


@pytest.mark.parametrize(
    ("outcomes", "verdict", "left_out", "line"),
    [
        ({"a": {"changed": True}, "b": {}}, "pass", {}, ""),
        ({}, "fail", {}, ""),
        ({}, "deferred", {}, ""),
        ({"a": {"changed": True}}, "fail", {}, "Next: run the playbook again with --limit b."),
        ({"a": {"changed": True}}, "pass", {"b": "it was busy"}, ""),
        (
            {"a": {"changed": True}, "b": {"failed": True, "msg": "Gone."}},
            "fail",
            {},
            "Next: correct the cause, and run the playbook again with --limit b.",
        ),
    ],
)
def test_the_report_of_a_run_that_stopped_midway_says_how_to_continue_it(
    outcomes: dict[str, Any], verdict: str, left_out: dict[str, str], line: str
) -> None:
    report = make_report(["a", "b"], ["a", "b"], outcomes, verdict=verdict, left_out=left_out, server={})
    assert [text for text in report_lines(report, []) if "Next:" in text] == ([line] if line else [])
    assert not any("Next:" in text for text in report_lines(report, [], predicted=True))


def test_a_limit_with_many_hosts_is_not_written_out() -> None:
    names = [f"x-{number:02}" for number in range(30)]
    report = make_report(names, names, {"x-00": {"failed": True, "msg": "Gone."}}, verdict="fail", server={})
    assert report_lines(report, [])[-1].endswith("with --limit for these 30 instances.")


def test_a_report_can_be_a_prediction_and_can_describe_another_action() -> None:
    report = make_report(["a", "b"], ["a", "b"], {"a": {"changed": True}, "b": {}}, verdict="pass", server={})
    assert report_lines(report, [], acted="restarted", predicted=True) == [
        "Would be restarted (1): a",
        "Unchanged, nothing to do (1): b",
    ]


def test_an_instance_that_a_rule_leaves_out_is_not_touched_and_its_reason_is_named_even_in_a_deferred_run() -> None:
    names, left = ["a", "b", "c"], {"a": "share of the run", "b": "talks"}
    report = make_report(names, ["b", "c"], {"b": {"skipped": True}}, verdict="deferred", left_out=left, server={})
    assert (report["not_touched"], report["deferred"], report["current"]) == (["a", "b"], ["c"], [])
    assert report["left_out"] == left and report["why"] == {}
    assert "Not touched by rule: a, share of the run." in report_lines(report, [])


def test_two_bundles_in_one_run_are_reported() -> None:
    results = {name: {"changed": True, "bundle_hash": found} for name, found in (("a", "x"), ("b", "y"), ("c", "x"))}
    report = make_report(["a", "b", "c"], ["a", "b", "c"], results, verdict="pass", server={})
    assert report["bundles"] == {"x": ["a", "c"], "y": ["b"]}
    assert (
        "2 bundles were deployed in this run, probably because one was published during it: x to 2 (a, c); y to 1 (b)."
        in (report_lines(report, []))
    )
    one = make_report(["a"], ["a"], {"a": results["a"]}, verdict="pass", server={})
    assert not any("bundles" in line for line in report_lines(one, []))
