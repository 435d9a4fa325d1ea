# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables in tests/reports name tests that exist, and every row of a report has one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REPORTS = sorted((ROOT / "tests" / "reports").glob("20*.md"))
# The number of rows of each report, by the letter of their kind.
ROWS = {"2026-11": {"A": 6, "B": 11, "C": 10, "D": 17, "E": 7, "F": 11}}


def rows_of(report: Path) -> dict[str, list[str]]:
    """Row -> the tests that it names."""
    lines = re.findall(r"^\| ([A-Z]\d+) \| .+ \| (.+) \|$", report.read_text(), re.M)
    return {row: cell.split(", ") for row, cell in lines}


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.stem)
def test_every_row_of_a_report_names_a_test_that_exists(report: Path) -> None:
    rows = rows_of(report)
    expected = {f"{kind}{n + 1}" for kind, number in ROWS[report.stem].items() for n in range(number)}
    assert rows.keys() == expected
    missing = []
    for row, tests in rows.items():
        for test in tests:
            path, _separator, name = test.partition("::")
            tree = ast.parse((ROOT / path).read_text()) if (ROOT / path).is_file() else ast.Module([], [])
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            if name.partition("[")[0] not in functions:
                missing.append(f"{row}: {test}")
    assert missing == []
