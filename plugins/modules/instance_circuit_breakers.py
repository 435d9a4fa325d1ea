#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Closes the circuit breakers of one instance, and verifies it (E12; E11, E16)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_circuit_breakers
short_description: Clear the circuit breakers of an instance
version_added: 0.2.0
description:
  - If a circuit breaker of an LLM provider of the instance is open, closes all of them and checks that they are closed.
  - Circuit breakers are searched for in the whole live health record, since its subsystems have no fixed structure.
    V(half_open) and V(tripped) count as open.
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
    details: Shows the open breakers before and after, V(null) if the health record contains no breakers.
  idempotent:
    support: partial
    details: Always sends the call if the live health record contains no breakers or comes from a cache.
options:
  state:
    description: V(cleared) closes all breakers.
    type: str
    choices: [cleared]
    default: cleared
seealso:
  - module: fleetops.agents.instance_health_info
  - module: fleetops.agents.instance_power_cycle
"""

EXAMPLES = r"""
---
- name: Close the circuit breakers if one is open
  fleetops.agents.instance_circuit_breakers:
    instance_id: "{{ fleetops_instance_id }}"

- name: Close the circuit breakers and register which were open
  fleetops.agents.instance_circuit_breakers:
    instance_id: "{{ fleetops_instance_id }}"
    state: cleared
  register: breakers

- name: Show which breakers were open
  ansible.builtin.debug:
    msg: "{{ breakers.cleared | join(', ') }}"
  when: breakers.changed
"""

RETURN = r"""
---
instance_id:
  description: The id of the instance.
  returned: always
  type: str
  sample: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
visible:
  description: Whether the live health record contained circuit breakers before the call.
  returned: when the record could be read
  type: bool
  sample: true
open_before:
  description: The breakers that were open before the call.
  returned: when the record could be read
  type: list
  elements: str
  sample: [anthropic]
cleared:
  description: The breakers that were closed, or in check mode would be closed.
  returned: success
  type: list
  elements: str
  sample: [anthropic]
still_open:
  description: The breakers that were still open in the live health record after the call.
  returned: when the record could be read after the call
  type: list
  elements: str
  sample: []
detail:
  description: The server's details about the action. The API does not document their structure.
  returned: when the server responded to the action
  type: raw
  sample: {cleared: [anthropic]}
action_id:
  description: The server's id of the action. V(null) if it gave none.
  returned: when the server responded to the action
  type: str
  sample: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
health:
  description: The last health record that was read.
  returned: when one could be read
  type: dict
  sample: {status: healthy, uptime_seconds: 86400.2, cached: false}
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

from ..module_utils._client.errors import ApiError
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._rules.answers import Record, is_live
from ..module_utils._rules.breakers import Breakers, breakers_of
from ..module_utils._rules.ids import id_key
from ..module_utils._rules.refusals import refusal_in
from ..module_utils._rules.restart import action_key, started_action
from ..module_utils._steps.claimed import claimed
from ..module_utils._steps.look_up import looking_up
from ..module_utils._steps.refusal import fail_if_refused
from ..module_utils._steps.restart_watch import DOWN, actions_of
from ..module_utils._steps.wait import wait_for_effect

# Seconds within which the breakers must be closed after the server's answer, which may precede its effect (behaviour
# 2.4).
_CLOSED_WITHIN = 10.0


def run(context: Context) -> None:
    """Read the breakers and clear them, while no other task of this machine does that."""
    instance_id = context.params["instance_id"]
    context.result["instance_id"] = instance_id
    with claimed(context, f"breakers {id_key(instance_id)}", f"clearing the circuit breakers of {context.instance}"):
        _clear(context)


def _clear(context: Context) -> None:
    # E11 is read first: it works while the agent is down, and new actions can be identified later.
    known = {key for key in map(action_key, actions_of(context)) if key}
    health = _live_health(context)
    context.use_spelling_of(health)
    before = breakers_of(health.get("subsystems"))
    opened = list(before.open)
    context.result.update(health=health, visible=before.visible, open_before=opened, cleared=opened)
    if before.visible and not opened and is_live(health):
        return
    sent = context.write(
        lambda: _send(context, known),
        before={"open": opened if before.visible else None},
        after={"open": [] if before.visible else None},
    )
    if sent:
        _verify(context, before)


def _live_health(context: Context) -> Record:
    instance_id = context.params["instance_id"]
    try:
        return context.client.get_deep_health(instance_id, force=True)
    except ApiError as error:
        if error.kind not in DOWN:
            raise
        said = f"HTTP {error.status}" if error.status else error.kind.replace("_", " ")
        return context.fail(
            f"{context.instance_first} does not answer its live health check ({said}: {error.detail}), so which of its "
            "circuit breakers are open is unknown. Try again, or restart the agent (instance_power_cycle)."
        )


def _send(context: Context, known: set[str]) -> bool:
    """Send the call. If the outcome is unknown, look for its action in E11. Returns true, or raises ApiError."""
    instance_id = context.params["instance_id"]
    context.result["cleared"] = []
    try:
        answer = context.client.clear_circuit_breakers(instance_id)
    except ApiError as error:
        fail_if_refused(context, error)
        if not error.ambiguous:
            raise
        with looking_up(context, error):
            row = started_action(actions_of(context), "clear_circuit_breakers", known, None)
        if row is None:
            raise
        answer = row
    context.result.update(action_id=answer.get("action_id"), detail=answer.get("detail"))
    said = refusal_in(answer)
    if said is not None:
        context.fail(f"Clearing the circuit breakers of {context.instance} failed on the server: {said}.", refused=said)
    return True


def _verify(context: Context, before: Breakers) -> None:
    """Read the health until no breaker is open, for at most 10 s, and fail if any is still open then."""
    health = wait_for_effect(
        context,
        lambda: context.client.get_deep_health(context.params["instance_id"], force=True),
        lambda seen: not is_live(seen) or not breakers_of(seen.get("subsystems")).open,
        timeout=_CLOSED_WITHIN,
    ).state
    context.result["health"] = health
    if not is_live(health):
        context.warn(
            f"{context.instance_first} gave no live health record after its circuit breakers were cleared, so whether "
            "they are closed is not verified."
        )
        context.result["cleared"] = list(before.open)
        return
    still_open = list(breakers_of(health.get("subsystems")).open)
    context.result.update(still_open=still_open, cleared=[name for name in before.open if name not in still_open])
    if still_open:
        context.fail(
            f"The circuit breakers of {context.instance} were cleared, but {', '.join(still_open)} "
            f"{'is' if len(still_open) == 1 else 'are'} still open. Check the provider, or restart the agent "
            "(instance_power_cycle)."
        )


OPERATION = Operation(
    run=run,
    options={"state": {"type": "str", "choices": ["cleared"], "default": "cleared"}},
    on_instance=True,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
