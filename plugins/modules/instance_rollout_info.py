#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the rollout history of one instance (E23)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_rollout_info
short_description: Read the rollout history of an instance
version_added: 0.1.0
description:
  - Reads the rollout targets of one instance, newest first, including those of fleet rollouts and of redeploys of only
    this instance.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
  - fleetops.agents.listing
"""

EXAMPLES = r"""
---
- name: Read the newest rollout targets of the instance
  fleetops.agents.instance_rollout_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Read only the newest one
  fleetops.agents.instance_rollout_info:
    instance_id: "{{ fleetops_instance_id }}"
    limit: 1
  register: answer

- name: Read the whole history
  fleetops.agents.instance_rollout_info:
    instance_id: "{{ fleetops_instance_id }}"
    all: true
  register: answer
"""

RETURN = r"""
---
targets:
  description:
    - The targets as returned by the server, newest first.
    - C(canonical_status) is added, one of V(queued), V(in_progress), V(succeeded), V(failed), V(uncertain),
      V(cancelled), or the server's own status if it is none of these.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      rollout_id: 9b1c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      status: succeeded
      canonical_status: succeeded
      bundle_hash: 8d1f0a
truncated:
  description: Whether there are more targets than were returned.
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
from ..module_utils._module.options import LISTING_OPTIONS
from ..module_utils._rules.answers import target_status


def run(context: Context) -> None:
    client, instance_id = context.client, context.params["instance_id"]
    rows, truncated, next_offset = read_listing(
        context,
        lambda limit, offset: client.list_instance_rollouts(instance_id, limit=limit, offset=offset),
        ROLLOUTS_PAGE,
        ROLLOUT_TIMES,
    )
    targets = [{**row, "canonical_status": target_status(row.get("status"))} for row in rows]
    context.result.update(targets=targets, truncated=truncated, next_offset=next_offset)


OPERATION = Operation(
    run=run,
    options=LISTING_OPTIONS,
    on_instance=True,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
