# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describes the plan and the gates of a run from the run log, and merges several reports of one run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import CATEGORIES
from console.outcomes.words import CURRENT, DEFERRED, NOT_TOUCHED
from console.text.json_values import listed, mapping

GATE_WORDS = {"fail": "stop", "deferred": "defer"}
"""The words that are shown for verdicts of gates, if they differ from those of the module."""

_NAMES = {"budget": "failures", "foreign_rollout": "rollouts by others", "health": "health", "window": "window"}


def plan_facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The limit, the seconds (expected duration) and the window (a sentence) of a plan; unknown ones are left out."""
    expected = mapping(document.get("expected"))
    begin, end = parse_time(expected.get("starts_at")), parse_time(expected.get("ends_p50"))
    found = {
        "limit": document.get("max_parallel_rollouts"),
        "seconds": end - begin if begin is not None and end is not None else None,
        "window": _window(mapping(document.get("window"))),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _window(window: Mapping[str, Any]) -> str:
    if not window:
        return ""
    if window.get("closes_at"):
        return f"open until {window['closes_at']}, {window.get('fits', 'unknown')} of the batches fit"
    if window.get("open") is False:
        return f"closed, opens {window['next_opening']}" if window.get("next_opening") else "closed"
    return "open all day" if window.get("open") else ""


def gate_figures(checks: Sequence[Any]) -> tuple[str, ...]:
    """What each check of a gate found; those that did not pass come first."""
    valid = [check for check in checks if isinstance(check, dict)]
    valid.sort(key=lambda check: check.get("verdict") == "pass")
    parts = []
    for check in valid:
        reason = str(check.get("reason") or "").strip().rstrip(".")
        name = str(check.get("name") or "")
        short = _short(name, check) if check.get("verdict") == "pass" else ""
        parts.append(short or reason or f"{_NAMES.get(name, name)}: {check.get('verdict')}")
    return tuple(part for part in parts if part)


def _short(name: str, check: Mapping[str, Any]) -> str:
    """The figures of a check that passed, '' if it has none."""
    if name == "budget" and isinstance(check.get("failed"), int) and isinstance(check.get("max_failed"), int):
        return f"{check['failed']} failed, at most {check['max_failed']} may fail"
    share = check.get("share")
    if name == "health" and isinstance(share, int | float):
        return f"{share:.0%} of {check.get('asked')} healthy"
    return ""


# The parts of a report that are keyed by the name of an instance.
_BY_NAME = ("why", "disagreements", "bundles", "left_out")
# The categories of instances on which nothing was done.
_WITHOUT_WORK = frozenset({CURRENT, DEFERRED, NOT_TOUCHED})
_WORST_FIRST = ("fail", "inconclusive", "deferred", "pass")


def together(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge reports: an instance in several of them gets its category from the last one that did something to it, or
    else from the last one, and the verdict is the worst. Their lists must be complete."""
    category_of: dict[str, str] = {}
    by_name: dict[str, dict[str, Any]] = {key: {} for key in _BY_NAME}
    for report in reports:
        kept: set[str] = set()
        for category in CATEGORIES:
            for name in map(str, listed(report.get(category))):
                if category in _WITHOUT_WORK and category_of.get(name, category) not in _WITHOUT_WORK:
                    kept.add(name)
                    continue
                category_of[name] = category
                by_name["why"].pop(name, None)
                by_name["disagreements"].pop(name, None)
        for key, known in by_name.items():
            known |= {name: value for name, value in mapping(report.get(key)).items() if name not in kept}
    found: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    for name, category in sorted(category_of.items()):
        found[category].append(name)
    verdicts = [report.get("verdict") for report in reports]
    return {
        **found,
        "counts": {category: len(names) for category, names in found.items()},
        **by_name,
        "verdict": next((word for word in _WORST_FIRST if word in verdicts), "fail"),
        "reasons": [str(reason) for report in reports for reason in listed(report.get("reasons"))],
    }
