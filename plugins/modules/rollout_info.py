#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads rollouts: the list, one with its targets, its timeline (E1, E3, E4)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout_info
short_description: Read rollouts, their targets and their timelines
version_added: 0.1.0
description:
  - Reads the tenant's rollouts, newest first, or one rollout.
  - With O(gather), also reads the targets of one rollout and its timeline with host names.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.connection
  - fleetops.agents.listing
options:
  rollout_id:
    description: Read this rollout instead of the list.
    type: raw
  gather:
    description: What to read in addition to the summary of the rollout O(rollout_id).
    type: list
    elements: str
    choices: [targets, timeline]
    default: []
  status:
    description:
      - Return only rollouts with one of these statuses.
      - Only the O(limit) newest rollouts are searched. Set O(all) to search the whole history.
    type: list
    elements: str
"""

EXAMPLES = r"""
---
- name: Read the newest rollouts
  fleetops.agents.rollout_info:
  register: answer

- name: Read one rollout with its targets and its timeline
  fleetops.agents.rollout_info:
    rollout_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08
    gather: [targets, timeline]
  register: answer

- name: Read the rollouts that have not finished
  fleetops.agents.rollout_info:
    status: [pending, in_progress, paused, cancelling]
    limit: 100
  register: answer
"""

RETURN = r"""
---
rollouts:
  description:
    - The rollouts as returned by the server, newest first. Only one if O(rollout_id) was given.
    - C(canonical_status) is added, one of V(pending), V(in_progress), V(paused), V(cancelling), V(completed),
      V(partial), V(failed), V(cancelled), or the server's own status if none of these applies. C(finished)
      shows whether the rollout has finished. C(cancelled_targets) is computed from the other counters.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 497f6eca-6276-4993-bfeb-53cbbbba6f08
      scope: fleet
      status: completed
      canonical_status: completed
      finished: true
      total_targets: 24
      succeeded_targets: 24
      cancelled_targets: 0
targets:
  description: The rollout's targets, each with C(canonical_status).
  returned: O(gather) contains V(targets)
  type: list
  elements: dict
  sample: [{instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, status: succeeded, canonical_status: succeeded}]
timeline:
  description: The rollout's targets with host names and times.
  returned: O(gather) contains V(timeline)
  type: list
  elements: dict
  sample: [{instance_hostname: agent-001.fra1.fleet.example, status: succeeded, duration_seconds: 31.5}]
truncated:
  description: Whether there are more rollouts than were read.
  returned: success
  type: bool
  sample: false
next_offset:
  description: The O(offset) of the next page. V(null) if there is none.
  returned: success
  type: int
  sample: 20
"""

from ..module_utils._client.client import ROLLOUT_TIMES, ROLLOUTS_PAGE
from ..module_utils._module.operation import Context, Operation, read_listing, run_as_module
from ..module_utils._module.options import LISTING_OPTIONS, id_option
from ..module_utils._rules.answers import Record, counters, rollout_is_terminal, rollout_status, target_status
from ..module_utils._steps.rollout_follow import warn_if_cut


def run(context: Context) -> None:
    rollout_id, gather = context.params["rollout_id"], context.params["gather"]
    if rollout_id:
        _one(context, rollout_id, gather)
    elif gather:
        context.fail("gather is only for one rollout: set rollout_id too.")
    else:
        _list(context)


def _one(context: Context, rollout_id: str, gather: list[str]) -> None:
    detail = context.client.get_rollout(rollout_id)
    warn_if_cut(context, detail)
    context.result.update(
        rollouts=[_described(detail["rollout"], detail["targets"])], truncated=False, next_offset=None
    )
    if "targets" in gather:
        context.result["targets"] = [
            {**row, "canonical_status": target_status(row.get("status"))} for row in detail["targets"]
        ]
    if "timeline" in gather:
        context.result["timeline"] = context.client.get_rollout_timeline(rollout_id)["timeline"]


def _list(context: Context) -> None:
    client = context.client
    rows, truncated, next_offset = read_listing(
        context,
        lambda limit, offset: client.list_fleet_rollouts(limit=limit, offset=offset),
        ROLLOUTS_PAGE,
        ROLLOUT_TIMES,
    )
    described = [_described(row) for row in rows]
    wanted = {rollout_status(word) for word in context.params["status"] or []}
    if wanted:
        described = [row for row in described if row["canonical_status"] in wanted]
    context.result.update(rollouts=described, truncated=truncated, next_offset=next_offset)


def _described(rollout: Record, targets: list[Record] | None = None) -> Record:
    return {
        **rollout,
        "canonical_status": rollout_status(rollout.get("status")),
        "finished": rollout_is_terminal(rollout, targets),
        "cancelled_targets": counters(rollout).cancelled,
    }


OPERATION = Operation(
    run=run,
    options={
        "rollout_id": id_option(),
        "gather": {"type": "list", "elements": "str", "choices": ["targets", "timeline"], "default": []},
        "status": {"type": "list", "elements": "str"},
        **LISTING_OPTIONS,
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
