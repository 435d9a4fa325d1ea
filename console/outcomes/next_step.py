# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person can do after an operation: a sentence, and a command to copy. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.outcomes import words

MAX_HOSTS = 20
"""A pattern for more hosts than this is not written out."""

# Text of a run log becomes part of a command only if it matches. Otherwise Ansible could read it as further variables
# or as a pattern for other hosts, and a shell as further commands.
_HASH = re.compile(r"\w[\w-]*")
_NAME = re.compile(r"\w[\w.-]*")
_WITH_LIMIT = ("rolling_redeploy", "apply_updates", "recover", "reboot", "power_cycle", "memory_backup", "audit_report")


@dataclass(frozen=True)
class NextStep:
    """sentence: what is left and what happens to it. command: to copy, '' for none; the user must add the variables of
    the run, which the run log does not record."""

    sentence: str
    command: str = ""


def next_step(
    name: str, verdict: str, counts: Mapping[str, int], problems: Sequence[str], plan_hash: str = ""
) -> NextStep:
    """The next step after an operation. problems: hosts that failed or are uncertain, in the order to show.

    name: that of the playbook. plan_hash: that of the plan of a check run, to which a real run can be bound.
    """
    untouched = counts.get(words.NOT_TOUCHED, 0) + counts.get(words.DEFERRED, 0)
    problem_count = counts.get(words.FAILED, 0) + counts.get(words.UNCERTAIN, 0)
    known = name in _WITH_LIMIT or name in ("fleet_rollout", "fleet_state", "update_policy")
    # How to start the user's own playbook is not known.
    command = f"ansible-playbook fleetops.agents.{name}" if known else ""
    in_progress = counts.get(words.RUNNING, 0) + counts.get(words.WAITING, 0)
    if verdict == words.RUNNING:
        return NextStep("It is still running.")
    if verdict == words.CHECK:
        if not any(counts.values()):
            return NextStep("What a real run would do to each instance is not recorded.", command)
        if not counts.get(words.UPDATED, 0):
            return NextStep("A real run would change nothing.")
        if not _HASH.fullmatch(plan_hash):
            return NextStep("A real run would do this.", command)
        bound = f"{command} -e fleetops_plan_hash={plan_hash}"
        return NextStep("A real run would do this. With the plan's hash, it refuses anything else.", bound)
    if in_progress:
        were = "instances were" if in_progress > 1 else "instance was"
        return NextStep(f"{in_progress:,} {were} still in progress on the server. Sync, and check again.")
    if not untouched and not problem_count:
        if verdict == words.COMPLETE and any(counts.values()):
            return NextStep("Nothing is left to do.")
        return NextStep("It ended, and nothing is known about any instance. Fix the cause and run it again.", command)
    if name not in _WITH_LIMIT:
        # A rollout of the complete fleet cannot be limited to hosts: the server continues it, or it is cancelled.
        are = "instances are" if untouched + problem_count > 1 else "instance is"
        return NextStep(f"{untouched + problem_count:,} {are} not done. The same command continues with them.", command)
    parts = ["The process ended without a recap."] if verdict == words.LOST else []
    bad = " and ".join(word for word in (words.FAILED, words.UNCERTAIN) if counts.get(word, 0))
    listed = 0 < len(problems) <= MAX_HOSTS and all(map(_NAME.fullmatch, problems))
    if untouched:
        them = f"{untouched:,} instances that were" if untouched > 1 else "instance that was"
        also = f", and retries the {bad} ones" if bad else ""
        if bad and listed:
            command += " --limit " + shlex.quote(":".join(["all", *(f"!{host}" for host in problems)]))
            also = f", but not with the {bad} ones. Without --limit, it retries these too"
        parts.append(f"This command continues with the {them} not touched{also}.")
    elif bad:
        parts.append(f"This command retries the {bad} {'instances' if problem_count > 1 else 'instance'}.")
        if listed:
            command += " --limit " + shlex.quote(",".join(problems))
    if counts.get(words.UNCERTAIN, 0):
        parts.append("Before it sends anything again, it looks up what became of the uncertain ones.")
    return NextStep(" ".join(parts), command)
