#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the deep health of one instance (E16)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_health_info
short_description: Read the deep health of an instance
version_added: 0.1.0
description:
  - Reads the stored health record of an instance, or with O(live) a new one that is measured for this call.
  - Also returns when the agent started, which can be used to verify a restart.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
options:
  live:
    description:
      - Whether to check the health of the agent now instead of reading the stored record.
      - This is slower and causes load on the agent.
    type: bool
    default: false
"""

EXAMPLES = r"""
---
- name: Read the stored health record
  fleetops.agents.instance_health_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Check the health of the agent now
  fleetops.agents.instance_health_info:
    instance_id: "{{ fleetops_instance_id }}"
    live: true
  register: answer

- name: Wait until the agent is healthy
  fleetops.agents.instance_health_info:
    instance_id: "{{ fleetops_instance_id }}"
    live: true
  register: answer
  until: answer.healthy
  retries: 20
  delay: 3
"""

RETURN = r"""
---
health:
  description: The record as returned by the server.
  returned: success
  type: dict
  sample:
    instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
    status: healthy
    subsystems: {llm: {status: healthy}}
    uptime_seconds: 86400
    checked_at: "2026-11-24T01:00:00+00:00"
    cached: false
healthy:
  description: Whether the record says that the instance is healthy.
  returned: success
  type: bool
  sample: true
booted_at:
  description: When the agent started (UTC), which is C(checked_at) minus C(uptime_seconds). V(null) if either is
    missing.
  returned: success
  type: str
  sample: "2026-11-23T01:00:00+00:00"
"""

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import boot_time, is_healthy, iso_time


def run(context: Context) -> None:
    health = context.client.get_deep_health(context.params["instance_id"], force=context.params["live"])
    context.result.update(health=health, healthy=is_healthy(health), booted_at=iso_time(boot_time(health)))


OPERATION = Operation(run=run, options={"live": {"type": "bool", "default": False}}, on_instance=True)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
