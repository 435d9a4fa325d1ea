#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says whether the next batch of a rolling play may start (E3, E9, E16, E21)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout_gate
short_description: Ask whether the next batch of a rolling play may start
version_added: 0.2.0
description:
  - Makes the checks that decide whether a batch may start, and gives one verdict with its reasons.
  - It checks the failure budget, the policy, the maintenance window, fleet rollouts that the server itself is driving,
    and the health of the fleet.
  - Further options add checks of a hold, freezes, stalled redeploys, the deployed bundles, a soak of the last batch,
    its audit counters compared with those of instances that are not updated yet, and metrics.
  - It never fails because of a verdict, so that the play can stop with C(meta=end_play) and still report.
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
  next_batch:
    description: The instances about to be updated, names to ids.
    type: dict
    required: true
  waiting:
    description:
      - All instances that are not updated yet, names to ids, those of O(next_batch) included.
      - They are the control group of the audit check.
    type: dict
    default: {}
  updated:
    description: The instances that this run has updated so far, names to ids.
    type: dict
    default: {}
  last_batch:
    description: Names of the instances of the batch before.
    type: list
    elements: str
    default: []
  failed:
    description: Names of the instances that have failed in this run so far.
    type: list
    elements: str
    default: []
  max_failed:
    description: The verdict is V(fail) if more instances than this have failed, or all of O(last_batch).
    type: int
    default: 0
  expected_seconds:
    description: How long the next batch is expected to take, see C(batches[].p90_seconds) of
      M(fleetops.agents.rollout_plan).
    type: float
    default: 180
  override_window:
    description: Whether to continue although the maintenance window is closed or about to close, or changes are frozen.
    type: bool
    default: false
  override_reason:
    description: The reason for overriding the window. It is in the result and in the record of the run.
    type: str
  hold:
    description:
      - A file or an address by which a person or a monitor pauses the run. Nothing is started while it is held.
      - An absolute path on the controller. The run is held while the file exists. Its first line is shown as the
        reason.
      - An HTTP address. The run is held while it answers with status 200, and not held with 404. It is read without
        the API's key. Any other answer counts as a check that failed.
      - When the hold is lifted, all other checks are made again. A soak continues while the run is held.
    type: str
  hold_wait:
    description:
      - Whether to wait until the hold is lifted. If not, the verdict is V(hold) while the run is held.
      - Check mode never waits.
    type: bool
    default: true
  hold_timeout:
    description: Seconds for which the run may be held. After that the verdict is V(fail).
    type: float
    default: 3600
  hold_interval:
    description: Seconds between two checks of the hold. After four checks that failed the verdict is
      V(inconclusive).
    type: float
    default: 10
  metric_checks:
    description:
      - Prometheus queries, each with the condition that its values must meet, as a list of mappings or its JSON text.
        They are made after the soak.
      - C(query) is PromQL. C(must_be) is V(<), V(<=), V(>), V(>=), V(==) or V(!=) with a number, such as V(< 0.01).
      - With C(for), this must have been so for that many seconds until now. Without it, only the newest value is
        judged.
      - C(name) is shown in the reasons instead of the query.
      - The verdict is V(fail) if a value of any series does not meet the condition, or if the query is invalid. It is
        V(inconclusive) if there is no data, the data does not reach back far enough, or the server fails to answer
        three times, or says that its answer lacks data (Thanos, VictoriaMetrics).
    type: raw
  metric_url:
    description: The base address of Prometheus, without C(/api/v1). Required with O(metric_checks).
    type: str
  metric_token:
    description: A bearer token for O(metric_url). By default, that of the environment variable
      E(FLEETOPS_METRIC_TOKEN). The API's key is never sent there.
    type: str
  metric_timeout:
    description: Seconds within which Prometheus must answer a query.
    type: float
    default: 10
  stall_timeout:
    description:
      - The verdict is V(fail) if redeploys are in flight and none has ended for this many seconds. V(0) for no check.
    type: float
    default: 0
  bundles:
    description:
      - Names of the instances that this run has updated, by the hash of the bundle that was deployed, see
        RV(fleetops.agents.instance_runtime#module:bundle_hash). More than one means that a bundle was published during
        the run.
    type: dict
    default: {}
  on_bundle_change:
    description: With V(stop), the verdict is V(fail) if O(bundles) has more than one bundle. With V(continue) it is
      not.
    type: str
    choices: [continue, stop]
    default: continue
  planned_busy:
    description:
      - Names of the instances of O(next_batch) that the plan put at the end because they were busy.
      - Those that are still busy by O(defer_busy), or whose audit cannot be read, are in RV(busy) and should not be
        touched.
    type: list
    elements: str
    default: []
  min_healthy_share:
    description: The share of the fleet, from V(0) to V(1), that must be healthy by the server's stored records.
      V(0) switches the check off.
    type: float
    default: 0.75
  health_sample:
    description: The maximum number of instances whose health is read for that, evenly spread over the fleet.
    type: int
    default: 50
  soak:
    description: Seconds for which the instances of the last batch must stay healthy, by live health checks. After that,
      the policy, the window and the other checks before the soak are made again. V(0) for no soak.
    type: float
    default: 0
  soak_reads:
    description: How many consecutive live checks must be healthy at the end of the soak.
    type: int
    default: 3
  soak_interval:
    description: Seconds between two live health checks of an instance.
    type: float
    default: 5
  audit:
    description:
      - Whether to compare the audit counters of updated and not yet updated instances over the soak.
      - Requires O(soak) and traffic; see O(audit_min_events).
    type: bool
    default: false
  audit_max_difference:
    description: By how much the share of errors and denials of the updated instances may be higher, from V(0) to V(1).
    type: float
    default: 0.05
  audit_min_events:
    description: With fewer events in one of the groups, or without a counter, the verdict is V(inconclusive).
    type: int
    default: 20
  audit_sample:
    description: The maximum number of instances of each group to compare.
    type: int
    default: 20
  max_errors:
    description: After this many consecutive failed reads of one instance the soak is V(inconclusive).
    type: int
    default: 4
  stream:
    description:
      - The run, if its rules are to be checked before each redeploy too. They are stored on this machine when the
        verdict is V(pass), and C(stream) of M(fleetops.agents.instance_runtime) and M(fleetops.agents.instance_update)
        checks them.
      - These are the failures of the run, the policy, the window, the freezes, fleet rollouts, O(stall_timeout) and
        the hold. While the run is held, the redeploy waits.
    type: dict
    version_added: 0.2.0
    suboptions:
      run:
        description: A unique name for the run. Letters, digits and dashes.
        type: str
        required: true
      most:
        description: How many redeploys of the run may be in flight, even if the policy allows more.
        type: int
      max_failed:
        description: How many redeploys of the run may fail before no further one is started. By default
          O(max_failed).
        type: int
      health_interval:
        description: Seconds after which the health for O(min_healthy_share) is read again before a redeploy. Without
          it, only this module reads the health.
        type: float
seealso:
  - module: fleetops.agents.rollout_plan
  - module: fleetops.agents.instance_runtime
"""

EXAMPLES = r"""
---
- name: Check whether the next batch may start
  fleetops.agents.rollout_gate:
    next_batch: "{{ dict(ansible_play_batch | zip(ansible_play_batch
                         | map('extract', hostvars, 'fleetops_instance_id'))) }}"
    failed: "{{ failed_so_far }}"
  run_once: true
  register: gate

