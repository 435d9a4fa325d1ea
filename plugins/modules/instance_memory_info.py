#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the memories of one instance (E17)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_memory_info
short_description: Read the memories of an instance
version_added: 0.2.0
description:
  - Reads the Mnemo memories of an instance, or of one conversation or customer.
  - The server lists at most 200 memories and has no paging. If RV(truncated) is true, read them by conversation or
    customer.
  - A server may return fewer memories than requested without reporting it, so it cannot be verified that a list is
    complete. If more than 100 were requested and exactly 100, the default limit of the API, are returned, the module
    warns.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
options:
  conversation_id:
    description: Read only the memories of this conversation.
    type: raw
  customer_id:
    description: Read only the memories of this customer.
    type: raw
  limit:
    description: The maximum number of memories to return, from 1 to 200.
    type: int
    default: 200
notes:
  - Memories may hold personal data. With C(no_log=true) the task's result is neither shown nor recorded.
seealso:
  - module: fleetops.agents.instance_memory
"""

EXAMPLES = r"""
---
- name: Read the memories of the instance
  fleetops.agents.instance_memory_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Stop if the list may be incomplete
  ansible.builtin.assert:
    that: not answer.truncated
    fail_msg: There are more memories than the server lists.

- name: Read the memories of one conversation
  fleetops.agents.instance_memory_info:
    instance_id: "{{ fleetops_instance_id }}"
    conversation_id: conv-42
  register: answer

- name: Read the memories of one customer
  fleetops.agents.instance_memory_info:
    instance_id: "{{ fleetops_instance_id }}"
    customer_id: cust-7
  register: answer
"""

RETURN = r"""
---
memories:
  description: The memories as returned by the server, in the same order and with the same keys.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 7d0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      kind: fact
      content: prefers invoices as PDF
      conversation_id: conv-42
      customer_id: cust-7
      created_at: "2026-11-24T01:00:00+00:00"
count:
  description: How many memories were returned.
  returned: success
  type: int
  sample: 1
truncated:
  description:
    - Whether there may be more memories than were returned.
    - V(true) if the list is as long as O(limit), or shorter than the count reported by the server.
  returned: success
  type: bool
  sample: false
slices:
  description: The conversations and customers in RV(memories), so that each can be read separately.
  returned: when RV(truncated) is true
  type: dict
  sample: {conversation_id: [conv-42], customer_id: [cust-7]}
status:
  description: The status of the memory store, as returned by the server.
  returned: success
  type: raw
  sample: {available: true}
"""

from ..module_utils._client.client import MEMORY_CAP
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import id_option
from ..module_utils._rules.memory import DEFAULT_LIMIT, slices
from ..module_utils._steps.memory_read import read_memories, selected


def run(context: Context) -> None:
    limit = context.params["limit"]
    if not 1 <= limit <= MEMORY_CAP:
        context.fail(f"limit is {limit}: it must be from 1 to {MEMORY_CAP}.")
    listing = read_memories(context, selected(context), limit)
    if no_objects := listing.listed - len(listing.memories):
        context.warn(
            f"{no_objects} of the {listing.listed} memories that the server lists for "
            f"{context.instance} are not objects and are left out."
        )
    if listing.listed == DEFAULT_LIMIT < limit and not listing.truncated:
        context.warn(
            f"The server lists just {DEFAULT_LIMIT} memories for {context.instance}, which is "
            f"the API's default limit, though {limit} were asked for. There may be more that it does not list."
        )
    context.result.update(
        memories=listing.memories, count=len(listing.memories), truncated=listing.truncated, status=listing.status
    )
    if listing.truncated:
        context.result["slices"] = slices(listing.memories)


OPERATION = Operation(
    run=run,
    verbatim=frozenset({"memories", "slices", "status"}),
    options={
        "conversation_id": id_option(),
        "customer_id": id_option(),
        "limit": {"type": "int", "default": MEMORY_CAP},
    },
    on_instance=True,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
