# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warnings that the documentation has to give, because code cannot."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def paragraphs(path: str) -> list[str]:
    """The paragraphs of a page, each on one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", (ROOT / path).read_text())]


# reports/2026-11 A5
def test_the_readme_says_which_exit_code_make_returns(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("demo:\n\t@exit 4\n")
    assert subprocess.run(["make", "-s", "-C", str(tmp_path), "demo"], capture_output=True, check=False).returncode == 2
    found = [text for text in paragraphs("README.md") if "make demo CONSOLE=0` ends" in text]
    assert len(found) == 1 and "otherwise 2" in found[0]


# reports/2026-11 F8
def test_no_page_shows_the_key_in_a_play_except_as_a_warning() -> None:
    text = " ".join(paragraphs("README.md") + paragraphs("docs/docsite/rst/playbooks.rst"))
    assert "Never set the key with `environment:`" in text
    for path in [*ROOT.glob("docs/docsite/rst/*.rst"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/README.md")]:
        for found in re.finditer(r"^( *)environment:\n((?:\1 +.*\n)+)", path.read_text(), re.M):
            if "FLEETOPS_API_KEY" in found[2]:
                before = path.read_text()[: found.start()].rpartition("\n\n")[0][-600:]
                assert re.search(r"never|not |instead of", before, re.I), f"{path}: {found[0]}"
