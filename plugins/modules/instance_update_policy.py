#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets the update policy of one instance (E26; E25, and in check mode E9)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_update_policy
short_description: Set the update policy of an instance
version_added: 0.2.0
description:
  - Overrides the tenant's update policy for one instance, per component, or removes the override.
  - Only options that are set and differ are sent. Afterwards the policy is read back, and the task fails if the server
    did not apply a value.
  - If the server does not report the overrides, the module cannot compare them and fails. In this case use O(raw_body).
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
    details: Shows the overrides that change. V(inherit) means that there is no override.
  idempotent:
    support: partial
    details: An O(raw_body) with keys that this module does not know is always sent, since it cannot be compared.
options:
  runtime:
    description:
      - V(auto) applies updates automatically, V(notify) only reports them, V(disabled) does neither.
      - V(inherit) removes the override, so that the tenant's default applies.
      - V(auto) is an error if the server reports that it does not support it.
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
    description:
      - A request body to send unchanged, for keys of a newer server. V(null) removes an override.
      - The result is returned as RV(policy), but is not verified.
    type: dict
seealso:
  - module: fleetops.agents.instance_update_info
  - module: fleetops.agents.update_policy
"""

EXAMPLES = r"""
---
- name: Update the runtime of this instance automatically
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    runtime: auto

- name: Disable all updates of an instance
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    runtime: disabled
    skills: disabled
    mcp_servers: disabled

- name: Use the tenant's defaults again
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    runtime: inherit
    skills: inherit
    mcp_servers: inherit

- name: Set a key that only a newer server supports
  fleetops.agents.instance_update_policy:
    instance_id: "{{ fleetops_instance_id }}"
    raw_body:
      runtime: notify
      runtime_channel: stable
"""

RETURN = r"""
---
policy:
  description:
    - The policy of the instance after the change, as returned by the server, or in check mode as it would be.
    - In check mode, the source of a mode that would be inherited is V(null), and with O(raw_body) the policy before is
      returned.
  returned: success
  type: dict
  sample: {runtime: auto, runtime_override: auto, runtime_source: instance_override, runtime_auto_supported: true}
policy_before:
  description: The policy before the change.
  returned: success
  type: dict
  sample: {runtime: notify, runtime_override: null, runtime_source: platform_default, runtime_auto_supported: true}
changed_keys:
  description: The components whose override was changed, or the keys of O(raw_body) that were sent.
  returned: success
  type: list
  elements: str
  sample: [runtime]
drift:
  description: Overrides of other components that were changed by someone else at the same time, with their values
    before and after.
  returned: success
  type: dict
  sample: {skills: {before: null, after: disabled}}
not_taken:
  description: The components that do not have the requested value after the change, each with the requested and the
    actual value.
  returned: when the task failed for this reason
  type: dict
  sample: {skills: {wanted: disabled, is: null}}
ambiguous:
  description: Whether it is unknown if the server executed the call.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "rejected: quota exceeded"
"""

from collections.abc import Callable

from ..module_utils._client.errors import ApiError
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import Record
from ..module_utils._rules.ids import id_key
from ..module_utils._rules.policy import (
    COMPONENTS,
    INHERIT,
    MODES,
    auto_refused,
    differing,
    override_of,
    overrides,
    unknown_overrides,
    with_overrides,
)
from ..module_utils._rules.refusals import refusal_in
from ..module_utils._steps.claimed import claimed
from ..module_utils._steps.look_up import looking_up
from ..module_utils._steps.patch_policy import patch
from ..module_utils._steps.refusal import fail_refused

_MODES = [*MODES, INHERIT]


def run(context: Context) -> None:
    """Read the policy and change it, while no other task of this machine does that."""
    instance_id = context.params["instance_id"]
    with claimed(context, f"policy {id_key(instance_id)}", f"changing the update policy of {context.instance}"):
        _change(context)


def _change(context: Context) -> None:
    client, instance_id = context.client, context.params["instance_id"]

    def read() -> Record:
        policy = client.get_available_updates(instance_id).get("update_policy")
        return dict(policy) if isinstance(policy, dict) else {}

    def send(changes: Record) -> Record:
        return client.set_instance_update_policy(instance_id, changes)

    before = read()
    context.result.update(policy=before, policy_before=before, changed_keys=[], drift={})
    if context.params["raw_body"] is not None:
        _send_raw(context, before, context.params["raw_body"], read, send)
        return
    wanted = {name: override_of(context.params[name]) for name in COMPONENTS if context.params[name] is not None}
    cannot = auto_refused(before, differing(overrides(before), wanted))
    if cannot:
        context.fail(
            f"The server does not support automatic updates of {' and '.join(cannot)} for {context.instance}; "
            "nothing was sent. Use notify or disabled."
        )
    silent = unknown_overrides(before, wanted)
    if silent:
        context.fail(
            f"The server does not say whether {context.instance} overrides {' and '.join(silent)}; nothing was "
            "sent. raw_body sends without a comparison."
        )
    patch(
        context,
        f"the update policy of {context.instance}",
        before,
        wanted,
        read=read,
        send=send,
        values=overrides,
        predict=lambda policy, changes: with_overrides(policy, changes, _tenant(context, changes)),
    )


def _tenant(context: Context, changes: Record) -> Record:
    """The tenant's policy if a component will inherit, for the prediction; empty if not, or if it cannot be read."""
    if None not in changes.values():
        return {}
    try:
        return context.client.get_fleet_update_policy()
    except ApiError:
        return {}


def _send_raw(
    context: Context, before: Record, body: Record, read: Callable[[], Record], send: Callable[[Record], Record]
) -> None:
    """Send the body unchanged, unless the policy already has all of its values."""
    held = overrides(before)
    if all(name in held and held[name] == mode for name, mode in body.items()) and not unknown_overrides(before, body):
        return
    context.result["changed_keys"] = sorted(map(str, body))
    answer = context.write(lambda: [send(body)], before={name: held.get(name) for name in body}, after=dict(body))
    if answer is not None:
        said = refusal_in(answer[0])
        with looking_up(context, refused=said):
            context.result["policy"] = read()
        if said is not None:
            context.changed = context.result["policy"] != before
            fail_refused(context, f"The change of the update policy of {context.instance}", said)


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
        "required_one_of": [(*COMPONENTS, "raw_body")],
        "mutually_exclusive": [(name, "raw_body") for name in COMPONENTS],
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
