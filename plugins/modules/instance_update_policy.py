#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets the update policy of one instance (E26; E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_update_policy
short_description: Set the update policy of an instance
version_added: 0.2.0
description:
  - Overrides the tenant's update policy for one instance, per component, or lets it inherit again.
  - Only what is given and differs is sent. Afterwards the policy is read back, and what the server did not take is a
    failure, not a success.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the overrides that change. V(inherit) is no override.
  idempotent:
    support: partial
    details: With O(raw_body), which is always sent, nothing can be compared.
options:
  runtime:
    description:
      - V(auto) applies updates by themselves, V(notify) only tells of them, V(disabled) does neither.
      - V(inherit) takes the override away, so that the tenant's default holds.
      - V(auto) is refused where the server says that it does not support it.
    type: str
    choices: [auto, notify, disabled, inherit]
  skills:
    description: The same for skills.
    type: str
    choices: [auto, notify, disabled, inherit]
  mcp_servers:
    description: The same for MCP servers.
    type: str
    choices: [auto, notify, disabled, inherit]
  raw_body:
    description: A body to send as it is, for keys of a newer server.
    type: dict
seealso:
  - module: fleetops.agents.instance_update_info
  - module: fleetops.agents.update_policy
"""

EXAMPLES = r"""
---
- name: Let the runtime of this instance be updated by itself
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    runtime: auto

- name: Freeze an instance
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    runtime: disabled
    skills: disabled
    mcp_servers: disabled

- name: Let the tenant's defaults hold again
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    runtime: inherit
    skills: inherit
    mcp_servers: inherit
"""

RETURN = r"""
---
policy:
  description: The instance's policy afterwards, as the server gives it; in check mode as it would be.
  returned: success
  type: dict
  sample: {runtime: auto, runtime_override: auto, runtime_source: instance_override, runtime_auto_supported: true}
policy_before:
  description: The policy before.
  returned: success
  type: dict
  sample: {runtime: notify, runtime_override: null, runtime_source: platform_default, runtime_auto_supported: true}
changed_keys:
  description: The components whose override was changed.
  returned: success
  type: list
  elements: str
  sample: [runtime]
not_taken:
  description: The components that the server did not take, each with what was wanted and what it is.
  returned: failure because of that
  type: dict
  sample: {skills: {wanted: auto, is: null}}
"""

from ansible_collections.fleetops.agents.plugins.module_utils._api.models import Record
from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context, Operation, run_as_module
from ansible_collections.fleetops.agents.plugins.module_utils._patch import patch

_COMPONENTS = ("runtime", "skills", "mcp_servers")
_MODES = ["auto", "notify", "disabled", "inherit"]


def run(context: Context) -> None:
    client, instance_id, raw = context.client, context.params["instance_id"], context.params["raw_body"]

    def read() -> Record:
        policy = client.get_available_updates(instance_id).get("update_policy")
        return dict(policy) if isinstance(policy, dict) else {}

    def send(changes: Record) -> Record:
        return client.set_instance_update_policy(instance_id, changes)

    if raw is not None:
        before = read()
        context.result.update(policy=before, policy_before=before, changed_keys=sorted(map(str, raw)))
        context.write(lambda: [send(raw)], before=before, after={**before, **raw})
        if not context.check_mode:
            context.result["policy"] = read()
        return
    wanted = {name: _override(context.params[name]) for name in _COMPONENTS if context.params[name] is not None}
    _refuse_what_is_not_supported(context, read(), wanted)
    policy = patch(
        context,
        f"the update policy of instance {instance_id}",
        wanted,
        read=read,
        send=send,
        value_of=lambda policy, name: policy.get(f"{name}_override") or None,
    )
    if context.check_mode and context.changed:
        policy = _foretold(
            context.result["policy_before"], {name: wanted[name] for name in context.result["changed_keys"]}
        )
    context.result["policy"] = policy


def _override(mode: str) -> str | None:
    """The override that a mode stands for: inheriting is having none."""
    return None if mode == "inherit" else mode


def _refuse_what_is_not_supported(context: Context, policy: Record, wanted: Record) -> None:
    """Refuse ``auto`` where the server says that it cannot; where it says nothing it is the judge."""
    cannot = [name for name, mode in wanted.items() if mode == "auto" and policy.get(f"{name}_auto_supported") is False]
    if cannot:
        context.fail(
            f"The server does not support automatic updates of {' and '.join(cannot)} for instance "
            f"{context.params['instance_id']}; nothing was sent. Use notify or disabled.",
            policy=policy,
        )


def _foretold(policy: Record, changes: Record) -> Record:
    """The policy with other overrides; what an inherited mode will be is the server's to say."""
    told = dict(policy)
    for name, mode in changes.items():
        told[f"{name}_override"] = mode
        told[name] = mode
        told[f"{name}_source"] = "instance_override" if mode else None
    return told


OPERATION = Operation(
    run=run,
    options={
        "runtime": {"type": "str", "choices": _MODES},
        "skills": {"type": "str", "choices": _MODES},
        "mcp_servers": {"type": "str", "choices": _MODES},
        "raw_body": {"type": "dict"},
    },
    on_instance=True,
    rules={
        "required_one_of": [(*_COMPONENTS, "raw_body")],
        "mutually_exclusive": [(name, "raw_body") for name in _COMPONENTS],
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
