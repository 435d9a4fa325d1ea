# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which options and extra variables on Ansible's command line make a playbook of this collection refuse to run.

These are tags, --step and --start-at-task that leave out tasks, and extra variables that no playbook reads. A
playbook of the user is never refused: it may import those of the collection with tags, and have other tasks and
variables.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load
from ansible.playbook.task import Task

from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import SettingsError, base_url
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import CONNECTION_OPTIONS, ENVIRONMENT
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import is_blank

_COLLECTION = "fleetops.agents."
_FOLDERS = ("playbooks", "extensions")
_PREFIX = "fleetops_"
# How similar a misspelled prefix is to that of the collection, from 0 to 1.
_SIMILAR = 0.9
# The variable in which Ansible shows --limit.
_LIMIT = "ansible_limit"
# Ansible's name for the words of -e that are not NAME=VALUE.
_WORDS = "_raw_params"
# The custom stats of the playbooks. A workflow of AWX passes those of a node to the later nodes as extra variables, so
# no playbook keeps anything of its own in a variable with such a name.
STATS = frozenset(
    {
        "fleetops_audit",
        "fleetops_fleet_state_report",
        "fleetops_plan_counts",
        "fleetops_plan_hash",
        "fleetops_plan_text",
        "fleetops_policy",
        "fleetops_report",
    }
)
# Options of roles that have another value for each host. As an extra variable, one value would be that of all hosts.
_OF_ONE_HOST = frozenset({"fleetops_result"})
# Options of roles that say what a playbook is for. Each playbook sets them in its plays, so that the inventory cannot.
SET_BY_PLAYBOOKS = frozenset({"fleetops_acted", "fleetops_compare_versions", "fleetops_end_here", "fleetops_plan_for"})


def refusal_by_tasks(arguments: Mapping[str, Any], root: Path) -> str:
    """Why the run would do nothing, or not what it checks first, as a sentence; empty if all tasks are left.

    ``arguments``: the command line of Ansible, with ``args`` (the playbooks), ``tags``, ``skip_tags``, ``step``
    and ``start_at_task``. ``root``: the folder of the collection. Its playbooks have no tags, so either all of their
    tasks run or none. Each of their tasks needs the results of the ones before it.
    """
    if not is_all_of_collection(arguments, root):
        return ""
    if (first := arguments.get("start_at_task")) is not None:
        return (
            f"This playbook cannot be started at a task (--start-at-task {first}): its tasks need the results of the "
            "ones before them. Start it without that option. Nothing was done."
        )
    if arguments.get("step"):
        return (
            "This playbook cannot be run step by step (--step): its tasks need the results of the ones before them, "
            "and a task that is left out may be the check of a batch. Start it without that option. Nothing was done."
        )
    tags, skipped = list(arguments.get("tags") or ()), list(arguments.get("skip_tags") or ())
    if Task().evaluate_tags(tags, skipped, {}):
        return ""
    given = [f"--tags {','.join(tags)}"] if tags and tags != ["all"] else []
    given += [f"--skip-tags {','.join(skipped)}"] if skipped else []
    return (
        f"No task is left with {' and '.join(given)}: the tasks of this playbook have no tags. Start it without them. "
        "Nothing was done."
    )