- name: Leave the rest untouched
  ansible.builtin.meta: end_play
  when: not gate.go

- name: Go on outside the maintenance window, for a reason that is recorded
  fleetops.agents.rollout_gate:
    next_batch: "{{ next_batch }}"
    override_window: true
    override_reason: "INC-4711: the old runtime leaks tokens"
  run_once: true
  register: gate

- name: Do nothing while /run/fleetops/hold exists, at weekends and at the end of the year
  fleetops.agents.rollout_gate:
    next_batch: "{{ next_batch }}"
    hold: /run/fleetops/hold
    freezes:
      - {from: "2026-12-20", to: "2026-12-31", zone: Europe/Berlin, reason: end of the year}
      - {from: "2026-01-02T16:00", to: "2026-01-05T08:00", zone: Europe/Berlin, rule: "FREQ=WEEKLY;BYDAY=FR"}
  run_once: true
  register: gate

- name: Start nothing while more than one in a hundred calls has failed over the last ten minutes
  fleetops.agents.rollout_gate:
    next_batch: "{{ next_batch }}"
    metric_url: https://prometheus.example.com
    metric_checks:
      - name: share of failed calls
        query: sum(rate(agent_calls_total{outcome="error"}[5m])) / sum(rate(agent_calls_total[5m]))
        must_be: "< 0.01"
        for: 600
  run_once: true
  register: gate

