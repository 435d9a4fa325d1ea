# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an operation ended, as a word and as a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from console.outcomes.facts import ACT, ROLLOUT, Facts
from console.outcomes.outcome import counts, has_report, of_rollout
from console.outcomes.words import (
    CANCELLED,
    CHECK,
    COMPLETE,
    DEFERRED,
    FAILED,
    INCONCLUSIVE,
    LOST,
    RUNNING,
    STOPPED,
    UNCERTAIN,
    WITH_FAILURES,
    counts_text,
)
from console.text.json_values import mapping, names

_BY_GATE = {"pass": COMPLETE, "deferred": DEFERRED, "inconclusive": INCONCLUSIVE, "fail": STOPPED}
_BY_RUN = {"successful": COMPLETE, "failed": STOPPED, "canceled": CANCELLED, "running": RUNNING}
_BY_ROLLOUT = {"completed": COMPLETE, "partial": COMPLETE, "failed": STOPPED, "cancelled": CANCELLED}
_BY_ROLLOUT |= {"paused": STOPPED, "pending": RUNNING, "in_progress": RUNNING, "cancelling": RUNNING, "lost": LOST}
_ROLLOUT_REASONS = {"paused": "paused on the server", "cancelling": "being cancelled", "completed": COMPLETE}
_ROLLOUT_REASONS |= {"failed": "no target succeeded"}
_BY_ACT = {"done": COMPLETE, "refused": STOPPED, "failed": STOPPED, "unknown": INCONCLUSIVE}
_REASONS_NAMED = 2


@dataclass(frozen=True)
class Verdict:
    """word: from words.VERDICTS. status: from words.STATUSES. why: the reason, short, for a list. sentence: all of it
    with the numbers, for example "Stopped after batch 2 of 7: 1 instance failed (agent-007); at most 0 may fail.
    6 updated, 1 failed."
    """

    word: str
    status: str
    why: str
    sentence: str


def verdict(facts: Facts, counted: Mapping[str, int] | None = None) -> Verdict:
    """The verdict of an operation. counted: the result of :func:`outcome.counts`, if the caller has it."""
    found = counts(facts) if counted is None else counted
    name = verdict_word(facts)
    failures = _failures(facts, found)
    why = f"{COMPLETE} {failures}" if failures else _why(facts, name)
    opening = "Check run, nothing was changed" if name == CHECK else name.capitalize()
    if name not in (RUNNING, COMPLETE, CHECK):
        opening += _after_batch(facts)
    if failures:
        sentence = _with_full_stop(f"{opening} {failures}")
    elif name == CHECK or why in ("", name):
        sentence = _with_full_stop(opening)
    else:
        sentence = _with_full_stop(f"{opening}{', ' if name == RUNNING else ': '}{why}")
    if facts.despite_check:
        sentence += " It was started with --check, but tasks with check_mode: false changed something."
    if facts.pruned:
        sentence += " Its task results are no longer kept."
    numbers = "" if facts.kind == ACT else counts_text(found, facts.name, check=bool(facts.check))
    if numbers:
        sentence += f" {_with_full_stop(numbers)}"
    return Verdict(name, status_of(facts, found), why, sentence)


def verdict_word(facts: Facts) -> str:
    if facts.kind == ACT:
        return _BY_ACT.get(facts.status, LOST)
    if facts.kind == ROLLOUT:
        return _BY_ROLLOUT.get(facts.status, INCONCLUSIVE)
    by_run = _BY_RUN.get(facts.status, LOST)
    if by_run in (RUNNING, LOST, CANCELLED):
        return by_run
    by_gate = _BY_GATE.get(str(facts.report.get("verdict") or ""))
    found = by_gate if by_gate is not None and has_report(facts) else by_run
    reported = mapping(facts.report.get("counts"))
    if found == COMPLETE and by_run == STOPPED and not (reported.get(FAILED) or reported.get(UNCERTAIN)):
        # A run within its failure budget counts as complete although Ansible reports a failure, but here something
        # else failed.
        found = STOPPED
    return CHECK if facts.check and found == COMPLETE else found


def status_of(facts: Facts, counted: Mapping[str, int]) -> str:
    """Only the status of the verdict. counted: the result of :func:`outcome.counts`."""
    return WITH_FAILURES if _failures(facts, counted) else verdict_word(facts)


def _failures(facts: Facts, counted: Mapping[str, int]) -> str:
    """The failures with which an operation is complete, '' without any."""
    if verdict_word(facts) != COMPLETE:
        return ""
    if facts.kind == ROLLOUT:
        has_failures = facts.status == "partial" or counted[FAILED] or counted[UNCERTAIN]
        return "with failures" if has_failures else ""
    bad = [f"{counted[category]:,} {category}" for category in (FAILED, UNCERTAIN) if counted[category]]
    return f"with {' and '.join(bad)}" if bad and facts.kind != ACT and not facts.adopted else ""


def _why(facts: Facts, name: str) -> str:
    if facts.kind == ACT:
        return facts.detail or ("" if name == COMPLETE else "no outcome was stored" if name == LOST else facts.status)
    if name == LOST:
        lost = facts.status == "lost" and facts.kind != ROLLOUT
        return "its process ended without a recap" if lost else "how it ended is unknown"
    if name == CANCELLED:
        return CANCELLED
    if facts.kind == ROLLOUT:
        return _ROLLOUT_REASONS.get(facts.status, f"the server says {facts.status!r}" if name == INCONCLUSIVE else "")
    if name == RUNNING:
        return _progress(facts)
    if facts.adopted:
        return "it followed a rollout that somebody else started"
    if name == CHECK:
        return _plan(facts)
    return COMPLETE if name == COMPLETE else _reasons(facts)


def _reasons(facts: Facts) -> str:
    reasons = list(names(facts.report.get("reasons")))
    if not reasons and facts.report.get("why") and isinstance(facts.report["why"], str):
        reasons = [facts.report["why"]]
    if not reasons:
        return facts.first_failure
    more = len(reasons) - _REASONS_NAMED
    return " ".join(reasons[:_REASONS_NAMED]) + (f" And {more} more reason{'s' * (more > 1)}." if more > 0 else "")


def _plan(facts: Facts) -> str:
    plan_hash = facts.report.get("plan_hash")
    return f"plan {plan_hash}" if plan_hash else "the prediction of a rollout" if of_rollout(facts) else ""


def _progress(facts: Facts) -> str:
    begun = [batch for batch in facts.batches if batch.touched] or list(facts.batches)
    if not begun:
        return ""
    of = f" of {facts.batches_planned:,}" if facts.batches_planned else ""
    return f"batch {begun[-1].number:,}{of}"


def _after_batch(facts: Facts) -> str:
    """After which batch it ended, which is the last one in which something was done."""
    if not facts.batches:
        return ""
    done = max((batch.number for batch in facts.batches if batch.touched), default=0)
    of = f" of {facts.batches_planned:,}" if facts.batches_planned else ""
    return f" after batch {done:,}{of}" if done else " before the first batch"


def _with_full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
