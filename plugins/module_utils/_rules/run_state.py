# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The state of a rolling run: what it plans, which batch is next, what became of the earlier ones. Pure.

A state is plain data, because Ansible keeps it as a fact. Every function here answers a new state. Its keys:

- ``verdict`` (pass, deferred, inconclusive, fail) and ``reasons``, of the gate that was asked last
- ``planned``, the instances that the run sets out to change, names to ids; ``left_alone`` and ``gone``, names
- ``plan_hash``; ``override_reason``; ``change``, the text of fleetops_change
- ``group``, the inventory group of the planned instances
- ``refused``, true if nothing could be planned
- ``order``, the names of the planned instances in their order, and ``sizes``, of the batches, for the play's serial
- ``batch_seconds``, how much of the maintenance window must be left before each batch, by the plan; ``batch_gates``,
  what the gate after each is asked differently, and ``gate``, what it is asked differently now
- ``run``, a name that no other run has
- ``deferred``, why instances were busy when the run was planned, and ``left_out``, why instances are not touched by
  this run, by name
- ``next_batch`` (names to ids) and ``expected_seconds``, of the batch that the gate is asked about
- ``waiting`` (names to ids), what is neither updated nor failed yet
- ``batches``, how many are done; ``batch``, ``last_batch`` and ``begun``, the names in the current batch, in the last
  one that is done, and in all that have begun
- ``updated`` (names to ids) and ``failed`` (names); ``bundles``, names of instances by the hash of what was deployed
- ``why``, once the run is reported: the reason of each instance that failed
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .answers import Record

_GROUP = "fleetops_planned"


def started(
    instances: Mapping[str, Any],
    plan: Mapping[str, Any],
    *,
    group: str,
    expected_seconds: float,
    override_reason: str,
    change: str = "",
    run: str = "",
) -> Record:
    """The state before the gate is asked about the first batch.

    ``instances``: all of the run, names to ids. ``plan``: the result of rollout_plan, or without ``planned`` for a
    run that has no plan: every instance is looked at then, and the gate is asked about the first one.
    """
    planned = dict(plan.get("planned", instances))
    batches = plan.get("batches") or []
    first = batches[0]["instances"] if batches else list(planned)[:1]
    return {
        "verdict": "fail" if planned else "pass",
        "reasons": ["The gate was not asked."] if planned else [],
        "planned": planned,
        "order": [name for batch in batches for name in batch["instances"]] or sorted(planned),
        "sizes": [len(batch["instances"]) for batch in batches] or [1],
        "batch_seconds": [_needs(batch) for batch in batches],
        "batch_gates": [batch.get("gate", {}) for batch in batches],
        "gate": batches[0].get("gate", {}) if batches else {},
        "run": run,
        "deferred": dict(plan.get("deferred", {})),
        "left_out": dict(plan.get("left_out", {})),
        "plan_hash": plan.get("plan_hash", ""),
        "left_alone": plan.get("left_alone", []),
        "gone": plan.get("gone", []),
        "override_reason": override_reason,
        "change": change,
        "group": group,
        "batches": 0,
        "batch": [],
        "last_batch": [],
        "begun": [],
        "next_batch": {name: planned[name] for name in first},
        "expected_seconds": _needs(batches[0]) if batches else expected_seconds,
        "waiting": planned,
        "updated": {},
        "failed": [],
        "bundles": {},
    }


def _needs(batch: Mapping[str, Any]) -> float:
    return float(batch.get("needs_seconds", batch["p90_seconds"]))


def refused(reason: str, plan: Mapping[str, Any], *, group: str, change: str = "") -> Record:
    """The state of a run that ends before its first batch, with the reason as a sentence."""
    nothing = started({}, {}, group=group, expected_seconds=0.0, override_reason="", change=change)
    return {
        **nothing,
        "verdict": "fail",
        "reasons": [reason],
        "plan_hash": plan.get("plan_hash", ""),
        "refused": True,
    }