- name: Let the last batch soak for five minutes and compare it with the instances that still run the old version
  fleetops.agents.rollout_gate:
    next_batch: "{{ next_batch }}"
    waiting: "{{ waiting }}"
    updated: "{{ updated }}"
    last_batch: "{{ last_batch }}"
    soak: 300
    audit: true
  run_once: true
  register: gate
"""

RETURN = r"""
---
verdict:
  description:
    - V(pass), the next batch may start.
    - V(hold), the run is held, and O(hold_wait) is false.
    - V(deferred), the maintenance window closes or a freeze begins, so the remaining instances wait. This is not an
      error.
    - V(inconclusive), it is not known whether it is safe to continue, so the batch should not start.
    - V(fail), something is wrong.
  returned: success
  type: str
  sample: pass
go:
  description: Whether the verdict is V(pass).
  returned: success
  type: bool
  sample: true
reasons:
  description: A sentence for each check that did not pass.
  returned: success
  type: list
  elements: str
  sample: ["2 instances failed (agent-004, agent-007); at most 1 may fail."]
checks:
  description: Every check with its verdict, its reason and its numbers, in the order in which they were made.
  returned: success
  type: list
  elements: dict
  sample: [{name: budget, verdict: pass, reason: No instance failed., failed: 0, max_failed: 0}]
busy:
  description: Why instances of O(planned_busy) are still busy, by name.
  returned: success
  type: dict
  sample: {agent-007: its newest conversation was 12 s ago}
waited_seconds:
  description: Seconds that the soak and a hold took.
  returned: success
  type: float
  sample: 60.2
