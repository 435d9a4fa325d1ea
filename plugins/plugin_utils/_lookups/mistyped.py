# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of the inventory and of plays that no playbook of the collection reads, as their names are mistyped."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path

from .._inventory.discovery import Instance
from .command_line import SET_BY_PLAYBOOKS, STATS, variables_of

_PREFIX = "fleetops_"
_WORD = re.compile(rf"\b{_PREFIX}\w+")
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
    return {name for name in names if name.startswith(_PREFIX)}


@functools.cache
def _words_of(root: Path) -> frozenset[str]:
    """All words with the prefix of the collection in its playbooks and roles, which takes less time than reading YAML.

    ``root``: the folder of the collection. These are the names of its own variables too.
    """
    files = [*root.glob("playbooks/*.yml"), *root.glob("roles/*/*/*.yml")]
    return frozenset(_WORD.findall("\n".join(path.read_text(encoding="utf-8") for path in files)))


def warning_of(what: str, names: Iterable[str], root: Path) -> str:
    """A warning about names that have no effect, or are like one that can be set, as one line; empty if there is none.

    A name that is like none of them is one of the user's variables. ``what`` sets them. ``root``: the folder of the
    collection, whose files are read only if there is a name that the inventory plugin does not give.
    """
    unknown = sorted({name for name in names if name.startswith(_PREFIX)} - _OF_HOSTS)
    told = [f"{name} (each playbook sets it itself)" for name in unknown if name in SET_BY_PLAYBOOKS]
    unknown = [name for name in unknown if name not in _words_of(root)]
    settable = variables_of(root) if unknown else set()
    spelled = {name.removeprefix(_PREFIX): name for name in sorted(settable - STATS)}
    for name in (name for name in unknown if name not in settable):
        if near := difflib.get_close_matches(name.removeprefix(_PREFIX), spelled, n=1, cutoff=_ALIKE):
            told.append(f"{name} (did you mean {spelled[near[0]]}?)")
    return f"{what} sets variables that no playbook of fleetops.agents reads: {', '.join(told)}." if told else ""
