# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Refuses a Python that is too old or lacks requests. It is imported before what an older Python cannot import."""

from __future__ import annotations

import json
import platform
import shlex
import sys

if sys.version_info < (3, 11):
    # The result of the module, as ansible.module_utils.basic reports its own minimum. Ansible's plugins never get here,
    # because Ansible itself needs such a Python.
    problem = (
        f"The modules of fleetops.agents need Python 3.11 or newer, but {sys.executable} on {platform.node()} is Python"
        f" {'.'.join(map(str, sys.version_info[:3]))}. Set ansible_python_interpreter of this host to a newer Python"
        " with the library requests, for example on localhost to that of Ansible (ansible_playbook_python)."
    )
    sys.stdout.write(json.dumps({"failed": True, "msg": problem}) + "\n")
    raise SystemExit(1)


def missing_requests(error: ImportError) -> ModuleNotFoundError:
    """The error with a message that says how to install requests."""
    python = shlex.quote(sys.executable)
    return ModuleNotFoundError(
        f"The Python library requests cannot be imported ({error}). Install it with {python} -m pip install requests",
        name="requests",
    )
