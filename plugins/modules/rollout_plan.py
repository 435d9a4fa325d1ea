#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says what a rolling redeploy would do, before it does (E1, E3, E9, E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout_plan
short_description: Plan a rolling redeploy
version_added: 0.2.0
description:
  - Reads the version of each instance, the update policy and the durations of recent rollouts.
  - Returns which instances would be redeployed in which batches, which are already current, how long the run takes, and
    whether it fits the maintenance window.
  - The batches are those of the lookup P(fleetops.agents.batches#lookup) over the instances that are to be redeployed.
  - The plan has a hash. If it is given as O(plan_hash), the module fails if the fleet, the policy or the versions have
    changed since.
  - Nothing is written.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
  - fleetops.agents.rolling
  - fleetops.agents.workers
options:
  instances:
    description:
      - The instances to plan for, names to ids.
      - They are planned in the order of their names, unless O(order) says otherwise. With V(inventory) it is their
        order here.
    type: dict
    required: true
  state:
    description:
      - V(latest) plans only for instances whose runtime is outdated.
      - V(redeployed) plans for all.
      - V(updates) plans for instances with any update, of skills and MCP servers too.
      - V(checked) plans for all, for a run that looks at each instance and changes no version. The versions are not
        read.
    type: str
    choices: [latest, redeployed, updates, checked]
    default: latest
  change:
    description: The change (a ticket of change management) under which the run is made. It is in the result.
    type: str
  canary:
    description: How many instances the first batch has. V(0) for no canary.
    type: int
    default: 1
  batch_max:
    description: The largest batch, even if the policy allows more.
    type: int
  growth:
    description: How the batches grow after the canary, see P(fleetops.agents.batches#lookup).
    type: str
    choices: [fixed, doubling, percent]
    default: fixed
  percent:
    description: The size of a batch as a percentage, with O(growth=percent).
    type: int
    default: 25
  order:
    description:
      - The order of the instances.
      - One of V(name), V(inventory), V(sickest) (by the stored health), V(slowest_first) (by past redeploys) or
        C(random(SEED)).
    type: str
    default: name
  canary_hosts:
    description:
      - Names of the instances that come first, in batches of O(canary). If the list is empty, or all of them are
        current, the first batch is the canary, and the plan says so.
    type: list
    elements: str
  waves:
    description:
      - Parts of the fleet that are taken one after the other. An instance is in the first wave that names it; one that
        is in none comes after them.
      - Each has C(name), C(hosts) (names of instances), and optionally C(limit) (how many at once), C(soak) (seconds)
        and C(gate).
      - C(gate) is a mapping of options of M(fleetops.agents.rollout_gate) for the gate after the batches of the wave.
        It can contain C(max_failed), C(min_healthy_share), C(soak_reads), C(audit), C(audit_max_difference) and
        C(audit_min_events).
    type: list
    elements: dict
    default: []
  max_share:
    description:
      - The maximum number of instances, or percentage (V(25%)), rounded down, at least 1.
    type: str
  share_scope:
    description: Whether O(max_share) applies to the whole run, or to what is in flight at once.
    type: str
    choices: [run, at_once]
    default: run
  share_groups:
    description: The group of each instance, by name. O(max_share) then applies to each group instead of the fleet.
    type: dict
    default: {}
  quarantine:
    description:
      - An instance whose last so many redeploys all failed comes last, in a batch of its own. V(0) disables the rule.
    type: int
    default: 0
  pace:
    description:
      - With V(batches) the next batch begins once all instances of the one before are done.
      - With V(continuous) all instances after the canary are one batch, of which the next instance begins as soon as
        another one has ended. O(batch_max) is then how many may be in flight.
      - V(continuous) cannot be used with O(growth), O(soak), O(quarantine), O(defer_busy), O(share_scope=at_once), or
        waves with a limit, a soak or a gate.
    type: str
    choices: [batches, continuous]
    default: batches
    version_added: 0.2.0
  plan_hash:
    description: The RV(plan_hash) of an earlier plan. If the hash of this plan is different, the module fails and says
      what has changed.
    type: str
  history:
    description: How many of the newest finished rollouts the expected durations are calculated from.
    type: int
    default: 20
  extra_seconds:
    description: Seconds that each batch takes in addition to its redeploys, for the health checks.
    type: float
    default: 10
  soak:
    description: Seconds that each batch soaks, unless its wave says otherwise.
    type: float
    default: 0
  fallback_seconds:
    description: The assumed duration of a redeploy in seconds, if no recent one is known. With O(state=checked) it is
      always used.
    type: float
    default: 180
seealso:
  - module: fleetops.agents.rollout_gate
  - plugin: fleetops.agents.batches
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Plan the redeploy of all instances of the play
  fleetops.agents.rollout_plan:
    instances: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all
                        | map('extract', hostvars, 'fleetops_instance_id'))) }}"
  run_once: true
  register: plan

