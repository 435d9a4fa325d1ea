# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The change number of a run: what a pattern accepts, and the message for everything else."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.change import change_problem

PATTERN = r"CHG\d{7}"


@pytest.mark.parametrize(
    ("change", "pattern", "message"),
    [
        ("", "", ""),
        ("anything at all", "", ""),
        ("CHG0031337", PATTERN, ""),
        (" CHG0031337\n", PATTERN, ""),
        ("chg0031337", f"(?i){PATTERN}", ""),
        ("", PATTERN, rf"No change is named, and this fleet requires one that matches {PATTERN}"),
        ("  ", PATTERN, "No change is named"),
        ("CHG003133", PATTERN, rf"fleetops_change is 'CHG003133', which does not match {PATTERN}"),
        ("see CHG0031337", PATTERN, "does not match"),
        ("CHG0031337, CHG0031338", PATTERN, "does not match"),
        ("CHG0031337", "CHG[", "fleetops_change_pattern is 'CHG[', which is not a regular expression"),
        ("CHG0031337\nCHG0031338", "", "more than one line"),
    ],
)
def test_a_change_number_matches_completely_or_is_refused_with_the_pattern(
    change: str, pattern: str, message: str
) -> None:
    problem = change_problem(change, pattern)
    assert (message in problem) if message else problem == ""
    assert not problem or problem.endswith(" Nothing was done.")
