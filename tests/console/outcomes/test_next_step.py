# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is told to do after an operation, and the command to copy."""

from __future__ import annotations

import pytest

from console.outcomes.next_step import HOSTS_MOST, NextStep, next_step

AGAIN = "ansible-playbook fleetops.agents.rolling_redeploy"
MANY = [f"agent-{number:03d}" for number in range(HOSTS_MOST + 1)]

# What is looked at; verdict, counts, hosts with a problem; sentence, command.
STEPS = [
    ("it still runs", "running", {"waiting": 3}, [], "It is still running.", ""),
    ("all done", "complete", {"updated": 6}, [], "Nothing is left to do.", ""),
    ("nothing was to be done", "complete", {"current": 6}, [], "Nothing is left to do.", ""),
    ("a check that finds something", "check", {"updated": 2}, [],
     "A real run would do this. With the plan's hash, it refuses anything else.",
     f"{AGAIN} -e fleetops_plan_hash=ab12"),
    ("a check that finds nothing", "check", {"current": 6}, [], "A real run would change nothing.", ""),
    ("stopped before the first failure", "stopped", {"updated": 2, "not_touched": 1}, [],
     "1 instance was not touched; the same command continues with it.", AGAIN),
    ("stopped by a failure", "stopped", {"updated": 6, "failed": 1, "not_touched": 17}, ["b"],
     "17 instances were not touched; the same command continues with them. The failed ones are retried, unless they"
     " are excluded:", f"{AGAIN} --limit 'all:!b'"),
    ("stopped by so many that no pattern names them", "stopped", {"failed": len(MANY), "not_touched": 1}, MANY,
     "1 instance was not touched; the same command continues with it. The failed ones are retried.", AGAIN),
    ("through with failures", "complete", {"updated": 4, "failed": 2}, ["b", "c"], "The failed ones are retried.",
     f"{AGAIN} --limit b,c"),
    ("one is uncertain", "stopped", {"updated": 5, "uncertain": 1}, ["b"],
     "The outcome of the uncertain ones is looked up before anything is sent again. The failed ones are retried.",
     f"{AGAIN} --limit b"),
    ("deferred", "deferred", {"deferred": 6}, [],
     "6 instances were not touched; the same command continues with them.", AGAIN),
    ("killed", "lost", {"updated": 2, "not_touched": 4}, [],
     "The process ended without a recap. 4 instances were not touched; the same command continues with them.", AGAIN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "counts", "problems", "sentence", "command"), [step[1:] for step in STEPS], ids=[s[0] for s in STEPS]
)
def test_the_next_step(verdict: str, counts: dict[str, int], problems: list[str], sentence: str, command: str) -> None:
    found = next_step("rolling_redeploy", verdict, counts, problems, "ab12" if verdict == "check" else "")
    assert found == NextStep(sentence, command)


def test_a_check_without_a_hash_is_not_bound_to_one() -> None:
    assert next_step("apply_updates", "check", {"updated": 1}, []).command == (
        "ansible-playbook fleetops.agents.apply_updates"
    )