- name: Say it
  ansible.builtin.debug:
    msg: "{{ plan.text }}"
  run_once: true

- name: Refuse if the fleet, the policy or the versions have changed since the plan was approved
  fleetops.agents.rollout_plan:
    instances: "{{ fleet }}"
    plan_hash: "{{ approved_plan_hash }}"
  run_once: true
"""

RETURN = r"""
---
text:
  description: The plan as text, one line for each entry.
  returned: success
  type: list
  elements: str
  sample:
    - "24 instances: 22 to redeploy in 7 batches, at most 4 at once (max_parallel_rollouts)."
batches:
  description:
    - The batches in their order, and how long they take. C(needs_seconds) is how much of the maintenance window must be
      left before it begins, which is that of one instance with O(pace=continuous).
  returned: success
  type: list
  elements: dict
  contains:
    number:
      description: Its number, from 1 on.
      type: int
    instances:
      description: Its instances.
      type: list
      elements: str
    part:
      description: The wave, V(canary), V(busy) or V(quarantine); empty without one.
      type: str
    gate:
      description: The settings of its wave for the gate after it.
      type: dict
    p50_seconds:
      description: The expected duration, median.
      type: float
    p90_seconds:
      description: The expected duration, 90th percentile.
      type: float
    needs_seconds:
      description: How many seconds of the maintenance window must be left when it, or its next instance, begins.
      type: float
  sample:
    - {number: 1, instances: [agent-001], part: canary, gate: {}, p50_seconds: 31.0, p90_seconds: 44.5,
       needs_seconds: 44.5}
pace:
  description: The given O(pace).
  returned: success
  type: str
  sample: batches
forks:
  description: How many workers (C(forks)) Ansible needs to keep as many redeploys in flight as allowed.
  returned: success
  type: int
  sample: 6
usual_seconds:
  description:
    - The seconds within which half (C(p50), null if nothing is known) and nine of ten (C(p90)) redeploys of each
      planned instance end.
  returned: success
  type: dict
  sample: {agent-001: {p50: 21.0, p90: 34.5}}
planned:
  description: The instances that would be redeployed, names to ids, in their order.
  returned: success
  type: dict
  sample: {agent-001: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10}
instances:
  description: Every instance that can be read, with its versions and why it is planned or not.
  returned: success
  type: list
  elements: dict
  sample:
    - name: agent-001
      instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      current_version: 4.18.2
      available_version: 4.19.0
      why: outdated
left_alone:
  description: Names of the instances that are already current.
  returned: success
  type: list
  elements: str
  sample: [agent-002]
left_out:
  description: Why instances are left for a later run (O(max_share)), by name.
  returned: success
  type: dict
  sample: {agent-009: "at most 8 of eu in one run (max_share 25%)"}
busy:
  description: Why instances are busy and come at the end (O(defer_busy)), by name.
  returned: success
  type: dict
  sample: {agent-007: its newest conversation was 12 s ago}
gone:
  description: Names of the instances that the server no longer knows. They are left out.
  returned: success
  type: list
  elements: str
  sample: []
max_parallel_rollouts:
  description: How many instances may be redeployed at once, by the policy.
  returned: success
  type: int
  sample: 4
serial:
  description: The size of each batch, for the play's C(serial).
  returned: success
  type: list
  elements: int
  sample: [1, 4, 4, 2]
expected:
  description: When the run would begin and end (UTC), and how many past redeploys this is calculated from.
  returned: success
  type: dict
  sample:
    starts_at: "2026-11-24T01:00:00+00:00"
    ends_p50: "2026-11-24T01:04:10+00:00"
    ends_p90: "2026-11-24T01:06:30+00:00"
    samples: 48
window:
  description:
    - Whether the maintenance window is open now, when it opens next and closes (UTC), and how much fits.
    - C(fits) is V(all), V(part) or V(none) of the batches.
    - It is closed while changes are frozen (O(freezes)).
    - If the policy's hours or the freezes cannot be read, C(problem) says so in a sentence. Nothing may be started
      then, and M(fleetops.agents.rollout_gate) is V(inconclusive).
  returned: success
  type: dict
  sample:
    {open: true, next_opening: null, closes_at: null, fits: all, batches_that_fit: 7, instances_that_fit: 22}
