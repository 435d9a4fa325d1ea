#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the available updates of one instance, and its update policy (E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_update_info
short_description: Read the available updates of an instance
version_added: 0.2.0
description:
  - Reads the current and the available version of the runtime, the skills and the MCP servers of an instance, and its
    effective update policy.
  - The server uses the manifest that its health loop stored last. RV(manifest_age_seconds) is the age of that manifest.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
seealso:
  - module: fleetops.agents.instance_update
  - module: fleetops.agents.instance_update_policy
"""

EXAMPLES = r"""
---
- name: Read the available updates
  fleetops.agents.instance_update_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Show the components that are outdated
  ansible.builtin.debug:
    msg: "{{ answer.outdated | map(attribute='slug') | join(', ') }}"

- name: Stop if the server's report is more than an hour old
  ansible.builtin.assert:
    that: answer.manifest_age_seconds is not none and answer.manifest_age_seconds < 3600
    fail_msg: "The versions were reported at {{ answer.versions_reported_at }}"
"""

RETURN = r"""
---
updates:
  description: The response as returned by the server.
  returned: success
  type: dict
  sample:
    instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
    total_available: 1
    runtime: {slug: agent-runtime, current_version: 4.18.2, available_version: 4.19.0, has_update: true}
    skills: []
    mcp_servers: []
total_available:
  description: The number of available updates reported by the server. V(null) if not reported.
  returned: success
  type: int
  sample: 1
outdated:
  description:
    - The components with an update. Their type is V(runtime), V(skills) or V(mcp_servers), as in
      M(fleetops.agents.instance_update_policy).
    - If the server does not report whether there is an update, a difference between the two versions counts as one.
  returned: success
  type: list
  elements: dict
  sample:
    - component_type: runtime
      slug: agent-runtime
      current_version: 4.18.2
      available_version: 4.19.0
versions_reported_at:
  description: When the instance's versions were reported (UTC), as returned by the server. V(null) if unknown.
  returned: success
  type: str
  sample: "2026-11-24T01:00:00+00:00"
manifest_age_seconds:
  description: The age in seconds of the reported versions at the time of the response, by the server's clock. V(null)
    if unknown.
  returned: success
  type: float
  sample: 41.0
update_policy:
  description: The effective update policy of the instance, with overrides and their sources.
  returned: success
  type: dict
  sample: {runtime: notify, runtime_override: null, runtime_source: platform_default, runtime_auto_supported: true}
"""

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import number, parse_time
from ..module_utils._rules.updates import outdated


def run(context: Context) -> None:
    updates = context.client.get_available_updates(context.params["instance_id"])
    total, reported = number(updates.get("total_available")), parse_time(updates.get("versions_reported_at"))
    now, policy = context.client.server_time, updates.get("update_policy")
    context.result.update(
        updates=updates,
        total_available=None if total is None else int(total),
        outdated=[
            {
                "component_type": component.kind,
                "slug": component.slug,
                "current_version": component.current,
                "available_version": component.available,
            }
            for component in outdated(updates)
        ],
        versions_reported_at=updates.get("versions_reported_at"),
        manifest_age_seconds=None if now is None or reported is None else round(max(0.0, now - reported), 1),
        update_policy=policy if isinstance(policy, dict) else {},
    )


OPERATION = Operation(run=run, on_instance=True)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
