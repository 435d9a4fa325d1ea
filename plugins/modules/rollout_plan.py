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
  - Reads the version of each instance, the update policy and the durations of recent rollouts, and says which instances
    would be redeployed in which batches, which are left alone because they are current, how long it takes, and whether
    that fits the maintenance window.
  - The batches are those of the lookup P(fleetops.agents.batches#lookup) over the instances that are to be redeployed.
  - The plan has a hash. Given back as O(plan_hash), the module fails when fleet, policy or versions have moved since.
  - Nothing is written.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
options:
  instances:
    description:
      - The instances to plan for, names to ids.
      - They are planned in the order of their names, as a play with C(order=sorted) takes them.
    type: dict
    required: true
  state:
    description:
      - V(latest) plans only for instances whose runtime is outdated.
      - V(redeployed) plans for all.
      - V(updates) plans for instances with any update, of skills and MCP servers too.
    type: str
    choices: [latest, redeployed, updates]
    default: latest
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
    description: The share of a batch with O(growth=percent).
    type: int
    default: 25
  pace:
    description:
      - With V(batches) the next batch begins once all instances of the one before are done.
      - With V(continuous) all instances after the canary are one batch, of which the next instance begins as soon as
        another one has ended. O(batch_max) is then how many may be in flight.
    type: str
    choices: [batches, continuous]
    default: batches
    version_added: 0.2.0
  plan_hash:
    description: The RV(plan_hash) of an earlier plan. If this plan's differs, the module fails and says what moved.
    type: str
  history:
    description: How many of the newest finished rollouts the durations are taken from.
    type: int
    default: 20
  extra_seconds:
    description: Seconds that each batch takes besides its redeploys, for the proof of health and a soak.
    type: float
    default: 10
  fallback_seconds:
    description: Seconds that a redeploy is expected to take when there is no history.
    type: float
    default: 180
  window_margin:
    description: Seconds that must be left between the end of a batch and the window's end.
    type: float
    default: 300
  workers:
    description: How many calls are made at once.
    type: int
    default: 8
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

- name: Refuse when the fleet, the policy or the versions have moved since the plan was approved
  fleetops.agents.rollout_plan:
    instances: "{{ fleet }}"
    plan_hash: "{{ approved_plan_hash }}"
  run_once: true
"""

RETURN = r"""
---
text:
  description: The plan in words, a line an entry.
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
  sample: [{number: 1, instances: [agent-001], p50_seconds: 31.0, p90_seconds: 44.5, needs_seconds: 44.5}]
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
  description: The instances that would be redeployed, names to ids.
  returned: success
  type: dict
  sample: {agent-001: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10}
instances:
  description: Every instance that can be read, with its versions and why it is planned or left alone.
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
  description: Names of the instances that are left alone because they are current.
  returned: success
  type: list
  elements: str
  sample: [agent-002]
gone:
  description: Names of the instances that the server does not know any more. They are left out.
  returned: success
  type: list
  elements: str
  sample: []
max_parallel_rollouts:
  description: How many may be redeployed at once, by the policy.
  returned: success
  type: int
  sample: 4
serial:
  description: The batch sizes, as the play's C(serial) has them.
  returned: success
  type: list
  elements: int
  sample: [1, 4]
expected:
  description: When the work would begin and end (UTC), and from how many past redeploys that is known.
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
    - If the policy's hours cannot be read, C(problem) says so in a sentence. Nothing may be started then, and
      M(fleetops.agents.rollout_gate) is V(inconclusive).
  returned: success
  type: dict
  sample:
    {open: true, next_opening: null, closes_at: null, fits: all, batches_that_fit: 7, instances_that_fit: 22}
plan_hash:
  description: A hash of the fleet, the policy with the batches, and the versions. Times are no part of it.
  returned: success
  type: str
  sample: 8d1f0a33c1-0b9e77aa10-91c0d2e3f4
moved:
  description: What differs from O(plan_hash), of V(fleet), V(policy) and V(versions).
  returned: failure because of another plan
  type: list
  elements: str
  sample: [versions]
"""

import time
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import ROLLOUTS_PAGE, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import failures, in_pool
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import (
    Context,
    Operation,
    run_as_module,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    iso_time,
    max_parallel_rollouts,
    rollout_is_terminal,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from ansible_collections.fleetops.agents.plugins.module_utils._rules.pace import BATCHES, PACES, refusal_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan import (
    GROWTHS,
    Member,
    Plan,
    batch_sizes,
    describe,
    durations_of,
    make_plan,
    member_of,
    moved,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan_words import in_words
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window

_NAMED_FAILURES = 5


def run(context: Context) -> None:
    params = context.params
    _check(context)
    policy = context.client.get_fleet_update_policy()
    # Without a Date header the local clock has to do.
    now = context.client.server_time or time.time()
    try:
        limit = max_parallel_rollouts(policy)
    except ValueError as refusal:
        context.fail(f"There is no plan: {refusal}.", policy=policy)
    members, gone = _members(context)
    sizes = batch_sizes(
        limit,
        canary=params["canary"],
        batch_max=params["batch_max"],
        growth=params["growth"],
        percent=params["percent"],
        of=sum(member.planned for member in members),
        pace=params["pace"],
    )
    plan = make_plan(
        members,
        policy=policy,
        sizes=sizes,
        batching={
            **{name: params[name] for name in ("canary", "batch_max", "growth", "percent")},
            # A plan with batches keeps the hash that it had before there was another pace.
            **({"pace": params["pace"]} if params["pace"] != BATCHES else {}),
        },
        most=limit if params["batch_max"] is None else min(limit, params["batch_max"]),
        known=_durations(context),
        now=now,
        margin=params["window_margin"],
        fallback=params["fallback_seconds"],
        extra=params["extra_seconds"],
        gone=gone,
    )
    window = Window.of_policy(policy)
    words = in_words(plan, window=window, limit=limit, redeploy_all=params["state"] != "latest")
    context.result.update(_told(plan, window), text=words, max_parallel_rollouts=limit, serial=sizes)
    if params["plan_hash"]:
        parts = moved(params["plan_hash"], plan.hash)
        if parts:
            context.fail(
                f"This is not the plan that was agreed on: {' and '.join(parts)} moved since. Nothing was done. "
                f"Look at the new plan; its hash is {plan.hash}.",
                moved=parts,
            )


def _check(context: Context) -> None:
    """Refuse numbers that make no plan."""
    params = context.params
    for name, least in (("canary", 0), ("batch_max", 1), ("percent", 1), ("history", 0), ("workers", 1)):
        if params[name] is not None and params[name] < least:
            context.fail(f"{name} is {params[name]}: it must be {least} or more.")
    if params["percent"] > 100:
        context.fail(f"percent is {params['percent']}: it must be 100 or less.")
    if (said := refusal_of(params["pace"], params["growth"])) != "":
        context.fail(f"{said}.")
    for name in ("extra_seconds", "fallback_seconds", "window_margin"):
        if params[name] < 0:
            context.fail(f"{name} is {params[name]}: it must be 0 or more.")
    if not params["instances"]:
        context.fail("instances is empty: there is nothing to plan for. Does the inventory hold the fleet?")
    without = [name for name, instance_id in params["instances"].items() if not instance_id]
    if without:
        context.fail(f"These hosts have no instance id: {', '.join(map(str, without))}.")
    first: dict[str, str] = {}
    for name, instance_id in params["instances"].items():
        other = first.setdefault(id_key(instance_id), str(name))
        if other != str(name):
            context.fail(f"{other} and {name} are the same instance {instance_id}. Name it once.")


def _members(context: Context) -> tuple[list[Member], list[str]]:
    """Each instance with its versions, in order of names, and the names of those that are gone."""
    named = sorted((str(name), str(instance_id)) for name, instance_id in context.params["instances"].items())
    calls = [partial(FleetClient.get_available_updates, instance_id=instance_id) for _name, instance_id in named]
    answers = in_pool(context.client, calls, workers=context.params["workers"])
    members, gone, unread, labels = [], [], [], []
    for (name, instance_id), answer in zip(named, answers, strict=True):
        if isinstance(answer, ApiError) and answer.kind == "not_found":
            gone.append(name)
        elif isinstance(answer, dict):
            members.append(
                member_of(
                    name,
                    instance_id,
                    answer,
                    redeploy_all=context.params["state"] == "redeployed",
                    any_component=context.params["state"] == "updates",
                )
            )
        else:
            unread.append(answer)
            labels.append(f"{name} ({instance_id})")
    if unread:
        first = next((answer for answer in unread if isinstance(answer, ApiError)), None)
        if first is not None and first.kind in ("auth", "unreachable", "tls"):
            raise first
        phrases = failures(labels, unread)
        more = f"; and {len(phrases) - _NAMED_FAILURES} more" if len(phrases) > _NAMED_FAILURES else ""
        context.fail(
            f"There is no plan, since {len(unread)} of {len(named)} instances cannot be read: "
            f"{'; '.join(phrases[:_NAMED_FAILURES])}{more}"
        )
    if not members:
        context.fail(f"The server knows none of these {len(gone)} instances any more: {', '.join(gone)}.")
    return members, gone


def _durations(context: Context) -> dict[str, list[float]]:
    """What recent redeploys took. A rollout that cannot be read makes the estimate poorer, not the plan wrong."""
    most = context.params["history"]
    if most == 0:
        return {}
    try:
        recent = context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE)
    except ApiError as error:
        if error.kind == "auth":
            raise
        context.warn(f"Durations are estimated by fallback_seconds, since the rollouts cannot be read: {error}")
        return {}
    ids = [str(row["id"]) for row in recent if row.get("id") and rollout_is_terminal(row)][:most]
    calls = [partial(FleetClient.get_rollout_timeline, rollout_id=rollout_id) for rollout_id in ids]
    answers = in_pool(context.client, calls, workers=context.params["workers"])
    unread = failures([f"the timeline of rollout {i}" for i in ids], answers)
    if unread:
        context.warn(f"Durations are estimated from fewer rollouts: {'; '.join(unread[:_NAMED_FAILURES])}")
    return durations_of(answer for answer in answers if isinstance(answer, dict))


def _told(plan: Plan, window: Window) -> Record:
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
                "p50_seconds": expected.p50,
                "p90_seconds": expected.p90,
                "needs_seconds": needs,
            }
            for number, (batch, expected, needs) in enumerate(
                zip(plan.batches, plan.expected, plan.needs, strict=True), 1
            )
        ],
        "forks": plan.forks,
        "usual_seconds": {name: {"p50": p50, "p90": p90} for name, (p50, p90) in plan.usual.items()},
        "planned": {member.name: member.instance_id for member in plan.planned},
        "instances": [describe(member) for member in plan.members],
        "left_alone": [member.name for member in plan.skipped],
        "gone": plan.gone,
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
            **({"problem": window.problem} if window.problem else {}),
        },
        "plan_hash": plan.hash,
    }


OPERATION = Operation(
    run=run,
    options={
        "instances": {"type": "dict", "required": True},
        "state": {"type": "str", "choices": ["latest", "redeployed", "updates"], "default": "latest"},
        "canary": {"type": "int", "default": 1},
        "batch_max": {"type": "int"},
        "growth": {"type": "str", "choices": list(GROWTHS), "default": "fixed"},
        "percent": {"type": "int", "default": 25},
        "pace": {"type": "str", "choices": list(PACES), "default": BATCHES},
        "plan_hash": {"type": "str"},
        "history": {"type": "int", "default": 20},
        "extra_seconds": {"type": "float", "default": 10},
        "fallback_seconds": {"type": "float", "default": 180},
        "window_margin": {"type": "float", "default": 300},
        "workers": {"type": "int", "default": 8},
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
