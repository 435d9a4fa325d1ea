# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests that pages name exist: those of the comparison with other systems, and those in the tables of tests/reports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

REPORTS = sorted((CHECKOUT / "tests" / "reports").glob("20*.md"))
ROWS = {"2026-11": {"A": 6, "B": 11, "C": 10, "D": 17, "E": 7, "F": 11}}


def test_each_yes_of_this_project_in_the_comparison_names_tests_that_exist() -> None:
    sources = "\n".join(path.read_text() for path in (CHECKOUT / "tests").rglob("test_*.py"))
    page = (CHECKOUT / "docs" / "docsite" / "rst" / "compared.rst").read_text()
    table = page[page.index(".. list-table::") :]
    rows = [re.split(r"\n     - ", row.strip()) for row in table.split("\n   * - ")[1:]]
    assert len(rows) > 20
    assert [row[0] for row in rows if len(row) != 7] == []
    for row in rows[1:]:
        ours = row[6]
        assert ours.startswith(("yes: ", "no: ")), row[0]
        if ours.startswith("yes"):
            named = re.findall(r"``([\w/.]+)``", ours)
            assert named, row[0]
            missing = [n for n in named if f"def {n}(" not in sources and not (CHECKOUT / n).is_file()]
            assert missing == [], row[0]


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.stem)
def test_every_row_of_a_report_names_a_test_that_exists(report: Path) -> None:
    lines = re.findall(r"^\| ([A-Z]\d+) \| .+ \| (.+) \|$", report.read_text(), re.M)
    assert {row for row, _tests in lines} == {
        f"{kind}{n + 1}" for kind, number in ROWS[report.stem].items() for n in range(number)
    }
    missing = []
    for row, tests in lines:
        for test in tests.split(", "):
            path, _separator, name = test.partition("::")
            tree = ast.parse((CHECKOUT / path).read_text()) if (CHECKOUT / path).is_file() else ast.Module([], [])
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            if name.partition("[")[0] not in functions:
                missing.append(f"{row}: {test}")
    assert missing == []
