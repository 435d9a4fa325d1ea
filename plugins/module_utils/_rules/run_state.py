# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The state of a rolling run: what is planned, which batch is next, and how the earlier batches ended. Pure.

A state is plain data, because Ansible keeps it as a fact. The functions return a new state. Its keys:

- ``verdict`` (pass, deferred, inconclusive, fail) and ``reasons``, of the latest gate
- ``planned``, the instances that the run is to change, names to ids; ``left_alone``, names of those that are current
  already; ``gone``, names of those that the server no longer knows
- ``plan_hash``; ``plan_agreed``, whether the run was given it; ``override_reason``; ``change``, the text of
  fleetops_change
- ``group``, the inventory group of the planned instances; empty after the report
- ``refused``, true if nothing could be planned
- ``order``, the names of the planned instances in the order of the plan, and ``sizes``, the number of instances in each
  batch, for the play's serial
- ``batch_seconds``, for each planned batch the seconds of the maintenance window that must be left when it begins;
  ``batch_gates``, for each planned batch the settings of its wave that replace the run's own in the gate after it, and
  ``gate``, those settings for the next gate
- ``run``, a name that no other run has
- ``busy``, why instances were busy when the run was planned and so come last, and ``left_out``, why instances are
  not touched by this run; both by name
- ``next_batch`` (names to ids) and ``expected_seconds``, of the batch that the next gate decides about
- ``waiting`` (names to ids), the planned instances that are neither updated nor failed yet
- ``batches``, the number of batches that have ended; ``batch``, ``last_batch`` and ``begun``, the names in the current
  batch, in the latest one that has ended, and in all that have begun
- ``updated`` (names to ids) and ``failed`` (names); ``bundles``, names of instances by the hash of the deployed bundle
- ``why``, empty until the run is reported: for each instance that failed, a text with its name and the reason
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .answers import Record
from .pace import BATCHES
from .record_words import with_host

_GROUP = "fleetops_planned"
_DROPPED = "it had failed or left the play before the run was planned"
_LOST = "it failed in another play after the run was planned"
# The seconds of a redeploy without a history, and of the health checks after it, as in the plan (extra_seconds).
_UNKNOWN_SECONDS, _PROOF = 180.0, 10.0


def started(
    instances: Mapping[str, Any],
    plan: Mapping[str, Any],
    *,
    in_play: Iterable[str],
    group: str,
    expected_seconds: float,
    override_reason: str,
    change: str = "",
    run: str = "",
) -> Record:
    """The state before the gate of the first batch.

    ``instances``: all instances of the run, names to ids. ``plan``: the result of rollout_plan. If it has no
    ``planned`` the run has no plan: all instances count as planned, and the first batch is the first instance.
    ``in_play``: the hosts for which Ansible still runs tasks. Those that have failed in an earlier play are not.
    """
    dropped = set(instances) - set(in_play)
    planned = dict(plan.get("planned", {name: i for name, i in instances.items() if name not in dropped}))
    batches = plan.get("batches") or []
    first = batches[0]["instances"] if batches else list(planned)[:1]
    return {
        "verdict": "fail" if planned else "pass",
        "reasons": ["The gate was not evaluated."] if planned else [],
        "planned": planned,
        "order": [name for batch in batches for name in batch["instances"]] or sorted(planned),
        "sizes": [len(batch["instances"]) for batch in batches] or [1],
        "batch_seconds": [_window_seconds(batch) for batch in batches],
        "batch_gates": [batch.get("gate", {}) for batch in batches],
        "gate": batches[0].get("gate", {}) if batches else {},
        "run": run,
        "busy": dict(plan.get("busy", {})),
        "left_out": {**dict.fromkeys(sorted(dropped), _DROPPED), **plan.get("left_out", {})},
        "plan_hash": plan.get("plan_hash", ""),
        "plan_agreed": plan.get("plan_agreed", False),
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
        "expected_seconds": _window_seconds(batches[0]) if batches else expected_seconds,
        "waiting": planned,
        "updated": {},
        "failed": [],
        "bundles": {},
        "why": [],
    }


def members(state: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Record]:
    """The hosts of the run's group with their variables, in the order of the plan; none unless the verdict is pass.

    ``plan``: the result of rollout_plan, or empty. Each host has ``name``, ``group``, ``usual_seconds`` (the seconds
    that its redeploys take, ``p50`` and ``p90``, None if unknown), and ``stream``, the option of instance_runtime.
    """
    if state["verdict"] != "pass":
        return []
    usual, unknown = plan.get("usual_seconds") or {}, {"p50": None, "p90": None}
    return [
        {
            "name": name,
            "group": state["group"],
            "usual_seconds": seconds,
            "stream": {
                "run": state["run"],
                "name": name,
                "needs": (seconds["p90"] or _UNKNOWN_SECONDS) + _PROOF,
                "place": place,
                "batches": plan.get("pace", BATCHES) == BATCHES,
            },
        }
        for place, name in enumerate(state["order"])
        for seconds in (usual.get(name, unknown),)
    ]


def _window_seconds(batch: Mapping[str, Any]) -> float:
    """The seconds of the maintenance window that must be left when this batch of the plan begins."""
    return float(batch.get("needs_seconds", batch["p90_seconds"]))