freezes:
  description: The times of the next 35 days in which changes are frozen by O(freezes), UTC, at most 50 of them.
  returned: when the freezes can be read
  type: list
  elements: dict
  sample: [{from: "2026-12-20T00:00:00+00:00", to: "2027-01-01T00:00:00+00:00", reason: end of the year}]
change:
  description: The O(change).
  returned: when given
  type: str
  sample: CHG0031337
plan_hash:
  description: A hash of the fleet, the policy with the batches, and the versions. Times are not part of it.
  returned: success
  type: str
  sample: 8d1f0a33c1-0b9e77aa10-91c0d2e3f4
plan_agreed:
  description: Whether O(plan_hash) was given.
  returned: success
  type: bool
  sample: false
policy:
  description: The update policy, as returned by the server.
  returned: failure because its limit is below 1 or unknown
  type: dict
  sample: {max_parallel_rollouts: 0}
moved:
  description:
    - What has changed since O(plan_hash), of V(fleet), V(policy) and V(versions).
    - All three if O(plan_hash) is not the hash of a plan.
  returned: failure because of another plan
  type: list
  elements: str
  sample: [versions]
"""

import time
from collections.abc import Mapping, Sequence

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import ROLLING_OPTIONS, WORKERS_OPTION
from ..module_utils._rules.answers import Record, iso_time, max_parallel_rollouts, rollout_is_terminal
from ..module_utils._rules.batches import GROWTHS, Member, batch_sizes
from ..module_utils._rules.freezes import Freezes
from ..module_utils._rules.ids import id_key
from ..module_utils._rules.order import (
    CANARY,
    SCOPES,
    Facts,
    Rules,
    caps_of,
    options_of,
    order_of,
    refusal_of,
    sequence,
    share_of,
    waves_of,
)
from ..module_utils._rules.pace import BATCHES, CONTINUOUS, PACES
from ..module_utils._rules.pace import refusal_of as pace_refusal
from ..module_utils._rules.plan import Plan, describe, durations_of, is_plan_hash, make_plan, member_of, moved
from ..module_utils._rules.plan_words import plan_lines
from ..module_utils._rules.window import Window
from ..module_utils._steps.plan_facts import busy, failing, health_words
from ..module_utils._steps.read_timelines import read_timelines
from ..module_utils._steps.read_updates import read_updates

_FREEZES_AHEAD = 35 * 86400.0
_MAX_FREEZES = 50
_MINIMA = {
    **dict.fromkeys(("batch_max", "percent", "workers"), 1),
    **dict.fromkeys(("canary", "history", "quarantine"), 0),
    **dict.fromkeys(("extra_seconds", "fallback_seconds", "window_margin", "soak", "defer_busy"), 0),
}


def run(context: Context) -> None:
    params = context.params
    _check(context)
    if params["change"]:
        context.result["change"] = params["change"]
    rules = _rules(context)
    policy = context.client.get_fleet_update_policy()
    # Without a Date header, the local clock is used.
    now = context.client.server_time or time.time()
    try:
        limit = max_parallel_rollouts(policy)
    except ValueError as refusal:
        context.fail(f"There is no plan: {refusal}.", policy=policy)
    members, gone = _members(context)
    known = {} if params["state"] == "checked" else _durations(context)
    facts = _facts(context, members, rules, known)
    parts, left = sequence(members, rules, facts)
    sizes = batch_sizes(
        limit,
        canary=params["canary"],
        batch_max=params["batch_max"],
        growth=params["growth"],
        percent=params["percent"],
        of=sum(len(part.members) for part in parts),
        pace=params["pace"],
    )
    calendar = Freezes.of(params["freezes"])
    most = limit if params["batch_max"] is None else min(limit, params["batch_max"])
    plan = make_plan(
        members,
        policy=policy,
        sizes=sizes,
        batching={
            **{name: params[name] for name in ("canary", "batch_max", "growth", "percent")},
            # The pace is added only if it is not batches, so that such a plan keeps the hash of earlier versions.
            **({"pace": params["pace"]} if params["pace"] != BATCHES else {}),
            **rules.hashed,
        },
        most=most,
        known=known,
        now=now,
        margin=params["window_margin"],
        fallback=params["fallback_seconds"],
        extra=params["extra_seconds"],
        gone=gone,
        freezes=calendar,
        parts=parts,
        canary=CANARY if rules.canary_hosts else "",
        caps=caps_of(members, rules) if rules.scope == "at_once" else None,
        groups=rules.groups,
        left=left,
        soak=params["soak"],
    )
    window = Window.of_policy(policy)
    words = plan_lines(
        plan,
        window=window,
        limit=most,
        limited_by="batch_max" if most < limit else "max_parallel_rollouts",
        redeploy_all=params["state"] != "latest",
        freezes=calendar,
        rules=rules,
        facts=facts,
        act="check" if params["state"] == "checked" else "redeploy",
    )
    problem = window.problem or calendar.problem
    if not calendar.problem:
        context.result["freezes"] = [
            {"from": iso_time(period.start), "to": iso_time(period.end), "reason": period.reason}
            for period in calendar.between(now, now + _FREEZES_AHEAD, _MAX_FREEZES)
        ]
    at_the_end = {name: why for name, why in facts.busy.items() if name not in left}
    context.result.update(_as_result(plan, problem), text=words, max_parallel_rollouts=limit, busy=at_the_end)
    context.result["plan_agreed"] = bool(params["plan_hash"])
    if params["plan_hash"]:
        parts_moved = moved(params["plan_hash"], plan.hash)
        if parts_moved:
            if is_plan_hash(params["plan_hash"]):
                why = f"Changed since then: {', '.join(parts_moved)}."
            else:
                why = f"{params['plan_hash']!r} is not the hash of a plan."
            context.fail(
                f"This is not the approved plan. {why} Nothing was done. Review the new plan; its hash is {plan.hash}.",
                moved=parts_moved,
            )


def _check(context: Context) -> None:
    """Fail if a number or an instance is invalid."""
    params = context.params
    for name, least in _MINIMA.items():
        if params[name] is not None and params[name] < least:
            context.fail(f"{name} is {params[name]}: it must be {least} or more.")
    if params["percent"] > 100:
        context.fail(f"percent is {params['percent']}: it must be 100 or less.")
    if not params["instances"]:
        context.fail("instances is empty: there is nothing to plan for. Does the inventory contain the fleet?")
    without = [name for name, instance_id in params["instances"].items() if not instance_id]
    if without:
        context.fail(f"These hosts have no instance id: {', '.join(map(str, without))}.")
    first: dict[str, str] = {}
    for name, instance_id in params["instances"].items():
        other = first.setdefault(id_key(instance_id), str(name))
        if other != str(name):
            context.fail(f"{other} and {name} are the same instance {instance_id}. Name it once.")


def _rules(context: Context) -> Rules:
    """The rules for the order. Fails if they cannot be used together."""
    params = context.params
    names = {str(name) for name in params["instances"]}
    most = (params["max_share"] or "").strip()
    try:
        order, seed = order_of((params["order"] or "").strip() or "name")
        waves = waves_of(params["waves"])
        if most:
            share_of(most, 1)
    except ValueError as refusal:
        context.fail(f"There is no plan: {refusal}.")
    canary_hosts = params["canary_hosts"]
    unknown = [str(name) for name in canary_hosts or () if str(name) not in names]
    if unknown:
        context.fail(f"There is no plan: canary_hosts names {', '.join(unknown)}, which the run does not have.")
    rules = Rules(
        order=order,
        seed=seed,
        canary_hosts=None if canary_hosts is None else tuple(str(name) for name in canary_hosts),
        waves=tuple(waves),
        most=most,
        scope=params["share_scope"],
        groups={str(name): str(group) for name, group in params["share_groups"].items() if name in names},
        quarantine=params["quarantine"],
        defer_busy=params["defer_busy"],
    )
    why = refusal_of(
        rules,
        canary=params["canary"],
        canary_asked=canary_hosts is not None,
        scope_asked=params["share_scope"] != "run",
        of_redeploys=params["state"] != "checked",
        soak=params["soak"],
    )
    if why:
        context.fail(f"There is no plan: {why}.")
    if params["pace"] == CONTINUOUS:
        asked = {**options_of(rules), "growth": params["growth"], "soak": params["soak"]}
        if said := pace_refusal(asked, "pace=continuous"):
            context.fail(f"There is no plan: {said}")
    return rules


def _facts(context: Context, members: list[Member], rules: Rules, known: Mapping[str, Sequence[float]]) -> Facts:
    """The data that the rules need. Nothing else is read."""
    planned = {member.name: member.instance_id for member in members if member.planned}
    return Facts(
        inventory=[str(name) for name in context.params["instances"]],
        health=health_words(context, planned) if rules.order == "sickest" else {},
        past=known,
        busy=busy(context, planned, rules.defer_busy) if rules.defer_busy else {},
        failing=failing(context, planned, rules.quarantine) if rules.quarantine else frozenset(),
    )


def _members(context: Context) -> tuple[list[Member], list[str]]:
    """The members of the plan, in order of names, and the names of instances that the server does not know."""
    instances = {str(name): str(instance_id) for name, instance_id in context.params["instances"].items()}
    if context.params["state"] == "checked":
        return [Member(name, i, None, None, True, "checked") for name, i in sorted(instances.items())], []
    answers, gone = read_updates(context, instances, refusal="There is no plan")
    members = [
        member_of(
            name,
            instances[name],
            answer,
            redeploy_all=context.params["state"] == "redeployed",
            any_component=context.params["state"] == "updates",
        )
        for name, answer in answers.items()
    ]
    if not members:
        context.fail(f"The server no longer knows any instance of this run: {', '.join(gone)}.")
    return members, gone


def _durations(context: Context) -> dict[str, list[float]]:
    """How long recent redeploys took. A rollout that cannot be read makes only the estimate less exact."""
    timelines = read_timelines(
        context,
        lambda rows: [row for row in rows if rollout_is_terminal(row)][: context.params["history"]],
        without="A duration is assumed",
        with_fewer="Durations are estimated from fewer rollouts",
    )
    return durations_of(timelines)


def _as_result(plan: Plan, problem: str) -> Record:
    """The plan as plain data."""
    fitting, batches = plan.fit.batches_that_fit, len(plan.batches)
    instances = plan.fit.instances_that_fit
    if instances is None:
        instances = sum(map(len, plan.batches[:fitting]))
    return {
        "batches": [
            {
                "number": number,
                "instances": [member.name for member in batch],
                "part": part.name,
                "gate": dict(part.settings),
                "p50_seconds": expected.p50,
                "p90_seconds": expected.p90,
                "needs_seconds": needs,
            }
            for number, (part, batch, expected, needs) in enumerate(
                zip(plan.parts, plan.batches, plan.expected, plan.needs, strict=True), 1
            )
        ],
        "pace": plan.pace,
        "forks": plan.forks,
        "usual_seconds": {name: {"p50": p50, "p90": p90} for name, (p50, p90) in plan.usual.items()},
        "planned": {member.name: member.instance_id for member in plan.planned},
        "instances": [describe(member) for member in plan.members],
        "left_alone": [member.name for member in plan.skipped],
        "left_out": dict(plan.left),
        "gone": plan.gone,
        "serial": [len(batch) for batch in plan.batches],
        "expected": {
            "starts_at": iso_time(plan.fit.starts_at),
            "ends_p50": iso_time(plan.fit.ends_p50),
            "ends_p90": iso_time(plan.fit.ends_p90),
            "samples": plan.samples,
        },
        "window": {
            "open": plan.fit.open_now,
            "next_opening": iso_time(plan.fit.next_opening),
            "closes_at": iso_time(plan.fit.closes_at),
            "fits": "all" if fitting == batches else "part" if instances else "none",
            "batches_that_fit": fitting,
            "instances_that_fit": instances,
            **({"problem": problem} if problem else {}),
        },
        "plan_hash": plan.hash,
    }


OPERATION = Operation(
    run=run,
    options={
        "instances": {"type": "dict", "required": True},
        "state": {"type": "str", "choices": ["latest", "redeployed", "updates", "checked"], "default": "latest"},
        "change": {"type": "str"},
        "canary": {"type": "int", "default": 1},
        "batch_max": {"type": "int"},
        "growth": {"type": "str", "choices": list(GROWTHS), "default": "fixed"},
        "percent": {"type": "int", "default": 25},
        "order": {"type": "str", "default": "name"},
        "canary_hosts": {"type": "list", "elements": "str"},
        "waves": {"type": "list", "elements": "dict", "default": []},
        "max_share": {"type": "str"},
        "share_scope": {"type": "str", "choices": list(SCOPES), "default": "run"},
        "share_groups": {"type": "dict", "default": {}},
        "quarantine": {"type": "int", "default": 0},
        "pace": {"type": "str", "choices": list(PACES), "default": BATCHES},
        "plan_hash": {"type": "str"},
        "history": {"type": "int", "default": 20},
        "extra_seconds": {"type": "float", "default": 10},
        "soak": {"type": "float", "default": 0},
        "fallback_seconds": {"type": "float", "default": 180},
        **ROLLING_OPTIONS,
        **WORKERS_OPTION,
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