"""

import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..module_utils._client.client import ROLLOUTS_PAGE, FleetClient
from ..module_utils._client.errors import KEY_REFUSED, ApiError
from ..module_utils._client.pool import read_each
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import ROLLING_OPTIONS, WORKERS_OPTION
from ..module_utils._rules import freezes, gate, stall
from ..module_utils._rules.answers import Record
from ..module_utils._steps.admission_locks import AdmissionError
from ..module_utils._steps.hold import HOLD_OPTIONS, check_hold, check_hold_options
from ..module_utils._steps.metrics import METRIC_OPTIONS, judge_metrics, metric_checks
from ..module_utils._steps.plan_facts import busy
from ..module_utils._steps.stream import Stream

_NOT_NEGATIVE = (
    "max_failed",
    "expected_seconds",
    "window_margin",
    "soak",
    "soak_reads",
    "audit_min_events",
    "defer_busy",
)
_NAMED = 5


def run(context: Context) -> None:
    _check_options(context)
    started = context.clock()
    checks = _checks(context)
    soaked = _soak_and_audit(context) if gate.worst(checks) == gate.PASS else []
    if soaked and gate.worst(soaked) == gate.PASS and not context.check_mode:
        # The state may have changed during the soak.
        checks = _checks(context)
    checks += soaked
    if gate.worst(checks) == gate.PASS:
        checks += judge_metrics(context)
    if gate.worst(checks) == gate.PASS and context.params["hold"] is not None:
        held = _hold(context)
        if held.verdict == gate.PASS and held.facts.get("held_seconds"):
            # The state may have changed during the hold too.
            checks = _checks(context) + soaked + judge_metrics(context)
        checks.append(held)
    verdict = gate.worst(checks)
    if context.params["stream"] and verdict == gate.PASS and not context.check_mode:
        _begin_stream(context, next((check for check in checks if check.name == "health"), None))
    context.result.update(
        verdict=verdict,
        go=verdict == gate.PASS,
        reasons=[check.reason for check in checks if check.verdict != gate.PASS],
        busy=_busy(context) if verdict == gate.PASS else {},
        checks=[check.as_dict() for check in checks],
        waited_seconds=round(context.clock() - started, 1),
    )


def _check_options(context: Context) -> None:
    params = context.params
    if params["override_window"] and not (params["override_reason"] or "").strip():
        context.fail("override_window needs an override_reason: it is recorded with the run.")
    for name in ("min_healthy_share", "audit_max_difference"):
        if not 0 <= params[name] <= 1:
            context.fail(f"{name} is {params[name]}: it must be from 0 to 1.")
    check_hold_options(context)
    metric_checks(context)
    for name in _NOT_NEGATIVE:
        if params[name] < 0:
            context.fail(f"{name} is {params[name]}: it must be 0 or more.")
    for name in ("health_sample", "audit_sample", "max_errors", "workers"):
        if params[name] < 1:
            context.fail(f"{name} is {params[name]}: it must be 1 or more.")
    if params["audit"] and not params["soak"] > 0:
        context.fail("audit compares counters over the soak: give soak too.")
    if params["stream"]:
        _check_stream(context, params["stream"])
    if not params["next_batch"]:
        context.fail("next_batch is empty: there is nothing to ask about.")


def _checks(context: Context) -> list[gate.Check]:
    params = context.params
    budget = gate.budget(params["failed"], params["max_failed"], params["last_batch"])
    return [budget, *_bundle(context), *_server_state(context), *_stall(context), *_health(context)]


def _bundle(context: Context) -> list[gate.Check]:
    bundles = context.params["bundles"]
    return [gate.bundle(bundles, stop=context.params["on_bundle_change"] == "stop")] if bundles else []


def _busy(context: Context) -> dict[str, str]:
    """The instances of the next batch that were busy when the run was planned and still are, with the reasons."""
    params = context.params
    asked = {name: str(params["next_batch"][name]) for name in params["planned_busy"] if name in params["next_batch"]}
    return busy(context, asked, params["defer_busy"]) if asked and params["defer_busy"] else {}


def _hold(context: Context) -> gate.Check:
    check = check_hold(context, wait=context.params["hold_wait"] and not context.check_mode)
    if context.check_mode and check.verdict == gate.HOLD:
        return gate.Check(check.name, gate.PASS, f"Not waited for in check mode: {check.reason}")
    return check


def _check_stream(context: Context, stream: Record) -> None:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", stream["run"]):
        context.fail(f"stream.run is {stream['run']!r}: it must be 1 to 64 letters, digits and dashes.")
    if stream["most"] is not None and stream["most"] < 1:
        context.fail(f"stream.most is {stream['most']}: it must be 1 or more.")
    if stream["health_interval"] is not None and not stream["health_interval"] > 0:
        context.fail(f"stream.health_interval is {stream['health_interval']}: it must be above 0 seconds.")


def _begin_stream(context: Context, health: gate.Check | None) -> None:
    """Write the rules for the tasks of the stream, and the health check if it was made now."""
    params, stream = context.params, Stream(context.params["stream"]["run"])
    fleet, most_failed = _fleet(context), params["stream"]["max_failed"]
    try:
        stream.begin(
            {
                "max_failed": params["max_failed"] if most_failed is None else most_failed,
                "window_margin": params["window_margin"],
                "override": _override(context),
                **{
                    name: params[name] for name in ("freezes", "stall_timeout", "hold", "hold_timeout", "hold_interval")
                },
                "most": params["stream"]["most"],
                "updated": bool(params["updated"]),
                "min_healthy_share": params["min_healthy_share"],
                "health_interval": params["stream"]["health_interval"],
                "workers": params["workers"],
                "sample": _spread(fleet, params["health_sample"]),
                "fleet": len(fleet),
            }
        )
    except AdmissionError as failure:
        context.fail(f"The run cannot begin: {failure}.")
    interval = params["stream"]["health_interval"]
    if interval and health is not None and stream.stored_health(interval) is None:
        stream.store_health(health)


def _fleet(context: Context) -> Record:
    """The instances of the run, names to ids."""
    return {**context.params["updated"], **context.params["waiting"], **context.params["next_batch"]}


def _override(context: Context) -> str:
    return (context.params["override_reason"] or "") if context.params["override_window"] else ""


def _server_state(context: Context) -> list[gate.Check]:
    """The checks of the policy, the window, the freezes and fleet rollouts. An unreadable one is inconclusive."""
    params = context.params
    try:
        policy = context.client.get_fleet_update_policy()
    except ApiError as error:
        return [_unreadable("policy", error)]
    now = context.client.server_time or time.time()
    limit = gate.parallel_limit(policy)
    if limit.verdict != gate.PASS:
        return [limit]
    start = gate.NextStart(
        params["expected_seconds"], params["window_margin"], bool(params["updated"]), _override(context)
    )
    known = [gate.window(policy, now, start)]
    calendar = freezes.Freezes.of(params["freezes"])
    if calendar != freezes.NO_FREEZES:
        known.append(freezes.judge(calendar, now, start))
    known = [_not_applied(check) if context.check_mode else check for check in known]
    try:
        return [*known, gate.foreign_rollout(context.client.open_fleet_rollouts())]
    except ApiError as error:
        return [*known, _unreadable("foreign_rollout", error)]


def _not_applied(check: gate.Check) -> gate.Check:
    """The check in check mode, where a closed window is not a failure: a plan for the night is made during the day."""
    if check.verdict not in (gate.FAIL, gate.DEFERRED):
        return check
    return gate.Check(check.name, gate.PASS, f"Does not apply in check mode: {check.reason}", check.facts)


def _stall(context: Context) -> list[gate.Check]:
    """Whether redeploys are in flight and none of them ends. The reason names their instances."""
    if not context.params["stall_timeout"]:
        return []
    try:
        rollouts = context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE)
        now = context.client.server_time or time.time()
        check = stall.judge(rollouts, now, timeout=context.params["stall_timeout"])
        if check.verdict != gate.FAIL:
            return [check]
        timelines = [context.client.get_rollout_timeline(rollout) for rollout in check.facts["rollouts"][:_NAMED]]
    except ApiError as error:
        return [_unreadable(stall.NAME, error)]
    return [stall.with_instances(check, timelines)]


def _unreadable(name: str, error: ApiError) -> gate.Check:
    if error.kind in KEY_REFUSED:
        raise error
    return gate.Check(name, gate.INCONCLUSIVE, str(error))


def _health(context: Context) -> list[gate.Check]:
    params = context.params
    if params["min_healthy_share"] == 0:
        return []
    stream = params["stream"] or {}
    if (every := stream.get("health_interval")) and (seen := Stream(stream["run"]).stored_health(every)) is not None:
        return [seen]
    fleet = _fleet(context)
    asked = _spread(fleet, params["health_sample"])
    readings = read_each(context.client, asked, FleetClient.get_deep_health, workers=params["workers"])
    return [gate.health_share(readings, params["min_healthy_share"], len(fleet))]


def _soak_and_audit(context: Context) -> list[gate.Check]:
    """Wait for the soak, and check the live health of the last batch, and the audit events of this time."""
    params = context.params
    last = {name: params["updated"][name] for name in params["last_batch"] if name in params["updated"]}
    if not params["soak"] or not last:
        return []
    if context.check_mode:
        return [gate.Check("soak", gate.PASS, "Not waited for in check mode.")]
    groups = [_spread(params[group], params["audit_sample"]) for group in ("updated", "waiting")]
    before = [_summaries(context, group) for group in groups] if params["audit"] else []
    checks = [_soak(context, last)]
    if params["audit"]:
        after = [_summaries(context, group) for group in groups]
        deltas = [
            {name: gate.audit_delta(one[name], other[name]) for name in one}
            for one, other in zip(before, after, strict=True)
        ]
        checks.append(
            gate.audit(
                deltas[0], deltas[1], most=params["audit_max_difference"], least_events=params["audit_min_events"]
            )
        )
    return checks


def _soak(context: Context, last: Mapping[str, Any]) -> gate.Check:
    params, started = context.params, context.clock()
    longest = params["soak"] + max(params["soak"], params["soak_reads"] * params["soak_interval"])
    soak = gate.Soak(params["soak_reads"])
    live_health = partial(FleetClient.get_deep_health, force=True)
    while True:
        readings = read_each(context.client, last, live_health, workers=params["workers"])
        for name, health in readings.items():
            soak.take(name, health if health is None or health.get("cached") is False else None)
        waited = context.clock() - started
        over = waited >= params["soak"] and (soak.steady(last) or waited >= longest)
        if soak.unhealthy or over or soak.unreadable(params["max_errors"]):
            return gate.soaked(soak, list(last), waited, params["max_errors"])
        context.sleep(params["soak_interval"])


def _summaries(context: Context, group: Mapping[str, Any]) -> dict[str, Any]:
    return read_each(context.client, group, FleetClient.get_audit_summary, workers=context.params["workers"])


def _spread(instances: Mapping[str, Any], most: int) -> dict[str, Any]:
    """At most ``most`` of the instances, spread evenly over their order."""
    names = list(instances)
    if len(names) > most:
        names = [names[position * len(names) // most] for position in range(most)]
    return {name: instances[name] for name in names}


OPERATION = Operation(
    run=run,
    options={
        "next_batch": {"type": "dict", "required": True},
        "waiting": {"type": "dict", "default": {}},
        "updated": {"type": "dict", "default": {}},
        "last_batch": {"type": "list", "elements": "str", "default": []},
        "failed": {"type": "list", "elements": "str", "default": []},
        "max_failed": {"type": "int", "default": 0},
        "expected_seconds": {"type": "float", "default": 180},
        "override_window": {"type": "bool", "default": False},
        "override_reason": {"type": "str"},
        **HOLD_OPTIONS,
        **METRIC_OPTIONS,
        "hold_wait": {"type": "bool", "default": True},
        "stall_timeout": {"type": "float", "default": 0},
        "bundles": {"type": "dict", "default": {}},
        "on_bundle_change": {"type": "str", "choices": ["continue", "stop"], "default": "continue"},
        "planned_busy": {"type": "list", "elements": "str", "default": []},
        "min_healthy_share": {"type": "float", "default": 0.75},
        "health_sample": {"type": "int", "default": 50},
        "soak": {"type": "float", "default": 0},
        "soak_reads": {"type": "int", "default": 3},
        "soak_interval": {"type": "float", "default": 5},
        "audit": {"type": "bool", "default": False},
        "audit_max_difference": {"type": "float", "default": 0.05},
        "audit_min_events": {"type": "int", "default": 20},
        "audit_sample": {"type": "int", "default": 20},
        "max_errors": {"type": "int", "default": 4},
        "stream": {
            "type": "dict",
            "options": {
                "run": {"type": "str", "required": True},
                "most": {"type": "int"},
                "max_failed": {"type": "int"},
                "health_interval": {"type": "float"},
            },
        },
        **ROLLING_OPTIONS,
        **WORKERS_OPTION,
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
