# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console. It finds the collection's own code beside it, wherever both lie.

Its modules import ``ansible_collections.fleetops.agents.plugins``. Outside of Ansible nothing puts the folder into
which ansible-galaxy installed the collection on Python's path, a checkout may have any name, and the package
``ansible`` of PyPI brings an ``ansible_collections`` that hides others. So that name is given to the folder above.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path


def _name_the_collection(root: Path) -> None:
    parent = None
    for name in ("ansible_collections", "ansible_collections.fleetops", "ansible_collections.fleetops.agents"):
        # What is loaded already stays: Ansible's own loader, or a linked checkout in the tests.
        if name not in sys.modules:
            spec = ModuleSpec(name, None, is_package=True)
            # Other collections stay out of reach: nothing here needs one.
            spec.submodule_search_locations = [str(root)] if name.endswith(".agents") else []
            sys.modules[name] = module_from_spec(spec)
            if parent is not None:
                setattr(parent, name.rpartition(".")[2], sys.modules[name])
        parent = sys.modules[name]


_name_the_collection(Path(__file__).resolve().parents[1])