def batch_started(state: Mapping[str, Any], names: Sequence[str], *, expected_seconds: float) -> Record:
    """The state with the batch that is about to start. Raises ValueError if an instance of it is not planned.

    ``expected_seconds``: how long a batch takes that the plan does not know.
    """
    unplanned = [name for name in names if name not in state["planned"]]
    if unplanned:
        raise ValueError(
            f"{', '.join(unplanned)} cannot be in this batch: the run does not plan it. Let the play run on the "
            f"hosts of the group {state['group']}."
        )
    known = state["batch_seconds"][state["batches"] : state["batches"] + 1]
    # The gate judges the batch before by the settings of that one's wave.
    before = max(0, state["batches"] - 1)
    return {
        **state,
        "batch": list(names),
        "begun": [*state["begun"], *names],
        "next_batch": {name: state["planned"][name] for name in names},
        "expected_seconds": known[0] if known else expected_seconds,
        "gate": (state["batch_gates"][before : before + 1] or [{}])[0],
    }


def judged(state: Mapping[str, Any], gate: Mapping[str, Any]) -> Record:
    """The state with the gate's verdict. ``gate``: the result of rollout_gate; one without a verdict is a failure."""
    reasons = gate.get("reasons", [gate.get("msg", "The gate gave no answer.")])
    left_out = {**state["left_out"], **gate.get("busy", {})}
    return {**state, "verdict": gate.get("verdict", "fail"), "reasons": reasons, "left_out": left_out}


def batch_ended(
    state: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]], still_in_play: Iterable[str]
) -> Record:
    """The state after a batch, from the results of its tasks by name.

    ``still_in_play``: Ansible drops a host that failed outside of a rescue. It has failed, whatever its result says. A
    skipped task, or none, leaves the instance among the waiting ones. A result ``not_admitted`` is the verdict of a
    stream that has been ended.
    """
    batch, still_in_play = state["batch"], set(still_in_play)
    with_failure = [name for name in batch if results.get(name, {}).get("failed")]
    dropped = [name for name in batch if name not in still_in_play and name not in with_failure]
    failed = [*state["failed"], *with_failure, *dropped]
    done = [name for name in batch if name in results and name not in failed and "skipped" not in results[name]]
    updated = {**state["updated"], **{name: state["planned"][name] for name in done}}
    bundles = bundles_of({name: results[name] for name in done}, state["bundles"])
    held = [results[name]["not_admitted"] for name in batch if "not_admitted" in results.get(name, {})]
    ended_by: Mapping[str, Any] = held[0] if held else {}
    return {
        **state,
        **{key: ended_by[key] for key in ("verdict", "reasons") if key in ended_by},
        "batches": state["batches"] + 1,
        "last_batch": batch,
        "updated": updated,
        "failed": failed,
        "bundles": bundles,
        "waiting": {
            name: instance_id
            for name, instance_id in state["planned"].items()
            if name not in updated and name not in failed
        },
    }


def bundles_of(
    results: Mapping[str, Mapping[str, Any]], before: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Names by the hash of the bundle that their result names, added to those of ``before``."""
    bundles = {found: list(names) for found, names in (before or {}).items()}
    for name, result in results.items():
        found = result.get("bundle_hash")
        if isinstance(found, str) and found:
            bundles.setdefault(found, []).append(name)
    return bundles


def reported(state: Mapping[str, Any], report: Mapping[str, Any]) -> Record:
    """The state at the end, with what rollout_report says of the run as a whole."""
    return {**state, **{key: report[key] for key in ("verdict", "reasons", "why")}}


def free_group(groups: Iterable[str]) -> str:
    """The name of an inventory group that no earlier run of this process has: a group keeps its hosts until the end."""
    taken = sum(1 for group in groups if re.fullmatch(rf"{_GROUP}(_[0-9]+)?", group))
    return f"{_GROUP}_{taken + 1}" if taken else _GROUP
