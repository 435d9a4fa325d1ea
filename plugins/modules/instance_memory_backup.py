#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Saves the memories of one instance to a file, or compares them with it (E17)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_memory_backup
short_description: Save the memories of an instance to a file, or compare them with it
version_added: 0.2.0
description:
  - Saves the memories of an instance, or of one conversation or customer, to a file where the task runs, which is
    the controller unless the task is delegated.
  - The server lists at most 200. If the list may be incomplete, the task fails and writes no file.
  - The file is replaced atomically. If the task or the machine stops at any time, either the old or the new backup is
    there.
  - Or compares a backup with the memories of the instance, by content and with one call.
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
    details: Shows how many memories the file contains before and after, but not their content.
  idempotent:
    support: full
options:
  path:
    description:
      - The path of the file. Only its owner can read it, since it contains what customers told the agent. Missing
        folders are created and are accessible only by their owner.
      - A file that is not a backup, or is one of a different instance, conversation or customer, is not replaced,
        unless it is empty.
      - A backup that contains memories is not replaced by one without any.
    type: path
    required: true
  state:
    description:
      - V(saved) saves the memories.
      - V(compared) checks whether the memories in the file still exist on the instance, and writes nothing.
    type: str
    choices: [saved, compared]
    default: saved
  conversation_id:
    description: Only the memories of this conversation.
    type: raw
  customer_id:
    description: Only the memories of this customer.
    type: raw
notes:
  - Missing memories can be stored again with M(fleetops.agents.instance_memory).
seealso:
  - module: fleetops.agents.instance_memory
  - module: fleetops.agents.instance_memory_info
"""

EXAMPLES = r"""
---
- name: Save the memories of the instance
  fleetops.agents.instance_memory_backup:
    instance_id: "{{ fleetops_instance_id }}"
    path: "/backup/memory/{{ inventory_hostname }}.json"

- name: Save the memories of one customer
  fleetops.agents.instance_memory_backup:
    instance_id: "{{ fleetops_instance_id }}"
    path: "/backup/memory/{{ inventory_hostname }}-cust-7.json"
    customer_id: cust-7

- name: Check whether all of them still exist
  fleetops.agents.instance_memory_backup:
    instance_id: "{{ fleetops_instance_id }}"
    path: "/backup/memory/{{ inventory_hostname }}.json"
    state: compared
  register: comparison

- name: Stop if some are missing
  ansible.builtin.assert:
    that: comparison.missing | length == 0
    fail_msg: Store them again with fleetops.agents.instance_memory.
"""

RETURN = r"""
---
file:
  description: The path of the file.
  returned: success
  type: str
  sample: /backup/memory/agent-001.json
count:
  description: How many memories the file contains, or in check mode would contain.
  returned: success
  type: int
  sample: 12
missing:
  description: The memories in the file that the instance no longer has, as the server returned them.
  returned: success, with O(state=compared)
  type: list
  elements: dict
  sample: []
empty:
  description:
    - The missing memories that have no content. They are not in RV(missing), since the server does not accept them.
  returned: success, with O(state=compared)
  type: list
  elements: dict
  sample: []
