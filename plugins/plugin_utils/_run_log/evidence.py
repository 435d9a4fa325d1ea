# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is stored of a run's plan, gates and report. Unlike other results, they are stored even if unchanged. Pure.

The run log and the imports from AWX and ansible-runner all use this module, so that they store the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor

from .artifacts import cut_artifacts
from .results import is_censored

# The attempts of a task with "until" (runner_retry) are left out: its result repeats the last attempt.
_EVENTS = frozenset({"runner_on_ok", "runner_on_failed", "runner_item_on_ok", "runner_item_on_failed"})
_LONGEST_TEXT = 1024
_PLAN = (
    "change",
    "plan_hash",
    "moved",
    "max_parallel_rollouts",
    "expected",
    "window",
    "freezes",
    "left_alone",
    "busy",
    "gone",
)
_COUNTED = ("planned", "left_alone", "left_out", "busy", "gone")
_GATE = ("verdict", "reasons", "checks", "waited_seconds")


def has_evidence(event: str, action: Any) -> bool:
    """Whether ``evidence_of`` may find something in an event of this name and module."""
    return isinstance(action, str) and action in _KINDS and event in _EVENTS


def evidence_of(
    event: str, action: Any, result: Mapping[str, Any], limit: int, redactor: Redactor
) -> dict[str, Any] | None:
    """``kind`` (plan, gate or report) and ``document`` of a result of the module ``action``; None for other modules.

    In the document secrets are masked, and its JSON has at most ``limit`` bytes. Scalars are kept; lists and tables of
    hosts are shortened until it fits. It then has ``truncated: true``, and ``left_out`` gives the full length of each
    list that was cut, by its path (``{"updated": 19990}`` in a report of 20,000 hosts). A result that failed before it
    had a plan, a verdict or a report has only ``failed`` and ``msg``.
    """
    if not has_evidence(event, action) or is_censored(result):
        return None
    kind, content_of = _KINDS[action]
    document = content_of(result)
    if result.get("failed"):
        document = {"failed": True, "msg": result.get("msg"), **document}
    if not document:
        return None
    return {"kind": kind, "document": cut_artifacts(redactor.scrub(document), limit, redactor, _LONGEST_TEXT)}


def _plan(result: Mapping[str, Any]) -> dict[str, Any]:
    """The plan without its tables with an entry for each instance; the batches name the planned instances."""
    batches = result.get("batches")
    if not isinstance(batches, list):
        return {}
    counts = {"batches": len(batches)}
    # Instances that were left out are only counted, since left_out of a document has the lengths of shortened lists.
    counts |= {name: len(result[name]) for name in _COUNTED if _has_length(result.get(name))}
    document = {name: result[name] for name in _PLAN if name in result}
    return {**document, "counts": counts, "batches": [_batch(batch) for batch in batches]}


def _batch(batch: Any) -> Any:
    """A batch with its ``size``, which remains known when its list of instances is cut."""
    if isinstance(batch, Mapping) and _has_length(batch.get("instances")):
        return {"size": len(batch["instances"]), **batch}
    return batch


def _gate(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in _GATE if name in result} if "verdict" in result else {}


def _report(result: Mapping[str, Any]) -> dict[str, Any]:
    report = result.get("report")
    return dict(report) if isinstance(report, Mapping) else {}


def _has_length(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping))


_KINDS: dict[str, tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "fleetops.agents.rollout_plan": ("plan", _plan),
    "fleetops.agents.rollout_gate": ("gate", _gate),
    "fleetops.agents.rollout_report": ("report", _report),
}
EVIDENCE_KINDS = frozenset(kind for kind, _content_of in _KINDS.values())