def refused(reason: str, plan: Mapping[str, Any], *, group: str, change: str = "") -> Record:
    """The state of a run that ends before its first batch, with the reason as a sentence."""
    empty = started({}, {}, in_play=(), group=group, expected_seconds=0.0, override_reason="", change=change)
    return {
        **empty,
        "verdict": "fail",
        "reasons": [reason],
        "plan_hash": plan.get("plan_hash", ""),
        "refused": True,
    }


def batch_started(
    state: Mapping[str, Any], names: Sequence[str], *, in_play: Iterable[str], expected_seconds: float
) -> Record:
    """The state at the start of a batch. Raises ValueError if one of its instances is not planned.

    ``in_play``: the hosts of the play that have not failed. A planned instance that has failed since the plan, in
    another play, counts as failed when its batch begins. Ansible leaves out a batch if this applies to all of its
    instances. ``expected_seconds``: how long the batch takes, used only if the plan has no such batch.
    """
    unplanned = [name for name in names if name not in state["planned"]]
    if unplanned:
        raise ValueError(
            f"{', '.join(unplanned)} cannot be in this batch: the run does not plan it. Let the play run on the "
            f"hosts of the group {state['group']}."
        )
    lost = set(state["order"]) - set(state["begun"]) - set(in_play)
    for size in state["sizes"][state["batches"] :]:
        first = len(state["begun"])
        batch = state["order"][first : first + size]
        gone = [name for name in batch if name in lost]
        left_out = {**state["left_out"], **dict.fromkeys(gone, _LOST)}
        failed = [*state["failed"], *gone]
        state = {**state, "begun": [*state["begun"], *gone], "failed": failed, "left_out": left_out}
        if not gone or gone != batch:
            break
        state = {**state, "batches": state["batches"] + 1, "last_batch": batch}
    known = state["batch_seconds"][state["batches"] : state["batches"] + 1]
    # The gate before this batch judges the previous batch, by the settings of the previous batch's wave.
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
    """The state with the gate's verdict. ``gate``: the result of rollout_gate; without a verdict it counts as fail."""
    reasons = gate.get("reasons", [gate.get("msg", "The gate returned no verdict.")])
    left_out = {**state["left_out"], **gate.get("busy", {})}
    return {**state, "verdict": gate.get("verdict", "fail"), "reasons": reasons, "left_out": left_out}


def batch_ended(
    state: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]], still_in_play: Iterable[str]
) -> Record:
    """The state after a batch. ``results``: the result of each instance's task, by name.

    ``still_in_play``: the hosts that Ansible has not dropped. It drops a host that failed outside of a rescue; that
    instance has failed, whatever its result says. An instance whose task was skipped or did not run stays in
    ``waiting``. A result with ``not_admitted`` has the verdict that ended a stream of redeploys: it becomes the run's.
    """
    batch, still_in_play = state["batch"], set(still_in_play)
    with_failure = [name for name in batch if results.get(name, {}).get("failed")]
    dropped = [name for name in batch if name not in still_in_play and name not in with_failure]
    failed = [*state["failed"], *with_failure, *dropped]
    done = [name for name in batch if name in results and name not in failed and "skipped" not in results[name]]
    updated = {**state["updated"], **{name: state["planned"][name] for name in done}}
    bundles = bundles_of({name: results[name] for name in done}, state["bundles"])
    refusals = [results[name]["not_admitted"] for name in batch if "not_admitted" in results.get(name, {})]
    ended_by: Mapping[str, Any] = refusals[0] if refusals else {}
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


def ended(state: Mapping[str, Any]) -> Record:
    """The state after the last batch. If no gate stopped the run and a planned instance was in no batch, it has failed.

    The tasks of a batch's gate run for its first host. A condition that is false for this host leaves them out.
    """
    begun = set(state["begun"])
    left = [name for name in state["order"] if name not in begun]
    if state["verdict"] != "pass" or not left:
        return dict(state)
    reason = (
        f"{len(left)} planned instance{'s were' if len(left) > 1 else ' was'} not touched, although no check stopped "
        f"the run: {', '.join(left)}. If the playbook is imported with a condition (when), it must be the same for all "
        "hosts. Select hosts with fleetops_hosts or --limit."
    )
    return {**state, "verdict": "fail", "reasons": [reason]}


def bundles_of(
    results: Mapping[str, Mapping[str, Any]], before: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Names of instances by the ``bundle_hash`` of their result, added to those of ``before``."""
    bundles = {bundle_hash: list(names) for bundle_hash, names in (before or {}).items()}
    for name, result in results.items():
        bundle_hash = result.get("bundle_hash")
        if isinstance(bundle_hash, str) and bundle_hash:
            bundles.setdefault(bundle_hash, []).append(name)
    return bundles


def reported(state: Mapping[str, Any], report: Mapping[str, Any]) -> Record:
    """The state at the end, with the verdict, reasons and failures that rollout_report returned.

    Without its group, because a later run of this process whose hosts have all failed would act on these hosts again.
    """
    why = [with_host(name, reason) for name, reason in sorted(report["why"].items())]
    return {**state, "verdict": report["verdict"], "reasons": report["reasons"], "why": why, "group": ""}


def free_group(groups: Iterable[str]) -> str:
    """The name of a group that no earlier run of this process has used, since groups keep their hosts until it ends."""
    taken = set(groups)
    if not any(re.fullmatch(rf"{_GROUP}(_[0-9]+)?", group) for group in taken):
        return _GROUP
    return next(name for name in (f"{_GROUP}_{number}" for number in itertools.count(2)) if name not in taken)
