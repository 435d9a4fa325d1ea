# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a run did to each instance, by the results of its tasks and by the server's versions afterwards. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from .answers import Record, target_is_terminal
from .gate import bundle_sentence
from .record_words import with_host
from .run_state import bundles_of

# In the order in which they are reported.
CATEGORIES = ("failed", "uncertain", "updated", "current", "deferred", "not_touched", "gone")
_TITLES = {
    "failed": "Failed",
    "uncertain": "Uncertain, check them before you repeat anything",
    "current": "Already current, not changed",
    "deferred": "Deferred until the maintenance window opens or the freeze ends",
    "not_touched": "Not touched",
    "gone": "Not found on the server",
}
# A pattern for more hosts than this is not written out.
_MAX_LIMIT = 20


def category_of(result: Mapping[str, Any] | None) -> str:
    """The category of an instance by the result of its task. ``result``: None if the task did not run."""
    if result is None or result.get("skipped"):
        return "not_touched"
    if result.get("failed") or result.get("unreachable"):
        unknown = result.get("ambiguous") or result.get("unresolved")
        unknown = unknown or result.get("reconciled") in ("still_unknown", "superseded")
        return "uncertain" if unknown or _still_runs(result) else "failed"
    return "updated" if result.get("changed") or result.get("adopted") else "current"


def _still_runs(result: Mapping[str, Any]) -> bool:
    """Whether a failed task left a redeploy that has not ended."""
    target = result.get("target")
    return isinstance(target, Mapping) and not target_is_terminal(target)


def make_report(
    instances: Sequence[str],
    planned: Sequence[str],
    outcomes: Mapping[str, Mapping[str, Any] | None],
    *,
    verdict: str,
    gone: Sequence[str] = (),
    left_out: Mapping[str, str] | None = None,
    server: Mapping[str, str],
) -> Record:
    """The report: each instance in exactly one category, with the reasons of those that failed.

    ``planned``: the instances that the run was to change. ``left_out``: by name, why instances were not touched.
    ``outcomes``: the result of each instance's task, if it ran. ``gone``: instances that the server does not know.
    ``verdict``: of the gate that ended the run, or pass. ``server``: ``current``, ``outdated`` or ``unknown`` for each
    instance, by the server's versions after the run. What contradicts the results is listed under ``disagreements``.
    """
    found: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    reasons: dict[str, str] = {}
    disagreements: dict[str, str] = {}
    left_out = left_out or {}
    wanted = {*planned, *left_out}
    for name in instances:
        outcome = outcomes.get(name)
        if name in gone:
            category = "gone"
        elif name not in wanted:
            category = "current"
        else:
            category = category_of(outcome)
        if category == "not_touched" and verdict == "deferred" and name not in left_out:
            category = "deferred"
        found[category].append(name)
        if category in ("failed", "uncertain") and outcome is not None:
            reasons[name] = str(outcome.get("msg") or "no reason was given")
        said = server.get(name, "unknown")
        if category in ("updated", "current") and said == "outdated":
            disagreements[name] = f"{category} by the run, outdated by the server's version report"
        elif category in ("failed", "uncertain") and said == "current":
            disagreements[name] = f"{category} by the run, current by the server's version report"
    return {
        **found,
        "counts": {category: len(names) for category, names in found.items()},
        "why": reasons,
        "bundles": bundles_of({name: outcomes.get(name) or {} for name in found["updated"]}),
        "left_out": {name: why for name, why in left_out.items() if name in found["not_touched"]},
        "disagreements": disagreements,
        "verdict": verdict,
    }


def report_lines(
    report: Mapping[str, Any],
    reasons: Sequence[str],
    *,
    acted: str = "updated",
    predicted: bool = False,
    plan_agreed: bool = False,
) -> list[str]:
    """The lines of the report: why the run ended, and then each category that is not empty.

    ``acted``: what was done to the instances in ``updated``, as a participle. ``predicted``: whether it is a
    prediction. ``plan_agreed``: whether the run was given the hash of its plan.
    """
    titles = {**_TITLES, "updated": f"Would be {acted}" if predicted else acted.capitalize()}
    if acted != "updated":
        titles["current"] = "Unchanged, nothing to do"
    lines = [f"Stopped ({report['verdict']}): {reason}" for reason in reasons]
    for category in CATEGORIES:
        names = report[category]
        if not names:
            continue
        lines.append(f"{titles[category]} ({len(names)}): {', '.join(names)}")
        lines += [f"  {with_host(name, report['why'][name])}" for name in names if name in report["why"]]
    if len(report.get("bundles", {})) > 1:
        lines.append(bundle_sentence(report["bundles"]))
    lines += [f"Not touched by rule: {name}, {why}." for name, why in report.get("left_out", {}).items()]
    lines += [f"The server disagrees about {name}: {said}." for name, said in report["disagreements"].items()]
    return lines if predicted else lines + _next_lines(report, plan_agreed)


def _next_lines(report: Mapping[str, Any], plan_agreed: bool) -> list[str]:
    """How to continue a run that stopped after it had begun. A run that was refused says itself what to do."""
    bad = report["failed"] + report["uncertain"]
    if not bad and not (report["updated"] and report["not_touched"]):
        return []
    left = sorted({*bad, *report["not_touched"], *report["deferred"]} - {*report.get("left_out", ())})
    if not left:
        return []
    these = shlex.quote(",".join(left)) if len(left) <= _MAX_LIMIT else f"for these {len(left)} instances"
    first = "correct the cause, and run" if bad else "run"
    needs = " It needs the hash of a new plan: approve the one that --check shows." if plan_agreed else ""
    return [f"Next: {first} the playbook again with --limit {these}.{needs}"]
