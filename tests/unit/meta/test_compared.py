# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The comparison with other systems: each "yes" of ours names tests, and these tests exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "docsite" / "rst" / "compared.rst").read_text()


def rows() -> list[list[str]]:
    """The cells of each row of the table."""
    table = PAGE[PAGE.index(".. list-table::") :]
    return [re.split(r"\n     - ", row.strip()) for row in table.split("\n   * - ")[1:]]


def test_every_row_has_seven_cells() -> None:
    assert len(rows()) > 20
    assert [row[0] for row in rows() if len(row) != 7] == []


def test_each_yes_of_this_project_names_tests_that_exist() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for row in rows()[1:]:
        ours = row[6]
        assert ours.startswith(("yes: ", "no: ")), row[0]
        if ours.startswith("yes"):
            named = re.findall(r"``([\w/.]+)``", ours)
            assert named, row[0]
            missing = [n for n in named if f"def {n}(" not in sources and not (ROOT / n).is_file()]
            assert missing == [], row[0]
