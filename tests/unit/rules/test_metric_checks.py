# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metric checks: invalid checks, the meaning of Prometheus answers, and the verdict of each check."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.metric_checks import (
    Answer,
    Series,
    checks_of,
    judge,
    series_of,
)

NOW = 1_800_000_000.0
ONE = {"name": "errors", "query": "rate(errors[5m])", "must_be": "< 0.01"}


def series(*values: float, step: float = 15.0, **labels: str) -> Series:
    """Values up to now at intervals of ``step`` seconds."""
    return Series(labels, [(NOW - step * (len(values) - 1 - place), value) for place, value in enumerate(values)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no json", "metric_checks is text, but not valid JSON"),
        ({"query": "up"}, "it must be a list of mappings"),
        (["up"], "entry 1 is 'up': it must be a mapping"),
        ([ONE, {**ONE, "above": 3}], "entry 2 has the unknown key above. It may have name, query, must_be, for"),
        ([{"must_be": "> 0"}], "entry 1: query is None: it must be text"),
        ([{**ONE, "query": " "}], "query is ' ': it must be text"),
        ([{**ONE, "must_be": 0.01}], "must_be is 0.01: it must be text"),
        ([{**ONE, "must_be": "0.01"}], "must_be is '0.01': it must be one of <, <=, >, >=, ==, != and a number"),
        ([{**ONE, "must_be": "< a lot"}], "must_be is '< a lot'"),
        ([{**ONE, "must_be": "=< 1"}], "must_be is '=< 1'"),
        ([{**ONE, "for": "5m"}], "for is '5m': it must be seconds, 0 or more"),
        ([{**ONE, "for": -1}], "for is -1: it must be seconds"),
    ],
)
def test_an_invalid_check_is_refused_with_its_position(given: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        checks_of(given)
    assert message in str(refused.value) and str(refused.value).endswith(".")


def test_checks_are_a_list_or_its_json_text_or_empty() -> None:
    assert checks_of(None) == checks_of("") == checks_of([]) == []
    (check,) = checks_of('[{"query": "up", "must_be": "==1", "for": "300"}]')
    assert (check.name, check.seconds, check.holds(1.0), check.holds(0.0)) == ("up", 300.0, True, False)


@pytest.mark.parametrize(
    ("must_be", "seconds", "answer", "verdict", "message"),
    [
        ("< 0.01", 0, [series(0.002)], "pass", "errors is 0.002, and must be < 0.01."),
        ("< 0.01", 0, [series(0.01)], "fail", "errors is 0.01, but must be < 0.01."),
        ("<= 0.01", 0, [series(0.01)], "pass", ""),
        (">= 3", 0, [series(3), series(7)], "pass", "errors is 3 to 7 in 2 series, and must be >= 3."),
        ("!= 0", 0, [series(0)], "fail", ""),
        # Every series counts, and the reason names the one that misses the condition.
        ("< 1", 0, [series(0, host="a"), series(2, host="b")], "fail", 'errors is 2 (host="b"), but must be < 1.'),
        ("< 1", 0, [series(5, n=str(n)) for n in range(5)], "fail", '(n="2") and 2 more series, but must be < 1.'),
        ("< 1", 0, [series(float("inf"))], "fail", "errors is inf"),
        # No data, and NaN from 0 divided by 0, which does not count as a value.
        ("< 1", 0, [], "inconclusive", "errors has no data, so it is not known whether it is < 1."),
        ("< 1", 0, [series()], "inconclusive", "errors has no data"),
        # Over a period: one value that misses the condition is enough, and the values must cover the period.
        ("< 1", 60, [series(0, 0, 0, 0, 0)], "pass", "errors is 0, and must be < 1 for 60 s."),
        ("< 1", 60, [series(0, 2, 0, 0, 0)], "fail", "errors is 2, but must be < 1 for 60 s."),
        ("< 1", 60, [series(0, 0)], "inconclusive", "but there are only values for the last 15 s."),
        ("< 1", 60, [series(0, 0, 0, 0), series(0, host="new")], "inconclusive", '(host="new")'),
        ("< 1", 60, [series(3)], "fail", "errors is 3"),
    ],
)
def test_each_answer_gives_a_verdict_and_a_sentence(
    must_be: str, seconds: float, answer: list[Series], verdict: str, message: str
) -> None:
    (check,) = checks_of([{**ONE, "must_be": must_be, "for": seconds}])
    found = judge(check, Answer(answer), NOW)
    assert (found.name, found.verdict) == ("metric", verdict), found
    assert message in found.reason and found.reason.endswith(".")
    assert found.facts["query"] == ONE["query"]


def test_a_failed_query_is_inconclusive_and_a_wrong_query_is_a_failure() -> None:
    (check,) = checks_of([ONE])
    away = judge(check, Answer(problem="connection refused"), NOW)
    assert (away.verdict, away.reason) == ("inconclusive", "errors cannot be read: connection refused.")
    wrong = judge(check, Answer(problem="parse error", refused=True), NOW)
    assert (wrong.verdict, wrong.reason) == ("fail", "Prometheus refused the query of errors: parse error. Correct it.")


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ({"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [NOW, "1.5"]}]}, [[(NOW, 1.5)]]),
        ({"resultType": "scalar", "result": [NOW, "2"]}, [[(NOW, 2.0)]]),
        (
            {"resultType": "matrix", "result": [{"values": [[1, "1"], [2, "NaN"], [3, "3"]]}]},
            [[(1.0, 1.0), (3.0, 3.0)]],
        ),
        ({"resultType": "vector", "result": []}, []),
        ({"resultType": "vector", "result": [{"value": [NOW, "+Inf"]}, {"value": "x"}]}, [[(NOW, float("inf"))], []]),
        ({"resultType": "string", "result": [NOW, "x"]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_answers_of_prometheus_are_read(data: Any, values: Any) -> None:
    found = series_of({"status": "success", "data": data})
    assert (None if found is None else [list(one.values) for one in found]) == values
    assert series_of({"status": "error"}) is None


def test_values_that_ended_long_ago_or_have_a_gap_prove_nothing() -> None:
    (check,) = checks_of([{"query": "q", "must_be": "< 1", "for": 600}])
    for times in ([-600.0, -585.0], [-600.0, -585.0, -15.0, 0.0]):
        answer = Answer(series=(Series({}, [(NOW + at, 0.0) for at in times]),))
        assert judge(check, answer, NOW).verdict == "inconclusive", times
    whole = Answer(series=(Series({}, [(NOW + at, 0.0) for at in range(-600, 1, 15)]),))
    assert judge(check, whole, NOW).verdict == "pass"
