# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A parser for the part of PromQL that the examples use. It rejects everything else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FUNCTIONS = frozenset({"time", "absent", "increase", "histogram_quantile"})
AGGREGATIONS = frozenset({"sum", "max", "min"})
OPERATORS = ("or", "and", ">=", "<=", "==", "!=", ">", "<", "+", "-", "*", "/")

Labels = frozenset[str] | None
ALL: Labels = frozenset({"all"})

_TOKEN = re.compile(
    r"""\s*(?:(?P<duration>\d+[smhdw](?![\w.]))|(?P<number>\d+(?:\.\d+)?)|(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<name>[A-Za-z_:][\w:]*)|(?P<sign>=~|!~|>=|<=|==|!=|[-+*/<>=(){}\[\],]))""",
    re.VERBOSE,
)


@dataclass
class Query:
    """The metrics of a query, the labels in matchers with their metrics, and the labels in "by" clauses (grouped)."""

    metrics: set[str] = field(default_factory=set)
    matched: set[tuple[str, str]] = field(default_factory=set)
    grouped: set[str] = field(default_factory=set)


class Parser:
    """Parses one query. Raises ValueError with the position."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, at = text, [], 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"no token at {text[at:]!r} in {text!r}")
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        self._at = 0
        self.query = Query()

    def parse(self) -> Query:
        self._expression()
        if self._at < len(self._tokens):
            raise self._wrong("the end")
        return self.query

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *wanted: str) -> str:
        kind, text = self._peek()
        if wanted and kind not in wanted and text not in wanted:
            raise self._wrong(" or ".join(wanted))
        self._at += 1
        return text

    def _wrong(self, wanted: str) -> ValueError:
        return ValueError(f"{self._peek()[1]!r} where {wanted} is needed, in {self._text!r}")

    # Each method returns the labels of the vector: None for a number, ALL without an aggregation.

    def _expression(self) -> Labels:
        labels = self._operand()
        while self._peek()[1] in OPERATORS and self._peek()[0] != "string":
            operator, right = self._take(), self._operand()
            if operator != "or" and None not in (labels, right) and labels != right:
                # Prometheus adds labels to each series, such as instance. No series without them has the same labels.
                raise ValueError(f"the two sides of {operator} never have the same labels, in {self._text!r}")
            labels = right if labels is None else labels
        return labels

    def _operand(self) -> Labels:
        kind, text = self._peek()
        labels: Labels = None
        if text == "(":
            self._take()
            labels = self._expression()
            self._take(")")
        elif kind == "number":
            self._take()
        elif text in AGGREGATIONS:
            self._take()
            labels = frozenset()
            if self._peek()[1] == "by":
                self._take()
                labels = frozenset(self._list())
                self.query.grouped |= labels
            self._take("(")
            self._expression()
            self._take(")")
        elif text in FUNCTIONS:
            self._take()
            self._take("(")
            while self._peek()[1] != ")":
                labels = self._expression()
                if self._peek()[1] != ")":
                    self._take(",")
            self._take(")")
        else:
            self._selector()
            labels = ALL
        return labels

    def _list(self) -> list[str]:
        self._take("(")
        names = [self._take("name")]
        while self._peek()[1] == ",":
            self._take()
            names.append(self._take("name"))
        self._take(")")
        return names

    def _selector(self) -> None:
        metric = self._take("name")
        self.query.metrics.add(metric)
        if self._peek()[1] == "{":
            self._take()
            while self._peek()[1] != "}":
                self.query.matched.add((metric, self._take("name")))
                self._take("=", "!=", "=~", "!~")
                self._take("string")
                if self._peek()[1] != "}":
                    self._take(",")
            self._take("}")
        if self._peek()[1] == "[":
            self._take()
            self._take("duration")
            self._take("]")
