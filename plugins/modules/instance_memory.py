#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores a memory of one instance, or clears its memories (E18, E19; E17)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_memory
short_description: Store a memory of an instance, or clear its memories
version_added: 0.2.0
description:
  - Stores a Mnemo fact or procedural memory, unless it is already stored.
  - Or clears the memories of a conversation, of a customer, or of the whole instance, if all of them could be listed.
    The server lists at most 200, so nothing is cleared if there are more.
  - Each call is sent once. If it is unknown whether it was executed, the list of memories is checked.
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
    details: Shows the memory that is stored, or the ids of the memories that are cleared.
  idempotent:
    support: partial
    details: With O(on_truncated=store), each run may store the memory again if the server does not list it.
options:
  state:
    description:
      - V(present) stores one memory.
      - V(absent) clears every memory of O(conversation_id), of O(customer_id), of both combined, or with O(all) of the
        whole instance. The API cannot clear a single memory.
    type: str
    choices: [present, absent]
    default: present
  content:
    description:
      - The text to remember. O(content) or O(memory) is required with O(state=present).
      - Differences in white space and Unicode normalization are ignored when comparing memories.
    type: str
  kind:
    description: The kind of memory, as the server names it, for example V(fact) or V(procedural).
    type: str
  conversation_id:
    description: The conversation that the memory belongs to, or whose memories are cleared.
    type: raw
  customer_id:
    description: The customer that the memory belongs to, or whose memories are cleared.
    type: raw
  memory:
    description:
      - The complete memory to store, for example one from a backup, or one with keys that have no option here.
      - Keys that the server sets are not sent, so the stored memory gets a new C(id) and C(created_at).
      - It counts as already stored if a stored memory has the same values for all of its keys.
      - Mutually exclusive with O(content), O(kind), O(conversation_id) and O(customer_id).
    type: dict
  all:
    description: Whether to clear all memories of the instance, if O(state=absent) is used without a conversation or
      customer.
    type: bool
    default: false
  expect_count:
    description:
      - How many memories must be there to be cleared, for example the number in a backup. If there are some, but a
        different number, nothing is cleared.
      - Only with O(state=absent).
    type: int
  on_truncated:
    description:
      - What to do if the memory is not in a list of the maximum length of 200. It may be stored, but not listed.
      - V(fail) stores nothing. V(store) stores it, possibly a second time.
      - Clearing always fails in this case.
    type: str
    choices: [fail, store]
    default: fail
  retry_if_absent:
    description:
      - Whether to store the memory even if an earlier run on this machine has sent it and it is not in the list.
      - Only with O(state=present).
    type: bool
    default: false
notes:
  - A memory that was sent but is not in the list is recorded on this machine for one hour, as a hash
    (C($XDG_STATE_HOME/fleetops/sent)). Later runs look for it again, and send nothing until it is found, unless
    O(retry_if_absent) is set.
  - The API reference does not specify the bodies of the calls that store and clear memories. The module sends the keys
    that the reference uses elsewhere.
  - Memories may contain personal data. With C(no_log=true), the result of the task is neither shown nor recorded.
seealso:
  - module: fleetops.agents.instance_memory_info
"""

EXAMPLES = r"""
---
- name: Store a fact of a conversation
  fleetops.agents.instance_memory:
    instance_id: "{{ fleetops_instance_id }}"
    kind: fact
    content: Invoices go out on Fridays.
    conversation_id: conv-42

- name: Store a memory with additional keys
  fleetops.agents.instance_memory:
    instance_id: "{{ fleetops_instance_id }}"
    memory:
      kind: procedural
      content: Ask before sending mail to the board.
      source: handbook

- name: Read the memories of one conversation
  fleetops.agents.instance_memory_info:
    instance_id: "{{ fleetops_instance_id }}"
    conversation_id: conv-42
  register: backup

- name: Clear the conversation if the number of memories has not changed
  fleetops.agents.instance_memory:
    instance_id: "{{ fleetops_instance_id }}"
    state: absent
    conversation_id: conv-42
    expect_count: "{{ backup.count }}"

- name: Clear all memories of the instance
  fleetops.agents.instance_memory:
    instance_id: "{{ fleetops_instance_id }}"
    state: absent
    all: true
"""

RETURN = r"""
---
memory:
  description: The memory as returned by the server, or in check mode as it would be sent.
  returned: success, with O(state=present)
  type: dict
  sample:
    id: 7d0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
    kind: fact
    content: Invoices go out on Fridays.
    conversation_id: conv-42
    created_at: "2026-11-24T01:00:00+00:00"
