# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console. Importing it makes the code of the collection around it importable, wherever that is.

The console's modules import ``ansible_collections.fleetops.agents.plugins``. Outside Ansible, the folder into which
ansible-galaxy installs collections is not on Python's path, a checkout may have any name, and the PyPI package
``ansible`` contains an ``ansible_collections`` that shadows others. So the parent folder is registered as this package.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path


def _register_collection(root: Path) -> None:
    parent = None
    for name in ("ansible_collections", "ansible_collections.fleetops", "ansible_collections.fleetops.agents"):
        # Packages that are already loaded are kept: those of Ansible's loader, or a linked checkout in the tests.
        if name not in sys.modules:
            spec = ModuleSpec(name, None, is_package=True)
            # Other collections cannot be imported: the console needs none.
            spec.submodule_search_locations = [str(root)] if name.endswith(".agents") else []
            sys.modules[name] = module_from_spec(spec)
            if parent is not None:
                setattr(parent, name.rpartition(".")[2], sys.modules[name])
        parent = sys.modules[name]


_register_collection(Path(__file__).resolve().parents[1])
