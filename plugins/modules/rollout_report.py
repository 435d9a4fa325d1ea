#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports what a run did to each instance, checked against the server (E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout_report
short_description: Report what a run did to each instance
version_added: 0.2.0
description:
  - Puts each instance of a run into exactly one category, from the results of its tasks, and asks the server whether
    its runtime is current now. Contradictions are listed. The server is not asked again about an
    instance whose task has already found that it is current.
  - Ansible's own recap cannot do that, as it knows neither deferred instances nor uncertain outcomes.
  - Nothing is written.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
  - fleetops.agents.workers
options:
  instances:
    description: All instances of the run, names to ids.
    type: dict
    required: true
  planned:
    description: Names of the instances that the run set out to change. Without it, all of O(instances).
    type: list
    elements: str
  outcomes:
    description: The registered results of the instances' tasks, by name, for those whose task ran.
    type: dict
    default: {}
  gone:
    description: Names of the instances that the server did not know when the plan was made.
    type: list
    elements: str
    default: []
  left_out:
    description:
      - Why instances were not touched although they were not current, by name. They are under C(not_touched) in the
        report, with their reasons under C(left_out).
    type: dict
    default: {}
  verdict:
    description: The verdict of the gate that ended the run. V(pass) if none did.
    type: str
    choices: [pass, deferred, inconclusive, fail]
    default: pass
  reasons:
    description: The reasons of O(verdict).
    type: list
    elements: str
    default: []
  change:
    description: The change (a ticket of change management) under which the run was made. It is in the report.
    type: str
  compare_versions:
    description: Whether to ask the server for each instance's version. Set it to V(false) for runs that change no
      version.
    type: bool
    default: true
  acted:
    description: What the run did to the instances under C(updated), as a participle for the report.
    type: str
    default: updated
  plan_agreed:
    description: Whether the run was given the hash of its plan. If so, the report says that the rest needs a new one.
    type: bool
    default: false
seealso:
  - module: fleetops.agents.rollout_plan
  - module: fleetops.agents.rollout_gate
"""

EXAMPLES = r"""
---
- name: Report what the run did
  fleetops.agents.rollout_report:
    instances: "{{ fleet }}"
    planned: "{{ plan.planned.keys() | list }}"
    outcomes: "{{ outcomes }}"
  run_once: true
  register: done

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ done.text }}"
  run_once: true

- name: Report restarts, which change no version
  fleetops.agents.rollout_report:
    instances: "{{ fleet }}"
    outcomes: "{{ outcomes }}"
    compare_versions: false
  run_once: true
"""

RETURN = r"""
---
report:
  description:
    - The names of the instances under C(failed), C(uncertain), C(updated), C(current), C(deferred), C(not_touched) and
      C(gone). Each is in exactly one of them.
    - C(bundles) has the names of updated instances by the hash of the deployed bundle, C(left_out) why instances were
      not touched.
    - C(counts) has their numbers, C(why) the reasons of those that failed or are uncertain, C(disagreements) where the
      server contradicts, C(verdict) and C(reasons) why the run ended, C(change) the O(change) if one is given.
  returned: success
  type: dict
  sample:
    failed: [agent-004]
    uncertain: []
    updated: [agent-001, agent-002, agent-003]
    current: []
    deferred: []
    not_touched: [agent-005]
    gone: []
    counts: {failed: 1, uncertain: 0, updated: 3, current: 0, deferred: 0, not_touched: 1, gone: 0}
    why: {agent-004: "The redeploy of agent-004 failed: bundle checksum mismatch."}
    bundles: {8d1f0a: [agent-001, agent-002, agent-003]}
    left_out: {}
    disagreements: {}
    verdict: fail
    reasons: ["1 instance failed (agent-004); at most 0 may fail."]
text:
  description: The report as text, one line for each entry.
  returned: success
  type: list
  elements: str
  sample: ["Updated (3): agent-001, agent-002, agent-003"]
"""

from functools import partial

from ..module_utils._client.client import FleetClient
from ..module_utils._client.errors import ApiError
from ..module_utils._client.pool import Pool
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import WORKERS_OPTION
from ..module_utils._rules.plan import member_of
from ..module_utils._rules.record_words import counted
from ..module_utils._rules.report import make_report, report_lines
from ..module_utils._rules.run_state import bundles_of


def run(context: Context) -> None:
    params = context.params
    names = sorted(params["instances"])
    planned = names if params["planned"] is None else params["planned"]
    report = make_report(
        names,
        planned,
        params["outcomes"],
        verdict=params["verdict"],
        gone=params["gone"],
        left_out=params["left_out"],
        server=_versions(context) if params["compare_versions"] and not context.check_mode else {},
    )
    text = report_lines(
        report,
        params["reasons"],
        acted=params["acted"],
        predicted=context.check_mode,
        plan_agreed=params["plan_agreed"],
    )
    change = {"change": params["change"]} if params["change"] else {}
    context.result.update(
        report={**report, "reasons": params["reasons"], **change},
        text=[f"Change: {params['change']}", *text] if change else text,
    )


def _versions(context: Context) -> dict[str, str]:
    """``current``, ``outdated`` or ``unknown`` by name, from the server's versions. Warns if some cannot be read."""
    outcomes = {name: outcome or {} for name, outcome in context.params["outcomes"].items()}
    # If a bundle was published during the run, an instance that was current may no longer be.
    one_bundle = len(bundles_of(outcomes)) < 2
    seen = [name for name, outcome in outcomes.items() if one_bundle and outcome.get("is_current") is True]
    found: dict[str, str] = dict.fromkeys(seen, "current")
    left_out = {*context.params["gone"], *seen}
    known = {name: str(i) for name, i in context.params["instances"].items() if name not in left_out}
    calls = [partial(FleetClient.get_available_updates, instance_id=instance_id) for instance_id in known.values()]
    # The first call is made alone. If the key is refused or the server is down, there are no further calls.
    with Pool(context.client, context.params["workers"]) as pool:
        answers = pool.in_order(calls[:1]) + pool.in_order(calls[1:])
    unread = [answer for answer in answers if not isinstance(answer, dict)]
    if unread:
        first = next((str(answer) for answer in unread if isinstance(answer, ApiError)), "no answer")
        number = counted(len(unread), "instance")
        context.warn(f"The versions of {number} could not be compared with the server's: {first}")
    for (name, instance_id), answer in zip(known.items(), answers, strict=True):
        if isinstance(answer, dict):
            member = member_of(name, instance_id, answer, redeploy_all=False)
            found[name] = member.why if member.why in ("current", "outdated") else "unknown"
    return found


OPERATION = Operation(
    run=run,
    offline=True,
    options={
        "instances": {"type": "dict", "required": True},
        "planned": {"type": "list", "elements": "str"},
        "outcomes": {"type": "dict", "default": {}},
        "gone": {"type": "list", "elements": "str", "default": []},
        "left_out": {"type": "dict", "default": {}},
        "verdict": {"type": "str", "choices": ["pass", "deferred", "inconclusive", "fail"], "default": "pass"},
        "reasons": {"type": "list", "elements": "str", "default": []},
        "change": {"type": "str"},
        "compare_versions": {"type": "bool", "default": True},
        "acted": {"type": "str", "default": "updated"},
        "plan_agreed": {"type": "bool", "default": False},
        **WORKERS_OPTION,
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
