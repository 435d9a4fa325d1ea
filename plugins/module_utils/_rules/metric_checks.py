# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of metrics: a query of Prometheus, and the condition that each returned value must meet. Pure.

A check is a mapping with ``query`` (PromQL), ``must_be`` (a comparison with a number, ``"< 0.01"``), and optionally
``for`` (seconds for which the condition must have been met until now) and ``name``.
"""

from __future__ import annotations

import itertools
import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import number
from .durations import duration
from .gate import FAIL, INCONCLUSIVE, PASS, Check
from .plain_values import is_blank

NAME = "metric"
_KEYS = ("name", "query", "must_be", "for")
_COMPARISON = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
# A range is read in 60 steps, none of them shorter than the usual scrape interval of Prometheus (in seconds).
_STEPS, _FINEST_STEP = 60, 15.0
# How many series a reason names.
_NAMED = 3


@dataclass(frozen=True)
class MetricCheck:
    """One check. ``seconds``: how long the condition must have been met. 0 checks only the newest value."""

    name: str
    query: str
    must_be: str
    seconds: float

    @property
    def step(self) -> float:
        """The seconds between two values of the range that is read."""
        finest = min(_FINEST_STEP, self.seconds) or _FINEST_STEP
        return max(finest, self.seconds / _STEPS)

    def holds(self, value: float) -> bool:
        sign, limit = _comparison(self.must_be)
        return _OPERATORS[sign](value, limit)


@dataclass(frozen=True)
class Series:
    """One time series of an answer. ``values``: pairs of a time (epoch seconds) and a value, oldest first."""

    labels: Mapping[str, str]
    values: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Answer:
    """An answer of Prometheus. ``problem``: why there is none, as a phrase. ``refused``: the query is invalid."""

    series: Sequence[Series] = field(default_factory=tuple)
    problem: str = ""
    refused: bool = False


def checks_of(value: Any) -> list[MetricCheck]:
    """The checks in a list of mappings or its JSON text; none for a blank value. Raises ValueError with a sentence."""
    if is_blank(value):
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"metric_checks is text, but not valid JSON: {error}.") from None
    if not isinstance(value, list):
        raise ValueError(f"metric_checks is {value!r}: it must be a list of mappings.")
    return [_check(entry, place) for place, entry in enumerate(value, 1)]


def _check(entry: Any, place: int) -> MetricCheck:
    where = f"metric_checks: entry {place}"
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where} is {entry!r}: it must be a mapping with {', '.join(_KEYS)}.")
    unknown = [str(key) for key in entry if key not in _KEYS]
    if unknown:
        raise ValueError(f"{where} has the unknown key {', '.join(unknown)}. It may have {', '.join(_KEYS)}.")
    texts = {key: entry.get(key) for key in ("query", "must_be")}
    for key, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{where}: {key} is {text!r}: it must be text.")
    query, must_be = str(texts["query"]).strip(), str(texts["must_be"]).strip()
    try:
        _comparison(must_be)
    except ValueError:
        signs = ", ".join(_OPERATORS)
        raise ValueError(
            f"{where}: must_be is {must_be!r}: it must be one of {signs} and a number, such as '< 0.01'."
        ) from None
    seconds = 0.0 if is_blank(entry.get("for")) else number(entry["for"])
    if seconds is None or seconds < 0:
        raise ValueError(f"{where}: for is {entry['for']!r}: it must be seconds, 0 or more.")
    return MetricCheck(str(entry.get("name") or query), query, must_be, seconds)


def _comparison(text: str) -> tuple[str, float]:
    found = _COMPARISON.fullmatch(text)
    limit = number(found[2]) if found else None
    if found is None or limit is None:
        raise ValueError(text)
    return found[1], limit


def series_of(body: Any) -> list[Series] | None:
    """The series in the body of an answer, which is a scalar, a vector or a matrix; None for any other body."""
    data = body.get("data") if isinstance(body, Mapping) and body.get("status") == "success" else None
    if not isinstance(data, Mapping):
        return None
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar" and isinstance(result, list):
        return [Series({}, _values([result]))]
    if kind not in ("vector", "matrix") or not isinstance(result, list):
        return None
    rows = [row for row in result if isinstance(row, Mapping)]
    return [Series(_labels(row), _values(row.get("values") or [row.get("value")])) for row in rows]


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    labels = row.get("metric")
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, Mapping) else {}


def _values(pairs: Any) -> list[tuple[float, float]]:
    """The values that are numbers, including infinite ones. NaN, the result of 0 / 0, does not count as a value."""
    found = []
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            at = number(pair[0])
            try:
                value = float(pair[1])
            except (TypeError, ValueError, OverflowError):
                continue
            if at is not None and not math.isnan(value):
                found.append((at, value))
    return found


def judge(check: MetricCheck, answer: Answer, now: float) -> Check:
    """The verdict of one check. ``now``: the time of the query (epoch seconds). The values must reach back from then.

    pass: every value of every series meets the condition. fail: a value does not, or the query is invalid.
    inconclusive: there is no value, the values do not reach back far enough or have gaps, or there was no answer.
    """
    facts = {"metric": check.name, "query": check.query, "must_be": check.must_be, "for": check.seconds}
    if answer.refused:
        return Check(NAME, FAIL, f"Prometheus refused the query of {check.name}: {answer.problem}. Correct it.", facts)
    if answer.problem:
        return Check(NAME, INCONCLUSIVE, f"{check.name} cannot be read: {answer.problem}.", facts)
    series = [one for one in answer.series if one.values]
    if not series:
        return Check(
            NAME, INCONCLUSIVE, f"{check.name} has no data, so it is not known whether it is {check.must_be}.", facts
        )
    over = f" for {duration(check.seconds)}" if check.seconds else ""
    bad = [(one, value) for one in series for _at, value in one.values if not check.holds(value)]
    newest = [one.values[-1][1] for one in series]
    facts |= {"series": len(series), "lowest": _json(min(newest)), "highest": _json(max(newest))}
    if bad:
        first = {id(one): (one, value) for one, value in reversed(bad)}
        named = ", ".join(f"{value:g}{_of(one)}" for one, value in list(first.values())[::-1][:_NAMED])
        more = f" and {len(first) - _NAMED} more series" if len(first) > _NAMED else ""
        return Check(NAME, FAIL, f"{check.name} is {named}{more}, but must be {check.must_be}{over}.", facts)
    # The values of the first two steps may be missing.
    late = [one for one in series if one.values[0][0] > now - check.seconds + 2 * check.step]
    if check.seconds and late:
        since = duration(max(0.0, now - max(one.values[0][0] for one in late)))
        return Check(
            NAME,
            INCONCLUSIVE,
            f"{check.name} must be {check.must_be}{over}, but there are only values for the last {since}"
            f"{_of(late[0])}.",
            facts,
        )
    missing = next((one for one in series if check.seconds and _has_gap(one, now, 2.5 * check.step)), None)
    if missing is not None:
        return Check(
            NAME,
            INCONCLUSIVE,
            f"{check.name} must be {check.must_be}{over}, but values of this time are missing{_of(missing)}.",
            facts,
        )
    value = f"{newest[0]:g}" if len(newest) == 1 else f"{min(newest):g} to {max(newest):g} in {len(newest)} series"
    return Check(NAME, PASS, f"{check.name} is {value}, and must be {check.must_be}{over}.", facts)


def _has_gap(series: Series, now: float, most: float) -> bool:
    """Whether more than ``most`` seconds lie between two consecutive values, or between the last one and now."""
    times = [at for at, _value in series.values] + [now]
    return any(later - earlier > most for earlier, later in itertools.pairwise(times))


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of(series: Series) -> str:
    labels = ", ".join(f'{key}="{value}"' for key, value in sorted(series.labels.items()) if key != "__name__")
    return f" ({labels})" if labels else ""