deleted:
  description:
    - How many memories the server reports as cleared, or in check mode how many would be cleared.
    - If the response was lost or has no number, the number that was listed before.
  returned: success, with O(state=absent)
  type: int
  sample: 3
deleted_ids:
  description: The ids of the memories that were cleared, or in check mode would be, if they have ids.
  returned: success, with O(state=absent)
  type: list
  elements: str
  sample: [7d0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10]
memories_before:
  description: How many memories were listed before the call.
  returned: with O(state=absent), if the list could be read
  type: int
  sample: 3
remaining:
  description: How many memories match after clearing, including those stored in the meantime.
  returned: when memories were cleared and the list was read again, or there was none to clear
  type: int
  sample: 0
truncated:
  description: Whether there may be more memories than the server lists.
  returned: if the list could be read
  type: bool
  sample: false
slices:
  description: The conversations and customers in the incomplete list, so that each can be cleared separately.
  returned: when clearing was refused because of RV(truncated)
  type: dict
  sample: {conversation_id: [conv-42], customer_id: [cust-7]}
status:
  description: The status in the server's response to the change, or if there was none, in its list.
  returned: if the list could be read
  type: raw
  sample: stored
unresolved:
  description:
    - Whether the memory was sent from this machine, by this task or an earlier one, but is not in the list.
  returned: when true
  type: bool
  sample: true
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "rejected: quota exceeded"
ambiguous:
  description: Whether it is unknown if the server executed the call.
  returned: when true
  type: bool
  sample: true
"""

from collections.abc import Mapping
from functools import partial

from ..module_utils._client.errors import ApiError
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import id_option
from ..module_utils._rules.answers import Record
from ..module_utils._rules.ids import id_key
from ..module_utils._rules.memory import Listing, body_of, find, key_of, says_something, scope_of
from ..module_utils._rules.record_words import with_variable
from ..module_utils._rules.refusals import refusal_in
from ..module_utils._steps.claimed import claimed
from ..module_utils._steps.memory_clear import clear
from ..module_utils._steps.memory_read import (
    SHOWS_WITHIN,
    of_selection,
    read_for_change,
    read_memories,
    read_until,
    selected,
)
from ..module_utils._steps.notes_of_sent import ANSWERED, FOUND, LOST, Note, Notes
from ..module_utils._steps.refusal import fail_refused
from ..module_utils._steps.unresolved import resolve


def run(context: Context) -> None:
    """Store or clear, while no other task of this machine writes to the instance's memory."""
    if context.params["state"] == "present":
        change = partial(_store, context, _wanted(context))
    else:
        change = partial(clear, context, _selection(context))
    instance_id = id_key(context.params["instance_id"])
    with claimed(context, f"memory {instance_id}", f"writing to the memory of {context.instance}"):
        change()


def _wanted(context: Context) -> Record:
    """The memory to store, from the options."""
    params = context.params
    if params["all"] or params["expect_count"] is not None:
        context.fail("all and expect_count say what to clear: use them only with state=absent.")
    given = params["memory"]
    if given is None:
        given = {name: params[name] for name in ("kind", "content") if params[name] is not None} | selected(context)
    try:
        body = body_of(given)
    except (ValueError, TypeError) as problem:
        context.fail(f"The memory cannot be sent: {problem}.")
    if not says_something(body):
        context.fail("There is nothing to store: the memory has no content.")
    return body


def _store(context: Context, body: Record) -> None:
    """Store the memory unless it exists."""
    instance_id, scope = context.params["instance_id"], scope_of(body)
    before = read_for_change(context, scope)
    held = find(before.memories, body)
    notes, key = Notes(context, "memory", instance_id), key_of(body)
    if held is None and not before.truncated and not context.check_mode:
        held = _sent_before(context, notes, key, scope, body)
    if held is not None:
        notes.end(key)
        context.result["memory"] = held
        return
    if before.truncated:
        unknown = (
            f"The server lists only {before.listed} memories{of_selection(scope)} of {context.instance}, and the "
            "one to store is not among them; it may be there nevertheless."
        )
        if context.params["on_truncated"] == "fail":
            context.fail(f"{unknown} Nothing was stored. Name its conversation or customer, or set on_truncated=store.")
        context.warn(f"{unknown} It is stored, perhaps a second time (on_truncated=store).")
    _send(context, notes, key, body, before)


def _sent_before(context: Context, notes: Notes, key: str, scope: dict[str, str], body: Record) -> Record | None:
    """The memory, if an earlier run on this machine sent it without finding it, and it is listed now; else None."""

    def look(_note: Note) -> Record | None:
        return find(read_memories(context, scope).memories, body)

    what = f"This memory of {context.instance}"
    return resolve(context, notes, key, what, look, looks_for=SHOWS_WITHIN)