"""

import os
from pathlib import Path

from ansible.module_utils.common.parameters import remove_values

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import id_option, secret_texts
from ..module_utils._rules.answers import Record
from ..module_utils._rules.ids import same_id
from ..module_utils._rules.memory import Listing, body_of, says_something
from ..module_utils._steps.memory_backup import (
    BackupError,
    are_equal,
    broken,
    compare,
    document_of,
    name_of,
    read_backup,
    refuse_other_instance,
    refuse_other_slice,
    text_of,
)
from ..module_utils._steps.memory_read import of_selection, read_memories, selected
from ..module_utils._steps.whole_file import FileError, absolute_path, is_current, refuse_unwritable, replace_file

_COLLECTION = Path(__file__).resolve().parents[2]


def run(context: Context) -> None:
    selection = selected(context)
    try:
        path = absolute_path(context.params["path"])
        _refuse_collection(context, path)
        context.result["file"] = str(path)
        if context.params["state"] == "saved":
            _save(context, path, selection)
        else:
            _compare(context, path, selection)
    except (BackupError, FileError) as problem:
        context.fail(f"{problem}.")


def _refuse_collection(context: Context, path: Path) -> None:
    """Fail if the path is inside the installed collection, whose next installation would delete the file."""
    installed = _COLLECTION.parts[-3:] == ("ansible_collections", "fleetops", "agents")
    if installed and Path(os.path.realpath(path)).is_relative_to(_COLLECTION):
        context.fail(f"{path} lies inside the installed collection, whose next installation would delete it.")


def _listed(context: Context, selection: dict[str, str]) -> Listing:
    """The current memories. Fails if the server says that they cannot be read now."""
    listing = read_memories(context, selection)
    if not listing.available:
        context.fail(
            f"The server says that the memory of {context.instance} is not available, so its list may be wrong. "
            "Check the instance's health."
        )
    return listing


def _save(context: Context, path: Path, selection: dict[str, str]) -> None:
    instance_id = context.params["instance_id"]

    def replaceable(file: Path) -> Record | None:
        """The backup that is in the file, if it may be replaced."""
        try:
            former = read_backup(file)
        except BackupError as problem:
            context.fail(f"{problem}. Nothing was written. Name another path, or move the file away.")
        if former is not None:
            refuse_other_instance(file, former, instance_id)
            refuse_other_slice(file, former, selection)
        return former

    former = replaceable(path)
    listing = _listed(context, selection)
    if listing.truncated:
        context.fail(
            f"{context.instance_first} has more than the {listing.listed} memories{of_selection(selection)} that the "
            "API lists at once, so this would not be a backup. Save it in slices, by conversation_id or customer_id."
        )
    if no_objects := listing.listed - len(listing.memories):
        context.fail(
            f"{no_objects} of the {listing.listed} memories of {context.instance} are not objects, so this would "
            "not be a backup."
        )
    if damaged := broken(listing.memories):
        context.warn(
            f"These memories of {context.instance} contain half of a character, for example of an emoji that was cut "
            f"in two. They are saved unchanged: {', '.join(damaged)}."
        )
    without_text = [name_of(m, n) for n, m in enumerate(listing.memories, 1) if not says_something(body_of(m))]
    if without_text:
        context.warn(
            f"These memories of {context.instance} have no content, so the API would not store them again: "
            f"{', '.join(without_text)}."
        )
    if former is not None and former["memories"] and not listing.memories:
        context.fail(
            f"{context.instance_first} has no memories{of_selection(selection)}, but the backup {path} contains "
            f"{len(former['memories'])}. It was not replaced. If they were deleted on purpose, move the file away."
        )
    is_same = former is not None and are_equal(former["memories"], listing.memories)
    text = text_of(document_of(instance_id, selection, former["memories"] if former and is_same else listing.memories))
    context.result["count"] = len(listing.memories)
    if is_current(path, text):
        return
    refuse_unwritable(path)
    context.write(
        # Checked again: another task may have saved the backup of another instance to the same file since.
        lambda: replace_file(path, text, replaceable),
        before={"path": str(path), "count": None if former is None else len(former["memories"])},
        after={"path": str(path), "count": len(listing.memories)},
    )


def _compare(context: Context, path: Path, selection: dict[str, str]) -> None:
    instance_id = context.params["instance_id"]
    document = read_backup(path)
    if document is None:
        context.fail(f"There is no backup {path}. Save one first, or name the folder where it is.")
    refuse_other_slice(path, document, selection)
    if document.get("instance_id") and not same_id(document["instance_id"], instance_id):
        context.warn(f"The backup {path} belongs to instance {document['instance_id']}, not to {instance_id}.")
    listing = _listed(context, selection)
    missing, empty = compare(document["memories"], listing.memories)
    if missing and listing.truncated:
        context.fail(
            f"{len(missing)} memories of the backup {path} are not among the {listing.listed} that the API lists at "
            f"once of {context.instance}, but there may be more than these. Compare it in slices, by "
            "conversation_id or customer_id."
        )
    secrets = secret_texts(context.params, OPERATION.argument_spec())
    # They would be stored again with a mask in place of the secret.
    masked = [
        name_of(memory, n)
        for n, memory in enumerate(document["memories"], 1)
        if memory in missing and remove_values(memory, secrets) != memory
    ]
    if masked:
        context.fail(
            f"These missing memories of {context.instance} contain the API key or the value of a header, which Ansible "
            f"masks in results, so they cannot be stored again: {', '.join(masked)}. Remove the secret from {path}."
        )
    context.result.update(count=len(document["memories"]), missing=missing, empty=empty)


OPERATION = Operation(
    run=run,
    options={
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["saved", "compared"], "default": "saved"},
        "conversation_id": id_option(),
        "customer_id": id_option(),
    },
    on_instance=True,
    # These may be stored again, so their texts must not be changed.
    verbatim=frozenset({"missing"}),
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
