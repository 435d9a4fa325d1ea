# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recommended next step after an operation, and its command."""

from __future__ import annotations

import pytest

from console.outcomes.next_step import MAX_HOSTS, NextStep, next_step

AGAIN = "ansible-playbook fleetops.agents.rolling_redeploy"
MANY = [f"agent-{number:03d}" for number in range(MAX_HOSTS + 1)]

# The case; verdict, counts, hosts with a problem; sentence, command.
STEPS = [
    ("still running", "running", {"waiting": 3}, [], "It is still running.", ""),
    ("all done", "complete", {"updated": 6}, [], "Nothing is left to do.", ""),
    ("nothing to do", "complete", {"current": 6}, [], "Nothing is left to do.", ""),
    ("a check with changes", "check", {"updated": 2}, [],
     "A real run would do this. With the plan's hash, it refuses anything else.",
     f"{AGAIN} -e fleetops_plan_hash=ab12"),
    ("a check without changes", "check", {"current": 6}, [], "A real run would change nothing.", ""),
    ("stopped before the first failure", "stopped", {"updated": 2, "not_touched": 1}, [],
     "This command continues with the instance that was not touched.", AGAIN),
    ("stopped by a failure", "stopped", {"updated": 6, "failed": 1, "not_touched": 17}, ["b"],
     "This command continues with the 17 instances that were not touched, but not with the failed ones. Without"
     " --limit, it retries these too.", f"{AGAIN} --limit 'all:!b'"),
    ("stopped by more failures than a pattern can list", "stopped", {"failed": len(MANY), "not_touched": 1}, MANY,
     "This command continues with the instance that was not touched, and retries the failed ones.", AGAIN),
    ("complete with failures", "complete", {"updated": 4, "failed": 2}, ["b", "c"],
     "This command retries the failed instances.", f"{AGAIN} --limit b,c"),
    ("one is uncertain", "stopped", {"updated": 5, "uncertain": 1}, ["b"],
     "This command retries the uncertain instance. Before it sends anything again, it looks up what became of the"
     " uncertain ones.",
     f"{AGAIN} --limit b"),
    ("deferred", "deferred", {"deferred": 6}, [],
     "This command continues with the 6 instances that were not touched.", AGAIN),
    ("killed", "lost", {"updated": 2, "not_touched": 4}, [],
     "The process ended without a recap. This command continues with the 4 instances that were not touched.", AGAIN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "counts", "problems", "sentence", "command"), [step[1:] for step in STEPS], ids=[s[0] for s in STEPS]
)
def test_the_next_step_follows_from_verdict_and_counts(
    verdict: str, counts: dict[str, int], problems: list[str], sentence: str, command: str
) -> None:
    found = next_step("rolling_redeploy", verdict, counts, problems, "ab12" if verdict == "check" else "")
    assert found == NextStep(sentence, command)


def test_the_command_after_a_check_without_a_hash_contains_none() -> None:
    assert next_step("apply_updates", "check", {"updated": 1}, []).command == (
        "ansible-playbook fleetops.agents.apply_updates"
    )


@pytest.mark.parametrize("text", ["x; id", "$(id)", "a fleetops_override_window=true", "x\nid", "-e", "`id`"])
def test_a_hash_that_is_none_is_not_part_of_the_command(text: str) -> None:
    found = next_step("rolling_redeploy", "check", {"updated": 1}, [], text)
    assert found == NextStep("A real run would do this.", AGAIN)
    real = "0123456789-abcdef0123-4567890abc"
    assert next_step("rolling_redeploy", "check", {"updated": 1}, [], real).command.endswith(f"_hash={real}")


@pytest.mark.parametrize("name", ["b,all", "b:all", "!b", "*", "~.*", "@file", "a&b"])
def test_names_that_are_host_patterns_are_not_part_of_the_command(name: str) -> None:
    assert next_step("reboot", "complete", {"failed": 2}, ["c", name]).command == (
        "ansible-playbook fleetops.agents.reboot"
    )
    stopped = next_step("reboot", "stopped", {"failed": 1, "not_touched": 3}, [name])
    assert (stopped.command, "and retries" in stopped.sentence) == ("ansible-playbook fleetops.agents.reboot", True)