def _send(context: Context, notes: Notes, key: str, body: Record, before: Listing) -> None:
    """Send the memory once, and check whether it is listed."""
    scope = scope_of(body)
    lost: ApiError | None = None
    answer: Record | None = None
    try:
        answer = context.write(
            lambda: _send_noted(context, notes, key, body), before={"memory": None}, after={"memory": body}
        )
    except ApiError as error:
        if not error.ambiguous:
            notes.end(key)
            raise
        notes.set_stage(key, LOST)
        lost = error
    if answer is None and lost is None:
        context.result["memory"] = body
        return
    refused = refusal_in(answer)
    if answer is not None:
        said = answer.get("memory")
        context.result.update(status=answer.get("status"), memory=said if isinstance(said, Mapping) else body)
        echoed = find([said], body) if isinstance(said, Mapping) else None
        if refused is None and echoed is not None:
            # The answer contains the memory. The list may show it later.
            notes.set_stage(key, FOUND)
            return
    if refused is not None:
        # A memory with an id contradicts the refusal, so it may have been stored and be listed later.
        _fail_if_absent(context, notes, key, body, refused, waits=bool(echoed and echoed.get("id")))
        return
    seen = read_until(context, scope, lambda now: find(now.memories, body) is not None, since=lost).state
    held = find(seen.memories, body)
    if held is not None:
        notes.end(key)
        context.result["memory"] = held
    elif lost is not None:
        context.fail(
            f"{lost} For {SHOWS_WITHIN:.0f} s the memory did not appear in the list of {context.instance}. "
            f"Run this task again to look once more, or set {with_variable('retry_if_absent')} to store it if it is "
            "still not there.",
            ambiguous=True,
            unresolved=True,
            error=lost.as_dict(),
        )
    elif not before.truncated:
        notes.set_stage(key, ANSWERED)
        context.warn(
            f"The server stored a memory of {context.instance}, but lists none that says what was given. "
            "A run after the next hour may store it again."
        )


def _fail_if_absent(context: Context, notes: Notes, key: str, body: Record, refused: str, *, waits: bool) -> None:
    """Fail because the answer is a refusal, unless the memory exists nevertheless. ``waits``: look for 10 s."""
    scope, timeout = scope_of(body), SHOWS_WITHIN if waits else 0.0
    seen = read_until(
        context, scope, lambda now: find(now.memories, body) is not None, refused=refused, timeout=timeout
    )
    held = find(seen.state.memories, body)
    notes.end(key)
    if held is None:
        context.changed, context.diff = False, None
        context.result.pop("memory", None)
        fail_refused(context, f"Storing a memory of {context.instance}", refused)
    context.warn(f"The server's answer was: {refused}. Nevertheless it has stored the memory.")
    context.result["memory"] = held


def _send_noted(context: Context, notes: Notes, key: str, body: Record) -> Record:
    """Write the note and send E18."""
    notes.sending(key)
    return context.client.store_memory(context.params["instance_id"], body)


def _selection(context: Context) -> dict[str, str]:
    """The memories to clear, by the options. An empty selection means all memories of the instance."""
    params = context.params
    given = [name for name in ("memory", "content", "kind") if params[name] is not None]
    if given:
        context.fail(
            f"{' and '.join(given)} cannot be given with state=absent: the API clears a conversation, a customer or "
            "the whole instance, never a single memory."
        )
    selection = selected(context)
    if params["all"] and selection:
        context.fail(f"all clears the whole instance, {' and '.join(selection)} a part of it; give one of the two.")
    if not params["all"] and not selection:
        context.fail("state=absent needs conversation_id or customer_id, or all=true to clear the whole instance.")
    return selection


OPERATION = Operation(
    run=run,
    verbatim=frozenset({"memory", "deleted_ids", "slices", "status"}),
    options={
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "content": {"type": "str"},
        "kind": {"type": "str"},
        "conversation_id": id_option(),
        "customer_id": id_option(),
        "memory": {"type": "dict"},
        "all": {"type": "bool", "default": False},
        "expect_count": {"type": "int"},
        "on_truncated": {"type": "str", "choices": ["fail", "store"], "default": "fail"},
        "retry_if_absent": {"type": "bool", "default": False},
    },
    on_instance=True,
    rules={
        "mutually_exclusive": [("memory", name) for name in ("content", "kind", "conversation_id", "customer_id")],
        "required_if": [("state", "present", ("content", "memory"), True)],
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
