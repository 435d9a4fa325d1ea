#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a report to a file as a whole. Makes no call."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: report_file
short_description: Write a report to a file atomically
version_added: 0.2.0
description:
  - Replaces the content of a file where the task runs, which is the controller unless the task is delegated.
  - The text is written to a temporary file in the same folder, synchronized to disk, read back, and renamed. If the
    task or the machine stops at any time, either the old or the new text is there.
  - Only the owner can read the file, since reports may contain data of customers. Missing folders are created and are
    accessible only by their owner. Existing folders are not changed.
  - The module does not call the API.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the size before and after, but not the text.
  idempotent:
    support: full
options:
  path:
    description: The path of the file.
    type: path
    required: true
  content:
    description:
      - The text. It is written as UTF-8. An unpaired surrogate, which is not a character, is written as a question
        mark.
      - Any other type is written as JSON.
    type: raw
    required: true
"""

EXAMPLES = r"""
---
- name: Write a report for people
  fleetops.agents.report_file:
    path: /var/reports/audit.md
    content: "{{ lookup('ansible.builtin.template', 'audit.md.j2') }}"

- name: Write a report for programs
  fleetops.agents.report_file:
    path: /var/reports/audit.json
    content: "{{ fleetops_audit_report }}"

- name: Check whether a report has changed
  fleetops.agents.report_file:
    path: /var/reports/report.txt
    content: "{{ report }}"
  register: written
"""

RETURN = r"""
---
file:
  description: The path of the file.
  returned: success
  type: str
  sample: /var/reports/audit.md
"""

import json

from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._steps.whole_file import (
    FileError,
    absolute_path,
    is_current,
    refuse_unwritable,
    replace_file,
    size_of,
)


def run(context: Context) -> None:
    content = context.params["content"]
    text = content if isinstance(content, str) else json.dumps(content, indent=4, sort_keys=True) + "\n"
    text = text.encode("utf-8", "replace").decode("utf-8")
    try:
        path = absolute_path(context.params["path"])
        context.result["file"] = str(path)
        if is_current(path, text):
            return
        refuse_unwritable(path)
        context.write(
            lambda: replace_file(path, text),
            before={"path": str(path), "bytes": size_of(path)},
            after={"path": str(path), "bytes": len(text.encode())},
        )
    except FileError as problem:
        context.fail(f"{problem}.")


OPERATION = Operation(
    run=run,
    offline=True,
    options={"path": {"type": "path", "required": True}, "content": {"type": "raw", "required": True}},
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
