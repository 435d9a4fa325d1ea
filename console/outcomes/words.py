# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words for outcomes and verdicts, and for what changed for an instance between two operations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UPDATED, FAILED, UNCERTAIN, CURRENT = "updated", "failed", "uncertain", "current"
DEFERRED, NOT_TOUCHED, GONE, RUNNING, WAITING = "deferred", "not_touched", "gone", "running", "waiting"

CATEGORIES = (UPDATED, FAILED, UNCERTAIN, RUNNING, WAITING, CURRENT, DEFERRED, NOT_TOUCHED, GONE)
"""The outcomes of an instance in an operation, in the order of a bar. The keys are those of the run's report.
``running`` and ``waiting`` occur only while the operation, or a redeploy on the server, is in progress."""

PROBLEMS_FIRST = (FAILED, UNCERTAIN, RUNNING, GONE, DEFERRED, WAITING, NOT_TOUCHED, UPDATED, CURRENT)
"""The same in the order of a list."""

COMPLETE, STOPPED, INCONCLUSIVE = "complete", "stopped", "inconclusive"
CANCELLED, LOST, CHECK = "cancelled", "lost", "check"
VERDICTS = (RUNNING, COMPLETE, STOPPED, DEFERRED, INCONCLUSIVE, CANCELLED, LOST, CHECK)
"""How an operation ended. ``complete``: it ran to its end, perhaps with failures within its budget. ``lost``: its
process ended without a recap. ``check``: a prediction that changed nothing."""

WITH_FAILURES = "complete with failures"
STATUSES = (RUNNING, COMPLETE, WITH_FAILURES, *VERDICTS[2:])
"""How a verdict is shown: an operation that is complete with failures does not look like one without."""

PROBLEMS = frozenset({FAILED, UNCERTAIN})

# The participle that is shown for the category "updated".
_DONE = {
    "rolling_redeploy": "updated",
    "fleet_rollout": "updated",
    "apply_updates": "applied",
    "recover": "healed",
    "reboot": "restarted",
    "power_cycle": "restarted",
    # It also verifies and restores.
    "memory_backup": "done",
    "audit_report": "read",
    "update_policy": "set",
    "fleet_state": "changed",
    "retry": "retried",
    "power-cycle": "restarted",
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
}
_DEPLOYS = ("rolling_redeploy", "fleet_rollout", "rollout")
_WORDS = {NOT_TOUCHED: "not touched", CURRENT: "unchanged", GONE: "not found"}


def word(category: str, name: str = "rolling_redeploy") -> str:
    """A category as a word for people. ``name``: the operation, as in Facts.name (a playbook, rollout, an action)."""
    if category == UPDATED:
        # A playbook of the user may only read the instances.
        return _DONE.get(name, "updated" if name.endswith("rollout") else "done")
    if category == CURRENT and name in _DEPLOYS:
        return "already current"
    return _WORDS.get(category, category)


def counts_text(counted: Mapping[str, Any], name: str, *, check: bool) -> str:
    """The numbers of an outcome without zeros: "6 updated, 1 failed, 17 not touched". ``counted``: instances by
    category. ``name``: as for :func:`word`. ``check``: whether it ran in check mode, "6 would be updated"."""
    return ", ".join(
        f"{counted[category]:,} {'would be ' if check and category == UPDATED else ''}{word(category, name)}"
        for category in CATEGORIES
        if counted[category]
    )


def title(row: Mapping[str, Any]) -> str:
    """The title of an operation, with the version if it is known: "rolling_redeploy to 2026.8.0". ``row``: a row of
    console.record.read.operations, here and below."""
    version = row.get("to_version")
    return f"{row['title']} to {version}" if isinstance(version, str) and version else str(row["title"])


def started_by(row: Mapping[str, Any]) -> str:
    """Who started an operation. Only an address is known for a rollout that no recorded run started: "from
    198.51.100.7"."""
    who = row["who"] or "unknown"
    return f"from {who}" if row["kind"] == "rollout" and row["who"] else str(who)


CHANGES = {
    "new failure": "failed or uncertain now, but not before",
    "still failing": "failed or uncertain both times",
    "fixed": "failed or uncertain before, done or current now",
    "same": "the same outcome both times",
    "other": "a different outcome",
    "only before": "not in the later operation",
    "only now": "not in the earlier operation",
}
"""The kinds of change of an instance, worst first, with their meaning."""


def change_of(before: str | None, now: str | None) -> str:
    """The kind of change between two categories; None: the instance was not in that operation."""
    if before is None:
        return "only now"
    if now is None:
        return "only before"
    if now in PROBLEMS:
        return "still failing" if before in PROBLEMS else "new failure"
    if before in PROBLEMS and now in (UPDATED, CURRENT):
        return "fixed"
    return "same" if before == now else "other"
