# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages for contributors only name existing paths, and no file is too long to read."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MAX_LINES = 400
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_on_the_page_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    named = re.findall(rf"`((?:{tops})/[\w./-]*)`", text) + re.findall(rf"^(?:  -> )?((?:{tops})/[\w./-]+)", text, re.M)
    paths = {name for name in named if "NAME" not in name and "/_build/" not in name}
    assert len(paths) > 3
    assert sorted(name for name in paths if not (ROOT / name).exists()) == []


def test_no_source_file_is_longer_than_400_lines_without_its_documentation() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "console/*.py", "plugins/*.py", "extensions/*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    long = {}
    for name in tracked.stdout.split():
        source = (ROOT / name).read_text(encoding="utf-8")
        documented = sum(
            (node.end_lineno or node.lineno) - node.lineno + 1
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in DOCUMENTATION
        )
        lines = source.count("\n") - documented
        if lines > MAX_LINES:
            long[name] = lines
    assert long == {}


def test_no_statement_needs_a_newer_sqlite_than_that_of_rhel_9() -> None:
    # SQLite 3.34, which console/README.md names. These came with 3.35 to 3.39.
    newer = r"AS MATERIALIZED|ON CONFLICT DO UPDATE|\bRETURNING\b|DROP COLUMN|->>|\bSTRICT\b|unixepoch\(|DISTINCT FROM"
    files = sorted((ROOT / "console" / "record").rglob("*.py"))
    assert files
    assert [(file.name, found) for file in files for found in re.findall(newer, file.read_text(encoding="utf-8"))] == []
