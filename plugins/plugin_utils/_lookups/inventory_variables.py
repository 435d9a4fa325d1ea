# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of the inventory that no playbook of the collection reads, because their names are mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ansible.errors import AnsibleError
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path

from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.discovery import Instance
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.command_line import STATS

_PREFIX = "fleetops_"
# Variables that the inventory plugin and the playbooks give to hosts, and that lookups read.
_OF_HOSTS = frozenset(
    {
        *(_PREFIX + field for field in Instance._fields),
        "fleetops_batch_canary",
        "fleetops_batch_growth",
        "fleetops_stream",
        "fleetops_usual_seconds",
    }
)
# How alike two names must be, without their prefix, from 0 to 1.
_ALIKE = 0.7


def names_in_inventory(inventory: Any, loader: Any, host: str) -> set[str]:
    """The names with the prefix of the collection that the inventory sets for ``host`` and for groups.

    ``inventory`` and ``loader``: Ansible's. The other hosts are not read, because there may be thousands of them. The
    files of a group that cannot be read are left out, as Ansible reads those of the groups of its hosts only.
    """
    names: set[str] = set()
    one = inventory.get_host(host)
    for entity in [*inventory.groups.values(), *([] if one is None else [one])]:
        names.update(map(str, entity.get_vars()))
        try:
            names.update(map(str, get_vars_from_inventory_sources(loader, inventory._sources, [entity], "task")))
            names.update(map(str, get_vars_from_path(loader, loader.get_basedir(), [entity], "task")))
        except AnsibleError:
            continue
    return {name for name in names if name.startswith(_PREFIX)} - _OF_HOSTS


def warning_of(names: Iterable[str], known: Callable[[], Collection[str]]) -> str:
    """A warning about names that are like one that can be set, as one line; empty if there is none.

    A name that is like none of them is a variable of the user. ``known()``: the names of the variables that can be set,
    which are read only if there is any name.
    """
    given = sorted(set(names))
    settable = set(known()) if given else set()
    spelled = {name.removeprefix(_PREFIX): name for name in sorted(settable - STATS)}
    told = []
    for name in given:
        near = difflib.get_close_matches(name.removeprefix(_PREFIX), spelled, n=1, cutoff=_ALIKE)
        if name not in settable and near:
            told.append(f"{name} (is {spelled[near[0]]} meant?)")
    return f"The inventory sets variables that no playbook of fleetops.agents reads: {', '.join(told)}." if told else ""