def refusal_by_limit(arguments: Mapping[str, Any], extra: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """Why the run is refused because of a variable that looks like --limit, as a sentence; empty if there is none.

    Ansible sets the variable from ``subset``, and does not read it. ``extra``: the extra variables. ``variables``:
    those of the play, also from import_playbook.
    """
    if _LIMIT not in extra and (arguments.get("subset") or is_blank(variables.get(_LIMIT))):
        return ""
    return f"{_LIMIT} has no effect as a variable, so the run would act on other hosts. Use --limit instead."


def refusal_by_variables(arguments: Mapping[str, Any], root: Path, extra: Mapping[str, Any]) -> str:
    """Why the run is refused because of its extra variables, as sentences; empty if each of them is read.

    A mistyped name would have no effect: with ``fleetops_host`` the run would act on the whole fleet. The name of a
    variable of the run itself, such as ``fleetops_run``, would replace it, since nothing overrides an extra variable.
    Words that belong to no variable are refused too. ``extra``: the extra variables.
    """
    # Ansible keeps the blanks of an argument that has only blanks, as of -e "$VARIABLES" in a script.
    if not is_blank(extra.get(_WORDS)):
        # The words are not shown, because they may be a part of a password.
        return (
            "Ansible has read only a part of the extra variables, because a value of -e has a blank without quotes or "
            "is not NAME=VALUE. The run could act on other hosts than intended. Write -e \"NAME='VALUE'\", or JSON."
        )
    given = sorted(name for name in map(str, extra) if _is_for_collection(name))
    if not is_all_of_collection(arguments, root):
        # Other names may belong to the user's playbook.
        given = [name for name in given if name in SET_BY_PLAYBOOKS]
    told = []
    names = sorted(variables_of(root)) if given else []
    for name in (name for name in given if name not in names):
        if name in SET_BY_PLAYBOOKS:
            told.append(f"{name} cannot be given: each playbook sets it itself.")
            continue
        known = [one.removeprefix(_PREFIX) for one in names if one not in STATS]
        near = difflib.get_close_matches(_plain(name).partition("_")[2], known, n=1, cutoff=0.8)
        # A name with another spelling of the prefix may be one of the user's variables.
        if near or name.startswith(_PREFIX):
            told.append(f"No playbook reads {name}." + (f" Did you mean {_PREFIX}{near[0]}?" if near else ""))
    if not told:
        return ""
    return " ".join([*told, "Correct or remove it (-e): names with fleetops_ are reserved for the collection."])


def _plain(name: str) -> str:
    """``name`` in lower case, with underscores instead of other separators, and with the prefix as one word."""
    return re.sub(r"[-. ]", "_", name.casefold()).replace("fleet_ops_", _PREFIX, 1)


def _is_for_collection(name: str) -> bool:
    """Whether a name has the prefix of the collection, even misspelled or in another case: FLEETOPS_, fleetop_."""
    head = _plain(name).partition("_")[0]
    return difflib.SequenceMatcher(None, f"{head}_", _PREFIX).ratio() > _SIMILAR


def refusal_by_connection(
    arguments: Mapping[str, Any], root: Path, variables: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    """Why the run is refused because of a variable with the address or the key, as sentences; empty if it is not.

    The tasks of the playbooks take both from the environment. The inventory and the lookups take the variables first,
    so a run could read from one server and change another. ``variables``: with values that are not templates.
    """
    for option, what in (("api_url", "address"), ("api_key", "key")):
        value, variable = variables.get(_PREFIX + option), ENVIRONMENT[option]
        if is_blank(value) or not is_all_of_collection(arguments, root):
            continue
        held = environ.get(variable, "")
        if _same(option, str(value), held):
            continue
        is_it = f"which is another {what}" if held.strip() else "which is not set"
        return (
            f"{_PREFIX}{option} is set, but the tasks of this playbook take the {what} from {variable} in the "
            f"environment, {is_it}. The inventory could be of one server, and the run change another. Remove the "
            f"variable, and set {variable}."
        )
    return ""


def _same(option: str, one: str, other: str) -> bool:
    if option != "api_url":
        return one == other
    try:
        return base_url(one) == base_url(other)
    except SettingsError:
        return one.strip() == other.strip()


@functools.cache
def variables_of(root: Path) -> set[str]:
    """The variables that a run can be given: of the connection, of all roles and playbooks, and their stats."""
    names = {"fleetops_hosts", *(f"{_PREFIX}{option}" for option in CONNECTION_OPTIONS)}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        for entry in _read(path).get("argument_specs", {}).values():
            names.update(entry.get("options") or {})
    for path in sorted(root.glob("playbooks/*.yml")):
        for play in _read(path):
            names.update((play.get("vars") or {}).get("fleetops_defaults") or {})
    return (names | STATS) - _OF_ONE_HOST - SET_BY_PLAYBOOKS


def is_all_of_collection(arguments: Mapping[str, Any], root: Path) -> bool:
    """Whether ansible-playbook runs playbooks of this collection only, and not one that imports them."""
    playbooks = arguments.get("args") or ()
    return bool(playbooks) and not isinstance(playbooks, str) and all(_is_ours(str(one), root) for one in playbooks)


def _is_ours(playbook: str, root: Path) -> bool:
    if playbook.startswith(_COLLECTION):
        return True
    path = Path(playbook).resolve()
    # This includes another checkout of the collection, such as a project of AWX.
    return any(path.is_relative_to(folder.resolve()) for folder in _folders(root) + _folders(path.parent.parent))


def _folders(root: Path) -> list[Path]:
    return [root / name for name in _FOLDERS] if (root / "plugins" / "lookup" / "play_hosts.py").is_file() else []


def _read(path: Path) -> Any:
    return yaml_load(path.read_text(encoding="utf-8"))
